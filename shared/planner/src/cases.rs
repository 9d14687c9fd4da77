//! What a policy comes to for one made-up person, judged by the same code as everything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{
    AccountId, CaseKind, DirectoryId, Email, Group, GroupId, GuardName, Member, MemberKind, MembersRead, Reading,
    RefusalWhy, Role, Snapshot, Span, Standing, Step, Time, User,
};
use policy::{Case, Policy};

use crate::{Decision, Memory, Occasion, Planner, explain::Missing};

/// What a case comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given {
    /// The target groups that the person comes to be in.
    pub groups: BTreeSet<(DirectoryId, String)>,
    /// The target groups that the policy names for the person, and that the planner will never fill or that a person has
    /// to untangle first, with the reason.
    pub withheld: BTreeMap<(DirectoryId, String), &'static str>,
}

/// The time of the made-up world.
const NOW: Time = Time::from_secs(1_000_000);

/// Works out the target groups of a case's person: everybody has an account everywhere, no target group exists yet, and
/// everything was just read. `nested` says which groups hold which.
pub fn target_groups(policy: &Arc<Policy>, case: &Case, nested: &BTreeMap<String, Vec<String>>) -> Given {
    let mut planner = Planner::new(Arc::clone(policy));
    let Ok(person) = AccountId::new("person") else { return Given::default() };
    let mut memory = Memory::default();
    for id in policy.directories.keys() {
        let mut reading = reading();
        if id == &case.from {
            source(policy, case, nested, &person, &mut reading);
        } else {
            reading.users.seen.push(User::new(person.clone(), Some(case.person.clone())));
        }
        planner.apply(&Snapshot::new(id.clone()).observe(&reading));
        if case.is_new {
            memory.made_account(id, &case.from, &person, NOW);
        }
    }
    let decision = planner.decide(&memory, NOW.plus(Span::from_secs(2)), Occasion::OneShot);
    let explained = planner.explain(&memory, NOW.plus(Span::from_secs(2)), person.as_str(), None);
    let mut given = Given::default();
    let of_source = explained.persons.into_iter().filter(|each| each.source == case.from);
    for group in of_source.flat_map(|each| each.groups) {
        let wanted = matches!(
            group.missing,
            None | Some(Missing::NoTargetGroup | Missing::Held { .. } | Missing::UnderWay | Missing::Refused { .. })
        );
        if group.paths.is_empty() || !wanted {
            continue;
        }
        let key = (group.target, group.name);
        match withheld(&decision, &key) {
            Some(why) => {
                given.withheld.insert(key, why);
            }
            None => {
                given.groups.insert(key);
            }
        }
    }
    given
}

fn reading() -> Reading {
    let mut reading = Reading::begun(NOW);
    reading.ended_at = NOW.plus(Span::from_secs(1));
    reading.users.complete = true;
    reading.groups.complete = true;
    reading
}

/// The person and the groups, as the source would tell of them.
fn source(
    policy: &Policy,
    case: &Case,
    nested: &BTreeMap<String, Vec<String>>,
    person: &AccountId,
    reading: &mut Reading,
) {
    let user = User {
        state: case.state,
        org_unit: case.org_unit.clone(),
        attributes: case.attributes.clone(),
        standing: if policy.people.is_outsider(&case.person) { Standing::Unlisted } else { Standing::Listed },
        ..User::new(person.clone(), Some(case.person.clone()))
    };
    reading.users.seen.push(user);
    let holders = nested.iter().flat_map(|(holder, held)| held.iter().chain([holder]));
    let names: BTreeSet<&String> = case.groups.iter().chain(holders).collect();
    for name in names {
        let Ok(id) = GroupId::new(name) else { continue };
        let mut members = Vec::new();
        if case.groups.contains(name) {
            members.push(Member { kind: MemberKind::User(person.clone()), role: case.role });
        }
        for held in nested.get(name).into_iter().flatten().filter_map(|held| GroupId::new(held).ok()) {
            members.push(Member { kind: MemberKind::Group(held), role: Role::Member });
        }
        let local = name.split('@').next().unwrap_or(name);
        let mut group = Group::new(id.clone(), local);
        group.email = Email::new(name).ok();
        reading.groups.seen.push(group);
        reading.members.push(MembersRead { group: id, seen: members, complete: true, began_at: NOW });
    }
}

