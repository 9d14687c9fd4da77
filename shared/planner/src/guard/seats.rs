//! Seats: what the plan takes and frees of each product, where a limit is known.

use std::collections::BTreeSet;

use model::{AccountId, EdgeOp, GroupId, GuardName, Seats, Step};

use crate::judge::{Draft, Judge};

/// The groups that give a product, who is in one, and what is still free.
struct Product {
    groups: BTreeSet<GroupId>,
    names: BTreeSet<String>,
    holders: BTreeSet<AccountId>,
    seats: Seats,
}

/// Counts seats by product and holds the additions that no seat is free for.
pub(super) fn seats(judge: &mut Judge<'_>) -> Vec<Seats> {
    let mut products = products(judge);
    let mut drafts = std::mem::take(&mut judge.out.drafts);
    for product in &mut products {
        let released = |draft: &&Draft| draft.held.is_empty();
        let lost: BTreeSet<AccountId> =
            drafts.iter().filter(released).flat_map(|draft| product.touched(draft, EdgeOp::Remove)).collect();
        product.seats.freed = lost.intersection(&product.holders).count() as u64;
        let mut order: Vec<usize> = (0..drafts.len()).collect();
        order.sort_by_key(|at| drafts.get(*at).map_or(0, |draft| draft.count(EdgeOp::Add)));
        let mut taken: BTreeSet<AccountId> = BTreeSet::new();
        for at in order {
            let Some(draft) = drafts.get_mut(at) else { continue };
            let touched = product.touched(draft, EdgeOp::Add);
            let fresh: Vec<AccountId> = touched
                .into_iter()
                .filter(|account| !product.holders.contains(account) && !taken.contains(account))
                .collect();
            if fresh.is_empty() {
                continue;
            }
            // A seat that the plan frees is not free before the removal was done, so it is not counted on.
            let found = product.seats.used + taken.len() as u64 + fresh.len() as u64;
            draft.measure(GuardName::Seats, found, product.seats.limit, &["seats"]);
            if found <= product.seats.limit && draft.held.is_empty() {
                taken.extend(fresh);
            }
        }
        product.seats.gained = taken.len() as u64;
    }
    judge.out.drafts = drafts;
    let told = products.into_iter().map(|product| product.seats);
    told.filter(|seats| seats.gained + seats.freed > 0).collect()
}

impl Product {
    /// The accounts that a case adds to, or takes out of, groups of this product.
    fn touched(&self, draft: &Draft, op: EdgeOp) -> Vec<AccountId> {
        let step = |step: &Step| match step {
            Step::Edge { edge, .. } if edge.op == op => {
                let known = edge.group.as_ref().is_some_and(|group| self.groups.contains(group));
                let named = edge.group.is_none() && self.names.contains(&edge.group_name);
                (known || named).then(|| edge.account.clone())?
            }
            _ => None,
        };
        draft.steps.iter().filter_map(step).collect()
    }
}

/// The products with a limit. A default access group counts for the product whose key its name begins with or holds;
/// with a single limit, every default access group counts for that.
fn products(judge: &Judge<'_>) -> Vec<Product> {
    let limits = &judge.policy.guard.seat_limit;
    let mut products = Vec::new();
    for (product, limit) in limits {
        let is_of = |name: &str| limits.len() == 1 || name.to_ascii_lowercase().contains(&product.to_ascii_lowercase());
        let mut found = Product {
            groups: BTreeSet::new(),
            names: BTreeSet::new(),
            holders: BTreeSet::new(),
            seats: Seats { product: product.clone(), limit: *limit, used: 0, gained: 0, freed: 0 },
        };
        for group in judge.accounts.groups.iter().filter(|group| group.is_live()) {
            let Some(row) = &group.row else { continue };
            if row.group.default_access && is_of(&row.group.name) {
                found.groups.insert(group.id.clone());
                let members = group.people.iter().filter_map(|packed| judge.accounts.person(packed.slot()));
                found.holders.extend(members.map(|person| person.id.clone()));
            }
        }
        for group in &judge.target.groups {
            let on_purpose = group.lead(&judge.policy.rules).is_some_and(|rule| rule.default_access_group);
            if on_purpose && is_of(&group.name) {
                found.names.insert(group.name.clone());
            }
        }
        found.seats.used = found.holders.len() as u64;
        products.push(found);
    }
    products
}
