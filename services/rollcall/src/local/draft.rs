//! The policy that describes what is there: which source groups fill which target groups already. Pure.
//!
//! A group is taken over when its members at the target are exactly the people below a source group: one that has its
//! name, or, where nobody has, the only one with the same people. Everything else is left out and told, so that the
//! plan of the written policy is empty.

mod remarks;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use model::{
    AccountId, Case, CaseKind, Delta, DirectoryId, DirectoryKind, EdgeOp, Group, GroupId, GroupRow, Link, Reason, Side,
    Step, Time,
};
use planner::{Decision, Memory, Occasion, Planner};
use policy::Policy;

pub use remarks::{Withheld, remarks};

/// So many people at least two groups of different names must share to be taken for one.
const LEAST_SHARED: usize = 3;
/// What is left out shrinks with every round; more than this many rounds would be a fault of ours.
const MOST_ROUNDS: usize = 20;

/// Which directory fills which.
pub type Pair = (DirectoryId, DirectoryId);

/// What is known of both sides.
#[derive(Debug)]
pub struct Sides {
    /// The rows of every directory.
    pub rows: BTreeMap<DirectoryId, Delta>,
    /// Whom our credentials belong to.
    pub memory: Memory,
    /// When that was.
    pub now: Time,
}

/// What the written policy takes over, and what not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// The groups of each pair, by address or name.
    pub taken: BTreeMap<Pair, BTreeSet<String>>,
    /// Source group → target group, for those of another name too.
    pub adopt: BTreeMap<GroupId, (DirectoryId, GroupId)>,
    /// Source groups that fill a group of another name at a further target: each has a rule of its own, for the table
    /// has one place for each source group. By address or name → the target group and its name.
    pub into: BTreeMap<(Pair, String), (GroupId, String)>,
    /// Source groups that would change their namesake: with how many removals and additions.
    pub differing: BTreeMap<(DirectoryId, String), (usize, usize)>,
    /// Target groups that a source group has the name or the people of, and that no rule may fill from it.
    pub withheld: BTreeMap<(DirectoryId, String), Withheld>,
    /// Source groups that the target does not have.
    pub missing: BTreeSet<(DirectoryId, String)>,
    /// Groups at the targets that nothing fills.
    pub unclaimed: BTreeMap<DirectoryId, usize>,
}

/// The pairs that a policy's directories make: every source into every target that has groups of its own. A list of
/// customers has none: [`lists`].
pub fn pairs(policy: &Policy, from: &[DirectoryId], to: &[DirectoryId]) -> Vec<Pair> {
    let chosen = |side: Side, named: &[DirectoryId]| -> Vec<DirectoryId> {
        let of = policy.directories.values().filter(|directory| {
            directory.kind.side() == side
                && directory.view_of.is_none()
                && !is_list(directory)
                && (named.is_empty() || named.contains(&directory.id))
        });
        of.map(|directory| directory.id.clone()).collect()
    };
    let targets = chosen(Side::Target, to);
    let of =
        |source: DirectoryId| targets.iter().map(move |target| (source.clone(), target.clone())).collect::<Vec<_>>();
    chosen(Side::Source, from).into_iter().flat_map(of).collect()
}

/// The targets that are one list of people: nothing there says which groups the people come from.
pub fn lists(policy: &Policy) -> Vec<&DirectoryId> {
    policy.directories.values().filter(|directory| is_list(directory)).map(|directory| &directory.id).collect()
}

fn is_list(directory: &policy::Directory) -> bool {
    directory.kind == DirectoryKind::JsmCustomers
}

