//! How people and groups look in the organization API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::engine::clock::rfc3339;
use crate::world::atlassian::{
    Account, AccountStatus, AtlassianSide, Group, GroupIndex, Index, Owner, Resident, Standing, View,
};

/// What a search may be asked to add to each element.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expand {
    pub(super) resources: bool,
    pub(super) users: bool,
    pub(super) groups: bool,
    pub(super) platform_roles: bool,
    pub(super) product_access: bool,
}

impl Expand {
    /// Reads the words of `expand`; `Err` is a word that does not exist there.
    pub(super) fn read(words: &[String], allowed: &[&str]) -> Result<Self, String> {
        let mut it = Self::default();
        for word in words {
            if !allowed.contains(&word.as_str()) {
                return Err(word.clone());
            }
            match word.as_str() {
                "counts.resources" => it.resources = true,
                "counts.users" => it.users = true,
                "groups" => it.groups = true,
                "platformRoles" => it.platform_roles = true,
                "productAccess" => it.product_access = true,
                _ => {}
            }
        }
        Ok(it)
    }
}

/// The composite status: account and membership together.
pub(super) fn status(account: &Account, resident: &Resident) -> &'static str {
    match (account.for_deletion, account.status, resident.standing) {
        (true, ..) => "for_deletion",
        (_, AccountStatus::Inactive | AccountStatus::Closed, _) => "deactivated",
        (_, _, Standing::Suspended) => "suspended",
        (_, _, Standing::NoMembership) => "not_invited",
        (_, _, Standing::Active) => "active",
    }
}

/// `managed` if the organization claimed the account's domain.
pub(super) fn claim_status(side: &AtlassianSide, organization: &str, account: &Account) -> &'static str {
    let managed = side.organization(organization).is_some_and(|it| it.domains.contains(account.domain()));
    if managed { "managed" } else { "unmanaged" }
}

/// One user of a search or of GET.
pub(super) fn user(
    side: &AtlassianSide,
    organization: &str,
    view: &View<'_>,
    person: Index,
    expand: Expand,
) -> Option<Value> {
    let account = side.accounts().get(person)?;
    let resident = view.base().resident(person)?;
    let mut body = json!({
        "accountId": account.id,
        "accountType": account.kind.word(),
        "status": status(account, resident),
        "accountStatus": account.status.word(),
        "membershipStatus": resident.standing.word(),
        "addedToOrg": rfc3339(resident.added_at),
        "name": account.name,
        "nickname": account.nickname,
        "email": account.email,
        "emailVerified": account.email_verified,
        "claimStatus": claim_status(side, organization, account),
        "picture": "",
        "avatar": "",
        "managementSource": if resident.synced { "synced" } else { "invited" },
        "mfaEnabled": account.mfa,
        "forDeletion": account.for_deletion,
        "links": { "self": account.id },
    });
    if let Some(fields) = body.as_object_mut() {
        add_profile(account, fields);
        add_expansions(view, person, resident, expand, fields);
    }
    Some(body)
}

fn add_profile(account: &Account, fields: &mut Map<String, Value>) {
    let profile = [
        ("jobTitle", &account.title),
        ("department", &account.department),
        ("organization", &account.organization),
        ("location", &account.location),
        ("timeZone", &account.time_zone),
    ];
    for (name, value) in profile {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(at) = account.deactivated_at {
        fields.insert("deactivatedOn".to_owned(), json!(rfc3339(at)));
    }
}

fn add_expansions(
    view: &View<'_>,
    person: Index,
    resident: &Resident,
    expand: Expand,
    fields: &mut Map<String, Value>,
) {
    if expand.platform_roles {
        fields.insert("platformRoles".to_owned(), json!(resident.roles));
    }
    if expand.groups {
        let groups: Vec<Value> = view
            .groups_of(person)
            .into_iter()
            .filter_map(|it| view.group_at(it))
            .map(|it| json!({ "id": it.id, "name": it.name, "description": it.description }))
            .collect();
        fields.insert("groups".to_owned(), json!(groups));
    }
    if expand.resources || expand.product_access {
        let roles = roles_of_person(view, person);
        if expand.resources {
            fields.insert("counts".to_owned(), json!({ "resources": roles.len() }));
        }
        if expand.product_access {
            let access: Vec<Value> =
                roles.iter().map(|(resource, roles)| json!({ "resourceId": resource, "roles": roles })).collect();
            fields.insert("productAccess".to_owned(), json!(access));
        }
    }
}

/// Roles by resource that a person has, directly or through groups.
pub(super) fn roles_of_person(view: &View<'_>, person: Index) -> BTreeMap<String, BTreeSet<String>> {
    let mut roles = view.base().resident(person).map(|it| it.direct_roles.clone()).unwrap_or_default();
    for group in view.groups_of(person) {
        for (resource, of_group) in view.roles(group) {
            roles.entry(resource).or_default().extend(of_group);
        }
    }
    roles.retain(|_, it| !it.is_empty());
    roles
}

/// One group of a search or of GET.
pub(super) fn group(view: &View<'_>, index: GroupIndex, group: &Group, expand: Expand) -> Value {
    let modifiable = group.owner == Owner::Admins;
    let deletable = modifiable && !group.default && !group.grants_administration();
    let mut body = json!({
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "directoryId": view.base().directory_id,
        "managementAccess": { "deletable": deletable, "modifiable": modifiable, "readable": true },
        "externalSynced": matches!(group.owner, Owner::External(_)),
        "managedBy": group.owner.word(),
        "links": { "self": group.id },
    });
    let mut counts = Map::new();
    if expand.users {
        counts.insert("users".to_owned(), json!(view.members(index).len()));
    }
    if expand.resources {
        counts.insert("resources".to_owned(), json!(view.roles(index).len()));
    }
    if let Some(fields) = body.as_object_mut().filter(|_| !counts.is_empty()) {
        fields.insert("counts".to_owned(), Value::Object(counts));
    }
    body
}

/// `data` of role assignments: one element per resource.
pub(super) fn role_assignments(view: &View<'_>, roles: &BTreeMap<String, BTreeSet<String>>) -> Vec<Value> {
    let owner = |resource: &str| {
        view.base().products.iter().find(|it| it.resource == resource).map_or("", |it| it.key.as_str()).to_owned()
    };
    roles
        .iter()
        .map(|(resource, roles)| json!({ "resourceId": resource, "resourceOwner": owner(resource), "roles": roles }))
        .collect()
}
