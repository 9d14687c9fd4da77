//! People of a directory: search, get, suspend, restore, remove, invite.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::shape::{self, Expand};
use super::{Operation, Request, error};
use crate::engine::Answer;
use crate::world::atlassian::switches::CursorPlace;
use crate::world::atlassian::{
    Account, Act, AtlassianSide, Authority, BaseKey, Index, Refusal, Resident, Standing, View,
};

/// Body of `users/search`; parameters of the deprecated listing are read into the same.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Query {
    #[serde(rename = "cursor")]
    _cursor: Option<String>,
    limit: Option<Value>,
    account_ids: Option<Vec<String>>,
    directory_ids: Option<Vec<String>>,
    resource_ids: Option<Vec<String>>,
    group_ids: Option<Vec<String>>,
    mfa_enabled: Option<bool>,
    claim_status: Option<OneOrMany>,
    status: Option<Vec<String>>,
    account_status: Option<Vec<String>>,
    membership_status: Option<Vec<String>>,
    role_ids: Option<Vec<String>>,
    email_domains: Option<Vec<String>>,
    search_term: Option<OneOrMany>,
    emails: Option<Vec<String>>,
    expand: Vec<String>,
    sort_by: Vec<Value>,
}

/// A text: in a body as such, among parameters as a list of one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::One(it) => it,
            Self::Many(all) => all.first().map_or("", String::as_str),
        }
    }
}

/// Reads what follows `…/users`.
pub(super) fn route(method: &Method, rest: &[&str]) -> Option<(&'static str, Operation)> {
    let own = |it: &str| it.to_owned();
    Some(match (method.as_str(), rest) {
        ("GET", []) => ("users.list", Operation::UserList),
        ("POST", ["search"]) => ("users.search", Operation::UserSearch),
        ("GET", ["count"]) => ("users.count", Operation::UserCount),
        ("GET", ["stats"]) => ("users.stats", Operation::UserStats),
        ("GET", [account]) => ("users.get", Operation::User(own(account))),
        ("DELETE", [account]) => ("users.remove", Operation::RemoveUser(own(account))),
        ("GET", [account, "role-assignments"]) => ("users.roles.list", Operation::UserRoles(own(account))),
        ("POST", [account, "suspend"]) => ("users.suspend", Operation::Suspend(own(account))),
        ("POST", [account, "restore"]) => ("users.restore", Operation::Restore(own(account))),
        _ => return None,
    })
}

/// Reads about people.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Answer {
    let Some(view) = request.base(side) else {
        return error::application(404, "ADMIN-404-2", "Organization not found");
    };
    match &request.operation {
        Operation::UserSearch => search(request, side, &view, 50).unwrap_or_else(|it| it),
        Operation::UserList => search(request, side, &view, 20).unwrap_or_else(|it| it),
        Operation::UserCount => Answer::json(200, json!({ "count": view.listed_after(None).count() })),
        Operation::UserStats => Answer::json(200, stats(side, &view)),
        Operation::User(account) => {
            let everything = Expand { platform_roles: true, resources: true, ..Expand::default() };
            let found = known(side, &view, account)
                .and_then(|it| shape::user(side, &request.organization, &view, it, everything));
            found.map_or_else(unknown, |it| Answer::json(200, json!({ "data": it })))
        }
        Operation::UserRoles(account) => {
            let Some(person) = known(side, &view, account) else { return unknown() };
            let data = shape::role_assignments(&view, &shape::roles_of_person(&view, person));
            Answer::json(200, json!({ "data": data, "links": {} }))
        }
        _ => error::invalid_body("not a reading operation"),
    }
}

fn unknown() -> Answer {
    error::application(404, "ADMIN-404-8", "User not found")
}

fn known(side: &AtlassianSide, view: &View<'_>, account: &str) -> Option<Index> {
    side.accounts().find(account).filter(|it| view.lists(*it))
}

