//! Commands.

use model::{Access, AccountChange, Command, CommandBody, CommandId, EdgeChange, EdgeOp, Lane};
use uuid::Uuid;

use super::{Word, bytes, each, id, id_if_any, need, words};
use crate::{
    ContractError,
    wire::command::{self as wire, AccountVerb, access, command},
};

words!(Lane, wire::Lane, [Urgent, Normal, Bulk]);
words!(EdgeOp, wire::EdgeOp, [Remove, Add]);

/// Who takes over projects, among the attributes of a hand-over.
const LEAD_PROJECT: &str = "lead.project";
/// Who takes over components.
const LEAD_COMPONENT: &str = "lead.component";

/// A command's id from its bytes.
pub(super) fn command_id(text: &[u8], field: &'static str) -> Result<CommandId, ContractError> {
    Ok(CommandId(Uuid::from_bytes(bytes(text, field)?)))
}

impl From<&Command> for wire::Command {
    fn from(command: &Command) -> Self {
        Self {
            id: command.id.0.as_bytes().to_vec(),
            tenant: command.tenant.to_string(),
            target: command.target.to_string(),
            lane: command.lane.number(),
            body: Some((&command.body).into()),
        }
    }
}

impl TryFrom<wire::Command> for Command {
    type Error = ContractError;

    fn try_from(command: wire::Command) -> Result<Self, ContractError> {
        Ok(Self {
            id: command_id(&command.id, "Command.id")?,
            tenant: id(&command.tenant, "Command.tenant")?,
            target: id(&command.target, "Command.target")?,
            lane: Lane::read(command.lane, "Command.lane")?,
            body: need(command.body, "Command.body")?.try_into()?,
        })
    }
}

impl From<&CommandBody> for command::Body {
    fn from(body: &CommandBody) -> Self {
        match body {
            CommandBody::CreateGroup { name, description } => {
                Self::CreateGroup(command::CreateGroup { name: name.clone(), description: description.clone() })
            }
            CommandBody::DeleteGroup { group, generation } => {
                Self::DeleteGroup(command::DeleteGroup { group: group.to_string(), generation: *generation })
            }
            CommandBody::GrantAccess { group, access, generation } => Self::GrantAccess(command::GrantAccess {
                group: group.to_string(),
                access: Some(access.into()),
                generation: *generation,
            }),
            CommandBody::Edges { group, generation, edges } => Self::Edges(command::Edges {
                group: group.to_string(),
                generation: *generation,
                edges: edges.iter().map(Into::into).collect(),
            }),
            CommandBody::Account { account, person, change, generation } => Self::Account(command::Account {
                account: account.as_ref().map(ToString::to_string),
                person: person.to_string(),
                change: Some(change.into()),
                generation: *generation,
            }),
        }
    }
}

impl TryFrom<command::Body> for CommandBody {
    type Error = ContractError;

    fn try_from(body: command::Body) -> Result<Self, ContractError> {
        Ok(match body {
            command::Body::CreateGroup(create) => {
                if create.name.is_empty() {
                    return Err(ContractError::Missing { field: "Command.create_group.name" });
                }
                Self::CreateGroup { name: create.name, description: create.description }
            }
            command::Body::DeleteGroup(delete) => Self::DeleteGroup {
                group: id(&delete.group, "Command.delete_group.group")?,
                generation: delete.generation,
            },
            command::Body::GrantAccess(grant) => Self::GrantAccess {
                group: id(&grant.group, "Command.grant_access.group")?,
                access: need(grant.access, "Command.grant_access.access")?.try_into()?,
                generation: grant.generation,
            },
            command::Body::Edges(edges) => Self::Edges {
                group: id(&edges.group, "Command.edges.group")?,
                generation: edges.generation,
                edges: each(edges.edges)?,
            },
            command::Body::Account(account) => Self::Account {
                account: id_if_any(account.account.as_ref(), "Command.account.account")?,
                person: id(&account.person, "Command.account.person")?,
                change: need(account.change, "Command.account.change")?.try_into()?,
                generation: account.generation,
            },
        })
    }
}

impl From<&Access> for wire::Access {
    fn from(access: &Access) -> Self {
        let what = match access {
            Access::Product { product, site, role } => access::What::Product(access::Product {
                product: product.clone(),
                site: site.clone(),
                role: role.clone(),
            }),
            Access::Portal { desk } => access::What::Portal(desk.clone()),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<wire::Access> for Access {
    type Error = ContractError;

    fn try_from(access: wire::Access) -> Result<Self, ContractError> {
        Ok(match need(access.what, "Access.what")? {
            access::What::Product(it) => Self::Product { product: it.product, site: it.site, role: it.role },
            access::What::Portal(desk) => Self::Portal { desk },
        })
    }
}

impl From<&EdgeChange> for wire::EdgeChange {
    fn from(edge: &EdgeChange) -> Self {
        Self { account: edge.account.to_string(), op: edge.op.number(), person_generation: edge.person_generation }
    }
}

impl TryFrom<wire::EdgeChange> for EdgeChange {
    type Error = ContractError;

    fn try_from(edge: wire::EdgeChange) -> Result<Self, ContractError> {
        Ok(Self {
            account: id(&edge.account, "EdgeChange.account")?,
            op: EdgeOp::read(edge.op, "EdgeChange.op")?,
            person_generation: edge.person_generation,
        })
    }
}

impl From<&AccountChange> for wire::AccountChange {
    fn from(change: &AccountChange) -> Self {
        let (verb, attributes) = match change {
            AccountChange::Create { attributes } => (AccountVerb::Create, attributes.clone()),
            AccountChange::Update { attributes } => (AccountVerb::Update, attributes.clone()),
            AccountChange::Deactivate => (AccountVerb::Deactivate, std::collections::BTreeMap::new()),
            AccountChange::Restore => (AccountVerb::Restore, std::collections::BTreeMap::new()),
            AccountChange::Suspend => (AccountVerb::Suspend, std::collections::BTreeMap::new()),
            AccountChange::Remove => (AccountVerb::Remove, std::collections::BTreeMap::new()),
            AccountChange::HandOver { project, component } => {
                let leads = [(LEAD_PROJECT, project), (LEAD_COMPONENT, component)];
                let named = leads.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name.clone()?)));
                (AccountVerb::HandOver, named.collect())
            }
        };
        Self { verb: verb.into(), attributes }
    }
}

impl TryFrom<wire::AccountChange> for AccountChange {
    type Error = ContractError;

    fn try_from(mut change: wire::AccountChange) -> Result<Self, ContractError> {
        let field = "AccountChange.verb";
        match AccountVerb::try_from(change.verb) {
            Ok(AccountVerb::Create) => Ok(Self::Create { attributes: change.attributes }),
            Ok(AccountVerb::Update) => Ok(Self::Update { attributes: change.attributes }),
            Ok(AccountVerb::Deactivate) => Ok(Self::Deactivate),
            Ok(AccountVerb::Restore) => Ok(Self::Restore),
            Ok(AccountVerb::Suspend) => Ok(Self::Suspend),
            Ok(AccountVerb::Remove) => Ok(Self::Remove),
            Ok(AccountVerb::HandOver) => Ok(Self::HandOver {
                project: change.attributes.remove(LEAD_PROJECT),
                component: change.attributes.remove(LEAD_COMPONENT),
            }),
            Ok(AccountVerb::Unspecified) => Err(ContractError::Missing { field }),
            Err(_) => Err(ContractError::UnknownValue { field, value: change.verb }),
        }
    }
}
