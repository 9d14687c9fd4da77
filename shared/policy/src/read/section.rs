//! One table of the file while it is read: each key is asked for once, and what nobody asked for is unknown.

use std::{cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::context::{Context, Said, nearest, one_of};
use crate::{diagnostic::Code, mask};

/// A table, where it is, and which of its keys have been asked for.
pub(crate) struct Section<'t> {
    table: &'t DeTable<'t>,
    /// The place of the header, or of the inline table.
    pub(crate) span: Range<usize>,
    /// What it is called in messages, such as `[guard]`.
    pub(crate) name: String,
    asked: RefCell<Vec<&'static str>>,
}

/// What the file itself is called in messages.
pub(crate) const ROOT: &str = "the policy file";

/// A value and its place.
pub(crate) type Value<'t> = &'t Spanned<DeValue<'t>>;

impl<'t> Section<'t> {
    pub(crate) fn new(table: &'t DeTable<'t>, span: Range<usize>, name: impl Into<String>) -> Self {
        Self { table, span, name: name.into(), asked: RefCell::default() }
    }

    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &'static str) -> Option<Value<'t>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.asked.borrow_mut().push(key);
        self.table.contains_key(key)
    }

    /// The place of a key itself.
    pub(crate) fn key_span(&self, key: &str) -> Range<usize> {
        self.table.get_key_value(key).map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    /// All entries, for tables whose keys are the user's own.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Said<String>, Value<'t>)> {
        self.table.iter().map(|(key, value)| (Said { value: key.get_ref().to_string(), span: key.span() }, value))
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, ctx: &mut Context<'_>, key: &'static str, help: &str) -> Option<Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            let span = self.span.clone();
            ctx.report(Code::MissingKey, &span, missing(&self.name, key), help);
        }
        value
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self, ctx: &mut Context<'_>) {
        let known = self.asked.into_inner();
        for key in self.table.keys() {
            let written = key.get_ref().as_ref();
            if known.contains(&written) {
                continue;
            }
            let help = match nearest(written, known.iter().copied()) {
                Some(near) => {
                    // One mistake, one message.
                    ctx.withdraw(Code::MissingKey, &self.span, &missing(&self.name, near));
                    format!("did you mean `{near}`?")
                }
                None if known.is_empty() => "remove it".to_owned(),
                None => {
                    let mut known = known.clone();
                    known.sort_unstable();
                    known.dedup();
                    format!("remove it; known keys here: {}", known.join(", "))
                }
            };
            ctx.report(
                Code::UnknownKey,
                &key.span(),
                format!("unknown key `{}` in {}", shown(written), self.name),
                help,
            );
        }
    }

    /// A table below a key.
    pub(crate) fn table(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<Section<'t>> {
        let value = self.get(key)?;
        let name = if self.name == ROOT { format!("[{key}]") } else { format!("`{key}` of {}", self.name) };
        table_of(ctx, key, value, name)
    }

    /// Text; empty text is refused.
    pub(crate) fn text(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<Said<String>> {
        let value = self.get(key)?;
        text_of(ctx, key, value)
    }

    /// Text that must be there.
    pub(crate) fn need_text(&self, ctx: &mut Context<'_>, key: &'static str, help: &str) -> Option<Said<String>> {
        let value = self.need(ctx, key, help)?;
        text_of(ctx, key, value)
    }

    /// A list of texts; where `or_one` says so, one text stands for a list of it.
    pub(crate) fn texts(&self, ctx: &mut Context<'_>, key: &'static str, or_one: bool) -> Option<Vec<Said<String>>> {
        let value = self.get(key)?;
        if or_one && matches!(value.get_ref(), DeValue::String(_)) {
            return text_of(ctx, key, value).map(|one| vec![one]);
        }
        let what = if or_one { "text or a list of texts" } else { "a list of texts" };
        let list = list_of(ctx, key, value, what)?;
        Some(list.iter().filter_map(|entry| text_of(ctx, key, entry)).collect())
    }

    /// A list of texts with at least one entry.
    pub(crate) fn some_texts(
        &self,
        ctx: &mut Context<'_>,
        key: &'static str,
        or_one: bool,
        help: &str,
    ) -> Option<Vec<Said<String>>> {
        if let Some(DeValue::Array(list)) = self.table.get(key).map(Spanned::get_ref)
            && list.is_empty()
        {
            let span = self.table.get(key).map_or(0..0, Spanned::span);
            self.asked.borrow_mut().push(key);
            ctx.report(Code::Empty, &span, format!("`{key}` is an empty list"), help);
            return None;
        }
        self.texts(ctx, key, or_one)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => wrong_type(ctx, key, value, "true or false"),
        }
    }

    /// Whether a rule is in force. One that is not is noted: nothing else shows that it does nothing.
    pub(crate) fn enabled(&self, ctx: &mut Context<'_>) -> bool {
        let enabled = self.flag(ctx, "enabled").unwrap_or(true);
        if !enabled {
            let message = "this rule is switched off: it decides nothing and removes nothing, and what it filled stays";
            ctx.note(&self.key_span("enabled"), message, "write enabled = true, or leave it out, to put it in force");
        }
        enabled
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&self, ctx: &mut Context<'_>, key: &'static str, least: u64) -> Option<u64> {
        let value = self.get(key)?;
        number_of(ctx, key, value, least)
    }

    /// A share from 0 to 100.
    pub(crate) fn percent(&self, ctx: &mut Context<'_>, key: &'static str) -> Option<u64> {
        let value = self.get(key)?;
        let percent = number_of(ctx, key, value, 0)?;
        if percent > 100 {
            let message = format!("`{key}` is {percent}, more than the whole");
            ctx.report(Code::BadPercent, &value.span(), message, "write a number from 0 to 100; 100 allows everything");
            return None;
        }
        Some(percent)
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(
        &self,
        ctx: &mut Context<'_>,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(ctx, key)?;
        choice_of(ctx, key, &text, words)
    }
}

