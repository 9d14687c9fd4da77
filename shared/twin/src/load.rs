//! Worlds from files: snapshots of a directory (`orgdir-snapshot/1`), the twin's own world files, and changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::engine::{Credentials, Fault, Millis};
use crate::world::google::{
    GroupRecord, MemberKind, Membership, Outsider, Owner, Refused, Role, UserRecord, full_name, lower,
};
use crate::world::atlassian::Act;
use crate::world::atlassian::edit::Edit;
use crate::world::{Cause, MutationLog, World};

/// Whose accounts exist at Atlassian after loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accounts {
    /// One for every person in the world, at Google or outside, and for those who appear later.
    #[default]
    OnePerPerson,
    /// None but the administrator's.
    None,
}

/// What a world is made with, and what later changes go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whose accounts exist at Atlassian.
    pub accounts: Accounts,
    /// Whether a person whose address changes at Google changes it at Atlassian, too.
    pub accounts_follow_renames: bool,
    /// Address of a super administrator at Google, who is made if missing: the subject that services impersonate and the
    /// owner of the Atlassian keys.
    pub administrator: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accounts: Accounts::OnePerPerson,
            accounts_follow_renames: true,
            administrator: "sync@example.com".to_owned(),
        }
    }
}

/// A directory at one moment, as in `shared/data`. Other fields of the file are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// `orgdir-snapshot/1`.
    pub format: String,
    /// People, the customer's and others.
    pub users: Vec<Person>,
    /// Groups, the customer's and others', with direct members.
    pub groups: Vec<GroupWithMembers>,
}

/// A person of a snapshot or of `user_created`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    /// Immutable id.
    pub id: String,
    /// Address.
    pub email: String,
    /// First name.
    pub given_name: String,
    /// Last name.
    pub family_name: String,
    /// Not managed by the customer.
    pub external: bool,
    /// Suspended; only for the customer's own.
    pub suspended: bool,
    /// Archived; only for the customer's own.
    pub archived: bool,
    /// Super administrator; only for the customer's own.
    pub is_admin: bool,
    /// Organizational unit; only for the customer's own. `/` if empty.
    pub org_unit_path: String,
    /// Further addresses; only for the customer's own.
    pub aliases: Vec<String>,
}

/// A group of a snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupWithMembers {
    /// Immutable id.
    pub id: String,
    /// Address.
    pub email: String,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Belongs to others: it cannot be read.
    pub external: bool,
    /// Further addresses.
    pub aliases: Vec<String>,
    /// Direct members.
    pub members: Vec<Member>,
}

/// A direct member of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Id of the user, group or customer.
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MemberKind,
    /// What it may do.
    pub role: Role,
    /// The address in other letter case than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_written: Option<String>,
}

/// One change at Google: the operations of `history.jsonl`, and more about users. An `id` may also be an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Change {
    /// A person appears, at Google or outside.
    UserCreated(Person),
    /// Attributes change: `email`, `given_name`, `family_name`.
    UserRenamed {
        /// Who.
        id: String,
        /// The new values.
        set: Map<String, Value>,
    },
    /// A person disappears, with all memberships.
    UserDeleted {
        /// Who.
        id: String,
    },
    /// A deleted user comes back, without memberships.
    UserUndeleted {
        /// Who, by id.
        id: String,
        /// Where to.
        #[serde(default = "root")]
        org_unit_path: String,
    },
    /// A user is suspended, or no longer.
    UserSuspended {
        /// Who.
        id: String,
        /// Whether from now on.
        #[serde(default = "yes")]
        suspended: bool,
    },
    /// A user is archived, or no longer.
    UserArchived {
        /// Who.
        id: String,
        /// Whether from now on.
        #[serde(default = "yes")]
        archived: bool,
    },
    /// A user moves to another organizational unit.
    UserMoved {
        /// Who.
        id: String,
        /// Where to.
        org_unit_path: String,
    },
    /// A user becomes a super administrator, or no longer is.
    UserAdmin {
        /// Who.
        id: String,
        /// Whether from now on.
        #[serde(default = "yes")]
        is_admin: bool,
    },
    /// A user or group gets an alias.
    AliasAdded {
        /// Whose.
        id: String,
        /// The address.
        alias: String,
    },
    /// A user or group loses an alias.
    AliasRemoved {
        /// Whose.
        id: String,
        /// The address.
        alias: String,
    },
    /// A group appears.
    GroupCreated {
        /// Immutable id.
        id: String,
        /// Address.
        email: String,
        /// Name.
        #[serde(default)]
        name: String,
        /// Free text.
        #[serde(default)]
        description: String,
        /// Belongs to others.
        #[serde(default)]
        external: bool,
    },
    /// Attributes change: `email`, `name`, `description`, `external`.
    GroupUpdated {
        /// Which.
        id: String,
        /// The new values.
        set: Map<String, Value>,
    },
    /// A group disappears, with its memberships.
    GroupDeleted {
        /// Which.
        id: String,
    },
    /// Somebody becomes a direct member.
    MemberAdded {
        /// Of which group.
        group: String,
        /// Who.
        #[serde(flatten)]
        member: Member,
    },
    /// Somebody is no longer a direct member.
    MemberRemoved {
        /// Of which group.
        group: String,
        /// Who.
        id: String,
    },
    /// A direct member gets another role.
    MemberRoleChanged {
        /// In which group.
        group: String,
        /// Who.
        id: String,
        /// What from now on.
        role: Role,
    },
}

