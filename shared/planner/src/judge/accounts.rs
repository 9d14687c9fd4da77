//! Rules about people: accounts that are made, kept up to date, taken away and given back.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AccountChange, AccountId, CaseKind, DirectoryKind, GuardName, Lane, Reason, RefusalWhy, Standing, Step, User,
    UserState, Wait, WaitWhy,
};
use policy::{LeaveAction, Outsiders, Policy, Provision, Who};

use super::{Draft, Judge};
use crate::{
    mirror::{Mirror, number},
    people::{Found, Pairing, Place, is_outsider, is_taken, on_leave, sees_off},
};

/// For each `[[people.provision]]` entry, the persons for whom it has something to do.
pub(crate) type Pending = Vec<BTreeSet<u32>>;

/// What an entry has to do for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    Create(BTreeMap<String, String>),
    Update(u32, BTreeMap<String, String>),
    Deactivate(u32),
    Restore(u32),
}

/// Whether the entry has something to do for the person. Decided by rows alone, so that it can be kept.
pub(crate) fn is_pending(
    policy: &Policy,
    provision: &Provision,
    source: &Mirror,
    accounts: &Mirror,
    pairing: &Pairing,
    person: u32,
) -> bool {
    task(policy, provision, source, accounts, pairing.place(person), person).is_some()
}

fn task(
    policy: &Policy,
    provision: &Provision,
    source: &Mirror,
    accounts: &Mirror,
    place: Place,
    person: u32,
) -> Option<Task> {
    let row = source.person(person)?.row.as_ref()?;
    if row.user.standing == Standing::Unlisted {
        return None;
    }
    let stays = place.works && place.in_scope && is_taken(policy, provision, &row.user);
    match place.found {
        Found::Doubt => None,
        Found::Nobody => {
            let invited = provision.external == Outsiders::Create || !is_outsider(policy, &row.user);
            (stays && invited && provision.create && row.user.email.is_some())
                .then(|| Task::Create(attributes(policy, provision, &row.user)))
        }
        Found::Account(account) if stays => {
            let wanted = attributes(policy, provision, &row.user);
            let kind = kind_of(policy, provision);
            let differing = differing(kind, wanted, &accounts.person(account)?.row.as_ref()?.user);
            (provision.update && !differing.is_empty()).then_some(Task::Update(account, differing))
        }
        // Only the entry that the person belongs to takes the account away.
        Found::Account(_) if !sees_off(policy, provision, row) => None,
        Found::Account(account) => {
            let let_in = || accounts.live(account).is_none_or(|row| row.user.is_let_in());
            let ends = match on_leave(provision, row) {
                LeaveAction::Keep => false,
                LeaveAction::Deactivate => let_in(),
                // Whom the organization does not list has no access to it that could be taken away.
                LeaveAction::Suspend | LeaveAction::Remove => accounts.live(account).is_some(),
            };
            ends.then_some(Task::Deactivate(account))
        }
        Found::Unusable(account) => {
            let account_row = accounts.person(account)?.row.as_ref()?;
            let out = matches!(account_row.user.state, UserState::Deactivated | UserState::Suspended);
            if account_row.gone_at.is_some() {
                // An organization lets in again whom we took out of it, by inviting the same account.
                let again =
                    stays && provision.create && kind_of(policy, provision) == Some(DirectoryKind::AtlassianOrg);
                let attributes = attributes(policy, provision, &row.user);
                return (again && row.user.email.is_some()).then_some(Task::Create(attributes));
            }
            if account_row.user.state == UserState::Uninvited {
                // Nothing was taken from the account that could be given back: the person is invited, as anybody new.
                let attributes = attributes(policy, provision, &row.user);
                let invites = stays && provision.create && row.user.email.is_some();
                return invites.then_some(Task::Create(attributes));
            }
            (stays && out).then_some(Task::Restore(account))
        }
    }
}

/// The attributes that an account of this person has, by SCIM attribute path: `userName`, `emails[primary].value`,
/// `displayName`, `name.givenName`, `name.familyName` and what the entry maps.
fn attributes(policy: &Policy, provision: &Provision, user: &User) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let mut put = |path: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            attributes.insert(path.to_owned(), value.to_owned());
        }
    };
    let email = user.email.as_ref();
    let made = has_user_names(kind_of(policy, provision));
    let username = email.map(|email| if made { policy.people.username(email) } else { email.key().to_owned() });
    put("userName", username.as_deref());
    put("emails[primary].value", email.map(model::Email::as_written));
    put("displayName", user.display_name.as_deref());
    put("name.givenName", user.given_name.as_deref());
    put("name.familyName", user.family_name.as_deref());
    for (path, source) in &provision.attributes {
        put(path, user.attributes.get(source).map(String::as_str));
    }
    attributes
}

