//! One turn of the reconciler, committed whole.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use futures_util::try_join;
use model::{Canonical as _, CommandId, DirectoryId, Fact, Generation, TenantId, Time};

use super::rows::{
    AccountOpenRow, ConfirmedRow, EdgeKey, HeldRow, LeavingRow, NewCommand, OpeningRow, PersonLinkRow, PinRow,
    PlanHoldRow, PlanRow, ReleasedRow, WindowRow,
};
use crate::audit::{self, AuditEntry};
use crate::outbox::{self, OutboxMessage, Schema};
use crate::{Lease, Store, StoreError, lease, sql};

/// Everything that a turn changes. Fields that are empty change nothing. Within the commit what ends is written before
/// what begins, so a settled command makes room for the next one of its object.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// When the turn decided.
    pub at: Time,
    /// Commands whose outcomes were taken in; their released edges and openings end with them.
    pub settled: Vec<CommandId>,
    /// Released edges that are no longer wanted and are in no command.
    pub unreleased: Vec<EdgeKey>,
    /// Memberships that we added.
    pub managed: Vec<EdgeKey>,
    /// Memberships that are no longer ours.
    pub unmanaged: Vec<EdgeKey>,
    /// What writers confirmed.
    pub confirmed: Vec<ConfirmedRow>,
    /// Confirmations that a later read has replaced.
    pub unconfirmed: Vec<EdgeKey>,
    /// New or changed links of people.
    pub links: Vec<PersonLinkRow>,
    /// New or changed pins.
    pub pins: Vec<PinRow>,
    /// All that the budget of the whole plan holds from now on; `None`: as before.
    pub plan_holds: Option<Vec<PlanHoldRow>>,
    /// All leavers' accounts that wait from now on; `None`: as before.
    pub leaving: Option<Vec<LeavingRow>>,
    /// The plan, where it differs from the last one.
    pub plan: Option<PlanRow>,
    /// Steps of cases that the last plan did not hold, as JSON by the cases' digests.
    pub case_steps: Vec<(model::Digest, Vec<u8>)>,
    /// Every case that the decision holds; `None`: nothing was decided. Others that were held become void, or released
    /// where `released_cases` names them.
    pub held: Option<Vec<HeldRow>>,
    /// Held cases that go now, with who approved them.
    pub released_cases: Vec<(model::Digest, String)>,
    /// Released edges, new or put into a command.
    pub released: Vec<ReleasedRow>,
    /// Groups that are being made from now on.
    pub openings: Vec<OpeningRow>,
    /// Accounts that are being changed from now on.
    pub accounts_open: Vec<AccountOpenRow>,
    /// Accounts that are no longer being changed: what was done to them has been read back, or was not done.
    pub accounts_closed: Vec<AccountOpenRow>,
    /// New commands.
    pub commands: Vec<NewCommand>,
    /// New generations by target and object; they never go back.
    pub generations: Vec<(DirectoryId, String, Generation)>,
    /// What was released without approval.
    pub windows: Vec<WindowRow>,
    /// Facts to be read by themselves from now on.
    pub needs: Vec<Fact>,
    /// Facts that need not be read any more.
    pub unneeded: Vec<Fact>,
    /// How far each directory is part of the decision.
    pub progress: Vec<(DirectoryId, u64)>,
    /// Dead letters that nothing wants any more.
    pub moot_letters: Vec<u64>,
    /// What is known of each directory's being in sync, as JSON.
    pub sync_states: Vec<(DirectoryId, String)>,
    /// Further messages: requests to verify.
    pub messages: Vec<OutboxMessage>,
    /// What is worth proving.
    pub audit: Vec<AuditEntry>,
}