impl Change {
    /// The operation's word, for the log.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::UserCreated(_) => "user_created",
            Self::UserRenamed { .. } => "user_renamed",
            Self::UserDeleted { .. } => "user_deleted",
            Self::UserUndeleted { .. } => "user_undeleted",
            Self::UserSuspended { .. } => "user_suspended",
            Self::UserArchived { .. } => "user_archived",
            Self::UserMoved { .. } => "user_moved",
            Self::UserAdmin { .. } => "user_admin",
            Self::AliasAdded { .. } => "alias_added",
            Self::AliasRemoved { .. } => "alias_removed",
            Self::GroupCreated { .. } => "group_created",
            Self::GroupUpdated { .. } => "group_updated",
            Self::GroupDeleted { .. } => "group_deleted",
            Self::MemberAdded { .. } => "member_added",
            Self::MemberRemoved { .. } => "member_removed",
            Self::MemberRoleChanged { .. } => "member_role_changed",
        }
    }
}

fn root() -> String {
    "/".to_owned()
}

fn yes() -> bool {
    true
}

/// A whole world with everything around it: `twin-world/1`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WorldFile {
    /// How to make it.
    pub options: Options,
    /// The directory at Google.
    pub snapshot: Snapshot,
    /// More that happens at Google before anybody looks.
    pub changes: Vec<Change>,
    /// What Atlassian has beside the accounts: organizations, groups, drift.
    pub atlassian: Vec<Edit>,
    /// Who may call, beside the defaults.
    pub credentials: Credentials,
    /// Faults to begin with.
    pub faults: Vec<Fault>,
}

/// Why something was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON of either form.
    #[error("this is neither an orgdir-snapshot/1 nor a twin-world/1 file: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The file says another format.
    #[error("the format is \"{0}\"; the twin reads orgdir-snapshot/1 and twin-world/1")]
    UnknownFormat(String),
    /// It contradicts itself or the world.
    #[error("{what} cannot be applied: {reason}")]
    Refused {
        /// Which object or change.
        what: String,
        /// Why, in the words of the Directory API.
        reason: Refused,
    },
    /// It contradicts the Atlassian side.
    #[error("a change at Atlassian cannot be applied: {reason}")]
    Atlassian {
        /// What was not found or not allowed.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: String,
}

impl WorldFile {
    /// Reads either form. `options` hold where the file says nothing.
    pub fn read(bytes: &[u8], options: Options) -> Result<Self, Error> {
        let head: Head = serde_json::from_slice(bytes)?;
        match head.format.as_str() {
            "orgdir-snapshot/1" => Ok(Self { options, snapshot: serde_json::from_slice(bytes)?, ..Self::default() }),
            "twin-world/1" => Ok(serde_json::from_slice(bytes)?),
            other => Err(Error::UnknownFormat(other.to_owned())),
        }
    }
}

