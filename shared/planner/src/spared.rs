//! Accounts that are never touched: our own, and those of protected people.

use crate::{Memory, Planner};

impl Planner {
    /// Works out which accounts are never touched.
    pub(crate) fn refresh_spared(&mut self, memory: &Memory) {
        for target in &mut self.targets {
            let Some(mirror) = self.mirrors.get_mut(target.mirror) else { continue };
            let ids = memory.own_accounts.get(&target.id).into_iter().flatten();
            let mut own: Vec<u32> = ids.map(|id| mirror.intern_person(id)).collect();
            let mut protected: Vec<u32> = Vec::new();
            let ours = self.policy.own_addresses().into_iter().map(|email| (email, true));
            let others = self.policy.guard.protected_people.iter().map(|email| (email, false));
            for (email, is_ours) in ours.chain(others) {
                let list = if is_ours { &mut own } else { &mut protected };
                if let Some(mirror) = self.mirrors.get(target.mirror) {
                    list.extend(mirror.by_address(email.key()).chain(mirror.by_alias(email.key())));
                }
                for pairing in self.pairings.iter().filter(|pairing| pairing.target == target.mirror) {
                    let Some(source) = self.mirrors.get(pairing.source) else { continue };
                    let persons = source.by_address(email.key()).chain(source.by_alias(email.key()));
                    list.extend(persons.filter_map(|person| pairing.account_of(person)));
                }
            }
            for list in [&mut own, &mut protected] {
                list.sort_unstable();
                list.dedup();
            }
            if target.own != own || target.protected != protected {
                target.own = own;
                target.protected = protected;
                target.renew_all_differences();
            }
        }
    }
}
