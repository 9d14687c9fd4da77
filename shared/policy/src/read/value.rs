//! Values with a shape of their own: references to secrets, lengths of time, addresses, names, patterns.

use std::{collections::BTreeMap, ops::Range};

use model::{DirectoryId, Email, Span, UserState};
use toml::{Spanned, de::DeValue};

use super::{
    context::{Context, Said, nearest, one_of},
    section::{Section, list_of, shown, table_of, text_of, wrong_type},
};
use crate::{NameMatcher, OrgUnitMatcher, PatternError, PersonFilter, Policy, Rewrite, SecretRef, diagnostic::Code};

const SECRET_HELP: &str = "put the secret into a file or an environment variable and write \"file:/path/to/it\" or \
                           \"env:NAME\" here;\na secret that stood in this file should be replaced by a new one";

impl Section<'_> {
    /// A reference to a secret that must be there.
    pub(crate) fn secret(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<SecretRef> {
        let value = self.need(ctx, key, &format!("add {key} = \"file:…\" or {key} = \"env:…\""))?;
        let DeValue::String(text) = value.get_ref() else {
            return wrong_type(ctx, key, value, "a reference in quotes, such as \"file:/path\" or \"env:NAME\"");
        };
        let reference = match text.split_once(':') {
            Some(("file", path)) => SecretRef::File(path.to_owned()),
            Some(("env", name)) => SecretRef::Env(name.to_owned()),
            _ => {
                let message = format!("`{key}` is a secret written into the file");
                ctx.report_secret(Code::LiteralSecret, &value.span(), message, SECRET_HELP);
                return None;
            }
        };
        let fine = match &reference {
            SecretRef::File(path) => !path.trim().is_empty() && !path.chars().any(char::is_control),
            SecretRef::Env(name) => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
        };
        if fine {
            return Some(reference);
        }
        let message = format!("`{key}` does not say where the secret is");
        let help = "write \"file:\" and a path, or \"env:\" and the name of a variable (letters, digits, _)";
        ctx.report_secret(Code::BadSecretRef, &value.span(), message, help);
        None
    }

    /// A length of time of at least `least`.
    pub(crate) fn duration(&self, ctx: &mut Context<'_>, key: &'static str, least: Span) -> Option<Span> {
        let text = self.text(ctx, key)?;
        let help = "write a number with its unit, such as \"60s\", \"15m\", \"6h\" or \"2days\"";
        let Ok(length) = humantime::parse_duration(&text.value) else {
            let message = format!("`{key}` is not a length of time: \"{}\"", shown(&text.value));
            ctx.report(Code::BadDuration, &text.span, message, help);
            return None;
        };
        let length = Span::from(length);
        if length < least || length > LONGEST {
            let message =
                format!("`{key}` is too {}: \"{}\"", if length < least { "short" } else { "long" }, shown(&text.value));
            ctx.report(
                Code::BadDuration,
                &text.span,
                message,
                format!("write at least {least:?} and at most 10 years"),
            );
            return None;
        }
        Some(length)
    }

    /// An e-mail address.
    pub(crate) fn email(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<Email> {
        let text = self.text(ctx, key)?;
        email_of(ctx, key, &text)
    }

    /// An e-mail address that must be there.
    pub(crate) fn need_email(&self, ctx: &mut Context<'_>, key: &'static str, help: &str) -> Option<Email> {
        let text = self.need_text(ctx, key, help)?;
        email_of(ctx, key, &text)
    }

    /// The name of a directory that must be there. Whether there is such a directory is checked later.
    pub(crate) fn directory(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<Said<DirectoryId>> {
        let text = self.need_text(ctx, key, "add the name of one of the [directory.…] tables")?;
        directory_of(ctx, &text)
    }

    /// A list of globs and regular expressions.
    pub(crate) fn patterns(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<NameMatcher> {
        let texts = self.texts(ctx, key, false)?;
        patterns_of(ctx, &texts)
    }

    /// Which people: `people`, `except_people` and `where`.
    pub(crate) fn people(&self, ctx: &mut Context<'_>) -> PersonFilter {
        let help = "leave it out for everybody; a list that is empty would mean nobody";
        let people = self.some_texts(ctx, "people", true, help).and_then(|texts| patterns_of(ctx, &texts));
        let except = self.texts(ctx, "except_people", true).and_then(|texts| patterns_of(ctx, &texts));
        let mut attributes = BTreeMap::new();
        if let Some(table) = self.table(ctx, "where") {
            for (path, value) in table.entries() {
                let one = table_entry(ctx, &path.value, value);
                if let Some(patterns) = patterns_of(ctx, &one) {
                    attributes.insert(path.value, patterns);
                }
            }
        }
        PersonFilter::new(people.unwrap_or_default(), except.unwrap_or_default(), attributes)
    }

    /// A list of `{ pattern, replace }`.
    pub(crate) fn rewrites(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<Vec<Rewrite>> {
        let value = self.get(key)?;
        let list = list_of(ctx, key, value, "a list of { pattern = '…', replace = '…' }")?;
        Some(list.iter().filter_map(|entry| rewrite(ctx, key, entry)).collect())
    }
}

/// Ten years: longer than anything that is meant, short enough for every clock.
const LONGEST: Span = Span::from_secs(10 * 366 * 86_400);

fn rewrite<'t>(ctx: &mut Context<'_>, key: &'static str, entry: &'t Spanned<DeValue<'t>>) -> Option<Rewrite> {
    let section = table_of(ctx, key, entry, format!("an entry of `{key}`"))?;
    let pattern = section.need_text(ctx, "pattern", "add pattern = '^(.+)@.*$', for instance");
    let replace = match section.need(ctx, "replace", "add replace = '$1', for instance") {
        Some(value) => match value.get_ref() {
            DeValue::String(text) => Some(Said { value: text.to_string(), span: value.span() }),
            _ => text_of(ctx, "replace", value),
        },
        None => None,
    };
    section.finish(ctx);
    let (pattern, replace) = (pattern?, replace?);
    let rewrite = match Rewrite::new(&pattern.value, &replace.value) {
        Ok(rewrite) => rewrite,
        Err(error) => {
            report_pattern(ctx, &pattern, &error);
            return None;
        }
    };
    for missing in rewrite.missing_references() {
        let message =
            format!("the replacement refers to ${{{}}}, a group that the pattern does not have", shown(&missing));
        let help = match missing.find(|c: char| !c.is_ascii_digit()) {
            Some(digits) if digits > 0 => {
                let (number, rest) = missing.split_at(digits);
                format!("write ${{{number}}}{rest} if the number {number} ends the reference")
            }
            _ => "groups are counted from 1 by their opening brackets; write $$ for a dollar sign".to_owned(),
        };
        ctx.report(Code::BadReplacement, &replace.span, message, help);
    }
    Some(rewrite)
}

/// One text or a list of at least one, under a key of the user's own.
fn table_entry(ctx: &mut Context<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<Said<String>> {
    if matches!(value.get_ref(), DeValue::String(_)) {
        return text_of(ctx, "where", value).into_iter().collect();
    }
    let Some(list) = list_of(ctx, "where", value, "text or a list of texts") else { return Vec::new() };
    if list.is_empty() {
        let message = format!("`{}` of `where` is an empty list", shown(key));
        ctx.report(Code::Empty, &value.span(), message, "leave it out for any value");
    }
    list.iter().filter_map(|entry| text_of(ctx, "where", entry)).collect()
}

/// A slug that names a directory.
pub(crate) fn directory_of(ctx: &mut Context<'_>, text: &Said<String>) -> Option<Said<DirectoryId>> {
    let Ok(value) = DirectoryId::new(&text.value) else {
        report_name(ctx, "a directory", &text.value, &text.span);
        return None;
    };
    Some(Said { value, span: text.span.clone() })
}

/// The states that a person can be said to be in.
pub(crate) struct UserStates;

impl UserStates {
    pub(crate) const ALL: [(&'static str, UserState); 4] = [
        ("active", UserState::Active),
        ("suspended", UserState::Suspended),
        ("archived", UserState::Archived),
        ("deleted", UserState::Deleted),
    ];
}

/// The directory of a policy that a text names; a view stands for its organization.
pub(crate) fn directory_named(ctx: &mut Context<'_>, policy: &Policy, text: &Said<String>) -> Option<DirectoryId> {
    let found = policy.directories.iter().find(|(id, _)| id.as_str() == text.value);
    if let Some((id, directory)) = found {
        return Some(directory.view_of.clone().unwrap_or_else(|| id.clone()));
    }
    let names = || policy.directories.keys().map(DirectoryId::as_str);
    let help = match nearest(&text.value, names()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("name {}", one_of(names())),
    };
    let message = format!("there is no directory \"{}\" in the policy", shown(&text.value));
    ctx.report(Code::UnknownDirectory, &text.span, message, help);
    None
}

/// Reports a name of ours that is not a slug.
pub(crate) fn report_name(ctx: &mut Context<'_>, what: &str, written: &str, span: &Range<usize>) {
    let message = format!("\"{}\" cannot be the name of {what}", shown(written));
    let slug = slug(written);
    let rule = "use 1 to 40 lower-case letters, digits and hyphens";
    let help = if slug.is_empty() { rule.to_owned() } else { format!("{rule}, such as \"{slug}\"") };
    ctx.report(Code::BadName, span, message, help);
}

/// The nearest slug: lower-case letters and digits, everything else a hyphen, at most 40 long. May be empty.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(40);
    slug.trim_end_matches('-').to_owned()
}

pub(crate) fn email_of(ctx: &mut Context<'_>, key: &str, text: &Said<String>) -> Option<Email> {
    let email = Email::new(&text.value).ok();
    if email.is_none() {
        let message = format!("`{key}` is not an e-mail address");
        ctx.report(Code::BadEmail, &text.span, message, "write it as name@example.com");
    }
    email
}

/// Compiles each pattern and reports all that cannot be.
pub(crate) fn patterns_of(ctx: &mut Context<'_>, texts: &[Said<String>]) -> Option<NameMatcher> {
    let mut fine = Vec::new();
    for text in texts {
        match NameMatcher::new([text.value.as_str()]) {
            Ok(_) => fine.push(text.value.as_str()),
            Err(error) => report_pattern(ctx, text, &error),
        }
    }
    NameMatcher::new(fine).ok()
}

/// The part of a text that begins at `offset`, if the text is written without escapes; else the whole.
pub(crate) fn within(ctx: &Context<'_>, text: &Said<String>, offset: usize) -> Range<usize> {
    let source = ctx.source(&text.span);
    let quotes = if source.starts_with("'''") || source.starts_with("\"\"\"") { 3 } else { 1 };
    let plain = source.get(quotes..).is_some_and(|rest| rest.starts_with(&text.value));
    if plain && offset < text.value.len() {
        text.span.start + quotes + offset..text.span.start + quotes + text.value.len()
    } else {
        text.span.clone()
    }
}

/// Points into the pattern where that is possible.
pub(crate) fn report_pattern(ctx: &mut Context<'_>, text: &Said<String>, error: &PatternError) {
    let span = match error.offset {
        Some(offset) => {
            let span = within(ctx, text, offset);
            if span == text.span { span } else { span.start..span.start + 1 }
        }
        None => text.span.clone(),
    };
    if error.regex {
        let help = "see https://docs.rs/regex/#syntax; in '…' a backslash needs no second one";
        ctx.report(Code::BadRegex, &span, format!("not a regular expression: {}", error.message), help);
    } else {
        let help = "* is any text, ? one character, [ab] one of some, {a,b} one of some texts; \\ before one of these \
                    takes it literally;\na regular expression begins with re:";
        ctx.report(Code::BadGlob, &span, format!("not a glob: {}", error.message), help);
    }
}

/// Compiles the organizational units and reports all that cannot be.
pub(crate) fn patterns_or_units(ctx: &mut Context<'_>, texts: &[Said<String>]) -> OrgUnitMatcher {
    let mut fine = Vec::new();
    for text in texts {
        match OrgUnitMatcher::new([text.value.as_str()]) {
            Ok(_) => fine.push(text.value.as_str()),
            Err(error) => report_pattern(ctx, text, &error),
        }
    }
    OrgUnitMatcher::new(fine).unwrap_or_default()
}
