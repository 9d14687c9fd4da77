//! Why somebody has access to a group, or what is the first thing that is missing for it.
//!
//! The answer is the planner's own, from the rows that the reconciler decides from. The mirrors are kept between
//! questions: the first one of a tenant reads everything, the next ones what is newer.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use contract::ops;
use model::{DirectoryId, RefusalWhy, TenantId, UserState, WaitWhy};
use planner::Planner;
use planner::explain::{GroupExplained, Missing, PersonExplained};
use policy::Policy;
use serde::Deserialize;
use store::audit::AuditEntry;

use crate::failure::Failure;
use crate::gate::Asked;
use crate::state::Api;

/// The chain, from the source to the access.
const LINKS: [&str; 6] = ["in-source", "in-scope", "matched", "in-target-group", "group-grants-product", "seat-free"];
/// Places in it.
const IN_GROUP: usize = 3;
const GRANTS: usize = 4;
const SEAT: usize = 5;

/// `?person=&group=&target=`.
#[derive(Debug, Deserialize)]
pub(crate) struct ExplainQuery {
    person: Option<String>,
    group: Option<String>,
    target: Option<String>,
}

/// A planner that knows a tenant's mirrors up to these versions.
#[derive(Debug)]
pub(crate) struct Brain {
    planner: Planner,
    versions: BTreeMap<DirectoryId, u64>,
}

/// `GET /explain`.
pub(crate) async fn explain(
    State(api): State<Api>,
    asked: Asked,
    Query(query): Query<ExplainQuery>,
) -> Result<Json<ops::ExplanationList>, Failure> {
    let person = query.person.as_deref().map(str::trim).filter(|person| !person.is_empty());
    let Some(person) = person.map(str::to_owned) else {
        return Err(Failure::usage("say whom: ?person= with an address or an id of the source"));
    };
    let policy = api.policy(&asked.tenant).await?;
    let now = api.now();
    // One question at a time: the mirrors are large, and there is one of each.
    let mut brains = api.inner.brains.lock().await;
    let brain = brains.remove(&asked.tenant);
    let mut brain = advance(&api, &asked.tenant, policy, brain).await?;
    let rows = api.store().load_memory(&asked.tenant, now).await?;
    let verdicts = api.store().load_verdicts(&asked.tenant, now).await?;
    let group = query.group;
    let work = move || {
        let mut memory = recall::memory(&rows, now);
        recall::lay_over(&mut memory, &verdicts);
        memory.blind = verdicts.blind.into_iter().map(|(directory, _)| directory).collect();
        let explanation = brain.planner.explain(&memory, now, &person, group.as_deref());
        (brain, explanation)
    };
    let (brain, explanation) = tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(event.name = "rollcall.console.explain", %error, "explaining ended early");
        Failure::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "internal", "explaining failed; the log says why")
    })?;
    brains.insert(asked.tenant.clone(), brain);
    drop(brains);
    if explanation.persons.is_empty() {
        return Err(Failure::not_found("person at any source")
            .help("ask by primary address, alias or id; somebody out of scope of every read is not known here"));
    }
    note(&api, &asked, &explanation.persons).await?;
    let wanted = |group: &&GroupExplained| query.target.as_deref().is_none_or(|name| group.target.as_str() == name);
    let mut explanations: Vec<ops::Explanation> = explanation
        .persons
        .iter()
        .flat_map(|person| person.groups.iter().filter(wanted).map(move |group| wire(person, group)))
        .collect();
    explanations.sort_by_key(|explanation| !explanation.has);
    Ok(Json(ops::ExplanationList { explanations }))
}

/// Brings the mirrors up to what is committed. What fails on the way leaves no half-read brain behind.
async fn advance(api: &Api, tenant: &TenantId, policy: Arc<Policy>, known: Option<Brain>) -> Result<Brain, Failure> {
    let mut brain = match known {
        Some(mut brain) => {
            if brain.planner.policy().hash != policy.hash {
                brain.planner.set_policy(Arc::clone(&policy));
                // It let go of the mirrors of all others.
                brain.versions.retain(|directory, _| policy.directories.contains_key(directory));
            }
            brain
        }
        None => Brain { planner: Planner::new(Arc::clone(&policy)), versions: BTreeMap::new() },
    };
    for directory in policy.directories.keys() {
        let Some(key) = api.store().find_directory(tenant, directory).await? else { continue };
        let version = brain.versions.entry(directory.clone()).or_default();
        let delta = api.store().delta_since(&key, *version, api.now()).await?;
        *version = delta.version;
        brain.planner.apply(&delta);
    }
    Ok(brain)
}

/// Who looked at whom is kept: ids, no addresses.
async fn note(api: &Api, asked: &Asked, persons: &[PersonExplained]) -> Result<(), Failure> {
    let entry = |person: &PersonExplained| AuditEntry {
        at: api.now(),
        actor: asked.person.name.clone(),
        verb: "person.explained".to_owned(),
        key: format!("person/{}/{}", person.source, person.person),
        before: Vec::new(),
        after: Vec::new(),
        cause: "asked by a person".to_owned(),
    };
    let entries: Vec<AuditEntry> = persons.iter().map(entry).collect();
    Ok(api.store().append_audit(&asked.tenant, &entries).await?)
}

