//! Google Workspace: one customer with its users, groups and memberships, and what it knows of people outside.
//!
//! Identity is the id; addresses are an index over it, compared in ASCII lower case. Every fact that reads may see late
//! is kept as [`Lagged`], so that one lag setting covers users, groups and memberships alike.

mod groups;
mod members;
mod people;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

pub use groups::{Group, GroupRecord};
pub use members::{MemberKind, Membership, Role};
pub use people::{Outsider, RESTORABLE, UserRecord, full_name};

use crate::engine::{Lagged, Millis};

/// An immutable id, shared between the places that name it.
pub type Id = Arc<str>;

/// Why a change cannot be made, in the words of the Directory API (google.md §1.8).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 404 `notFound`: `Resource Not Found: <what>`.
    #[error("Resource Not Found: {0}")]
    NotFound(&'static str),
    /// 409 `duplicate`.
    #[error("{0}")]
    Duplicate(&'static str),
    /// 412 `conditionNotMet`.
    #[error("{0}")]
    Condition(&'static str),
    /// 400 `invalid`.
    #[error("{0}")]
    Invalid(String),
    /// 400 `required`.
    #[error("Missing required field: {0}")]
    Required(&'static str),
    /// 400 `badRequest`.
    #[error("{0}")]
    BadRequest(&'static str),
    /// 403 `forbidden`.
    #[error("Not Authorized to access this resource/api")]
    Forbidden,
    /// 404 `notFound` for a domain that is not the customer's.
    #[error("Domain not found.")]
    DomainNotFound,
}

/// Whom an address or an id belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// One of the customer's users.
    User(Id),
    /// A group, the customer's or somebody else's.
    Group(Id),
    /// A person whom other customers, or nobody, manage.
    Outsider(Id),
}

impl Owner {
    /// The id itself.
    pub fn id(&self) -> &Id {
        match self {
            Self::User(id) | Self::Group(id) | Self::Outsider(id) => id,
        }
    }
}

/// A user with the versions that reads may still see; `None` while it does not exist.
pub(crate) type StoredUser = Lagged<Option<Arc<UserRecord>>>;

/// The Google side of the world.
#[derive(Debug)]
pub struct GoogleSide {
    /// Immutable id of the customer, `C…`.
    pub customer_id: String,
    /// The domains of the customer in lower case; the first alphabetically is no better than the others.
    pub domains: BTreeSet<String>,
    /// The customer's primary domain.
    pub primary_domain: String,
    users: BTreeMap<Id, StoredUser>,
    deleted: BTreeMap<Id, Arc<UserRecord>>,
    outsiders: BTreeMap<Id, Outsider>,
    groups: BTreeMap<Id, Group>,
    addresses: HashMap<String, Owner>,
    user_order: BTreeSet<(String, Id)>,
    group_order: BTreeSet<(String, Id)>,
    /// The groups that list somebody directly, also those that did a moment ago.
    listed_in: HashMap<Id, BTreeSet<Id>>,
    version: u64,
    next_id: u64,
}

impl Default for GoogleSide {
    fn default() -> Self {
        Self {
            customer_id: "C01twin00".to_owned(),
            domains: BTreeSet::from(["example.com".to_owned()]),
            primary_domain: "example.com".to_owned(),
            users: BTreeMap::new(),
            deleted: BTreeMap::new(),
            outsiders: BTreeMap::new(),
            groups: BTreeMap::new(),
            addresses: HashMap::new(),
            user_order: BTreeSet::new(),
            group_order: BTreeSet::new(),
            listed_in: HashMap::new(),
            version: 0,
            next_id: 0,
        }
    }
}

impl GoogleSide {
    /// Whom a key means: an id, or an address in any letter case, primary or alias.
    pub fn owner(&self, key: &str) -> Option<Owner> {
        if key.contains('@') {
            return self.addresses.get(&lower(key)).cloned();
        }
        if let Some((id, _)) = self.users.get_key_value(key) {
            return Some(Owner::User(Arc::clone(id)));
        }
        if let Some((id, _)) = self.groups.get_key_value(key) {
            return Some(Owner::Group(Arc::clone(id)));
        }
        self.outsiders.get_key_value(key).map(|(id, _)| Owner::Outsider(Arc::clone(id)))
    }

    /// Whether the address lies in a domain of the customer.
    pub fn is_ours(&self, address: &str) -> bool {
        address.rsplit_once('@').is_some_and(|(_, domain)| self.domains.contains(&lower(domain)))
    }

    /// The address that a member is shown with; `None` for whoever does not exist (any more).
    pub(crate) fn address_of(&self, id: &str, at: Millis) -> Option<&str> {
        if let Some(user) = self.users.get(id).and_then(|it| it.seen(at).as_ref()) {
            return Some(&user.primary_email);
        }
        if let Some(outsider) = self.outsiders.get(id) {
            return Some(&outsider.email);
        }
        self.groups.get(id).and_then(|it| it.record.seen(at).as_ref()).map(|it| it.email.as_str())
    }

    /// Sets the customer's domains, if there are any; the alphabetically first becomes the primary one unless it already
    /// is one of them.
    pub(crate) fn own_domains(&mut self, domains: BTreeSet<String>) {
        if let Some(first) = domains.first().filter(|_| !domains.contains(&self.primary_domain)) {
            self.primary_domain.clone_from(first);
        }
        if !domains.is_empty() {
            self.domains = domains;
        }
    }

    /// An id that nobody had before, in the length of Google's own.
    pub(crate) fn fresh_id(&mut self, prefix: &str) -> Id {
        loop {
            self.next_id += 1;
            let id = format!("{prefix}{:018}", self.next_id);
            if self.owner(&id).is_none() && !self.deleted.contains_key(id.as_str()) {
                return Arc::from(id);
            }
        }
    }

    /// The number that a changed record gets; its etag is made of it.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Reserves addresses, all or none. With `steal` an alias elsewhere gives way and a primary address elsewhere is
    /// shared, as the operator's changes replay histories that know no aliases and in which two people may have one
    /// address; a shared address keeps meaning its first holder.
    fn claim_all<'a>(
        &mut self,
        addresses: impl IntoIterator<Item = &'a String>,
        owner: &Owner,
        steal: bool,
    ) -> Result<(), Refused> {
        let keys: Vec<String> = addresses.into_iter().map(|it| lower(it)).collect();
        let taken = |key: &&String| self.addresses.get(*key).is_some_and(|holder| holder != owner);
        if !steal && keys.iter().any(|key| taken(&key)) {
            return Err(Refused::Duplicate("Entity already exists."));
        }
        for key in keys {
            if let Some(holder) = self.addresses.get(&key).filter(|it| *it != owner).cloned() {
                self.drop_alias(&holder, &key);
            }
            self.addresses.entry(key).or_insert_with(|| owner.clone());
        }
        Ok(())
    }

    /// Takes an alias from its holder, if it is an alias there.
    fn drop_alias(&mut self, holder: &Owner, key: &str) {
        let version = self.next_version();
        let dropped = match holder {
            Owner::User(id) => self.users.get_mut(id).is_some_and(|user| {
                let Some(record) = user.current().clone().filter(|it| it.aliases.iter().any(|it| lower(it) == key))
                else {
                    return false;
                };
                let aliases = record.aliases.iter().filter(|it| lower(it) != key).cloned().collect();
                user.set(Some(Arc::new(UserRecord { aliases, version, ..(*record).clone() })), Millis::MIN);
                true
            }),
            Owner::Group(id) => self.groups.get_mut(id).is_some_and(|group| {
                let Some(record) =
                    group.record.current().clone().filter(|it| it.aliases.iter().any(|it| lower(it) == key))
                else {
                    return false;
                };
                let aliases = record.aliases.iter().filter(|it| lower(it) != key).cloned().collect();
                group.record.set(Some(Arc::new(GroupRecord { aliases, version, ..(*record).clone() })), Millis::MIN);
                true
            }),
            Owner::Outsider(_) => false,
        };
        if dropped {
            self.addresses.remove(key);
        }
    }

    fn release(&mut self, address: &str, owner: &Owner) {
        let key = lower(address);
        if self.addresses.get(&key) == Some(owner) {
            self.addresses.remove(&key);
        }
    }

    /// The whole side as it truly is, for the operator: lag and faults do not apply.
    pub fn dump(&self) -> Value {
        let users: Vec<Value> = self.live_users().map(|it| it.dump()).collect();
        let deleted: Vec<Value> = self.deleted.values().map(|it| it.dump()).collect();
        let outsiders: Vec<Value> = self.outsiders.iter().map(|(id, it)| it.dump(id)).collect();
        let groups: Vec<Value> = self.groups.values().filter_map(|it| self.dump_group(it)).collect();
        json!({
            "customer": self.customer_id,
            "domains": self.domains,
            "users": users,
            "deleted_users": deleted,
            "outsiders": outsiders,
            "groups": groups,
        })
    }

    fn dump_group(&self, group: &Group) -> Option<Value> {
        let record = group.record.current().as_ref()?;
        let mut members: Vec<(String, Value)> = group
            .true_members()
            .map(|(id, it)| {
                let email = self.address_of(id, Millis::MAX);
                (email.map(lower).unwrap_or_default(), it.dump(id, email))
            })
            .collect();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        Some(json!({
            "id": record.id.as_ref(),
            "email": record.email,
            "name": record.name,
            "description": record.description,
            "external": record.external,
            "aliases": record.aliases,
            "members": members.into_iter().map(|(_, it)| it).collect::<Vec<_>>(),
        }))
    }
}

/// ASCII lower case, the only folding that addresses get.
pub fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}