/// Works the draft out.
///
/// # Errors
/// What is wrong with the text that would be written: the given file claims by itself what is to be taken over.
pub fn draft(text: &str, base: &Policy, pairs: &[Pair], sides: &Sides) -> Result<Draft, policy::Diagnostics> {
    let mut draft = Draft::default();
    let mut names = claimed_names(base, sides);
    for pair in pairs {
        let groups = by_name(&mut draft, base, pair, sides, &mut names);
        draft.taken.insert(pair.clone(), groups);
    }
    let first = decide(text, &draft, sides)?;
    tell_first(&mut draft, &first, sides);
    adopt_by_people(&mut draft, base, &first, sides, &names);
    adopt_by_name(&mut draft, &first);
    let is_free = |id: &GroupId| {
        let of_pair = |((source, _), groups): (&Pair, &BTreeSet<String>)| {
            live(sides, source).any(|group| &group.id == id && groups.contains(&called(group)))
        };
        !base.adopt.contains_key(id) && draft.taken.iter().any(of_pair)
    };
    let free: BTreeSet<GroupId> = draft.adopt.keys().filter(|id| is_free(id)).cloned().collect();
    draft.adopt.retain(|id, _| free.contains(id));
    let adopted: BTreeSet<GroupId> = draft.adopt.keys().cloned().collect();
    keep(&mut draft, sides, &names_linked(&first), &adopted);
    for _ in 0..MOST_ROUNDS {
        let decision = decide(text, &draft, sides)?;
        if !leave_out(&mut draft, &decision, sides) {
            break;
        }
    }
    draft.taken.retain(|_, groups| !groups.is_empty());
    count_unclaimed(&mut draft, pairs, sides);
    Ok(draft)
}

/// The source groups of a pair that may be held against their namesakes. What no policy may say need not be tried, and is
/// told: a group that nobody may touch, and one name from two groups.
fn by_name(
    draft: &mut Draft,
    base: &Policy,
    (source, target): &Pair,
    sides: &Sides,
    names: &mut BTreeMap<(DirectoryId, String), DirectoryId>,
) -> BTreeSet<String> {
    let claimed = |group: &Group| base.claims(source, group).iter().any(|rule| rule.to.contains(target));
    let free: Vec<&Group> = live(sides, source).filter(|group| !group.opaque && !claimed(group)).collect();
    let mut of_name: BTreeMap<String, usize> = BTreeMap::new();
    for group in &free {
        *of_name.entry(renamed(group).to_ascii_lowercase()).or_default() += 1;
    }
    let there: BTreeMap<String, &GroupRow> =
        live_rows(sides, target).map(|row| (row.group.name.to_ascii_lowercase(), row)).collect();
    let mut groups = BTreeSet::new();
    for group in free {
        let name = renamed(group);
        let folded = name.to_ascii_lowercase();
        let other = names.insert((target.clone(), folded.clone()), source.clone());
        // What the given file fills by itself stays as it is.
        if other.as_ref() == Some(target) {
            names.insert((target.clone(), folded), target.clone());
            continue;
        }
        let twice = of_name.get(&folded).is_some_and(|count| *count > 1) || other.is_some_and(|other| &other != source);
        let why = untouchable(base, target, &name, there.get(&folded).copied());
        if let Some(why) = why.or_else(|| twice.then_some(Withheld::Twice)) {
            draft.withheld.insert((target.clone(), name), why);
        } else {
            groups.insert(called(group));
        }
    }
    groups
}

/// Why the rules that are written may not fill this group. None of them says that it gives a product on purpose.
fn untouchable(base: &Policy, target: &DirectoryId, name: &str, row: Option<&GroupRow>) -> Option<Withheld> {
    let kind = base.directories.get(target).map(|directory| directory.kind);
    planner::untouchable(base, kind, false, name, row, None).map(Withheld::Untouchable)
}

/// The target groups, by folded name, that the given file fills by itself, with whom they are filled from.
fn claimed_names(base: &Policy, sides: &Sides) -> BTreeMap<(DirectoryId, String), DirectoryId> {
    let mut names = BTreeMap::new();
    for rule in &base.with_default_groups().rules {
        for target in &rule.to {
            let given = live(sides, &rule.from).filter(|group| rule.matches(group));
            let given = given.map(|group| rule.target_name(target, group));
            for name in given.chain(rule.into_at(target).map(str::to_owned)) {
                // No source has the target's own name, so that nobody else takes it.
                names.insert((target.clone(), name.to_ascii_lowercase()), target.clone());
            }
        }
    }
    names
}