/// What reads of a provisioning directory tell of a user beside names and addresses (reference/atlassian-cloud.md §3.3).
const SCIM_REPORTS: [&str; 6] = ["department", "organization", "title", "nickName", "preferredLanguage", "timezone"];
/// What reads of an organization tell of an account beside name and address (reference/atlassian-cloud.md §1.5).
const ORG_REPORTS: [&str; 5] = ["department", "location", "organization", "timezone", "title"];
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:";

/// The attributes that the account has otherwise. One that the target does not report at all is not compared: what
/// cannot be seen would be set again for ever.
fn differing(
    kind: Option<DirectoryKind>,
    wanted: BTreeMap<String, String>,
    account: &User,
) -> BTreeMap<String, String> {
    let is = |known: &Option<String>, value: &str| known.as_deref().is_some_and(|known| known != value);
    let moves = |value: &str| account.email.as_ref().is_some_and(|email| !email.key().eq_ignore_ascii_case(value));
    let differs = |path: &str, value: &str| match path {
        "userName" => kind == Some(DirectoryKind::AtlassianScim) && moves(value) && is_named_by_address(account),
        "emails[primary].value" => moves(value),
        "displayName" => is(&account.display_name, value),
        "name.givenName" => is(&account.given_name, value),
        "name.familyName" => is(&account.family_name, value),
        path => {
            let path = path.strip_prefix(ENTERPRISE).unwrap_or(path);
            let known = account.attributes.get(path).map(String::as_str);
            let reported = match kind {
                Some(DirectoryKind::AtlassianScim) => SCIM_REPORTS.contains(&path),
                Some(DirectoryKind::AtlassianOrg) => ORG_REPORTS.contains(&path),
                // Crowd tells every attribute that an entry maps.
                Some(DirectoryKind::Crowd) => true,
                _ => false,
            };
            (reported || known.is_some()) && known != Some(value)
        }
    };
    wanted.into_iter().filter(|(path, value)| differs(path, value)).collect()
}

/// Whether the account's user name is its address: then the name follows the address, so that the old one is free for
/// whoever gets it next. Any other name is somebody's choice, and stays.
fn is_named_by_address(account: &User) -> bool {
    let named = account.attributes.get("userName").zip(account.email.as_ref());
    named.is_some_and(|(name, email)| email.key().eq_ignore_ascii_case(name))
}

pub(super) fn kind_of(policy: &Policy, provision: &Provision) -> Option<DirectoryKind> {
    policy.directories.get(&provision.to).map(|directory| directory.kind)
}

/// Whether user names there are made by `[people].username`: at Data Center and Crowd. Everywhere else an address is all
/// that anybody is called.
const fn has_user_names(kind: Option<DirectoryKind>) -> bool {
    matches!(
        kind,
        Some(DirectoryKind::JiraDc | DirectoryKind::ConfluenceDc | DirectoryKind::BitbucketDc | DirectoryKind::Crowd)
    )
}

