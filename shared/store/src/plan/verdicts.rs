//! What people decided and what stands in the way: read before each decision, since it is not the reconciler's to write.

use model::{AccountId, Digest, DirectoryId, Fault, GroupId, Rejection, TenantId, Time};

use crate::sql::Columns as _;
use crate::{Store, StoreError, seen::Client, sql};

/// A person's verdict on a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRow {
    /// On which case.
    pub digest: Digest,
    /// Approved, or rejected.
    pub approved: bool,
    /// Who.
    pub actor: String,
    /// When.
    pub at: Time,
}

/// What a person decided about a group that existed before we came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictRow {
    /// At which target.
    pub target: DirectoryId,
    /// Which group.
    pub group: GroupId,
    /// `adopt`, `add-only`, `keep-apart` or `ignore`.
    pub decision: String,
    /// Until when, for `ignore`.
    pub until: Option<Time>,
}

/// A dead letter that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterRow {
    /// Its number.
    pub id: u64,
    /// At which target.
    pub target: DirectoryId,
    /// What is at fault.
    pub fault: Fault,
    /// Of which class.
    pub class: Rejection,
    /// When it was first met.
    pub first_at: Time,
}

/// Everything that others decided, as of now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// The newest verdict on each case: approvals that have not expired, and rejections.
    pub cases: Vec<VerdictRow>,
    /// The newest decision on each group.
    pub conflicts: Vec<ConflictRow>,
    /// Letters that are open: neither redriven, nor given up, nor moot.
    pub letters: Vec<LetterRow>,
    /// Targets that are paused; `*` stands for all of them.
    pub paused: Vec<String>,
    /// The accounts that our own credentials belong to.
    pub own_accounts: Vec<(DirectoryId, AccountId)>,
    /// Directories that cannot be read now, and since when.
    pub blind: Vec<(DirectoryId, Time)>,
}

const CASES: &str = "select distinct on (digest) digest, verdict = 'approved', actor, at from console.approval
     where tenant = $1 and (verdict = 'rejected' or expires_at > $2) order by digest, id desc";
const CONFLICTS: &str = "select distinct on (target, group_id) target, group_id, decision, until_at
     from console.conflict_decision where tenant = $1 order by target, group_id, id desc";
const LETTERS: &str = "select id, target, fault, class, first_at from effect.letter
     where tenant = $1 and state = 'open' order by id";
const PAUSED: &str = "select target from (select distinct on (target) target, paused from console.pause
     where tenant = $1 order by target, id desc) p where paused order by 1";
const OWN_ACCOUNTS: &str = "select d.directory, o.account from directory.own_account o
     join directory.directory d on d.key = o.dir where d.tenant = $1 order by 1, 2";
const BLIND: &str = "select directory, blind_since from directory.directory
     where tenant = $1 and blind_since is not null order by 1";

impl Store {
    /// What people decided and what stands in the way of a tenant, at `now`.
    ///
    /// # Errors
    /// When the database does not answer or holds a row that cannot be read.
    pub async fn load_verdicts(&self, tenant: &TenantId, now: Time) -> Result<Verdicts, StoreError> {
        verdicts(&self.client("load_verdicts").await?, tenant, now).await
    }

    /// Whether a target of a tenant is paused, by itself or with all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_paused(&self, tenant: &TenantId, target: &DirectoryId) -> Result<bool, StoreError> {
        let rows = sql::query_on(&self.client("is_paused").await?, PAUSED, &[&tenant.as_str()]).await?;
        let mut paused = rows.iter().map(|row| row.try_get::<_, &str>(0));
        Ok(paused.any(|name| name.is_ok_and(|name| name == "*" || name == target.as_str())))
    }
}

/// The statements of [`verdicts`].
pub(super) const STATEMENTS: [&str; 6] = [CASES, CONFLICTS, LETTERS, PAUSED, OWN_ACCOUNTS, BLIND];

/// What people decided and what stands in the way, in one round trip.
pub(super) async fn verdicts(client: &Client, tenant: &TenantId, now: Time) -> Result<Verdicts, StoreError> {
    const LETTER: &str = "effect.dead_letter";
    let name = tenant.as_str();
    // Sent together, answered one after the other: one round trip. They need not be of one instant.
    let of_tenant: sql::Params<'_> = &[&name];
    let at_now: sql::Params<'_> = &[&name, &now.0];
    let (cases, conflicts, letters, paused, own_accounts, blind) = futures_util::try_join!(
        sql::query_on(client, CASES, at_now),
        sql::query_on(client, CONFLICTS, of_tenant),
        sql::query_on(client, LETTERS, of_tenant),
        sql::query_on(client, PAUSED, of_tenant),
        sql::query_on(client, OWN_ACCOUNTS, of_tenant),
        sql::query_on(client, BLIND, of_tenant),
    )?;
    let mut verdicts = Verdicts::default();
    for row in cases {
        let digest = row.digest("console.approval", 0)?;
        let (approved, actor, at) = (row.try_get(1)?, row.try_get(2)?, row.time(3)?);
        verdicts.cases.push(VerdictRow { digest, approved, actor, at });
    }
    for row in conflicts {
        verdicts.conflicts.push(ConflictRow {
            target: row.directory("console.conflict_decision", 0)?,
            group: row.group("console.conflict_decision", 1)?,
            decision: row.try_get(2)?,
            until: row.try_get::<_, Option<i64>>(3)?.map(Time),
        });
    }
    for row in letters {
        let class: &str = row.try_get(3)?;
        verdicts.letters.push(LetterRow {
            id: row.number(0)?,
            target: row.directory(LETTER, 1)?,
            fault: row.json(LETTER, 2)?,
            class: Rejection::parse(class).ok_or_else(|| StoreError::corrupt(LETTER, format!("class \"{class}\"")))?,
            first_at: row.time(4)?,
        });
    }
    for row in paused {
        verdicts.paused.push(row.try_get(0)?);
    }
    for row in own_accounts {
        let own = (row.directory("directory.own_account", 0)?, row.account("directory.own_account", 1)?);
        verdicts.own_accounts.push(own);
    }
    for row in blind {
        verdicts.blind.push((row.directory("directory.directory", 0)?, row.time(1)?));
    }
    Ok(verdicts)
}
