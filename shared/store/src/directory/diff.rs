//! The set-based comparison of what was read with what is stored. A few hundred rows come as arrays, more through a
//! temporary table by binary COPY; the statements are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

use deadpool_postgres::Transaction;
use model::{AccountId, Answer, Corroboration, GroupId};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use super::Committed;
use super::fold::{Folded, ListRead, Walk, kind_number, role_number};
use super::marks::{Mark, Scope, mark, stored_scopes, write_marks};
use crate::{StoreError, sql};

/// Up to so many rows go as arrays: one round trip and no temporary table.
const FEW: usize = 200;

/// The same for memberships, each of which is looked up by its key: that costs less than to read the whole directory's,
/// which may be a million, for a walk of a large group.
const FEW_EDGES: usize = 10_000;

const USERS: &str = "
    up as (
        insert into directory.user_row as u (dir, id, email_key, listed, body, seen_at, version)
        select $1, r.id, r.email_key, r.listed, r.body, r.seen_at, $2
          from r left join {old} o on {on}
         where $3 or o.id is null or o.body <> r.body or o.gone_at is not null
        on conflict (dir, id) do update
           set email_key = excluded.email_key, listed = excluded.listed, body = excluded.body,
               seen_at = excluded.seen_at, gone_at = null,
               version = case when u.body = excluded.body and u.gone_at is null then u.version
                              else excluded.version end
         where u.seen_at <= excluded.seen_at and (excluded.listed or not u.listed)
        returning id, version),
    gone as (
        update directory.user_row u set gone_at = g.ended_at, seen_at = g.began_at, version = $2
          from g
         where u.dir = $1 and u.id = any($7) and u.id = g.id and u.gone_at is null and u.seen_at <= g.began_at
        returning u.id),
    closed as (
        update directory.user_row u set gone_at = $6, seen_at = $5, version = $2
         where $4 and u.dir = $1 and u.listed and u.gone_at is null and u.seen_at <= $5
           and not exists (select from r where r.id = u.id) and not exists (select from g where g.id = u.id)
        returning u.id)
    select id, false from up where version = $2
    union all select id, true from gone union all select id, true from closed order by 1";

const GROUPS: &str = "
    up as (
        insert into directory.group_row as u (dir, id, body, seen_at, version)
        select $1, r.id, r.body, r.seen_at, $2
          from r left join {old} o on {on}
         where $3 or o.id is null or o.body <> r.body or o.gone_at is not null
        on conflict (dir, id) do update
           set body = excluded.body, seen_at = excluded.seen_at, gone_at = null,
               version = case when u.body = excluded.body and u.gone_at is null then u.version
                              else excluded.version end
         where u.seen_at <= excluded.seen_at
        returning id, version),
    gone as (
        update directory.group_row u set gone_at = g.ended_at, seen_at = g.began_at, version = $2
          from g
         where u.dir = $1 and u.id = any($7) and u.id = g.id and u.gone_at is null and u.seen_at <= g.began_at
        returning u.id),
    closed as (
        update directory.group_row u set gone_at = $6, seen_at = $5, version = $2
         where $4 and u.dir = $1 and u.gone_at is null and u.seen_at <= $5
           and not exists (select from r where r.id = u.id) and not exists (select from g where g.id = u.id)
        returning u.id)
    select id, false from up where version = $2
    union all select id, true from gone union all select id, true from closed order by 1";

/// How a statement finds the stored row of each incoming one: many by a hash join, few one by one through the primary
/// key. Left to itself, and before the tables' first statistics, the planner reads the whole directory for a handful.
fn found(statement: &str, table: &str, few: bool) -> String {
    let (old, on) = if few {
        (
            format!("lateral (select t.id, t.body, t.gone_at from {table} t where t.dir = $1 and t.id = r.id limit 1)"),
            "true",
        )
    } else {
        (table.to_owned(), "o.dir = $1 and o.id = r.id")
    };
    statement.replace("{old}", &old).replace("{on}", on)
}

