//! Why somebody has access to something, or what is the first thing that is missing for it.

use model::{AccountId, DirectoryId, EdgeOp, GroupId, Span, Time, UserState, WaitWhy};
use serde::Serialize;

use crate::{
    Memory, Occasion, Planner, drift,
    flatten::{self, Graph, Opening},
    judge::every_role,
    mirror::Mirror,
    people::{self, Found, Place},
    state::{Bound, Target, TargetGroup},
};

/// What is known about a person's memberships at every target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The persons whom the question means: none, one, or several with one address.
    pub persons: Vec<PersonExplained>,
}

/// One person of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonExplained {
    /// The source.
    pub source: DirectoryId,
    /// The person there.
    pub person: AccountId,
    /// In which state; `None` for somebody known only as a member.
    pub state: Option<UserState>,
    /// Target by target, group by group.
    pub groups: Vec<GroupExplained>,
}

/// One target group and one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupExplained {
    /// At which target.
    pub target: DirectoryId,
    /// The group's name there.
    pub name: String,
    /// The group there, once it exists.
    pub group: Option<GroupId>,
    /// The person's account there, if there is one.
    pub account: Option<AccountId>,
    /// By which ways the source puts the person there: from the matched group down.
    pub paths: Vec<Vec<GroupId>>,
    /// Whether the account is a member now, as far as is known.
    pub has_access: bool,
    /// The first link of the chain that is missing; `None`: nothing is, the person is wanted and in.
    pub missing: Option<Missing>,
    /// Whether being in the group gives a product, as far as that is known.
    pub gives_product: bool,
}

/// The first link that is missing, in the order of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "missing", rename_all = "kebab-case")]
pub enum Missing {
    /// The person is gone from the source, or may not work there.
    MayNotWork,
    /// The person is out of every scope that the policy names.
    OutOfScope,
    /// No source group of this target group holds the person.
    NotInSourceGroup,
    /// The person is below, in a role or from a domain that the rule does not take.
    NotTaken,
    /// There is no account for the person.
    NoAccount,
    /// Which account is the person's is in doubt.
    Doubt,
    /// The account is there and cannot be used.
    AccountUnusable,
    /// The target group does not exist.
    NoTargetGroup,
    /// A rule that names the target group is switched off.
    SwitchedOff,
    /// Wanted, and not a member yet: held by these guards.
    Held {
        /// Which.
        guards: Vec<model::GuardName>,
    },
    /// Wanted, and not a member yet: waits.
    Waits {
        /// For what.
        why: WaitWhy,
    },
    /// Wanted, and under way.
    UnderWay,
    /// Wanted, and refused.
    Refused {
        /// Why.
        why: model::RefusalWhy,
    },
}

impl Planner {
    /// Explains a person, given by id or address, at every target; only the group of this name where one is given.
    pub fn explain(&mut self, memory: &Memory, now: Time, person: &str, group: Option<&str>) -> Explanation {
        let decision = self.decide(memory, now, Occasion::Event);
        let mut persons = Vec::new();
        for (at, mirror) in self.mirrors.iter().enumerate() {
            if !self.routes.iter().any(|route| route.source == at) {
                continue;
            }
            for slot in find(mirror, person) {
                let Some(found) = mirror.person(slot) else { continue };
                let mut groups = Vec::new();
                for target in &self.targets {
                    let named = |each: &&TargetGroup| group.is_none_or(|name| each.name.eq_ignore_ascii_case(name));
                    let mut of_target: Vec<&TargetGroup> = target.groups.iter().filter(named).collect();
                    of_target.sort_by(|a, b| a.key.cmp(&b.key));
                    for each in of_target {
                        groups.extend(self.explain_group(&decision, memory, target, each, at, slot, group.is_some()));
                    }
                }
                persons.push(PersonExplained {
                    source: mirror.directory().clone(),
                    person: found.id.clone(),
                    state: found.row.as_ref().map(|row| row.user.state),
                    groups,
                });
            }
        }
        persons.sort_by(|a, b| (&a.source, &a.person).cmp(&(&b.source, &b.person)));
        Explanation { persons }
    }

    #[expect(clippy::too_many_arguments, reason = "one question, asked from one place")]
    fn explain_group(
        &self,
        decision: &crate::Decision,
        memory: &Memory,
        target: &Target,
        group: &TargetGroup,
        source: usize,
        person: u32,
        asked: bool,
    ) -> Option<GroupExplained> {
        let mirror = self.mirrors.get(source)?;
        let accounts = self.mirrors.get(target.mirror)?;
        let pairing = self.pairings.iter().find(|each| each.source == source && each.target == target.mirror)?;
        let place = pairing.place(person);
        let slot = pairing.account_of(person);
        let paths = self.paths(group, source, mirror, person);
        let lag = self.policy.directories.get(&target.id).map_or(Span::ZERO, |directory| directory.lag);
        let observed =
            slot.zip(group.slot()).is_some_and(|(account, at)| is_observed(accounts, memory, target, lag, at, account));
        if paths.is_empty() && !observed && !asked {
            return None;
        }
        let taken = slot.is_some_and(|account| group.wanted.binary_search(&account).is_ok());
        let account = slot.and_then(|slot| accounts.person(slot)).map(|person| person.id.clone());
        let missing = if !paths.is_empty() && taken && observed {
            None
        } else {
            first_missing(place, !paths.is_empty(), taken, group)
                .or_else(|| group.is_off(&self.policy.rules).then_some(Missing::SwitchedOff))
                .or_else(|| pending(decision, memory, target, group, account.as_ref(), accounts))
        };
        let row = group.slot().and_then(|at| accounts.group_at(at)).and_then(|found| found.row.as_ref());
        Some(GroupExplained {
            target: target.id.clone(),
            name: group.name.clone(),
            group: group.slot().and_then(|at| accounts.group_at(at)).map(|found| found.id.clone()),
            account,
            paths,
            has_access: observed,
            missing,
            gives_product: row.is_some_and(|row| row.group.default_access || !row.group.gives.is_empty()),
        })
    }

