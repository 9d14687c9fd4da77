//! What is shown of plans and cases, and the policies that they were made from.

use std::collections::{BTreeMap, BTreeSet};

use model::{Case, CommandId, Digest, DirectoryId, Outcome, Plan, Step, TenantId, Time};

use super::{
    news::{self, Awaited},
    rows::{CaseState, PolicyRow, PolicyState},
};
use crate::audit::{self, AuditEntry};
use crate::sql::Columns as _;
use crate::{Store, StoreError, sql};

/// A line of the list of plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSummary {
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub made_at: Time,
    /// The policy that it was made from.
    pub policy: Digest,
    /// The digest of its canonical bytes.
    pub digest: Digest,
    /// Counts, as JSON.
    pub summary: String,
}

/// A case that is or was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// At which target.
    pub target: DirectoryId,
    /// What was held.
    pub case: Case,
    /// The last plan that showed it.
    pub plan: u64,
    /// Since when.
    pub held_at: Time,
    /// Where it stands.
    pub state: CaseState,
    /// Who decided, if somebody did.
    pub decided_by: Option<String>,
}

/// What is known of a directory's being in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncStateRow {
    /// Which directory.
    pub directory: DirectoryId,
    /// As JSON.
    pub body: String,
    /// As of when.
    pub at: Time,
}

