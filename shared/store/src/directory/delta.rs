//! Reading the mirror: everything newer than a version, and who was in a group at a time.

use futures_util::{TryStreamExt as _, pin_mut};
use model::{
    Corroboration, Delta, DirectoryId, Fact, Group, GroupId, GroupRow, Member, MemberKind, MemberRow, ReadRow,
    ReadScope, Role, Span, TenantId, Time, User, UserRow,
};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{DirectoryKey, diff::answer_of};
use crate::sql::Columns as _;
use crate::{Store, StoreError, seen::Client, sql};

/// How long what has ended is part of a mirror that is read from the beginning, whoever it is about: long enough to tell
/// what the source once had from what it never had. What is not dealt with by then has waited for a person, a letter or
/// the end of a grace, and is remembered for longer (see [`USERS_FROM_START`] and those after it).
const REMEMBER: Span = Span::from_secs(30 * 24 * 3600);

/// A directory with its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryVersion {
    /// Which directory.
    pub directory: DirectoryId,
    /// Its newest version.
    pub version: u64,
    /// Since when it cannot be read, if so.
    pub blind_since: Option<Time>,
    /// What its watcher last said about itself (JSON).
    pub health: String,
    /// When the oldest of its commits was read that is part of no decision yet.
    pub undecided_since: Option<Time>,
}

/// The trace in which a version of a directory was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionTrace {
    /// Which directory.
    pub directory: DirectoryId,
    /// Which version.
    pub version: u64,
    /// The trace.
    pub traceparent: String,
}

impl Store {
    /// The versions of all directories of a tenant: what a tick compares with the mirrors.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn directory_versions(&self, tenant: &TenantId) -> Result<Vec<DirectoryVersion>, StoreError> {
        versions(&self.client("directory_versions").await?, tenant).await
    }

    /// The traces in which versions were read that are part of no decision yet: of each of these directories, up to the
    /// version that is given with it, `most` of them, the newest first; each with the newest version that it read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn undecided_traces(
        &self,
        tenant: &TenantId,
        up_to: &[(DirectoryId, u64)],
        most: u32,
    ) -> Result<Vec<VersionTrace>, StoreError> {
        let client = self.client("undecided_traces").await?;
        let (directories, versions): (Vec<&str>, Vec<i64>) =
            up_to.iter().map(|(directory, version)| (directory.as_str(), sql::big(*version))).unzip();
        let params: sql::Params<'_> = &[&tenant.as_str(), &directories, &versions, &i64::from(most)];
        let rows = sql::query_on(&client, TRACES, params).await?;
        rows.iter()
            .map(|row| {
                Ok(VersionTrace {
                    directory: row.directory("directory.directory", 0)?,
                    version: row.number(1)?,
                    traceparent: row.try_get(2)?,
                })
            })
            .collect()
    }

    /// Everything of a directory that is newer than `version`, as of one instant. From version 0 what ended more than 30
    /// days before `now` is left out, unless a link, a pin or a membership that still stands refers to it: without it
    /// nobody could tell somebody who left from somebody who was never listed.
    ///
    /// # Errors
    /// When the database does not answer, or holds a row that no version of this program writes.
    pub async fn delta_since(&self, directory: &DirectoryKey, version: u64, now: Time) -> Result<Delta, StoreError> {
        let client = self.client("delta_since").await?;
        // Prepared first: what follows is sent together, in this order, for one round trip where few rows are new.
        let statements = if version == 0 {
            Statements { users: USERS_FROM_START, groups: GROUPS_FROM_START, members: MEMBERS_FROM_START }
        } else {
            Statements { users: USERS, groups: GROUPS, members: MEMBERS }
        };
        for statement in [NEWEST, statements.users, statements.groups, statements.members, READS, ANSWERS] {
            client.prepare_cached(statement).await?;
        }
        let since = sql::big(version);
        let cutoff = if version == 0 { now.minus(REMEMBER).0 } else { i64::MIN };
        let mut delta = Delta {
            directory: directory.directory.clone(),
            version: 0,
            users: Vec::new(),
            groups: Vec::new(),
            members: Vec::new(),
            reads: Vec::new(),
            corroborations: Vec::new(),
        };
        let key: sql::Params<'_> = &[&directory.key];
        let ((), newest, (), ()) = futures_util::try_join!(
            async { Ok(client.batch_execute("begin isolation level repeatable read, read only").await?) },
            sql::query_on(&client, NEWEST, key),
            fill(&client, directory, &statements, (since, cutoff), &mut delta),
            async { Ok(client.batch_execute("commit").await?) },
        )?;
        delta.version = newest.first().map_or(Ok(0), |row| row.number(0))?;
        Ok(delta)
    }

    /// Who was in a group at a time, as far as reads could tell: an interval begins and ends with the read that saw it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn members_at(
        &self,
        directory: &DirectoryKey,
        group: &GroupId,
        at: Time,
    ) -> Result<Vec<Member>, StoreError> {
        let client = self.client("members_at").await?;
        let select = "select kind, member, role from directory.membership
                       where dir = $1 and group_id = $2 and since_at <= $3 and (until_at is null or until_at > $3)
                         and not exists (select from directory.group_row g
                                          where g.dir = $1 and g.id = $2 and g.gone_at <= $3)
                       order by kind, member";
        let rows = sql::query_on(&client, select, &[&directory.key, &group.as_str(), &at.0]).await?;
        rows.iter()
            .map(|row| {
                Ok(Member { kind: member_kind(row.try_get(0)?, row.try_get(1)?)?, role: role(row.try_get(2)?)? })
            })
            .collect()
    }
}

