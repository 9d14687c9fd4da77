//! The Directory API: which operation a request is, who may call it, and what every answer has in common.

use std::borrow::Cow;

use http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::dialect::{Google, error, insufficient_scope, unauthorized};
use super::fields::Selection;
use super::wire::Wire;
use super::{aliases, groups, members, user_writes, users};
use crate::engine::page::page_of;
use crate::engine::{Answer, Bucket, Call, View, run};
use crate::server::Shared;
use crate::world::World;
use crate::world::google::{Owner, Refused};

/// What a handler works on.
pub(super) struct Context<'a> {
    pub(super) world: &'a mut World,
    pub(super) view: &'a View,
    pub(super) wire: &'a Wire,
}

/// How a handler answers.
pub(super) type Outcome = Result<Answer, Refused>;

/// One method of the discovery document.
pub(super) struct Operation {
    name: &'static str,
    /// Any of these, without their common prefix.
    scopes: &'static [&'static str],
    /// The segment of the path that faults and logs call the target; 0 if there is none.
    target: usize,
    handler: fn(&mut Context<'_>) -> Outcome,
    /// What `fields` may name: of the answer, and of the items of its collection.
    names: (&'static [&'static str], &'static [&'static str]),
}

const PREFIX: &str = "https://www.googleapis.com/auth/";
const USER_READ: &[&str] = &["admin.directory.user", "admin.directory.user.readonly"];
const USER_LIST: &[&str] = &["admin.directory.user", "admin.directory.user.readonly", "cloud-platform"];
const USER_WRITE: &[&str] = &["admin.directory.user"];
const USER_ALIAS_READ: &[&str] = &[
    "admin.directory.user",
    "admin.directory.user.alias",
    "admin.directory.user.alias.readonly",
    "admin.directory.user.readonly",
];
const USER_ALIAS_WRITE: &[&str] = &["admin.directory.user", "admin.directory.user.alias"];
const GROUP_READ: &[&str] = &["admin.directory.group", "admin.directory.group.readonly"];
const GROUP_WRITE: &[&str] = &["admin.directory.group"];
const MEMBER_READ: &[&str] = &[
    "admin.directory.group",
    "admin.directory.group.member",
    "admin.directory.group.member.readonly",
    "admin.directory.group.readonly",
];
const MEMBER_WRITE: &[&str] = &["admin.directory.group", "admin.directory.group.member"];
const CUSTOMER_READ: &[&str] = &["admin.directory.customer", "admin.directory.customer.readonly"];

const USERS: &[&str] = &["etag", "kind", "nextPageToken", "trigger_event", "users"];
const USER: &[&str] = &[
    "addresses",
    "agreedToTerms",
    "aliases",
    "archivalTime",
    "archived",
    "changePasswordAtNextLogin",
    "creationTime",
    "customSchemas",
    "customerId",
    "deletionTime",
    "emails",
    "etag",
    "externalIds",
    "gender",
    "guestAccountInfo",
    "hashFunction",
    "id",
    "ims",
    "includeInGlobalAddressList",
    "ipWhitelisted",
    "isAdmin",
    "isDelegatedAdmin",
    "isEnforcedIn2Sv",
    "isEnrolledIn2Sv",
    "isGuestUser",
    "isMailboxSetup",
    "keywords",
    "kind",
    "languages",
    "lastLoginTime",
    "locations",
    "name",
    "nonEditableAliases",
    "notes",
    "orgUnitPath",
    "organizations",
    "password",
    "phones",
    "posixAccounts",
    "primaryEmail",
    "recoveryEmail",
    "recoveryPhone",
    "relations",
    "sshPublicKeys",
    "suspended",
    "suspensionReason",
    "suspensionTime",
    "thumbnailPhotoEtag",
    "thumbnailPhotoUrl",
    "websites",
];
const GROUPS: &[&str] = &["etag", "groups", "kind", "nextPageToken"];
const GROUP: &[&str] = &[
    "adminCreated",
    "aliases",
    "description",
    "directMembersCount",
    "email",
    "etag",
    "externalIds",
    "id",
    "kind",
    "name",
    "nonEditableAliases",
];
const MEMBERS: &[&str] = &["etag", "kind", "members", "nextPageToken"];
const MEMBER: &[&str] = &["delivery_settings", "email", "etag", "id", "kind", "role", "status", "type"];
const ALIASES: &[&str] = &["aliases", "etag", "kind"];
const ALIAS: &[&str] = &["alias", "etag", "id", "kind", "primaryEmail"];
const CUSTOMER: &[&str] = &[
    "alternateEmail",
    "customerCreationTime",
    "customerDomain",
    "etag",
    "id",
    "kind",
    "language",
    "phoneNumber",
    "postalAddress",
];

fn operation(method: &Method, path: &[&str]) -> Option<Operation> {
    users_operation(method, path).or_else(|| groups_operation(method, path))
}

