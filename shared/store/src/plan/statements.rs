//! The statements of a turn, in the order in which they must be done: what ends comes before what begins.
//!
//! What goes over rows by their keys looks each up in a `lateral` with a limit. A plain join is planned from the other
//! side where the tables' statistics say that they are empty, as they do throughout a first import, and that plan reads
//! everything that the tenant has, every time.

use std::collections::BTreeMap;

use model::{Canonical as _, DirectoryId, TenantId};

use super::rows::{EdgeKey, PinRow, WindowRow};
use super::turn::Turn;
use crate::sql::{self, Batch, values};

/// All of them, as far as the turn has rows for them.
pub(super) fn of<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    settle(batch, tenant, turn);
    forget(batch, tenant, turn);
    link(batch, tenant, turn);
    pin(batch, tenant, turn);
    holds(batch, tenant, turn);
    remember(batch, tenant, turn);
    plan(batch, tenant, turn);
    cases(batch, tenant, turn);
    release(batch, tenant, turn);
    commands(batch, tenant, turn);
    objects(batch, tenant, turn);
    accounts(batch, tenant, turn);
    needs(batch, tenant, turn);
    wishes(batch, tenant, turn);
    windows(batch, tenant, turn);
    marks(batch, tenant, turn);
}

/// The last row of each key: one turn may learn of a thing twice, and one statement may write its row once only.
fn last_of<'a, Row, Key: Ord>(rows: &'a [Row], key: impl Fn(&'a Row) -> Key) -> Vec<&'a Row> {
    rows.iter().map(|row| (key(row), row)).collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Columns of edges, for arrays.
fn columns<'a>(edges: impl Iterator<Item = &'a EdgeKey>) -> (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>) {
    let (mut targets, mut groups, mut accounts) = (Vec::new(), Vec::new(), Vec::new());
    for edge in edges {
        targets.push(edge.target.as_str());
        groups.push(edge.group.as_str());
        accounts.push(edge.account.as_str());
    }
    (targets, groups, accounts)
}

fn settle<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if turn.settled.is_empty() {
        return;
    }
    let ids: Vec<uuid::Uuid> = turn.settled.iter().map(|id| id.0).collect();
    let keys: Vec<String> = turn.settled.iter().map(ToString::to_string).collect();
    batch.add(
        "update plan.command c set settled_at = $3
           from unnest($2::uuid[]) as r (id)
          cross join lateral (select x.ctid as place, x.tenant, x.settled_at from plan.command x
                               where x.id = r.id limit 1) x
          where c.ctid = x.place and x.tenant = $1 and x.settled_at is null",
        values![tenant.as_str(), ids.clone(), turn.at.0],
    );
    for delete in [
        "delete from plan.released_edge e
          using unnest($2::uuid[]) as r (id)
          cross join lateral (select x.ctid as place, x.tenant from plan.released_edge x
                               where x.command = r.id offset 0) x
          where e.ctid = x.place and x.tenant = $1",
        "delete from plan.opening where tenant = $1 and command = any($2)",
    ] {
        batch.add(delete, values![tenant.as_str(), ids.clone()]);
    }
    batch.add(
        // With the index's own condition: it is not used without.
        "update plan.outbox set settled_at = clock_timestamp()
          where settle_key = any($1) and settle_key <> '' and settled_at is null",
        values![keys],
    );
}

fn forget<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    for (table, edges, also) in [
        ("plan.released_edge", &turn.unreleased, "and x.command is null"),
        ("plan.managed_edge", &turn.unmanaged, ""),
        ("plan.confirmed_edge", &turn.unconfirmed, ""),
    ] {
        if edges.is_empty() {
            continue;
        }
        let (targets, groups, accounts) = columns(edges.iter());
        let delete = format!(
            "delete from {table} t using unnest($2::text[], $3::text[], $4::text[]) as r (target, group_id, account)
              cross join lateral (select x.ctid as place from {table} x
                                   where x.tenant = $1 and x.target = r.target and x.group_id = r.group_id
                                     and x.account = r.account {also} limit 1) x
              where t.ctid = x.place"
        );
        batch.add(delete, values![tenant.as_str(), targets, groups, accounts]);
    }
}

