//! Seats: what the plan takes and frees of each product, where a limit is known.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Access, AccountId, Edge, EdgeOp, Group, GroupId, GuardName, ProductAccess, SeatCount, Seats, Step, Wait, WaitWhy,
    same_site,
};

use crate::{
    Verdict,
    judge::{Draft, Judge},
};

/// The groups that give a product, who is in one, and what is still free.
struct Product {
    /// Which product, and on which site where sites are counted apart.
    of: ProductAccess,
    groups: BTreeSet<GroupId>,
    names: BTreeSet<String>,
    holders: BTreeSet<AccountId>,
    seats: Seats,
}

/// Counts seats by product, of every product with a limit, and holds the additions that no seat is free for.
pub(super) fn seats(judge: &mut Judge<'_>) -> Vec<Seats> {
    let mut products = products(judge);
    let mut drafts = std::mem::take(&mut judge.out.drafts);
    let mut waits = BTreeSet::new();
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
            let fresh: BTreeSet<AccountId> = touched
                .into_iter()
                .chain(product.let_in(judge, draft))
                .filter(|account| !product.holders.contains(account) && !taken.contains(account))
                .collect();
            if fresh.is_empty() {
                continue;
            }
            // A seat that the plan frees is not free before the removal was done, so it is not counted on.
            let found = product.seats.used + taken.len() as u64 + fresh.len() as u64;
            draft.measure(GuardName::Seats, found, product.seats.limit, &["seats"]);
            if found > product.seats.limit && draft.verdict != Some(Verdict::Approved) {
                waits.extend(product.waits(draft, &fresh));
            }
            if found <= product.seats.limit && draft.held.is_empty() {
                taken.extend(fresh);
            }
        }
        product.seats.gained = taken.len() as u64;
    }
    judge.out.drafts = drafts;
    judge.out.waits.extend(waits);
    products.into_iter().map(|product| product.seats).collect()
}

impl Product {
    /// The product that these groups give, held by whoever is in one.
    fn new(
        judge: &Judge<'_>,
        of: ProductAccess,
        (product, limit): (String, u64),
        gives: impl Fn(&Group) -> bool,
    ) -> Self {
        let (mut groups, mut holders) = (BTreeSet::new(), BTreeSet::new());
        for group in judge.accounts.giving() {
            if group.row.as_ref().is_some_and(|row| gives(&row.group)) {
                groups.insert(group.id.clone());
                let members = group.people.iter().filter_map(|packed| judge.accounts.person(packed.slot()));
                holders.extend(members.map(|person| person.id.clone()));
            }
        }
        // What a writer was told to give is not listed yet.
        let (memory, target) = (judge.memory, &judge.target.id);
        let is_given = |access: &Access| is_same_product(&access.listed(), &of);
        let given = memory.given.keys().filter(|(at, _, access)| at == target && is_given(access));
        for group in given.filter_map(|(_, group, _)| judge.accounts.group_at(judge.accounts.group_slot(group)?)) {
            groups.insert(group.id.clone());
            let members = group.people.iter().filter_map(|packed| judge.accounts.person(packed.slot()));
            holders.extend(members.map(|person| person.id.clone()));
        }
        let seats = Seats { product, limit, used: holders.len() as u64, gained: 0, freed: 0 };
        Self { of, groups, names: BTreeSet::new(), holders, seats }
    }

    /// What a case waits for that no seat is free for: by group, how many memberships.
    fn waits(&self, draft: &Draft, fresh: &BTreeSet<AccountId>) -> Vec<Wait> {
        let mut edges: BTreeMap<&str, u64> = BTreeMap::new();
        for step in &draft.steps {
            if let Step::Edge { edge, .. } = step
                && self.gets(edge, EdgeOp::Add).is_some_and(|account| fresh.contains(account))
            {
                *edges.entry(&edge.group_name).or_default() += 1;
            }
        }
        let wait =
            |(name, edges): (&str, u64)| Wait { group: Some(name.to_owned()), person: None, why: WaitWhy::Seat, edges };
        edges.into_iter().map(wait).collect()
    }

    /// The account that the edge adds to, or takes out of, a group of this product.
    fn gets<'a>(&self, edge: &'a Edge, op: EdgeOp) -> Option<&'a AccountId> {
        let known = edge.group.as_ref().is_some_and(|group| self.groups.contains(group));
        let named = edge.group.is_none() && self.names.contains(&edge.group_name);
        if edge.op == op && (known || named) { edge.account.as_ref() } else { None }
    }

    /// Everybody in a group that a case has give this product.
    fn let_in(&self, judge: &Judge<'_>, draft: &Draft) -> Vec<AccountId> {
        let opens = |step: &Step| match step {
            Step::GrantAccess { group: Some(group), access, .. } if is_same_product(&access.listed(), &self.of) => {
                judge.accounts.group_slot(group)
            }
            _ => None,
        };
        let groups = draft.steps.iter().filter_map(opens).filter_map(|slot| judge.accounts.group_at(slot));
        let members = groups.flat_map(|group| &group.people).filter_map(|it| judge.accounts.person(it.slot()));
        members.map(|person| person.id.clone()).collect()
    }

    /// The accounts that a case adds to, or takes out of, groups of this product.
    fn touched(&self, draft: &Draft, op: EdgeOp) -> Vec<AccountId> {
        let step = |step: &Step| match step {
            Step::Edge { edge, .. } => self.gets(edge, op).cloned(),
            _ => None,
        };
        draft.steps.iter().filter_map(step).collect()
    }
}

