//! Accounts: made, kept up to date, taken away and given back, as far as each product can.
//!
//! Attributes come by SCIM path: `userName`, `emails[primary].value`, `displayName`, `name.givenName`, `name.familyName`.
//! Only Crowd has a place for others, under their own names; elsewhere they are left out.

use std::collections::BTreeMap;

use atlassian::dc::{account as account_id, key, user_name};
use model::{ACCOUNT_FIELDS, AccountChange, AccountId, Disposition, Lane, Rejection};
use outbound::{Method, Request, Turn};
use serde_json::{Map, Value, json};

use super::{DcWriter, Product, Write, bitbucket, leads};
use crate::target::{list, look, not_here, text};
use crate::{Answered, classify::dc};

const JIRA: &str = "/rest/api/2/user";
const CONFLUENCE: &str = "/rest/api/admin/user";
const BITBUCKET: &str = "/rest/api/latest/admin/users";
const CROWD: &str = "/rest/usermanagement/1/user";
const ATTRIBUTES: &str = "/rest/usermanagement/1/user/attribute";

type Attributes = BTreeMap<String, String>;

pub(super) async fn change(
    writer: &DcWriter,
    turn: &Turn,
    account: Option<&AccountId>,
    change: &AccountChange,
) -> Answered {
    let account = match (change, account) {
        (AccountChange::Create { attributes }, _) => return create(writer, turn, attributes).await,
        (_, None) => return unknown("the account is not known yet"),
        (_, Some(account)) => account,
    };
    let name = user_name(account);
    match change {
        AccountChange::Create { .. } => not_here("an account is created without one"),
        AccountChange::Update { attributes } => update(writer, turn, account, attributes).await,
        AccountChange::Deactivate => deactivate(writer, turn, name).await,
        AccountChange::Suspend | AccountChange::Remove => not_here("only an organization suspends or removes people"),
        AccountChange::Restore => set_active(writer, turn, name, true).await,
        AccountChange::HandOver { project, component } => {
            if writer.product == Product::Jira {
                let to = (project.as_deref(), component.as_deref());
                match leads::replace_one(writer, turn, name, to).await {
                    // Replaced, and perhaps not the last: the next attempt reads what is still led.
                    Ok(Some(replaced)) if replaced.holds() => {
                        return replaced.with(Disposition::Retry { after: None });
                    }
                    Ok(Some(refused)) | Err(refused) => return refused,
                    Ok(None) => {}
                }
            }
            deactivate(writer, turn, name).await
        }
    }
}

/// Takes an account away, and ends what is signed in with it: at Jira and Crowd a session outlives the account
/// (reference/atlassian-dc.md §2, §5). That comes second, so that nobody signs in again in between; when it fails, the
/// whole is tried again, and both calls say the same however often they are made. It comes first as well: whoever plans
/// anew after a crash between the two finds an account that is taken away already, and asks for nothing more.
async fn deactivate(writer: &DcWriter, turn: &Turn, name: &str) -> Answered {
    // What does not go well here is told by the two that follow.
    let _first = end_sessions(writer, turn, name).await;
    let answered = set_active(writer, turn, name, false).await;
    if !answered.holds() {
        return answered;
    }
    match end_sessions(writer, turn, name).await {
        Some(ended) if !ended.holds() => ended,
        _ => answered,
    }
}

/// Ends whatever is signed in, where that outlives the account.
async fn end_sessions(writer: &DcWriter, turn: &Turn, name: &str) -> Option<Answered> {
    let request = match writer.product {
        Product::Jira => Request::new(Method::DELETE, "/rest/api/2/user/session/{username}", &[name]),
        Product::Crowd => Request::new(Method::DELETE, "/rest/usermanagement/1/session", &[]).query("username", name),
        Product::Confluence | Product::Bitbucket => return None,
    };
    let write = Write { request, judge: dc::end_sessions, names: vec![name.to_owned()] };
    Some(writer.send(turn, write).await.0)
}

fn of<'a>(attributes: &'a Attributes, path: &str) -> &'a str {
    attributes.get(path).map_or("", String::as_str)
}

/// The name to show: the one given, or what it is made of, or the user name.
fn shown(attributes: &Attributes) -> String {
    let given = format!("{} {}", of(attributes, "name.givenName"), of(attributes, "name.familyName"));
    let candidates = [of(attributes, "displayName"), given.trim(), of(attributes, "userName")];
    candidates.into_iter().find(|it| !it.is_empty()).unwrap_or_default().to_owned()
}