fn search(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>, default: usize) -> Result<Answer, Answer> {
    let cursor = Cursor::of(request, &side.switches)?;
    let query: Query =
        serde_json::from_value(cursor.query.clone()).map_err(|it| error::invalid_body(&it.to_string()))?;
    if query.emails.is_some() && query.search_term.is_some() {
        return Err(error::invalid_body("emails and searchTerm are mutually exclusive"));
    }
    let limit = limit(query.limit.as_ref(), default, side.switches.org_search_limit_max)?;
    let words = ["platformRoles", "counts.resources", "productAccess", "groups"];
    let expand =
        Expand::read(&query.expand, &words).map_err(|it| error::invalid_body(&format!("unknown expand value {it}")))?;
    let filter = Filter { side, organization: &request.organization, view, query: &query };
    let matches = |person: &Index| {
        let account = side.accounts().get(*person);
        account.is_some_and(|it| filter.matches(*person, it) && request.view.shows(&it.id))
    };
    let (people, links) = if query.sort_by.is_empty() {
        let people = filter.candidates(cursor.after).filter(matches).map(|it| (it, it));
        cursor.page(people, limit, request.view.now, side.switches.cursor)
    } else {
        let found = sorted(side, &query.sort_by, filter.candidates(None).filter(matches).collect())?;
        // A sorted listing has no other place than a number of elements.
        cursor.page((0..).zip(found), limit, request.view.now, CursorPlace::Offset)
    };
    let data: Vec<Value> =
        people.into_iter().filter_map(|it| shape::user(side, &request.organization, view, it, expand)).collect();
    Ok(Answer::json(200, json!({ "data": data, "links": links })))
}

/// The limit of a page: a number, or among parameters a list of one text.
pub(super) fn limit(asked: Option<&Value>, default: usize, largest: usize) -> Result<usize, Answer> {
    let Some(value) = asked else { return Ok(default.min(largest)) };
    let text = value.get(0).and_then(Value::as_str);
    let number = value.as_u64().or_else(|| text.and_then(|it| it.parse().ok()));
    let number = number.and_then(|it| usize::try_from(it).ok()).filter(|it| (1..=largest).contains(it));
    number.ok_or_else(|| error::invalid_body(&format!("limit must be a number from 1 to {largest}")))
}

/// Field and direction of `sortBy`.
pub(super) fn sort_order(sort_by: &[Value], fields: &[&str]) -> Result<(String, bool), Answer> {
    let bad = || error::invalid_body("sortBy takes one element with field and direction");
    let [one] = sort_by else { return Err(bad()) };
    let field = one.get("field").and_then(Value::as_str).or(fields.first().copied()).ok_or_else(bad)?;
    let descending = one.get("direction").and_then(Value::as_str) == Some("desc");
    if fields.contains(&field) { Ok((field.to_owned(), descending)) } else { Err(bad()) }
}

fn sorted(side: &AtlassianSide, sort_by: &[Value], mut people: Vec<Index>) -> Result<Vec<Index>, Answer> {
    let (field, descending) = sort_order(sort_by, &["nick_name", "email", "name"])?;
    people.sort_by_key(|it| {
        let account = side.accounts().get(*it);
        account.map(|it| match field.as_str() {
            "email" => it.email.clone(),
            "name" => it.name.to_lowercase(),
            _ => it.nickname.to_lowercase(),
        })
    });
    if descending {
        people.reverse();
    }
    Ok(people)
}

struct Filter<'a> {
    side: &'a AtlassianSide,
    organization: &'a str,
    view: &'a View<'a>,
    query: &'a Query,
}

