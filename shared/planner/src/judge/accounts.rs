//! Rules about people: accounts that are made, kept up to date, taken away and given back.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    ACCOUNT_FIELDS, AccountChange, AccountId, CaseKind, DirectoryKind, GuardName, Lane, PersonStep, Reason, RefusalWhy,
    Standing, Step, User, UserState, Wait, WaitWhy,
};
use policy::{LeaveAction, Outsiders, Policy, Provision, Who};

use super::{
    Draft, Judge,
    addresses::{ADDRESS, InTheWay},
    doubts::doubt,
};
use crate::{
    mirror::{Mirror, number},
    people::{Found, Pairing, Place, is_outsider, is_taken, on_leave, sees_off},
};

/// For each `[[people.provision]]` entry, the persons for whom it has something to do.
pub(crate) type Pending = Vec<BTreeSet<u32>>;

/// An entry that brings people to the target, with those for whom it has something to do.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) provision: &'a Provision,
    pub(super) source: usize,
    pub(super) persons: &'a BTreeSet<u32>,
}

/// What is to be known of names and addresses before accounts are made and changed.
#[derive(Debug, Default)]
struct Names {
    /// In lower case; nobody can say whose they are.
    doubtful: BTreeSet<String>,
    /// Persons whose account is made for the same person of another source: (source, person).
    made_by_another: BTreeSet<(usize, u32)>,
    /// By account: what stands in the way of its new address.
    in_the_way: BTreeMap<u32, InTheWay>,
}

/// What an entry has to do for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    Create(BTreeMap<String, String>),
    Update(u32, BTreeMap<String, String>),
    Deactivate(u32),
    Restore(u32),
}

impl Task {
    const fn step(&self) -> PersonStep {
        match self {
            Self::Create(_) => PersonStep::Create,
            Self::Update(..) => PersonStep::Update,
            Self::Deactivate(_) => PersonStep::Leave,
            Self::Restore(_) => PersonStep::Restore,
        }
    }
}

/// Whether the entry has something to do for the person, or would have if it were known whose account is whose. Decided
/// by rows alone, so that it can be kept.
pub(crate) fn is_pending(
    policy: &Policy,
    provision: &Provision,
    source: &Mirror,
    accounts: &Mirror,
    pairing: &Pairing,
    person: u32,
) -> bool {
    let place = pairing.place(person);
    task(policy, provision, source, accounts, place, person).is_some()
        || doubt(policy, provision, source, place, person).is_some()
}

pub(super) fn task(
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
    let stays = stays(policy, provision, place, &row.user);
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
            let known = &accounts.person(account)?.row.as_ref()?.user;
            if is_anothers(kind, known) {
                return None;
            }
            let mut differing = differing(kind, wanted, known);
            differing.extend(cleared(kind, provision, &row.user, known));
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
            if stays {
                return out.then_some(Task::Restore(account));
            }
            let ends = sees_off(policy, provision, row) && goes_further(on_leave(provision, row), &account_row.user);
            (ends && kind_of(policy, provision) == Some(DirectoryKind::AtlassianOrg))
                .then_some(Task::Deactivate(account))
        }
    }
}

/// Whether the entry takes this person, who may work.
pub(super) fn stays(policy: &Policy, provision: &Provision, place: Place, user: &User) -> bool {
    place.works && place.in_scope && is_taken(policy, provision, user)
}