    fn paths(&self, group: &TargetGroup, source: usize, mirror: &Mirror, person: u32) -> Vec<Vec<GroupId>> {
        let roles = every_role();
        let claims = group.live_claims().filter(|claim| claim.source == source);
        let path = |claim: &crate::state::Claim| {
            if claim.is_of_people() {
                // A default group: no way leads down to the person, the entry takes people by themselves.
                let (entry, _) = self.policy.rules.get(claim.rule)?.default_of?;
                let user = &mirror.live(person)?.user;
                return people::is_taken(&self.policy, self.policy.provisions.get(entry)?, user).then(Vec::new);
            }
            let nested = self.policy.rules.get(claim.rule)?.nested;
            flatten::path(mirror, claim.group, person, Opening { nested, roles: &roles }, Graph::Current)
        };
        let mut paths: Vec<Vec<GroupId>> = claims.filter_map(path).collect();
        paths.sort();
        paths
    }
}

/// The slots that an id or an address means.
fn find(mirror: &Mirror, person: &str) -> Vec<u32> {
    if let Some(slot) = AccountId::new(person).ok().and_then(|id| mirror.person_slot(&id)) {
        return vec![slot];
    }
    let key = person.to_ascii_lowercase();
    let mut slots: Vec<u32> = mirror.by_address(&key).chain(mirror.by_alias(&key)).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

fn is_observed(accounts: &Mirror, memory: &Memory, target: &Target, lag: Span, at: u32, account: u32) -> bool {
    let (Some(group), Some(person)) = (accounts.group_at(at), accounts.person(account)) else { return false };
    let key = (target.id.clone(), group.id.clone(), person.id.clone());
    match memory.confirmed.get(&key) {
        Some(confirmed) if !drift::yields(*confirmed, group.read.complete_began_at, lag) => confirmed.present,
        _ => accounts.is_member(&group.id, &person.id),
    }
}

fn first_missing(place: Place, reachable: bool, taken: bool, group: &TargetGroup) -> Option<Missing> {
    if !place.works {
        return Some(Missing::MayNotWork);
    }
    if !place.in_scope {
        return Some(Missing::OutOfScope);
    }
    if !reachable {
        return Some(Missing::NotInSourceGroup);
    }
    match place.found {
        Found::Nobody => return Some(Missing::NoAccount),
        Found::Doubt => return Some(Missing::Doubt),
        Found::Unusable(_) => return Some(Missing::AccountUnusable),
        Found::Account(_) => {}
    }
    if !taken {
        return Some(Missing::NotTaken);
    }
    matches!(group.bound, Bound::Missing | Bound::Lost(None) | Bound::Unread).then_some(Missing::NoTargetGroup)
}

/// Where in the plan an edge that is wanted stands.
fn pending(
    decision: &crate::Decision,
    memory: &Memory,
    target: &Target,
    group: &TargetGroup,
    account: Option<&AccountId>,
    accounts: &Mirror,
) -> Option<Missing> {
    let account = account?;
    let id = group.slot().and_then(|at| accounts.group_at(at)).map(|found| &found.id);
    if id.is_some_and(|id| memory.released.contains_key(&(target.id.clone(), id.clone(), account.clone()))) {
        return Some(Missing::UnderWay);
    }
    let plan = decision.plan.body.targets.iter().find(|plan| plan.target == target.id)?;
    let is = |edge: &model::Edge| {
        edge.op == EdgeOp::Add && edge.account.as_ref() == Some(account) && edge.group.as_ref() == id
    };
    if let Some(case) = plan.cases.iter().find(|case| case.edges().any(is)) {
        let mut guards: Vec<model::GuardName> = case.held.iter().map(|held| held.guard).collect();
        let held = guards.len();
        // A free seat is the last link: what another guard holds is not there yet.
        guards.retain(|guard| *guard != model::GuardName::Seats);
        return Some(match (held, guards.is_empty()) {
            (0, _) => Missing::UnderWay,
            (_, true) => Missing::Waits { why: WaitWhy::Seat },
            (_, false) => Missing::Held { guards },
        });
    }
    let refused =
        plan.refusals.iter().find(|refusal| matches!(&refusal.step, model::Step::Edge { edge, .. } if is(edge)));
    if let Some(refusal) = refused {
        return Some(Missing::Refused { why: refusal.why });
    }
    let waits = plan.waits.iter().find(|wait| wait.group.as_ref() == Some(&group.name));
    waits.map(|wait| Missing::Waits { why: wait.why.clone() })
}
