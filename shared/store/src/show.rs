//! What operators are shown beyond the rows themselves: how far directories were read, what waits, who set what in motion.

use std::collections::BTreeMap;

use model::{AccountId, Digest, DirectoryId, Fault, Group, GroupId, TenantId, Time, User};

use crate::directory::DirectoryKey;
use crate::sql::Columns as _;
use crate::{Store, StoreError, sql};

/// How far a directory was read, from the marks of its reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryReads {
    /// Which directory.
    pub directory: DirectoryId,
    /// When the oldest of the complete reads began that make up what is known; `None`: nothing was read completely.
    pub complete_began_at: Option<Time>,
    /// The same of its lists of users and groups alone; the members of a group that no rule touches any more are not read
    /// again.
    pub lists_began_at: Option<Time>,
    /// How many users the last complete read found.
    pub users: u64,
    /// How many groups.
    pub groups: u64,
    /// How many memberships, over all groups that are there.
    pub memberships: u64,
    /// When the watcher means to read everything next, as it said after the last time.
    pub next_at: Option<Time>,
}

/// The open commands of a target's lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneBacklog {
    /// At which target.
    pub target: DirectoryId,
    /// Which lane.
    pub lane: String,
    /// How many.
    pub open: u64,
    /// When the oldest was made.
    pub oldest_at: Time,
}

/// Something that a person set in motion, and may therefore not approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// At which target.
    pub target: DirectoryId,
    /// What it is about: the group that was adopted, or the fault of the letter that is to be tried again.
    pub about: Fault,
    /// Who.
    pub actor: String,
}

/// A call that was made for what attaches to a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterCall {
    /// When it began.
    pub began_at: Time,
    /// Method and path, without personal data.
    pub request: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The answer, redacted.
    pub answer: String,
}