impl<'a> Filter<'a> {
    /// People after a position who may match, by the most selective condition, in order.
    fn candidates(&self, after: Option<Index>) -> Box<dyn Iterator<Item = Index> + 'a> {
        let view = self.view;
        let within = move |set: BTreeSet<Index>| -> Box<dyn Iterator<Item = Index> + 'a> {
            Box::new(set.into_iter().filter(move |it| after.is_none_or(|after| *it > after) && view.lists(*it)))
        };
        if let Some(ids) = &self.query.account_ids {
            return within(ids.iter().filter_map(|it| self.side.accounts().find(it)).collect());
        }
        if let Some(emails) = &self.query.emails {
            return within(emails.iter().flat_map(|it| self.side.accounts().with_email(it)).copied().collect());
        }
        if let Some(groups) = &self.query.group_ids {
            let members = |id: &String| view.group(id).map(|(index, _)| view.members(index));
            if let [one] = groups.as_slice() {
                return match members(one) {
                    Some(std::borrow::Cow::Borrowed(set)) => {
                        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
                        let range = set.range((from, std::ops::Bound::Unbounded)).copied();
                        Box::new(range.filter(move |it| view.lists(*it)))
                    }
                    Some(std::borrow::Cow::Owned(set)) => within(set),
                    None => Box::new(std::iter::empty()),
                };
            }
            let all = groups.iter().filter_map(members).flat_map(std::borrow::Cow::into_owned);
            return within(all.collect());
        }
        Box::new(view.listed_after(after))
    }

    fn matches(&self, person: Index, account: &Account) -> bool {
        let Some(resident) = self.view.base().resident(person) else { return false };
        self.matches_account(account, resident) && self.matches_place(person, resident)
    }

    fn matches_account(&self, account: &Account, resident: &Resident) -> bool {
        let query = self.query;
        let claimed = || shape::claim_status(self.side, self.organization, account);
        holds(query.account_ids.as_ref(), |all| all.contains(&account.id))
            && holds(query.emails.as_ref(), |all| all.iter().any(|it| it.to_lowercase() == account.email))
            && holds(query.mfa_enabled.as_ref(), |it| account.mfa == *it)
            && holds(query.claim_status.as_ref(), |it| it.text() == claimed())
            && holds(query.status.as_ref(), |all| has(all, shape::status(account, resident)))
            && holds(query.account_status.as_ref(), |all| has(all, account.status.word()))
            && holds(query.membership_status.as_ref(), |all| has(all, resident.standing.word()))
            && holds(query.email_domains.as_ref(), |all| all.iter().any(|it| it.to_lowercase() == account.domain()))
            && holds(query.search_term.as_ref(), |it| {
                let term = it.text().to_lowercase();
                account.name.to_lowercase().contains(&term) || account.email.contains(&term)
            })
    }

    fn matches_place(&self, person: Index, resident: &Resident) -> bool {
        let query = self.query;
        let roles = || shape::roles_of_person(self.view, person);
        holds(query.directory_ids.as_ref(), |all| all.contains(&self.view.base().directory_id))
            && holds(query.group_ids.as_ref(), |all| {
                let in_group = |id: &String| {
                    self.view.group(id).is_some_and(|(index, _)| self.view.members(index).contains(&person))
                };
                // Candidates of a single group are its members already.
                query.account_ids.is_none() && query.emails.is_none() || all.iter().any(in_group)
            })
            && holds(query.resource_ids.as_ref(), |all| roles().keys().any(|it| all.contains(it)))
            && holds(query.role_ids.as_ref(), |all| {
                resident.roles.iter().any(|it| all.contains(it))
                    || roles().values().flatten().any(|it| all.contains(it))
            })
    }
}

/// Whether a condition holds, or was not asked for.
pub(super) fn holds<T>(condition: Option<&T>, test: impl FnOnce(&T) -> bool) -> bool {
    condition.is_none_or(test)
}

fn has(all: &[String], word: &str) -> bool {
    all.iter().any(|it| it == word)
}

