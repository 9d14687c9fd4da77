//! Plans: targets, cases, guards, waits, links, seats.

use model::{
    Case, CaseKind, GuardName, GuardVerdict, Held, Lane, Link, LinkHow, Plan, PlanBody, Refusal, RefusalWhy, Seats,
    TargetPlan, Time, Wait, WaitWhy, WiderGuard,
};

use super::{Word, digest, each, id, id_if_any, need, words};
use crate::{
    ContractError,
    wire::plan::{self as wire, case_kind, link, wait},
};

words!(
    GuardName,
    wire::GuardName,
    [
        PerGroupRemovals,
        PerGroupAdditions,
        PerPlanRemovals,
        PerPlanAdditions,
        PerDayRemovals,
        PerDayDeactivations,
        PerWeekRemovals,
        EmptiedGroup,
        SourceShrink,
        Seats,
        Conflict,
        DefaultAccessGroup,
        GroupDelete,
        IdentityChanged,
        NameCollision,
        PolicyShrink,
        DriftReport,
    ]
);
words!(
    RefusalWhy,
    wire::RefusalWhy,
    [
        ProtectedGroup,
        ProtectedPerson,
        OurOwnAccount,
        LastAdministrator,
        NotOurs,
        DefaultAccessGroup,
        MayNotCreate,
        Skipped
    ]
);
words!(LinkHow, wire::LinkHow, [ExternalId, Email, Alias, Created, Equal, Adopted]);