/// The call that makes a user. Without a password Jira draws one; without applications nobody takes a seat there.
fn creation(product: Product, attributes: &Attributes, password: &str) -> Write {
    let (name, email, full) = (of(attributes, "userName"), of(attributes, "emails[primary].value"), shown(attributes));
    let names = vec![name.to_owned(), email.to_owned(), full.clone()];
    match product {
        Product::Jira => {
            let body = json!({ "name": name, "emailAddress": email, "displayName": full, "applicationKeys": [] });
            Write { request: Request::post(JIRA, &[]).json(body), judge: dc::jira_create_user, names }
        }
        Product::Confluence => {
            let body = json!({ "userName": name, "fullName": full, "email": email, "password": password });
            Write { request: Request::post(CONFLUENCE, &[]).json(body), judge: dc::create, names }
        }
        Product::Bitbucket => {
            let request = Request::post(BITBUCKET, &[]).query("name", name).query("displayName", full);
            let request = request.query("emailAddress", email).query("password", password);
            let request = request.query("addToDefaultGroup", "false").query("notify", "false");
            Write { request, judge: dc::create, names }
        }
        Product::Crowd => {
            let body = json!({
                "name": name, "email": email, "display-name": full, "active": true,
                "first-name": of(attributes, "name.givenName"), "last-name": of(attributes, "name.familyName"),
                "password": { "value": password }, "attributes": further(attributes),
            });
            Write { request: Request::post(CROWD, &[]).json(body), judge: dc::crowd_create, names }
        }
    }
}

async fn create(writer: &DcWriter, turn: &Turn, attributes: &Attributes) -> Answered {
    if let Some(refused) = writer.elsewhere(turn.lane()).await {
        return refused;
    }
    let name = of(attributes, "userName");
    let write = creation(writer.product, attributes, &(writer.password)());
    let (mut answered, made) = writer.send(turn, write).await;
    if answered.disposition == Disposition::Done {
        let key = [text(&made, "/key"), text(&made, "/userKey")].into_iter().find(|key| !key.is_empty());
        let written = Some(text(&made, "/name")).filter(|made| !made.is_empty()).unwrap_or(name);
        answered.account = key.and_then(|key| account_id(key, written));
        if answered.account.is_none() {
            // Made, and the answer does not say under which key.
            answered.account = user(writer, turn.lane(), name).await.ok().flatten().and_then(|user| id_of(&user));
        }
    }
    answered
}

/// The attributes in a product's own words; its user name, where it is changed with the others.
fn fields(product: Product, attributes: &Attributes) -> Map<String, Value> {
    let (email, full) = match product {
        Product::Jira => ("emailAddress", "displayName"),
        Product::Confluence => ("email", "fullName"),
        Product::Bitbucket => ("email", "displayName"),
        Product::Crowd => ("email", "display-name"),
    };
    let own: &[(&str, &str)] = match product {
        Product::Jira => &[("name", "userName")],
        Product::Crowd => &[("first-name", "name.givenName"), ("last-name", "name.familyName")],
        Product::Confluence | Product::Bitbucket => &[],
    };
    let all = [(email, "emails[primary].value"), (full, "displayName")].into_iter().chain(own.iter().copied());
    all.filter_map(|(field, path)| Some((field.to_owned(), json!(attributes.get(path)?)))).collect()
}

/// The attributes that Crowd keeps beside an account's own fields.
fn beside(attributes: &Attributes) -> impl Iterator<Item = (&str, &str)> {
    let all = attributes.iter().map(|(path, value)| (path.as_str(), value.as_str()));
    all.filter(|(path, _)| !ACCOUNT_FIELDS.contains(path))
}

/// The same with a value, as it takes them.
fn further(attributes: &Attributes) -> Value {
    let rows = beside(attributes).filter(|(_, value)| !value.is_empty());
    let rows: Vec<Value> = rows.map(|(path, value)| json!({ "name": path, "values": [value] })).collect();
    json!({ "attributes": rows })
}

/// The calls that change what Crowd keeps beside an account's own fields: one for all that have a value, and one for each
/// that has none any more, for an empty value would be one.
fn beside_calls(named: &str, attributes: &Attributes) -> Vec<Request> {
    let set = further(attributes);
    let set = (!list(&set, "/attributes").is_empty()).then(|| Request::post(ATTRIBUTES, &[]).json(set));
    let cleared = beside(attributes).filter(|(_, value)| value.is_empty());
    let cleared = cleared.map(|(path, _)| Request::new(Method::DELETE, ATTRIBUTES, &[]).query("attributename", path));
    set.into_iter().chain(cleared).map(|request| request.query("username", named)).collect()
}