impl Store {
    /// Says what part of a target's API budget is left, 0 to 1. Only for show: whoever has the target says it now and then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn say_budget(
        &self,
        tenant: &TenantId,
        target: &DirectoryId,
        remaining: f64,
        at: Time,
    ) -> Result<(), StoreError> {
        let client = self.client("say_budget").await?;
        let upsert = "insert into effect.budget (tenant, target, remaining, at) values ($1, $2, $3, $4)
                      on conflict (tenant, target) do update set remaining = excluded.remaining, at = excluded.at";
        sql::execute_on(&client, upsert, &[&tenant.as_str(), &target.as_str(), &remaining, &at.0]).await?;
        Ok(())
    }

    /// What was left of each target's API budget, where that was said since.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn budgets(&self, tenant: &TenantId, since: Time) -> Result<BTreeMap<DirectoryId, f64>, StoreError> {
        let client = self.client("budgets").await?;
        let select = "select target, remaining from effect.budget where tenant = $1 and at >= $2";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &since.0]).await?;
        rows.iter().map(|row| Ok((row.directory("effect.budget", 0)?, row.try_get(1)?))).collect()
    }

    /// How far each directory of a tenant was read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn directory_reads(&self, tenant: &TenantId) -> Result<Vec<DirectoryReads>, StoreError> {
        let client = self.client("directory_reads").await?;
        let select = "select d.directory, min(r.complete_began_at), d.health,
                             min(r.complete_began_at) filter (where r.kind <> 2),
                             coalesce(sum(r.rows_now) filter (where r.kind = 0), 0)::bigint,
                             coalesce(sum(r.rows_now) filter (where r.kind = 1), 0)::bigint,
                             coalesce(sum(r.rows_now) filter (where r.kind = 2), 0)::bigint
                        from directory.directory d
                        left join directory.scope_read r on r.dir = d.key and (
                            r.kind <> 2 or not exists (select from directory.group_row g
                                                        where g.dir = r.dir and g.id = r.group_id
                                                          and g.gone_at is not null))
                       where d.tenant = $1 group by d.directory, d.health order by d.directory";
        let rows = sql::query_on(&client, select, &[&tenant.as_str()]).await?;
        rows.iter()
            .map(|row| {
                Ok(DirectoryReads {
                    directory: row.directory("directory.directory", 0)?,
                    complete_began_at: row.try_get::<_, Option<i64>>(1)?.map(Time),
                    next_at: row.try_get::<_, Option<&str>>(2)?.and_then(next_at),
                    lists_began_at: row.try_get::<_, Option<i64>>(3)?.map(Time),
                    users: row.number(4)?,
                    groups: row.number(5)?,
                    memberships: row.number(6)?,
                })
            })
            .collect()
    }

    /// Groups of a directory by id, each with how many members its last complete read found.
    ///
    /// # Errors
    /// When the database does not answer or holds a row that cannot be read.
    pub async fn group_rows(&self, directory: &DirectoryKey, ids: &[GroupId]) -> Result<Vec<(Group, u64)>, StoreError> {
        let client = self.client("group_rows").await?;
        let ids: Vec<&str> = ids.iter().map(GroupId::as_str).collect();
        let select = "select g.body, coalesce(r.rows_now, 0)::bigint from directory.group_row g
                        left join directory.scope_read r on r.dir = g.dir and r.kind = 2 and r.group_id = g.id
                       where g.dir = $1 and g.id = any($2) order by g.id";
        let rows = sql::query_on(&client, select, &[&directory.key, &ids]).await?;
        rows.iter().map(|row| Ok((row.json("directory.group_row", 0)?, row.number(1)?))).collect()
    }

    /// Users of a directory by id.
    ///
    /// # Errors
    /// When the database does not answer or holds a row that cannot be read.
    pub async fn user_rows(&self, directory: &DirectoryKey, ids: &[AccountId]) -> Result<Vec<User>, StoreError> {
        let client = self.client("user_rows").await?;
        let ids: Vec<&str> = ids.iter().map(AccountId::as_str).collect();
        let select = "select body from directory.user_row where dir = $1 and id = any($2) order by id";
        let rows = sql::query_on(&client, select, &[&directory.key, &ids]).await?;
        rows.iter().map(|row| row.json("directory.user_row", 0)).collect()
    }

    /// Open commands of a tenant by target and lane.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lane_backlogs(&self, tenant: &TenantId) -> Result<Vec<LaneBacklog>, StoreError> {
        let client = self.client("lane_backlogs").await?;
        let select = "select target, lane, count(*), min(created_at) from plan.command
                       where tenant = $1 and settled_at is null group by target, lane order by target, lane";
        let rows = sql::query_on(&client, select, &[&tenant.as_str()]).await?;
        rows.iter()
            .map(|row| {
                Ok(LaneBacklog {
                    target: row.directory("plan.command", 0)?,
                    lane: row.try_get(1)?,
                    open: row.number(2)?,
                    oldest_at: row.time(3)?,
                })
            })
            .collect()
    }

    /// The digests of a tenant's cases that begin with these hexadecimal digits: two at most, which is one too many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cases_by_prefix(&self, tenant: &TenantId, prefix: &str) -> Result<Vec<Digest>, StoreError> {
        let client = self.client("cases_by_prefix").await?;
        let select = "select digest from plan.case_held
                       where tenant = $1 and starts_with(encode(digest, 'hex'), $2) order by digest limit 2";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &prefix]).await?;
        rows.iter().map(|row| row.digest("plan.case_held", 0)).collect()
    }

    /// What people set in motion and has not come to its end: the newest first.
    ///
    /// # Errors
    /// When the database does not answer or holds a row that cannot be read.
    pub async fn proposals(&self, tenant: &TenantId) -> Result<Vec<Proposal>, StoreError> {
        let client = self.client("proposals").await?;
        let mut proposals = Vec::new();
        let select = "select target, group_id, actor
                        from (select distinct on (target, group_id) target, group_id, actor, decision, id
                                from console.conflict_decision where tenant = $1
                               order by target, group_id, id desc) c
                       where decision in ('adopt', 'add-only') order by id desc";
        for row in sql::query_on(&client, select, &[&tenant.as_str()]).await? {
            let group = row.group("console.conflict_decision", 1)?;
            proposals.push(Proposal {
                target: row.directory("console.conflict_decision", 0)?,
                about: Fault::Group { group: group.to_string() },
                actor: row.try_get(2)?,
            });
        }
        let select = "select l.target, l.fault, v.actor
                        from effect.letter l
                        join lateral (select v.actor from console.letter_verdict v
                                       where v.tenant = l.tenant and v.letter = l.id and v.verb = 'redrive'
                                       order by v.id desc limit 1) v on true
                       where l.tenant = $1 and l.state = 'redriven' order by l.id desc";
        for row in sql::query_on(&client, select, &[&tenant.as_str()]).await? {
            proposals.push(Proposal {
                target: row.directory("effect.dead_letter", 0)?,
                about: row.json("effect.dead_letter", 1)?,
                actor: row.try_get(2)?,
            });
        }
        Ok(proposals)
    }

    /// The policy that waits for a person, since it would stop managing too much: its hash, why, since when. Approving
    /// its hash puts it in force.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn held_policy(&self, tenant: &TenantId) -> Result<Option<(Digest, String, Time)>, StoreError> {
        let client = self.client("held_policy").await?;
        let select = "select hash, note, loaded_at, state from plan.policy
                       where tenant = $1 order by loaded_at desc limit 1";
        let rows = sql::query_on(&client, select, &[&tenant.as_str()]).await?;
        let Some(row) = rows.first().filter(|row| row.try_get::<_, &str>(3).is_ok_and(|state| state == "held")) else {
            return Ok(None);
        };
        Ok(Some((row.digest("plan.policy", 0)?, row.try_get(1)?, row.time(2)?)))
    }

    /// The calls that were made for what attaches to a dead letter of a tenant, the oldest first, 200 at most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn letter_calls(&self, tenant: &TenantId, letter: u64) -> Result<Vec<LetterCall>, StoreError> {
        let client = self.client("letter_calls").await?;
        let select = "select a.began_at, a.request, a.status, a.answer
                        from effect.dead_letter_attempt l
                        join effect.attempt a on a.command = l.command and a.edges && l.edges
                       where l.letter = $1 and a.tenant = $2 order by a.began_at, a.id limit 200";
        let rows = sql::query_on(&client, select, &[&sql::big(letter), &tenant.as_str()]).await?;
        rows.iter()
            .map(|row| {
                Ok(LetterCall {
                    began_at: row.time(0)?,
                    request: row.try_get(1)?,
                    status: row.try_get::<_, Option<i32>>(2)?.and_then(|status| u16::try_from(status).ok()),
                    answer: row.try_get(3)?,
                })
            })
            .collect()
    }
}

/// What a watcher's note says about the next time.
fn next_at(note: &str) -> Option<Time> {
    serde_json::from_str::<serde_json::Value>(note).ok()?.get("next")?.as_i64().map(Time)
}
