//! Users of the customer, people outside, and what happens to them.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{GoogleSide, Id, Owner, Refused, StoredUser, lower};
use crate::engine::clock::rfc3339;
use crate::engine::{Lagged, Millis};
use crate::world::{Cause, MutationLog};

/// How long a deleted user can be restored (google.md §7, 13).
pub const RESTORABLE: Millis = 20 * 24 * 3_600_000;

/// One version of a user of the customer.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRecord {
    /// Immutable id.
    pub id: Id,
    /// Primary address, as written.
    pub primary_email: String,
    /// First name.
    pub given_name: String,
    /// Last name.
    pub family_name: String,
    /// Other addresses of the customer's domains; a rename leaves the old one here.
    pub aliases: Vec<String>,
    /// Suspended by an administrator or by Google.
    pub suspended: bool,
    /// Archived; independent of suspension.
    pub archived: bool,
    /// Super administrator.
    pub is_admin: bool,
    /// Holds another administrator role.
    pub is_delegated_admin: bool,
    /// Where the user hangs in the tree of organizational units.
    pub org_unit_path: String,
    /// A guest account.
    pub is_guest: bool,
    /// When the account was made.
    pub created_at: Millis,
    /// When it was deleted; only among deleted users.
    pub deleted_at: Option<Millis>,
    /// Every other writable attribute, as it was sent.
    pub further: Map<String, Value>,
    /// Makes the etag.
    pub version: u64,
}

impl UserRecord {
    /// A plain active user.
    pub fn new(id: Id, primary_email: &str, given_name: &str, family_name: &str) -> Self {
        Self {
            id,
            primary_email: primary_email.to_owned(),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            aliases: Vec::new(),
            suspended: false,
            archived: false,
            is_admin: false,
            is_delegated_admin: false,
            org_unit_path: "/".to_owned(),
            is_guest: false,
            created_at: 0,
            deleted_at: None,
            further: Map::new(),
            version: 0,
        }
    }

    /// Both names in one.
    pub fn full_name(&self) -> String {
        full_name(&self.given_name, &self.family_name)
    }

    /// Whether the address is one of this user's, in any letter case.
    pub fn answers_to(&self, address: &str) -> bool {
        self.primary_email.eq_ignore_ascii_case(address)
            || self.aliases.iter().any(|it| it.eq_ignore_ascii_case(address))
    }

    pub(super) fn dump(&self) -> Value {
        json!({
            "id": self.id.as_ref(),
            "email": self.primary_email,
            "given_name": self.given_name,
            "family_name": self.family_name,
            "aliases": self.aliases,
            "suspended": self.suspended,
            "archived": self.archived,
            "is_admin": self.is_admin,
            "org_unit_path": self.org_unit_path,
            "deleted_at": self.deleted_at.map(rfc3339),
        })
    }
}

/// A person whom the customer does not manage: known only as a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// The address.
    pub email: String,
    /// First name; never shown by the API.
    pub given_name: String,
    /// Last name; never shown by the API.
    pub family_name: String,
}

impl Outsider {
    pub(super) fn dump(&self, id: &str) -> Value {
        json!({
            "id": id,
            "email": self.email,
            "given_name": self.given_name,
            "family_name": self.family_name,
        })
    }
}

/// Both names in one, without stray spaces.
pub fn full_name(given_name: &str, family_name: &str) -> String {
    format!("{given_name} {family_name}").trim().to_owned()
}

impl GoogleSide {
    /// The user as a read at that time sees it.
    pub fn user(&self, id: &str, at: Millis) -> Option<&Arc<UserRecord>> {
        self.users.get(id).and_then(|it| it.seen(at).as_ref())
    }

    /// Users as they truly are, by address.
    pub fn live_users(&self) -> impl Iterator<Item = &Arc<UserRecord>> {
        self.user_order.iter().filter_map(|(_, id)| self.user(id, Millis::MAX))
    }