fn users_operation(method: &Method, path: &[&str]) -> Option<Operation> {
    let of = |name, scopes, handler: fn(&mut Context<'_>) -> Outcome, names| {
        Some(Operation { name, scopes, target: usize::from(path.len() > 1), handler, names })
    };
    match (method.as_str(), path) {
        ("GET", ["users"]) => of("users.list", USER_LIST, users::list, (USERS, USER)),
        ("POST", ["users"]) => of("users.insert", USER_WRITE, user_writes::insert, (USER, &[])),
        ("GET", ["users", _]) => of("users.get", USER_READ, users::get, (USER, &[])),
        ("PUT", ["users", _]) => of("users.update", USER_WRITE, user_writes::update, (USER, &[])),
        ("PATCH", ["users", _]) => of("users.patch", USER_WRITE, user_writes::update, (USER, &[])),
        ("DELETE", ["users", _]) => of("users.delete", USER_WRITE, user_writes::delete, (&[], &[])),
        ("POST", ["users", _, "undelete"]) => of("users.undelete", USER_WRITE, user_writes::undelete, (&[], &[])),
        ("POST", ["users", _, "makeAdmin"]) => of("users.makeAdmin", USER_WRITE, user_writes::make_admin, (&[], &[])),
        ("GET", ["users", _, "aliases"]) => {
            of("users.aliases.list", USER_ALIAS_READ, aliases::list_of_user, (ALIASES, &[]))
        }
        ("POST", ["users", _, "aliases"]) => {
            of("users.aliases.insert", USER_ALIAS_WRITE, aliases::insert_for_user, (ALIAS, &[]))
        }
        ("DELETE", ["users", _, "aliases", _]) => {
            of("users.aliases.delete", USER_ALIAS_WRITE, aliases::delete_of_user, (&[], &[]))
        }
        ("GET", ["customers", _]) => of("customers.get", CUSTOMER_READ, users::customer, (CUSTOMER, &[])),
        _ => None,
    }
}

fn groups_operation(method: &Method, path: &[&str]) -> Option<Operation> {
    let of = |name, scopes, handler: fn(&mut Context<'_>) -> Outcome, names| {
        Some(Operation { name, scopes, target: usize::from(path.len() > 1), handler, names })
    };
    match (method.as_str(), path) {
        ("GET", ["groups"]) => of("groups.list", GROUP_READ, groups::list, (GROUPS, GROUP)),
        ("POST", ["groups"]) => of("groups.insert", GROUP_WRITE, groups::insert, (GROUP, &[])),
        ("GET", ["groups", _]) => of("groups.get", GROUP_READ, groups::get, (GROUP, &[])),
        ("PUT", ["groups", _]) => of("groups.update", GROUP_WRITE, groups::update, (GROUP, &[])),
        ("PATCH", ["groups", _]) => of("groups.patch", GROUP_WRITE, groups::update, (GROUP, &[])),
        ("DELETE", ["groups", _]) => of("groups.delete", GROUP_WRITE, groups::delete, (&[], &[])),
        ("GET", ["groups", _, "members"]) => of("members.list", MEMBER_READ, members::list, (MEMBERS, MEMBER)),
        ("POST", ["groups", _, "members"]) => of("members.insert", MEMBER_WRITE, members::insert, (MEMBER, &[])),
        ("GET", ["groups", _, "members", _]) => of("members.get", MEMBER_READ, members::get, (MEMBER, &[])),
        ("PUT", ["groups", _, "members", _]) => of("members.update", MEMBER_WRITE, members::update, (MEMBER, &[])),
        ("PATCH", ["groups", _, "members", _]) => of("members.patch", MEMBER_WRITE, members::update, (MEMBER, &[])),
        ("DELETE", ["groups", _, "members", _]) => of("members.delete", MEMBER_WRITE, members::delete, (&[], &[])),
        ("GET", ["groups", _, "hasMember", _]) => {
            of("members.hasMember", MEMBER_READ, members::has_member, (&["isMember"], &[]))
        }
        ("GET", ["groups", _, "aliases"]) => {
            of("groups.aliases.list", GROUP_READ, aliases::list_of_group, (ALIASES, &[]))
        }
        ("POST", ["groups", _, "aliases"]) => {
            of("groups.aliases.insert", GROUP_WRITE, aliases::insert_for_group, (ALIAS, &[]))
        }
        ("DELETE", ["groups", _, "aliases", _]) => {
            of("groups.aliases.delete", GROUP_WRITE, aliases::delete_of_group, (&[], &[]))
        }
        _ => None,
    }
}

