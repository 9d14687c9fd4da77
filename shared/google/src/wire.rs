//! Google's rows as they come, and what they mean. Fields that decide are strict, the rest is tolerant.

use std::collections::BTreeMap;

use model::{AccountId, Email, Group, GroupId, Member, MemberKind, Ownership, Role, Standing, User, UserState};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Partial response of users.list. `nextPageToken` must be named, or a list of two pages looks like a list of one
/// (reference/google.md §1.2).
pub(crate) const USERS_FIELDS: &str = "nextPageToken,users(id,customerId,primaryEmail,aliases,nonEditableAliases,\
    name(givenName,familyName,fullName),suspended,archived,orgUnitPath,isAdmin,isDelegatedAdmin,isGuestUser,\
    externalIds,organizations,locations,relations)";
/// Partial response of users.list for those who were deleted.
pub(crate) const DELETED_FIELDS: &str = "nextPageToken,users(id,primaryEmail,deletionTime)";
/// Partial response of groups.list.
pub(crate) const GROUPS_FIELDS: &str =
    "nextPageToken,groups(id,email,name,description,aliases,nonEditableAliases,directMembersCount)";
/// Partial response of members.list.
pub(crate) const MEMBERS_FIELDS: &str = "nextPageToken,members(id,email,role,type,status)";
/// Partial response of users.get.
pub(crate) const USER_FIELDS: &str = "id,primaryEmail,aliases,nonEditableAliases,\
    name(givenName,familyName,fullName),suspended,archived,orgUnitPath,isAdmin,isDelegatedAdmin,isGuestUser,\
    externalIds,organizations,locations,relations";
/// Partial response of groups.get.
pub(crate) const GROUP_FIELDS: &str = "id,email,name,description,aliases,nonEditableAliases,directMembersCount";
/// Partial response of members.get.
pub(crate) const MEMBER_FIELDS: &str = "id,email,role,type,status";

/// Addresses with this ending are service accounts, which come as people (reference/google.md §7, quirk 6).
const SERVICE_ACCOUNTS: &str = ".gserviceaccount.com";

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireUser {
    pub(crate) id: AccountId,
    /// Whose user it is; named in lists only.
    #[serde(default)]
    pub(crate) customer_id: Option<String>,
    primary_email: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    non_editable_aliases: Option<Vec<String>>,
    #[serde(default)]
    name: Option<WireName>,
    #[serde(default)]
    suspended: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    org_unit_path: Option<String>,
    #[serde(default)]
    is_admin: bool,
    #[serde(default)]
    is_delegated_admin: bool,
    #[serde(default)]
    is_guest_user: bool,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct WireName {
    #[serde(rename = "givenName")]
    given: Option<String>,
    #[serde(rename = "familyName")]
    family: Option<String>,
    #[serde(rename = "fullName")]
    full: Option<String>,
}

/// A row of the list of those who were deleted in the last 20 days: little more than an id.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireDeleted {
    pub(crate) id: AccountId,
    #[serde(default)]
    primary_email: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireGroup {
    pub(crate) id: GroupId,
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    non_editable_aliases: Option<Vec<String>>,
    /// A number in a string; some samples show a number.
    #[serde(default)]
    direct_members_count: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WireMember {
    id: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    role: Option<String>,
    /// Strict: a member whose kind is missing must not turn into one that counts for nobody.
    r#type: String,
    #[serde(default)]
    status: Option<String>,
}

/// A member with what is needed to know the person behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenMember {
    pub(crate) member: Member,
    pub(crate) email: Option<Email>,
    /// Google gives a status only for people that the customer manages.
    pub(crate) managed: bool,
}

impl WireUser {
    /// The person. `None`: a guest of the customer, who is known by membership only, like others from outside
    /// (reference/google.md §7, quirk 23).
    pub(crate) fn user(self) -> Option<User> {
        if self.is_guest_user {
            return None;
        }
        let name = self.name.unwrap_or_default();
        let state = match (self.suspended, self.archived) {
            (true, _) => UserState::Suspended,
            (false, true) => UserState::Archived,
            (false, false) => UserState::Active,
        };
        Some(User {
            email: Email::new(&self.primary_email).ok(),
            aliases: addresses(self.aliases, self.non_editable_aliases),
            display_name: name.full,
            given_name: name.given,
            family_name: name.family,
            state,
            org_unit: self.org_unit_path,
            admin: self.is_admin || self.is_delegated_admin,
            attributes: attributes(&self.rest),
            ..User::new(self.id, None)
        })
    }
}

impl WireDeleted {
    pub(crate) fn user(self) -> User {
        let email = self.primary_email.and_then(|text| Email::new(text).ok());
        User { state: UserState::Deleted, ..User::new(self.id, email) }
    }
}

impl WireGroup {
    pub(crate) fn group(self) -> (Group, Option<u64>) {
        let count = match &self.direct_members_count {
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
            None => None,
        };
        let group = Group {
            email: Email::new(&self.email).ok(),
            aliases: addresses(self.aliases, self.non_editable_aliases),
            description: self.description,
            ownership: Ownership::Local,
            ..Group::new(self.id, self.name)
        };
        (group, count)
    }
}

impl WireMember {
    /// What the member is (reference/google.md §1.6). `None`: the row has an id that is none.
    pub(crate) fn seen(self) -> Option<SeenMember> {
        let email = self.email.as_deref().filter(|text| !text.is_empty());
        let robot = email.is_some_and(|text| text.to_ascii_lowercase().ends_with(SERVICE_ACCOUNTS));
        let kind = match self.r#type.as_str() {
            "USER" | "EXTERNAL" if robot => MemberKind::Other(self.id),
            "USER" | "EXTERNAL" => MemberKind::User(AccountId::new(self.id).ok()?),
            "GROUP" => MemberKind::Group(GroupId::new(self.id).ok()?),
            "CUSTOMER" => MemberKind::Everyone(self.id),
            _ => MemberKind::Other(self.id),
        };
        let role = self.role.as_deref().and_then(Role::parse).unwrap_or_default();
        let email = email.and_then(|text| Email::new(text).ok());
        Some(SeenMember { member: Member { kind, role }, email, managed: self.status.is_some() })
    }
}