impl Judge<'_> {
    /// Judges what the entries have to do at this target.
    pub(crate) fn accounts(&mut self, pending: &Pending) {
        let policy = self.policy;
        for (provision, persons) in policy.provisions.iter().zip(pending) {
            if provision.to != self.target.id || !provision.enabled {
                continue;
            }
            let Some(source) = self.mirrors.iter().position(|mirror| mirror.directory() == &provision.from) else {
                continue;
            };
            let doubtful = self.doubtful_names(provision, source, persons);
            for person in persons {
                self.person(provision, source, *person, &doubtful);
            }
            self.settled_leavers(provision, source, persons);
        }
        self.farewells();
    }

    /// User names that more than one person would get, or that an account has already: nobody can say whose they are.
    fn doubtful_names(&self, provision: &Provision, source: usize, persons: &BTreeSet<u32>) -> BTreeSet<String> {
        let (Some(mirror), Some(pairing)) = (self.mirrors.get(source), self.pairing(source)) else {
            return BTreeSet::new();
        };
        if !has_user_names(kind_of(self.policy, provision)) {
            return BTreeSet::new();
        }
        let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
        for person in persons {
            let task = task(self.policy, provision, mirror, self.accounts, pairing.place(*person), *person);
            if let Some(Task::Create(attributes)) = task {
                let name = attributes.get("userName").map(|name| name.to_ascii_lowercase());
                *wanted.entry(name.unwrap_or_default()).or_default() += 1;
            }
        }
        if wanted.is_empty() {
            return BTreeSet::new();
        }
        let accounts = (0..number(self.accounts.people.len())).filter_map(|slot| self.accounts.live(slot));
        for name in accounts.filter_map(|row| row.user.attributes.get("userName")) {
            if let Some(count) = wanted.get_mut(&name.to_ascii_lowercase()) {
                *count += 1;
            }
        }
        wanted.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
    }

    fn person(&mut self, provision: &Provision, source: usize, person: u32, doubtful: &BTreeSet<String>) {
        let (Some(mirror), Some(place)) = (self.mirrors.get(source), self.pairing(source).map(|p| p.place(person)))
        else {
            return;
        };
        let Some(id) = mirror.person(person).map(|person| person.id.clone()) else { return };
        let Some(task) = task(self.policy, provision, mirror, self.accounts, place, person) else { return };
        // What somebody else took away is not ours to give back.
        let key = (self.target.id.clone(), provision.from.clone(), id.clone());
        let was_there = matches!(place.found, Found::Unusable(account) if self.accounts.live(account).is_none());
        if was_there && matches!(task, Task::Create(_)) && !self.memory.leaving.contains_key(&key) {
            return;
        }
        let only_members = provision.who == Who::Members && matches!(task, Task::Create(_));
        if only_members && !self.out.members.contains(&(source, person)) {
            return;
        }
        if self.memory.accounts_open.contains(&key) {
            return;
        }
        let wait = |why| Wait { group: None, person: Some(id.clone()), why, edges: 0 };
        if self.memory.blind.contains(&provision.from) {
            return self.out.waits.push(wait(WaitWhy::SourceBlind { directory: provision.from.clone() }));
        }
        let account = match &task {
            Task::Create(_) => None,
            Task::Update(account, _) | Task::Deactivate(account) | Task::Restore(account) => Some(*account),
        };
        let account_id = account.and_then(|slot| self.account(slot)).cloned();
        let ids: Vec<&AccountId> = [Some(&id), account_id.as_ref()].into_iter().flatten().collect();
        if let Some(letter) = self.memory.dead_letter_of_person(&self.target.id, &ids) {
            return self.out.waits.push(wait(WaitWhy::DeadLetter { id: letter }));
        }
        if let Task::Create(attributes) = &task
            && attributes.get("userName").is_some_and(|name| doubtful.contains(&name.to_ascii_lowercase()))
        {
            return self.out.waits.push(wait(WaitWhy::Doubt));
        }
        let step =
            |change, reason| Step::Account { account: account_id.clone(), person: Some(id.clone()), change, reason };
        let reason = Reason::Provision { rule: provision.id.clone(), source: provision.from.clone() };
        let change = match task {
            Task::Deactivate(account) => return self.deactivate(provision, source, person, account),
            Task::Restore(_) => {
                // What somebody else took away is not ours to give back.
                if !self.memory.leaving.contains_key(&key) {
                    return;
                }
                AccountChange::Restore
            }
            Task::Create(attributes) => AccountChange::Create { attributes },
            Task::Update(_, attributes) => AccountChange::Update { attributes },
        };
        if let Some(why) = account.and_then(|account| self.spared_why(account)) {
            return self.refuse(step(change, reason), why);
        }
        let kind = CaseKind::Account { source: provision.from.clone(), person: id.clone() };
        let mut draft = Draft::new(kind, "", Lane::Normal);
        if let (AccountChange::Update { attributes }, Some(account)) = (&change, account)
            && self.changes_domain(account, attributes)
        {
            draft.hold(GuardName::IdentityChanged, "the address moves to another domain".to_owned());
        }
        draft.steps.push(step(change, reason));
        draft.sources.insert(source);
        self.out.drafts.push(draft);
    }

    pub(super) fn spared_why(&self, account: u32) -> Option<RefusalWhy> {
        if self.target.own.binary_search(&account).is_ok() {
            return Some(RefusalWhy::OurOwnAccount);
        }
        self.target.protected.binary_search(&account).is_ok().then_some(RefusalWhy::ProtectedPerson)
    }

    fn changes_domain(&self, account: u32, attributes: &BTreeMap<String, String>) -> bool {
        let now = self.accounts.live(account).and_then(|row| row.user.email.as_ref());
        let next = attributes.get("emails[primary].value").and_then(|value| model::Email::new(value).ok());
        now.zip(next).is_some_and(|(now, next)| now.domain() != next.domain())
    }
}
