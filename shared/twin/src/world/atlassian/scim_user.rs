//! People through user provisioning: links to accounts, activation, unlinking.

use serde_json::{Map, Value};

use super::account::{AccountStatus, Index};
use super::scim::{Position, ScimRefusal, ScimUser, primary_email};
use super::switches::ScimDelete;
use super::{Act, AtlassianSide, ScimDirectory};

impl AtlassianSide {
    /// Makes a record and links it to the account with its address, which is made if there is none. Answers with its id.
    pub fn create_scim_user(
        &mut self,
        directory: &str,
        attributes: Map<String, Value>,
        act: &mut Act<'_>,
    ) -> Result<String, ScimRefusal> {
        let email = primary_email(&attributes);
        self.check_scim_user(directory, &attributes, None)?;
        let it = self.scim.get(directory).ok_or_else(unknown)?;
        let name = text(&attributes, "userName").to_lowercase();
        let revived = it.user_by_name.get(&name).copied().filter(|at| it.users.get(at).is_some_and(|user| user.hidden));
        let key = it.base();
        let found = self.live_account(&email);
        if revived.is_none() && found.is_some_and(|person| it.user_by_account.contains_key(&person)) {
            return Err(ScimRefusal::Taken(format!("Resource [USER]: with email[{email}] already exists.")));
        }
        let person = found.unwrap_or_else(|| {
            let name = shown_name(&attributes).unwrap_or_else(|| email.clone());
            self.create_account(&key, &email, &name, act)
        });
        self.admit(&key, person, true, act);
        let id = self.fresh_id();
        let Some(it) = self.scim.get_mut(directory) else { return Err(unknown()) };
        let at = act.cause.at;
        let position = revived.unwrap_or_else(|| it.allot());
        it.unindex(position);
        let kept = it.users.get(&position).map(|old| (old.id.clone(), old.created));
        let (id, created) = kept.unwrap_or((id, at));
        let user = ScimUser { id: id.clone(), attributes, account: Some(person), hidden: false, created, modified: at };
        it.users.insert(position, user);
        it.index(position);
        act.record(format!("atlassian/scim/{directory}/user/{id}"), None, Some("present".to_owned()));
        self.apply_scim_user(directory, position, act);
        Ok(id)
    }

    /// Puts a record's attributes in place of the old ones; both PUT and PATCH end here.
    pub fn replace_scim_user(
        &mut self,
        directory: &str,
        id: &str,
        attributes: Map<String, Value>,
        act: &mut Act<'_>,
    ) -> Result<(), ScimRefusal> {
        let it = self.scim.get(directory).ok_or_else(unknown)?;
        let (position, user) = it.user(id).ok_or_else(|| no_user(id))?;
        let (old_email, account, unchanged) = (user.email(), user.account, user.attributes == attributes);
        self.check_scim_user(directory, &attributes, Some(position))?;
        if unchanged {
            return Ok(());
        }
        let email = primary_email(&attributes);
        let Some(it) = self.scim.get_mut(directory) else { return Err(unknown()) };
        it.unindex(position);
        if let Some(user) = it.users.get_mut(&position) {
            user.attributes = attributes;
            user.modified = act.cause.at;
        }
        it.index(position);
        if email != old_email {
            self.change_linked_email(directory, position, account, &email, act);
        }
        self.apply_scim_user(directory, position, act);
        Ok(())
    }

    /// An e-mail change of a managed account renames it; an external account is unlinked (ACCESS-1396).
    fn change_linked_email(
        &mut self,
        directory: &str,
        position: Position,
        account: Option<Index>,
        email: &str,
        act: &mut Act<'_>,
    ) {
        let Some(person) = account else { return };
        if self.is_managed(person) {
            let record =
                self.accounts.get(person).map(|it| (format!("atlassian/account/{}/email", it.id), it.email.clone()));
            self.accounts.set_email(person, email);
            if let Some((key, old)) = record {
                act.record(key, Some(old), Some(email.to_owned()));
            }
        } else {
            self.unlink_position(directory, position, act);
        }
    }

