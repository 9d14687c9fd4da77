//! Removing what is old and closed, a batch at a time, each owner in its own schema.
//!
//! Never removed: what is open in any way (commands without an outcome that was taken in, held cases, wishes that were
//! not looked at), dead letters with everything that attached itself to them, the audit chain, the history of
//! memberships, and the newest plan. What an answer was given to, *it holds after all*, stays too: it keeps a read void.

use std::time::Duration;

use model::{Span, TenantId, Time};

use crate::sql::Columns as _;
use crate::{Schema, Store, StoreError, sql};

/// How much is removed at once: a moment's work, so that nobody waits for it.
const BATCH: u32 = 1_000;
const FIRST: Duration = Duration::from_mins(2);
const EVERY: Duration = Duration::from_hours(1);
const BETWEEN: Duration = Duration::from_millis(200);

/// Published events are kept for longer than the broker may lose in a crash.
const PUBLISHED: Duration = Duration::from_hours(1);

/// A wish that was looked at is of no use after this.
const WISHES: Span = Span::from_secs(7 * 24 * 3600);
/// How long it is kept when a commit was read that is part of a decision.
const DECIDED: Span = Span::from_secs(600);
/// Windows reach back a week; a day more, so that clocks may differ.
const WINDOWS: Span = Span::from_secs(8 * 24 * 3600);

/// Settled commands that no dead letter speaks of.
const COMMANDS: &str = "delete from plan.command where id in (
     select c.id from plan.command c where c.settled_at is not null and c.settled_at < $1
        and not exists (select from effect.dead_letter_attempt a where a.command = c.id) limit $2)";

/// Cases that went, or changed before they could.
const CASES: &str = "delete from plan.case_held where (tenant, digest) in (
     select tenant, digest from plan.case_held
      where state in ('released', 'void') and coalesce(decided_at, held_at) < $1 limit $2)";

const WINDOW: &str = "delete from plan.window_entry where id in (
     select id from plan.window_entry where at < $1 order by id limit $2)";

const MOOT: &str = "delete from plan.moot_letter where (tenant, id) in (
     select m.tenant, m.id from plan.moot_letter m join effect.dead_letter d on d.id = m.id
      where m.moot_at < $1 and d.state <> 'open' limit $2)";

/// The tries of commands whose outcome was taken in.
const ATTEMPTS: &str = "delete from effect.attempt where id in (
     select a.id from effect.attempt a join effect.outcome o on o.command = a.command
      where a.began_at < $1 and o.at < $1
        and not exists (select from plan.command c where c.id = a.command and c.settled_at is null)
        and not exists (select from effect.dead_letter_attempt d where d.command = a.command) limit $2)";

/// Outcomes that were taken in, once their tries are gone.
const OUTCOMES: &str = "delete from effect.outcome where command in (
     select o.command from effect.outcome o where o.at < $1
        and not exists (select from plan.command c where c.id = o.command and c.settled_at is null)
        and not exists (select from effect.attempt a where a.command = o.command)
        and not exists (select from effect.dead_letter_attempt d where d.command = o.command) limit $2)";

const WISHED: &str = "delete from directory.wish where id in (
     select id from directory.wish where done_at < $1 limit $2)";

/// What a decision knows of needs no time any more.
const COMMITS: &str = "delete from directory.commit where (dir, version) in (
     select c.dir, c.version from directory.commit c
       join directory.directory d on d.key = c.dir
       join plan.progress p on p.tenant = d.tenant and p.directory = d.directory and p.version >= c.version
      where c.at < $1 limit $2)";

const ANSWERS: &str = "delete from directory.corroboration where (dir, fact) in (
     select dir, fact from directory.corroboration where answer <> 1 and read_at < $1 limit $2)";

