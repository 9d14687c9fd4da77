//! Directory events, requests to verify, facts.

use model::Fact;

use super::{Word, each, id, need, words};
use crate::{
    ContractError, DirectoryEvent, EventKind, Verify,
    wire::directory::{self as wire, fact},
};

words!(EventKind, wire::EventKind, [Users, Groups, Members, Swept, Verified]);

impl From<&DirectoryEvent> for wire::DirectoryEvent {
    fn from(event: &DirectoryEvent) -> Self {
        Self {
            tenant: event.tenant.to_string(),
            directory: event.directory.to_string(),
            version: event.version,
            kind: event.kind.number(),
            ids: event.ids.clone(),
        }
    }
}

impl TryFrom<wire::DirectoryEvent> for DirectoryEvent {
    type Error = ContractError;

    fn try_from(event: wire::DirectoryEvent) -> Result<Self, ContractError> {
        Ok(Self {
            tenant: id(&event.tenant, "DirectoryEvent.tenant")?,
            directory: id(&event.directory, "DirectoryEvent.directory")?,
            version: event.version,
            kind: EventKind::read(event.kind, "DirectoryEvent.kind")?,
            ids: event.ids,
        })
    }
}

impl From<&Verify> for wire::Verify {
    fn from(verify: &Verify) -> Self {
        Self {
            tenant: verify.tenant.to_string(),
            directory: verify.directory.to_string(),
            facts: verify.facts.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Verify> for Verify {
    type Error = ContractError;

    fn try_from(verify: wire::Verify) -> Result<Self, ContractError> {
        Ok(Self {
            tenant: id(&verify.tenant, "Verify.tenant")?,
            directory: id(&verify.directory, "Verify.directory")?,
            facts: each(verify.facts)?,
        })
    }
}

impl From<&Fact> for wire::Fact {
    fn from(fact: &Fact) -> Self {
        let what = match fact {
            Fact::Member { group, user, .. } => {
                fact::What::Member(fact::Member { group: group.to_string(), user: user.to_string() })
            }
            Fact::Nested { group, nested, .. } => {
                fact::What::Nested(fact::Nested { group: group.to_string(), nested: nested.to_string() })
            }
            Fact::User { user, .. } => fact::What::User(user.to_string()),
            Fact::Group { group, .. } => fact::What::Group(group.to_string()),
        };
        Self { directory: fact.directory().to_string(), what: Some(what) }
    }
}

impl TryFrom<wire::Fact> for Fact {
    type Error = ContractError;

    fn try_from(fact: wire::Fact) -> Result<Self, ContractError> {
        let directory = id(&fact.directory, "Fact.directory")?;
        Ok(match need(fact.what, "Fact.what")? {
            fact::What::Member(member) => Self::Member {
                directory,
                group: id(&member.group, "Fact.member.group")?,
                user: id(&member.user, "Fact.member.user")?,
            },
            fact::What::Nested(nested) => Self::Nested {
                directory,
                group: id(&nested.group, "Fact.nested.group")?,
                nested: id(&nested.nested, "Fact.nested.nested")?,
            },
            fact::What::User(user) => Self::User { directory, user: id(&user, "Fact.user")? },
            fact::What::Group(group) => Self::Group { directory, group: id(&group, "Fact.group")? },
        })
    }
}
