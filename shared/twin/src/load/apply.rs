//! Making worlds and changing them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Accounts, Change, Error, Options, Person, Snapshot, WorldFile};
use crate::engine::Millis;
use crate::world::atlassian::{Act, ORGANIZATION};
use crate::world::google::{GroupRecord, Outsider, Owner, Refused, UserRecord, full_name, lower};
use crate::world::{Cause, MutationLog, World};

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
        for edit in file.dc {
            world.edit_dc(edit, &cause).map_err(|reason| Error::Atlassian { reason })?;
        }
        world.log = MutationLog::default();
        Ok(world)
    }

    /// A world with this directory at Google. Loading is not logged: the log begins with the first change after it.
    pub fn from_snapshot(snapshot: &Snapshot, options: Options, now: Millis) -> Result<Self, Error> {
        let mut world = Self { options, ..Self::default() };
        world.log.only_count = true;
        let cause = loading(now);
        let domains = own_domains(snapshot, &world.options);
        for domain in &domains {
            world.atlassian.claim_domain(ORGANIZATION, domain);
        }
        world.google.own_domains(domains);
        for person in &snapshot.users {
            world.person_appears(person, &cause).map_err(|reason| refused(&person.id, reason))?;
        }
        for group in &snapshot.groups {
            let mut record =
                GroupRecord::new(Arc::from(group.id.as_str()), &group.email, &group.name, &group.description);
            record.external = group.external;
            record.aliases.clone_from(&group.aliases);
            let made = world.google.create_group(record, true, &cause, &mut world.log);
            made.map_err(|reason| refused(&group.id, reason))?;
        }
        for group in &snapshot.groups {
            for member in &group.members {
                let added =
                    world.google.add_member(&group.id, &member.id, member.into(), false, &cause, &mut world.log);
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
