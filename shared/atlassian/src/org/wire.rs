//! People and groups as an organization shows them (reference/atlassian-cloud.md §1).

use model::{AccountId, Email, Group, GroupId, Ownership, User, UserState};
use serde::Deserialize;
use serde_json::Value;

pub(super) fn user(row: Value) -> Option<User> {
    serde_json::from_value::<WireUser>(row).ok().map(WireUser::user)
}

pub(super) fn group(row: Value) -> Option<Group> {
    serde_json::from_value::<WireGroup>(row).ok().map(WireGroup::group)
}

pub(super) fn account_id(row: Value) -> Option<AccountId> {
    row.get("accountId").and_then(Value::as_str).and_then(|text| AccountId::new(text).ok())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    account_id: AccountId,
    #[serde(default)]
    status: String,
    account_status: String,
    #[serde(default)]
    membership_status: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    platform_roles: Vec<Value>,
    #[serde(default)]
    job_title: Option<String>,
    #[serde(default)]
    department: Option<String>,
    #[serde(default)]
    organization: Option<String>,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    claim_status: Option<String>,
    #[serde(default)]
    management_source: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    id: GroupId,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    management_access: Option<Access>,
    #[serde(default)]
    external_synced: bool,
    #[serde(default)]
    managed_by: Option<String>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(default)]
    modifiable: Option<bool>,
}

impl WireUser {
    fn user(self) -> User {
        let state = match (self.account_status.as_str(), self.membership_status.as_str(), self.status.as_str()) {
            ("closed", ..) => UserState::Deleted,
            ("inactive", ..) | (_, _, "for_deletion" | "deactivated") => UserState::Deactivated,
            (_, "suspended", _) | (_, _, "suspended") => UserState::Suspended,
            // The account works, and this directory does not know it: it can be in no group until it is invited.
            (_, "no_membership", _) | (_, _, "not_invited") => UserState::Uninvited,
            _ => UserState::Active,
        };
        let admin = self.platform_roles.iter().any(|role| {
            let name = role.as_str().or_else(|| role.get("role").and_then(Value::as_str)).unwrap_or_default();
            name.contains("org-admin") || name.contains("site-admin")
        });
        // Who is deactivated may still be a member, whom an entry may want removed: it is told of those who are none.
        let gone = state == UserState::Deactivated && self.membership_status == "no_membership";
        // By the names that a policy maps them under.
        let profile = [
            ("title", self.job_title),
            ("department", self.department),
            ("organization", self.organization),
            ("location", self.location),
            ("timezone", self.time_zone),
            // Whose it is to change: the planner asks for no update that only another can make.
            ("claimStatus", self.claim_status),
            ("managementSource", self.management_source),
            ("membershipStatus", gone.then_some(self.membership_status)),
        ];
        let told = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value.filter(|it| !it.is_empty())?));
        User {
            display_name: self.name,
            state,
            admin,
            attributes: profile.into_iter().filter_map(told).collect(),
            ..User::new(self.account_id, self.email.and_then(|text| Email::new(text).ok()))
        }
    }
}

impl WireGroup {
    /// A group that an identity provider owns is read-only to everybody else (reference/atlassian-cloud.md §0).
    fn group(self) -> Group {
        let fixed = self.management_access.is_some_and(|access| access.modifiable == Some(false));
        let ownership = match self.managed_by.as_deref() {
            Some("team-members" | "open") => Ownership::Members,
            Some("external") => Ownership::IdentityProvider,
            _ if self.external_synced || fixed => Ownership::IdentityProvider,
            _ => Ownership::Local,
        };
        Group { ownership, description: self.description.unwrap_or_default(), ..Group::new(self.id, self.name) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[test]
    fn the_composite_status_is_taken_apart() {
        let state = |account: &str, membership: &str, status: &str| {
            let row =
                json!({"accountId": "a", "accountStatus": account, "membershipStatus": membership, "status": status});
            user(row).unwrap().state
        };
        assert_eq!(state("active", "active", "active"), UserState::Active);
        assert_eq!(state("active", "suspended", "suspended"), UserState::Suspended);
        assert_eq!(state("active", "no_membership", "not_invited"), UserState::Uninvited);
        assert_eq!(state("inactive", "active", "deactivated"), UserState::Deactivated);
        assert_eq!(state("active", "active", "for_deletion"), UserState::Deactivated);
        assert_eq!(state("closed", "active", "deactivated"), UserState::Deleted);
    }

    #[test]
    fn what_an_account_says_of_itself_is_told_and_what_it_leaves_open_is_not() {
        let row = json!({"accountId": "a", "accountStatus": "active", "jobTitle": "Lead", "department": "", "timeZone": null,
            "claimStatus": "managed", "managementSource": null});
        let told = user(row).unwrap().attributes;
        let expected = [("title", "Lead"), ("claimStatus", "managed")];
        assert_eq!(told, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn of_who_is_deactivated_it_is_told_who_is_no_member() {
        let told = |account: &str, membership: &str| {
            let row = json!({"accountId": "a", "accountStatus": account, "membershipStatus": membership});
            user(row).unwrap().attributes.get("membershipStatus").cloned()
        };
        assert_eq!(told("inactive", "no_membership").as_deref(), Some("no_membership"));
        assert_eq!((told("inactive", "active"), told("active", "no_membership")), (None, None));
    }

    #[test]
    fn who_owns_a_group_is_read_from_three_places() {
        let owner = |extra: Value| {
            let mut row = json!({"id": "g", "name": "eng"});
            row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            group(row).unwrap().ownership
        };
        assert_eq!(owner(json!({"managedBy": "admins", "managementAccess": {"modifiable": true}})), Ownership::Local);
        assert_eq!(owner(json!({"managedBy": "external"})), Ownership::IdentityProvider);
        assert_eq!(owner(json!({"externalSynced": true})), Ownership::IdentityProvider);
        assert_eq!(owner(json!({"managementAccess": {"modifiable": false}})), Ownership::IdentityProvider);
        assert_eq!(owner(json!({"managedBy": "team-members"})), Ownership::Members);
        assert_eq!(owner(json!({})), Ownership::Local);
    }
}
