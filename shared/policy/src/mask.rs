//! Which parts of a line may be shown. What could be a secret is masked, length and all.

use std::ops::Range;

/// A line as it may be shown, with what to point at in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line, masked.
    pub(crate) text: String,
    /// How many characters stand before what to point at.
    pub(crate) indent: usize,
    /// How many characters to point at; at least one.
    pub(crate) width: usize,
}

/// Keys whose values may be shown. Whatever is not listed (secrets, misspelt secrets) is masked.
const PLAIN: &[&str] = &[
    "tenant",
    "sync",
    "people",
    "provision",
    "schedule",
    "approval",
    "kind",
    "customer",
    "subject",
    "client_id",
    "sweep_every",
    "audit_poll",
    "user_directory",
    "public_url",
    "endpoint",
    "org",
    "directory",
    "owner",
    "directory_id",
    "site",
    "email",
    "desk",
    "customer_organization",
    "url",
    "application",
    "lag",
    "match",
    "domains",
    "username",
    "pattern",
    "replace",
    "from",
    "to",
    "create",
    "update",
    "org_units",
    "except_people",
    "where",
    "attributes",
    "department",
    "title",
    "on_leave",
    "suspended",
    "archived",
    "deleted",
    "grace",
    "default_groups",
    "new",
    "all",
    "lead_fallback",
    "project",
    "component",
    "name",
    "enabled",
    "groups",
    "except",
    "people",
    "except_people",
    "rename",
    "members",
    "nested",
    "roles",
    "who",
    "external",
    "on_conflict",
    "on_source_deleted",
    "drift",
    "guard",
    "into",
    "default_access_group",
    "gives",
    "product",
    "per_group",
    "per_plan",
    "per_day",
    "per_week",
    "removals",
    "additions",
    "deactivations",
    "count",
    "percent",
    "emptied_group_from",
    "source_shrink_percent",
    "minimum_administrators",
    "protected_groups",
    "protected_people",
    "seat_limit",
    "required_for",
    "four_eyes",
    "expires",
    "mode",
    "cron",
    "case",
    "person",
    "role",
    "org_unit",
    "state",
    "expect",
];

/// Whether the values of a key may be shown.
pub(crate) fn is_plain(key: &str) -> bool {
    PLAIN.contains(&key)
}

const MASK: &str = "***";
/// Lines longer than this are cut when shown.
const LONGEST: usize = 160;

/// The excerpt for a span of a file that is TOML. `bytes` are those of the line, `span` is within the file.
///
/// A value is shown when the key before it on the line is a plain one, when it is a reference, or when it is just what
/// is pointed at and not a `secret`. In a line without a key (a list over several lines) everything else is shown.
pub(crate) fn excerpt(line: &str, at: Range<usize>, secret: bool) -> Excerpt {
    let mut hidden = hidden_values(line);
    if secret && at.start < at.end {
        hidden.retain(|range| range.end <= at.start || range.start >= at.end);
        hidden.push(at.clone());
        hidden.sort_by_key(|range| range.start);
    } else {
        hidden.retain(|range| range.start != at.start + 1 || range.end + 1 != at.end);
    }
    build(line, at, &hidden)
}

/// The excerpt for a line of a file that is not TOML, where nobody knows what is a value: shows the line only when it
/// is a table's header or its key is a plain one.
pub(crate) fn excerpt_of_broken(line: &str, at: Range<usize>) -> Excerpt {
    let trimmed = line.trim_start();
    let plain = trimmed.is_empty() || trimmed.starts_with(['[', '#']) && !trimmed.contains(['"', '\'', '=']);
    if plain {
        return build(line, at, &[]);
    }
    let hidden = match line.split_once('=') {
        Some((key, value)) if is_key(key.trim()) && is_plain(last_word(key)) && !value.contains('=') => None,
        Some((key, _)) if is_key(key.trim()) => Some(key.len() + 1..line.len()),
        _ => Some(0..line.len()),
    };
    build(line, at, hidden.as_slice())
}

fn is_key(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\''))
}

/// The values of a line that must not be shown, without their quotes: those whose key is not a plain one and that are
/// no references, and what looks like a value in a comment.
fn hidden_values(line: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    let mut key = None;
    let mut past = 0;
    for (at, c) in line.char_indices() {
        if at < past {
            continue;
        }
        match c {
            '#' => {
                hidden.extend(line.get(at..).and_then(|rest| rest.find('=')).map(|equals| at + equals + 1..line.len()));
                break;
            }
            '=' => key = line.get(..at).map(last_word),
            '"' | '\'' => {
                let end = close_of(line, at, c);
                let content = line.get(at + 1..end).unwrap_or_default();
                let reference = content.starts_with("file:") || content.starts_with("env:");
                if !reference && key.is_some_and(|key| !is_plain(key)) {
                    hidden.push(at + 1..end);
                }
                past = end + 1;
            }
            _ => {}
        }
    }
    hidden
}

/// The byte at which the text that is opened at `open` closes, or the end of the line.
fn close_of(line: &str, open: usize, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in line.char_indices().filter(|(at, _)| *at > open) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            return at;
        }
    }
    line.len()
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end();
    let start = text
        .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
        .map_or(0, |at| at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    text.get(start..).unwrap_or_default()
}

/// Puts the mask over the hidden ranges and finds again what to point at.
fn build(line: &str, at: Range<usize>, hidden: &[Range<usize>]) -> Excerpt {
    let mut text = String::new();
    let (mut start, mut end) = (None, None);
    let mut masked_to = 0;
    for (place, c) in line.char_indices() {
        if place >= at.start && start.is_none() {
            start = Some(text.chars().count());
        }
        if place >= at.end && end.is_none() {
            end = Some(text.chars().count());
        }
        if let Some(range) = hidden.iter().find(|range| range.contains(&place)) {
            if range.end > masked_to {
                text.push_str(MASK);
                masked_to = range.end;
            }
        } else {
            text.push(if c.is_control() { ' ' } else { c });
        }
    }
    let length = text.chars().count();
    let start = start.unwrap_or(length);
    let end = end.unwrap_or(length);
    let shown: String = if length > LONGEST { text.chars().take(LONGEST).chain(['…']).collect() } else { text };
    let indent = start.min(LONGEST);
    Excerpt {
        width: end.saturating_sub(start).clamp(1, (LONGEST + 1).saturating_sub(indent).max(1)),
        text: shown,
        indent,
    }
}
