//! Loading what the reconciler remembers, once, when it takes a tenant over.

use std::sync::Arc;

use deadpool_postgres::Transaction;
use model::{CommandId, EdgeOp, Fact, GuardName, Lane, LinkHow, Span, TenantId, Time};
use tokio_postgres::{IsolationLevel, Row};

use super::rows::{
    AccountOpenRow, CaseState, ConfirmedRow, EdgeKey, LeavingRow, MemoryRows, OpenCommand, OpeningRow, PersonLinkRow,
    PinRow, PlanHoldRow, ReleasedRow, WaitingCase, WindowKind, WindowRow,
};
use crate::sql::Columns as _;
use crate::{Store, StoreError, sql};

/// How far back windows reach: a week and a day.
const WINDOWS: Span = Span::from_secs(8 * 24 * 3600);

impl Store {
    /// All that a tenant's reconciler remembers, as of one instant.
    ///
    /// # Errors
    /// When the database does not answer or holds a row that cannot be read.
    pub async fn load_memory(&self, tenant: &TenantId, now: Time) -> Result<MemoryRows, StoreError> {
        let mut client = self.client("load_memory").await?;
        let tx = client
            .transaction_with(|kind| kind.isolation_level(IsolationLevel::RepeatableRead).read_only(true))
            .await?;
        let mut memory = MemoryRows::default();
        links(&tx, tenant, &mut memory).await?;
        edges(&tx, tenant, &mut memory).await?;
        open(&tx, tenant, &mut memory).await?;
        holds(&tx, tenant, &mut memory).await?;
        rest(&tx, tenant, now, &mut memory).await?;
        tx.commit().await?;
        Ok(memory)
    }

    /// Commands of a tenant that are not settled, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unsettled_commands(&self, tenant: &TenantId) -> Result<Vec<OpenCommand>, StoreError> {
        let client = self.client("unsettled_commands").await?;
        let select = format!("{COMMAND} where tenant = $1 and settled_at is null order by created_at, id");
        let rows = sql::query_on(&client, &select, &[&tenant.as_str()]).await?;
        rows.iter().map(open_command).collect()
    }
}

/// The columns that [`open_command`] reads.
pub(crate) const COMMAND: &str = "select c.body, c.digest, c.plan, c.traceparent, c.created_at,
        greatest(0, extract(epoch from clock_timestamp() - c.stored_at) * 1000)::bigint, c.detected_at
   from plan.command c";

/// Reads a command's row.
pub(crate) fn open_command(row: &Row) -> Result<OpenCommand, StoreError> {
    const TABLE: &str = "plan.command";
    Ok(OpenCommand {
        command: row.json(TABLE, 0)?,
        digest: row.digest(TABLE, 1)?,
        plan: row.number(2)?,
        traceparent: row.try_get(3)?,
        created_at: row.time(4)?,
        age: Span::from_millis(row.number(5)?),
        detected_at: row.try_get::<_, Option<i64>>(6)?.map(Time),
    })
}

fn link_how(table: &'static str, text: &str) -> Result<LinkHow, StoreError> {
    LinkHow::parse(text).ok_or_else(|| StoreError::corrupt(table, format!("\"{text}\" is no way to find a link")))
}

async fn links(tx: &Transaction<'_>, tenant: &TenantId, memory: &mut MemoryRows) -> Result<(), StoreError> {
    const LINK: &str = "plan.person_link";
    const PIN: &str = "plan.pin";
    let select = "select source, person, target, account, behind, how, linked_at from plan.person_link
                   where tenant = $1 order by source, person, target";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        let behind = match row.try_get::<_, Option<&str>>(4)? {
            Some(_) => Some(row.account(LINK, 4)?),
            None => None,
        };
        memory.people.push(PersonLinkRow {
            source: row.directory(LINK, 0)?,
            person: row.account(LINK, 1)?,
            target: row.directory(LINK, 2)?,
            account: row.account(LINK, 3)?,
            behind,
            how: link_how(LINK, row.try_get(5)?)?,
            linked_at: row.time(6)?,
        });
    }
    let select = "select target, name, group_id, how, equal_once, pinned_at, source, source_group from plan.pin
                   where tenant = $1 order by target, name";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.pins.push(PinRow {
            target: row.directory(PIN, 0)?,
            name: row.try_get(1)?,
            group: row.group(PIN, 2)?,
            how: link_how(PIN, row.try_get(3)?)?,
            equal_once: row.try_get(4)?,
            source: match row.try_get::<_, Option<&str>>(6)? {
                Some(_) => Some((row.directory(PIN, 6)?, row.group(PIN, 7)?)),
                None => None,
            },
            pinned_at: row.time(5)?,
        });
    }
    Ok(())
}

fn edge(table: &'static str, row: &Row) -> Result<EdgeKey, StoreError> {
    Ok(EdgeKey { target: row.directory(table, 0)?, group: row.group(table, 1)?, account: row.account(table, 2)? })
}

