//! Dead letters: one for each (target, what is at fault, class), whatever attaches to it.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use model::{
    Command, CommandBody, CommandId, DeadLetter, DeadLetterState, DirectoryId, Fault, Outcome, Rejection, TenantId,
    Time,
};

use crate::sql::Columns as _;
use crate::{Store, StoreError, sql};

/// Something that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLetter {
    /// At which target.
    pub target: DirectoryId,
    /// What is at fault.
    pub fault: Fault,
    /// Of which class.
    pub class: Rejection,
    /// When.
    pub at: Time,
    /// The vendor's answer, redacted.
    pub answer: String,
    /// In which command.
    pub command: CommandId,
    /// Which edges of the command attach.
    pub edges: Vec<String>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

/// A letter as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterView {
    /// The letter.
    pub letter: DeadLetter,
    /// The trace of the last attempt.
    pub traceparent: Option<String>,
    /// The commands that attached to it, the newest first, with their edges and answers.
    pub attempts: Vec<(CommandId, Vec<String>, Time, String)>,
}

/// Attaches rejections to their letters, opening those that are not open. Returns the letter of each and whether it was
/// opened by it.
pub(super) async fn put(
    tx: &impl GenericClient,
    tenant: &TenantId,
    rejections: &[NewLetter],
) -> Result<Vec<(u64, bool)>, StoreError> {
    let mut known: BTreeMap<(String, String, &str), u64> = BTreeMap::new();
    let mut letters = Vec::with_capacity(rejections.len());
    for rejection in rejections {
        let key = (rejection.target.to_string(), sql::clean(&rejection.fault.key()), rejection.class.as_str());
        let (id, opened) =
            if let Some(id) = known.get(&key) { (*id, false) } else { open(tx, tenant, rejection, &key.1).await? };
        known.insert(key, id);
        letters.push((id, opened));
        let insert = "insert into effect.dead_letter_attempt (letter, command, edges, at, answer)
                      values ($1, $2, $3, $4, $5)
                      on conflict (letter, command) do update
                         set edges = effect.dead_letter_attempt.edges || excluded.edges";
        let (letter, answer) = (sql::big(id), sql::clean(&rejection.answer));
        sql::execute(tx, insert, &[&letter, &rejection.command.0, &rejection.edges, &rejection.at.0, &answer]).await?;
    }
    Ok(letters)
}

/// The open letter of a rejection: the one there is, after closing it if people or a later decision did, or a new one.
async fn open(
    tx: &impl GenericClient,
    tenant: &TenantId,
    rejection: &NewLetter,
    key: &str,
) -> Result<(u64, bool), StoreError> {
    let (name, target, class) = (tenant.as_str(), rejection.target.as_str(), rejection.class.as_str());
    let close = "update effect.dead_letter d set state = l.state, closed_at = $5
                   from effect.letter l
                  where d.tenant = $1 and d.target = $2 and d.fault_key = $3 and d.class = $4 and d.state = 'open'
                    and l.id = d.id and l.state in ('moot', 'discarded')";
    sql::execute(tx, close, &[&name, &target, &key, &class, &rejection.at.0]).await?;
    let upsert = "insert into effect.dead_letter as d
                      (tenant, target, fault_key, fault, class, first_at, last_at, attempts, answer, traceparent, state)
                  values ($1, $2, $3, $4, $5, $6, $6, 1, $7, $8, 'open')
                  on conflict (tenant, target, fault_key, class) where state = 'open' do update
                     set last_at = greatest(d.last_at, excluded.last_at), attempts = d.attempts + 1,
                         answer = excluded.answer, traceparent = excluded.traceparent
                  returning id, attempts = 1";
    let fault = sql::json_text(&rejection.fault);
    let answer = sql::clean(&rejection.answer);
    let params: sql::Params<'_> =
        &[&name, &target, &key, &fault, &class, &rejection.at.0, &answer, &rejection.traceparent];
    let rows = sql::query(tx, upsert, params).await?;
    match rows.first() {
        Some(row) => Ok((row.number(0)?, row.try_get(1)?)),
        None => Err(StoreError::corrupt("effect.dead_letter", "a letter that was just written is missing")),
    }
}

/// Resolves letters whose fault these outcomes disprove. A letter of a person is disproved by any membership of theirs
/// that holds.
pub(super) async fn resolve(
    tx: &impl GenericClient,
    tenant: &TenantId,
    outcomes: &[Outcome],
) -> Result<Vec<u64>, StoreError> {
    const TABLE: &str = "effect.dead_letter";
    let targets: Vec<&str> = outcomes.iter().map(|outcome| outcome.target.as_str()).collect();
    let select = "select id, target, fault, first_at from effect.dead_letter
                   where tenant = $1 and target = any($2) and state = 'open' order by id";
    let open = sql::query(tx, select, &[&tenant.as_str(), &targets]).await?;
    let bodies = if open.is_empty() { BTreeMap::new() } else { wholes(tx, outcomes).await? };
    let mut resolved = Vec::new();
    let mut at = Time::NEVER;
    for row in open {
        let (target, fault, first_at) = (row.directory(TABLE, 1)?, row.json::<Fault>(TABLE, 2)?, row.time(3)?);
        let disproof = outcomes
            .iter()
            .find(|outcome| outcome.target == target && outcome.at > first_at && disproves(&fault, outcome, &bodies));
        if let Some(outcome) = disproof {
            resolved.push(row.number(0)?);
            at = at.max(outcome.at);
        }
    }
    let ids: Vec<i64> = resolved.iter().map(|id| sql::big(*id)).collect();
    let update = "update effect.dead_letter set state = 'resolved', closed_at = $2 where id = any($1)";
    if !ids.is_empty() {
        sql::execute(tx, update, &[&ids, &at.0]).await?;
    }
    Ok(resolved)
}