/// The versions of a tenant's directories.
pub(crate) async fn versions(client: &Client, tenant: &TenantId) -> Result<Vec<DirectoryVersion>, StoreError> {
    let rows = sql::query_on(client, VERSIONS, &[&tenant.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(DirectoryVersion {
                directory: row.directory("directory.directory", 0)?,
                version: row.number(1)?,
                blind_since: row.try_get::<_, Option<i64>>(2)?.map(Time),
                health: row.try_get(3)?,
                undecided_since: time(row, 4)?,
            })
        })
        .collect()
}

/// What is asked for the rows of a directory.
struct Statements {
    users: &'static str,
    groups: &'static str,
    members: &'static str,
}

async fn fill(
    client: &Client,
    directory: &DirectoryKey,
    statements: &Statements,
    (since, cutoff): (i64, i64),
    delta: &mut Delta,
) -> Result<(), StoreError> {
    let key = directory.key;
    let two: [&(dyn ToSql + Sync); 2] = [&key, &since];
    let three: [&(dyn ToSql + Sync); 3] = [&key, &since, &cutoff];
    let (tenant, name) = (directory.tenant.as_str(), directory.directory.as_str());
    let five: [&(dyn ToSql + Sync); 5] = [&key, &since, &cutoff, &tenant, &name];
    let params: &[&(dyn ToSql + Sync)] = if since == 0 { &five } else { &three };
    let Delta { users, groups, members, reads, corroborations, .. } = delta;
    // Sent together, answered one after the other: one round trip for a few rows.
    futures_util::try_join!(
        each(client, statements.users, params, |row| {
            let user: User = row.json("directory.user_row", 0)?;
            users.push(UserRow { user, gone_at: time(row, 1)? });
            Ok(())
        }),
        each(client, statements.groups, params, |row| {
            let group: Group = row.json("directory.group_row", 0)?;
            groups.push(GroupRow { group, gone_at: time(row, 1)? });
            Ok(())
        }),
        each(client, statements.members, params, |row| {
            members.push(MemberRow {
                group: row.group("directory.membership", 0)?,
                member: member_kind(row.try_get(1)?, row.try_get(2)?)?,
                role: role(row.try_get(3)?)?,
                gone_at: time(row, 4)?,
            });
            Ok(())
        }),
        each(client, READS, &two, |row| {
            reads.push(read_row(row)?);
            Ok(())
        }),
        each(client, ANSWERS, &three, |row| {
            corroborations.push(corroboration(&directory.directory, row)?);
            Ok(())
        }),
    )?;
    Ok(())
}

/// What [`versions`] asks.
pub(crate) const VERSIONS: &str = "select d.directory, d.version, d.blind_since, d.health,
        (select c.at from directory.commit c
          where c.dir = d.key
            and c.version > coalesce((select p.version from plan.progress p
                                       where p.tenant = d.tenant and p.directory = d.directory), 0)
          order by c.version limit 1)
    from directory.directory d where d.tenant = $1 order by d.directory";
const TRACES: &str = "select d.directory, c.version, c.traceparent
    from unnest($2::text[], $3::bigint[]) as r (directory, version)
    join directory.directory d on d.tenant = $1 and d.directory = r.directory
    left join plan.progress p on p.tenant = d.tenant and p.directory = d.directory
    cross join lateral (select max(x.version) as version, x.traceparent from directory.commit x
                         where x.dir = d.key and x.version > coalesce(p.version, 0) and x.version <= r.version
                           and x.traceparent is not null
                         group by x.traceparent order by 1 desc limit $4) c
   order by d.directory, c.version desc";
const NEWEST: &str = "select version from directory.directory where key = $1";
const USERS: &str = "select body, gone_at from directory.user_row
    where dir = $1 and version > $2 and (gone_at is null or gone_at > $3) order by id";
/// Who is linked is remembered: by the row of somebody who is gone it is known that they left, or that the account did.
const USERS_FROM_START: &str = "select body, gone_at from directory.user_row u
    where dir = $1 and version > $2
      and (gone_at is null or gone_at > $3
           or exists (select from plan.person_link l where l.tenant = $4 and l.source = $5 and l.person = u.id)
           or exists (select from plan.person_link l where l.tenant = $4 and l.target = $5 and l.account = u.id))
    order by id";
const GROUPS: &str = "select body, gone_at from directory.group_row
    where dir = $1 and version > $2 and (gone_at is null or gone_at > $3) order by id";