fn remember<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if !turn.managed.is_empty() {
        let (targets, groups, accounts) = columns(turn.managed.iter());
        batch.add(
            "insert into plan.managed_edge (tenant, target, group_id, account, added_at)
             select $1, r.target, r.group_id, r.account, $5
               from unnest($2::text[], $3::text[], $4::text[]) as r (target, group_id, account)
             on conflict do nothing",
            values![tenant.as_str(), targets, groups, accounts, turn.at.0],
        );
    }
    if !turn.confirmed.is_empty() {
        let confirmed = last_of(&turn.confirmed, |row| (&row.edge.target, &row.edge.group, &row.edge.account));
        let (targets, groups, accounts) = columns(confirmed.iter().map(|row| &row.edge));
        let present: Vec<bool> = confirmed.iter().map(|row| row.present).collect();
        let at: Vec<i64> = confirmed.iter().map(|row| row.confirmed_at.0).collect();
        batch.add(
            "insert into plan.confirmed_edge as c (tenant, target, group_id, account, present, confirmed_at)
             select $1, r.target, r.group_id, r.account, r.present, r.at
               from unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::bigint[])
                    as r (target, group_id, account, present, at)
             on conflict (tenant, target, group_id, account) do update
                set present = excluded.present, confirmed_at = excluded.confirmed_at
              where c.confirmed_at <= excluded.confirmed_at",
            values![tenant.as_str(), targets, groups, accounts, present, at],
        );
    }
}

fn link<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if turn.links.is_empty() {
        return;
    }
    let links = last_of(&turn.links, |link| (&link.source, &link.person, &link.target));
    let source: Vec<&str> = links.iter().map(|l| l.source.as_str()).collect();
    let person: Vec<&str> = links.iter().map(|l| l.person.as_str()).collect();
    let target: Vec<&str> = links.iter().map(|l| l.target.as_str()).collect();
    let account: Vec<&str> = links.iter().map(|l| l.account.as_str()).collect();
    let behind: Vec<Option<&str>> = links.iter().map(|l| l.behind.as_ref().map(model::AccountId::as_str)).collect();
    let how: Vec<&str> = links.iter().map(|l| l.how.as_str()).collect();
    let at: Vec<i64> = links.iter().map(|l| l.linked_at.0).collect();
    batch.add(
        "insert into plan.person_link (tenant, source, person, target, account, behind, how, linked_at)
         select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                                    $8::bigint[]) as r
         on conflict (tenant, source, person, target) do update
            set account = excluded.account, behind = excluded.behind, how = excluded.how,
                linked_at = excluded.linked_at",
        values![tenant.as_str(), source, person, target, account, behind, how, at],
    );
}

fn pin<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if turn.pins.is_empty() {
        return;
    }
    // A group that was made and found equal in one turn: its outcome's pin, then what the decision made of it.
    let pins = last_of(&turn.pins, |pin| (&pin.target, &pin.name));
    let target: Vec<&str> = pins.iter().map(|p| p.target.as_str()).collect();
    let name: Vec<String> = pins.iter().map(|p| sql::clean(&p.name)).collect();
    let group: Vec<&str> = pins.iter().map(|p| p.group.as_str()).collect();
    let how: Vec<&str> = pins.iter().map(|p| p.how.as_str()).collect();
    let equal: Vec<bool> = pins.iter().map(|p| p.equal_once).collect();
    let at: Vec<i64> = pins.iter().map(|p| p.pinned_at.0).collect();
    let of = |p: &&PinRow| p.source.clone().unzip();
    let (source, source_group): (Vec<Option<String>>, Vec<Option<String>>) =
        pins.iter().map(of).map(|(source, group)| (source.map(String::from), group.map(String::from))).unzip();
    batch.add(
        "insert into plan.pin (tenant, target, name, group_id, how, equal_once, pinned_at, source, source_group)
         select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
                                    $7::bigint[], $8::text[], $9::text[]) as r
         on conflict (tenant, target, name) do update
            set group_id = excluded.group_id, how = excluded.how, equal_once = excluded.equal_once,
                pinned_at = excluded.pinned_at, source = excluded.source, source_group = excluded.source_group",
        values![tenant.as_str(), target, name, group, how, equal, at, source, source_group],
    );
}

