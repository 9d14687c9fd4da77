//! User management: `/users/{accountId}/manage`, as far as people need it: what may be done, disable, enable, profile,
//! address.
//!
//! Source: `admin-user-management.json` and atlassian-cloud.md §2. Errors are `{key, context?}`.

mod profile;

use http::Method;
use serde_json::{Value, json};

use super::incoming::Incoming;
use crate::engine::{Answer, Call, Dialect, run};
use crate::server::Shared;
use crate::world::atlassian::{Account, AccountStatus, Act, AtlassianSide, Index};
use crate::world::{Cause, World};

/// Answers a request of user management.
pub(crate) async fn serve(twin: &Shared, incoming: Incoming) -> Answer {
    let path = incoming.path();
    let (name, status, account) = match (incoming.method.clone(), path.as_slice()) {
        (Method::GET, ["users", account, "manage"]) => ("manage.get", None, *account),
        (Method::POST, ["users", account, "manage", "lifecycle", "disable"]) => {
            ("lifecycle.disable", Some(AccountStatus::Inactive), *account)
        }
        (Method::POST, ["users", account, "manage", "lifecycle", "enable"]) => {
            ("lifecycle.enable", Some(AccountStatus::Active), *account)
        }
        (Method::GET, ["users", account, "manage", "profile"]) => ("profile.get", None, *account),
        (Method::PATCH, ["users", account, "manage", "profile"]) => ("profile.set", None, *account),
        (Method::PUT, ["users", account, "manage", "email"]) => ("email.set", None, *account),
        _ => return failure(404, "notFound"),
    };
    let account = account.to_owned();
    let now = twin.engine.clock.now();
    let secret = incoming.bearer().and_then(|it| twin.engine.credentials().secret("atlassian-org", &it, now).cloned());
    let call = Call {
        family: "atlassian.users",
        operation: name,
        target: account.clone(),
        request_id: incoming.request_id.clone(),
        caller: secret.as_ref().map(|it| it.principal.clone()).unwrap_or_default(),
        ..Call::default()
    };
    let answer = run(twin, &Words, call, |world, view| {
        let Some(secret) = &secret else { return Words.unauthorized() };
        // Scoped keys are refused: the scope that this API wants cannot be granted (§1.1).
        if !secret.scopes.is_empty() {
            return Words.forbidden();
        }
        let cause = Cause::from(view);
        let World { atlassian: side, log, .. } = world;
        let mut act = Act { cause: &cause, log };
        match name {
            "profile.get" | "profile.set" | "email.set" => {
                profile::serve(side, &secret.realm, &account, name, &incoming).unwrap_or_else(|it| it)
            }
            _ => handle(side, &secret.realm, &account, status, &mut act),
        }
    });
    answer.await
}

fn handle(
    side: &mut AtlassianSide,
    organization: &str,
    account: &str,
    status: Option<AccountStatus>,
    act: &mut Act<'_>,
) -> Answer {
    let found = side.accounts().find(account).and_then(|it| Some((it, side.accounts().get(it)?)));
    let Some((person, found)) = found.filter(|(_, it)| it.status != AccountStatus::Closed) else {
        return failure(404, "accountNotFound");
    };
    let managed = side.manager(found).is_some_and(|it| it.id == organization);
    let Some(status) = status else {
        return Answer::json(200, privileges(side, person, found, managed));
    };
    if !managed {
        // The document keeps `forbidden.unclaimedDomain` for changes of addresses.
        return failure(403, "forbidden");
    }
    if linked(side, person) {
        let context = json!({ "allowed": false, "reason": { "key": "externalDirectory.scim" } });
        return Answer::json(403, json!({ "key": "forbidden.action", "context": context }));
    }
    side.set_account_status(person, status, act);
    Answer::empty(204)
}

/// Whether a record of a SCIM directory holds the account.
fn linked(side: &AtlassianSide, person: Index) -> bool {
    side.scim_directories().any(|it| it.users().any(|user| user.account == Some(person)))
}

fn privileges(side: &AtlassianSide, person: Index, account: &Account, managed: bool) -> Value {
    let synced = linked(side, person);
    let rule = |allowed: bool| {
        let reason = if synced { "externalDirectory.scim" } else { "managedAccount" };
        if allowed { json!({ "allowed": true }) } else { json!({ "allowed": false, "reason": { "key": reason } }) }
    };
    let editable = managed && !synced;
    let fields =
        ["name", "nickname", "zoneinfo", "locale", "extended_profile.job_title", "extended_profile.department"];
    let write: serde_json::Map<String, Value> = fields.iter().map(|it| ((*it).to_owned(), rule(editable))).collect();
    json!({
        "email.set": rule(editable),
        "lifecycle.enablement": rule(editable && account.status != AccountStatus::Closed),
        "lifecycle.delete": rule(editable),
        "apiToken.read": rule(managed),
        "apiToken.delete": rule(managed),
        "profile": write,
        "profile.read": rule(managed),
        "profile.write": write,
    })
}

fn failure(status: u16, key: &str) -> Answer {
    Answer::json(status, json!({ "key": key }))
}

/// How user management words what the engine decides.
struct Words;

impl Dialect for Words {
    fn throttled(&self, _limit: &str, retry_after: Option<&str>) -> Answer {
        let answer = failure(429, "tooManyRequests");
        match retry_after {
            Some(seconds) => answer.with("Retry-After", seconds),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        failure(status, "internalError")
    }

    fn unauthorized(&self) -> Answer {
        failure(401, "unauthorized")
    }

    fn forbidden(&self) -> Answer {
        failure(403, "forbidden")
    }

    fn not_found(&self, _call: &Call) -> Answer {
        failure(404, "accountNotFound")
    }

    fn bad_page_token(&self) -> Answer {
        failure(400, "badRequest")
    }

    fn empty_page(&self, _body: &mut Value, _keep_next: bool) {}

    fn drop_next(&self, _body: &mut Value) {}

    fn repeat_page(&self, _body: &mut Value, _call: &Call) {}
}