/// A pinned group that is gone is no group that was just made; and one that filled a pinned group ended.
const GROUPS_FROM_START: &str = "select body, gone_at from directory.group_row g
    where dir = $1 and version > $2
      and (gone_at is null or gone_at > $3
           or exists (select from plan.pin p
                       where p.tenant = $4 and ((p.target = $5 and p.group_id = g.id)
                                                or (p.source = $5 and p.source_group = g.id))))
    order by id";
/// What ended and holds again is told by the row that holds.
const MEMBERS: &str = "select group_id, kind, member, role, until_at from directory.membership m
    where dir = $1 and version > $2
      and (until_at is null
           or (until_at > $3 and not exists (
                  select from directory.membership o
                   where o.dir = m.dir and o.group_id = m.group_id and o.kind = m.kind
                     and o.member = m.member and o.until_at is null)))
    order by group_id, kind, member, until_at";
/// The same with those who left a source group, or one below it, and are still in the group that it fills: they wait to be
/// taken out, and why they are is known by this row. Which groups were below which is remembered for ever; there are few.
const MEMBERS_FROM_START: &str = "with recursive below (root, id) as (
        select p.source_group, p.source_group from plan.pin p
         where p.tenant = $4 and p.source = $5 and p.source_group is not null
        union
        select b.root, n.member from below b
          join directory.membership n on n.dir = $1 and n.group_id = b.id and n.kind = 1)
    select group_id, kind, member, role, until_at from directory.membership m
    where dir = $1 and version > $2
      and (until_at is null
           or (not exists (
                  select from directory.membership o
                   where o.dir = m.dir and o.group_id = m.group_id and o.kind = m.kind
                     and o.member = m.member and o.until_at is null)
               and (until_at > $3 or kind = 1
                    or (kind = 0 and exists (
                       select from plan.person_link l
                         join directory.directory t on t.tenant = l.tenant and t.directory = l.target
                         join directory.membership o
                           on o.dir = t.key and o.member = l.account and o.kind = 0 and o.until_at is null
                         join plan.pin p
                           on p.tenant = l.tenant and p.target = l.target and p.group_id = o.group_id
                        where l.tenant = $4 and l.source = $5 and l.person = m.member
                          and (p.source is null
                               or (p.source = $5 and exists (
                                     select from below b where b.root = p.source_group and b.id = m.group_id))))))))
    order by group_id, kind, member, until_at";
const READS: &str = "select kind, group_id, complete_began_at, ended_at, complete, rows_now, rows_before, digest
    from directory.scope_read where dir = $1 and version > $2 order by kind, group_id";
const ANSWERS: &str = "select fact, answer, read_at from directory.corroboration
    where dir = $1 and version > $2 and read_at > $3 order by fact";

/// Streams the rows of a query, so that a million of them are never held twice.
async fn each(
    client: &Client,
    text: &str,
    params: &[&(dyn ToSql + Sync)],
    mut take: impl FnMut(&Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(text).await?;
    let rows = client.query_raw(&statement, params.iter().copied()).await?;
    pin_mut!(rows);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}

fn time(row: &Row, column: usize) -> Result<Option<Time>, StoreError> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Time))
}

fn member_kind(kind: i16, id: &str) -> Result<MemberKind, StoreError> {
    let name = match kind {
        0 => "user",
        1 => "group",
        2 => "everyone",
        _ => "other",
    };
    MemberKind::parse(name, id).ok_or_else(|| StoreError::corrupt("directory.membership", "a member has no valid id"))
}

fn role(number: i16) -> Result<Role, StoreError> {
    match number {
        0 => Ok(Role::Owner),
        1 => Ok(Role::Manager),
        2 => Ok(Role::Member),
        other => Err(StoreError::corrupt("directory.membership", format!("role {other}"))),
    }
}

fn read_row(row: &Row) -> Result<ReadRow, StoreError> {
    const TABLE: &str = "directory.scope_read";
    let scope = match row.try_get::<_, i16>(0)? {
        0 => ReadScope::Users,
        1 => ReadScope::Groups,
        _ => ReadScope::Members(row.group(TABLE, 1)?),
    };
    let digest = match row.try_get::<_, Option<&[u8]>>(7)? {
        Some(_) => Some(row.digest(TABLE, 7)?),
        None => None,
    };
    Ok(ReadRow {
        scope,
        complete_began_at: time(row, 2)?,
        ended_at: row.time(3)?,
        complete: row.try_get(4)?,
        rows: row.number(5)?,
        rows_before: row.number(6)?,
        digest,
    })
}

fn corroboration(directory: &DirectoryId, row: &Row) -> Result<Corroboration, StoreError> {
    const TABLE: &str = "directory.corroboration";
    let fact = Fact::from_key(directory, row.try_get(0)?)
        .ok_or_else(|| StoreError::corrupt(TABLE, "a fact cannot be read"))?;
    let answer = answer_of(row.try_get(1)?).ok_or_else(|| StoreError::corrupt(TABLE, "an answer is unknown"))?;
    Ok(Corroboration { fact, answer, read_at: row.time(2)? })
}