impl Store {
    /// Commits a turn whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another reconciler took the tenant over; [`StoreError::Refused`] when a command
    /// would be the second open one of its object in a lane, or a plan's number is taken. Nothing is committed then.
    pub async fn commit_turn(&self, held: &Lease, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        settle(&tx, tenant, turn).await?;
        // Statements of one line are sent together and done in this order: a round trip for each line.
        try_join!(
            forget(&tx, tenant, turn),
            link(&tx, tenant, turn),
            pin(&tx, tenant, turn),
            holds(&tx, tenant, turn)
        )?;
        try_join!(remember(&tx, tenant, turn), plan_and_cases(&tx, tenant, turn), release(&tx, tenant, turn))?;
        let mut messages: Vec<OutboxMessage> = turn.commands.iter().map(|new| new.message.clone()).collect();
        messages.extend(turn.messages.iter().cloned());
        try_join!(
            commands(&tx, tenant, turn),
            objects(&tx, tenant, turn),
            marks(&tx, tenant, turn),
            outbox::put(&tx, Schema::Plan, &messages),
        )?;
        lease::hold(&tx, held).await?;
        audit::append(&tx, tenant, &turn.audit).await?;
        Ok(tx.commit().await?)
    }
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

async fn settle(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if turn.settled.is_empty() {
        return Ok(());
    }
    let ids: Vec<uuid::Uuid> = turn.settled.iter().map(|id| id.0).collect();
    let keys: Vec<String> = turn.settled.iter().map(ToString::to_string).collect();
    let name = tenant.as_str();
    let update = "update plan.command set settled_at = $3 where tenant = $1 and id = any($2) and settled_at is null";
    sql::execute(tx, update, &[&name, &ids, &turn.at.0]).await?;
    for delete in [
        "delete from plan.released_edge where tenant = $1 and command = any($2)",
        "delete from plan.opening where tenant = $1 and command = any($2)",
    ] {
        sql::execute(tx, delete, &[&name, &ids]).await?;
    }
    let update =
        "update plan.outbox set settled_at = clock_timestamp() where settle_key = any($1) and settled_at is null";
    sql::execute(tx, update, &[&keys]).await?;
    Ok(())
}

async fn forget(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    for (table, edges, also) in [
        ("plan.released_edge", &turn.unreleased, "and t.command is null"),
        ("plan.managed_edge", &turn.unmanaged, ""),
        ("plan.confirmed_edge", &turn.unconfirmed, ""),
    ] {
        if edges.is_empty() {
            continue;
        }
        let (targets, groups, accounts) = columns(edges.iter());
        let delete = format!(
            "delete from {table} t using unnest($2::text[], $3::text[], $4::text[]) as r (target, group_id, account)
              where t.tenant = $1 and t.target = r.target and t.group_id = r.group_id and t.account = r.account {also}"
        );
        sql::execute(tx, &delete, &[&tenant.as_str(), &targets, &groups, &accounts]).await?;
    }
    Ok(())
}

async fn remember(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if !turn.managed.is_empty() {
        let (targets, groups, accounts) = columns(turn.managed.iter());
        sql::execute(
            tx,
            "insert into plan.managed_edge (tenant, target, group_id, account, added_at)
             select $1, r.target, r.group_id, r.account, $5
               from unnest($2::text[], $3::text[], $4::text[]) as r (target, group_id, account)
             on conflict do nothing",
            &[&tenant.as_str(), &targets, &groups, &accounts, &turn.at.0],
        )
        .await?;
    }
    if !turn.confirmed.is_empty() {
        let confirmed = last_of(&turn.confirmed, |row| (&row.edge.target, &row.edge.group, &row.edge.account));
        let (targets, groups, accounts) = columns(confirmed.iter().map(|row| &row.edge));
        let present: Vec<bool> = confirmed.iter().map(|row| row.present).collect();
        let at: Vec<i64> = confirmed.iter().map(|row| row.confirmed_at.0).collect();
        sql::execute(
            tx,
            "insert into plan.confirmed_edge as c (tenant, target, group_id, account, present, confirmed_at)
             select $1, r.target, r.group_id, r.account, r.present, r.at
               from unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::bigint[])
                    as r (target, group_id, account, present, at)
             on conflict (tenant, target, group_id, account) do update
                set present = excluded.present, confirmed_at = excluded.confirmed_at
              where c.confirmed_at <= excluded.confirmed_at",
            &[&tenant.as_str(), &targets, &groups, &accounts, &present, &at],
        )
        .await?;
    }
    Ok(())
}

async fn link(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if !turn.links.is_empty() {
        let links = last_of(&turn.links, |link| (&link.source, &link.person, &link.target));
        let source: Vec<&str> = links.iter().map(|l| l.source.as_str()).collect();
        let person: Vec<&str> = links.iter().map(|l| l.person.as_str()).collect();
        let target: Vec<&str> = links.iter().map(|l| l.target.as_str()).collect();
        let account: Vec<&str> = links.iter().map(|l| l.account.as_str()).collect();
        let behind: Vec<Option<&str>> = links.iter().map(|l| l.behind.as_ref().map(model::AccountId::as_str)).collect();
        let how: Vec<&str> = links.iter().map(|l| l.how.as_str()).collect();
        let at: Vec<i64> = links.iter().map(|l| l.linked_at.0).collect();
        sql::execute(
            tx,
            "insert into plan.person_link (tenant, source, person, target, account, behind, how, linked_at)
             select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                                        $8::bigint[]) as r
             on conflict (tenant, source, person, target) do update
                set account = excluded.account, behind = excluded.behind, how = excluded.how,
                    linked_at = excluded.linked_at",
            &[&tenant.as_str(), &source, &person, &target, &account, &behind, &how, &at],
        )
        .await?;
    }
    Ok(())
}