impl From<&Plan> for wire::Plan {
    fn from(plan: &Plan) -> Self {
        Self {
            number: plan.number,
            made_at: plan.made_at.0,
            policy: plan.policy.0.to_vec(),
            calls: plan.calls.iter().map(|(target, calls)| (target.to_string(), *calls)).collect(),
            schema: plan.body.schema.clone(),
            tenant: plan.body.tenant.to_string(),
            targets: plan.body.targets.iter().map(Into::into).collect(),
            wider: plan.body.wider.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Plan> for Plan {
    type Error = ContractError;

    fn try_from(plan: wire::Plan) -> Result<Self, ContractError> {
        let calls = plan.calls.iter().map(|(target, calls)| Ok((id(target, "Plan.calls")?, *calls)));
        Ok(Self {
            number: plan.number,
            made_at: Time(plan.made_at),
            policy: digest(&plan.policy, "Plan.policy")?,
            calls: calls.collect::<Result<_, ContractError>>()?,
            body: PlanBody {
                schema: plan.schema,
                tenant: id(&plan.tenant, "Plan.tenant")?,
                targets: each(plan.targets)?,
                wider: each(plan.wider)?,
            },
        })
    }
}

impl From<&WiderGuard> for wire::WiderGuard {
    fn from(wider: &WiderGuard) -> Self {
        Self { rule: wider.rule.to_string(), budget: wider.budget.clone() }
    }
}

impl TryFrom<wire::WiderGuard> for WiderGuard {
    type Error = ContractError;

    fn try_from(wider: wire::WiderGuard) -> Result<Self, ContractError> {
        Ok(Self { rule: id(&wider.rule, "WiderGuard.rule")?, budget: wider.budget })
    }
}

impl From<&TargetPlan> for wire::TargetPlan {
    fn from(target: &TargetPlan) -> Self {
        Self {
            target: target.target.to_string(),
            cases: target.cases.iter().map(Into::into).collect(),
            refusals: target.refusals.iter().map(Into::into).collect(),
            waits: target.waits.iter().map(Into::into).collect(),
            links: target.links.iter().map(Into::into).collect(),
            seats: target.seats.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::TargetPlan> for TargetPlan {
    type Error = ContractError;

    fn try_from(target: wire::TargetPlan) -> Result<Self, ContractError> {
        Ok(Self {
            target: id(&target.target, "TargetPlan.target")?,
            cases: each(target.cases)?,
            refusals: each(target.refusals)?,
            waits: each(target.waits)?,
            links: each(target.links)?,
            seats: target.seats.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&Case> for wire::Case {
    fn from(case: &Case) -> Self {
        Self {
            digest: case.digest.0.to_vec(),
            kind: Some((&case.kind).into()),
            lane: case.lane.number(),
            steps: case.steps.iter().map(Into::into).collect(),
            guards: case.guards.iter().map(Into::into).collect(),
            held: case.held.iter().map(Into::into).collect(),
            needs: case.needs.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Case> for Case {
    type Error = ContractError;

    fn try_from(case: wire::Case) -> Result<Self, ContractError> {
        Ok(Self {
            digest: digest(&case.digest, "Case.digest")?,
            kind: need(case.kind, "Case.kind")?.try_into()?,
            lane: Lane::read(case.lane, "Case.lane")?,
            steps: each(case.steps)?,
            guards: each(case.guards)?,
            held: each(case.held)?,
            needs: each(case.needs)?,
        })
    }
}

impl From<&CaseKind> for wire::CaseKind {
    fn from(kind: &CaseKind) -> Self {
        let person = |source: &model::DirectoryId, person: &model::AccountId| case_kind::Person {
            source: source.to_string(),
            person: person.to_string(),
        };
        let group =
            |group: &model::GroupId, name: &str| case_kind::Group { group: group.to_string(), name: name.to_owned() };
        let cause = match kind {
            CaseKind::Leaver { source, person: who } => case_kind::Cause::Leaver(person(source, who)),
            CaseKind::Create { name } => case_kind::Cause::Create(name.clone()),
            CaseKind::Conflict { group: id, name } => case_kind::Cause::Conflict(group(id, name)),
            CaseKind::Additions { group: id, name } => case_kind::Cause::Additions(group(id, name)),
            CaseKind::Removals { group: id, name } => case_kind::Cause::Removals(group(id, name)),
            CaseKind::Delete { group: id, name } => case_kind::Cause::Delete(group(id, name)),
            CaseKind::Access { group: id, name } => case_kind::Cause::Access(group(id, name)),
            CaseKind::Account { source, person: who } => case_kind::Cause::Account(person(source, who)),
        };
        Self { cause: Some(cause) }
    }
}

impl TryFrom<wire::CaseKind> for CaseKind {
    type Error = ContractError;

    fn try_from(kind: wire::CaseKind) -> Result<Self, ContractError> {
        let group_id = |group: &case_kind::Group| id(&group.group, "CaseKind.group");
        let source = |person: &case_kind::Person| id(&person.source, "CaseKind.source");
        let person = |person: &case_kind::Person| id(&person.person, "CaseKind.person");
        Ok(match need(kind.cause, "CaseKind.cause")? {
            case_kind::Cause::Leaver(who) => Self::Leaver { source: source(&who)?, person: person(&who)? },
            case_kind::Cause::Create(name) => Self::Create { name },
            case_kind::Cause::Conflict(group) => Self::Conflict { group: group_id(&group)?, name: group.name },
            case_kind::Cause::Additions(group) => Self::Additions { group: group_id(&group)?, name: group.name },
            case_kind::Cause::Removals(group) => Self::Removals { group: group_id(&group)?, name: group.name },
            case_kind::Cause::Delete(group) => Self::Delete { group: group_id(&group)?, name: group.name },
            case_kind::Cause::Access(group) => Self::Access { group: group_id(&group)?, name: group.name },
            case_kind::Cause::Account(who) => Self::Account { source: source(&who)?, person: person(&who)? },
        })
    }
}

impl From<&GuardVerdict> for wire::GuardVerdict {
    fn from(verdict: &GuardVerdict) -> Self {
        Self { guard: verdict.guard.number(), found: verdict.found, limit: verdict.limit }
    }
}

impl TryFrom<wire::GuardVerdict> for GuardVerdict {
    type Error = ContractError;

    fn try_from(verdict: wire::GuardVerdict) -> Result<Self, ContractError> {
        let guard = GuardName::read(verdict.guard, "GuardVerdict.guard")?;
        Ok(Self { guard, found: verdict.found, limit: verdict.limit })
    }
}

impl From<&Held> for wire::Held {
    fn from(held: &Held) -> Self {
        Self { guard: held.guard.number(), reason: held.reason.clone() }
    }
}

impl TryFrom<wire::Held> for Held {
    type Error = ContractError;

    fn try_from(held: wire::Held) -> Result<Self, ContractError> {
        Ok(Self { guard: GuardName::read(held.guard, "Held.guard")?, reason: held.reason })
    }
}

impl From<&Refusal> for wire::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self { step: Some((&refusal.step).into()), why: refusal.why.number() }
    }
}

impl TryFrom<wire::Refusal> for Refusal {
    type Error = ContractError;

    fn try_from(refusal: wire::Refusal) -> Result<Self, ContractError> {
        Ok(Self {
            step: need(refusal.step, "Refusal.step")?.try_into()?,
            why: RefusalWhy::read(refusal.why, "Refusal.why")?,
        })
    }
}

impl From<&Wait> for wire::Wait {
    fn from(wait: &Wait) -> Self {
        let nothing = wait::Nothing {};
        let why = match &wait.why {
            WaitWhy::CompleteRead { directory, group } => wait::Why::CompleteRead(wait::Scope {
                directory: directory.to_string(),
                group: group.as_ref().map(ToString::to_string),
            }),
            WaitWhy::TargetRead { group } => wait::Why::TargetRead(group.to_string()),
            WaitWhy::NoAccount => wait::Why::NoAccount(nothing),
            WaitWhy::Doubt => wait::Why::Doubt(nothing),
            WaitWhy::AccountUnusable => wait::Why::AccountUnusable(nothing),
            WaitWhy::AddressTaken => wait::Why::AddressTaken(nothing),
            WaitWhy::Opaque { group } => wait::Why::Opaque(group.to_string()),
            WaitWhy::DeadLetter { id } => wait::Why::DeadLetter(*id),
            WaitWhy::Grace { until } => wait::Why::Grace(until.0),
            WaitWhy::Seat => wait::Why::Seat(nothing),
            WaitWhy::SourceBlind { directory } => wait::Why::SourceBlind(directory.to_string()),
        };
        Self {
            group: wait.group.clone(),
            person: wait.person.as_ref().map(ToString::to_string),
            edges: wait.edges,
            why: Some(why),
        }
    }
}

impl TryFrom<wire::Wait> for Wait {
    type Error = ContractError;

    fn try_from(wait: wire::Wait) -> Result<Self, ContractError> {
        let why = match need(wait.why, "Wait.why")? {
            wait::Why::CompleteRead(scope) => WaitWhy::CompleteRead {
                directory: id(&scope.directory, "Wait.complete_read.directory")?,
                group: id_if_any(scope.group.as_ref(), "Wait.complete_read.group")?,
            },
            wait::Why::TargetRead(group) => WaitWhy::TargetRead { group: id(&group, "Wait.target_read")? },
            wait::Why::NoAccount(_) => WaitWhy::NoAccount,
            wait::Why::Doubt(_) => WaitWhy::Doubt,
            wait::Why::AccountUnusable(_) => WaitWhy::AccountUnusable,
            wait::Why::AddressTaken(_) => WaitWhy::AddressTaken,
            wait::Why::Opaque(group) => WaitWhy::Opaque { group: id(&group, "Wait.opaque")? },
            wait::Why::DeadLetter(id) => WaitWhy::DeadLetter { id },
            wait::Why::Grace(until) => WaitWhy::Grace { until: Time(until) },
            wait::Why::Seat(_) => WaitWhy::Seat,
            wait::Why::SourceBlind(text) => WaitWhy::SourceBlind { directory: id(&text, "Wait.source_blind")? },
        };
        Ok(Self { group: wait.group, person: id_if_any(wait.person.as_ref(), "Wait.person")?, why, edges: wait.edges })
    }
}

impl From<&Link> for wire::Link {
    fn from(link: &Link) -> Self {
        let (what, how) = match link {
            Link::Person { source, person, account, how } => (
                link::What::Person(link::Person {
                    source: source.to_string(),
                    person: person.to_string(),
                    account: account.to_string(),
                }),
                how,
            ),
            Link::Group { name, group, how } => {
                (link::What::Group(link::Group { name: name.clone(), group: group.to_string() }), how)
            }
        };
        Self { what: Some(what), how: how.number() }
    }
}

impl TryFrom<wire::Link> for Link {
    type Error = ContractError;

    fn try_from(link: wire::Link) -> Result<Self, ContractError> {
        let how = LinkHow::read(link.how, "Link.how")?;
        Ok(match need(link.what, "Link.what")? {
            link::What::Person(person) => Self::Person {
                source: id(&person.source, "Link.person.source")?,
                person: id(&person.person, "Link.person.person")?,
                account: id(&person.account, "Link.person.account")?,
                how,
            },
            link::What::Group(group) => {
                Self::Group { name: group.name, group: id(&group.group, "Link.group.group")?, how }
            }
        })
    }
}

impl From<&Seats> for wire::Seats {
    fn from(seats: &Seats) -> Self {
        Self {
            product: seats.product.clone(),
            limit: seats.limit,
            used: seats.used,
            gained: seats.gained,
            freed: seats.freed,
        }
    }
}

impl From<wire::Seats> for Seats {
    fn from(seats: wire::Seats) -> Self {
        Self { product: seats.product, limit: seats.limit, used: seats.used, gained: seats.gained, freed: seats.freed }
    }
}