/// Whether a way to leave takes more away than was taken already, at an organization: somebody was suspended, and is
/// deleted later. An account that is not managed there is nobody's to deactivate; who is no member any more says so.
fn goes_further(way: LeaveAction, account: &User) -> bool {
    let is = |name: &str, value: &str| account.attributes.get(name).is_some_and(|known| known == value);
    match (way, account.state) {
        (LeaveAction::Remove, UserState::Suspended) => true,
        (LeaveAction::Deactivate, UserState::Suspended) => is("claimStatus", "managed"),
        (LeaveAction::Remove, UserState::Deactivated) => !is("membershipStatus", "no_membership"),
        _ => false,
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
    put(ADDRESS, email.map(model::Email::as_written));
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
        ADDRESS => moves(value),
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

/// Whether only somebody else may change the account: one of a domain that the organization has not claimed, or one
/// that an identity provider keeps up to date (reference/atlassian-cloud.md §2).
fn is_anothers(kind: Option<DirectoryKind>, account: &User) -> bool {
    let is = |name: &str, value: &str| account.attributes.get(name).is_some_and(|known| known == value);
    kind == Some(DirectoryKind::AtlassianOrg) && (is("claimStatus", "unmanaged") || is("managementSource", "synced"))
}

/// The attributes that the account still has though the source has them no more, each with an empty value: they are to
/// be cleared. Only what was mapped; what a target fills by itself would be cleared for ever.
fn cleared<'a>(
    kind: Option<DirectoryKind>,
    provision: &'a Provision,
    user: &'a User,
    account: &'a User,
) -> impl Iterator<Item = (String, String)> + 'a {
    let is_kept = move |name: &str| match kind {
        Some(DirectoryKind::AtlassianScim) => SCIM_REPORTS.contains(&name),
        Some(DirectoryKind::AtlassianOrg) => ["department", "location", "organization", "title"].contains(&name),
        // Crowd keeps what it is given under any other name (reference/atlassian-dc.md §5).
        Some(DirectoryKind::Crowd) => !ACCOUNT_FIELDS.contains(&name),
        _ => false,
    };
    let has = |user: &User, name: &str| user.attributes.get(name).is_some_and(|value| !value.is_empty());
    let mapped = provision.attributes.iter().filter(move |(path, source)| {
        let name = path.strip_prefix(ENTERPRISE).unwrap_or(path);
        is_kept(name) && !has(user, source) && has(account, name)
    });
    mapped.map(|(path, _)| (path.clone(), String::new()))
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
        let (policy, mirrors) = (self.policy, self.mirrors);
        let here = policy
            .provisions
            .iter()
            .zip(pending)
            .filter(|(provision, _)| provision.to == self.target.id && provision.enabled);
        let source_of = |id| mirrors.iter().position(|mirror| mirror.directory() == id);
        let entries: Vec<Entry<'_>> = here
            .filter_map(|(provision, persons)| Some(Entry { provision, source: source_of(&provision.from)?, persons }))
            .collect();
        let names = self.names(&entries);
        for Entry { provision, source, persons } in entries {
            for person in persons {
                self.person(provision, source, *person, &names);
            }
            self.settled_leavers(provision, source);
        }
        self.farewells();
    }

    /// Which user names nobody can be given: those that people of different addresses would get, whichever entries take
    /// them, and those that an account has already. Whose creation is under way counts, too. Different sources may tell
    /// of one person: the first one has the account made, and by its address the others find it.
    fn names(&self, entries: &[Entry<'_>]) -> Names {
        let mut names = Names { in_the_way: self.in_the_way(entries), ..Names::default() };
        if !has_user_names(self.kind) {
            return names;
        }
        let mut wanted: BTreeMap<String, Vec<(usize, u32, String)>> = BTreeMap::new();
        for Entry { provision, source, persons } in entries {
            let (Some(mirror), Some(pairing)) = (self.mirrors.get(*source), self.pairing(*source)) else { continue };
            for person in *persons {
                let place = pairing.place(*person);
                let task = task(self.policy, provision, mirror, self.accounts, place, *person);
                let Some(Task::Create(attributes)) = task else { continue };
                if self.is_made(provision, *source, *person, place) {
                    let of = |path: &str| attributes.get(path).map(|value| value.to_ascii_lowercase());
                    let address = of(ADDRESS).unwrap_or_default();
                    wanted.entry(of("userName").unwrap_or_default()).or_default().push((*source, *person, address));
                }
            }
        }
        if wanted.is_empty() {
            return names;
        }
        let accounts = (0..number(self.accounts.people.len())).filter_map(|slot| self.accounts.live(slot));
        for name in accounts.filter_map(|row| row.user.attributes.get("userName")) {
            names.doubtful.extend(wanted.remove_entry(&name.to_ascii_lowercase()).map(|(name, _)| name));
        }
        for (name, people) in wanted {
            let sources: BTreeSet<usize> = people.iter().map(|(source, ..)| *source).collect();
            let addresses: BTreeSet<&String> = people.iter().map(|(.., address)| address).collect();
            if addresses.len() > 1 || sources.len() < people.len() {
                names.doubtful.insert(name);
            } else {
                names.made_by_another.extend(people.iter().skip(1).map(|(source, person, _)| (*source, *person)));
            }
        }
        names
    }

    /// Whether somebody for whom an account could be made gets one: not where somebody else took it away, for that is
    /// not ours to give back, and of those whom an entry takes as members, who is one.
    fn is_made(&self, provision: &Provision, source: usize, person: u32, place: Place) -> bool {
        let was_there = matches!(place.found, Found::Unusable(account) if self.accounts.live(account).is_none());
        let ours = || {
            self.person_id(source, person).is_some_and(|id| {
                let key = (self.target.id.clone(), provision.from.clone(), id.clone());
                self.memory.leaving.contains_key(&key)
            })
        };
        (!was_there || ours()) && (provision.who != Who::Members || self.out.members.contains(&(source, person)))
    }

    fn person(&mut self, provision: &Provision, source: usize, person: u32, names: &Names) {
        let (Some(mirror), Some(place)) = (self.mirrors.get(source), self.pairing(source).map(|p| p.place(person)))
        else {
            return;
        };
        let Some(id) = mirror.person(person).map(|person| person.id.clone()) else { return };
        if let Some(doubt) = doubt(self.policy, provision, mirror, place, person) {
            return self.tell_doubt(provision, (source, person), id, doubt);
        }
        let Some(task) = task(self.policy, provision, mirror, self.accounts, place, person) else { return };
        let key = (self.target.id.clone(), provision.from.clone(), id.clone());
        if matches!(task, Task::Create(_)) && !self.is_made(provision, source, person, place) {
            return;
        }
        if self.memory.accounts_open.contains(&key) || names.made_by_another.contains(&(source, person)) {
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
        if let Some(letter) = self.memory.dead_letter_of_person(&self.target.id, &ids, task.step()) {
            return self.out.waits.push(wait(WaitWhy::DeadLetter { id: letter }));
        }
        if let Task::Create(attributes) = &task
            && attributes.get("userName").is_some_and(|name| names.doubtful.contains(&name.to_ascii_lowercase()))
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
            Task::Update(account, attributes) => match updated(attributes, names.in_the_way.get(&account)) {
                Some(change) => change,
                None => return self.out.waits.push(wait(WaitWhy::AddressTaken)),
            },
        };
        if let Some(why) = account.and_then(|account| self.spared_why(account)) {
            return self.refuse(step(change, reason), why);
        }
        let kind = CaseKind::Account { source: provision.from.clone(), person: id.clone() };
        let mut draft = Draft::new(kind, "", Lane::Normal);
        if let (AccountChange::Update { attributes }, Some(account)) = (&change, account)
            && self.changes_domain(account, attributes, names)
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

    fn changes_domain(&self, account: u32, attributes: &BTreeMap<String, String>, names: &Names) -> bool {
        if let Some(InTheWay::Circle { changes_domain, .. }) = names.in_the_way.get(&account) {
            return *changes_domain;
        }
        let next = attributes.get(ADDRESS).and_then(|value| model::Email::new(value).ok());
        next.is_some_and(|next| self.moves_domain(account, &next))
    }
}

/// The change that sets these attributes; `None`: another account has to give up the address first.
fn updated(attributes: BTreeMap<String, String>, in_the_way: Option<&InTheWay>) -> Option<AccountChange> {
    match in_the_way.filter(|_| attributes.contains_key(ADDRESS)) {
        Some(InTheWay::Holder) => None,
        Some(InTheWay::Circle { aside, .. }) => Some(AccountChange::Update { attributes: moved(attributes, aside) }),
        None => Some(AccountChange::Update { attributes }),
    }
}

/// The same attributes with another address, and a user name that follows it.
fn moved(mut attributes: BTreeMap<String, String>, address: &str) -> BTreeMap<String, String> {
    for path in [ADDRESS, "userName"] {
        if let Some(value) = attributes.get_mut(path) {
            address.clone_into(value);
        }
    }
    attributes
}