fn live<'a>(sides: &'a Sides, directory: &DirectoryId) -> impl Iterator<Item = &'a Group> {
    live_rows(sides, directory).map(|row| &row.group)
}

fn live_rows<'a>(sides: &'a Sides, directory: &DirectoryId) -> impl Iterator<Item = &'a GroupRow> {
    let rows = sides.rows.get(directory).into_iter().flat_map(|delta| &delta.groups);
    rows.filter(|row| row.gone_at.is_none())
}

/// What rules know a group by.
fn called(group: &Group) -> String {
    group.email.as_ref().map_or_else(|| group.name.clone(), |email| email.as_written().to_owned())
}

fn decide(text: &str, draft: &Draft, sides: &Sides) -> Result<Decision, policy::Diagnostics> {
    let policy = Arc::new(Policy::parse_draft(&written(text, draft))?);
    let mut planner = Planner::new(policy);
    for delta in sides.rows.values() {
        planner.apply(delta);
    }
    Ok(planner.decide(&sides.memory, sides.now, Occasion::OneShot))
}

/// What the first decision, over all groups, says of those that cannot be taken over.
fn tell_first(draft: &mut Draft, decision: &Decision, sides: &Sides) {
    for (target, case) in decision.plan.cases() {
        match &case.kind {
            CaseKind::Create { .. } => draft.missing.extend(source_group(case, sides)),
            CaseKind::Conflict { name, .. } | CaseKind::Additions { name, .. } | CaseKind::Removals { name, .. } => {
                let changes = draft.differing.entry((target.clone(), name.clone())).or_default();
                changes.0 += case.count(EdgeOp::Remove);
                changes.1 += case.count(EdgeOp::Add);
            }
            CaseKind::Leaver { .. } | CaseKind::Delete { .. } | CaseKind::Access { .. } | CaseKind::Account { .. } => {}
        }
    }
}

fn created_from(case: &Case) -> Option<(&DirectoryId, &GroupId)> {
    case.steps.iter().find_map(|step| match step {
        Step::CreateGroup { reason: Reason::Missing { source, group: Some(group), .. }, .. } => Some((source, group)),
        _ => None,
    })
}

fn source_group(case: &Case, sides: &Sides) -> Option<(DirectoryId, String)> {
    let (source, id) = created_from(case)?;
    let group = live(sides, source).find(|group| &group.id == id)?;
    Some((source.clone(), called(group)))
}

/// Target groups that no rule has by name, and that exactly one source group without a namesake has the people of.
fn adopt_by_people(
    draft: &mut Draft,
    base: &Policy,
    decision: &Decision,
    sides: &Sides,
    names: &BTreeMap<(DirectoryId, String), DirectoryId>,
) {
    type People = BTreeSet<AccountId>;
    let mut wanted: BTreeMap<(DirectoryId, People), Vec<&Case>> = BTreeMap::new();
    for (target, case) in decision.plan.cases().filter(|(_, case)| created_from(case).is_some()) {
        let people: People = case.edges().filter_map(|edge| edge.account.clone()).collect();
        wanted.entry((target.clone(), people)).or_default().push(case);
    }
    let mut there: BTreeMap<(DirectoryId, People), Vec<&GroupRow>> = BTreeMap::new();
    let targets: BTreeSet<&DirectoryId> = draft.taken.keys().map(|(_, target)| target).collect();
    for target in targets {
        let members = members(sides, target);
        // A group follows one source group: one that another has the name of, or that was adopted, is not to be had.
        let is_free = |group: &Group| {
            let adopted = base.adopt.values().any(|(at, id)| at == target && id == &group.id);
            !group.opaque && !adopted && !names.contains_key(&(target.clone(), group.name.to_ascii_lowercase()))
        };
        for row in live_rows(sides, target).filter(|row| is_free(&row.group)) {
            let people = members.get(&row.group.id).cloned().unwrap_or_default();
            there.entry((target.clone(), people)).or_default().push(row);
        }
    }
    for (key, cases) in wanted {
        let ([case], Some([row])) = (&cases[..], there.get(&key).map(Vec::as_slice)) else { continue };
        let Some((source, id)) = created_from(case).filter(|_| key.1.len() >= LEAST_SHARED) else { continue };
        let (target, group) = (key.0, &row.group);
        if let Some(why) = untouchable(base, &target, &group.name, Some(row)) {
            draft.withheld.insert((target, group.name.clone()), why);
            continue;
        }
        if !base.adopt.contains_key(id) && !draft.adopt.contains_key(id) {
            draft.adopt.insert(id.clone(), (target, group.id.clone()));
            continue;
        }
        // The table's one place is taken.
        let pair = (source.clone(), target.clone());
        if let Some((_, name)) = source_group(case, sides)
            && draft.taken.get(&pair).is_some_and(|groups| groups.contains(&name))
        {
            draft.into.insert((pair, name), (group.id.clone(), group.name.clone()));
        }
    }
}

