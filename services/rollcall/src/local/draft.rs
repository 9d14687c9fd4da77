//! The policy that describes what is there: which source groups fill which target groups already. Pure.
//!
//! A group is taken over when its members at the target are exactly the people below a source group: one that has its
//! name, or, where nobody has, the only one with the same people. Everything else is left out and told, so that the
//! plan of the written policy is empty.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use model::{AccountId, Case, CaseKind, Delta, DirectoryId, EdgeOp, Group, GroupId, Link, Reason, Side, Step, Time};
use planner::{Decision, Memory, Occasion, Planner};
use policy::Policy;

/// So many people at least two groups of different names must share to be taken for one.
const LEAST_SHARED: usize = 3;
/// What is left out shrinks with every round; more than this many rounds would be a fault of ours.
const MOST_ROUNDS: usize = 20;
/// So many names are written into a comment.
const MOST_NAMED: usize = 50;

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
    /// Source groups that would change their namesake: with how many removals and additions.
    pub differing: BTreeMap<(DirectoryId, String), (usize, usize)>,
    /// Source groups that the target does not have.
    pub missing: BTreeSet<(DirectoryId, String)>,
    /// Groups at the targets that nothing fills.
    pub unclaimed: BTreeMap<DirectoryId, usize>,
}

/// The pairs that a policy's directories make: every source into every target that has groups of its own.
pub fn pairs(policy: &Policy, from: &[DirectoryId], to: &[DirectoryId]) -> Vec<Pair> {
    let chosen = |side: Side, named: &[DirectoryId]| -> Vec<DirectoryId> {
        let of = policy.directories.values().filter(|directory| {
            directory.kind.side() == side
                && directory.view_of.is_none()
                && (named.is_empty() || named.contains(&directory.id))
        });
        of.map(|directory| directory.id.clone()).collect()
    };
    let targets = chosen(Side::Target, to);
    let of =
        |source: DirectoryId| targets.iter().map(move |target| (source.clone(), target.clone())).collect::<Vec<_>>();
    chosen(Side::Source, from).into_iter().flat_map(of).collect()
}

