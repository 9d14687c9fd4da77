//! Outcomes and notices of dead letters.

use model::{EdgeOp, EdgeOutcome, Outcome, Rejection, StepResult, TenantId, Time};

use super::{Word, command::command_id, each, id, id_if_any, need, words};
use crate::{
    ContractError, DeadLetterNotice,
    subjects::UNKNOWN_TENANT,
    wire::command::{self as wire, ResultKind},
};

words!(Rejection, wire::Rejection, [Auth, Ownership, Licence, UnknownUser, UnknownGroup, Conflict, Validation]);

impl From<&Outcome> for wire::Outcome {
    fn from(outcome: &Outcome) -> Self {
        Self {
            command: outcome.command.0.as_bytes().to_vec(),
            tenant: outcome.tenant.to_string(),
            target: outcome.target.to_string(),
            at: outcome.at.0,
            result: Some(outcome.result.into()),
            edges: outcome.edges.iter().map(Into::into).collect(),
            group: outcome.group.as_ref().map(ToString::to_string),
            account: outcome.account.as_ref().map(ToString::to_string),
            behind: outcome.behind.as_ref().map(ToString::to_string),
        }
    }
}

impl TryFrom<wire::Outcome> for Outcome {
    type Error = ContractError;

    fn try_from(outcome: wire::Outcome) -> Result<Self, ContractError> {
        Ok(Self {
            command: command_id(&outcome.command, "Outcome.command")?,
            tenant: id(&outcome.tenant, "Outcome.tenant")?,
            target: id(&outcome.target, "Outcome.target")?,
            at: Time(outcome.at),
            result: need(outcome.result, "Outcome.result")?.try_into()?,
            edges: each(outcome.edges)?,
            group: id_if_any(outcome.group.as_ref(), "Outcome.group")?,
            account: id_if_any(outcome.account.as_ref(), "Outcome.account")?,
            behind: id_if_any(outcome.behind.as_ref(), "Outcome.behind")?,
        })
    }
}

impl From<&EdgeOutcome> for wire::EdgeOutcome {
    fn from(edge: &EdgeOutcome) -> Self {
        Self {
            group: edge.group.to_string(),
            account: edge.account.to_string(),
            op: edge.op.number(),
            result: Some(edge.result.into()),
            confirmed_at: edge.confirmed_at.map(|at| at.0),
        }
    }
}

impl TryFrom<wire::EdgeOutcome> for EdgeOutcome {
    type Error = ContractError;

    fn try_from(edge: wire::EdgeOutcome) -> Result<Self, ContractError> {
        Ok(Self {
            group: id(&edge.group, "EdgeOutcome.group")?,
            account: id(&edge.account, "EdgeOutcome.account")?,
            op: EdgeOp::read(edge.op, "EdgeOutcome.op")?,
            result: need(edge.result, "EdgeOutcome.result")?.try_into()?,
            confirmed_at: edge.confirmed_at.map(Time),
        })
    }
}

impl From<StepResult> for wire::StepResult {
    fn from(result: StepResult) -> Self {
        let (kind, rejection) = match result {
            StepResult::Done => (ResultKind::Done, 0),
            StepResult::AlreadySo => (ResultKind::AlreadySo, 0),
            StepResult::Outdated => (ResultKind::Outdated, 0),
            StepResult::Rejected(class) => (ResultKind::Rejected, class.number()),
            StepResult::Unknown => (ResultKind::Unknown, 0),
            StepResult::NotTried => (ResultKind::NotTried, 0),
        };
        Self { kind: kind.into(), rejection }
    }
}

impl TryFrom<wire::StepResult> for StepResult {
    type Error = ContractError;

    fn try_from(result: wire::StepResult) -> Result<Self, ContractError> {
        let field = "StepResult.kind";
        match ResultKind::try_from(result.kind) {
            Ok(ResultKind::Done) => Ok(Self::Done),
            Ok(ResultKind::AlreadySo) => Ok(Self::AlreadySo),
            Ok(ResultKind::Outdated) => Ok(Self::Outdated),
            Ok(ResultKind::Rejected) => Rejection::read(result.rejection, "StepResult.rejection").map(Self::Rejected),
            Ok(ResultKind::Unknown) => Ok(Self::Unknown),
            Ok(ResultKind::NotTried) => Ok(Self::NotTried),
            Ok(ResultKind::Unspecified) => Err(ContractError::Missing { field }),
            Err(_) => Err(ContractError::UnknownValue { field, value: result.kind }),
        }
    }
}

impl From<&DeadLetterNotice> for wire::DeadLetterNotice {
    fn from(notice: &DeadLetterNotice) -> Self {
        Self {
            tenant: notice.tenant.as_ref().map_or(UNKNOWN_TENANT, TenantId::as_str).to_owned(),
            target: notice.target.clone(),
            id: notice.id,
            reason: notice.reason.clone(),
            subject: notice.subject.clone(),
            payload: notice.payload.clone(),
        }
    }
}

impl TryFrom<wire::DeadLetterNotice> for DeadLetterNotice {
    type Error = ContractError;

    fn try_from(notice: wire::DeadLetterNotice) -> Result<Self, ContractError> {
        let tenant = match notice.tenant.as_str() {
            UNKNOWN_TENANT => None,
            text => Some(id(text, "DeadLetterNotice.tenant")?),
        };
        Ok(Self {
            tenant,
            target: notice.target,
            id: notice.id,
            reason: notice.reason,
            subject: notice.subject,
            payload: notice.payload,
        })
    }
}
