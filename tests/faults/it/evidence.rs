//! What must hold afterwards: the twin's log of effective changes, beside the ledger.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use model::TenantId;
use scenarios::World;
use store::Store;
use store::audit::ChainState;

use crate::load::Turns;

/// One membership at Atlassian that really changed: `add/<group>/<account>` as the ledger says it, and when.
struct Effect {
    edge: String,
    at: i64,
}

fn effects(world: &World) -> Vec<Effect> {
    let twin = world.twin.twin.world();
    let ours = twin.log.after(0).filter(|change| change.family == "atlassian.org");
    let effect = |change: &twin::world::Mutation| {
        let (group, account) = change.key.strip_prefix("atlassian/group/")?.split_once("/member/")?;
        let op = if change.new.is_some() { "add" } else { "remove" };
        Some(Effect { edge: format!("{op}/{group}/{account}"), at: change.machine_micros })
    };
    ours.filter_map(effect).collect()
}

/// How many memberships our calls have really changed.
pub(crate) fn count(world: &World) -> usize {
    effects(world).len()
}

/// I6, I7, I8, I9: each effect stood in the ledger before it happened; each edge had at most one effect for each of its
/// generations; neither generations nor writers' epochs go back; the audit chain is whole.
///
/// # Errors
/// Names what does not hold.
pub(crate) async fn ledger_and_effects_agree(world: &World) -> Result<()> {
    let sql = world.sql().await?;
    let rows = sql
        .query(
            "select e.edge, count(distinct c.generation)::bigint, min(a.began_at) from effect.attempt a \
             join plan.command c on c.id = a.command cross join lateral unnest(a.edges) as e(edge) group by e.edge",
            &[],
        )
        .await?;
    let ledger: BTreeMap<String, (i64, i64)> =
        rows.iter().map(|row| (row.get::<_, String>(0), (row.get(1), row.get(2)))).collect();
    let mut done: BTreeMap<String, i64> = BTreeMap::new();
    for effect in effects(world) {
        let (_, began) = ledger.get(&effect.edge).with_context(|| format!("{} is not in the ledger", effect.edge))?;
        ensure!(*began <= effect.at, "{} happened before it stood in the ledger", effect.edge);
        *done.entry(effect.edge).or_default() += 1;
    }
    for (edge, times) in &done {
        let generations = ledger.get(edge).map_or(0, |(generations, _)| *generations);
        ensure!(*times <= generations, "{edge} had {times} effects in {generations} generations");
    }
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
    for effect in effects(world) {
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
