//! Users, groups, lists and errors (RFC 7643 §4, RFC 7644 §3.4.2 and §3.12).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::case::fold;

/// Schema of users.
pub const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Schema of groups.
pub const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// Schema of what enterprises add to users.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Atlassian's extension in answers: the bridge from a SCIM id to an account (reference/atlassian-cloud.md §3.3).
pub const ATLASSIAN_EXTERNAL: &str = "urn:scim:schemas:extension:atlassian-external:1.0";

/// Names whose case is put right before a resource is read.
const NAMES: [&str; 28] = [
    "id",
    "externalId",
    "userName",
    "displayName",
    "nickName",
    "title",
    "active",
    "name",
    "givenName",
    "familyName",
    "formatted",
    "emails",
    "value",
    "type",
    "primary",
    "members",
    "display",
    "schemas",
    "meta",
    "Resources",
    "totalResults",
    "startIndex",
    "itemsPerPage",
    "department",
    "organization",
    "detail",
    "scimType",
    "atlassianAccountId",
];

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// The directory's id; empty in a request that creates.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The client's id for the same person; case counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name to log in with; unique.
    pub user_name: String,
    /// Parts of the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether the user may log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Addresses; one is primary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Email>,
    /// Everything else, extensions too.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Parts of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Name {
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Email {
    /// The address.
    pub value: String,
    /// `work`, `home`, `other`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it is the one to use.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub primary: bool,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    /// The directory's id; empty in a request that creates.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The client's id for the same group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name. At Atlassian it never changes.
    pub display_name: String,
    /// The members; `None`: the answer does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Id of the user.
    pub value: String,
    /// `User`, or for other directories `Group`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListResponse {
    /// How many there are in all pages.
    pub total_results: u64,
    /// The resources of this page, unread: one that cannot be read must not hide the others.
    #[serde(rename = "Resources", default)]
    pub resources: Vec<Value>,
}

/// An error. `scimType` is the stable part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Error {
    /// `uniqueness`, `invalidFilter`, …
    pub scim_type: Option<String>,
    /// For people.
    pub detail: Option<String>,
}

impl User {
    /// Reads a user whatever the case of its attribute names.
    ///
    /// # Errors
    /// When an attribute that matters has another shape, or the user has no id.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        let user: Self = serde_json::from_value(fold(value, &NAMES))?;
        required(&user.id, "id").map(|()| user)
    }

    /// The address to use: the primary one, else the first.
    pub fn email(&self) -> Option<&str> {
        let primary = self.emails.iter().find(|email| email.primary).or_else(|| self.emails.first());
        primary.map(|email| email.value.as_str())
    }

    /// A text of an extension, such as `department` of [`ENTERPRISE_USER`].
    pub fn extension(&self, schema: &str, attribute: &str) -> Option<&str> {
        let (_, extension) = self.rest.iter().find(|(name, _)| name.eq_ignore_ascii_case(schema))?;
        extension.get(attribute)?.as_str()
    }
}

impl Group {
    /// Reads a group whatever the case of its attribute names.
    ///
    /// # Errors
    /// When an attribute that matters has another shape, or the group has no id.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        let group: Self = serde_json::from_value(fold(value, &NAMES))?;
        required(&group.id, "id").map(|()| group)
    }
}

impl ListResponse {
    /// Reads a page whatever the case of its attribute names.
    ///
    /// # Errors
    /// When it is no page: a page without `totalResults` cannot be told from a part of one.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(fold(value, &NAMES))
    }
}

fn required(text: &str, name: &str) -> Result<(), serde_json::Error> {
    if text.is_empty() { Err(serde::de::Error::custom(format!("{name} is missing"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_is_read_in_any_case_with_its_extensions() {
        let user = User::read(json!({
            "ID": "s1", "username": "ana", "Active": false,
            "emails": [{"value": "old@x.y"}, {"value": "ana@x.y", "primary": true}],
            (ATLASSIAN_EXTERNAL): {"atlassianAccountId": "557:a"},
            (ENTERPRISE_USER): {"Department": "Tools"},
        }))
        .unwrap();
        assert_eq!((user.id.as_str(), user.email(), user.active), ("s1", Some("ana@x.y"), Some(false)));
        assert_eq!(user.extension(ATLASSIAN_EXTERNAL, "atlassianAccountId"), Some("557:a"));
        assert_eq!(user.extension(ENTERPRISE_USER, "department"), Some("Tools"));
        assert!(User::read(json!({"userName": "nobody"})).is_err());
    }

    #[test]
    fn a_group_that_does_not_speak_of_members_is_not_an_empty_one() {
        assert_eq!(Group::read(json!({"id": "g", "displayName": "G"})).unwrap().members, None);
        assert_eq!(Group::read(json!({"id": "g", "displayName": "G", "members": []})).unwrap().members, Some(vec![]));
        assert!(Group::read(json!({"id": "g", "displayName": "G", "members": "many"})).is_err());
    }

    #[test]
    fn a_page_without_a_total_is_no_page() {
        assert!(ListResponse::read(json!({"Resources": []})).is_err());
        let page = ListResponse::read(json!({"totalresults": 2, "resources": [{}, {}]})).unwrap();
        assert_eq!((page.total_results, page.resources.len()), (2, 2));
    }
}
