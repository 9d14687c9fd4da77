//! Patterns of the policy file, compiled: globs, regular expressions, rewrites.
//!
//! Everything is compared without regard to ASCII case and to nothing else: subject and pattern are put into ASCII
//! lower case. Unicode case folding would make a Kelvin sign a `k` (failure modes 104 and 105).

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use model::Group;
use regex::Regex;

/// Which groups: any of the patterns and none of the exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupMatcher {
    patterns: NameMatcher,
    except: NameMatcher,
}

/// Which names: any of the patterns.
#[derive(Clone, Default)]
pub struct NameMatcher {
    patterns: Vec<Pattern>,
}

/// Which organizational units. `/Staff/**` means `/Staff` and everything below, `/Staff/*` what is directly below.
#[derive(Clone, Default)]
pub struct OrgUnitMatcher {
    texts: Vec<String>,
    globs: Vec<GlobMatcher>,
}

/// One `{ pattern, replace }` entry.
#[derive(Clone)]
pub struct Rewrite {
    pattern: String,
    replace: String,
    regex: Regex,
}

/// Why a pattern cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// What is wrong with it, in one line.
    pub message: String,
    /// Where in the pattern, in bytes from its start, where known.
    pub offset: Option<usize>,
    /// Whether the pattern is a regular expression; otherwise a glob.
    pub regex: bool,
}

#[derive(Clone)]
struct Pattern {
    text: String,
    how: How,
}

#[derive(Clone)]
enum How {
    Literal(String),
    Glob(GlobMatcher),
    Regex(Regex),
}

impl GroupMatcher {
    /// Any of `patterns` and none of `except`.
    ///
    /// # Errors
    /// The first pattern that cannot be compiled.
    pub fn new<'a>(
        patterns: impl IntoIterator<Item = &'a str>,
        except: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, PatternError> {
        Ok(Self { patterns: NameMatcher::new(patterns)?, except: NameMatcher::new(except)? })
    }

    pub(crate) fn from_parts(patterns: NameMatcher, except: NameMatcher) -> Self {
        Self { patterns, except }
    }

    /// Whether the group is meant: by its primary address, or by its name where it has no address.
    pub fn matches(&self, group: &Group) -> bool {
        match &group.email {
            Some(email) => self.matches_text(email.key()),
            None => self.matches_text(&group.name),
        }
    }

    /// Whether a group with this address or name is meant.
    pub fn matches_text(&self, text: &str) -> bool {
        self.patterns.matches(text) && !self.except.matches(text)
    }

    /// The patterns as they are written.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.texts()
    }

    /// The exceptions as they are written.
    pub fn except(&self) -> impl Iterator<Item = &str> {
        self.except.texts()
    }

    /// Whether a pattern is itself among the exceptions, so that it takes nothing.
    pub(crate) fn always_excepts(&self, pattern: &str) -> bool {
        self.except.texts().any(|text| text.eq_ignore_ascii_case(pattern))
            || Pattern::new(pattern).is_ok_and(|pattern| match pattern.how {
                How::Literal(text) => self.except.matches(&text),
                _ => false,
            })
    }

    /// The patterns that mean one address or name only, in ASCII lower case, without those that are excepted.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.patterns.literals().filter(|text| !self.except.matches(text))
    }
}

impl NameMatcher {
    /// Any of `patterns`: globs, or regular expressions after `re:`.
    ///
    /// # Errors
    /// The first pattern that cannot be compiled.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let patterns = patterns.into_iter().map(Pattern::new).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether the name is meant.
    pub fn matches(&self, name: &str) -> bool {
        self.which(name).is_some()
    }

    /// The first pattern that means the name, as it is written.
    pub fn which(&self, name: &str) -> Option<&str> {
        if self.patterns.is_empty() {
            return None;
        }
        let name = name.to_ascii_lowercase();
        self.patterns.iter().find(|pattern| pattern.matches(&name)).map(|pattern| pattern.text.as_str())
    }