/// Small lists that are replaced whole.
fn holds<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if let Some(holds) = &turn.plan_holds {
        let targets: Vec<&str> = holds.iter().map(|hold| hold.target.as_str()).collect();
        let names: Vec<String> = holds.iter().map(|hold| sql::clean(&hold.name)).collect();
        let ops: Vec<&str> = holds.iter().map(|hold| hold.op.as_str()).collect();
        let guards: Vec<&str> = holds.iter().map(|hold| hold.guard.as_str()).collect();
        batch.add("delete from plan.plan_hold where tenant = $1", values![tenant.as_str()]);
        batch.add(
            "insert into plan.plan_hold (tenant, target, name, op, guard)
             select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as r on conflict do nothing",
            values![tenant.as_str(), targets, names, ops, guards],
        );
    }
    if let Some(leaving) = &turn.leaving {
        let targets: Vec<&str> = leaving.iter().map(|row| row.target.as_str()).collect();
        let sources: Vec<&str> = leaving.iter().map(|row| row.source.as_str()).collect();
        let people: Vec<&str> = leaving.iter().map(|row| row.person.as_str()).collect();
        let since: Vec<i64> = leaving.iter().map(|row| row.since.0).collect();
        let removed: Vec<Option<i64>> = leaving.iter().map(|row| row.removed_at.map(|at| at.0)).collect();
        batch.add("delete from plan.leaving where tenant = $1", values![tenant.as_str()]);
        batch.add(
            "insert into plan.leaving (tenant, target, source, person, since_at, removed_at)
             select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[]) as r
             on conflict do nothing",
            values![tenant.as_str(), targets, sources, people, since, removed],
        );
    }
}

fn plan<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if let Some(plan) = &turn.plan {
        batch.add(
            "insert into plan.plan (tenant, number, made_at, policy, digest, body, summary)
             values ($1, $2, $3, $4, $5, $6, $7)",
            values![
                tenant.as_str(),
                sql::big(plan.number),
                plan.made_at.0,
                plan.policy.0.as_slice(),
                plan.digest.0.as_slice(),
                plan.body.as_slice(),
                plan.summary.as_str()
            ],
        );
    }
    if !turn.case_steps.is_empty() {
        let digests: Vec<&[u8]> = turn.case_steps.iter().map(|(digest, _)| digest.0.as_slice()).collect();
        let steps: Vec<&[u8]> = turn.case_steps.iter().map(|(_, steps)| steps.as_slice()).collect();
        let plan = sql::big(turn.plan.as_ref().map_or(0, |plan| plan.number));
        batch.add(
            "insert into plan.case_body (tenant, digest, steps, plan)
             select distinct on (r.digest) $1, r.digest, r.steps, $4
               from unnest($2::bytea[], $3::bytea[]) as r (digest, steps)
             on conflict (tenant, digest) do update set plan = excluded.plan",
            values![tenant.as_str(), digests, steps, plan],
        );
    }
}

fn cases<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    let Some(held) = &turn.held else { return };
    let released: Vec<&[u8]> = turn.released_cases.iter().map(|(digest, _)| digest.0.as_slice()).collect();
    let by: Vec<&str> = turn.released_cases.iter().map(|(_, by)| by.as_str()).collect();
    let digests: Vec<&[u8]> = held.iter().map(|case| case.digest.0.as_slice()).collect();
    batch.add(
        "update plan.case_held c
            set state = case when c.digest = any($2) then 'released' else 'void' end, decided_at = $4,
                decided_by = coalesce((select r.by from unnest($2::bytea[], $3::text[]) as r (digest, by)
                                        where r.digest = c.digest limit 1), c.decided_by)
          where c.tenant = $1 and c.state in ('held', 'approved', 'rejected') and c.digest <> all($5)",
        values![tenant.as_str(), released, by, turn.at.0, digests.clone()],
    );
    if held.is_empty() {
        return;
    }
    let targets: Vec<&str> = held.iter().map(|case| case.target.as_str()).collect();
    let kinds: Vec<&str> = held.iter().map(|case| case.kind.as_str()).collect();
    let bodies: Vec<&[u8]> = held.iter().map(|case| case.body.as_slice()).collect();
    let traces: Vec<Option<&str>> = held.iter().map(|case| case.traceparent.as_deref()).collect();
    let states: Vec<&str> = held.iter().map(|case| case.state.as_str()).collect();
    let number = sql::big(turn.plan.as_ref().map_or(0, |plan| plan.number));
    batch.add(
        "insert into plan.case_held as c (tenant, digest, target, kind, body, plan, held_at, state, traceparent)
         select $1, r.digest, r.target, r.kind, r.body, $7, $8, r.state, r.traceparent
           from unnest($2::bytea[], $3::text[], $4::text[], $5::bytea[], $6::text[], $9::text[])
                as r (digest, target, kind, body, state, traceparent)
         on conflict (tenant, digest) do update
            set body = excluded.body, state = excluded.state, traceparent = excluded.traceparent,
                plan = case when excluded.plan > 0 then excluded.plan else c.plan end,
                held_at = case when c.state in ('released', 'void') then excluded.held_at else c.held_at end",
        values![tenant.as_str(), digests, targets, kinds, bodies, states, number, turn.at.0, traces],
    );
}