impl SeenMember {
    /// The person behind a member who is not in the customer's own list.
    pub(crate) fn outsider(&self) -> Option<User> {
        let MemberKind::User(id) = &self.member.kind else { return None };
        Some(User { standing: Standing::Unlisted, ..User::new(id.clone(), self.email.clone()) })
    }

    /// The group behind a member that is not in the customer's own list: it cannot be read.
    pub(crate) fn opaque_group(&self) -> Option<Group> {
        let MemberKind::Group(id) = &self.member.kind else { return None };
        let name = self.email.as_ref().map_or_else(|| id.to_string(), |email| email.as_written().to_owned());
        Some(Group { email: self.email.clone(), opaque: true, ..Group::new(id.clone(), name) })
    }
}

fn addresses(one: Option<Vec<String>>, other: Option<Vec<String>>) -> Vec<Email> {
    let all = one.into_iter().flatten().chain(other.into_iter().flatten());
    let mut addresses: Vec<Email> = all.filter_map(|text| Email::new(text).ok()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Attributes by their path: `organizations[primary].department`, `externalIds[organization].value`,
/// `relations[manager].value`. These fields are lists of objects, or text for very old clients' data, or absent.
fn attributes(rest: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for field in ["organizations", "locations", "externalIds", "relations"] {
        let Some(Value::Array(rows)) = rest.get(field) else { continue };
        for (index, row) in rows.iter().enumerate() {
            let Value::Object(row) = row else { continue };
            let kind = row.get("type").and_then(Value::as_str).filter(|kind| *kind != "custom");
            let kind = kind.or_else(|| row.get("customType").and_then(Value::as_str));
            let primary = row.get("primary").and_then(Value::as_bool).unwrap_or(rows.len() == 1 && index == 0);
            for (key, value) in row {
                let (Value::String(text), false) = (value, matches!(key.as_str(), "type" | "customType")) else {
                    continue;
                };
                if primary {
                    found.entry(format!("{field}[primary].{key}")).or_insert_with(|| text.clone());
                }
                if let Some(kind) = kind {
                    found.entry(format!("{field}[{kind}].{key}")).or_insert_with(|| text.clone());
                }
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
