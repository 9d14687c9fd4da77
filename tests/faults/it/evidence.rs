//! What must hold afterwards: the twin's log of effective changes, beside the ledger.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use model::TenantId;
use scenarios::World;
use store::Store;
use store::audit::ChainState;
use uuid::Uuid;

use crate::load::Turns;

/// One membership at Atlassian that really changed: `add/<group>/<account>` as the ledger says it, when, and by which
/// attempt as the request named it.
struct Effect {
    edge: String,
    at: i64,
    attempt: Uuid,
}

fn effects(world: &World) -> Result<Vec<Effect>> {
    let twin = world.twin.twin.world();
    let ours = twin.log.after(0).filter(|change| change.family == "atlassian.org");
    let effect = |change: &twin::world::Mutation| {
        let (group, account) = change.key.strip_prefix("atlassian/group/")?.split_once("/member/")?;
        let op = if change.new.is_some() { "add" } else { "remove" };
        let edge = format!("{op}/{group}/{account}");
        let attempt = outbound::attempt_of(&change.request_id);
        let named = attempt.with_context(|| format!("{edge} came by a request that names no attempt"));
        Some(named.map(|attempt| Effect { edge, at: change.machine_micros, attempt }))
    };
    ours.filter_map(effect).collect()
}

/// How many memberships our calls have really changed.
pub(crate) fn count(world: &World) -> Result<usize> {
    Ok(effects(world)?.len())
}

/// I6, I7, I8, I9: each effect stood in the ledger before it happened, under the id that its request bore; each edge had
/// at most one effect for each of its generations; neither generations nor writers' epochs go back; effects and audit
/// trail tell of each other; the audit chain is whole.
///
/// # Errors
/// Names what does not hold.
pub(crate) async fn ledger_and_effects_agree(world: &World) -> Result<()> {
    let sql = world.sql().await?;
    let rows = sql
        .query(
            "select a.id, a.edges, a.began_at, c.generation from effect.attempt a join plan.command c on c.id = a.command",
            &[],
        )
        .await?;
    let mut attempts: BTreeMap<Uuid, (BTreeSet<String>, i64, i64)> = BTreeMap::new();
    for row in rows {
        let edges: BTreeSet<String> = row.get::<_, Vec<String>>(1).into_iter().collect();
        attempts.insert(row.get(0), (edges, row.get(2), row.get(3)));
    }
    let effects = effects(world)?;
    let mut done: BTreeSet<(&str, i64)> = BTreeSet::new();
    for Effect { edge, at, attempt } in &effects {
        let (edges, began, generation) =
            attempts.get(attempt).with_context(|| format!("{edge}: {attempt} is not in the ledger"))?;
        ensure!(edges.contains(edge), "{attempt} was not to do {edge}");
        ensure!(began <= at, "{edge} happened before it stood in the ledger");
        ensure!(done.insert((edge, *generation)), "{edge} had two effects in generation {generation}");
    }
    audit_and_effects_agree(world, &effects).await?;
    let back = "select count(*) from (select c.generation < lag(c.generation) over (partition by \
        substring(e.edge from position('/' in e.edge)) order by a.began_at) as back from effect.attempt a \
        join plan.command c on c.id = a.command cross join lateral unnest(a.edges) as e(edge)) x where back";
    ensure!(world.one(back).await? == 0, "an edge went back to an older generation");
    let epochs = "select count(*) from (select epoch < lag(epoch) over (partition by tenant, target order by began_at) \
        as back from effect.attempt) x where back";
    ensure!(world.one(epochs).await? == 0, "two writers acted at once");
    let store = Store::connect(&world.postgres.url("rollcall_scenario"), None, 2).await?;
    let chain = store.verify_audit(&TenantId::new("acme")?).await?;
    ensure!(matches!(chain, ChainState::Whole { .. }), "{chain:?}");
    Ok(())
}

/// I9: each effect has one entry in the audit trail, which names the attempt that its request named; each entry has one
/// effect, unless it says itself that nobody knows.
async fn audit_and_effects_agree(world: &World, effects: &[Effect]) -> Result<()> {
    let entries =
        world.sql().await?.query("select verb, key, after, cause from common.audit order by seq", &[]).await?;
    // What an effect is joined by: what was done to which membership, and by which attempt.
    let mut told: BTreeMap<(String, Uuid), usize> = BTreeMap::new();
    let mut certain: Vec<Vec<(String, Uuid)>> = Vec::new();
    for entry in &entries {
        let (verb, key, cause) = (entry.get::<_, &str>(0), entry.get::<_, &str>(1), entry.get::<_, &str>(3));
        let (Some(op), Some((_, edge))) = (verb.strip_prefix("member."), key.split_once('/')) else { continue };
        let named = cause.split(' ').filter_map(|word| Uuid::parse_str(word.strip_prefix("attempt/")?).ok());
        let named: Vec<_> = named.map(|attempt| (format!("{op}/{edge}"), attempt)).collect();
        ensure!(!named.is_empty(), "the entry {verb} {key} names no attempt: {cause}");
        for key in &named {
            *told.entry(key.clone()).or_default() += 1;
        }
        if entry.get::<_, &[u8]>(2) != b"unclear" {
            certain.push(named);
        }
    }
    let mut happened: BTreeSet<(String, Uuid)> = BTreeSet::new();
    for Effect { edge, attempt, .. } in effects {
        let key = (edge.clone(), *attempt);
        ensure!(told.get(&key) == Some(&1), "{edge} by {attempt} is {:?} times in the audit trail", told.get(&key));
        ensure!(happened.insert(key), "{edge} happened twice by {attempt}");
    }
    for named in certain {
        let effects = named.iter().filter(|key| happened.contains(*key)).count();
        ensure!(effects == 1, "the audit trail tells of {named:?}, which had {effects} effects");
    }
    Ok(())
}

/// I2 in numbers: no membership was taken away or given more often than it was at Google, and no group was made twice.
///
/// # Errors
/// Names the first that was.
pub(crate) fn nothing_was_made_up(world: &World, turns: &Turns) -> Result<()> {
    let (mut names, mut people) = (BTreeMap::new(), BTreeMap::new());
    let dump = world.twin.twin.world().atlassian.dump();
    let groups = dump.pointer("/organizations/org-1/groups").and_then(serde_json::Value::as_object);
    for (name, group) in groups.into_iter().flatten() {
        names.insert(group.get("id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(), name.clone());
    }
    for account in dump.get("accounts").and_then(serde_json::Value::as_array).into_iter().flatten() {
        let text = |key: &str| account.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        people.insert(text("id"), text("email"));
    }
    let mut done: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for effect in effects(world)? {
        let mut parts = effect.edge.splitn(3, '/');
        let (op, group, account) = (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let key = (names.get(group).cloned().unwrap_or_default(), people.get(account).cloned().unwrap_or_default());
        let counts = done.entry(key).or_default();
        if op == Some("add") { counts.0 += 1 } else { counts.1 += 1 }
    }
    for (edge, (adds, removals)) in &done {
        let (began, ended) = turns.get(edge).copied().unwrap_or_default();
        ensure!(
            *adds <= began && *removals <= ended,
            "{edge:?}: {adds} adds of {began}, {removals} removals of {ended}"
        );
    }
    let made = world.effects(0).into_iter().filter(|(operation, ..)| operation == "groups.create").count();
    ensure!(made == world.wanted().len(), "{made} groups were made, {} are mapped", world.wanted().len());
    Ok(())
}
