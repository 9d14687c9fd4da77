//! A second opinion: the invariants of a plan, read off rows and memory by code that shares nothing with deciding.
//!
//! It knows nothing of causes, cases' limits or how a person's account is found. It asks of each step by itself: may
//! this object be touched at all, is it the pinned one, is the change not there already, and does nothing go that is
//! held? A plan that fails is not carried out.

mod administrators;

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Access, AccountId, Case, CaseKind, Digest, DirectoryId, Edge, EdgeOp, GroupId, GuardName, Plan, ReadScope, Step,
    TargetPlan,
};

use crate::{Memory, Mirror, Planner, Verdict};

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Violation {
    /// A case's digest is not that of its steps.
    #[error("case {0} of {1} does not have the digest of its steps")]
    Digest(String, DirectoryId),
    /// A step touches a protected group.
    #[error("a step at {target} touches the protected group {group}")]
    ProtectedGroup {
        /// Where.
        target: DirectoryId,
        /// Its name.
        group: String,
    },
    /// A step touches an account that is never touched.
    #[error("a step at {target} touches the protected account {account}")]
    ProtectedAccount {
        /// Where.
        target: DirectoryId,
        /// Which.
        account: AccountId,
    },
    /// A released step changes a group that is not the pinned one and is not being adopted.
    #[error("a released step at {target} changes group {group}, which is not pinned")]
    NotPinned {
        /// Where.
        target: DirectoryId,
        /// Which.
        group: GroupId,
    },
    /// One edge stands in a plan twice, or both ways.
    #[error("an edge of group {group} at {target} stands in the plan twice")]
    Twice {
        /// Where.
        target: DirectoryId,
        /// The group's name.
        group: String,
    },
    /// The edge is under way already.
    #[error("an edge of group {group} at {target} is under way already")]
    UnderWay {
        /// Where.
        target: DirectoryId,
        /// Which group.
        group: GroupId,
    },
    /// Somebody is to be removed who is not a member as far as is known, or added who is one.
    #[error("an edge of group {group} at {target} changes nothing")]
    Pointless {
        /// Where.
        target: DirectoryId,
        /// Which group.
        group: GroupId,
    },
    /// More is removed from a group without approval than its guard found.
    #[error("case {case} at {target} releases more than its guards saw")]
    Unguarded {
        /// Where.
        target: DirectoryId,
        /// Which case.
        case: String,
    },
    /// Removals go that were held and that nobody approved.
    #[error("case {case} at {target} takes members from {group}, which is held, without approval")]
    Held {
        /// Where.
        target: DirectoryId,
        /// Which group.
        group: GroupId,
        /// Which case.
        case: String,
    },
    /// Something is removed by what a blind source does not say.
    #[error("something is removed at {target} although a source is blind")]
    Blind {
        /// Where.
        target: DirectoryId,
    },
    /// Removals go although the target group was never read completely.
    #[error("members are removed from {group} at {target}, which was never read completely")]
    Unread {
        /// Where.
        target: DirectoryId,
        /// Which group.
        group: GroupId,
    },
    /// A group is deleted without approval.
    #[error("group {group} at {target} is deleted without approval")]
    Unapproved {
        /// Where.
        target: DirectoryId,
        /// Which group.
        group: GroupId,
    },
    /// A group is to give something that was not approved, that makes administrators, or that it gives already.
    #[error("a group at {target} is to give what was not approved, makes administrators, or is given already")]
    Access {
        /// Where.
        target: DirectoryId,
        /// Which group, unless it is still to be made.
        group: Option<GroupId>,
    },
    /// Fewer administrators would be left than the policy asks for.
    #[error("fewer administrators would be left at {target} than minimum_administrators")]
    LastAdministrator {
        /// Where.
        target: DirectoryId,
    },
}

