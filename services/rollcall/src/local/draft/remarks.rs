//! What was left out of a draft, and why, as comments under the written policy.

use std::fmt::Write as _;

use model::{DirectoryId, RefusalWhy};

use super::Draft;

/// So many names are written into a comment.
const MOST_NAMED: usize = 50;

/// What was left out, as comments.
pub fn remarks(draft: &Draft, lists: &[&DirectoryId]) -> String {
    let mut out = String::new();
    let mut list = |what: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _infallible = writeln!(out, "# {what}:");
        for line in lines.iter().take(MOST_NAMED) {
            let _infallible = writeln!(out, "#   {line}");
        }
        if lines.len() > MOST_NAMED {
            let _infallible = writeln!(out, "#   … {} more", lines.len() - MOST_NAMED);
        }
    };
    let differing = draft.differing.iter().map(|((target, name), (removals, additions))| {
        format!("{target}/{name}: {removals} would be removed, {additions} added")
    });
    list("Left out, since the source group of the same name has other people", differing.collect());
    let withheld = draft.withheld.iter().map(|((target, name), why)| format!("{target}/{name}: {}", why.as_str()));
    list("Left out, whoever is in it", withheld.collect());
    let missing = draft.missing.iter().filter(|(source, name)| {
        !draft.taken.iter().any(|((from, _), groups)| from == source && groups.contains(name))
            && !draft.into.keys().any(|((from, _), group)| from == source && group == name)
    });
    list(
        "Left out, since the target has no such group",
        missing.map(|(source, name)| format!("{source}: {name}")).collect(),
    );
    let unclaimed = draft.unclaimed.iter().filter(|(_, count)| **count > 0);
    list(
        "Groups at the targets that nothing fills",
        unclaimed.map(|(target, count)| format!("{target}: {count}")).collect(),
    );
    list(
        "Lists of customers have no groups that could be compared: a rule by hand says who may ask",
        lists.iter().map(ToString::to_string).collect(),
    );
    out
}

/// Why a target group is not taken over, whatever its members are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Nobody may touch it, or only a rule that says so on purpose.
    Untouchable(RefusalWhy),
    /// More than one source group has the name.
    Twice,
}

impl Withheld {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Twice => "more than one source group comes to this name",
            Self::Untouchable(RefusalWhy::DefaultAccessGroup) => {
                "it gives a product by default; a rule by hand with default_access_group = true may fill it"
            }
            Self::Untouchable(RefusalWhy::NotOurs) => "it belongs to an identity provider, or to its own members",
            Self::Untouchable(_) => "it makes administrators, or protected_groups names it",
        }
    }
}