/// Answers one request, on its own or as a part of a batch.
pub(super) async fn dispatch(twin: &Shared, wire: &Wire) -> Answer {
    let path: Vec<&str> = wire.path.iter().map(String::as_str).collect();
    let Some(operation) = operation(&wire.method, &path) else {
        return error(404, "notFound", "Not Found", None);
    };
    let caller = caller(twin, wire, &operation);
    let call = call(wire, &operation, caller.as_ref().ok());
    run(twin, &Google, call, |world, view| {
        let caller = match caller {
            Ok(caller) => caller,
            Err(refused) => return *refused,
        };
        if let Err(refused) = may_administer(world, &caller.subject) {
            return refused;
        }
        answer(&operation, &mut Context { world, view, wire })
    })
    .await
}

/// Who calls: the person behind a valid token with a fitting scope.
struct Caller {
    subject: String,
    client: String,
}

fn caller(twin: &Shared, wire: &Wire, operation: &Operation) -> Result<Caller, Box<Answer>> {
    let token = wire.access_token().ok_or_else(|| Box::new(unauthorized(true)))?;
    let now = twin.engine.clock.sign_in_time();
    let credentials = twin.engine.credentials();
    let access = credentials.access_tokens.get(token).filter(|it| now < it.expires_at);
    let access = access.ok_or_else(|| Box::new(unauthorized(false)))?;
    let scopes: Vec<String> = operation.scopes.iter().map(|it| format!("{PREFIX}{it}")).collect();
    if !scopes.iter().any(|it| access.scopes.contains(it)) {
        return Err(Box::new(insufficient_scope(operation.name, &scopes)));
    }
    Ok(Caller { subject: access.subject.clone(), client: access.client.clone() })
}

/// The Directory API is for administrators. A service account without a subject acts by its own role (google.md §5.5),
/// which the twin does not model: it is refused like any other stranger.
fn may_administer(world: &World, subject: &str) -> Result<(), Answer> {
    let user = match world.google.owner(subject) {
        Some(Owner::User(id)) => world.google.user(&id, i64::MAX).cloned(),
        _ => None,
    };
    match user {
        None => Err(unauthorized(false)),
        Some(user) if user.suspended || user.archived => Err(unauthorized(false)),
        Some(user) if user.is_admin || user.is_delegated_admin => Ok(()),
        Some(_) => Err(Refused::Forbidden.into()),
    }
}

fn call(wire: &Wire, operation: &Operation, caller: Option<&Caller>) -> Call {
    let page_token = wire.parameter("pageToken").unwrap_or_default().to_owned();
    let paged = operation.name.rsplit_once('.').is_some_and(|(_, verb)| verb == "list");
    let subject = caller.map(|it| it.subject.to_ascii_lowercase()).unwrap_or_default();
    let mut buckets = Vec::new();
    if caller.is_some() {
        let user = wire.parameter("quotaUser").unwrap_or(&subject).to_owned();
        buckets.push(Bucket { limit: "google.directory.account", key: String::new() });
        buckets.push(Bucket { limit: "google.directory.user", key: user });
        if operation.name == "users.insert" {
            buckets.push(Bucket { limit: "google.directory.user-create", key: String::new() });
        }
    }
    Call {
        family: "google.directory",
        operation: operation.name,
        subject,
        target: if operation.target == 0 { String::new() } else { wire.segment(operation.target).to_owned() },
        page: if paged { page_of(&page_token) } else { 0 },
        page_token,
        buckets,
        request_id: wire.header("x-request-id").map_or_else(|| Uuid::new_v4().to_string(), str::to_owned),
        caller: caller.map(|it| it.client.clone()).unwrap_or_default(),
    }
}

/// What every answer has in common: `fields`, the `ETag` header and 304.
fn answer(operation: &Operation, context: &mut Context<'_>) -> Answer {
    let selection = match selection(operation, context.wire) {
        Ok(selection) => selection,
        Err(refused) => return *refused,
    };
    let if_none_match = context.wire.header("if-none-match").map(str::to_owned);
    let reads = context.wire.method == Method::GET;
    let mut answer = match (operation.handler)(context) {
        Ok(answer) => answer,
        Err(refused) => return refused.into(),
    };
    let etag = answer.body().and_then(|it| it.get("etag")).and_then(Value::as_str).map(str::to_owned);
    if let Some(etag) = etag {
        if reads && if_none_match.is_some_and(|it| it.split(',').any(|it| it.trim() == etag)) {
            return Answer::empty(304).with("ETag", etag);
        }
        answer = answer.with("ETag", etag);
    }
    if let (Some(selection), Some(body)) = (selection, answer.body_mut()) {
        selection.apply(body);
    }
    answer
}

fn selection(operation: &Operation, wire: &Wire) -> Result<Option<Selection>, Box<Answer>> {
    let Some(text) = wire.parameter("fields").filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let refuse =
        |what: Cow<'_, str>| Box::new(error(400, "invalidParameter", &format!("Invalid field selection {what}"), None));
    let selection = Selection::parse(text).map_err(|rest| refuse(rest.into()))?;
    match selection.unknown(operation.names.0, operation.names.1) {
        Some(unknown) => Err(refuse(unknown.to_owned().into())),
        None => Ok(Some(selection)),
    }
}
