//! Users, groups and members as the Directory API shows them, and what lists have in common.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde_json::{Map, Value, json};

use super::directory::Context;
use crate::engine::clock::rfc3339;
use crate::engine::page::PageToken;
use crate::engine::{Answer, Millis};
use crate::world::google::{GoogleSide, Group, GroupRecord, MemberKind, Membership, Refused, UserRecord};

/// How long a page token is good for (google.md §1.4; for groups and members Google does not say).
const TOKEN_LIFETIME: Millis = 3 * 24 * 3_600_000;
/// How long a whole walk over members may take (google.md §1.6).
const LONGEST_WALK: Millis = 3_600_000;

/// A user. `full` adds the custom fields.
pub(super) fn user(google: &GoogleSide, record: &UserRecord, full: bool) -> Value {
    let mut emails = vec![json!({"address": record.primary_email, "primary": true})];
    emails.extend(record.aliases.iter().map(|it| json!({ "address": it })));
    let mut body = record.further.clone();
    if !full {
        body.remove("customSchemas");
    }
    let core = json!({
        "kind": "admin#directory#user",
        "id": record.id.as_ref(),
        "etag": etag("user", record.version),
        "primaryEmail": record.primary_email,
        "name": {
            "givenName": record.given_name,
            "familyName": record.family_name,
            "fullName": record.full_name(),
        },
        "isAdmin": record.is_admin,
        "isDelegatedAdmin": record.is_delegated_admin,
        "lastLoginTime": rfc3339(0),
        "creationTime": rfc3339(record.created_at),
        "agreedToTerms": true,
        "suspended": record.suspended,
        "archived": record.archived,
        "changePasswordAtNextLogin": false,
        "ipWhitelisted": false,
        "emails": emails,
        "customerId": google.customer_id,
        "orgUnitPath": record.org_unit_path,
        "isMailboxSetup": true,
        "isEnrolledIn2Sv": false,
        "isEnforcedIn2Sv": false,
        "includeInGlobalAddressList": true,
        "isGuestUser": record.is_guest,
    });
    if let Value::Object(core) = core {
        for (name, value) in core {
            if name == "name" {
                merge_name(&mut body, value);
            } else {
                body.insert(name, value);
            }
        }
    }
    if record.suspended {
        body.insert("suspensionReason".to_owned(), json!("ADMIN"));
    }
    if !record.aliases.is_empty() {
        body.insert("aliases".to_owned(), json!(record.aliases));
    }
    if let Some(at) = record.deleted_at {
        body.insert("deletionTime".to_owned(), json!(rfc3339(at)));
    }
    Value::Object(body)
}

/// A display name that was written stays beside the other parts of the name.
fn merge_name(body: &mut Map<String, Value>, mut name: Value) {
    if let (Some(display_name), Some(name)) = (body.remove("displayName"), name.as_object_mut()) {
        name.insert("displayName".to_owned(), display_name);
    }
    body.insert("name".to_owned(), name);
}

/// A group. Its etag is made of its attributes and the number of members: a swap of one member for another does not
/// change it (google.md §1.7).
pub(super) fn group(group: &Group, record: &GroupRecord) -> Value {
    let mut body = json!({
        "kind": "admin#directory#group",
        "id": record.id.as_ref(),
        "etag": etag("group", (record.version, group.count())),
        "email": record.email,
        "name": record.name,
        "description": record.description,
        "directMembersCount": group.count().to_string(),
        "adminCreated": true,
    });
    if let Some(body) = body.as_object_mut().filter(|_| !record.aliases.is_empty()) {
        body.insert("aliases".to_owned(), json!(record.aliases));
    }
    body
}

/// A member. `full` adds what only single reads show.
pub(super) fn member(google: &GoogleSide, id: &str, membership: &Membership, at: Millis, full: bool) -> Value {
    let mut body = Map::new();
    body.insert("kind".to_owned(), json!("admin#directory#member"));
    body.insert("etag".to_owned(), json!(etag("member", (id, membership.version))));
    body.insert("id".to_owned(), json!(id));
    let address = google.address_of(id, at);
    // What the source wrote stands for the address only as long as it is the same address.
    let written = membership.as_written.as_deref();
    let email = written.filter(|it| address.is_some_and(|address| address.eq_ignore_ascii_case(it))).or(address);
    if let Some(email) = email.filter(|_| membership.kind != MemberKind::Customer) {
        body.insert("email".to_owned(), json!(email));
    }
    body.insert("role".to_owned(), json!(membership.role.name()));
    body.insert("type".to_owned(), json!(membership.kind.name()));
    if let Some(status) = status(google, id, membership.kind, at) {
        body.insert("status".to_owned(), json!(status));
    }
    if full {
        body.insert("delivery_settings".to_owned(), json!("ALL_MAIL"));
    }
    Value::Object(body)
}

