//! What a watcher asks of its own mirror: which groups matter, which were never walked, who is where.

use std::collections::BTreeSet;

use model::{AccountId, Email, Group, GroupId, Time};

use super::DirectoryKey;
use crate::sql::Columns as _;
use crate::{Store, StoreError, sql};

const GROUPS: &str = "directory.group_row";

/// A group's row that is newer than asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNews {
    /// The group as last seen.
    pub group: Group,
    /// Whether it is gone.
    pub gone: bool,
    /// The directory's version with the change.
    pub version: u64,
}

impl Store {
    /// Groups of a directory that changed after a version, in the order of their change.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn groups_since(&self, directory: &DirectoryKey, version: u64) -> Result<Vec<GroupNews>, StoreError> {
        let client = self.client("groups_since").await?;
        let select = "select body, gone_at is not null, version from directory.group_row
                       where dir = $1 and version > $2 order by version, id";
        let rows = sql::query_on(&client, select, &[&directory.key, &sql::big(version)]).await?;
        rows.iter()
            .map(|row| Ok(GroupNews { group: row.json(GROUPS, 0)?, gone: row.try_get(1)?, version: row.number(2)? }))
            .collect()
    }

    /// Groups that are there and whose members were never read to the end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unwalked_groups(&self, directory: &DirectoryKey) -> Result<Vec<Group>, StoreError> {
        let client = self.client("unwalked_groups").await?;
        let select = "select g.body from directory.group_row g
                       where g.dir = $1 and g.gone_at is null
                         and not exists (select from directory.scope_read r
                                          where r.dir = g.dir and r.kind = 2 and r.group_id = g.id
                                            and r.complete_began_at is not null)
                       order by g.id";
        let rows = sql::query_on(&client, select, &[&directory.key]).await?;
        rows.iter().map(|row| row.json(GROUPS, 0)).collect()
    }

    /// The groups of a directory that names of the policy are pinned to: those that we made or adopted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pinned_groups(&self, directory: &DirectoryKey) -> Result<BTreeSet<GroupId>, StoreError> {
        let client = self.client("pinned_groups").await?;
        let select = "select group_id from plan.pin where tenant = $1 and target = $2";
        let params: sql::Params<'_> = &[&directory.tenant.as_str(), &directory.directory.as_str()];
        let rows = sql::query_on(&client, select, params).await?;
        rows.iter().map(|row| row.group("plan.pin", 0)).collect()
    }

    /// Groups that were pinned before this time and whose members were never read to the end: those that we made.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unwalked_pins(&self, directory: &DirectoryKey, before: Time) -> Result<Vec<GroupId>, StoreError> {
        let client = self.client("unwalked_pins").await?;
        let select = "select distinct p.group_id from plan.pin p
                       where p.tenant = $1 and p.target = $2 and p.pinned_at <= $3
                         and not exists (select from directory.scope_read r
                                          where r.dir = $4 and r.kind = 2 and r.group_id = p.group_id
                                            and r.complete_began_at is not null)
                         and not exists (select from directory.group_row g
                                          where g.dir = $4 and g.id = p.group_id and g.gone_at is not null)
                       order by p.group_id limit 1000";
        let params: sql::Params<'_> =
            &[&directory.tenant.as_str(), &directory.directory.as_str(), &before.0, &directory.key];
        let rows = sql::query_on(&client, select, params).await?;
        rows.iter().map(|row| row.group("plan.pin", 0)).collect()
    }

    /// The groups that somebody is a direct member of, as last seen.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn groups_of(&self, directory: &DirectoryKey, member: &str) -> Result<Vec<GroupId>, StoreError> {
        let client = self.client("groups_of").await?;
        let select = "select distinct group_id from directory.membership
                       where dir = $1 and member = $2 and until_at is null order by group_id";
        let rows = sql::query_on(&client, select, &[&directory.key, &member]).await?;
        rows.iter().map(|row| row.group("directory.membership", 0)).collect()
    }

    /// The people with this primary address, as last seen.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn people_at(&self, directory: &DirectoryKey, email: &Email) -> Result<Vec<AccountId>, StoreError> {
        let client = self.client("people_at").await?;
        let select = "select id from directory.user_row
                       where dir = $1 and email_key = $2 and gone_at is null order by id";
        let rows = sql::query_on(&client, select, &[&directory.key, &email.key()]).await?;
        rows.iter().map(|row| row.account("directory.user_row", 0)).collect()
    }
}