/// What the commands without edges among these, which came to something, were to do.
async fn wholes(tx: &impl GenericClient, outcomes: &[Outcome]) -> Result<BTreeMap<CommandId, CommandBody>, StoreError> {
    let whole = outcomes.iter().filter(|outcome| outcome.edges.is_empty() && outcome.result.holds());
    let ids: Vec<uuid::Uuid> = whole.map(|outcome| outcome.command.0).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sql::query(tx, "select body from plan.command where id = any($1)", &[&ids]).await?;
    let command = |row: &tokio_postgres::Row| row.json::<Command>("plan.command", 0);
    rows.iter().map(|row| command(row).map(|command| (command.id, command.body))).collect()
}

/// Whether an outcome shows that what was at fault is no longer. What could not be made has no id of its own until it is:
/// its letter knows the name of the group or the person at the source, as the command does.
fn disproves(fault: &Fault, outcome: &Outcome, bodies: &BTreeMap<CommandId, CommandBody>) -> bool {
    let by_edge =
        outcome.edges.iter().any(|edge| edge.result.holds() && fault.covers(&edge.group, &edge.account, edge.op));
    let by_whole = outcome.edges.is_empty()
        && outcome.result.holds()
        && match fault {
            Fault::Person { account, step: None } => outcome.account.as_ref() == Some(account),
            Fault::Group { group } => outcome.group.as_ref().is_some_and(|id| id.as_str() == group),
            // What one group gives is shown by the command that was to have it given, and by nothing else.
            Fault::Person { .. } | Fault::Access { .. } | Fault::Edge { .. } => false,
        };
    let by_same = bodies.get(&outcome.command).is_some_and(|body| &Fault::of_command(body) == fault);
    by_edge || by_whole || by_same
}

impl Store {
    /// Letters of a tenant in one of these states, the oldest first, without their attempts.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn letters(
        &self,
        tenant: &TenantId,
        states: &[DeadLetterState],
        limit: u32,
    ) -> Result<Vec<LetterView>, StoreError> {
        let client = self.client("letters").await?;
        let names: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
        let select = format!("{SELECT} where tenant = $1 and state = any($2) order by id limit $3");
        let rows = sql::query_on(&client, &select, &[&tenant.as_str(), &names, &i64::from(limit)]).await?;
        rows.iter().map(view).collect()
    }

    /// One letter with everything that attached to it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn letter(&self, tenant: &TenantId, id: u64) -> Result<Option<LetterView>, StoreError> {
        let client = self.client("letter").await?;
        let select = format!("{SELECT} where tenant = $1 and id = $2");
        let rows = sql::query_on(&client, &select, &[&tenant.as_str(), &sql::big(id)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut found = view(row)?;
        let select = "select command, edges, at, answer from effect.dead_letter_attempt
                       where letter = $1 order by at desc, command limit 100";
        for row in sql::query_on(&client, select, &[&sql::big(id)]).await? {
            found.attempts.push((CommandId(row.try_get(0)?), row.try_get(1)?, row.time(2)?, row.try_get(3)?));
        }
        Ok(Some(found))
    }
}

const SELECT: &str = "select id, tenant, target, fault, class, first_at, last_at, attempts, answer, state, traceparent
                        from effect.letter";

fn view(row: &tokio_postgres::Row) -> Result<LetterView, StoreError> {
    const TABLE: &str = "effect.dead_letter";
    let (class, state): (&str, &str) = (row.try_get(4)?, row.try_get(9)?);
    let letter = DeadLetter {
        id: Some(row.number(0)?),
        tenant: row.tenant(TABLE, 1)?,
        target: row.directory(TABLE, 2)?,
        fault: row.json(TABLE, 3)?,
        class: Rejection::parse(class).ok_or_else(|| StoreError::corrupt(TABLE, format!("class \"{class}\"")))?,
        first_at: row.time(5)?,
        last_at: row.time(6)?,
        attempts: u32::try_from(row.try_get::<_, i32>(7)?).unwrap_or(0),
        answer: row.try_get(8)?,
        state: DeadLetterState::parse(state).ok_or_else(|| StoreError::corrupt(TABLE, format!("state \"{state}\"")))?,
    };
    Ok(LetterView { letter, traceparent: row.try_get(10)?, attempts: Vec::new() })
}