const FEW_MEMBERS: &str = "
    s as (select * from unnest($3::text[], $4::boolean[], $5::bigint[]) as s (group_id, absence, ended_at)),
    missing as (
        select x.at, s.ended_at
          from s cross join lateral (
                   select m.ctid as at, m.kind, m.member from directory.membership m
                    where m.dir = $1 and m.group_id = s.group_id and m.until_at is null offset 0) x
         where s.absence
           and (s.group_id, x.kind, x.member) not in (select r.group_id, r.kind, r.member from r)),
    known as (
        select r.*, x.at, x.role as role_now
          from r left join lateral (
                   select m.ctid as at, m.role from directory.membership m
                    where m.dir = $1 and m.group_id = r.group_id and m.kind = r.kind and m.member = r.member
                      and m.until_at is null limit 1) x on true),
    closed as (
        update directory.membership m set until_at = c.ended_at, version = $2
          from missing c where m.ctid = c.at returning m.group_id),
    changed as (
        update directory.membership m set role = k.role, version = $2
          from known k where m.ctid = k.at and k.role_now <> k.role returning m.group_id),
    added as (
        insert into directory.membership (dir, group_id, kind, member, role, since_at, version)
        select $1, k.group_id, k.kind, k.member, k.role, s.ended_at, $2
          from known k join s on s.group_id = k.group_id where k.at is null
        returning group_id)
    select group_id, sum(c)::bigint, sum(h)::bigint, sum(a)::bigint
      from (select group_id, 1 as c, 0 as h, 0 as a from closed
            union all select group_id, 0, 1, 0 from changed
            union all select group_id, 0, 0, 1 from added) t
     group by group_id order by group_id";

const MANY_MEMBERS: &str = "
    s as (select * from unnest($3::text[], $4::boolean[], $5::bigint[]) as s (group_id, absence, ended_at)),
    closed as (
        update directory.membership m set until_at = s.ended_at, version = $2
          from s
         where m.dir = $1 and m.group_id = s.group_id and s.absence and m.until_at is null
           and not exists (select from r
                            where r.group_id = m.group_id and r.kind = m.kind and r.member = m.member)
        returning m.group_id),
    changed as (
        update directory.membership m set role = r.role, version = $2
          from r
         where m.dir = $1 and m.group_id = r.group_id and m.kind = r.kind and m.member = r.member
           and m.until_at is null and m.role <> r.role
        returning m.group_id),
    added as (
        insert into directory.membership (dir, group_id, kind, member, role, since_at, version)
        select $1, r.group_id, r.kind, r.member, r.role, s.ended_at, $2
          from r join s on s.group_id = r.group_id
         where not exists (select from directory.membership m
                            where m.dir = $1 and m.group_id = r.group_id and m.kind = r.kind
                              and m.member = r.member and m.until_at is null)
        returning group_id)
    select group_id, sum(c)::bigint, sum(h)::bigint, sum(a)::bigint
      from (select group_id, 1 as c, 0 as h, 0 as a from closed
            union all select group_id, 0, 1, 0 from changed
            union all select group_id, 0, 0, 1 from added) t
     group by group_id order by group_id";

/// What closes the rows of a list that a complete read did not see: whether, and when it began and ended.
fn closing(list: Option<ListRead>) -> (bool, i64, i64) {
    match list {
        Some(list) if list.complete => (true, list.began_at.0, list.ended_at.0),
        _ => (false, 0, 0),
    }
}

/// Makes a temporary table once per connection; its rows go with the transaction.
async fn temporary(tx: &Transaction<'_>, name: &str, columns: &str) -> Result<(), StoreError> {
    let rows = sql::query(tx, "select to_regclass('pg_temp.' || $1) is null", &[&name]).await?;
    if rows.first().map(|row| row.try_get::<_, bool>(0)).transpose()?.unwrap_or(true) {
        tx.batch_execute(&format!("create temporary table {name} ({columns}) on commit delete rows")).await?;
    }
    Ok(())
}

/// Rows on their way into a temporary table by binary COPY.
struct Load {
    writer: Pin<Box<BinaryCopyInWriter>>,
    name: &'static str,
}

impl Load {
    async fn begin(
        tx: &Transaction<'_>,
        name: &'static str,
        columns: &str,
        types: &[Type],
    ) -> Result<Self, StoreError> {
        temporary(tx, name, columns).await?;
        tx.batch_execute(sql::MANY).await?;
        let sink = tx.copy_in(&format!("copy pg_temp.{name} from stdin (format binary)")).await?;
        Ok(Self { writer: Box::pin(BinaryCopyInWriter::new(sink, types)), name })
    }