async fn edges(tx: &Transaction<'_>, tenant: &TenantId, memory: &mut MemoryRows) -> Result<(), StoreError> {
    const RELEASED: &str = "plan.released_edge";
    let select = "select target, group_id, account from plan.managed_edge where tenant = $1
                   order by target, group_id, account";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.managed.push(edge("plan.managed_edge", &row)?);
    }
    let select = "select target, group_id, account, present, confirmed_at from plan.confirmed_edge where tenant = $1
                   order by target, group_id, account";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.confirmed.push(ConfirmedRow {
            edge: edge("plan.confirmed_edge", &row)?,
            present: row.try_get(3)?,
            confirmed_at: row.time(4)?,
        });
    }
    let select = "select target, group_id, account, op, lane, revocation, plan, command, released_at, traceparent
                    from plan.released_edge where tenant = $1 order by target, group_id, account";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        let (op, lane): (&str, &str) = (row.try_get(3)?, row.try_get(4)?);
        memory.released.push(ReleasedRow {
            edge: edge(RELEASED, &row)?,
            op: EdgeOp::parse(op).ok_or_else(|| StoreError::corrupt(RELEASED, format!("op \"{op}\"")))?,
            lane: Lane::parse(lane).ok_or_else(|| StoreError::corrupt(RELEASED, format!("lane \"{lane}\"")))?,
            revocation: row.try_get(5)?,
            plan: row.number(6)?,
            command: row.try_get::<_, Option<uuid::Uuid>>(7)?.map(CommandId),
            released_at: row.time(8)?,
            traceparent: row.try_get::<_, Option<&str>>(9)?.map(Arc::from),
        });
    }
    Ok(())
}

async fn open(tx: &Transaction<'_>, tenant: &TenantId, memory: &mut MemoryRows) -> Result<(), StoreError> {
    let select = "select target, name, command from plan.opening where tenant = $1 order by target, name";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.openings.push(OpeningRow {
            target: row.directory("plan.opening", 0)?,
            name: row.try_get(1)?,
            command: CommandId(row.try_get(2)?),
        });
    }
    let select = "select target, source, person, command from plan.account_open where tenant = $1
                   order by target, source, person";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.accounts_open.push(AccountOpenRow {
            target: row.directory("plan.account_open", 0)?,
            source: row.directory("plan.account_open", 1)?,
            person: row.account("plan.account_open", 2)?,
            command: CommandId(row.try_get(3)?),
        });
    }
    let select = format!("{COMMAND} where tenant = $1 and settled_at is null order by created_at, id");
    for row in sql::query(tx, &select, &[&tenant.as_str()]).await? {
        memory.commands.push(open_command(&row)?);
    }
    let select = "select target, object, generation from plan.generation where tenant = $1 order by target, object";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.generations.push((row.directory("plan.generation", 0)?, row.try_get(1)?, row.number(2)?));
    }
    Ok(())
}

async fn holds(tx: &Transaction<'_>, tenant: &TenantId, memory: &mut MemoryRows) -> Result<(), StoreError> {
    const HOLD: &str = "plan.plan_hold";
    const LEAVING: &str = "plan.leaving";
    let select = "select target, name, op, guard from plan.plan_hold where tenant = $1
                   order by target, name, op, guard";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        let (op, guard): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        memory.plan_holds.push(PlanHoldRow {
            target: row.directory(HOLD, 0)?,
            name: row.try_get(1)?,
            op: EdgeOp::parse(op).ok_or_else(|| StoreError::corrupt(HOLD, format!("op \"{op}\"")))?,
            guard: GuardName::parse(guard).ok_or_else(|| StoreError::corrupt(HOLD, format!("guard \"{guard}\"")))?,
        });
    }
    let select = "select target, source, person, since_at, removed_at from plan.leaving where tenant = $1
                   order by target, source, person";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.leaving.push(LeavingRow {
            target: row.directory(LEAVING, 0)?,
            source: row.directory(LEAVING, 1)?,
            person: row.account(LEAVING, 2)?,
            since: row.time(3)?,
            removed_at: row.try_get::<_, Option<i64>>(4)?.map(Time),
        });
    }
    Ok(())
}

async fn rest(tx: &Transaction<'_>, tenant: &TenantId, now: Time, memory: &mut MemoryRows) -> Result<(), StoreError> {
    const WINDOW: &str = "plan.window_entry";
    let select = "select target, at, kind, count, source, person from plan.window_entry
                   where tenant = $1 and at > $2 order by id";
    for row in sql::query(tx, select, &[&tenant.as_str(), &now.minus(WINDOWS).0]).await? {
        let kind: &str = row.try_get(2)?;
        memory.windows.push(WindowRow {
            target: row.directory(WINDOW, 0)?,
            at: row.time(1)?,
            kind: WindowKind::parse(kind).ok_or_else(|| StoreError::corrupt(WINDOW, format!("kind \"{kind}\"")))?,
            count: row.number(3)?,
            person: match row.try_get::<_, Option<&str>>(5)? {
                Some(_) => Some((row.directory(WINDOW, 4)?, row.account(WINDOW, 5)?)),
                None => None,
            },
        });
    }
    let select = "select directory, version from plan.progress where tenant = $1 order by directory";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        memory.progress.push((row.directory("plan.progress", 0)?, row.number(1)?));
    }
    let select = "select directory, fact, asked_at from plan.need where tenant = $1 order by directory, fact";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        let fact = Fact::from_key(&row.directory("plan.need", 0)?, row.try_get(1)?)
            .ok_or_else(|| StoreError::corrupt("plan.need", "a fact cannot be read"))?;
        memory.needs.push((fact, row.time(2)?));
    }
    let select = "select digest, state, held_at, traceparent from plan.case_held
                   where tenant = $1 and state in ('held', 'approved', 'rejected') order by digest";
    for row in sql::query(tx, select, &[&tenant.as_str()]).await? {
        let state: &str = row.try_get(1)?;
        let state = CaseState::parse(state)
            .ok_or_else(|| StoreError::corrupt("plan.case_held", format!("state \"{state}\"")))?;
        memory.held.push(WaitingCase {
            digest: row.digest("plan.case_held", 0)?,
            state,
            since: row.time(2)?,
            traceparent: row.try_get(3)?,
        });
    }
    let select = "select number, digest from plan.plan where tenant = $1 order by number desc limit 1";
    if let Some(row) = sql::query(tx, select, &[&tenant.as_str()]).await?.first() {
        memory.last_plan = Some((row.number(0)?, row.digest("plan.plan", 1)?));
    }
    Ok(())
}