/// Works the draft out.
///
/// # Errors
/// What is wrong with the text that would be written: the given file claims by itself what is to be taken over.
pub fn draft(text: &str, base: &Policy, pairs: &[Pair], sides: &Sides) -> Result<Draft, policy::Diagnostics> {
    let mut draft = Draft::default();
    let mut names = claimed_names(base, sides);
    for (source, target) in pairs {
        let mut groups = BTreeSet::new();
        let free = live(sides, source).filter(|group| !group.opaque && base.claims(source, group).is_empty());
        for group in free {
            let name = renamed(group);
            // What no policy may say need not be tried: protected groups, and one name from two directories.
            let protected = base.guard.protected_groups.matches(&name);
            let key = (target.clone(), name.to_ascii_lowercase());
            let elsewhere = names.insert(key, source.clone()).is_some_and(|other| &other != source);
            if !protected && !elsewhere {
                groups.insert(called(group));
            }
        }
        draft.taken.insert((source.clone(), target.clone()), groups);
    }
    let first = decide(text, &draft, sides)?;
    tell_first(&mut draft, &first, sides);
    adopt_by_people(&mut draft, &first, sides);
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
    let rows = sides.rows.get(directory).into_iter().flat_map(|delta| &delta.groups);
    rows.filter(|row| row.gone_at.is_none()).map(|row| &row.group)
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
            CaseKind::Leaver { .. } | CaseKind::Delete { .. } | CaseKind::Account { .. } => {}
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
fn adopt_by_people(draft: &mut Draft, decision: &Decision, sides: &Sides) {
    type People = BTreeSet<AccountId>;
    let mut wanted: BTreeMap<(DirectoryId, People), Vec<GroupId>> = BTreeMap::new();
    for (target, case) in decision.plan.cases() {
        let Some((_, id)) = created_from(case) else { continue };
        let people: People = case.edges().filter_map(|edge| edge.account.clone()).collect();
        wanted.entry((target.clone(), people)).or_default().push(id.clone());
    }
    let mut there: BTreeMap<(DirectoryId, People), Vec<GroupId>> = BTreeMap::new();
    let targets: BTreeSet<&DirectoryId> = draft.taken.keys().map(|(_, target)| target).collect();
    for target in targets {
        let members = members(sides, target);
        for group in live(sides, target).filter(|group| !group.opaque) {
            let people = members.get(&group.id).cloned().unwrap_or_default();
            there.entry((target.clone(), people)).or_default().push(group.id.clone());
        }
    }
    for (key, sources) in wanted {
        if let ([source], Some([group])) = (&sources[..], there.get(&key).map(Vec::as_slice))
            && key.1.len() >= LEAST_SHARED
        {
            draft.adopt.entry(source.clone()).or_insert_with(|| (key.0, group.clone()));
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
                Step::CreateGroup { name, .. } | Step::DeleteGroup { name, .. } => {
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
    let before: usize = draft.taken.values().map(BTreeSet::len).sum();
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
    before != draft.taken.values().map(BTreeSet::len).sum::<usize>()
}

/// What the written rules call a group.
fn renamed(group: &Group) -> String {
    let local = |email: &model::Email| email.as_written().rsplit_once('@').map(|(local, _)| local.to_owned());
    group.email.as_ref().and_then(local).unwrap_or_else(|| group.name.clone())
}

fn count_unclaimed(draft: &mut Draft, pairs: &[Pair], sides: &Sides) {
    let targets: BTreeSet<&DirectoryId> = pairs.iter().map(|(_, target)| target).collect();
    for target in targets {
        let taken = draft.taken.iter().filter(|((_, at), _)| at == target).map(|(_, groups)| groups.len()).sum();
        draft.unclaimed.insert(target.clone(), live(sides, target).count().saturating_sub(taken));
    }
}

/// The text of the policy: what was given, with a rule for each pair and the table of what is adopted.
pub fn written(text: &str, draft: &Draft) -> String {
    let mut out = text.trim_end().to_owned();
    out.push('\n');
    for (number, ((source, target), groups)) in draft.taken.iter().enumerate() {
        let patterns: Vec<String> = groups.iter().map(|group| format!("  {},\n", quoted(&literal(group)))).collect();
        let patterns = patterns.concat();
        let number = number + 1;
        let _infallible = write!(
            out,
            "\n[[sync]]\nname = \"import {number}\"\nfrom = \"{source}\"\nto = \"{target}\"\ngroups = [\n{patterns}]\n\
             rename = [{{ pattern = '^(.+)@[^@]*$', replace = '$1' }}]\n",
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

/// What was left out, as comments.
pub fn remarks(draft: &Draft) -> String {
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
    let missing = draft.missing.iter().filter(|(source, name)| {
        !draft.taken.iter().any(|((from, _), groups)| from == source && groups.contains(name))
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use model::{Email, Member, MemberKind, MembersRead, Reading, Role, Snapshot, Span, User};

    use super::*;

    const DIRECTORIES: &str = "tenant = \"t\"\n[directory.google]\nkind = \"google-workspace\"\n\
        service_account = \"env:K\"\nsubject = \"a@b.c\"\n[directory.cloud]\nkind = \"atlassian-org\"\norg = \"o\"\n\
        directory = \"d\"\napi_key = \"env:K\"\n";

    fn id(text: &str) -> DirectoryId {
        DirectoryId::new(text).unwrap()
    }

    /// Groups by id, name or address, and members by number.
    fn side(directory: &str, prefix: &str, groups: &[(&str, &str, &[u8])]) -> Delta {
        let mut reading = Reading::begun(Time::from_secs(1_000));
        reading.ended_at = Time::from_secs(1_001);
        reading.users.complete = true;
        reading.groups.complete = true;
        let account = |n: u8| AccountId::new(format!("{prefix}{n}")).unwrap();
        reading.users.seen = (0..8).map(|n| User::new(account(n), Email::new(format!("p{n}@b.c")).ok())).collect();
        for (group_id, name, members) in groups {
            let mut group = Group::new(GroupId::new(*group_id).unwrap(), name.split('@').next().unwrap());
            group.email = Email::new(*name).ok();
            let seen = members.iter().map(|n| Member { kind: MemberKind::User(account(*n)), role: Role::Member });
            let (group_id, seen) = (group.id.clone(), seen.collect());
            reading.members.push(MembersRead { group: group_id, seen, complete: true, began_at: reading.began_at });
            reading.groups.seen.push(group);
        }
        let mut snapshot = Snapshot::new(id(directory));
        snapshot.observe(&reading);
        snapshot.whole()
    }

    fn sides() -> Sides {
        let google: [(&str, &str, &[u8]); 6] = [
            ("g1", "eng@b.c", &[1, 2, 3]),
            ("g2", "ops@b.c", &[4, 5]),
            ("g3", "old-name@b.c", &[1, 4, 6, 7]),
            ("g4", "nowhere@b.c", &[1, 2]),
            ("g5", "org-admins@b.c", &[1]),
            ("g6", "a[b]@b.c", &[6]),
        ];
        let cloud: [(&str, &str, &[u8]); 5] = [
            ("c1", "Eng", &[1, 2, 3]),
            ("c2", "ops", &[4, 5, 6]),
            ("c3", "new name", &[1, 4, 6, 7]),
            ("c4", "two people", &[1, 2]),
            ("c5", "org-admins", &[1]),
        ];
        let rows = [(id("google"), side("google", "g", &google)), (id("cloud"), side("cloud", "c", &cloud))].into();
        Sides { rows, memory: Memory::default(), now: Time::from_secs(1_000).plus(Span::from_secs(60)) }
    }

    #[test]
    fn what_is_equal_by_name_or_by_people_is_taken_over_and_the_plan_is_empty() {
        let (base, sides) = (Policy::parse_draft(DIRECTORIES).unwrap(), sides());
        let pairs = pairs(&base, &[], &[]);
        assert_eq!(pairs, [(id("google"), id("cloud"))]);
        let draft = draft(DIRECTORIES, &base, &pairs, &sides).unwrap();
        let taken: Vec<&str> = draft.taken[&pairs[0]].iter().map(String::as_str).collect();
        assert_eq!(taken, ["eng@b.c", "old-name@b.c"]);
        let adopted: Vec<(&str, &str)> = draft.adopt.iter().map(|(s, (_, g))| (s.as_str(), g.as_str())).collect();
        assert_eq!(adopted, [("g1", "c1"), ("g3", "c3")]);
        assert_eq!(draft.differing[&(id("cloud"), "ops".to_owned())], (1, 0));
        assert_eq!(draft.unclaimed[&id("cloud")], 3);
        let text = written(DIRECTORIES, &draft) + &remarks(&draft);
        let policy = Policy::parse(&text).unwrap();
        let decision = decide(DIRECTORIES, &draft, &sides).unwrap();
        assert!(decision.plan.is_empty() && decision.plan.body.targets.iter().all(|plan| plan.refusals.is_empty()));
        assert_eq!(policy.adopt.len(), 2);
        let told = ["cloud/ops: 1 would be removed, 0 added", "google: nowhere@b.c", "cloud: 3"];
        assert!(told.iter().all(|line| text.contains(line)), "{text}");
        assert!(!text.contains("google: old-name"), "what was found by its people is not missing");
    }

    #[test]
    fn what_the_file_claims_already_stays_as_it_is() {
        let rule = "\n[[sync]]\nname = \"mine\"\nfrom = \"google\"\nto = \"cloud\"\ngroups = [\"eng@b.c\"]\n\
                    rename = [{ pattern = '@.*', replace = '' }]\n\n[adopt] # by hand\n\"g1\" = \"cloud/c1\"\n";
        let text = format!("{DIRECTORIES}{rule}");
        let (base, sides) = (Policy::parse_draft(&text).unwrap(), sides());
        let draft = draft(&text, &base, &pairs(&base, &[], &[]), &sides).unwrap();
        assert!(!draft.taken.values().any(|groups| groups.contains("eng@b.c")));
        let policy = Policy::parse(&written(&text, &draft)).unwrap();
        assert_eq!((policy.rules.len(), policy.adopt.len()), (2, 2));
    }

    #[test]
    fn a_name_with_signs_is_a_pattern_for_itself() {
        assert_eq!(literal("a[b]*\\x"), "a\\[b\\]\\*\\\\x");
        let matcher = policy::NameMatcher::new([literal("a[b]{c}").as_str()]).unwrap();
        assert!(matcher.matches("a[b]{c}") && !matcher.matches("ab{c}"));
    }
}