async fn update(writer: &DcWriter, turn: &Turn, account: &AccountId, attributes: &Attributes) -> Answered {
    let before = user_name(account);
    let after = Some(of(attributes, "userName")).filter(|after| !after.is_empty() && *after != before);
    let named = after.unwrap_or(before);
    if let Some(after) = after {
        if writer.product == Product::Confluence {
            return not_here("Confluence renames nobody through its API");
        }
        if let Some(request) = rename(writer.product, before, after) {
            let names = vec![before.to_owned(), after.to_owned()];
            let renamed = writer.send(turn, Write { request, judge: dc::user, names }).await.0;
            if !renamed.holds() {
                return renamed;
            }
        }
    }
    let mut fields = fields(writer.product, attributes);
    let beside = if writer.product == Product::Crowd { beside_calls(named, attributes) } else { Vec::new() };
    let mut last = None;
    for request in beside {
        let set = writer.send(turn, Write { request, judge: dc::user, names: vec![named.to_owned()] }).await.0;
        if !set.holds() {
            return set;
        }
        last = Some(set);
    }
    if let Some(set) = last.filter(|_| fields.is_empty()) {
        return Answered { account: account_id(key(account), named), ..set };
    }
    if fields.is_empty() {
        let nothing = unknown("").with(if after.is_some() { Disposition::Done } else { Disposition::AlreadySo });
        return Answered { account: account_id(key(account), named), ..nothing };
    }
    let request = match writer.product {
        Product::Jira => Request::new(Method::PUT, JIRA, &[]).query("username", before).json(Value::Object(fields)),
        Product::Confluence => {
            Request::new(Method::PUT, "/rest/api/admin/user/{username}", &[named]).json(Value::Object(fields))
        }
        Product::Bitbucket => {
            fields.insert("name".to_owned(), json!(named));
            Request::new(Method::PUT, BITBUCKET, &[]).json(Value::Object(fields))
        }
        Product::Crowd => match whole(writer, turn.lane(), named, &fields).await {
            Ok(request) => request,
            Err(failed) => return failed,
        },
    };
    let names = vec![before.to_owned(), of(attributes, "emails[primary].value").to_owned()];
    let mut answered = writer.send(turn, Write { request, judge: dc::user, names }).await.0;
    if answered.holds() {
        answered.account = account_id(key(account), named);
    }
    answered
}

/// A call of its own that renames; Jira renames with the other attributes, Confluence not at all.
fn rename(product: Product, before: &str, after: &str) -> Option<Request> {
    match product {
        Product::Bitbucket => {
            let body = json!({ "name": before, "newName": after });
            Some(Request::post("/rest/api/latest/admin/users/rename", &[]).json(body))
        }
        Product::Crowd => {
            let request = Request::post("/rest/usermanagement/1/user/rename", &[]).query("username", before);
            Some(request.json(json!({ "new-name": after })))
        }
        Product::Jira | Product::Confluence => None,
    }
}

/// Crowd changes a user by replacing the whole of it: what is not to change is read first.
async fn whole(writer: &DcWriter, lane: Lane, name: &str, fields: &Map<String, Value>) -> Result<Request, Answered> {
    let found = user(writer, lane, name).await?.ok_or_else(|| unknown("there is no such user"))?;
    let mut body = Map::new();
    for field in ["name", "first-name", "last-name", "display-name", "email", "active"] {
        let value = fields.get(field).or_else(|| found.get(field)).cloned().unwrap_or_default();
        body.insert(field.to_owned(), value);
    }
    let request = Request::new(Method::PUT, CROWD, &[]).query("username", name);
    Ok(request.json(Value::Object(body)))
}

async fn set_active(writer: &DcWriter, turn: &Turn, name: &str, active: bool) -> Answered {
    let names = vec![name.to_owned()];
    let request = match writer.product {
        Product::Jira => Request::new(Method::PUT, JIRA, &[]).query("username", name).json(json!({ "active": active })),
        Product::Confluence => {
            let enable = "/rest/api/admin/user/{username}/enable";
            let disable = "/rest/api/admin/user/{username}/disable";
            Request::new(Method::PUT, if active { enable } else { disable }, &[name])
        }
        Product::Bitbucket if !active => return bitbucket::lock_out(writer, turn, name).await,
        Product::Bitbucket => return given_back(user(writer, turn.lane(), name).await),
        Product::Crowd => {
            let fields = Map::from_iter([("active".to_owned(), json!(active))]);
            match whole(writer, turn.lane(), name, &fields).await {
                Ok(request) => request,
                Err(failed) => return failed,
            }
        }
    };
    writer.send(turn, Write { request, judge: dc::user, names }).await.0
}