    /// Users as a read at that time sees them, by address, beginning after a sort key.
    pub fn users_after<'a>(&'a self, after: &str, at: Millis) -> impl Iterator<Item = (String, &'a Arc<UserRecord>)> {
        let start = self.user_order.range((sort_start(after), Bound::Unbounded));
        start.filter_map(move |(address, id)| self.user(id, at).map(|it| (sort_key(address, id), it)))
    }

    /// Users deleted in the last twenty days.
    pub fn deleted_users(&self, now: Millis) -> impl Iterator<Item = &Arc<UserRecord>> {
        self.deleted.values().filter(move |it| it.deleted_at.is_some_and(|at| now.saturating_sub(at) <= RESTORABLE))
    }

    /// A person outside, by id.
    pub fn outsider(&self, id: &str) -> Option<&Outsider> {
        self.outsiders.get(id)
    }

    /// Creates a user. `steal` lets the operator take an address that is an alias of somebody else.
    pub fn create_user(
        &mut self,
        mut record: UserRecord,
        steal: bool,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<Arc<UserRecord>, Refused> {
        let id = Arc::clone(&record.id);
        if self.users.get(&id).is_some_and(|it| it.current().is_some()) {
            return Err(Refused::Duplicate("Entity already exists."));
        }
        let addresses = record.aliases.iter().chain([&record.primary_email]);
        self.claim_all(addresses, &Owner::User(Arc::clone(&id)), steal)?;
        if self.users.contains_key(&id) {
            self.user_order.retain(|(_, it)| *it != id);
        }
        record.version = self.next_version();
        record.deleted_at = None;
        self.deleted.remove(&id);
        let record = Arc::new(record);
        self.user_order.insert((lower(&record.primary_email), Arc::clone(&id)));
        log.record(cause, user_key(&id), None, Some(record.primary_email.clone()));
        self.store_user(&id, Some(Arc::clone(&record)), cause);
        Ok(record)
    }

    /// Changes a user. A changed primary address leaves the old one as an alias.
    pub fn change_user(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut UserRecord),
        steal: bool,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<Arc<UserRecord>, Refused> {
        let before = self.user(id, Millis::MAX).cloned().ok_or(Refused::NotFound("userKey"))?;
        let mut after = (*before).clone();
        change(&mut after);
        let id = Arc::clone(&before.id);
        after.id = Arc::clone(&id);
        if after == *before {
            return Ok(before);
        }
        let owner = Owner::User(Arc::clone(&id));
        self.claim_all(after.aliases.iter().chain([&after.primary_email]), &owner, steal)?;
        if !after.primary_email.eq_ignore_ascii_case(&before.primary_email) {
            let taken = after.primary_email.clone();
            after.aliases.retain(|it| !it.eq_ignore_ascii_case(&taken));
            after.aliases.push(before.primary_email.clone());
            self.user_order.remove(&(lower(&before.primary_email), Arc::clone(&id)));
            self.user_order.insert((lower(&after.primary_email), Arc::clone(&id)));
            self.forget_order(&id);
        }
        for alias in before.aliases.iter().filter(|it| !after.answers_to(it)) {
            self.release(alias, &owner);
        }
        after.version = self.next_version();
        let after = Arc::new(after);
        log.record(cause, user_key(&id), Some(differences(&before, &after)), Some(differences(&after, &before)));
        self.store_user(&id, Some(Arc::clone(&after)), cause);
        Ok(after)
    }

    /// Deletes a user and their memberships; they can be restored for twenty days.
    pub fn delete_user(&mut self, id: &str, cause: &Cause, log: &mut MutationLog) -> Result<(), Refused> {
        let record = self.user(id, Millis::MAX).cloned().ok_or(Refused::NotFound("userKey"))?;
        let id = Arc::clone(&record.id);
        self.leave_all(&id, cause, log);
        let owner = Owner::User(Arc::clone(&id));
        self.release(&record.primary_email, &owner);
        for alias in &record.aliases {
            self.release(alias, &owner);
        }
        let mut buried = (*record).clone();
        buried.deleted_at = Some(cause.at);
        self.deleted.insert(Arc::clone(&id), Arc::new(buried));
        log.record(cause, user_key(&id), Some(record.primary_email.clone()), None);
        self.store_user(&id, None, cause);
        Ok(())
    }

    /// Restores a deleted user by id, without memberships, unless the address was given to somebody else.
    pub fn undelete_user(
        &mut self,
        id: &str,
        org_unit_path: &str,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<(), Refused> {
        let restorable = self.deleted_users(cause.at).find(|it| it.id.as_ref() == id).cloned();
        let mut record = (*restorable.ok_or(Refused::NotFound("userKey"))?).clone();
        if self.addresses.contains_key(&lower(&record.primary_email)) {
            return Err(Refused::Condition("The user's address is in use by another entity."));
        }
        record.aliases.retain(|it| !self.addresses.contains_key(&lower(it)));
        org_unit_path.clone_into(&mut record.org_unit_path);
        self.create_user(record, false, cause, log).map(|_| ())
    }

    /// Makes a person outside known, or changes them.
    pub fn put_outsider(&mut self, id: &str, outsider: Outsider, cause: &Cause, log: &mut MutationLog) {
        let id: Id = self.outsiders.get_key_value(id).map_or_else(|| Arc::from(id), |(id, _)| Arc::clone(id));
        let owner = Owner::Outsider(Arc::clone(&id));
        let before = self.outsiders.get(&id).cloned();
        if let Some(before) = &before {
            self.release(&before.email, &owner);
        }
        // Two people outside may share an address; the first answers to it.
        let _shared = self.claim_all([&outsider.email], &owner, true);
        log.record(cause, format!("google/outsider/{id}"), before.map(|it| it.email), Some(outsider.email.clone()));
        self.forget_order(&id);
        self.outsiders.insert(id, outsider);
    }

    /// Forgets a person outside and their memberships.
    pub fn drop_outsider(&mut self, id: &str, cause: &Cause, log: &mut MutationLog) -> Result<(), Refused> {
        let (id, outsider) = self.outsiders.get_key_value(id).ok_or(Refused::NotFound("userKey"))?;
        let (id, email) = (Arc::clone(id), outsider.email.clone());
        self.leave_all(&id, cause, log);
        self.release(&email, &Owner::Outsider(Arc::clone(&id)));
        self.outsiders.remove(&id);
        log.record(cause, format!("google/outsider/{id}"), Some(email), None);
        Ok(())
    }

    fn store_user(&mut self, id: &Id, value: Option<Arc<UserRecord>>, cause: &Cause) {
        if let Some(stored) = self.users.get_mut(id) {
            stored.set(value, cause.visible_at);
        } else {
            let stored: StoredUser = Lagged::fresh(None, value, cause.visible_at);
            self.users.insert(Arc::clone(id), stored);
        }
    }
}

fn user_key(id: &str) -> String {
    format!("google/user/{id}")
}

/// The attributes of a user that differ from another version, for the log.
fn differences(it: &UserRecord, other: &UserRecord) -> String {
    let (it, other) = (it.dump(), other.dump());
    let mut changed = Map::new();
    if let (Value::Object(it), Value::Object(other)) = (it, other) {
        for (name, value) in it {
            if other.get(&name) != Some(&value) {
                changed.insert(name, value);
            }
        }
    }
    Value::Object(changed).to_string()
}

/// The key by which a page token names the last item shown.
pub(crate) fn sort_key(address: &str, id: &str) -> String {
    format!("{address}\n{id}")
}

/// Where a range over `(address, id)` begins after a sort key.
pub(crate) fn sort_start(after: &str) -> Bound<(String, Id)> {
    match after.split_once('\n') {
        Some((address, id)) => Bound::Excluded((address.to_owned(), Arc::from(id))),
        None => Bound::Unbounded,
    }
}