fn release<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if turn.released.is_empty() {
        return;
    }
    let (targets, groups, accounts) = columns(turn.released.iter().map(|row| &row.edge));
    let ops: Vec<&str> = turn.released.iter().map(|row| row.op.as_str()).collect();
    let lanes: Vec<&str> = turn.released.iter().map(|row| row.lane.as_str()).collect();
    let revocations: Vec<bool> = turn.released.iter().map(|row| row.revocation).collect();
    let plans: Vec<i64> = turn.released.iter().map(|row| sql::big(row.plan)).collect();
    let commands: Vec<Option<uuid::Uuid>> = turn.released.iter().map(|row| row.command.map(|id| id.0)).collect();
    let at: Vec<i64> = turn.released.iter().map(|row| row.released_at.0).collect();
    let traces: Vec<Option<&str>> = turn.released.iter().map(|row| row.traceparent.as_deref()).collect();
    batch.add(
        "insert into plan.released_edge (tenant, target, group_id, account, op, lane, revocation, plan, command,
                                         released_at, traceparent)
         select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[],
                                    $8::bigint[], $9::uuid[], $10::bigint[], $11::text[]) as r
         on conflict (tenant, target, group_id, account) do update
            set op = excluded.op, lane = excluded.lane, revocation = excluded.revocation, plan = excluded.plan,
                command = excluded.command, released_at = excluded.released_at, traceparent = excluded.traceparent",
        values![tenant.as_str(), targets, groups, accounts, ops, lanes, revocations, plans, commands, at, traces],
    );
}

fn commands<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if turn.commands.is_empty() {
        return;
    }
    let ids: Vec<uuid::Uuid> = turn.commands.iter().map(|new| new.command.id.0).collect();
    let targets: Vec<&str> = turn.commands.iter().map(|new| new.command.target.as_str()).collect();
    let lanes: Vec<&str> = turn.commands.iter().map(|new| new.command.lane.as_str()).collect();
    let objects: Vec<String> = turn.commands.iter().map(|new| sql::clean(&new.command.object())).collect();
    let generations: Vec<i64> = turn.commands.iter().map(|new| sql::big(new.generation)).collect();
    let plans: Vec<i64> = turn.commands.iter().map(|new| sql::big(new.plan)).collect();
    let bodies: Vec<Vec<u8>> = turn.commands.iter().map(|new| new.command.canonical_bytes()).collect();
    let digests: Vec<Vec<u8>> = bodies.iter().map(|body| model::Digest::of(body).0.to_vec()).collect();
    let traces: Vec<Option<&str>> = turn.commands.iter().map(|new| new.traceparent.as_deref()).collect();
    let at: Vec<i64> = turn.commands.iter().map(|new| new.created_at.0).collect();
    let detected: Vec<Option<i64>> = turn.commands.iter().map(|new| new.detected_at.map(|at| at.0)).collect();
    batch.add(
        "insert into plan.command (tenant, id, target, lane, object, generation, plan, body, digest, traceparent,
                                   created_at, detected_at)
         select $1, r.* from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                                    $8::bytea[], $9::bytea[], $10::text[], $11::bigint[], $12::bigint[]) as r",
        values![
            tenant.as_str(),
            ids,
            targets,
            lanes,
            objects,
            generations,
            plans,
            bodies,
            digests,
            traces,
            at,
            detected
        ],
    );
}