impl Store {
    /// The newest plans of a tenant, the newest first, before number `before` if given.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plans(
        &self,
        tenant: &TenantId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<PlanSummary>, StoreError> {
        let client = self.client("plans").await?;
        let select = "select number, made_at, policy, digest, summary from plan.plan
                       where tenant = $1 and number < $2 order by number desc limit $3";
        let before = before.map_or(i64::MAX, sql::big);
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &before, &i64::from(limit)]).await?;
        rows.iter()
            .map(|row| {
                Ok(PlanSummary {
                    number: row.number(0)?,
                    made_at: row.time(1)?,
                    policy: row.digest("plan.plan", 2)?,
                    digest: row.digest("plan.plan", 3)?,
                    summary: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// One plan, whole.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan(&self, tenant: &TenantId, number: u64) -> Result<Option<Plan>, StoreError> {
        let client = self.client("plan").await?;
        let select = "select body from plan.plan where tenant = $1 and number = $2";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &sql::big(number)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut plan: Plan = row.json("plan.plan", 0)?;
        let digests: Vec<Vec<u8>> = plan.cases().map(|(_, case)| case.digest.0.to_vec()).collect();
        let select = "select digest, steps from plan.case_body where tenant = $1 and digest = any($2)";
        let mut steps: BTreeMap<Digest, Vec<Step>> = BTreeMap::new();
        for row in sql::query_on(&client, select, &[&tenant.as_str(), &digests]).await? {
            steps.insert(row.digest("plan.case_body", 0)?, row.json("plan.case_body", 1)?);
        }
        for case in plan.body.targets.iter_mut().flat_map(|target| &mut target.cases) {
            if let Some(known) = steps.get(&case.digest) {
                case.steps.clone_from(known);
            }
        }
        Ok(Some(plan))
    }

    /// Cases of a tenant in one of these states, the longest held first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cases(&self, tenant: &TenantId, states: &[CaseState]) -> Result<Vec<CaseRow>, StoreError> {
        let client = self.client("cases").await?;
        let names: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
        let select = "select target, body, plan, held_at, state, decided_by from plan.case_held
                       where tenant = $1 and state = any($2) order by held_at, digest";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &names]).await?;
        rows.iter().map(case_row).collect()
    }

    /// One case by its digest.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn case(&self, tenant: &TenantId, digest: Digest) -> Result<Option<CaseRow>, StoreError> {
        let client = self.client("case").await?;
        let select = "select target, body, plan, held_at, state, decided_by from plan.case_held
                       where tenant = $1 and digest = $2";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &digest.0.as_slice()]).await?;
        rows.first().map(case_row).transpose()
    }

    /// Outcomes of commands that are not settled, the oldest first: what a reconciler takes in, whether a message told
    /// it or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unapplied_outcomes(
        &self,
        tenant: &TenantId,
        limit: u32,
    ) -> Result<Vec<(Outcome, Option<String>)>, StoreError> {
        news::outcomes(&self.client("unapplied_outcomes").await?, tenant, Awaited::All(limit)).await
    }

    /// One command and its outcome, if there is one, for explaining and tracing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn command(&self, id: CommandId) -> Result<Option<(super::OpenCommand, Option<Outcome>)>, StoreError> {
        let client = self.client("command").await?;
        let select = format!("{} where id = $1", super::memory::COMMAND);
        let rows = sql::query_on(&client, &select, &[&id.0]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let select = "select body from effect.outcome where command = $1";
        let outcomes = sql::query_on(&client, select, &[&id.0]).await?;
        let outcome = outcomes.first().map(|row| row.json("effect.outcome", 0)).transpose()?;
        Ok(Some((super::memory::open_command(row)?, outcome)))
    }

    /// Which of these commands have an attempt that nobody knows the end of: what they were to make may be theirs, however
    /// it was found.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unclear(&self, commands: &[CommandId]) -> Result<BTreeSet<CommandId>, StoreError> {
        if commands.is_empty() {
            return Ok(BTreeSet::new());
        }
        let client = self.client("unclear").await?;
        let ids: Vec<uuid::Uuid> = commands.iter().map(|id| id.0).collect();
        let select = "select distinct command from effect.attempt
                       where command = any($1) and (ended_at is null or disposition = 'unknown')";
        let rows = sql::query_on(&client, select, &[&ids]).await?;
        rows.iter().map(|row| Ok(CommandId(row.try_get(0)?))).collect()
    }

    /// What is known of each directory's being in sync.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sync_states(&self, tenant: &TenantId) -> Result<Vec<SyncStateRow>, StoreError> {
        let client = self.client("sync_states").await?;
        let select = "select directory, body, at from plan.sync_state where tenant = $1 order by directory";
        let rows = sql::query_on(&client, select, &[&tenant.as_str()]).await?;
        rows.iter()
            .map(|row| {
                let directory = row.directory("plan.sync_state", 0)?;
                Ok(SyncStateRow { directory, body: row.try_get(1)?, at: row.time(2)? })
            })
            .collect()
    }

    /// Keeps a policy text with what became of it, and says so in the audit chain, in one step.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep_policy(
        &self,
        tenant: &TenantId,
        policy: &PolicyRow,
        entries: &[AuditEntry],
    ) -> Result<(), StoreError> {
        let mut client = self.client("keep_policy").await?;
        let tx = client.transaction().await?;
        let upsert = "insert into plan.policy (tenant, hash, body, loaded_at, state, note)
                      values ($1, $2, $3, $4, $5, $6)
                      on conflict (tenant, hash) do update
                         set loaded_at = excluded.loaded_at, state = excluded.state, note = excluded.note";
        let hash = policy.hash.0.as_slice();
        let (body, note) = (sql::clean(&policy.body), sql::clean(&policy.note));
        let params: sql::Params<'_> =
            &[&tenant.as_str(), &hash, &body, &policy.loaded_at.0, &policy.state.as_str(), &note];
        sql::execute(&*tx, upsert, params).await?;
        audit::append(&tx, tenant, entries).await?;
        tx.commit().await
    }

    /// The policy that was loaded last, for a start without a file that can be right, and for the guard against
    /// shrinking.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_policy(&self, tenant: &TenantId) -> Result<Option<PolicyRow>, StoreError> {
        let client = self.client("last_policy").await?;
        let select = "select hash, body, loaded_at, state, note from plan.policy
                       where tenant = $1 and state = 'loaded' order by loaded_at desc limit 1";
        let rows = sql::query_on(&client, select, &[&tenant.as_str()]).await?;
        rows.first().map(policy_row).transpose()
    }

    /// The policy in force, if it is another than the one that goes by this hash. `None`, too, before any reconciler has
    /// loaded one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn other_policy(&self, tenant: &TenantId, running: Digest) -> Result<Option<PolicyRow>, StoreError> {
        let client = self.client("other_policy").await?;
        let select =
            "select hash from plan.policy where tenant = $1 and state = 'loaded' order by loaded_at desc limit 1";
        let rows = sql::query_on(&client, select, &[&tenant.as_str()]).await?;
        drop(client);
        let in_force = rows.first().map(|row| row.digest("plan.policy", 0)).transpose()?;
        match in_force.filter(|hash| *hash != running) {
            Some(hash) => self.policy(tenant, hash).await,
            None => Ok(None),
        }
    }

    /// One policy by its hash: the one that a plan was made from.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn policy(&self, tenant: &TenantId, hash: Digest) -> Result<Option<PolicyRow>, StoreError> {
        let client = self.client("policy").await?;
        let select = "select hash, body, loaded_at, state, note from plan.policy where tenant = $1 and hash = $2";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &hash.0.as_slice()]).await?;
        rows.first().map(policy_row).transpose()
    }
}

fn case_row(row: &tokio_postgres::Row) -> Result<CaseRow, StoreError> {
    const TABLE: &str = "plan.case_held";
    let state: &str = row.try_get(4)?;
    Ok(CaseRow {
        target: row.directory(TABLE, 0)?,
        case: row.json(TABLE, 1)?,
        plan: row.number(2)?,
        held_at: row.time(3)?,
        state: CaseState::parse(state).ok_or_else(|| StoreError::corrupt(TABLE, format!("state \"{state}\"")))?,
        decided_by: row.try_get(5)?,
    })
}

fn policy_row(row: &tokio_postgres::Row) -> Result<PolicyRow, StoreError> {
    const TABLE: &str = "plan.policy";
    let state: &str = row.try_get(3)?;
    Ok(PolicyRow {
        hash: row.digest(TABLE, 0)?,
        body: row.try_get(1)?,
        loaded_at: row.time(2)?,
        state: PolicyState::parse(state).ok_or_else(|| StoreError::corrupt(TABLE, format!("state \"{state}\"")))?,
        note: row.try_get(4)?,
    })
}