/// Absent for people and groups that the customer does not manage (google.md §1.6).
fn status(google: &GoogleSide, id: &str, kind: MemberKind, at: Millis) -> Option<&'static str> {
    match kind {
        MemberKind::User => google.user(id, at).map(|it| match (it.suspended, it.archived) {
            (_, true) => "ARCHIVED",
            (true, false) => "SUSPENDED",
            (false, false) => "ACTIVE",
        }),
        MemberKind::Group => google.group(id)?.seen(at).filter(|it| !it.external).map(|_| "ACTIVE"),
        MemberKind::Customer => Some("ACTIVE"),
    }
}

/// An etag in Google's form: quotes are part of it.
pub(super) fn etag(what: &str, value: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    (what, value).hash(&mut hasher);
    format!("\"twin/{:016x}\"", hasher.finish())
}

/// Where a list begins and how much of it is asked for.
pub(super) struct Paging {
    /// Sort key of the last item shown before.
    pub(super) after: String,
    /// How many items at most.
    pub(super) size: usize,
    page: u32,
    began: Millis,
    query: String,
}

impl Paging {
    /// Reads `maxResults` and `pageToken`. A token is bound to the path and every parameter that decides what is
    /// listed. Sizes above `clamp_at` become it where the maximum is prose only.
    pub(super) fn read(context: &Context<'_>, default: usize, largest: usize, strict: bool) -> Result<Self, Refused> {
        let size = match context.wire.parameter("maxResults") {
            None => default,
            Some(text) => match text.parse::<usize>() {
                Ok(size) if (1..=largest).contains(&size) => size,
                Ok(size) if size > largest && !strict => largest,
                _ => {
                    let message = format!("Invalid value '{text}'. Values must be within the range: [1, {largest}]");
                    return Err(Refused::Invalid(message));
                }
            },
        };
        let query = bound_query(context);
        let token = context.wire.parameter("pageToken").unwrap_or_default();
        if token.is_empty() {
            return Ok(Self { after: String::new(), size, page: 1, began: context.view.now, query });
        }
        let invalid = || Refused::Invalid("Invalid Input: pageToken".to_owned());
        let token = PageToken::open(token, context.view.now, TOKEN_LIFETIME, &query).ok_or_else(invalid)?;
        Ok(Self { after: token.after, size, page: token.page, began: token.made_at, query })
    }

    /// Whether the walk takes longer than Google lets it.
    pub(super) fn is_too_long(&self, now: Millis) -> bool {
        now.saturating_sub(self.began) > LONGEST_WALK
    }

    /// The list's answer from its items with their sort keys, of which there may be one more than asked for. An empty
    /// collection has no key.
    pub(super) fn answer(&self, kind: &str, name: &str, mut items: Vec<(String, Value)>) -> Answer {
        let more = items.len() > self.size;
        items.truncate(self.size);
        let next = items
            .last()
            .filter(|_| more)
            .map(|(key, _)| PageToken::new(self.page.saturating_add(1), key.as_str(), self.began, &self.query).seal());
        let etags: Vec<&str> = items.iter().filter_map(|(_, it)| it.get("etag").and_then(Value::as_str)).collect();
        let mut body = Map::new();
        body.insert("kind".to_owned(), json!(kind));
        body.insert("etag".to_owned(), json!(etag(name, (etags, more))));
        if !items.is_empty() {
            body.insert(name.to_owned(), Value::Array(items.into_iter().map(|(_, it)| it).collect()));
        }
        if let Some(next) = next {
            body.insert("nextPageToken".to_owned(), json!(next));
        }
        Answer::json(200, Value::Object(body))
    }
}

fn bound_query(context: &Context<'_>) -> String {
    const FREE: [&str; 10] = [
        "pageToken",
        "maxResults",
        "fields",
        "prettyPrint",
        "alt",
        "key",
        "quotaUser",
        "access_token",
        "oauth_token",
        "callback",
    ];
    let mut pairs: Vec<&(String, String)> =
        context.wire.query.iter().filter(|(name, _)| !FREE.contains(&name.as_str())).collect();
    pairs.sort();
    format!("{} {:?} {pairs:?}", context.view.call.operation, context.wire.path)
}
