//! The mirror of each directory: users, groups, memberships with the interval in which they held, and when what was
//! read.
//!
//! Every commit moves the directory's version, read marks included; whether that is worth an event is the caller's
//! decision by [`Committed::is_news`]. A sweep that found nothing new moves the version without an event, and the
//! reconciler sees the fresher marks at its next look.

mod commit;
mod delta;
mod diff;
mod fold;
mod inbox;
mod marks;
mod scope;

use model::{AccountId, DirectoryId, GroupId, TenantId};

use crate::{Envelope, Store, StoreError, sql};

pub use commit::Pass;
pub use delta::{DirectoryVersion, VersionTrace};
pub(crate) use delta::{VERSIONS, versions};
pub use inbox::{Health, Wish};
pub use scope::GroupNews;

/// A directory's row: what its rows are keyed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryKey {
    /// The key of the row.
    pub(crate) key: i32,
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub directory: DirectoryId,
}

impl DirectoryKey {
    /// The topic of its events in the outbox.
    pub fn topic(&self) -> String {
        format!("{}/{}", self.tenant, self.directory)
    }
}

/// What a commit changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// The directory's version with this commit.
    pub version: u64,
    /// Users that are new, changed, back or gone; sorted.
    pub users: Vec<AccountId>,
    /// Groups that are new, changed, back or gone; sorted.
    pub groups: Vec<GroupId>,
    /// Groups whose members changed; sorted.
    pub member_groups: Vec<GroupId>,
    /// Memberships that began.
    pub members_added: u64,
    /// Memberships that ended.
    pub members_removed: u64,
    /// Memberships whose role changed.
    pub roles_changed: u64,
    /// Users found gone.
    pub users_gone: u64,
    /// Groups found gone.
    pub groups_gone: u64,
    /// Whether it was a sweep that saw everything there is.
    pub whole: bool,
    /// Reads that were dropped, since a newer one is in already.
    pub outdated: u64,
    /// Facts that were answered.
    pub answers: u64,
    /// What goes out with it, for the holder of the directory's lease to publish at once.
    pub messages: Vec<Envelope>,
}

impl Committed {
    /// Whether there is something to tell: rows changed, facts were answered, or a whole sweep ended.
    pub fn is_news(&self) -> bool {
        self.whole
            || self.answers > 0
            || !(self.users.is_empty() && self.groups.is_empty() && self.member_groups.is_empty())
    }
}

impl Store {
    /// The row of a directory; makes it when there is none (watchers only).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn directory(&self, tenant: &TenantId, directory: &DirectoryId) -> Result<DirectoryKey, StoreError> {
        if let Some(found) = self.find_directory(tenant, directory).await? {
            return Ok(found);
        }
        let client = self.client("directory").await?;
        let insert = "insert into directory.directory (tenant, directory) values ($1, $2) on conflict do nothing";
        sql::execute_on(&client, insert, &[&tenant.as_str(), &directory.as_str()]).await?;
        drop(client);
        let found = self.find_directory(tenant, directory).await?;
        found.ok_or_else(|| StoreError::corrupt("directory.directory", "a row that was just made is missing"))
    }

    /// The row of a directory, if a watcher has made it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_directory(
        &self,
        tenant: &TenantId,
        directory: &DirectoryId,
    ) -> Result<Option<DirectoryKey>, StoreError> {
        let client = self.client("find_directory").await?;
        let select = "select key from directory.directory where tenant = $1 and directory = $2";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &directory.as_str()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(DirectoryKey { key: row.try_get(0)?, tenant: tenant.clone(), directory: directory.clone() }))
    }

    /// Pins the vendor's own id of a directory at first sight, and refuses another one from then on.
    ///
    /// # Errors
    /// [`StoreError::OtherDirectory`] when another id is pinned.
    pub async fn pin_directory(&self, directory: &DirectoryKey, vendor_id: &str) -> Result<(), StoreError> {
        let client = self.client("pin_directory").await?;
        let rows = sql::query_on(
            &client,
            "update directory.directory set vendor_id = coalesce(vendor_id, $2) where key = $1 returning vendor_id",
            &[&directory.key, &vendor_id],
        )
        .await?;
        let pinned: String = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => return Err(StoreError::corrupt("directory.directory", "the directory's row is gone")),
        };
        if pinned == vendor_id {
            return Ok(());
        }
        let found = vendor_id.to_owned();
        Err(StoreError::OtherDirectory { directory: directory.directory.clone(), pinned, found })
    }
}
