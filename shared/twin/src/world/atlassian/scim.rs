//! An identity-provider directory: its own records of people and groups, linked to accounts and organization groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::account::Index;
use super::{AtlassianSide, BaseKey, GroupIndex};
use crate::engine::Millis;

/// Position of a SCIM record in its directory: dense, in order of creation, never reused.
pub type Position = u32;

/// Why a SCIM change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScimRefusal {
    /// 400 with this `scimType` and detail.
    Invalid(&'static str, String),
    /// 404: no such resource.
    Unknown(String),
    /// 409: another has it.
    Taken(String),
    /// 400 of PUT on a group: a member does not exist.
    UnknownMembers(String),
    /// A status from a switch, with a detail.
    Status(u16, String),
}

/// One person as the identity provider described them.
#[derive(Clone, Debug)]
pub struct ScimUser {
    /// SCIM id; given here, never reused.
    pub id: String,
    /// The resource without `id`, `schemas`, `meta` and `groups`; names of attributes in their canonical case.
    pub attributes: Map<String, Value>,
    /// The account it stands for; none after an unlink.
    pub account: Option<Index>,
    /// Deleted under the rules of 2022: later calls answer 404, the same name revives it.
    pub hidden: bool,
    /// When it was made.
    pub created: Millis,
    /// When it was changed.
    pub modified: Millis,
}