fn members(sides: &Sides, directory: &DirectoryId) -> BTreeMap<GroupId, BTreeSet<AccountId>> {
    let mut members: BTreeMap<GroupId, BTreeSet<AccountId>> = BTreeMap::new();
    let rows = sides.rows.get(directory).into_iter().flat_map(|delta| &delta.members);
    for row in rows.filter(|row| row.gone_at.is_none()) {
        if let model::MemberKind::User(account) = &row.member {
            members.entry(row.group.clone()).or_default().insert(account.clone());
        }
    }
    members
}

/// Groups that are equal to their namesakes. The table has one place for each source group: where several targets have
/// it, the others are found by their names.
fn adopt_by_name(draft: &mut Draft, decision: &Decision) {
    for plan in &decision.plan.body.targets {
        for link in &plan.links {
            let Link::Group { name, group, .. } = link else { continue };
            if let Some((_, source)) = decision.sources.get(&(plan.target.clone(), name.clone())) {
                draft.adopt.entry(source.clone()).or_insert_with(|| (plan.target.clone(), group.clone()));
            }
        }
    }
}

/// The source groups that were found equal, by target.
fn names_linked(decision: &Decision) -> BTreeSet<(DirectoryId, GroupId)> {
    decision.sources.iter().map(|((target, _), (_, group))| (target.clone(), group.clone())).collect()
}

/// Keeps the groups that were linked by name at the pair's target, and those that are adopted there.
fn keep(draft: &mut Draft, sides: &Sides, linked: &BTreeSet<(DirectoryId, GroupId)>, adopted: &BTreeSet<GroupId>) {
    for ((source, target), groups) in &mut draft.taken {
        let is_kept = |group: &&Group| {
            let here = draft.adopt.get(&group.id).is_some_and(|(at, _)| at == target) && adopted.contains(&group.id);
            here || linked.contains(&(target.clone(), group.id.clone()))
        };
        let kept: BTreeSet<String> = live(sides, source).filter(is_kept).map(called).collect();
        groups.retain(|name| kept.contains(name));
    }
}

/// Leaves out whatever the decision would still do something about, or refuse. Says whether anything was.
fn leave_out(draft: &mut Draft, decision: &Decision, sides: &Sides) -> bool {
    let mut out: BTreeSet<(DirectoryId, GroupId)> = BTreeSet::new();
    let mut names: BTreeSet<(DirectoryId, String)> = BTreeSet::new();
    for plan in &decision.plan.body.targets {
        let steps = plan.cases.iter().flat_map(|case| &case.steps).chain(plan.refusals.iter().map(|each| &each.step));
        for step in steps {
            match step {
                Step::Edge { edge, .. } => {
                    out.extend(edge.group.iter().map(|group| (plan.target.clone(), group.clone())));
                    names.insert((plan.target.clone(), edge.group_name.to_ascii_lowercase()));
                }
                Step::CreateGroup { name, .. } | Step::DeleteGroup { name, .. } | Step::GrantAccess { name, .. } => {
                    names.insert((plan.target.clone(), name.to_ascii_lowercase()));
                }
                Step::Account { .. } => {}
            }
        }
        for case in &plan.cases {
            if let CaseKind::Conflict { name, .. } | CaseKind::Create { name } = &case.kind {
                names.insert((plan.target.clone(), name.to_ascii_lowercase()));
            }
        }
    }
    let count = |draft: &Draft| draft.taken.values().map(BTreeSet::len).sum::<usize>() + draft.into.len();
    let before = count(draft);
    draft.into.retain(|((_, target), _), (group, name)| {
        let named = names.contains(&(target.clone(), name.to_ascii_lowercase()));
        !named && !out.contains(&(target.clone(), group.clone()))
    });
    for ((source, target), groups) in &mut draft.taken {
        for group in live(sides, source) {
            let adopted = draft.adopt.get(&group.id).filter(|(at, _)| at == target);
            let at_fault = adopted.is_some_and(|pair| out.contains(pair))
                || names.contains(&(target.clone(), renamed(group).to_ascii_lowercase()));
            if at_fault && groups.remove(&called(group)) {
                draft.adopt.retain(|id, (at, _)| id != &group.id || at != target);
            }
        }
    }
    before != count(draft)
}