    async fn row(&mut self, values: &[&(dyn ToSql + Sync)]) -> Result<(), StoreError> {
        Ok(self.writer.as_mut().write(values).await?)
    }

    /// Ends the COPY and lets the optimizer know how many rows there are.
    async fn finish(mut self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        self.writer.as_mut().finish().await?;
        Ok(tx.batch_execute(&format!("analyze pg_temp.{}", self.name)).await?)
    }
}

/// Users: new, changed, back, gone.
pub(super) async fn users(
    tx: &Transaction<'_>,
    dir: i32,
    version: u64,
    folded: &Folded,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    let (complete, began, ended) = closing(folded.users_list);
    if folded.users.is_empty() && !complete {
        return Ok(());
    }
    let seen: Vec<_> = folded
        .users
        .iter()
        .filter_map(|(id, u)| u.body.as_ref().map(|body| (id.as_str(), body, u.began_at.0)))
        .collect();
    let gone: Vec<_> = folded.users.iter().filter(|(_, u)| u.body.is_none()).collect();
    let gone_ids: Vec<&str> = gone.iter().map(|(id, _)| id.as_str()).collect();
    let gone_began: Vec<i64> = gone.iter().map(|(_, u)| u.began_at.0).collect();
    let gone_ended: Vec<i64> = gone.iter().map(|(_, u)| u.ended_at.0).collect();
    let few = seen.len() <= FEW;
    let version_now = sql::big(version);
    let g = "g as (select * from unnest($7::text[], $8::bigint[], $9::bigint[]) as g (id, began_at, ended_at))";
    let common: [&(dyn ToSql + Sync); 9] =
        [&dir, &version_now, &few, &complete, &began, &ended, &gone_ids, &gone_began, &gone_ended];
    let rows = if few {
        let ids: Vec<&str> = seen.iter().map(|(id, ..)| *id).collect();
        let bodies: Vec<&str> = seen.iter().map(|(_, (body, ..), _)| body.as_str()).collect();
        let listed: Vec<bool> = seen.iter().map(|(_, (_, listed, _), _)| *listed).collect();
        let emails: Vec<Option<&str>> = seen.iter().map(|(_, (.., email), _)| email.as_deref()).collect();
        let at: Vec<i64> = seen.iter().map(|(.., at)| *at).collect();
        let mut params = common.to_vec();
        params.extend([&ids as &(dyn ToSql + Sync), &emails, &listed, &bodies, &at]);
        let r = "r as (select * from unnest($10::text[], $11::text[], $12::boolean[], $13::text[], $14::bigint[])
                       as r (id, email_key, listed, body, seen_at))";
        sql::query(tx, &format!("with {r}, {g}, {}", found(USERS, "directory.user_row", few)), &params).await?
    } else {
        let columns = "id text collate \"C\", email_key text collate \"C\", listed boolean,
                       body text collate \"C\", seen_at bigint";
        let types = [Type::TEXT, Type::TEXT, Type::BOOL, Type::TEXT, Type::INT8];
        let mut load = Load::begin(tx, "incoming_user", columns, &types).await?;
        for (id, (body, listed, email), at) in &seen {
            load.row(&[id, email, listed, body, at]).await?;
        }
        load.finish(tx).await?;
        let r = "r as not materialized (select * from pg_temp.incoming_user)";
        sql::query(tx, &format!("with {r}, {g}, {}", found(USERS, "directory.user_row", few)), &common).await?
    };
    for row in &rows {
        committed.users.push(sql::Columns::account(row, "directory.user_row", 0)?);
        committed.users_gone += u64::from(row.try_get::<_, bool>(1)?);
    }
    Ok(())
}