/// The products with a limit, and the groups that give them. The policy's limit comes first; of a product that it does
/// not name, each site's own seats are the limit, where the site tells them.
///
/// What a group gives is read off the directory. Only where no group is known to give anything (a site or a key that
/// does not tell) the names of its default access groups must do.
fn products(judge: &Judge<'_>) -> Vec<Product> {
    let mut products = limited(judge);
    products.extend(counted(judge));
    if !products.is_empty() {
        // Who was let in since the last read holds a seat that it did not count.
        let memory = judge.memory;
        let released = memory.released.iter().filter(|(_, op)| **op == EdgeOp::Add).map(|(key, _)| key);
        let confirmed = memory.confirmed.iter().filter(|(_, told)| told.present).map(|(key, _)| key);
        for (target, group, account) in released.chain(confirmed) {
            for product in products.iter_mut().filter(|it| target == &judge.target.id && it.groups.contains(group)) {
                product.seats.used += u64::from(product.holders.insert(account.clone()));
            }
        }
    }
    products
}

/// The products that the policy limits.
fn limited(judge: &Judge<'_>) -> Vec<Product> {
    let limits = &judge.policy.guard.seat_limit;
    let told = groups(judge).any(|group| !group.gives.is_empty());
    let of = |(product, limit): (&String, &u64)| {
        let mut found =
            Product::new(judge, ProductAccess::new(product.as_str(), ""), (product.clone(), *limit), |group| {
                if told {
                    return group.gives.iter().any(|access| access.product.eq_ignore_ascii_case(product));
                }
                group.default_access && is_named_for(&group.name, product, limits.len() == 1)
            });
        for group in judge.target.groups.iter().filter(|_| !told) {
            let on_purpose = group.lead(&judge.policy.rules).is_some_and(|rule| rule.default_access_group);
            if on_purpose && is_named_for(&group.name, product, limits.len() == 1) {
                found.names.insert(group.name.clone());
            }
        }
        found
    };
    limits.iter().map(of).collect()
}

/// The products of which a site tells how many seats are left, and the policy no limit.
fn counted(judge: &Judge<'_>) -> Vec<Product> {
    let limits = &judge.policy.guard.seat_limit;
    let of_policy = |product: &str| limits.keys().any(|limited| limited.eq_ignore_ascii_case(product));
    let given = groups(judge).flat_map(|group| &group.gives).filter(|access| !of_policy(&access.product));
    let told: BTreeMap<(&str, &str), SeatCount> =
        given.filter_map(|access| Some(((access.product.as_str(), access.site.as_str()), access.seats?))).collect();
    let of = |((product, site), seats): (&(&str, &str), &SeatCount)| {
        let several = told.keys().filter(|(other, _)| other == product).count() > 1;
        let name = if several { format!("{product} ({site})") } else { (*product).to_owned() };
        let gives = |group: &Group| group.gives.iter().any(|it| it.product == *product && it.site == *site);
        let mut found = Product::new(judge, ProductAccess::new(*product, *site), (name, seats.total), gives);
        // The site counts who is active, and those whom we do not see.
        found.seats.used = seats.total.saturating_sub(seats.left);
        found
    };
    told.iter().map(of).collect()
}

fn groups<'a>(judge: &'a Judge<'_>) -> impl Iterator<Item = &'a Group> {
    judge.accounts.giving().filter_map(|group| group.row.as_ref().map(|row| &row.group))
}

/// Whether a product is the one that seats are counted of: on its site, where sites are counted apart.
fn is_same_product(access: &ProductAccess, of: &ProductAccess) -> bool {
    access.product.eq_ignore_ascii_case(&of.product) && (of.site.is_empty() || same_site(&access.site, &of.site))
}

/// Whether a default access group is the product's, by its name: it holds the product's key, or it is the product
/// family's group of users (`jira-users-acme` of `jira-software`). With a single limit also every group whose name
/// says no other product.
fn is_named_for(name: &str, product: &str, only: bool) -> bool {
    const FAMILIES: [&str; 6] = ["jira", "confluence", "bitbucket", "trello", "compass", "statuspage"];
    let (name, product) = (name.to_ascii_lowercase(), product.to_ascii_lowercase());
    let family = product.strip_suffix("-software").unwrap_or(&product);
    name.contains(&product)
        || name.starts_with(&format!("{family}-users"))
        || (only && !FAMILIES.iter().any(|family| name.contains(family)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_one_product_from_another() {
        let software = |name: &str| is_named_for(name, "jira-software", true);
        assert!(software("jira-software-users") && software("jira-users-acme") && software("all-staff"));
        assert!(!software("confluence-users-acme") && !software("jira-servicemanagement-users-acme"));
        assert!(!is_named_for("all-staff", "jira-software", false), "with two limits nobody can say");
    }
}
