//! The one answer of Crowd that comes as XML alone: all memberships.

use crate::world::dc::Instance;

/// `group/membership`: every group with its direct users and child groups (atlassian-dc.md §11, question 8).
pub(super) fn memberships(instance: &Instance) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><memberships>");
    for group in instance.groups() {
        out.push_str("<membership group=\"");
        escape(&group.name, &mut out);
        out.push_str("\"><users>");
        for person in instance.members(&group.name, false) {
            entry("user", &person.name, &mut out);
        }
        out.push_str("</users><groups>");
        for child in &group.children {
            let name = instance.group(child).map_or(child.as_str(), |(_, it)| it.name.as_str());
            entry("group", name, &mut out);
        }
        out.push_str("</groups></membership>");
    }
    out.push_str("</memberships>");
    out
}

fn entry(element: &str, name: &str, out: &mut String) {
    out.push('<');
    out.push_str(element);
    out.push_str(" name=\"");
    escape(name, out);
    out.push_str("\"/>");
}

fn escape(text: &str, out: &mut String) {
    for each in text.chars() {
        match each {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
}