fn objects<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if !turn.generations.is_empty() {
        let targets: Vec<&str> = turn.generations.iter().map(|(target, ..)| target.as_str()).collect();
        let objects: Vec<&str> = turn.generations.iter().map(|(_, object, _)| object.as_str()).collect();
        let numbers: Vec<i64> = turn.generations.iter().map(|(.., number)| sql::big(*number)).collect();
        batch.add(
            "insert into plan.generation as g (tenant, target, object, generation)
             select $1, r.* from unnest($2::text[], $3::text[], $4::bigint[]) as r
             on conflict (tenant, target, object) do update
                set generation = greatest(g.generation, excluded.generation)",
            values![tenant.as_str(), targets, objects, numbers],
        );
    }
    if !turn.openings.is_empty() {
        let openings = last_of(&turn.openings, |opening| (&opening.target, &opening.name));
        let targets: Vec<&str> = openings.iter().map(|opening| opening.target.as_str()).collect();
        let names: Vec<String> = openings.iter().map(|opening| sql::clean(&opening.name)).collect();
        let ids: Vec<uuid::Uuid> = openings.iter().map(|opening| opening.command.0).collect();
        batch.add(
            "insert into plan.opening (tenant, target, name, command)
             select $1, r.* from unnest($2::text[], $3::text[], $4::uuid[]) as r
             on conflict (tenant, target, name) do update set command = excluded.command",
            values![tenant.as_str(), targets, names, ids],
        );
    }
}

fn accounts<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    let open = last_of(&turn.accounts_open, |row| (&row.target, &row.source, &row.person));
    for (rows, statement) in [
        (
            turn.accounts_closed.iter().collect::<Vec<_>>(),
            "delete from plan.account_open a
              using unnest($2::text[], $3::text[], $4::text[], $5::uuid[]) as r (target, source, person, command)
              where a.tenant = $1 and a.target = r.target and a.source = r.source and a.person = r.person
                and a.command = r.command",
        ),
        (
            open,
            "insert into plan.account_open (tenant, target, source, person, command)
             select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::uuid[]) as r
             on conflict (tenant, target, source, person) do update set command = excluded.command",
        ),
    ] {
        if rows.is_empty() {
            continue;
        }
        let targets: Vec<&str> = rows.iter().map(|row| row.target.as_str()).collect();
        let sources: Vec<&str> = rows.iter().map(|row| row.source.as_str()).collect();
        let people: Vec<&str> = rows.iter().map(|row| row.person.as_str()).collect();
        let ids: Vec<uuid::Uuid> = rows.iter().map(|row| row.command.0).collect();
        batch.add(statement, values![tenant.as_str(), targets, sources, people, ids]);
    }
}

fn wishes<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    for (directory, place, due_at) in &turn.wishes {
        let insert = "insert into directory.wish (dir, place, asked_at, asked_by, due_at)
                      select d.key, $3, $4, 'reconciler', $5 from directory.directory d
                       where d.tenant = $1 and d.directory = $2
                      on conflict (dir, place) where done_at is null do nothing";
        batch.add(insert, values![tenant.as_str(), directory.as_str(), sql::clean(place), turn.at.0, due_at.0]);
    }
}

fn needs<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    let columns = |facts: &'a [model::Fact]| -> (Vec<&'a str>, Vec<String>) {
        facts.iter().map(|fact| (fact.directory().as_str(), sql::clean(&fact.key()))).unzip()
    };
    if !turn.needs.is_empty() {
        let (directories, facts) = columns(&turn.needs);
        batch.add(
            "insert into plan.need (tenant, directory, fact, asked_at)
             select $1, r.*, $4 from unnest($2::text[], $3::text[]) as r
             on conflict (tenant, directory, fact) do update set asked_at = excluded.asked_at",
            values![tenant.as_str(), directories, facts, turn.at.0],
        );
    }
    if !turn.unneeded.is_empty() {
        let (directories, facts) = columns(&turn.unneeded);
        batch.add(
            "delete from plan.need n using unnest($2::text[], $3::text[]) as r (directory, fact)
              where n.tenant = $1 and n.directory = r.directory and n.fact = r.fact",
            values![tenant.as_str(), directories, facts],
        );
    }
}

