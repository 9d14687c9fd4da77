//! One way to change any target.

use std::ops::Range;

use model::{Access, AccountChange, AccountId, Disposition, EdgeOp, GroupId, Lane};
use outbound::{Client, Request, Sense, Turn};
use serde_json::Value;

use crate::{
    Answered, ConfluenceWriter, CustomersWriter, DcWriter, JiraWriter, Look, OrgWriter, ScimWriter, customers,
    scim::MEMBERS_PER_PATCH,
};

/// A target that can be changed.
///
/// Every method makes one call (and the reads that its answer needs) and repeats nothing; its requests are named after the
/// turn's attempt.
#[derive(Debug, Clone)]
pub enum Target {
    /// An organization.
    Org(OrgWriter),
    /// A provisioning directory.
    Scim(ScimWriter),
    /// A Jira site that owns its groups.
    Jira(JiraWriter),
    /// A Confluence site that owns its groups.
    Confluence(ConfluenceWriter),
    /// An instance of Data Center.
    DataCenter(DcWriter),
    /// A list of customers of a site.
    Customers(CustomersWriter),
}

impl Target {
    /// The client behind it: its budget, its clock and its time-out.
    pub const fn client(&self) -> &Client {
        match self {
            Self::Org(writer) => writer.client(),
            Self::Scim(writer) => writer.client(),
            Self::Jira(writer) => writer.client(),
            Self::Confluence(writer) => writer.client(),
            Self::DataCenter(writer) => writer.client(),
            Self::Customers(writer) => writer.client(),
        }
    }

    /// How many memberships of one group one call changes at most.
    pub const fn edges_per_call(&self) -> usize {
        match self {
            Self::Scim(_) => MEMBERS_PER_PATCH,
            Self::DataCenter(writer) => writer.edges_per_call(),
            Self::Customers(_) => customers::CUSTOMERS_PER_CALL,
            Self::Org(_) | Self::Jira(_) | Self::Confluence(_) => 1,
        }
    }

    /// The places of the changes that go in one call each, for these changes of one group in their order.
    pub fn calls(&self, changes: &[EdgeOp]) -> Vec<Range<usize>> {
        if let Self::DataCenter(writer) = self {
            return writer.calls(changes);
        }
        if let Self::Customers(_) = self {
            return customers::calls(changes);
        }
        let (size, count) = (self.edges_per_call().max(1), changes.len());
        (0..count).step_by(size).map(|from| from..from.saturating_add(size).min(count)).collect()
    }

    /// Changes memberships of one group: at most [`Target::edges_per_call`] of them. What is refused, is refused whole.
    pub async fn change_members(&self, turn: &Turn, group: &GroupId, edges: &[(AccountId, EdgeOp)]) -> Answered {
        match (self, edges) {
            (Self::Scim(writer), _) => writer.patch_members(turn, group, edges).await,
            (Self::DataCenter(writer), _) => writer.change_members(turn, group, edges).await,
            (Self::Org(writer), [(account, op)]) => writer.change_member(turn, group, account, *op).await,
            (Self::Jira(writer), [(account, op)]) => writer.change_member(turn, group, account, *op).await,
            (Self::Confluence(writer), [(account, op)]) => writer.change_member(turn, group, account, *op).await,
            (Self::Customers(writer), _) => writer.change_members(turn, group, edges).await,
            (Self::Org(_) | Self::Jira(_) | Self::Confluence(_), _) => {
                not_here("this API changes one membership a call")
            }
        }
    }

    /// Creates a group. When the answer leaves it open whether it exists, the disposition says `Look` or `Unknown`.
    pub async fn create_group(&self, turn: &Turn, name: &str, description: &str) -> Answered {
        match self {
            Self::Org(writer) => writer.create_group(turn, name, description).await,
            Self::Scim(writer) => writer.create_group(turn, name).await,
            Self::Jira(writer) => writer.create_group(turn, name).await,
            Self::Confluence(writer) => writer.create_group(turn, name).await,
            Self::DataCenter(writer) => writer.create_group(turn, name, description).await,
            Self::Customers(writer) => writer.create_group(turn, name).await,
        }
    }

    /// Deletes a group.
    pub async fn delete_group(&self, turn: &Turn, group: &GroupId) -> Answered {
        match self {
            Self::Org(writer) => writer.delete_group(turn, group).await,
            Self::Scim(writer) => writer.delete_group(turn, group).await,
            Self::Jira(writer) => writer.delete_group(turn, group).await,
            Self::Confluence(writer) => writer.delete_group(turn, group).await,
            Self::DataCenter(writer) => writer.delete_group(turn, group).await,
            Self::Customers(writer) => writer.delete_group(turn, group).await,
        }
    }