/// Looks at every step of a plan again.
///
/// # Errors
/// Everything that is wrong, sorted.
pub fn check(plan: &Plan, planner: &Planner, memory: &Memory) -> Result<(), Vec<Violation>> {
    let mut found = BTreeSet::new();
    administrators::look(plan, planner, memory, &mut found);
    for target in &plan.body.targets {
        let Some(mirror) = planner.mirror(&target.target) else { continue };
        let never = never(planner, mirror, memory);
        let opinion = Opinion { plan: target, planner, mirror, memory, never, ours: ours(target, memory) };
        opinion.look(&mut found);
    }
    if found.is_empty() { Ok(()) } else { Err(found.into_iter().collect()) }
}

struct Opinion<'a> {
    plan: &'a TargetPlan,
    planner: &'a Planner,
    mirror: &'a Mirror,
    memory: &'a Memory,
    never: BTreeSet<AccountId>,
    /// The groups of the plan that are pinned, or are being pinned by it.
    ours: BTreeSet<&'a GroupId>,
}

fn ours<'a>(plan: &'a TargetPlan, memory: &'a Memory) -> BTreeSet<&'a GroupId> {
    let steps = plan.cases.iter().flat_map(|case| &case.steps);
    let of_step = |step: &'a Step| match step {
        Step::Edge { edge, .. } => edge.group.as_ref(),
        Step::GrantAccess { group, .. } => group.as_ref(),
        _ => None,
    };
    let named: BTreeSet<&GroupId> = steps.filter_map(of_step).collect();
    let pins = memory.pins.iter().filter(|((target, _), _)| target == &plan.target).map(|(_, pin)| &pin.group);
    let links = plan.links.iter().filter_map(|link| match link {
        model::Link::Group { group, .. } => Some(group),
        model::Link::Person { .. } => None,
    });
    pins.chain(links).filter(|group| named.contains(group)).collect()
}

/// The accounts that no step may name: our own, and those with an address of a protected person or of anybody whom the
/// policy names as ours, at whichever directory.
fn never(planner: &Planner, mirror: &Mirror, memory: &Memory) -> BTreeSet<AccountId> {
    let policy = planner.policy();
    let addresses: Vec<&model::Email> = policy.guard.protected_people.iter().chain(policy.own_addresses()).collect();
    let mut never: BTreeSet<AccountId> = memory.own_accounts.get(mirror.directory()).cloned().unwrap_or_default();
    for row in addresses.into_iter().flat_map(|email| mirror.users_with(email)) {
        never.insert(row.user.id.clone());
    }
    never
}