/// Groups: new, changed, back, gone.
pub(super) async fn groups(
    tx: &Transaction<'_>,
    dir: i32,
    version: u64,
    folded: &Folded,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    let (complete, began, ended) = closing(folded.groups_list);
    if folded.groups.is_empty() && !complete {
        return Ok(());
    }
    let seen: Vec<_> = folded
        .groups
        .iter()
        .filter_map(|(id, g)| g.body.as_ref().map(|body| (id.as_str(), body, g.began_at.0)))
        .collect();
    let gone: Vec<_> = folded.groups.iter().filter(|(_, g)| g.body.is_none()).collect();
    let gone_ids: Vec<&str> = gone.iter().map(|(id, _)| id.as_str()).collect();
    let gone_began: Vec<i64> = gone.iter().map(|(_, g)| g.began_at.0).collect();
    let gone_ended: Vec<i64> = gone.iter().map(|(_, g)| g.ended_at.0).collect();
    let few = seen.len() <= FEW;
    let version_now = sql::big(version);
    let g = "g as (select * from unnest($7::text[], $8::bigint[], $9::bigint[]) as g (id, began_at, ended_at))";
    let common: [&(dyn ToSql + Sync); 9] =
        [&dir, &version_now, &few, &complete, &began, &ended, &gone_ids, &gone_began, &gone_ended];
    let rows = if few {
        let ids: Vec<&str> = seen.iter().map(|(id, ..)| *id).collect();
        let bodies: Vec<&str> = seen.iter().map(|(_, body, _)| body.as_str()).collect();
        let at: Vec<i64> = seen.iter().map(|(.., at)| *at).collect();
        let mut params = common.to_vec();
        params.extend([&ids as &(dyn ToSql + Sync), &bodies, &at]);
        let r = "r as (select * from unnest($10::text[], $11::text[], $12::bigint[]) as r (id, body, seen_at))";
        sql::query(tx, &format!("with {r}, {g}, {}", found(GROUPS, "directory.group_row", few)), &params).await?
    } else {
        let columns = "id text collate \"C\", body text collate \"C\", seen_at bigint";
        let types = [Type::TEXT, Type::TEXT, Type::INT8];
        let mut load = Load::begin(tx, "incoming_group", columns, &types).await?;
        for (id, body, at) in &seen {
            load.row(&[id, body, at]).await?;
        }
        load.finish(tx).await?;
        let r = "r as not materialized (select * from pg_temp.incoming_group)";
        sql::query(tx, &format!("with {r}, {g}, {}", found(GROUPS, "directory.group_row", few)), &common).await?
    };
    for row in &rows {
        committed.groups.push(sql::Columns::group(row, "directory.group_row", 0)?);
        committed.groups_gone += u64::from(row.try_get::<_, bool>(1)?);
    }
    Ok(())
}

/// Members of the groups that were walked.
pub(super) async fn members(
    tx: &Transaction<'_>,
    dir: i32,
    version: u64,
    folded: Folded,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    if folded.members.is_empty() {
        return Ok(());
    }
    let stored = stored_scopes(tx, dir, folded.members.keys()).await?;
    let mut marks: Vec<(GroupId, Walk, Option<Scope>)> = Vec::with_capacity(folded.members.len());
    for (group, mut walk) in folded.members {
        let scope = stored.get(&group).cloned();
        if let Some(scope) = &scope {
            if scope.complete_began_at.is_some_and(|newer| newer > walk.began_at) {
                committed.outdated += 1;
                continue;
            }
            if scope.began_at > walk.began_at {
                // A newer partial read is in: this one proves nothing any more, it still adds.
                (walk.proves_absence, walk.complete, walk.exact) = (false, false, false);
            }
        }
        marks.push((group, walk, scope));
    }
    let changed: BTreeSet<GroupId> = {
        let differing: Vec<(&GroupId, &Walk)> = marks
            .iter()
            .filter(|(_, walk, scope)| {
                let known = scope.as_ref().and_then(|scope| scope.content);
                !(walk.exact && known.is_some() && known == Some(walk.content()))
            })
            .map(|(group, walk, _)| (group, walk))
            .collect();
        compare(tx, dir, version, &differing, committed).await?
    };
    committed.member_groups.extend(changed.iter().cloned());
    let rows: Vec<Mark> =
        marks.iter().map(|(group, walk, scope)| mark(group, walk, scope.as_ref(), &changed)).collect();
    write_marks(tx, dir, version, &rows).await
}

