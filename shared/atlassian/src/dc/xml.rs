//! Reading Crowd's one answer in XML: all memberships. Only what that answer is made of is understood: elements,
//! attributes, the five named entities and numbered ones; comments and declarations are passed over. Anything else makes
//! the answer unreadable, never a shorter one.

use std::collections::BTreeMap;

/// A group's direct members.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Membership {
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
}

/// Group → its direct users and groups, of `<memberships><membership group="…"><users><user name="…"/>…`. `None`: the
/// answer is of another shape, or ends too early.
pub(super) fn memberships(text: &str) -> Option<BTreeMap<String, Membership>> {
    let mut all: BTreeMap<String, Membership> = BTreeMap::new();
    let mut open: Vec<&str> = Vec::new();
    let mut current = None;
    let mut rest = text;
    let mut closed = false;
    while let Some(at) = rest.find('<') {
        let tag = rest.get(at..)?;
        if let Some(end) = end_of_aside(tag) {
            rest = tag.split_once(end)?.1;
            continue;
        }
        let (inner, after) = tag.get(1..)?.split_once('>')?;
        rest = after;
        if let Some(name) = inner.strip_prefix('/') {
            (open.pop()? == name.trim()).then_some(())?;
            closed = open.is_empty();
            continue;
        }
        let (inner, leaf) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, attributes) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
        match (open.as_slice(), name) {
            (["memberships"], "membership") => {
                let group = attribute(attributes, "group")?;
                all.entry(group.clone()).or_default();
                current = Some(group);
            }
            ([_, _, "users"], "user") => {
                all.get_mut(current.as_ref()?)?.users.push(attribute(attributes, "name")?);
            }
            ([_, _, "groups"], "group") => {
                all.get_mut(current.as_ref()?)?.groups.push(attribute(attributes, "name")?);
            }
            ([], "memberships") => closed = leaf,
            _ if open.is_empty() => return None,
            _ => {}
        }
        if !leaf {
            open.push(name);
        }
    }
    closed.then_some(all)
}

/// What ends a declaration or comment; `None`: it is an element.
fn end_of_aside(tag: &str) -> Option<&'static str> {
    let asides = [("<?", "?>"), ("<!--", "-->")];
    asides.into_iter().find(|(begin, _)| tag.starts_with(begin)).map(|(_, end)| end)
}

/// The value of an attribute, whatever stands before it.
fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes.trim_start();
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = after.get(1..)?.split_once(quote)?;
        if name.trim() == wanted {
            return unescaped(value);
        }
        rest = after.trim_start();
    }
}

fn unescaped(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let (entity, after) = after.split_once(';')?;
        text.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let hex = number.strip_prefix(['x', 'X']).map(|hex| u32::from_str_radix(hex, 16));
                char::from_u32(hex.unwrap_or_else(|| number.parse()).ok()?)?
            }
        });
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?><!-- all --><memberships>
        <membership group="R&amp;D"><users><user name="ann"/><user name="o&#39;neil"></user></users>
        <groups><group name="d&#x65;v"/></groups></membership>
        <membership group='quiet'><users/><groups/></membership></memberships>"#;

    #[test]
    fn users_and_groups_are_read_by_group() {
        let all = memberships(ANSWER).unwrap();
        assert_eq!(all["R&D"].users, ["ann", "o'neil"]);
        assert_eq!(all["R&D"].groups, ["dev"]);
        assert_eq!(all["quiet"], Membership::default());
        assert_eq!(memberships("<memberships/>"), Some(BTreeMap::new()));
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_unreadable_and_never_shorter() {
        for end in 1..ANSWER.len() {
            if let Some(cut) = ANSWER.get(..end) {
                assert_eq!(memberships(cut), None, "cut at {end}");
            }
        }
        for other in ["", "{}", "<html><body/></html>", "<memberships><membership/></memberships>"] {
            assert_eq!(memberships(other), None, "{other}");
        }
    }
}
