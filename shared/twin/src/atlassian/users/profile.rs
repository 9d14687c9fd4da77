//! Profile and address of a managed account.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{failure, linked};
use crate::atlassian::incoming::Incoming;
use crate::engine::Answer;
use crate::world::atlassian::{Account, AccountStatus, AtlassianSide};

#[derive(Debug, Deserialize)]
struct Wanted {
    name: Option<String>,
    nickname: Option<String>,
    zoneinfo: Option<String>,
    #[serde(default)]
    extended_profile: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Address {
    #[serde(default)]
    email: String,
}

/// Reads or sets the profile, or sets the address.
pub(super) fn serve(
    side: &mut AtlassianSide,
    organization: &str,
    account: &str,
    operation: &str,
    incoming: &Incoming,
) -> Result<Answer, Answer> {
    let unknown = || failure(404, "accountNotFound");
    let person = side.accounts().find(account).ok_or_else(unknown)?;
    let found = side.accounts().get(person).filter(|it| it.status != AccountStatus::Closed).ok_or_else(unknown)?;
    if side.manager(found).is_none_or(|it| it.id != organization) {
        return Err(failure(403, "forbidden"));
    }
    if operation == "profile.get" {
        return Ok(Answer::json(200, shape(found)));
    }
    if linked(side, person) {
        let context = json!({ "allowed": false, "reason": { "key": "externalDirectory.scim" } });
        return Err(Answer::json(403, json!({ "key": "forbidden.action", "context": context })));
    }
    if operation == "email.set" {
        let wanted: Address = incoming.json().map_err(|_| failure(400, "badRequest"))?;
        let domain = wanted.email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
        let taken = side.accounts().with_email(&wanted.email).iter().any(|it| *it != person);
        if domain.is_empty() || taken {
            return Err(failure(400, "badRequest"));
        }
        if !side.organization(organization).is_some_and(|it| it.domains.contains(&domain)) {
            return Err(failure(403, "forbidden.unclaimedDomain"));
        }
        side.accounts.set_email(person, &wanted.email);
        return Ok(Answer::empty(204));
    }
    let wanted: Wanted = incoming.json().map_err(|_| failure(400, "badRequest"))?;
    let changed = side.accounts.get_mut(person).ok_or_else(unknown)?;
    changed.name = wanted.name.unwrap_or_else(|| changed.name.clone());
    changed.nickname = wanted.nickname.unwrap_or_else(|| changed.nickname.clone());
    changed.time_zone = wanted.zoneinfo.or_else(|| changed.time_zone.take());
    for (name, field) in [
        ("job_title", &mut changed.title),
        ("department", &mut changed.department),
        ("organization", &mut changed.organization),
        ("location", &mut changed.location),
    ] {
        // Left out: as it was; null clears.
        if let Some(value) = wanted.extended_profile.get(name) {
            *field = value.as_str().map(str::to_owned);
        }
    }
    Ok(Answer::json(200, shape(changed)))
}

fn shape(account: &Account) -> Value {
    let mut work = Map::new();
    for (name, value) in [
        ("job_title", &account.title),
        ("department", &account.department),
        ("organization", &account.organization),
        ("location", &account.location),
    ] {
        if let Some(value) = value {
            work.insert(name.to_owned(), json!(value));
        }
    }
    json!({ "account": {
        "account_id": account.id,
        "account_type": account.kind.word(),
        "name": account.name,
        "nickname": account.nickname,
        "zoneinfo": account.time_zone.as_deref().unwrap_or("Etc/UTC"),
        "email": account.email,
        "picture": "https://avatar.example.com/default.png",
        "account_status": account.status.word(),
        "extended_profile": work,
    } })
}
