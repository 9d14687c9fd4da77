//! Where problems are collected while a file is read.

use std::ops::Range;

use crate::{
    diagnostic::{Code, Diagnostic, Diagnostics},
    mask,
};

/// A value with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// The text that is read and what was found wrong with it so far.
pub(crate) struct Context<'t> {
    text: &'t str,
    found: Vec<Diagnostic>,
    /// What can stay, and does nothing.
    notes: Vec<Diagnostic>,
}

impl<'t> Context<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new(), notes: Vec::new() }
    }

    /// Records a problem. `message` and `help` hold no value that could be a secret.
    pub(crate) fn report(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(code, span, message.into(), help.into(), |line, at| mask::excerpt(line, at, false));
    }

    /// Records a key that is known and does nothing as things are. The file can be right all the same.
    pub(crate) fn note(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let show = |line: &str, at| mask::excerpt(line, at, false);
        let note = self.diagnostic(Code::NoEffect, span, message.into(), help.into(), show);
        self.notes.push(note);
    }

    /// Records a problem at a value that is, or may be, a secret: it is masked whatever it looks like.
    pub(crate) fn report_secret(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(code, span, message.into(), help.into(), |line, at| mask::excerpt(line, at, true));
    }

    /// Records a problem of a file that is not TOML.
    pub(crate) fn report_syntax(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Code::Syntax, span, message.into(), help.into(), mask::excerpt_of_broken);
    }

    fn push(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: String,
        help: String,
        show: impl FnOnce(&str, Range<usize>) -> mask::Excerpt,
    ) {
        let found = self.diagnostic(code, span, message, help, show);
        self.found.push(found);
    }

    fn diagnostic(
        &self,
        code: Code,
        span: &Range<usize>,
        message: String,
        help: String,
        show: impl FnOnce(&str, Range<usize>) -> mask::Excerpt,
    ) -> Diagnostic {
        let start = self.boundary(span.start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text.get(start..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |at| start + at);
        let line = self.text.get(line_start..line_end).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let end = span.end.clamp(start, line_start + line.len().max(start - line_start));
        let column = self.text.get(line_start..start).unwrap_or_default().chars().count() + 1;
        Diagnostic {
            code,
            line: self.line_of(start),
            column,
            span: start..span.end.max(start),
            message,
            help,
            excerpt: show(line, start - line_start..end - line_start),
        }
    }

    /// The nearest place at or before `at` where a character begins.
    fn boundary(&self, at: usize) -> usize {
        (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    /// The line of a byte, from 1.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.text.get(..self.boundary(at)).unwrap_or_default().bytes().filter(|b| *b == b'\n').count() + 1
    }

    /// The text of a place in the file.
    pub(crate) fn source(&self, span: &Range<usize>) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Takes back what another message says better.
    pub(crate) fn withdraw(&mut self, code: Code, span: &Range<usize>, message: &str) {
        self.found.retain(|found| found.code != code || found.span.start != span.start || found.message != message);
    }

    /// What can stay, in the order of the file.
    pub(crate) fn take_notes(&mut self) -> Vec<Diagnostic> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.sort_by_key(|note| note.span.start);
        notes
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        Diagnostics::new(self.found)
    }
}

/// The known word that the written one most likely means, if any is near.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_ascii_lowercase().replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= (word.len().max(written.len()) / 3).max(1))
        .min()
        .map(|(_, word)| word)
}

/// `"a", "b" or "c"`.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
