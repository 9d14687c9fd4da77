//! PATCH of RFC 7644 §3.5.2, as far as identity providers send it: `attr`, `attr.sub`, `attr[sub eq "x"].sub`, an
//! extension's URN before the attribute, or no path and an object.

use serde_json::{Map, Value};

use super::error;
use super::user::{ATTRIBUTES, ENTERPRISE};
use crate::engine::Answer;

/// The verb, whatever its case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Remove,
    Replace,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) verb: Verb,
    pub(super) path: Option<String>,
    pub(super) value: Option<Value>,
}

/// Reads the operations of a body; `Operations` or `operations`.
pub(super) fn operations(body: &Map<String, Value>) -> Result<Vec<Step>, Answer> {
    let bad = |detail: &str| error::invalid("invalidSyntax", detail);
    let field = |fields: &Map<String, Value>, wanted: &str| {
        fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
    };
    if field(body, "schemas").is_none() {
        return Err(bad("schemas is required."));
    }
    let Some(Value::Array(all)) = field(body, "Operations") else { return Err(bad("Operations must be a list.")) };
    let read = |it: &Value| {
        let fields = it.as_object().ok_or_else(|| bad("An operation must be an object."))?;
        let verb = match field(fields, "op").as_ref().and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
            Some("add") => Verb::Add,
            Some("remove") => Verb::Remove,
            Some("replace") => Verb::Replace,
            _ => return Err(bad("op must be add, remove or replace.")),
        };
        let path = field(fields, "path").and_then(|it| it.as_str().map(|it| it.trim().to_owned()));
        Ok(Step { verb, path: path.filter(|it| !it.is_empty()), value: field(fields, "value") })
    };
    all.iter().map(read).collect()
}

/// Applies operations to a user's attributes.
pub(super) fn apply(attributes: &mut Map<String, Value>, steps: &[Step]) -> Result<(), Answer> {
    for step in steps {
        match (&step.path, &step.value) {
            (Some(path), value) => at(attributes, path, step.verb, value.as_ref())?,
            (None, Some(Value::Object(fields))) if step.verb != Verb::Remove => {
                for (path, value) in fields {
                    at(attributes, path, step.verb, Some(value))?;
                }
            }
            _ => return Err(error::invalid("noTarget", "An operation without path needs an object as value.")),
        }
    }
    Ok(())
}

/// A path taken apart.
#[derive(Debug, PartialEq)]
struct Path {
    attribute: String,
    /// Sub-attribute and value of a filter in brackets.
    filter: Option<(String, Value)>,
    sub: Option<String>,
}

fn read_path(text: &str) -> Result<Path, Answer> {
    let bad = || error::invalid("invalidPath", &format!("Unsupported path: {text}"));
    let lower = text.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix(&ENTERPRISE.to_ascii_lowercase()) {
        let sub = rest.trim_start_matches([':', '.']);
        let sub = (!sub.is_empty()).then(|| sub.to_owned());
        return Ok(Path { attribute: ENTERPRISE.to_owned(), filter: None, sub });
    }
    let text = text.rsplit_once("core:2.0:User:").map_or(text, |(_, rest)| rest);
    let (head, sub) = match text.split_once(']') {
        Some((head, rest)) => (head.to_owned(), rest.strip_prefix('.').map(str::to_owned)),
        None => match text.split_once('.') {
            Some((head, sub)) => (head.to_owned(), Some(sub.to_owned())),
            None => (text.to_owned(), None),
        },
    };
    let (name, filter) = match head.split_once('[') {
        Some((name, filter)) => (name.to_owned(), Some(read_filter(filter).ok_or_else(bad)?)),
        None => (head, None),
    };
    let known = ATTRIBUTES.iter().find(|it| it.eq_ignore_ascii_case(&name));
    // What the twin does not keep is accepted and has no effect.
    let attribute = known.map_or(name, |it| (*it).to_owned());
    Ok(Path { attribute, filter, sub })
}

fn read_filter(text: &str) -> Option<(String, Value)> {
    let (name, rest) = text.trim().split_once(char::is_whitespace)?;
    let (operator, value) = rest.trim_start().split_once(char::is_whitespace)?;
    let value: Value = serde_json::from_str(value.trim()).ok()?;
    operator.eq_ignore_ascii_case("eq").then(|| (name.to_owned(), value))
}

fn at(attributes: &mut Map<String, Value>, path: &str, verb: Verb, value: Option<&Value>) -> Result<(), Answer> {
    let path = read_path(path)?;
    let value = match verb {
        Verb::Remove => Value::Null,
        _ => value.cloned().ok_or_else(|| error::invalid("invalidValue", "value is required."))?,
    };
    match (&path.filter, &path.sub) {
        (Some(filter), sub) => within(attributes, &path.attribute, filter, sub.as_deref(), value),
        (None, Some(sub)) => {
            let slot = attributes.entry(path.attribute).or_insert_with(|| Value::Object(Map::new()));
            match slot {
                Value::Object(fields) => put(fields, sub, value),
                Value::Array(all) => {
                    for fields in all.iter_mut().filter_map(Value::as_object_mut) {
                        put(fields, sub, value.clone());
                    }
                }
                _ => return Err(error::invalid("invalidPath", "The attribute has no sub-attributes.")),
            }
        }
        (None, None) => match (verb, attributes.get_mut(&path.attribute), value) {
            (Verb::Add, Some(Value::Array(all)), Value::Array(more)) => {
                for it in more {
                    if !all.contains(&it) {
                        all.push(it);
                    }
                }
            }
            (Verb::Add | Verb::Replace, Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (_, _, value) => put(attributes, &path.attribute, value),
        },
    }
    Ok(())
}

/// Changes the elements of a list that a filter picks; a filter that picks none makes one.
fn within(
    attributes: &mut Map<String, Value>,
    attribute: &str,
    (name, wanted): &(String, Value),
    sub: Option<&str>,
    value: Value,
) {
    let Value::Array(all) = attributes.entry(attribute).or_insert_with(|| Value::Array(Vec::new())) else { return };
    let picked = |it: &Value| it.get(name) == Some(wanted);
    if value.is_null() && sub.is_none() {
        all.retain(|it| !picked(it));
        return;
    }
    if !all.iter().any(picked) {
        let mut made = Map::new();
        made.insert(name.clone(), wanted.clone());
        all.push(Value::Object(made));
    }
    for fields in all.iter_mut().filter(|it| picked(it)).filter_map(Value::as_object_mut) {
        match (sub, &value) {
            (Some(sub), _) => put(fields, sub, value.clone()),
            (None, Value::Object(new)) => fields.extend(new.clone()),
            _ => {}
        }
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let known = fields.keys().find(|it| it.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned());
    if value.is_null() {
        fields.remove(&known);
    } else {
        fields.insert(known, value);
    }
}