async fn pin(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if !turn.pins.is_empty() {
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
        sql::execute(
            tx,
            "insert into plan.pin (tenant, target, name, group_id, how, equal_once, pinned_at, source, source_group)
             select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
                                        $7::bigint[], $8::text[], $9::text[]) as r
             on conflict (tenant, target, name) do update
                set group_id = excluded.group_id, how = excluded.how, equal_once = excluded.equal_once,
                    pinned_at = excluded.pinned_at, source = excluded.source, source_group = excluded.source_group",
            &[&tenant.as_str(), &target, &name, &group, &how, &equal, &at, &source, &source_group],
        )
        .await?;
    }
    Ok(())
}

/// Small lists that are replaced whole.
async fn holds(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if let Some(holds) = &turn.plan_holds {
        let targets: Vec<&str> = holds.iter().map(|hold| hold.target.as_str()).collect();
        let names: Vec<String> = holds.iter().map(|hold| sql::clean(&hold.name)).collect();
        let ops: Vec<&str> = holds.iter().map(|hold| hold.op.as_str()).collect();
        sql::execute(tx, "delete from plan.plan_hold where tenant = $1", &[&tenant.as_str()]).await?;
        let insert = "insert into plan.plan_hold (tenant, target, name, op)
                      select $1, r.* from unnest($2::text[], $3::text[], $4::text[]) as r on conflict do nothing";
        sql::execute(tx, insert, &[&tenant.as_str(), &targets, &names, &ops]).await?;
    }
    if let Some(leaving) = &turn.leaving {
        let targets: Vec<&str> = leaving.iter().map(|row| row.target.as_str()).collect();
        let sources: Vec<&str> = leaving.iter().map(|row| row.source.as_str()).collect();
        let people: Vec<&str> = leaving.iter().map(|row| row.person.as_str()).collect();
        let since: Vec<i64> = leaving.iter().map(|row| row.since.0).collect();
        sql::execute(tx, "delete from plan.leaving where tenant = $1", &[&tenant.as_str()]).await?;
        let insert = "insert into plan.leaving (tenant, target, source, person, since_at)
                      select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) as r
                      on conflict do nothing";
        sql::execute(tx, insert, &[&tenant.as_str(), &targets, &sources, &people, &since]).await?;
    }
    Ok(())
}

async fn plan_and_cases(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if let Some(plan) = &turn.plan {
        sql::execute(
            tx,
            "insert into plan.plan (tenant, number, made_at, policy, digest, body, summary)
             values ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &tenant.as_str(),
                &sql::big(plan.number),
                &plan.made_at.0,
                &plan.policy.0.as_slice(),
                &plan.digest.0.as_slice(),
                &plan.body,
                &plan.summary,
            ],
        )
        .await?;
    }
    if !turn.case_steps.is_empty() {
        let digests: Vec<&[u8]> = turn.case_steps.iter().map(|(digest, _)| digest.0.as_slice()).collect();
        let steps: Vec<&[u8]> = turn.case_steps.iter().map(|(_, steps)| steps.as_slice()).collect();
        let insert = "insert into plan.case_body (tenant, digest, steps)
                      select $1, r.* from unnest($2::bytea[], $3::bytea[]) as r on conflict do nothing";
        sql::execute(tx, insert, &[&tenant.as_str(), &digests, &steps]).await?;
    }
    hold(tx, tenant, turn).await
}