impl World {
    /// The world of a file, with everything that happens before anybody looks.
    pub fn from_file(file: WorldFile, now: Millis) -> Result<Self, Error> {
        let mut world = Self::from_snapshot(&file.snapshot, file.options, now)?;
        let cause = loading(now);
        for change in &file.changes {
            world.apply(change, &cause)?;
        }
        for edit in file.atlassian {
            let mut act = Act { cause: &cause, log: &mut world.log };
            world.atlassian.edit(edit, &mut act).map_err(|reason| Error::Atlassian { reason })?;
        }
        world.log = MutationLog::default();
        Ok(world)
    }

    /// A world with this directory at Google. Loading is not logged: the log begins with the first change after it.
    pub fn from_snapshot(snapshot: &Snapshot, options: Options, now: Millis) -> Result<Self, Error> {
        let mut world = Self { options, ..Self::default() };
        world.log.only_count = true;
        let cause = loading(now);
        world.google.own_domains(own_domains(snapshot, &world.options));
        for person in &snapshot.users {
            world.person_appears(person, &cause).map_err(|reason| refused(&person.id, reason))?;
        }
        for group in &snapshot.groups {
            let mut record = GroupRecord::new(Arc::from(group.id.as_str()), &group.email, &group.name, &group.description);
            record.external = group.external;
            record.aliases.clone_from(&group.aliases);
            let made = world.google.create_group(record, true, &cause, &mut world.log);
            made.map_err(|reason| refused(&group.id, reason))?;
        }
        for group in &snapshot.groups {
            for member in &group.members {
                let added = world.google.add_member(&group.id, &member.id, member.into(), false, &cause, &mut world.log);
                added.map_err(|reason| refused(&format!("member {} of {}", member.id, group.id), reason))?;
            }
        }
        world.administrator_appears(&cause)?;
        world.log = MutationLog::default();
        Ok(world)
    }

    /// Applies one change of the operator.
    pub fn apply(&mut self, change: &Change, cause: &Cause) -> Result<(), Error> {
        self.try_apply(change, cause).map_err(|reason| {
            let what = serde_json::to_string(change).unwrap_or_else(|_| "a change".to_owned());
            refused(&what, reason)
        })
    }

    fn try_apply(&mut self, change: &Change, cause: &Cause) -> Result<(), Refused> {
        match change {
            Change::UserCreated(person) => self.person_appears(person, cause),
            Change::UserRenamed { id, set } => self.person_renamed(id, set, cause),
            Change::UserDeleted { id } => match self.google.owner(id).ok_or(Refused::NotFound("userKey"))? {
                Owner::User(id) => self.google.delete_user(&id, cause, &mut self.log),
                Owner::Outsider(id) => self.google.drop_outsider(&id, cause, &mut self.log),
                Owner::Group(_) => Err(Refused::BadRequest("Type not supported: userKey")),
            },
            Change::UserUndeleted { id, org_unit_path } => {
                self.google.undelete_user(id, org_unit_path, cause, &mut self.log)
            }
            Change::UserSuspended { id, suspended } => self.user(id, |it| it.suspended = *suspended, cause),
            Change::UserArchived { id, archived } => self.user(id, |it| it.archived = *archived, cause),
            Change::UserMoved { id, org_unit_path } => {
                self.user(id, |it| org_unit_path.clone_into(&mut it.org_unit_path), cause)
            }
            Change::UserAdmin { id, is_admin } => self.user(id, |it| it.is_admin = *is_admin, cause),
            Change::AliasAdded { id, alias } => self.aliases(id, |it| it.push(alias.clone()), cause),
            Change::AliasRemoved { id, alias } => {
                self.aliases(id, |it| it.retain(|it| !it.eq_ignore_ascii_case(alias)), cause)
            }
            Change::GroupCreated { id, email, name, description, external } => {
                let mut record = GroupRecord::new(Arc::from(id.as_str()), email, name, description);
                record.external = *external;
                self.google.create_group(record, true, cause, &mut self.log).map(|_| ())
            }
            Change::GroupUpdated { id, set } => {
                let id = self.group_id(id)?;
                let change = |it: &mut GroupRecord| assign_group(it, set);
                self.google.change_group(&id, change, true, cause, &mut self.log).map(|_| ())
            }
            Change::GroupDeleted { id } => {
                let id = self.group_id(id)?;
                self.google.delete_group(&id, cause, &mut self.log)
            }
            Change::MemberAdded { group, member } => {
                let group = self.group_id(group)?;
                self.google.add_member(&group, &member.id, member.into(), false, cause, &mut self.log)
            }
            Change::MemberRemoved { group, id } => {
                let (group, member) = (self.group_id(group)?, self.member_id(id)?);
                self.google.remove_member(&group, &member, cause, &mut self.log)
            }
            Change::MemberRoleChanged { group, id, role } => {
                let (group, member) = (self.group_id(group)?, self.member_id(id)?);
                self.google.set_role(&group, &member, *role, cause, &mut self.log)
            }
        }
    }

