//! Steps and their reasons.

use model::{Edge, EdgeOp, Reason, Step, UserState};

use super::{Word, id, id_if_any, need, words};
use crate::{
    ContractError,
    wire::plan::{self as wire, reason, step},
};

words!(UserState, wire::UserState, [Active, Pending, Suspended, Archived, Deactivated, Uninvited, Deleted]);

impl From<&Step> for wire::Step {
    fn from(step: &Step) -> Self {
        let (what, reason) = match step {
            Step::CreateGroup { name, description, reason } => (
                step::What::CreateGroup(step::CreateGroup { name: name.clone(), description: description.clone() }),
                reason,
            ),
            Step::DeleteGroup { group, name, reason } => {
                (step::What::DeleteGroup(step::DeleteGroup { group: group.to_string(), name: name.clone() }), reason)
            }
            Step::GrantAccess { group, name, access, reason } => (
                step::What::GrantAccess(step::GrantAccess {
                    group: group.as_ref().map(ToString::to_string),
                    name: name.clone(),
                    access: Some(access.into()),
                }),
                reason,
            ),
            Step::Edge { edge, reason } => (step::What::Edge(edge.into()), reason),
            Step::Account { account, person, change, reason } => (
                step::What::Account(step::Account {
                    account: account.as_ref().map(ToString::to_string),
                    person: person.as_ref().map(ToString::to_string),
                    change: Some(change.into()),
                }),
                reason,
            ),
        };
        Self { what: Some(what), reason: Some(reason.into()) }
    }
}

impl TryFrom<wire::Step> for Step {
    type Error = ContractError;

    fn try_from(step: wire::Step) -> Result<Self, ContractError> {
        let reason = need(step.reason, "Step.reason")?.try_into()?;
        Ok(match need(step.what, "Step.what")? {
            step::What::CreateGroup(create) => {
                Self::CreateGroup { name: create.name, description: create.description, reason }
            }
            step::What::DeleteGroup(delete) => {
                Self::DeleteGroup { group: id(&delete.group, "Step.delete_group.group")?, name: delete.name, reason }
            }
            step::What::GrantAccess(grant) => Self::GrantAccess {
                group: id_if_any(grant.group.as_ref(), "Step.grant_access.group")?,
                name: grant.name,
                access: need(grant.access, "Step.grant_access.access")?.try_into()?,
                reason,
            },
            step::What::Edge(edge) => Self::Edge { edge: edge.try_into()?, reason },
            step::What::Account(account) => Self::Account {
                account: id_if_any(account.account.as_ref(), "Step.account.account")?,
                person: id_if_any(account.person.as_ref(), "Step.account.person")?,
                change: need(account.change, "Step.account.change")?.try_into()?,
                reason,
            },
        })
    }
}

impl From<&Edge> for wire::Edge {
    fn from(edge: &Edge) -> Self {
        Self {
            group: edge.group.as_ref().map(ToString::to_string),
            group_name: edge.group_name.clone(),
            account: edge.account.as_ref().map(ToString::to_string),
            person: edge.person.as_ref().map(ToString::to_string),
            op: edge.op.number(),
        }
    }
}

impl TryFrom<wire::Edge> for Edge {
    type Error = ContractError;

    fn try_from(edge: wire::Edge) -> Result<Self, ContractError> {
        Ok(Self {
            group: id_if_any(edge.group.as_ref(), "Edge.group")?,
            group_name: edge.group_name,
            account: id_if_any(edge.account.as_ref(), "Edge.account")?,
            person: id_if_any(edge.person.as_ref(), "Edge.person")?,
            op: EdgeOp::read(edge.op, "Edge.op")?,
        })
    }
}

impl From<&Reason> for wire::Reason {
    fn from(reason: &Reason) -> Self {
        let route = |rule: &model::RuleId, source: &model::DirectoryId, path: &[model::GroupId]| reason::Route {
            rule: rule.to_string(),
            source: source.to_string(),
            path: path.iter().map(ToString::to_string).collect(),
        };
        let why = match reason {
            Reason::Joined { rule, source, path } => reason::Why::Joined(route(rule, source, path)),
            Reason::Left { rule, source, path } => reason::Why::Left(route(rule, source, path)),
            Reason::Leaver { source, state } => {
                reason::Why::Leaver(reason::Leaver { source: source.to_string(), state: state.number() })
            }
            Reason::OutOfScope { source } => reason::Why::OutOfScope(source.to_string()),
            Reason::Drift { rule } => reason::Why::Drift(rule.to_string()),
            Reason::Conflict { rule } => reason::Why::Conflict(rule.to_string()),
            Reason::Policy { rule } => reason::Why::Policy(rule.to_string()),
            Reason::Missing { rule, source, group } => reason::Why::Missing(reason::Missing {
                rule: rule.to_string(),
                source: source.to_string(),
                group: group.as_ref().map(ToString::to_string),
            }),
            Reason::SourceDeleted { rule, source, group } => reason::Why::SourceDeleted(reason::SourceDeleted {
                rule: rule.to_string(),
                source: source.to_string(),
                group: group.to_string(),
            }),
            Reason::Access { rule } => reason::Why::Access(rule.to_string()),
            Reason::Provision { rule, source } => {
                reason::Why::Provision(reason::Provision { rule: rule.to_string(), source: source.to_string() })
            }
        };
        Self { why: Some(why) }
    }
}

impl TryFrom<wire::Reason> for Reason {
    type Error = ContractError;

    fn try_from(reason: wire::Reason) -> Result<Self, ContractError> {
        let rule = |text: &str| id(text, "Reason.rule");
        let source = |text: &str| id(text, "Reason.source");
        let path = |path: Vec<String>| path.iter().map(|group| id(group, "Reason.path")).collect::<Result<_, _>>();
        Ok(match need(reason.why, "Reason.why")? {
            reason::Why::Joined(route) => {
                Self::Joined { rule: rule(&route.rule)?, source: source(&route.source)?, path: path(route.path)? }
            }
            reason::Why::Left(route) => {
                Self::Left { rule: rule(&route.rule)?, source: source(&route.source)?, path: path(route.path)? }
            }
            reason::Why::Leaver(leaver) => Self::Leaver {
                source: source(&leaver.source)?,
                state: UserState::read(leaver.state, "Reason.leaver.state")?,
            },
            reason::Why::OutOfScope(text) => Self::OutOfScope { source: source(&text)? },
            reason::Why::Drift(text) => Self::Drift { rule: rule(&text)? },
            reason::Why::Conflict(text) => Self::Conflict { rule: rule(&text)? },
            reason::Why::Policy(text) => Self::Policy { rule: rule(&text)? },
            reason::Why::Missing(missing) => Self::Missing {
                rule: rule(&missing.rule)?,
                source: source(&missing.source)?,
                group: id_if_any(missing.group.as_ref(), "Reason.missing.group")?,
            },
            reason::Why::SourceDeleted(deleted) => Self::SourceDeleted {
                rule: rule(&deleted.rule)?,
                source: source(&deleted.source)?,
                group: id(&deleted.group, "Reason.source_deleted.group")?,
            },
            reason::Why::Access(text) => Self::Access { rule: rule(&text)? },
            reason::Why::Provision(provision) => {
                Self::Provision { rule: rule(&provision.rule)?, source: source(&provision.source)? }
            }
        })
    }
}
