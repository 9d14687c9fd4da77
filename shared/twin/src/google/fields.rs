//! Partial responses: the `fields` parameter (google.md §1.2).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What a selection keeps: everything, or some fields of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    everything: bool,
    fields: BTreeMap<String, Selection>,
}

impl Selection {
    /// Reads `a,b/c,d(e,f/g),*`. The error is the text that was not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let selection = list(&mut rest)?;
        if rest.is_empty() { Ok(selection) } else { Err(rest.to_owned()) }
    }

    /// Takes out of a document what was not selected.
    pub(super) fn apply(&self, value: &mut Value) {
        if self.everything {
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|it| self.apply(it)),
            Value::Object(object) => self.reduce(object),
            _ => {}
        }
    }

    fn reduce(&self, object: &mut Map<String, Value>) {
        let wildcard = self.fields.get("*");
        object.retain(|name, value| match self.fields.get(name).or(wildcard) {
            Some(inner) => {
                inner.apply(value);
                true
            }
            None => false,
        });
    }

    /// The first name that a document of this kind cannot have. `names` are the fields of the document, and of the
    /// items of its collection.
    pub(super) fn unknown(&self, names: &[&str], items: &[&str]) -> Option<&str> {
        for (name, inner) in &self.fields {
            if name != "*" && !names.contains(&name.as_str()) {
                return Some(name);
            }
            if ["users", "groups", "members", "*"].contains(&name.as_str()) && !items.is_empty() {
                let unknown = inner.fields.keys().find(|it| *it != "*" && !items.contains(&it.as_str()));
                if let Some(unknown) = unknown {
                    return Some(unknown);
                }
            }
        }
        None
    }

    fn all() -> Self {
        Self { everything: true, fields: BTreeMap::new() }
    }

    fn merge(&mut self, other: Self) {
        self.everything |= other.everything;
        for (name, inner) in other.fields {
            self.fields.entry(name).or_default().merge(inner);
        }
    }
}

fn list(rest: &mut &str) -> Result<Selection, String> {
    let mut selection = path(rest)?;
    while let Some(after) = rest.strip_prefix(',') {
        *rest = after;
        selection.merge(path(rest)?);
    }
    Ok(selection)
}

fn path(rest: &mut &str) -> Result<Selection, String> {
    let trimmed = rest.trim_start();
    let end = trimmed.find(|it: char| !(it.is_alphanumeric() || "_-.*@".contains(it))).unwrap_or(trimmed.len());
    let (name, after) = trimmed.split_at(end);
    if name.is_empty() {
        return Err((*rest).to_owned());
    }
    *rest = after.trim_start();
    let inner = if let Some(after) = rest.strip_prefix('/') {
        *rest = after;
        path(rest)?
    } else if let Some(after) = rest.strip_prefix('(') {
        *rest = after;
        let inner = list(rest)?;
        *rest = rest.trim_start().strip_prefix(')').ok_or_else(|| (*rest).to_owned())?;
        inner
    } else {
        Selection::all()
    };
    let mut selection = Selection::default();
    selection.fields.insert(name.to_owned(), inner);
    Ok(selection)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn selected(fields: &str) -> Value {
        let mut value = json!({
            "kind": "k", "nextPageToken": "t",
            "users": [{"id": "1", "name": {"fullName": "A B", "givenName": "A"}, "suspended": false}],
        });
        Selection::parse(fields).unwrap().apply(&mut value);
        value
    }

    #[test]
    fn a_selection_keeps_what_it_names() {
        assert_eq!(
            selected("nextPageToken,users(id,name/fullName)"),
            json!({"nextPageToken": "t", "users": [{"id": "1", "name": {"fullName": "A B"}}]})
        );
        assert_eq!(selected("users/id"), json!({"users": [{"id": "1"}]}));
        assert_eq!(selected("*"), selected("kind,nextPageToken,users"));
        assert_eq!(selected("users/id, users/suspended"), selected("users(id,suspended)"));
    }

    #[test]
    fn a_broken_selection_is_refused() {
        assert!(Selection::parse("users(id").is_err());
        assert!(Selection::parse("users)").is_err());
        assert!(Selection::parse("").is_err());
        assert_eq!(Selection::parse("nonsense,id").unwrap().unknown(&["id"], &[]), Some("nonsense"));
    }
}