/// Closes, changes and adds rows of the groups whose content may differ.
async fn compare(
    tx: &Transaction<'_>,
    dir: i32,
    version: u64,
    walks: &[(&GroupId, &Walk)],
    committed: &mut Committed,
) -> Result<BTreeSet<GroupId>, StoreError> {
    if walks.is_empty() {
        return Ok(BTreeSet::new());
    }
    let groups: Vec<&str> = walks.iter().map(|(group, _)| group.as_str()).collect();
    let absence: Vec<bool> = walks.iter().map(|(_, walk)| walk.proves_absence).collect();
    let ended: Vec<i64> = walks.iter().map(|(_, walk)| walk.ended_at.0).collect();
    let version_now = sql::big(version);
    let common: [&(dyn ToSql + Sync); 5] = [&dir, &version_now, &groups, &absence, &ended];
    let mut incoming: Vec<(&str, i16, &str, i16)> = Vec::new();
    for (group, walk) in walks {
        for (kind, role) in &walk.seen {
            incoming.push((group.as_str(), i16::from(kind_number(kind)), kind.id(), i16::from(role_number(*role))));
        }
    }
    let rows = if incoming.len() <= FEW_EDGES {
        let of: Vec<&str> = incoming.iter().map(|(group, ..)| *group).collect();
        let kinds: Vec<i16> = incoming.iter().map(|(_, kind, ..)| *kind).collect();
        let ids: Vec<&str> = incoming.iter().map(|(_, _, id, _)| *id).collect();
        let roles: Vec<i16> = incoming.iter().map(|(.., role)| *role).collect();
        let mut params = common.to_vec();
        params.extend([&of as &(dyn ToSql + Sync), &kinds, &ids, &roles]);
        let r = "r as (select * from unnest($6::text[], $7::smallint[], $8::text[], $9::smallint[])
                       as r (group_id, kind, member, role))";
        sql::query(tx, &format!("with {r}, {FEW_MEMBERS}"), &params).await?
    } else {
        let columns = "group_id text collate \"C\", kind smallint, member text collate \"C\", role smallint";
        let types = [Type::TEXT, Type::INT2, Type::TEXT, Type::INT2];
        let mut load = Load::begin(tx, "incoming_member", columns, &types).await?;
        for (group, kind, id, role) in &incoming {
            load.row(&[group, kind, id, role]).await?;
        }
        load.finish(tx).await?;
        let r = "r as not materialized (select * from pg_temp.incoming_member)";
        sql::query(tx, &format!("with {r}, {MANY_MEMBERS}"), &common).await?
    };
    let mut changed = BTreeSet::new();
    for row in &rows {
        changed.insert(sql::Columns::group(row, "directory.membership", 0)?);
        committed.members_removed += sql::Columns::number(row, 1)?;
        committed.roles_changed += sql::Columns::number(row, 2)?;
        committed.members_added += sql::Columns::number(row, 3)?;
    }
    Ok(changed)
}

/// The newest answer of each fact.
pub(super) async fn answers(
    tx: &Transaction<'_>,
    dir: i32,
    version: u64,
    answers: &[Corroboration],
) -> Result<u64, StoreError> {
    let newest: BTreeMap<String, &Corroboration> = answers.iter().map(|answer| (answer.fact.key(), answer)).collect();
    let facts: Vec<&str> = newest.keys().map(String::as_str).collect();
    let numbers: Vec<i16> = newest.values().map(|answer| answer_number(answer.answer)).collect();
    let read_at: Vec<i64> = newest.values().map(|answer| answer.read_at.0).collect();
    sql::execute(
        tx,
        "insert into directory.corroboration as c (dir, fact, answer, read_at, version)
         select $1, r.fact, r.answer, r.read_at, $2
           from unnest($3::text[], $4::smallint[], $5::bigint[]) as r (fact, answer, read_at)
         on conflict (dir, fact) do update
            set answer = excluded.answer, read_at = excluded.read_at, version = excluded.version
          where c.read_at <= excluded.read_at",
        &[&dir, &sql::big(version), &facts, &numbers, &read_at],
    )
    .await
}

/// The number of an answer in rows.
pub(super) const fn answer_number(answer: Answer) -> i16 {
    match answer {
        Answer::Gone => 0,
        Answer::Holds => 1,
        Answer::NoPointRead => 2,
    }
}

/// Reads the number of an answer.
pub(super) const fn answer_of(number: i16) -> Option<Answer> {
    match number {
        0 => Some(Answer::Gone),
        1 => Some(Answer::Holds),
        2 => Some(Answer::NoPointRead),
        _ => None,
    }
}

/// Ids of users as text, for arrays.
pub(super) fn texts(ids: &[AccountId]) -> Vec<&str> {
    ids.iter().map(AccountId::as_str).collect()
}
