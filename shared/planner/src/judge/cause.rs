//! Why a membership is to go: who left, who may no longer work, what was changed by hand.

use model::{DirectoryId, EdgeOp, Fact, GroupId, Reason, RuleId, UserState};
use policy::{Nested, SyncRule};

use super::Judge;
use crate::{
    Pin, drift,
    flatten::{self, Graph, Opening},
    lost::{LostFact, Proof},
    people::{self, is_positive, user_fact},
    state::TargetGroup,
};

/// Why a membership is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The person may no longer work, or is out of every scope: one case for everything of theirs.
    Leaver { source: usize, person: u32, reason: Reason, fact: Option<Fact> },
    /// The source had the person there and no longer does: by which lost facts, as indices.
    Left { reason: Reason, facts: Vec<usize> },
    /// A rule claims less than before.
    Policy(Reason),
    /// Somebody changed the target by hand.
    Drift(Reason),
    /// It was so before we came.
    Conflict(Reason),
}

/// Every role: what the graph holds whatever a rule counts.
pub(crate) fn every_role() -> std::collections::BTreeSet<model::Role> {
    [model::Role::Owner, model::Role::Manager, model::Role::Member].into()
}

impl Judge<'_> {
    /// Why this account, observed and not wanted, is to go.
    ///
    /// Every source of the group has its say: who left one of them may still be in by another, if that one's read missed
    /// the person. So what any of them lost is to be proven, and somebody who may no longer work at one source goes as a
    /// leaver only where no other source has something left to prove.
    pub(crate) fn cause(
        &self,
        group: &TargetGroup,
        rule: &SyncRule,
        pin: Option<&Pin>,
        slot: u32,
        account: u32,
        lost: &[LostFact],
    ) -> Cause {
        let (mut known, mut left, mut leaver) = (None, None, None);
        let mut facts: Vec<usize> = Vec::new();
        for source in Self::sources(group) {
            let Some(person) = self.pairing(source).and_then(|pairing| pairing.person_of(account)) else { continue };
            if let Some(cause) = self.leaver(source, person) {
                leaver = Some(self.less_proven(leaver, cause));
                continue;
            }
            let before = facts.len();
            facts.extend(lost.iter().enumerate().filter(|(_, fact)| fact.concerns(source, person)).map(|(at, _)| at));
            if facts.len() > before {
                left = left.or(Some((source, person)));
            }
            known = known.or(Some((source, person)));
        }
        let is_proven = |at: &usize| lost.get(*at).is_none_or(|fact| self.proof(fact) == Proof::Gone);
        match (leaver, left) {
            (Some(leaver), _) if facts.iter().all(is_proven) => return leaver,
            (_, Some((source, person))) => {
                return Cause::Left { reason: self.left(group, source, person, rule), facts };
            }
            _ => {}
        }
        let rule_id = rule.id.clone();
        let ours = self.is_ours(slot, account);
        let reachable = known.is_some_and(|(source, person)| self.is_reachable(group, source, person));
        if ours || reachable {
            Cause::Policy(Reason::Policy { rule: rule_id })
        } else if pin.is_some_and(|pin| pin.equal_once) {
            Cause::Drift(Reason::Drift { rule: rule_id })
        } else {
            Cause::Conflict(Reason::Conflict { rule: rule_id })
        }
    }

    /// Of two sources at which a person may no longer work the first, unless only the second has something to prove yet:
    /// what is taken away waits with that one.
    fn less_proven(&self, first: Option<Cause>, second: Cause) -> Cause {
        let is_proven = |cause: &Cause| match cause {
            Cause::Leaver { source, person, fact, .. } => {
                let proof =
                    self.mirrors.get(*source).map(|mirror| self.proof_of_leaver(mirror, *person, fact.as_ref()));
                proof == Some(Proof::Gone)
            }
            _ => true,
        };
        match first {
            Some(first) if !is_proven(&first) || is_proven(&second) => first,
            _ => second,
        }
    }

    /// Whether we put the account into the group.
    fn is_ours(&self, slot: u32, account: u32) -> bool {
        let ours = |group| drift::is_ours(self.accounts, self.memory, &self.target.id, group, account);
        self.group_id(slot).is_some_and(ours)
    }

    /// Whether the person may no longer work at this source, and how that is known.
    pub(crate) fn leaver(&self, source: usize, person: u32) -> Option<Cause> {
        let place = self.pairing(source)?.place(person);
        let mirror = self.mirrors.get(source)?;
        let directory = mirror.directory().clone();
        let slot = mirror.person(person)?;
        if !place.works {
            let state = slot.row.as_ref().map_or(UserState::Deleted, |row| row.user.state);
            let positive = is_positive(state);
            let fact = (!positive).then(|| user_fact(&directory, &slot.id));
            let state = if positive { state } else { UserState::Deleted };
            return Some(Cause::Leaver { source, person, reason: Reason::Leaver { source: directory, state }, fact });
        }
        let reason = Reason::OutOfScope { source: directory };
        (!place.in_scope).then_some(Cause::Leaver { source, person, reason, fact: None })
    }

    /// The way by which the person was in when last seen.
    fn left(&self, group: &TargetGroup, source: usize, person: u32, rule: &SyncRule) -> Reason {
        let claims = group.claims.iter().filter(|claim| claim.source == source);
        let directory = self.mirrors.get(source).map(|mirror| mirror.directory().clone());
        for claim in claims {
            let (Some(rule), Some(mirror)) = (self.policy.rules.get(claim.rule), self.mirrors.get(source)) else {
                continue;
            };
            let opening = Opening { nested: rule.nested, roles: &rule.roles };
            if let Some(path) = flatten::path(mirror, claim.group, person, opening, Graph::WithLost) {
                return Reason::Left { rule: rule.id.clone(), source: mirror.directory().clone(), path };
            }
        }
        let source = directory.unwrap_or_else(|| self.target.id.clone());
        Reason::Left { rule: rule.id.clone(), source, path: Vec::new() }
    }

    /// Whether the person is below one of the groups as they are, whatever the rule counts: then not the source but
    /// the rule decides.
    fn is_reachable(&self, group: &TargetGroup, source: usize, person: u32) -> bool {
        let roles = every_role();
        let opening = Opening { nested: Nested::Flatten, roles: &roles };
        let mut claims = group.live_claims().filter(|claim| claim.source == source);
        claims.any(|claim| {
            let mirror = self.mirrors.get(source);
            mirror.is_some_and(|mirror| flatten::path(mirror, claim.group, person, opening, Graph::Current).is_some())
        })
    }

    /// Why an account is to come in: the way down to the person, or that somebody took out by hand what we had added.
    pub(crate) fn why_add(&self, group: &TargetGroup, slot: Option<u32>, account: u32, rule: &SyncRule) -> Reason {
        if slot.is_some_and(|slot| self.is_ours(slot, account)) {
            return Reason::Drift { rule: rule.id.clone() };
        }
        self.joined(group, account).unwrap_or_else(|| Reason::Policy { rule: rule.id.clone() })
    }

    fn joined(&self, group: &TargetGroup, account: u32) -> Option<Reason> {
        group.live_claims().find_map(|claim| {
            let person = self.pairing(claim.source)?.person_of(account)?;
            let (rule, mirror) = (self.policy.rules.get(claim.rule)?, self.mirrors.get(claim.source)?);
            if claim.is_of_people() {
                let entry = rule.default_of.and_then(|(entry, _)| self.policy.provisions.get(entry))?;
                let taken = people::is_taken(self.policy, entry, &mirror.live(person)?.user);
                let source = mirror.directory().clone();
                return taken.then(|| Reason::Provision { rule: rule.id.clone(), source });
            }
            let opening = Opening { nested: rule.nested, roles: &rule.roles };
            let path = flatten::path(mirror, claim.group, person, opening, Graph::Current)?;
            Some(Reason::Joined { rule: rule.id.clone(), source: mirror.directory().clone(), path })
        })
    }

    /// The rule and source that a target group is wanted by, and the source group unless it is a default group.
    pub(crate) fn origin(&self, group: &TargetGroup) -> Option<(RuleId, DirectoryId, Option<GroupId>)> {
        let claim = group.claims.first()?;
        let (rule, mirror) = (self.policy.rules.get(claim.rule)?, self.mirrors.get(claim.source)?);
        let source_group = mirror.group_at(claim.group).map(|group| group.id.clone());
        Some((rule.id.clone(), mirror.directory().clone(), source_group))
    }

    /// A sorted list of steps over accounts.
    pub(crate) fn edges(
        &self,
        group: &TargetGroup,
        slot: u32,
        accounts: &[u32],
        op: EdgeOp,
        reason: impl Fn(u32) -> Reason,
    ) -> Vec<model::Step> {
        let step = |account: &u32| {
            let edge = self.edge(group, slot, *account, op)?;
            Some(model::Step::Edge { edge, reason: reason(*account) })
        };
        accounts.iter().filter_map(step).collect()
    }
}