    fn person_appears(&mut self, person: &Person, cause: &Cause) -> Result<(), Refused> {
        if person.external {
            let outsider = Outsider {
                email: person.email.clone(),
                given_name: person.given_name.clone(),
                family_name: person.family_name.clone(),
            };
            self.google.put_outsider(&person.id, outsider, cause, &mut self.log);
        } else {
            let id = Arc::from(person.id.as_str());
            let mut record = UserRecord::new(id, &person.email, &person.given_name, &person.family_name);
            record.suspended = person.suspended;
            record.archived = person.archived;
            record.is_admin = person.is_admin;
            record.created_at = cause.at;
            record.aliases.clone_from(&person.aliases);
            if !person.org_unit_path.is_empty() {
                record.org_unit_path.clone_from(&person.org_unit_path);
            }
            self.google.create_user(record, true, cause, &mut self.log)?;
        }
        if self.options.accounts == Accounts::OnePerPerson {
            let name = full_name(&person.given_name, &person.family_name);
            self.atlassian.seed_person(&person.id, &person.email, &name, &mut self.log, cause);
        }
        Ok(())
    }

    fn person_renamed(&mut self, id: &str, set: &Map<String, Value>, cause: &Cause) -> Result<(), Refused> {
        let owner = self.google.owner(id).ok_or(Refused::NotFound("userKey"))?;
        let before = self.google.address_of(owner.id(), Millis::MAX).unwrap_or_default().to_owned();
        match &owner {
            Owner::User(id) => {
                let change = |it: &mut UserRecord| {
                    assign(set, "email", &mut it.primary_email);
                    assign(set, "given_name", &mut it.given_name);
                    assign(set, "family_name", &mut it.family_name);
                };
                self.google.change_user(id, change, true, cause, &mut self.log)?;
            }
            Owner::Outsider(id) => {
                let mut outsider = self.google.outsider(id).cloned().ok_or(Refused::NotFound("userKey"))?;
                assign(set, "email", &mut outsider.email);
                assign(set, "given_name", &mut outsider.given_name);
                assign(set, "family_name", &mut outsider.family_name);
                self.google.put_outsider(id, outsider, cause, &mut self.log);
            }
            Owner::Group(_) => return Err(Refused::BadRequest("Type not supported: userKey")),
        }
        if self.options.accounts == Accounts::OnePerPerson && self.options.accounts_follow_renames {
            let after = self.google.address_of(owner.id(), Millis::MAX).unwrap_or_default().to_owned();
            self.account_follows(&before, &after, cause);
        }
        Ok(())
    }

    /// Changes the address of the account that had the old one, unless somebody else has the new one.
    fn account_follows(&mut self, before: &str, after: &str, cause: &Cause) {
        let accounts = &mut self.atlassian.accounts;
        let (&[index], &[]) = (accounts.with_email(before), accounts.with_email(after)) else {
            return;
        };
        accounts.set_email(index, after);
        let id = accounts.get(index).map(|it| it.id.clone()).unwrap_or_default();
        let (before, after) = (before.to_owned(), after.to_owned());
        self.log.record(cause, format!("atlassian/account/{id}/email"), Some(before), Some(after));
    }