    /// DELETE of a record, as the switch says.
    pub fn delete_scim_user(&mut self, directory: &str, id: &str, act: &mut Act<'_>) -> Result<(), ScimRefusal> {
        let it = self.scim.get_mut(directory).ok_or_else(unknown)?;
        let (position, user) = it.user(id).ok_or_else(|| no_user(id))?;
        let account = user.account;
        match self.switches.scim_delete_user {
            ScimDelete::Unlink => {
                self.forget_scim_user(directory, id, act);
            }
            ScimDelete::Deactivate => {
                if let Some(user) = it.users.get_mut(&position) {
                    user.attributes.insert("active".to_owned(), Value::Bool(false));
                    user.hidden = true;
                }
                act.record(format!("atlassian/scim/{directory}/user/{id}"), Some("present".to_owned()), None);
                self.apply_scim_user(directory, position, act);
            }
        }
        if let Some(person) = account.filter(|it| self.is_managed(*it)) {
            self.set_account_status(person, AccountStatus::Inactive, act);
        }
        Ok(())
    }

    /// Undoes the link between a record and its account: synced memberships go, the account stays. False if there is no
    /// such record or link.
    pub fn unlink_scim_user(&mut self, directory: &str, id: &str, act: &mut Act<'_>) -> bool {
        let found = self.scim.get(directory).and_then(|it| it.user(id)).filter(|(_, it)| it.account.is_some());
        let Some(position) = found.map(|it| it.0) else { return false };
        self.unlink_position(directory, position, act);
        true
    }

    fn unlink_position(&mut self, directory: &str, position: Position, act: &mut Act<'_>) {
        self.put_scim_memberships(directory, position, false, act);
        if let Some(it) = self.scim.get_mut(directory) {
            it.unindex(position);
            if let Some(user) = it.users.get_mut(&position) {
                user.account = None;
            }
            it.index(position);
        }
    }

    /// Deletes a record without touching the account's state. False if there is no such record.
    pub fn forget_scim_user(&mut self, directory: &str, id: &str, act: &mut Act<'_>) -> bool {
        let Some(position) = self.scim.get(directory).and_then(|it| it.user(id)).map(|it| it.0) else { return false };
        self.put_scim_memberships(directory, position, false, act);
        let Some(it) = self.scim.get_mut(directory) else { return false };
        it.unindex(position);
        it.user_by_id.remove(id);
        it.users.remove(&position);
        for group in it.groups_of.remove(&position).unwrap_or_default() {
            if let Some(group) = it.groups.get_mut(&group) {
                group.members.remove(&position);
            }
        }
        act.record(format!("atlassian/scim/{directory}/user/{id}"), Some("present".to_owned()), None);
        true
    }

    /// Names and addresses that must be there, and be nobody else's.
    fn check_scim_user(
        &self,
        directory: &str,
        attributes: &Map<String, Value>,
        own: Option<Position>,
    ) -> Result<(), ScimRefusal> {
        let it = self.scim.get(directory).ok_or_else(unknown)?;
        let name = text(attributes, "userName");
        if name.is_empty() {
            return Err(ScimRefusal::Invalid("invalidValue", "userName is required".to_owned()));
        }
        let email = primary_email(attributes);
        if !email.contains('@') {
            return Err(ScimRefusal::Invalid("invalidValue", "emails must hold one valid address".to_owned()));
        }
        let other = |at: Option<&Position>| at.is_some_and(|at| Some(*at) != own && it.user_at(*at).is_some());
        if other(it.user_by_name.get(&name.to_lowercase())) {
            return Err(ScimRefusal::Taken(format!("Resource [USER]: with userName[{name}] already exists.")));
        }
        let account_taken = own
            .and_then(|at| it.users.get(&at))
            .and_then(|user| user.account)
            .is_some_and(|mine| self.is_managed(mine) && self.live_account(&email).is_some_and(|found| found != mine));
        if other(it.user_by_email.get(&email)) || account_taken {
            return Err(ScimRefusal::Taken(format!("Resource [USER]: with email[{email}] already exists.")));
        }
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        let claimed = self.organizations.get(&it.organization).is_some_and(|it| it.domains.contains(domain));
        if !claimed && !self.switches.scim_accepts_unclaimed_domains {
            let detail = format!("The domain of {email} is not verified");
            return Err(ScimRefusal::Invalid("invalidValue", detail));
        }
        Ok(())
    }