fn stats(side: &AtlassianSide, view: &View<'_>) -> Value {
    let mut by_status = std::collections::BTreeMap::<&str, u64>::new();
    let mut by_role = std::collections::BTreeMap::<String, u64>::new();
    for person in view.listed_after(None) {
        if let Some(account) = side.accounts().get(person) {
            *by_status.entry(account.status.word()).or_default() += 1;
        }
        for role in view.base().resident(person).into_iter().flat_map(|it| &it.roles) {
            *by_role.entry(role.clone()).or_default() += 1;
        }
    }
    json!({
        "accountStatus": by_status.iter().map(|(it, n)| json!({ "status": it, "count": n })).collect::<Vec<_>>(),
        "roles": by_role.iter().map(|(it, n)| json!({ "roleId": it, "count": n })).collect::<Vec<_>>(),
    })
}

/// Body of an invitation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Invitation {
    emails: Vec<String>,
    #[serde(default)]
    additional_groups: Vec<String>,
    #[serde(default)]
    permission_rules: Vec<Rule>,
    #[serde(rename = "sendNotification", default)]
    _send: Option<bool>,
    #[serde(rename = "notificationText", default)]
    _text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    resource: Option<String>,
    role: Option<String>,
}

/// Changes people.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, key: &BaseKey, act: &mut Act<'_>) -> Answer {
    let switches = side.switches.clone();
    let (done, result) = match &request.operation {
        Operation::Suspend(account) => {
            (switches.org_suspend_status, side.set_standing(key, account, Standing::Suspended, act))
        }
        Operation::Restore(account) => {
            (switches.org_suspend_status, side.set_standing(key, account, Standing::Active, act))
        }
        Operation::RemoveUser(account) => (switches.org_delete_user_status, side.queue_removal(key, account, act)),
        _ => return invite(request, side, key, act).unwrap_or_else(|it| it),
    };
    match result {
        // Suspending twice leaves things as they are; restoring somebody who is not suspended is a conflict.
        Err(Refusal::Conflict) if matches!(request.operation, Operation::Suspend(_)) => Answer::empty(done),
        Ok(()) => Answer::empty(done),
        Err(it) => error::refusal(it, &switches),
    }
}

fn invite(request: &Request<'_>, side: &mut AtlassianSide, key: &BaseKey, act: &mut Act<'_>) -> Result<Answer, Answer> {
    if !side.switches.org_paid {
        return Err(error::application(402, "ADMIN-402-1", "A paid subscription is needed to invite users"));
    }
    let invitation: Invitation = request.incoming.json().map_err(|it| error::invalid_body(&it.to_string()))?;
    if invitation.emails.is_empty() || invitation.emails.iter().any(|it| !it.contains('@')) {
        return Err(error::invalid_body("emails must name at least one address"));
    }
    let refused = |it, side: &AtlassianSide| error::refusal(it, &side.switches);
    for group in &invitation.additional_groups {
        if side.base(key).is_none_or(|base| base.group(group).is_none()) {
            return Err(refused(Refusal::UnknownGroup, side));
        }
    }
    let mut results = Vec::new();
    for email in &invitation.emails {
        let person = match side.accounts().with_email(email).first().copied() {
            Some(person) => {
                side.admit(key, person, false, act);
                person
            }
            None => side.create_account(key, email, email, act),
        };
        let account = side.accounts().get(person).map(|it| it.id.clone()).unwrap_or_default();
        for group in &invitation.additional_groups {
            match side.set_membership(key, group, &account, true, &Authority::Administrator, act) {
                Ok(()) | Err(Refusal::AlreadyMember) => {}
                Err(it) => return Err(refused(it, side)),
            }
        }
        for rule in &invitation.permission_rules {
            let (Some(resource), Some(role)) = (&rule.resource, &rule.role) else { continue };
            side.set_person_role(key, &account, (Some(resource), role), true, act).map_err(|it| refused(it, side))?;
        }
        results.push(json!({ "email": email, "id": account }));
    }
    Ok(Answer::json(side.switches.org_invite_status, json!({ "data": results })))
}
