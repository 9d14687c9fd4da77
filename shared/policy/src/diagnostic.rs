//! What is wrong with a policy file: where, why, and what to do.

use std::{fmt, ops::Range};

use crate::mask;

/// A stable code, such as `E0201`. Scripts and documentation pages go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// E0200: not TOML.
    Syntax,
    /// E0201: a key that does not exist.
    UnknownKey,
    /// E0202: a key that must be there is not.
    MissingKey,
    /// E0203: another type of value than the key takes.
    WrongType,
    /// E0204: a word that is not one of those to choose from.
    UnknownWord,
    /// E0205: a name of ours with other characters than `[a-z0-9-]`.
    BadName,
    /// E0206: a secret that is written into the file.
    LiteralSecret,
    /// E0207: a reference to a secret that names nothing.
    BadSecretRef,
    /// E0208: not a length of time.
    BadDuration,
    /// E0209: a number outside of its bounds.
    BadNumber,
    /// E0210: more than 100 per cent.
    BadPercent,
    /// E0211: not an address that can be called.
    BadUrl,
    /// E0212: not an e-mail address.
    BadEmail,
    /// E0213: not a domain.
    BadDomain,
    /// E0214: not a glob.
    BadGlob,
    /// E0215: not a regular expression.
    BadRegex,
    /// E0216: a list or text that must not be empty.
    Empty,
    /// E0217: a directory that the file does not have.
    UnknownDirectory,
    /// E0218: a target that is only ever read.
    NotATarget,
    /// E0219: a directory that would fill itself.
    OntoItself,
    /// E0220: a view of something that is not an organization.
    BadView,
    /// E0221: two rules, or two groups of one rule, that claim one target group.
    ClaimedTwice,
    /// E0222: `members = "exact"` for a default access group.
    ExactDefaultAccess,
    /// E0223: a protected group as a target.
    Protected,
    /// E0224: two rules of one name.
    DuplicateName,
    /// E0225: an entry of `[adopt]` that names no group of a target.
    BadAdoption,
    /// E0226: not a schedule.
    BadSchedule,
    /// E0227: keys that exclude each other.
    Conflicting,
    /// E0228: a replacement that refers to a group which the pattern does not have.
    BadReplacement,
    /// E0229: nothing to read, or nothing to do.
    Nothing,
    /// E0230: a key that has no effect, or lets nobody through, with the others as they are.
    NoEffect,
}

/// One problem of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of problem.
    pub code: Code,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Where it is, in bytes of the file.
    pub span: Range<usize>,
    /// What is wrong. Never holds a secret.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The line as it may be shown: values of secrets and of unknown keys are masked.
    pub(crate) excerpt: mask::Excerpt,
}

/// All problems of a policy file, in its order. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Code {
    /// The code as it is shown.
    pub fn as_str(self) -> &'static str {
        const NAMES: [&str; 31] = [
            "E0200", "E0201", "E0202", "E0203", "E0204", "E0205", "E0206", "E0207", "E0208", "E0209", "E0210", "E0211",
            "E0212", "E0213", "E0214", "E0215", "E0216", "E0217", "E0218", "E0219", "E0220", "E0221", "E0222", "E0223",
            "E0224", "E0225", "E0226", "E0227", "E0228", "E0229", "E0230",
        ];
        NAMES.get(self as usize).copied().unwrap_or("E0200")
    }
}

impl Diagnostics {
    /// In the order of the file.
    pub(crate) fn new(mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.code));
        list.dedup();
        Self { list }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none, which never happens in what [`crate::Policy::parse`] returns.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems as text for people, with `file` as the file's name. Whoever shows them says that the file is refused.
    pub fn render<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            for (number, diagnostic) in self.list.iter().enumerate() {
                if number > 0 {
                    f.write_str("\n")?;
                }
                diagnostic.write(f, file)?;
            }
            Ok(())
        })
    }
}

impl Diagnostic {
    /// One that stands in nobody's way, as text for people, with `file` as the file's name.
    pub fn as_note<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.write_as(f, "note", file))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, file: &str) -> fmt::Result {
        self.write_as(f, "error", file)
    }

    fn write_as(&self, f: &mut fmt::Formatter<'_>, what: &str, file: &str) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let excerpt = &self.excerpt;
        writeln!(f, "{what}[{}]: {}", self.code, self.message)?;
        writeln!(f, "{gutter}--> {file}:{}:{}", self.line, self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", excerpt.text)?;
        writeln!(f, "{gutter} | {}{}", " ".repeat(excerpt.indent), "^".repeat(excerpt.width))?;
        for (at, line) in self.help.lines().enumerate() {
            writeln!(f, "{gutter} {} {line}", if at == 0 { "= help:" } else { "       " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "policy.toml")
    }
}

/// As text for people; [`Diagnostics::render`] also says which file.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.render("policy.toml"), f)
    }
}

impl std::error::Error for Diagnostics {}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
