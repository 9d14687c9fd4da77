//! What people decide: rows are added, never changed. Each goes into the audit chain in the same transaction.

use model::{Digest, DirectoryId, GroupId, Span, TenantId, Time};

use crate::audit::{self, AuditEntry};
use crate::{Store, StoreError, sql};

/// Who decides, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// The person's name from the token file.
    pub actor: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    pub at: Time,
}

impl Decider {
    fn entry(&self, verb: &str, key: String, after: &[u8]) -> AuditEntry {
        AuditEntry {
            at: self.at,
            actor: self.actor.clone(),
            verb: verb.to_owned(),
            key,
            before: Vec::new(),
            after: after.to_vec(),
            cause: self.reason.clone(),
        }
    }
}

impl Store {
    /// Approves or rejects a case: those bytes and no others. An approval ends by itself after `expires`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] (`four_eyes`) when the decider is who proposed it.
    pub async fn decide_case(
        &self,
        tenant: &TenantId,
        digest: Digest,
        approved: bool,
        proposer: &str,
        decider: &Decider,
        expires: Span,
    ) -> Result<(), StoreError> {
        let mut client = self.client("decide_case").await?;
        let tx = client.transaction().await?;
        let verdict = if approved { "approved" } else { "rejected" };
        let insert = "insert into console.approval (tenant, digest, verdict, proposer, actor, reason, at, expires_at)
                      values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let until = decider.at.plus(expires).0;
        let bytes = digest.0.as_slice();
        let reason = sql::clean(&decider.reason);
        let params: sql::Params<'_> =
            &[&tenant.as_str(), &bytes, &verdict, &proposer, &decider.actor, &reason, &decider.at.0, &until];
        sql::execute(&*tx, insert, params).await?;
        let entry = decider.entry(&format!("case.{verdict}"), format!("case/{digest}"), bytes);
        audit::append(&tx, tenant, &[entry]).await?;
        tx.commit().await
    }

    /// Decides what becomes of groups that existed before we came: `adopt`, `add-only`, `keep-apart` or `ignore` (until
    /// a time).
    ///
    /// # Errors
    /// [`StoreError::Refused`] for any other word.
    pub async fn decide_conflicts(
        &self,
        tenant: &TenantId,
        groups: &[(DirectoryId, GroupId)],
        decision: &str,
        until: Option<Time>,
        decider: &Decider,
    ) -> Result<(), StoreError> {
        let mut client = self.client("decide_conflicts").await?;
        let tx = client.transaction().await?;
        let targets: Vec<&str> = groups.iter().map(|(target, _)| target.as_str()).collect();
        let ids: Vec<&str> = groups.iter().map(|(_, group)| group.as_str()).collect();
        let insert = "insert into console.conflict_decision (tenant, target, group_id, decision, until_at, actor, at)
                      select $1, r.target, r.group_id, $4, $5, $6, $7
                        from unnest($2::text[], $3::text[]) as r (target, group_id)";
        let until = until.map(|time| time.0);
        let params: sql::Params<'_> =
            &[&tenant.as_str(), &targets, &ids, &decision, &until, &decider.actor, &decider.at.0];
        sql::execute(&*tx, insert, params).await?;
        let entries: Vec<AuditEntry> = groups
            .iter()
            .map(|(target, group)| decider.entry("conflict.decided", format!("{target}/{group}"), decision.as_bytes()))
            .collect();
        audit::append(&tx, tenant, &entries).await?;
        tx.commit().await
    }

    /// Asks for another try of dead letters, or gives them up. The decision is made afresh before anything is tried.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn judge_letters(
        &self,
        tenant: &TenantId,
        letters: &[u64],
        discard: bool,
        decider: &Decider,
    ) -> Result<(), StoreError> {
        let mut client = self.client("judge_letters").await?;
        let tx = client.transaction().await?;
        let verb = if discard { "discard" } else { "redrive" };
        let ids: Vec<i64> = letters.iter().map(|id| sql::big(*id)).collect();
        let insert = "insert into console.letter_verdict (tenant, letter, verb, actor, reason, at)
                      select $1, unnest($2::bigint[]), $3, $4, $5, $6";
        let reason = sql::clean(&decider.reason);
        sql::execute(&*tx, insert, &[&tenant.as_str(), &ids, &verb, &decider.actor, &reason, &decider.at.0]).await?;
        let verb = format!("dead-letter.{verb}");
        let entries: Vec<AuditEntry> =
            letters.iter().map(|id| decider.entry(&verb, format!("dead-letter/{id}"), &[])).collect();
        audit::append(&tx, tenant, &entries).await?;
        tx.commit().await
    }

    /// Pauses or resumes dispatch to a target, or to all with `None`. Reading and planning go on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_pause(
        &self,
        tenant: &TenantId,
        target: Option<&DirectoryId>,
        paused: bool,
        decider: &Decider,
    ) -> Result<(), StoreError> {
        let mut client = self.client("set_pause").await?;
        let tx = client.transaction().await?;
        let name = target.map_or("*", DirectoryId::as_str);
        let insert = "insert into console.pause (tenant, target, paused, actor, at) values ($1, $2, $3, $4, $5)";
        sql::execute(&*tx, insert, &[&tenant.as_str(), &name, &paused, &decider.actor, &decider.at.0]).await?;
        let verb = if paused { "dispatch.paused" } else { "dispatch.resumed" };
        audit::append(&tx, tenant, &[decider.entry(verb, format!("target/{name}"), &[])]).await?;
        tx.commit().await
    }
}