fn windows<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if !turn.windows_back.is_empty() {
        let targets: Vec<&str> = turn.windows_back.iter().map(|(target, ..)| target.as_str()).collect();
        let sources: Vec<&str> = turn.windows_back.iter().map(|(_, source, _)| source.as_str()).collect();
        let people: Vec<&str> = turn.windows_back.iter().map(|(.., person)| person.as_str()).collect();
        batch.add(
            "delete from plan.window_entry where id in (
               select (select max(e.id) from plan.window_entry e
                        where e.tenant = $1 and e.target = r.target and e.kind = 'deactivations'
                          and e.source = r.source and e.person = r.person)
                 from unnest($2::text[], $3::text[], $4::text[]) as r (target, source, person))",
            values![tenant.as_str(), targets, sources, people],
        );
    }
    if !turn.windows.is_empty() {
        let targets: Vec<&str> = turn.windows.iter().map(|window| window.target.as_str()).collect();
        let at: Vec<i64> = turn.windows.iter().map(|window| window.at.0).collect();
        let kinds: Vec<&str> = turn.windows.iter().map(|window| window.kind.as_str()).collect();
        let counts: Vec<i64> = turn.windows.iter().map(|window| sql::big(window.count)).collect();
        let who = |window: &'a WindowRow| window.person.as_ref();
        let sources: Vec<Option<&str>> =
            turn.windows.iter().map(|window| who(window).map(|(source, _)| source.as_str())).collect();
        let people: Vec<Option<&str>> =
            turn.windows.iter().map(|window| who(window).map(|(_, person)| person.as_str())).collect();
        batch.add(
            "insert into plan.window_entry (tenant, target, at, kind, count, source, person)
             select $1, r.* from unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[]) as r",
            values![tenant.as_str(), targets, at, kinds, counts, sources, people],
        );
    }
}

fn marks<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, turn: &'a Turn) {
    if !turn.progress.is_empty() {
        let progress: BTreeMap<&DirectoryId, u64> =
            turn.progress.iter().map(|(directory, version)| (directory, *version)).collect();
        let directories: Vec<&str> = progress.keys().map(|directory| directory.as_str()).collect();
        let versions: Vec<i64> = progress.values().map(|version| sql::big(*version)).collect();
        batch.add(
            "insert into plan.progress as p (tenant, directory, version)
             select $1, r.* from unnest($2::text[], $3::bigint[]) as r
             on conflict (tenant, directory) do update
                set version = greatest(p.version, excluded.version)",
            values![tenant.as_str(), directories, versions],
        );
    }
    if !turn.moot_letters.is_empty() {
        let ids: std::collections::BTreeSet<i64> = turn.moot_letters.iter().map(|id| sql::big(*id)).collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        batch.add(
            "insert into plan.moot_letter (tenant, id, moot_at) select $1, r.id, $3 from unnest($2::bigint[]) as r (id)
             on conflict (tenant, id) do update set moot_at = excluded.moot_at",
            values![tenant.as_str(), ids, turn.at.0],
        );
    }
    if !turn.sync_states.is_empty() {
        let states: BTreeMap<&DirectoryId, &str> =
            turn.sync_states.iter().map(|(directory, body)| (directory, body.as_str())).collect();
        let directories: Vec<&str> = states.keys().map(|directory| directory.as_str()).collect();
        let bodies: Vec<&str> = states.into_values().collect();
        batch.add(
            "insert into plan.sync_state (tenant, directory, body, at)
             select $1, r.directory, r.body, $4 from unnest($2::text[], $3::text[]) as r (directory, body)
             on conflict (tenant, directory) do update set body = excluded.body, at = excluded.at",
            values![tenant.as_str(), directories, bodies, turn.at.0],
        );
    }
    if let Some(taken) = turn.sync_taken {
        batch.add(
            "insert into plan.sync_taken (tenant, request, until_at) values ($1, $2, $3)
             on conflict (tenant) do update set request = excluded.request, until_at = excluded.until_at",
            values![tenant.as_str(), sql::big(taken.request), taken.until.0],
        );
    }
}