/// Why a group that the policy names is not filled, whatever is at the target.
fn withheld(decision: &Decision, (target, name): &(DirectoryId, String)) -> Option<&'static str> {
    let plan = decision.plan.body.targets.iter().find(|plan| &plan.target == target)?;
    let refused = plan.refusals.iter().find(|refusal| {
        let same = matches!(&refusal.step, Step::CreateGroup { name: of, .. } if of == name);
        // No target group exists here, so this says nothing of the real one.
        same && refusal.why != RefusalWhy::MayNotCreate
    });
    if let Some(refusal) = refused {
        return Some(refusal.why.as_str());
    }
    let collides = plan.cases.iter().any(|case| {
        let same = matches!(&case.kind, CaseKind::Create { name: of } if of == name);
        same && case.held.iter().any(|held| held.guard == GuardName::NameCollision)
    });
    collides.then_some(GuardName::NameCollision.as_str())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use policy::Cases;

    use super::*;

    const POLICY: &str = r#"tenant = "t"
[directory.google]
kind = "google-workspace"
service_account = "env:KEY"
subject = "a@b.c"
[directory.cloud]
kind = "atlassian-org"
org = "o"
directory = "d"
api_key = "env:KEY"
[directory.jira]
kind = "jira-dc"
url = "https://jira.b.c"
token = "env:T"
[people]
domains = ["b.c"]
[[people.provision]]
from = "google"
to = "jira"
people = ["*"]
default_groups = { new = ["welcome"], all = ["everyone"] }
[[sync]]
name = "teams"
from = "google"
groups = ["eng*@b.c", "org-a*@b.c"]
to = ["cloud", "jira"]
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
roles = ["MEMBER"]
external = "skip"
[[sync]]
name = "flat"
from = "google"
groups = ["eng@b.c"]
to = "cloud"
into = "direct only"
nested = "direct"
create = false
"#;

    fn given(case: &str) -> Vec<String> {
        let policy = Arc::new(Policy::parse(POLICY).unwrap());
        let text = format!("[[case]]\nexpect = []\n{case}\n[nested]\n\"eng@b.c\" = [\"eng-web@b.c\"]\n");
        let cases = Cases::parse(&text, &policy).unwrap();
        let given = target_groups(&policy, &cases.cases[0], &cases.nested);
        let fine = given.groups.iter().map(|(target, name)| format!("{target}/{name}"));
        let withheld = given.withheld.iter().map(|((target, name), why)| format!("!{target}/{name} {why}"));
        fine.chain(withheld).collect()
    }

    #[test]
    fn a_person_comes_to_be_where_rules_and_entries_say() {
        let nested = ["cloud/eng", "cloud/eng-web", "jira/eng", "jira/eng-web", "jira/everyone"];
        assert_eq!(given("person = \"jo@b.c\"\ngroups = [\"eng-web@b.c\"]"), nested);
        let direct = ["cloud/direct only", "cloud/eng", "jira/eng", "jira/everyone"];
        assert_eq!(given("person = \"jo@b.c\"\ngroups = [\"eng@b.c\"]"), direct, "a missing group may well be there");
        assert_eq!(given("person = \"jo@b.c\"\nnew = true"), ["jira/everyone", "jira/welcome"]);
    }

    #[test]
    fn a_person_comes_to_be_nowhere_by_state_role_and_domain() {
        assert!(given("person = \"jo@b.c\"\ngroups = [\"eng@b.c\"]\nstate = \"suspended\"").is_empty());
        let owner = given("person = \"jo@b.c\"\ngroups = [\"eng-web@b.c\"]\nrole = \"OWNER\"");
        assert_eq!(owner, ["cloud/eng", "jira/eng", "jira/everyone"], "the role counts in the matched group itself");
        assert!(given("person = \"jo@other.org\"\ngroups = [\"eng-web@b.c\"]").is_empty());
    }

    #[test]
    fn what_is_protected_is_withheld_and_says_so() {
        let said = given("person = \"jo@b.c\"\ngroups = [\"org-admins@b.c\"]");
        assert_eq!(said, ["jira/everyone", "!cloud/org-admins protected-group", "!jira/org-admins protected-group"]);
    }
}
