//! Accounts and their standing: deactivation, suspension, removal, invitation, roles of people.

use super::account::{Account, AccountStatus, Index};
use super::base::{Before, Resident, Standing};
use super::{Act, AtlassianSide, BaseKey, Refusal};
use crate::engine::Millis;

impl AtlassianSide {
    /// Activates, deactivates or closes an account; true if that changed anything.
    pub fn set_account_status(&mut self, person: Index, status: AccountStatus, act: &mut Act<'_>) -> bool {
        let Some(account) = self.accounts.get_mut(person) else { return false };
        if account.status == status {
            return false;
        }
        let old = std::mem::replace(&mut account.status, status);
        account.deactivated_at = (status != AccountStatus::Active).then_some(act.cause.at);
        let key = format!("atlassian/account/{}", account.id);
        act.record(key, Some(old.word().to_owned()), Some(status.word().to_owned()));
        true
    }

    /// Makes a new account in a directory. The address must not have one yet.
    pub fn create_account(&mut self, key: &BaseKey, email: &str, name: &str, act: &mut Act<'_>) -> Index {
        let id = format!("712020:{}", self.fresh_id());
        act.record(format!("atlassian/account/{id}"), None, Some("active".to_owned()));
        let index = self.accounts.insert(Account::new(&id, email, name, act.cause.at));
        self.admit(key, index, false, act);
        index
    }

    /// Lets an existing account into a directory; true if it was not there.
    pub fn admit(&mut self, key: &BaseKey, person: Index, synced: bool, act: &mut Act<'_>) -> bool {
        let Some(account) = self.accounts.get(person).map(|it| it.id.clone()) else { return false };
        let Some(base) = self.base_mut(key) else { return false };
        if let Some(resident) = base.people.get_mut(&person) {
            resident.synced |= synced;
            if resident.standing != Standing::NoMembership {
                return false;
            }
            resident.standing = Standing::Active;
            let record = format!("atlassian/directory/{}/person/{account}", base.key);
            let (before, after) = (Standing::NoMembership.word().to_owned(), Standing::Active.word().to_owned());
            act.record(record, Some(before), Some(after));
            return true;
        }
        base.people.insert(person, Resident { synced, ..Resident::new(act.cause.at) });
        base.remember(act.cause, Before::NoPerson(person));
        let record = format!("atlassian/directory/{}/person/{account}", base.key);
        act.record(record, None, Some(Standing::Active.word().to_owned()));
        true
    }

    /// Suspends or restores somebody's access to a directory. A repeat is [`Refusal::Conflict`].
    pub fn set_standing(
        &mut self,
        key: &BaseKey,
        account_id: &str,
        standing: Standing,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let person = self.accounts.find(account_id).ok_or(Refusal::UnknownAccount)?;
        let base = self.base_mut(key).ok_or(Refusal::NotInDirectory)?;
        let resident = base.people.get_mut(&person).ok_or(Refusal::NotInDirectory)?;
        if resident.standing == Standing::NoMembership {
            return Err(Refusal::NotInDirectory);
        }
        if resident.standing == standing {
            return Err(Refusal::Conflict);
        }
        let old = std::mem::replace(&mut resident.standing, standing);
        let record = format!("atlassian/directory/{}/person/{account_id}", base.key);
        act.record(record, Some(old.word().to_owned()), Some(standing.word().to_owned()));
        Ok(())
    }

    /// Queues somebody's removal from a directory; it happens after the delay of the switches.
    pub fn queue_removal(&mut self, key: &BaseKey, account_id: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        let person = self.accounts.find(account_id).ok_or(Refusal::UnknownAccount)?;
        let at = act.cause.at.saturating_add(self.switches.user_removal_delay_ms);
        let base = self.base_mut(key).ok_or(Refusal::NotInDirectory)?;
        let resident = base.people.get_mut(&person).ok_or(Refusal::NotInDirectory)?;
        if resident.leaves_at.is_none() {
            resident.leaves_at = Some(at);
            self.queue.insert((at, key.clone(), person));
        }
        self.settle(act);
        Ok(())
    }

    /// Carries out what fell due: call it before each request.
    pub fn settle(&mut self, act: &mut Act<'_>) {
        let due = |(at, _, _): &&(Millis, BaseKey, Index)| *at <= act.cause.at;
        while let Some(entry) = self.queue.first().filter(due).cloned() {
            self.queue.remove(&entry);
            let (_, key, person) = entry;
            self.evict(&key, person, act);
        }
    }

    /// Removes somebody from a directory, with all memberships there. An account of a claimed domain stays known to the
    /// organization, without a membership (reference/atlassian-cloud.md §1.5).
    pub(crate) fn evict(&mut self, key: &BaseKey, person: Index, act: &mut Act<'_>) {
        let Some(base) = self.base(key) else { return };
        let groups: Vec<_> = base.groups_of(person).collect();
        for group in groups {
            self.put_membership(key, group, person, false, act);
        }
        let managed = self.is_claimed(key, person);
        let account = self.accounts.get(person).map(|it| it.id.clone()).unwrap_or_default();
        let Some(base) = self.base_mut(key) else { return };
        if let Some(gone) = base.people.remove(&person) {
            let record = format!("atlassian/directory/{}/person/{account}", base.key);
            let after = managed.then(|| Standing::NoMembership.word().to_owned());
            act.record(record, Some(gone.standing.word().to_owned()), after);
            if managed {
                let standing = Standing::NoMembership;
                base.people.insert(person, Resident { standing, ..Resident::new(gone.added_at) });
            }
        }
    }

    /// Whether the organization has claimed the domain of the account.
    fn is_claimed(&self, key: &BaseKey, person: Index) -> bool {
        let BaseKey::Organization(id) = key else { return false };
        let domain = self.accounts.get(person).map(Account::domain);
        self.organization(id).zip(domain).is_some_and(|(it, domain)| it.domains.contains(domain))
    }

    /// Assigns or revokes a role of a person: of the whole organization, or with a resource on that product.
    pub fn set_person_role(
        &mut self,
        key: &BaseKey,
        account_id: &str,
        (resource, role): (Option<&str>, &str),
        assigned: bool,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let person = self.accounts.find(account_id).ok_or(Refusal::UnknownAccount)?;
        let base = self.base_mut(key).ok_or(Refusal::NotInDirectory)?;
        if resource.is_some_and(|wanted| !base.products.iter().any(|it| it.resource == wanted)) {
            return Err(Refusal::UnknownResource);
        }
        let resident = base.people.get_mut(&person).ok_or(Refusal::NotInDirectory)?;
        let roles = match resource {
            Some(resource) => resident.direct_roles.entry(resource.to_owned()).or_default(),
            None => &mut resident.roles,
        };
        let changed = if assigned { roles.insert(role.to_owned()) } else { roles.remove(role) };
        if changed {
            let place = resource.unwrap_or(&base.key);
            act.record_presence(format!("atlassian/account/{account_id}/role/{place} {role}"), assigned);
        }
        Ok(())
    }
}