fn missing(section: &str, key: &str) -> String {
    format!("{section} has no `{key}`")
}

/// The table in a value.
pub(crate) fn table_of<'t>(ctx: &mut Context<'_>, key: &str, value: Value<'t>, name: String) -> Option<Section<'t>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(Section::new(table, value.span(), name)),
        _ => wrong_type(ctx, key, value, "a table"),
    }
}

/// The list in a value.
pub(crate) fn list_of<'t>(ctx: &mut Context<'_>, key: &str, value: Value<'t>, what: &str) -> Option<&'t DeArray<'t>> {
    match value.get_ref() {
        DeValue::Array(list) => Some(list),
        _ => wrong_type(ctx, key, value, what),
    }
}

/// The text in a value; empty text is refused.
pub(crate) fn text_of(ctx: &mut Context<'_>, key: &str, value: Value<'_>) -> Option<Said<String>> {
    let DeValue::String(text) = value.get_ref() else { return wrong_type(ctx, key, value, "text in quotes") };
    if text.trim().is_empty() {
        ctx.report(Code::Empty, &value.span(), format!("`{key}` is empty"), "write a value, or leave the key out");
        return None;
    }
    if text.chars().any(char::is_control) {
        let message = format!("`{key}` holds a control character");
        ctx.report(Code::WrongType, &value.span(), message, "write it in one line without tabs");
        return None;
    }
    Some(Said { value: text.to_string(), span: value.span() })
}

pub(crate) fn number_of(ctx: &mut Context<'_>, key: &str, value: Value<'_>, least: u64) -> Option<u64> {
    let DeValue::Integer(number) = value.get_ref() else { return wrong_type(ctx, key, value, "a whole number") };
    let read = i64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|number| u64::try_from(number).ok());
    let read = read.filter(|number| *number >= least);
    if read.is_none() {
        let message = format!("`{key}` is out of bounds");
        ctx.report(Code::BadNumber, &value.span(), message, format!("write a whole number of at least {least}"));
    }
    read
}

/// The word among `words` that the text is.
pub(crate) fn choice_of<T: Copy>(
    ctx: &mut Context<'_>,
    key: &str,
    text: &Said<String>,
    words: &[(&'static str, T)],
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
    if found.is_none() {
        let known = || words.iter().map(|(word, _)| *word);
        let help = match nearest(&text.value, known()) {
            Some(near) => format!("did you mean \"{near}\"? `{key}` is {}", one_of(known())),
            None => format!("`{key}` is {}", one_of(known())),
        };
        ctx.report(Code::UnknownWord, &text.span, format!("`{key}` cannot be \"{}\"", shown(&text.value)), help);
    }
    found
}

/// Reports a value of another type than the key takes. The value is shown only under a plain key.
pub(crate) fn wrong_type<T>(ctx: &mut Context<'_>, key: &str, value: Value<'_>, wanted: &str) -> Option<T> {
    let message = format!("`{key}` is {}, not {wanted}", kind_of(value.get_ref()));
    let help = format!("write {wanted}");
    if mask::is_plain(key) {
        ctx.report(Code::WrongType, &value.span(), message, help);
    } else {
        ctx.report_secret(Code::WrongType, &value.span(), message, help);
    }
    None
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A user's word in a message: cut, and without what would disturb a terminal.
pub(crate) fn shown(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match clean.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", clean.get(..at).unwrap_or_default()),
        None => clean,
    }
}
