//! Products and their seats.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::AtlassianSide;
use super::account::{AccountStatus, Index};
use super::base::{Group, Standing, UserBase};

/// A product instance: what roles are assigned on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Resource id: an ARI, for example `ari:cloud:jira-software::site/<cloud id>`.
    pub resource: String,
    /// Product key: `jira-software`, `jira-core`, `jira-servicedesk`, `confluence`.
    pub key: String,
    /// Display name.
    pub name: String,
    /// Name of its site.
    pub site: String,
    /// Seats; `None` is unlimited.
    #[serde(default)]
    pub seats: Option<u32>,
}

/// Whether a role takes a seat.
pub fn takes_seat(role: &str) -> bool {
    let free = ["guest", "user-access-admin", "customer", "basic", "contributor", "stakeholder"];
    role.strip_prefix("atlassian/").is_some_and(|it| !free.contains(&it))
}

impl UserBase {
    /// Whether membership in the group gives a seat of the product.
    pub fn gives_seat(group: &Group, product: &Product) -> bool {
        group.roles.get(&product.resource).is_some_and(|roles| roles.iter().any(|it| takes_seat(it)))
    }
}

impl AtlassianSide {
    /// People who hold a seat of the product: active accounts with a seat-taking role, directly or through a group.
    pub fn seat_holders(&self, base: &UserBase, product: &Product) -> BTreeSet<Index> {
        let mut holders = BTreeSet::new();
        for (_, group) in base.groups().filter(|(_, group)| UserBase::gives_seat(group, product)) {
            holders.extend(group.members.iter().copied());
        }
        for (person, resident) in base.people() {
            let direct = resident.direct_roles.get(&product.resource);
            if direct.is_some_and(|roles| roles.iter().any(|it| takes_seat(it))) {
                holders.insert(person);
            }
        }
        holders.retain(|it| self.may_use(base, *it));
        holders
    }

    /// Whether there is a free seat, or none is needed, for that person to join that group.
    pub(crate) fn has_seat_for(&self, base: &UserBase, group: &Group, person: Index) -> bool {
        base.products.iter().filter(|it| UserBase::gives_seat(group, it)).all(|product| {
            let Some(seats) = product.seats else { return true };
            let holders = self.seat_holders(base, product);
            holders.contains(&person) || holders.len() < seats as usize
        })
    }

    /// Whether the person's account and standing let them use products at all.
    fn may_use(&self, base: &UserBase, person: Index) -> bool {
        self.accounts.get(person).is_some_and(|it| it.status == AccountStatus::Active)
            && base.resident(person).is_some_and(|it| it.standing == Standing::Active)
    }
}