    /// Has a group give something. Giving what is given already changes nothing.
    pub async fn grant_access(&self, turn: &Turn, group: &GroupId, access: &Access) -> Answered {
        match self {
            Self::Org(writer) => writer.grant_access(turn, group, access).await,
            Self::Customers(writer) => writer.grant_access(turn, group, access).await,
            Self::Scim(_) | Self::Jira(_) | Self::Confluence(_) => {
                not_here("what a group gives is changed through the organization")
            }
            Self::DataCenter(_) => not_here("what a group of Data Center gives is set in the product's own settings"),
        }
    }

    /// Changes one account.
    pub async fn change_account(
        &self,
        turn: &Turn,
        account: Option<&AccountId>,
        person: &AccountId,
        change: &AccountChange,
    ) -> Answered {
        match self {
            Self::Scim(writer) => writer.change_account(turn, account, person, change).await,
            Self::DataCenter(writer) => writer.change_account(turn, account, change).await,
            Self::Customers(writer) => writer.change_account(turn, change).await,
            Self::Org(writer) => writer.change_account(turn, account, change).await,
            Self::Jira(_) | Self::Confluence(_) => {
                not_here("accounts are changed through the organization or user provisioning")
            }
        }
    }

    /// The group with exactly this name, if there is one.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_group(&self, lane: Lane, name: &str) -> Result<Option<GroupId>, Answered> {
        match self {
            Self::Org(writer) => writer.find_group(lane, name).await,
            Self::Scim(writer) => writer.find_group(lane, name).await,
            Self::Jira(writer) => writer.find_group(lane, name).await,
            Self::Confluence(writer) => writer.find_group(lane, name).await,
            Self::DataCenter(writer) => writer.find_group(lane, name).await,
            Self::Customers(writer) => writer.find_group(lane, name).await,
        }
    }

    /// What an unclear change of an account left behind: the account as it should be, named; `None`: it is not so.
    /// `ours`: an attempt of ours came to no clear answer, so that what is there may be its doing; without, only what
    /// proves to be the person is.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_account(
        &self,
        lane: Lane,
        account: Option<&AccountId>,
        person: &AccountId,
        change: &AccountChange,
        ours: bool,
    ) -> Result<Option<Answered>, Answered> {
        if let Self::Customers(writer) = self {
            return writer.find_account(lane, change).await;
        }
        if let Self::Org(writer) = self {
            return writer.find_account(lane, account, change).await;
        }
        if let Self::DataCenter(writer) = self {
            return writer.find_account(lane, account, change, ours).await;
        }
        let Self::Scim(writer) = self else { return Err(not_here("accounts are changed through user provisioning")) };
        match (change, account) {
            (AccountChange::Create { .. }, _) => writer.find_account(lane, person).await,
            // Setting the same attributes again is setting them.
            (AccountChange::Update { .. } | AccountChange::Suspend | AccountChange::Remove, _) | (_, None) => Ok(None),
            (AccountChange::Deactivate | AccountChange::Restore | AccountChange::HandOver { .. }, Some(account)) => {
                let wanted = matches!(change, AccountChange::Restore);
                let found = writer.is_active(lane, account).await?;
                Ok((found == Some(wanted)).then(|| Answered {
                    disposition: Disposition::AlreadySo,
                    status: None,
                    text: String::new(),
                    group: None,
                    account: Some(account.clone()),
                    behind: None,
                }))
            }
        }
    }

    /// Whether the account is a member of the group, now.
    pub async fn look_member(&self, lane: Lane, group: &GroupId, account: &AccountId) -> Look {
        match self {
            Self::Org(writer) => writer.look_member(lane, group, account).await,
            Self::Scim(writer) => writer.look_member(lane, group, account).await,
            Self::Jira(writer) => writer.look_member(lane, group, account).await,
            Self::Confluence(writer) => writer.look_member(lane, group, account).await,
            Self::DataCenter(writer) => writer.look_member(lane, group, account).await,
            Self::Customers(writer) => writer.look_member(lane, group, account).await,
        }
    }
}

/// What is not to be had at this target, or not in this form.
pub(crate) fn not_here(text: &str) -> Answered {
    Answered {
        disposition: Disposition::Reject(model::Rejection::Validation),
        status: None,
        text: text.to_owned(),
        group: None,
        account: None,
        behind: None,
    }
}

/// A read with its retries: `None` when the vendor says that it does not exist.
pub(crate) async fn look(client: &Client, request: &Request) -> Result<Option<Value>, Answered> {
    let answer = client.read(request).await.map_err(|error| Answered::failed(&error))?;
    if client.sense(&answer) == Sense::Judged && answer.status.as_u16() == 404 {
        return Ok(None);
    }
    let judged = Answered::of(client, &answer, |_, _, _| Disposition::Unknown);
    if judged.disposition != Disposition::Done {
        return Err(judged);
    }
    answer.json().map(Some).map_err(|text| Answered { text, ..judged.with(Disposition::Unknown) })
}

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a JSON pointer; empty when there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