impl Opinion<'_> {
    fn look(&self, found: &mut BTreeSet<Violation>) {
        let mut seen: BTreeMap<(&str, &AccountId), usize> = BTreeMap::new();
        for case in &self.plan.cases {
            self.look_at_case(case, found);
            for edge in case.edges() {
                if let Some(account) = &edge.account {
                    let group = edge.group.as_ref().map_or(edge.group_name.as_str(), |group| group.as_str());
                    *seen.entry((group, account)).or_default() += 1;
                }
            }
        }
        for ((group, _), _) in seen.into_iter().filter(|(_, count)| *count > 1) {
            found.insert(Violation::Twice { target: self.target(), group: group.to_owned() });
        }
    }

    fn target(&self) -> DirectoryId {
        self.plan.target.clone()
    }

    fn look_at_case(&self, case: &Case, found: &mut BTreeSet<Violation>) {
        if case.digest != Case::digest_of(&self.plan.target, &case.kind, &case.steps) {
            found.insert(Violation::Digest(case.digest.short(), self.target()));
        }
        if case.is_released() {
            self.look_at_release(case, found);
        }
        for step in &case.steps {
            match step {
                Step::Edge { edge, .. } => self.look_at_edge(case, edge, found),
                Step::CreateGroup { name, .. } => self.look_at_name(name, found),
                Step::DeleteGroup { group, name, .. } => {
                    self.look_at_name(name, found);
                    self.look_into(group, found);
                    if case.is_released() && !self.is_approved(case.digest) {
                        found.insert(Violation::Unapproved { target: self.target(), group: group.clone() });
                    }
                }
                Step::GrantAccess { group, name, access, .. } => {
                    self.look_at_name(name, found);
                    self.look_at_access(case, group.as_ref(), access, found);
                }
                Step::Account { account, .. } => self.look_at_account(account.as_ref(), found),
            }
        }
    }

    fn is_approved(&self, digest: Digest) -> bool {
        self.memory.approvals.get(&digest) == Some(&Verdict::Approved)
    }

    /// What goes without approval is within what its own guards found and allowed.
    fn look_at_release(&self, case: &Case, found: &mut BTreeSet<Violation>) {
        let removals = case.count(EdgeOp::Remove) as u64;
        let over = case.guards.iter().any(|verdict| match verdict.guard {
            GuardName::EmptiedGroup => true,
            _ => verdict.found > verdict.limit,
        });
        let needs_guard = matches!(case.kind, CaseKind::Removals { .. }) && removals > 0;
        let unseen = needs_guard && !case.guards.iter().any(|verdict| verdict.found >= removals);
        if (over || unseen) && !self.is_approved(case.digest) {
            found.insert(Violation::Unguarded { target: self.target(), case: case.digest.short() });
        }
        if let (CaseKind::Removals { group, .. }, false) = (&case.kind, self.is_approved(case.digest))
            && self.shrank_under(group)
        {
            let (target, group) = (self.target(), group.clone());
            found.insert(Violation::Held { target, group, case: case.digest.short() });
        }
        let sources = self.planner.sources_of(&self.plan.target);
        let all_blind = !sources.is_empty() && sources.iter().all(|source| self.memory.blind.contains(source));
        if all_blind {
            found.insert(Violation::Blind { target: self.target() });
        }
    }

    /// Whether removals from the group were held because its source lost much at once.
    fn shrank_under(&self, group: &GroupId) -> bool {
        let mut holds = self.memory.plan_holds.iter();
        holds.any(|hold| {
            let pin = self.memory.pins.get(&(hold.target.clone(), hold.name.clone()));
            hold.guard == GuardName::SourceShrink
                && hold.target == self.plan.target
                && pin.is_some_and(|pin| &pin.group == group)
        })
    }

    fn look_at_name(&self, name: &str, found: &mut BTreeSet<Violation>) {
        if self.planner.policy().guard.protected_groups.matches(name) {
            found.insert(Violation::ProtectedGroup { target: self.target(), group: name.to_owned() });
        }
    }

    fn look_at_account(&self, account: Option<&AccountId>, found: &mut BTreeSet<Violation>) {
        if let Some(account) = account.filter(|account| self.never.contains(*account)) {
            found.insert(Violation::ProtectedAccount { target: self.target(), account: account.clone() });
        }
    }

    /// With a group everybody goes out of it who is in it: as read, as confirmed since, or by a group that it holds.
    fn look_into(&self, group: &GroupId, found: &mut BTreeSet<Violation>) {
        let policy = self.planner.policy();
        let lag = policy.directories.get(&self.plan.target).map_or(model::Span::ZERO, |directory| directory.lag);
        let (mut seen, mut queue) = (BTreeSet::new(), vec![group.clone()]);
        while let Some(group) = queue.pop() {
            if !seen.insert(group.clone()) {
                continue;
            }
            let read = self.mirror.read_of(&ReadScope::Members(group.clone())).and_then(|read| read.complete_began_at);
            for account in &self.never {
                let confirmed = self.memory.confirmed.get(&(self.target(), group.clone(), account.clone()));
                let is_new = |at: model::Time| read.is_none_or(|began| began <= at.plus(lag));
                let added = confirmed.is_some_and(|confirmed| confirmed.present && is_new(confirmed.at));
                if added || self.mirror.is_member(&group, account) {
                    self.look_at_account(Some(account), found);
                }
            }
            queue.extend(self.mirror.members(&group).into_iter().filter_map(|member| match member.kind {
                model::MemberKind::Group(nested) => Some(nested),
                _ => None,
            }));
        }
    }

    /// A product is given to a pinned group alone, by a person's word where the policy asks for one, and never with a role
    /// that makes administrators. A group that is still to be made opens at most a portal.
    fn look_at_access(&self, case: &Case, group: Option<&GroupId>, access: &Access, found: &mut BTreeSet<Violation>) {
        let role = match access {
            Access::Product { role, .. } => Some(role),
            Access::Portal { .. } => None,
        };
        let asks = &self.planner.policy().approval.required_for;
        let wants_word = role.is_some() && asks.contains(&policy::ApprovalFor::DefaultAccessGroup);
        let unapproved = case.is_released() && wants_word && !self.is_approved(case.digest);
        let Some(group) = group else {
            if role.is_some() {
                found.insert(Violation::Access { target: self.target(), group: None });
            }
            return;
        };
        let row = self.mirror.group(group).map(|row| &row.group);
        if row.is_some_and(|row| row.grants_admin || row.ownership == model::Ownership::Members) {
            found.insert(Violation::ProtectedGroup { target: self.target(), group: group.to_string() });
        }
        // Giving twice is giving, so what a writer said since the last read is not asked.
        let given = row.is_some_and(|row| row.gives.iter().any(|it| it.is_same_place(&access.listed())));
        // Whoever is to be taken out is not to be let in meanwhile.
        let leaves = |edge: &Edge| edge.op == EdgeOp::Remove && edge.group.as_ref() == Some(group);
        let removed = || self.plan.cases.iter().flat_map(Case::edges).any(leaves);
        let lets_in = case.is_released() && !self.is_approved(case.digest) && removed();
        if unapproved || lets_in || given || role.is_some_and(|role| role.contains("admin")) {
            found.insert(Violation::Access { target: self.target(), group: Some(group.clone()) });
        }
        if case.is_released() && !self.ours.contains(group) {
            found.insert(Violation::NotPinned { target: self.target(), group: group.clone() });
        }
    }

    fn look_at_edge(&self, case: &Case, edge: &Edge, found: &mut BTreeSet<Violation>) {
        self.look_at_name(&edge.group_name, found);
        self.look_at_account(edge.account.as_ref(), found);
        let (Some(group), Some(account)) = (&edge.group, &edge.account) else { return };
        let row = self.mirror.group(group).map(|row| &row.group);
        if row.is_some_and(|row| row.grants_admin || row.ownership == model::Ownership::Members) {
            found.insert(Violation::ProtectedGroup { target: self.target(), group: edge.group_name.clone() });
        }
        let key = (self.target(), group.clone(), account.clone());
        if self.memory.released.contains_key(&key) {
            found.insert(Violation::UnderWay { target: self.target(), group: group.clone() });
        }
        let confirmed = self.memory.confirmed.get(&key).map(|confirmed| confirmed.present);
        let read = self.mirror.is_member(group, account);
        let may_be = |present: bool| read == present || confirmed == Some(present);
        if !may_be(edge.op == EdgeOp::Remove) {
            found.insert(Violation::Pointless { target: self.target(), group: group.clone() });
        }
        if case.is_released() {
            self.look_at_released_edge(case, edge, group, found);
        }
    }

    fn look_at_released_edge(&self, case: &Case, edge: &Edge, group: &GroupId, found: &mut BTreeSet<Violation>) {
        if !self.ours.contains(group) {
            found.insert(Violation::NotPinned { target: self.target(), group: group.clone() });
        }
        let leaver = matches!(case.kind, CaseKind::Leaver { .. });
        let read = self.mirror.read_of(&ReadScope::Members(group.clone()));
        let known = read.is_some_and(|read| read.complete_began_at.is_some());
        if edge.op == EdgeOp::Remove && !known && !leaver {
            found.insert(Violation::Unread { target: self.target(), group: group.clone() });
        }
    }
}