/// Bitbucket gives nobody back: who is put into a group that gives access is back by that.
fn given_back(user: Result<Option<Value>, Answered>) -> Answered {
    match user {
        Ok(Some(user)) if is_active(&user) => unknown("").with(Disposition::AlreadySo),
        Ok(Some(_)) => {
            let text = "inactive in the user directory behind this instance: make it active there";
            unknown(text).with(Disposition::Reject(Rejection::Ownership))
        }
        Ok(None) => unknown("there is no such user"),
        Err(failed) => failed,
    }
}

/// The user of that name, in the product's own shape.
async fn user(writer: &DcWriter, lane: Lane, name: &str) -> Result<Option<Value>, Answered> {
    let request = match writer.product {
        Product::Jira => Request::get(JIRA, &[]).query("username", name),
        Product::Confluence => Request::get("/rest/api/user", &[]).query("username", name).query("expand", "status"),
        Product::Bitbucket => return bitbucket::user(&writer.client, lane, name).await,
        Product::Crowd => Request::get(CROWD, &[]).query("username", name),
    };
    look(&writer.client, &request.lane(lane)).await
}

/// The id of a user in any of the shapes.
fn id_of(user: &Value) -> Option<AccountId> {
    let number = user.get("id").and_then(Value::as_u64).map(|id| id.to_string());
    let keys = [text(user, "/key"), text(user, "/userKey")].map(str::to_owned).into_iter().chain(number);
    let name = [text(user, "/name"), text(user, "/username")].into_iter().find(|name| !name.is_empty())?;
    account_id(&keys.into_iter().find(|key| !key.is_empty())?, name)
}

fn is_active(user: &Value) -> bool {
    let status = text(user, "/status");
    user.get("active").and_then(Value::as_bool).unwrap_or(status.is_empty() || status == "current")
}

pub(super) async fn find(
    writer: &DcWriter,
    lane: Lane,
    account: Option<&AccountId>,
    change: &AccountChange,
    ours: bool,
) -> Result<Option<Answered>, Answered> {
    let there = |user: &Value| Answered { account: id_of(user), ..unknown("").with(Disposition::AlreadySo) };
    match (change, account) {
        (AccountChange::Create { attributes }, _) => {
            let found = user(writer, lane, of(attributes, "userName")).await?;
            Ok(found.filter(|user| is_same_person(user, attributes, ours)).map(|user| there(&user)))
        }
        // Setting the same attributes again is setting them.
        (AccountChange::Update { .. } | AccountChange::Suspend | AccountChange::Remove, _) | (_, None) => Ok(None),
        (AccountChange::Deactivate, Some(account)) if writer.product == Product::Bitbucket => {
            let gone = |let_in: bool| (!let_in).then(|| unknown("").with(Disposition::AlreadySo));
            bitbucket::is_let_in(&writer.client, lane, user_name(account)).await.map(gone)
        }
        (AccountChange::Deactivate | AccountChange::Restore | AccountChange::HandOver { .. }, Some(account)) => {
            let wanted = matches!(change, AccountChange::Restore);
            // Whether the sessions were ended too cannot be read: the whole is done again.
            if !wanted && matches!(writer.product, Product::Jira | Product::Crowd) {
                return Ok(None);
            }
            let found = user(writer, lane, user_name(account)).await?;
            Ok(found.filter(|user| is_active(user) == wanted).map(|user| there(&user)))
        }
    }
}

/// Whether a user who has the wanted name is the person that was to be made: by address. Where the product does not tell
/// addresses (Confluence) the name to show must do, and only for what an attempt of ours may have made: two people may
/// be called the same.
fn is_same_person(user: &Value, attributes: &Attributes, ours: bool) -> bool {
    let told = ["/emailAddress", "/email"].map(|pointer| text(user, pointer)).into_iter().find(|it| !it.is_empty());
    match told {
        Some(email) => email.eq_ignore_ascii_case(of(attributes, "emails[primary].value")),
        None => ours && text(user, "/displayName") == shown(attributes),
    }
}

fn unknown(text: &str) -> Answered {
    not_here(text).with(Disposition::Reject(Rejection::UnknownUser))
}