    /// Makes the administrator if the world has none of that address, and gives them the role.
    fn administrator_appears(&mut self, cause: &Cause) -> Result<(), Error> {
        let email = self.options.administrator.clone();
        if email.is_empty() {
            return Ok(());
        }
        if self.google.owner(&email).is_none() {
            let id = self.google.fresh_id("100").to_string();
            let (given_name, family_name) = ("Sync".to_owned(), "Administrator".to_owned());
            let person = Person { id, email: email.clone(), given_name, family_name, ..Person::default() };
            self.person_appears(&person, cause).map_err(|reason| refused(&email, reason))?;
        }
        self.atlassian.seed_person(&email, &email, "Sync Administrator", &mut self.log, cause);
        self.user(&email, |it| it.is_admin = true, cause).map_err(|reason| refused(&email, reason))
    }

    fn user(&mut self, key: &str, change: impl FnOnce(&mut UserRecord), cause: &Cause) -> Result<(), Refused> {
        match self.google.owner(key) {
            Some(Owner::User(id)) => self.google.change_user(&id, change, true, cause, &mut self.log).map(|_| ()),
            _ => Err(Refused::NotFound("userKey")),
        }
    }

    fn aliases(&mut self, key: &str, change: impl FnOnce(&mut Vec<String>), cause: &Cause) -> Result<(), Refused> {
        match self.google.owner(key).ok_or(Refused::NotFound("userKey"))? {
            Owner::User(id) => {
                let change = |it: &mut UserRecord| change(&mut it.aliases);
                self.google.change_user(&id, change, true, cause, &mut self.log).map(|_| ())
            }
            Owner::Group(id) => {
                let change = |it: &mut GroupRecord| change(&mut it.aliases);
                self.google.change_group(&id, change, true, cause, &mut self.log).map(|_| ())
            }
            Owner::Outsider(_) => Err(Refused::Forbidden),
        }
    }

    fn group_id(&self, key: &str) -> Result<String, Refused> {
        match self.google.owner(key) {
            Some(Owner::Group(id)) => Ok(id.to_string()),
            _ => Err(Refused::NotFound("groupKey")),
        }
    }

    fn member_id(&self, key: &str) -> Result<String, Refused> {
        match self.google.owner(key) {
            Some(owner) => Ok(owner.id().to_string()),
            None if key == self.google.customer_id => Ok(key.to_owned()),
            None => Err(Refused::NotFound("memberKey")),
        }
    }
}

/// What happens while a world is loaded is seen at once, whatever the lag.
fn loading(now: Millis) -> Cause {
    Cause {
        at: now,
        visible_at: Millis::MIN,
        family: "twin".to_owned(),
        operation: "load".to_owned(),
        ..Cause::default()
    }
}

impl From<&Member> for Membership {
    fn from(member: &Member) -> Self {
        let as_written = member.as_written.as_deref().map(Box::from);
        Self { kind: member.kind, role: member.role, as_written, version: 0 }
    }
}

fn assign(set: &Map<String, Value>, name: &str, field: &mut String) {
    if let Some(value) = set.get(name).and_then(Value::as_str) {
        value.clone_into(field);
    }
}

fn assign_group(record: &mut GroupRecord, set: &Map<String, Value>) {
    assign(set, "email", &mut record.email);
    assign(set, "name", &mut record.name);
    assign(set, "description", &mut record.description);
    if let Some(external) = set.get("external").and_then(Value::as_bool) {
        record.external = external;
    }
}

fn refused(what: &str, reason: Refused) -> Error {
    Error::Refused { what: what.to_owned(), reason }
}

/// The customer's domains: those of its own people and groups, and of the administrator.
fn own_domains(snapshot: &Snapshot, options: &Options) -> BTreeSet<String> {
    let people = snapshot.users.iter().filter(|it| !it.external).map(|it| it.email.as_str());
    let groups = snapshot.groups.iter().filter(|it| !it.external).map(|it| it.email.as_str());
    let addresses = people.chain(groups).chain([options.administrator.as_str()]);
    addresses.filter_map(|it| it.rsplit_once('@')).map(|(_, domain)| lower(domain)).collect()
}