    /// Carries a record over to its account: profile, activation, memberships.
    fn apply_scim_user(&mut self, directory: &str, position: Position, act: &mut Act<'_>) {
        let Some(user) = self.scim.get(directory).and_then(|it| it.users.get(&position)) else { return };
        let (active, attributes) = (user.active(), user.attributes.clone());
        let Some(person) = user.account else { return };
        if let Some(account) = self.accounts.get_mut(person) {
            if let Some(name) = shown_name(&attributes) {
                account.name = name;
            }
            let own = |name: &str| Some(text(&attributes, name)).filter(|it| !it.is_empty()).map(str::to_owned);
            if let Some(nickname) = own("nickName") {
                account.nickname = nickname;
            }
            let extended = |name: &str| {
                let extension = attributes.get("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")?;
                extension.get(name)?.as_str().map(str::to_owned)
            };
            account.title = own("title");
            account.department = own("department").or_else(|| extended("department"));
            account.organization = own("organization").or_else(|| extended("organization"));
            account.time_zone = own("timezone");
        }
        let managed = self.is_managed(person);
        if managed {
            let status = if active { AccountStatus::Active } else { AccountStatus::Inactive };
            self.set_account_status(person, status, act);
        }
        let keeps = active || managed || !self.switches.scim_deactivated_external_loses_groups;
        self.put_scim_memberships(directory, position, keeps, act);
    }

    /// Sets the memberships of a record's account in the groups that the record is a member of.
    fn put_scim_memberships(&mut self, directory: &str, position: Position, member: bool, act: &mut Act<'_>) {
        let Some(it) = self.scim.get(directory) else { return };
        let Some(person) = it.users.get(&position).and_then(|it| it.account) else { return };
        let key = it.base();
        let groups: Vec<_> = it.groups_of(position).map(|it| it.group).collect();
        for group in groups {
            self.put_membership(&key, group, person, member, act);
        }
    }

    /// Whether a membership of that record reaches the organization.
    pub(super) fn reaches(&self, it: &ScimDirectory, position: Position) -> Option<Index> {
        let user = it.user_at(position)?;
        let person = user.account?;
        let kept = user.active() || self.is_managed(person) || !self.switches.scim_deactivated_external_loses_groups;
        kept.then_some(person)
    }

    /// Whether an organization manages the account.
    pub(super) fn is_managed(&self, person: Index) -> bool {
        self.accounts.get(person).is_some_and(|it| self.manager(it).is_some())
    }

    fn live_account(&self, email: &str) -> Option<Index> {
        let live = |it: &Index| self.accounts.get(*it).is_some_and(|it| it.status != AccountStatus::Closed);
        self.accounts.with_email(email).iter().copied().find(live)
    }
}

fn text<'a>(attributes: &'a Map<String, Value>, name: &str) -> &'a str {
    attributes.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn shown_name(attributes: &Map<String, Value>) -> Option<String> {
    let display = text(attributes, "displayName");
    if !display.is_empty() {
        return Some(display.to_owned());
    }
    let name = attributes.get("name")?;
    let part = |it: &str| name.get(it).and_then(Value::as_str).unwrap_or_default();
    let whole = match part("formatted") {
        "" => format!("{} {}", part("givenName"), part("familyName")).trim().to_owned(),
        formatted => formatted.to_owned(),
    };
    (!whole.is_empty()).then_some(whole)
}

fn unknown() -> ScimRefusal {
    ScimRefusal::Unknown("Directory not found.".to_owned())
}

pub(super) fn no_user(id: &str) -> ScimRefusal {
    ScimRefusal::Unknown(format!("Resource [USER]: with id[{id}] not found."))
}