    /// Whether there is no pattern at all, so that nothing is meant.
    pub const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns as they are written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(|pattern| pattern.text.as_str())
    }

    fn literals(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().filter_map(|pattern| match &pattern.how {
            How::Literal(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

impl OrgUnitMatcher {
    /// Any of `patterns`. Without a pattern everything is meant.
    ///
    /// # Errors
    /// The first pattern that cannot be compiled.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut matcher = Self::default();
        for text in patterns {
            matcher.texts.push(text.to_owned());
            matcher.globs.push(glob(text, true)?);
            if let Some(top) = text.strip_suffix("/**") {
                matcher.globs.push(glob(if top.is_empty() { "/" } else { top }, true)?);
            }
        }
        Ok(matcher)
    }

    /// Whether nothing is said, so that everybody is meant.
    pub const fn is_everywhere(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether people in the unit with this path are meant; `None` is a person without a unit, who is meant only
    /// where all are.
    pub fn matches(&self, path: Option<&str>) -> bool {
        if self.globs.is_empty() {
            return true;
        }
        let Some(path) = path else { return false };
        let path = path.to_ascii_lowercase();
        self.globs.iter().any(|glob| glob.is_match(&path))
    }

    /// The patterns as they are written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }
}

impl Rewrite {
    /// Replaces what `pattern` matches by `replace`, where `$1` or `${name}` stand for what its groups matched.
    ///
    /// # Errors
    /// When the pattern cannot be compiled.
    pub fn new(pattern: &str, replace: &str) -> Result<Self, PatternError> {
        Ok(Self { pattern: pattern.to_owned(), replace: replace.to_owned(), regex: regex(pattern)? })
    }

    /// What becomes of the text; `None` when the pattern does not match it. Case does not count for the match, and is
    /// kept in what the groups of the pattern take over.
    pub fn apply(&self, text: &str) -> Option<String> {
        // ASCII lower case has the same length, so places in the one are places in the other.
        let lowered = text.to_ascii_lowercase();
        let mut made = String::with_capacity(text.len());
        let mut past = 0;
        let mut matched = false;
        for captures in self.regex.captures_iter(&lowered) {
            let Some(whole) = captures.get(0) else { continue };
            matched = true;
            made.push_str(text.get(past..whole.start()).unwrap_or_default());
            for piece in pieces(&self.replace) {
                match piece {
                    Piece::Text(piece) => made.push_str(piece),
                    Piece::Reference(name) => {
                        let group = match name.parse::<usize>() {
                            Ok(number) => captures.get(number),
                            Err(_) => captures.name(name),
                        };
                        made.push_str(group.and_then(|group| text.get(group.range())).unwrap_or_default());
                    }
                }
            }
            past = whole.end();
        }
        made.push_str(text.get(past..).unwrap_or_default());
        matched.then_some(made)
    }

    /// One after the other, each on what the one before it made; those that do not match are passed over. `None` when
    /// none matches or nothing is left of the text.
    pub fn apply_all(rewrites: &[Self], text: &str) -> Option<String> {
        let mut made = None;
        for rewrite in rewrites {
            let next = rewrite.apply(made.as_deref().unwrap_or(text));
            made = next.or(made);
        }
        made.filter(|text| !text.is_empty())
    }

    /// The pattern as it is written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The replacement as it is written.
    pub fn replacement(&self) -> &str {
        &self.replace
    }

    /// References in the replacement to groups that the pattern does not have: they would always be empty.
    pub(crate) fn missing_references(&self) -> Vec<String> {
        let names: Vec<&str> = self.regex.capture_names().flatten().collect();
        let known = |name: &str| match name.parse::<usize>() {
            Ok(number) => number < self.regex.captures_len(),
            Err(_) => names.contains(&name),
        };
        let references = pieces(&self.replace).into_iter().filter_map(|piece| match piece {
            Piece::Reference(name) => Some(name),
            Piece::Text(_) => None,
        });
        references.filter(|name| !known(name)).map(str::to_owned).collect()
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, PatternError> {
        let how =
            match text.strip_prefix("re:") {
                Some(pattern) => How::Regex(regex(pattern).map_err(|error| PatternError {
                    offset: error.offset.map(|offset| offset + "re:".len()),
                    ..error
                })?),
                None if text.contains(['*', '?', '[', ']', '{', '}', '\\']) => How::Glob(glob(text, false)?),
                None => How::Literal(text.to_ascii_lowercase()),
            };
        Ok(Self { text: text.to_owned(), how })
    }

    /// `name` is in ASCII lower case.
    fn matches(&self, name: &str) -> bool {
        match &self.how {
            How::Literal(text) => text == name,
            How::Glob(glob) => glob.is_match(name),
            How::Regex(regex) => regex.is_match(name),
        }
    }
}

/// The glob over ASCII lower case. `globset` matches bytes, so that nothing outside of ASCII is folded.
fn glob(text: &str, by_level: bool) -> Result<GlobMatcher, PatternError> {
    GlobBuilder::new(text)
        .case_insensitive(true)
        .literal_separator(by_level)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| PatternError { message: error.kind().to_string(), offset: None, regex: false })
}

/// The regular expression over ASCII lower case. `(?i)` would fold in Unicode, so the pattern's own letters are put
/// into lower case instead. Anchored as written.
fn regex(pattern: &str) -> Result<Regex, PatternError> {
    Regex::new(&lower_pattern(pattern)).map_err(|error| regex_error(pattern, &error))
}

/// What is wrong, in one line. The crate's text shows the pattern with a caret below it, from which the place is read.
fn regex_error(pattern: &str, error: &regex::Error) -> PatternError {
    let text = error.to_string();
    let offset = text
        .lines()
        .find(|line| line.trim_end().ends_with('^') && line.trim().chars().all(|c| c == '^'))
        .and_then(|line| line.find('^'))
        .and_then(|column| column.checked_sub("    ".len()))
        .and_then(|column| pattern.char_indices().map(|(at, _)| at).chain([pattern.len()]).nth(column));
    let message = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let message = match message {
        Some(message) => message.trim().to_owned(),
        None => text.lines().next().unwrap_or("not a regular expression").trim().to_ascii_lowercase(),
    };
    PatternError { message, offset, regex: true }
}

/// The pattern with its literal letters in ASCII lower case. Escapes (`\S`, `\x4A`, `\p{Lu}`), heads of groups
/// (`(?P<Name>`, `(?U:`) and classes by name (`[:^alpha:]` is lower case already) keep their letters.
fn lower_pattern(pattern: &str) -> String {
    let mut lowered = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                lowered.push(c);
                let Some(escaped) = rest.next() else { break };
                lowered.push(escaped);
                if matches!(escaped, 'p' | 'P' | 'x' | 'u' | 'U' | 'b') && rest.peek() == Some(&'{') {
                    copy_until(&mut rest, &mut lowered, &['}']);
                }
            }
            '(' => {
                lowered.push(c);
                if rest.peek() == Some(&'?') {
                    copy_until(&mut rest, &mut lowered, &['>', ':', ')']);
                }
            }
            _ => lowered.push(c.to_ascii_lowercase()),
        }
    }
    lowered
}

fn copy_until(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, into: &mut String, ends: &[char]) {
    for c in rest.by_ref() {
        into.push(c);
        if ends.contains(&c) {
            break;
        }
    }
}

/// A part of a replacement.
enum Piece<'r> {
    Text(&'r str),
    Reference(&'r str),
}

/// The parts of a replacement, as the regex crate reads them: `${name}`, `$` and the longest run of `[0-9A-Za-z_]`,
/// `$$` for a dollar sign, everything else as it stands.
fn pieces(replace: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = replace;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.push(Piece::Text(before));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        if let Some(after) = after.strip_prefix('$') {
            pieces.push(Piece::Text("$"));
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            pieces.push(Piece::Reference(name));
            rest = after;
        } else if name.is_empty() {
            pieces.push(Piece::Text("$"));
            rest = after;
        } else {
            pieces.push(Piece::Reference(name));
            rest = tail;
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Patterns are the same when they are written the same.
impl PartialEq for NameMatcher {
    fn eq(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }
}
impl Eq for NameMatcher {}

impl PartialEq for OrgUnitMatcher {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}
impl Eq for OrgUnitMatcher {}

impl PartialEq for Rewrite {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern, &self.replace) == (&other.pattern, &other.replace)
    }
}
impl Eq for Rewrite {}

impl fmt::Debug for NameMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

impl fmt::Debug for OrgUnitMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.texts).finish()
    }
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} -> {:?}", self.pattern, self.replace)
    }
}