impl ScimUser {
    fn text(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// `userName`.
    pub fn user_name(&self) -> &str {
        self.text("userName")
    }

    /// `externalId`; empty if there is none.
    pub fn external_id(&self) -> &str {
        self.text("externalId")
    }

    /// `active`; true unless said otherwise.
    pub fn active(&self) -> bool {
        self.attributes.get("active").and_then(Value::as_bool).unwrap_or(true)
    }

    /// The primary address, or the first, in lower case.
    pub fn email(&self) -> String {
        primary_email(&self.attributes)
    }
}

/// The primary address of a user resource, or its first, in lower case; empty if there is none.
pub(super) fn primary_email(attributes: &Map<String, Value>) -> String {
    let emails = attributes.get("emails").and_then(Value::as_array);
    let primary = emails.and_then(|all| all.iter().find(|it| it.get("primary") == Some(&Value::Bool(true))));
    let one = primary.or_else(|| emails.and_then(|all| all.first()));
    one.and_then(|it| it.get("value")).and_then(Value::as_str).unwrap_or_default().to_lowercase()
}

/// One group of the identity provider.
#[derive(Clone, Debug)]
pub struct ScimGroup {
    /// SCIM id; given here, never reused.
    pub id: String,
    /// Name; immutable.
    pub display_name: String,
    /// `externalId`, if one was sent.
    pub external_id: Option<String>,
    /// The group of the organization that it fills.
    pub group: GroupIndex,
    /// Id of that group.
    pub group_id: String,
    /// Members, by position of their SCIM record.
    pub members: BTreeSet<Position>,
    /// When it was made.
    pub created: Millis,
    /// When it was changed.
    pub modified: Millis,
}

/// One directory.
#[derive(Clone, Debug)]
pub struct ScimDirectory {
    /// Directory id, as in the path.
    pub id: String,
    /// The organization it feeds.
    pub organization: String,
    pub(super) users: BTreeMap<Position, ScimUser>,
    pub(super) groups: BTreeMap<Position, ScimGroup>,
    pub(super) user_by_id: HashMap<String, Position>,
    pub(super) user_by_name: HashMap<String, Position>,
    pub(super) user_by_external_id: HashMap<String, BTreeSet<Position>>,
    pub(super) user_by_email: HashMap<String, Position>,
    pub(super) user_by_account: HashMap<Index, Position>,
    pub(super) group_by_id: HashMap<String, Position>,
    pub(super) group_by_name: HashMap<String, Position>,
    pub(super) groups_of: HashMap<Position, BTreeSet<Position>>,
    pub(super) next: Position,
}

impl ScimDirectory {
    /// An empty directory.
    pub fn new(id: &str, organization: &str) -> Self {
        Self {
            id: id.to_owned(),
            organization: organization.to_owned(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            user_by_id: HashMap::new(),
            user_by_name: HashMap::new(),
            user_by_external_id: HashMap::new(),
            user_by_email: HashMap::new(),
            user_by_account: HashMap::new(),
            group_by_id: HashMap::new(),
            group_by_name: HashMap::new(),
            groups_of: HashMap::new(),
            next: 0,
        }
    }

    /// The user base that it feeds.
    pub fn base(&self) -> BaseKey {
        BaseKey::Organization(self.organization.clone())
    }

    /// Visible records of people, in order of creation.
    pub fn users(&self) -> impl Iterator<Item = &ScimUser> {
        self.users.values().filter(|it| !it.hidden)
    }

    /// Records of groups, in order of creation.
    pub fn groups(&self) -> impl Iterator<Item = &ScimGroup> {
        self.groups.values()
    }

    /// The visible record with that id.
    pub fn user(&self, id: &str) -> Option<(Position, &ScimUser)> {
        let position = *self.user_by_id.get(id)?;
        Some((position, self.users.get(&position).filter(|it| !it.hidden)?))
    }

    /// The visible record at that position.
    pub fn user_at(&self, position: Position) -> Option<&ScimUser> {
        self.users.get(&position).filter(|it| !it.hidden)
    }

    /// The visible record with that user name, whatever its case.
    pub fn user_named(&self, name: &str) -> Option<&ScimUser> {
        self.user_at(*self.user_by_name.get(&name.to_lowercase())?)
    }

    /// Visible records with that external id, case-exact.
    pub fn users_with_external_id(&self, id: &str) -> impl Iterator<Item = &ScimUser> {
        self.user_by_external_id.get(id).into_iter().flatten().filter_map(|it| self.user_at(*it))
    }

    /// The group with that id.
    pub fn group(&self, id: &str) -> Option<(Position, &ScimGroup)> {
        let position = *self.group_by_id.get(id)?;
        Some((position, self.groups.get(&position)?))
    }

    /// The group of that name, whatever its case.
    pub fn group_named(&self, name: &str) -> Option<&ScimGroup> {
        self.groups.get(self.group_by_name.get(&name.to_lowercase())?)
    }

    /// Groups of a person.
    pub fn groups_of(&self, position: Position) -> impl Iterator<Item = &ScimGroup> {
        self.groups_of.get(&position).into_iter().flatten().filter_map(|it| self.groups.get(it))
    }

    /// The next free position.
    pub(super) fn allot(&mut self) -> Position {
        let position = self.next;
        self.next += 1;
        position
    }

    /// Enters a record in every index.
    pub(super) fn index(&mut self, position: Position) {
        let Some(user) = self.users.get(&position) else { return };
        self.user_by_id.insert(user.id.clone(), position);
        self.user_by_name.insert(user.user_name().to_lowercase(), position);
        self.user_by_email.insert(user.email(), position);
        if !user.external_id().is_empty() {
            self.user_by_external_id.entry(user.external_id().to_owned()).or_default().insert(position);
        }
        if let Some(account) = user.account {
            self.user_by_account.insert(account, position);
        }
    }

    /// Takes a record out of every index but the one by id.
    pub(super) fn unindex(&mut self, position: Position) {
        let Some(user) = self.users.get(&position) else { return };
        self.user_by_name.remove(&user.user_name().to_lowercase());
        self.user_by_email.remove(&user.email());
        if let Some(all) = self.user_by_external_id.get_mut(user.external_id()) {
            all.remove(&position);
        }
        if let Some(account) = user.account {
            self.user_by_account.remove(&account);
        }
    }

    /// The directory as tests read it.
    pub(super) fn dump(&self, side: &AtlassianSide) -> Value {
        let account = |user: &ScimUser| user.account.and_then(|it| side.accounts().get(it)).map(|it| it.id.clone());
        let users: Map<String, Value> = self
            .users()
            .map(|it| {
                let body = json!({
                    "id": it.id,
                    "external_id": it.external_id(),
                    "email": it.email(),
                    "active": it.active(),
                    "account_id": account(it),
                });
                (it.user_name().to_owned(), body)
            })
            .collect();
        let groups: Map<String, Value> = self
            .groups()
            .map(|it| {
                let mut members: Vec<String> =
                    it.members.iter().filter_map(|at| self.user_at(*at)).map(ScimUser::email).collect();
                members.sort_unstable();
                (it.display_name.clone(), json!({ "id": it.id, "group_id": it.group_id, "members": members }))
            })
            .collect();
        json!({ "organization": self.organization, "users": users, "groups": groups })
    }
}