/// What the written rules call a group.
fn renamed(group: &Group) -> String {
    let local = |email: &model::Email| email.as_written().rsplit_once('@').map(|(local, _)| local.to_owned());
    group.email.as_ref().and_then(local).unwrap_or_else(|| group.name.clone())
}

fn count_unclaimed(draft: &mut Draft, pairs: &[Pair], sides: &Sides) {
    let targets: BTreeSet<&DirectoryId> = pairs.iter().map(|(_, target)| target).collect();
    for target in targets {
        let taken = draft.taken.iter().filter(|((_, at), _)| at == target).map(|(_, groups)| groups.len());
        let taken = taken.sum::<usize>() + draft.into.keys().filter(|((_, at), _)| at == target).count();
        draft.unclaimed.insert(target.clone(), live(sides, target).count().saturating_sub(taken));
    }
}

/// The text of the policy: what was given, with a rule for each pair that has equal groups, rules for groups of another
/// name, and the table of what is adopted.
pub fn written(text: &str, draft: &Draft) -> String {
    let mut out = text.trim_end().to_owned();
    out.push('\n');
    let by_name = draft.taken.iter().filter(|(_, groups)| !groups.is_empty()).map(|(pair, groups)| {
        let patterns: Vec<String> = groups.iter().map(|group| format!("  {},\n", quoted(&literal(group)))).collect();
        (pair, patterns.concat(), "rename = [{ pattern = '^(.+)@[^@]*$', replace = '$1' }]".to_owned())
    });
    let by_people = draft.into.iter().map(|((pair, group), (_, name))| {
        (pair, format!("  {},\n", quoted(&literal(group))), format!("into = {}", quoted(name)))
    });
    // An imported file that is imported again has rules of these names.
    let lower = text.to_ascii_lowercase();
    let is_free = |number: &usize| !lower.contains(&format!("\"import {number}\""));
    for (((source, target), patterns, naming), number) in by_name.chain(by_people).zip((1..).filter(is_free)) {
        let _infallible = write!(
            out,
            "\n[[sync]]\nname = \"import {number}\"\nfrom = \"{source}\"\nto = \"{target}\"\ngroups = [\n{patterns}]\n\
             {naming}\n",
        );
    }
    let line = |(source, (target, group)): (&GroupId, &(DirectoryId, GroupId))| {
        format!("{} = {}\n", quoted(source.as_str()), quoted(&format!("{target}/{group}")))
    };
    let adopted = draft.adopt.iter().map(line).collect::<Vec<_>>().concat();
    if adopted.is_empty() {
        return out;
    }
    let header = text.lines().find(|line| line.trim_start().starts_with("[adopt]")).map(|line| format!("{line}\n"));
    match header.and_then(|header| out.find(&header).map(|at| at + header.len())) {
        Some(at) => out.insert_str(at, &adopted),
        None => {
            let _infallible = write!(out, "\n[adopt]\n{adopted}");
        }
    }
    out
}

/// A text of TOML; JSON writes the same.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A pattern that means this name only.
fn literal(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