async fn hold(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    let Some(held) = &turn.held else { return Ok(()) };
    let released: Vec<&[u8]> = turn.released_cases.iter().map(|(digest, _)| digest.0.as_slice()).collect();
    let by: Vec<&str> = turn.released_cases.iter().map(|(_, by)| by.as_str()).collect();
    let digests: Vec<&[u8]> = held.iter().map(|case| case.digest.0.as_slice()).collect();
    sql::execute(
        tx,
        "update plan.case_held c
            set state = case when c.digest = any($2) then 'released' else 'void' end, decided_at = $4,
                decided_by = coalesce((select r.by from unnest($2::bytea[], $3::text[]) as r (digest, by)
                                        where r.digest = c.digest limit 1), c.decided_by)
          where c.tenant = $1 and c.state in ('held', 'approved', 'rejected') and c.digest <> all($5)",
        &[&tenant.as_str(), &released, &by, &turn.at.0, &digests],
    )
    .await?;
    if held.is_empty() {
        return Ok(());
    }
    let targets: Vec<&str> = held.iter().map(|case| case.target.as_str()).collect();
    let kinds: Vec<&str> = held.iter().map(|case| case.kind.as_str()).collect();
    let bodies: Vec<&[u8]> = held.iter().map(|case| case.body.as_slice()).collect();
    let states: Vec<&str> = held.iter().map(|case| case.state.as_str()).collect();
    let number = sql::big(turn.plan.as_ref().map_or(0, |plan| plan.number));
    sql::execute(
        tx,
        "insert into plan.case_held as c (tenant, digest, target, kind, body, plan, held_at, state)
         select $1, r.digest, r.target, r.kind, r.body, $7, $8, r.state
           from unnest($2::bytea[], $3::text[], $4::text[], $5::bytea[], $6::text[])
                as r (digest, target, kind, body, state)
         on conflict (tenant, digest) do update
            set body = excluded.body, state = excluded.state,
                plan = case when excluded.plan > 0 then excluded.plan else c.plan end,
                held_at = case when c.state in ('released', 'void') then excluded.held_at else c.held_at end",
        &[&tenant.as_str(), &digests, &targets, &kinds, &bodies, &states, &number, &turn.at.0],
    )
    .await?;
    Ok(())
}

async fn release(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if turn.released.is_empty() {
        return Ok(());
    }
    let (targets, groups, accounts) = columns(turn.released.iter().map(|row| &row.edge));
    let ops: Vec<&str> = turn.released.iter().map(|row| row.op.as_str()).collect();
    let lanes: Vec<&str> = turn.released.iter().map(|row| row.lane.as_str()).collect();
    let revocations: Vec<bool> = turn.released.iter().map(|row| row.revocation).collect();
    let plans: Vec<i64> = turn.released.iter().map(|row| sql::big(row.plan)).collect();
    let commands: Vec<Option<uuid::Uuid>> = turn.released.iter().map(|row| row.command.map(|id| id.0)).collect();
    let at: Vec<i64> = turn.released.iter().map(|row| row.released_at.0).collect();
    sql::execute(
        tx,
        "insert into plan.released_edge (tenant, target, group_id, account, op, lane, revocation, plan, command,
                                         released_at)
         select $1, r.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[],
                                    $8::bigint[], $9::uuid[], $10::bigint[]) as r
         on conflict (tenant, target, group_id, account) do update
            set op = excluded.op, lane = excluded.lane, revocation = excluded.revocation, plan = excluded.plan,
                command = excluded.command, released_at = excluded.released_at",
        &[&tenant.as_str(), &targets, &groups, &accounts, &ops, &lanes, &revocations, &plans, &commands, &at],
    )
    .await?;
    Ok(())
}

async fn commands(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if !turn.commands.is_empty() {
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
        sql::execute(
            tx,
            "insert into plan.command (tenant, id, target, lane, object, generation, plan, body, digest, traceparent,
                                       created_at)
             select $1, r.* from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                                        $8::bytea[], $9::bytea[], $10::text[], $11::bigint[]) as r",
            &[
                &tenant.as_str(),
                &ids,
                &targets,
                &lanes,
                &objects,
                &generations,
                &plans,
                &bodies,
                &digests,
                &traces,
                &at,
            ],
        )
        .await?;
    }
    Ok(())
}