fn wire(person: &PersonExplained, group: &GroupExplained) -> ops::Explanation {
    let missing = group.missing.as_ref().map(|missing| (place(missing), why(missing, person.state)));
    let broken = missing.as_ref().map_or(LINKS.len(), |(at, _)| *at);
    let mut links: Vec<ops::ExplanationLink> = LINKS
        .iter()
        .take(broken)
        .enumerate()
        // Who waits for a seat is in the group once there is one. Of a group that gives nothing, as far as it was read,
        // and of seats that nobody waits for nothing is said.
        .filter(|(at, _)| match *at {
            IN_GROUP => broken != SEAT,
            GRANTS => group.gives_product,
            at => at < SEAT,
        })
        .map(|(_, link)| ops::ExplanationLink { link: (*link).to_owned(), holds: true, why: holds(link, group) })
        .collect();
    let because = match (&missing, group.has_access) {
        (None, _) => "the source puts the person there, and the target has the account in the group".to_owned(),
        (Some((_, why)), false) => format!("the first missing link is {}: {why}", LINKS.get(broken).unwrap_or(&"")),
        (Some((_, why)), true) => format!("the account is in the group although nothing of ours wants it there: {why}"),
    };
    if let Some((at, why)) = missing {
        let link = LINKS.get(at).copied().unwrap_or_default().to_owned();
        links.push(ops::ExplanationLink { link, holds: false, why });
    }
    let path = |path: &Vec<model::GroupId>| path.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" > ");
    ops::Explanation {
        person: person.person.to_string(),
        target: group.target.to_string(),
        group: group.name.clone(),
        has: group.has_access,
        links,
        because,
        source: person.source.to_string(),
        paths: group.paths.iter().map(path).collect(),
    }
}

fn holds(link: &str, group: &GroupExplained) -> String {
    match link {
        "in-source" => "the person may work".to_owned(),
        "in-scope" => format!("{} ways lead from a source group to the person", group.paths.len()),
        "matched" => group.account.as_ref().map_or_else(String::new, |account| format!("account {account}")),
        "in-target-group" => group.group.as_ref().map_or_else(String::new, |id| format!("group {id}")),
        _ => "being in the group gives a product".to_owned(),
    }
}

/// Which link is missing, by its place in [`LINKS`].
const fn place(missing: &Missing) -> usize {
    match missing {
        Missing::MayNotWork => 0,
        Missing::OutOfScope | Missing::NotInSourceGroup | Missing::NotTaken => 1,
        Missing::NoAccount | Missing::Doubt | Missing::AccountUnusable => 2,
        Missing::Waits { why: WaitWhy::Seat } => SEAT,
        Missing::NoTargetGroup
        | Missing::SwitchedOff
        | Missing::Held { .. }
        | Missing::Waits { .. }
        | Missing::UnderWay
        | Missing::Refused { .. } => IN_GROUP,
    }
}

fn why(missing: &Missing, state: Option<UserState>) -> String {
    match missing {
        Missing::MayNotWork => match state {
            Some(state) => format!("the person is {} at the source", format!("{state:?}").to_lowercase()),
            None => "the person is gone from the source".to_owned(),
        },
        Missing::OutOfScope => "the person is out of every scope that the policy names".to_owned(),
        Missing::NotInSourceGroup => "no source group of this target group holds the person".to_owned(),
        Missing::NotTaken => "the person is below, in a role or from a domain that the rule does not take".to_owned(),
        Missing::NoAccount => "there is no account at the target for the person".to_owned(),
        Missing::Doubt => "more than one account could be the person's, or the address is in doubt".to_owned(),
        Missing::AccountUnusable => "the account at the target is deactivated or otherwise unusable".to_owned(),
        Missing::NoTargetGroup => "the group does not exist at the target yet".to_owned(),
        Missing::SwitchedOff => "a rule that names the group is switched off (enabled = false)".to_owned(),
        Missing::Held { guards } => {
            let guards: Vec<&str> = guards.iter().map(|guard| guard.as_str()).collect();
            format!("wanted, and held for a person by {}", guards.join(", "))
        }
        Missing::Waits { why } => format!("wanted, and waits for {}", waits_for(why)),
        Missing::UnderWay => "wanted, and under way".to_owned(),
        Missing::Refused { why } => format!("wanted, and refused: {}", RefusalWhy::as_str(*why)),
    }
}

fn waits_for(why: &WaitWhy) -> String {
    match why {
        WaitWhy::CompleteRead { directory, group: None } => format!("a complete read of {directory}"),
        WaitWhy::CompleteRead { directory, group: Some(group) } => {
            format!("a complete read of group {group} of {directory}")
        }
        WaitWhy::TargetRead { group } => format!("a complete read of target group {group}"),
        WaitWhy::NoAccount => "an account".to_owned(),
        WaitWhy::Doubt => "a doubt about the account to be settled".to_owned(),
        WaitWhy::AccountUnusable => "the account to be usable".to_owned(),
        WaitWhy::AddressTaken => "another account to give the address up".to_owned(),
        WaitWhy::Opaque { group } => format!("nested group {group}, which cannot be read"),
        WaitWhy::DeadLetter { id } => format!("dead letter {id} to be redriven"),
        WaitWhy::Grace { until } => format!("the end of the grace at {until}"),
        WaitWhy::Seat => "a free seat".to_owned(),
        WaitWhy::SourceBlind { directory } => format!("{directory} to be readable again"),
    }
}