impl Store {
    /// Removes at most `batch` rows of each kind that were closed longer than `keep` ago, of all tenants. Gives how many
    /// went; while that is much, there may be more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune(&self, schema: Schema, keep: Span, now: Time, batch: u32) -> Result<u64, StoreError> {
        let old = now.minus(keep);
        let statements: &[(&str, Time)] = match schema {
            Schema::Directory => &[(WISHED, now.minus(WISHES)), (COMMITS, now.minus(DECIDED)), (ANSWERS, old)],
            Schema::Plan => &[(COMMANDS, old), (CASES, old), (WINDOW, now.minus(WINDOWS)), (MOOT, old)],
            Schema::Effect => &[(ATTEMPTS, old), (OUTCOMES, old)],
        };
        let client = self.client("prune").await?;
        let mut gone = 0;
        for (statement, before) in statements {
            gone += sql::execute_on(&client, statement, &[&before.0, &i64::from(batch)]).await?;
        }
        drop(client);
        match schema {
            Schema::Plan => gone += self.prune_plans(old, batch).await?,
            // The outboxes of the others are cleared by their relays.
            Schema::Directory => gone += self.prune_outbox(schema, PUBLISHED).await?,
            Schema::Effect => {}
        }
        Ok(gone)
    }

    /// Prunes every hour, and a first time soon after the start, until `stop` is there. `now`: the time of then.
    pub async fn keep_pruned(
        self,
        schema: Schema,
        keep: Span,
        now: impl Fn() -> Time + Send,
        stop: impl Future<Output = ()> + Send,
    ) {
        let mut stop = std::pin::pin!(stop);
        let mut pause = FIRST;
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.prune(schema, keep, now(), BATCH).await {
                Ok(gone) if gone >= u64::from(BATCH) => BETWEEN,
                Ok(_) => EVERY,
                Err(error) => {
                    tracing::warn!(event.name = "rollcall.store.prune", %error, "cannot remove what is old, trying again");
                    EVERY
                }
            };
        }
    }

    /// Plans of before, but for the newest, then the steps of cases that no plan shows any more.
    async fn prune_plans(&self, before: Time, batch: u32) -> Result<u64, StoreError> {
        let client = self.client("prune_plans").await?;
        let delete = "delete from plan.plan where (tenant, number) in (
             select p.tenant, p.number from plan.plan p where p.made_at < $1
                and p.number < (select max(n.number) from plan.plan n where n.tenant = p.tenant)
              order by p.tenant, p.number limit $2)";
        let mut gone = sql::execute_on(&client, delete, &[&before.0, &i64::from(batch)]).await?;
        let select = "select tenant, min(number) from plan.plan group by tenant";
        let mut oldest: Vec<(TenantId, u64)> = Vec::new();
        for row in sql::query_on(&client, select, &[]).await? {
            oldest.push((row.tenant("plan.plan", 0)?, row.number(1)?));
        }
        drop(client);
        for (tenant, number) in oldest {
            gone += self.prune_steps(&tenant, number, batch).await?;
        }
        Ok(gone)
    }

    /// A case that appeared before the oldest plan that is left, and is not in it, is in none: had it come back after, it
    /// would have appeared anew.
    async fn prune_steps(&self, tenant: &TenantId, oldest: u64, batch: u32) -> Result<u64, StoreError> {
        let client = self.client("prune_steps").await?;
        let params: sql::Params<'_> = &[&tenant.as_str(), &sql::big(oldest)];
        let any = "select exists (select from plan.case_body where tenant = $1 and plan < $2)";
        let rows = sql::query_on(&client, any, params).await?;
        if !rows.first().map(|row| row.try_get::<_, bool>(0)).transpose()?.unwrap_or(false) {
            return Ok(0);
        }
        let select = "select body from plan.plan where tenant = $1 and number = $2";
        let rows = sql::query_on(&client, select, params).await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let plan: model::Plan = row.json("plan.plan", 0)?;
        let shown: Vec<Vec<u8>> = plan.cases().map(|(_, case)| case.digest.0.to_vec()).collect();
        let delete = "delete from plan.case_body where (tenant, digest) in (
             select tenant, digest from plan.case_body where tenant = $1 and plan < $2 and digest <> all($3) limit $4)";
        let params: sql::Params<'_> = &[&tenant.as_str(), &sql::big(oldest), &shown, &i64::from(batch)];
        sql::execute_on(&client, delete, params).await
    }
}