async fn objects(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    if !turn.generations.is_empty() {
        let targets: Vec<&str> = turn.generations.iter().map(|(target, ..)| target.as_str()).collect();
        let objects: Vec<&str> = turn.generations.iter().map(|(_, object, _)| object.as_str()).collect();
        let numbers: Vec<i64> = turn.generations.iter().map(|(.., number)| sql::big(*number)).collect();
        sql::execute(
            tx,
            "insert into plan.generation as g (tenant, target, object, generation)
             select $1, r.* from unnest($2::text[], $3::text[], $4::bigint[]) as r
             on conflict (tenant, target, object) do update
                set generation = greatest(g.generation, excluded.generation)",
            &[&tenant.as_str(), &targets, &objects, &numbers],
        )
        .await?;
    }
    let name = tenant.as_str();
    for opening in &turn.openings {
        let insert = "insert into plan.opening (tenant, target, name, command) values ($1, $2, $3, $4)
                      on conflict (tenant, target, name) do update set command = excluded.command";
        let (target, id) = (opening.target.as_str(), opening.command.0);
        sql::execute(tx, insert, &[&name, &target, &sql::clean(&opening.name), &id]).await?;
    }
    for closed in &turn.accounts_closed {
        let delete = "delete from plan.account_open
                       where tenant = $1 and target = $2 and source = $3 and person = $4 and command = $5";
        let (target, source, person) = (closed.target.as_str(), closed.source.as_str(), closed.person.as_str());
        sql::execute(tx, delete, &[&name, &target, &source, &person, &closed.command.0]).await?;
    }
    for open in &turn.accounts_open {
        let insert = "insert into plan.account_open (tenant, target, source, person, command)
                      values ($1, $2, $3, $4, $5)
                      on conflict (tenant, target, source, person) do update set command = excluded.command";
        let (target, source, person) = (open.target.as_str(), open.source.as_str(), open.person.as_str());
        sql::execute(tx, insert, &[&name, &target, &source, &person, &open.command.0]).await?;
    }
    Ok(())
}

async fn marks(tx: &Transaction<'_>, tenant: &TenantId, turn: &Turn) -> Result<(), StoreError> {
    let name = tenant.as_str();
    for window in &turn.windows {
        let insert = "insert into plan.window_entry (tenant, target, at, kind, count) values ($1, $2, $3, $4, $5)";
        let (target, kind, count) = (window.target.as_str(), window.kind.as_str(), sql::big(window.count));
        sql::execute(tx, insert, &[&name, &target, &window.at.0, &kind, &count]).await?;
    }
    if !turn.needs.is_empty() {
        let directories: Vec<&str> = turn.needs.iter().map(|fact| fact.directory().as_str()).collect();
        let facts: Vec<String> = turn.needs.iter().map(|fact| sql::clean(&fact.key())).collect();
        let insert = "insert into plan.need (tenant, directory, fact, asked_at)
                      select $1, r.*, $4 from unnest($2::text[], $3::text[]) as r
                      on conflict (tenant, directory, fact) do update set asked_at = excluded.asked_at";
        sql::execute(tx, insert, &[&name, &directories, &facts, &turn.at.0]).await?;
    }
    if !turn.unneeded.is_empty() {
        let directories: Vec<&str> = turn.unneeded.iter().map(|fact| fact.directory().as_str()).collect();
        let facts: Vec<String> = turn.unneeded.iter().map(|fact| sql::clean(&fact.key())).collect();
        let delete = "delete from plan.need n using unnest($2::text[], $3::text[]) as r (directory, fact)
                       where n.tenant = $1 and n.directory = r.directory and n.fact = r.fact";
        sql::execute(tx, delete, &[&name, &directories, &facts]).await?;
    }
    if !turn.progress.is_empty() {
        let directories: Vec<&str> = turn.progress.iter().map(|(directory, _)| directory.as_str()).collect();
        let versions: Vec<i64> = turn.progress.iter().map(|(_, version)| sql::big(*version)).collect();
        let upsert = "insert into plan.progress as p (tenant, directory, version)
                      select $1, r.* from unnest($2::text[], $3::bigint[]) as r
                      on conflict (tenant, directory) do update
                         set version = greatest(p.version, excluded.version)";
        sql::execute(tx, upsert, &[&name, &directories, &versions]).await?;
    }
    for id in &turn.moot_letters {
        let upsert = "insert into plan.moot_letter (tenant, id, moot_at) values ($1, $2, $3)
                      on conflict (tenant, id) do update set moot_at = excluded.moot_at";
        sql::execute(tx, upsert, &[&name, &sql::big(*id), &turn.at.0]).await?;
    }
    for (directory, body) in &turn.sync_states {
        let upsert = "insert into plan.sync_state (tenant, directory, body, at) values ($1, $2, $3, $4)
                      on conflict (tenant, directory) do update set body = excluded.body, at = excluded.at";
        sql::execute(tx, upsert, &[&name, &directory.as_str(), body, &turn.at.0]).await?;
    }
    Ok(())
}
