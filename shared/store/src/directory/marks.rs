//! Read marks: when a scope was read, how completely, and with which digest.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use model::{Digest, GroupId, Time};

use super::fold::{Folded, Walk};
use crate::{StoreError, sql};

/// What is stored about the last reads of a group's members.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) began_at: Time,
    pub(super) complete_began_at: Option<Time>,
    pub(super) digest: Option<Digest>,
    pub(super) content: Option<Digest>,
}

pub(super) async fn stored_scopes(
    tx: &Transaction<'_>,
    dir: i32,
    groups: impl Iterator<Item = &GroupId>,
) -> Result<BTreeMap<GroupId, Scope>, StoreError> {
    let groups: Vec<&str> = groups.map(GroupId::as_str).collect();
    // The limit makes it so that each is looked up by its key, however many groups there are.
    let select = "select s.group_id, s.began_at, s.complete_began_at, s.digest, s.content
                    from unnest($2::text[]) as r (group_id)
                   cross join lateral (select * from directory.scope_read m
                                        where m.dir = $1 and m.kind = 2 and m.group_id = r.group_id limit 1) s";
    let mut scopes = BTreeMap::new();
    for row in sql::query(tx, select, &[&dir, &groups]).await? {
        let digest = |column| -> Result<Option<Digest>, StoreError> {
            match row.try_get::<_, Option<&[u8]>>(column)? {
                Some(_) => sql::Columns::digest(&row, "directory.scope_read", column).map(Some),
                None => Ok(None),
            }
        };
        let scope = Scope {
            began_at: Time(row.try_get(1)?),
            complete_began_at: row.try_get::<_, Option<i64>>(2)?.map(Time),
            digest: digest(3)?,
            content: digest(4)?,
        };
        scopes.insert(sql::Columns::group(&row, "directory.scope_read", 0)?, scope);
    }
    Ok(scopes)
}

/// A read mark to write.
pub(super) struct Mark {
    kind: i16,
    group: String,
    began_at: i64,
    ended_at: i64,
    complete: bool,
    absence: bool,
    rows: i64,
    digest: Option<Digest>,
    content: Option<Digest>,
}

pub(super) fn mark(group: &GroupId, walk: &Walk, scope: Option<&Scope>, changed: &BTreeSet<GroupId>) -> Mark {
    let (digest, content) = match scope {
        _ if walk.exact => (Some(walk.digest()), Some(walk.content())),
        // A partial read that changed nothing leaves the rows as the last complete read saw them.
        Some(scope) if !walk.proves_absence && !changed.contains(group) => (scope.digest, scope.content),
        _ => (None, None),
    };
    Mark {
        kind: 2,
        group: group.to_string(),
        began_at: walk.began_at.0,
        ended_at: walk.ended_at.0,
        complete: walk.complete,
        absence: walk.proves_absence,
        rows: i64::try_from(walk.seen.len()).unwrap_or(i64::MAX),
        digest,
        content,
    }
}

/// The marks of the lists of users and groups.
pub(super) async fn lists(tx: &Transaction<'_>, dir: i32, version: u64, folded: &Folded) -> Result<(), StoreError> {
    let marks: Vec<Mark> = [(0, folded.users_list), (1, folded.groups_list)]
        .into_iter()
        .filter_map(|(kind, list)| list.map(|list| (kind, list)))
        .map(|(kind, list)| Mark {
            kind,
            group: String::new(),
            began_at: list.began_at.0,
            ended_at: list.ended_at.0,
            complete: list.complete,
            absence: list.complete,
            rows: list.rows,
            digest: None,
            content: None,
        })
        .collect();
    write_marks(tx, dir, version, &marks).await
}

pub(super) async fn write_marks(
    tx: &Transaction<'_>,
    dir: i32,
    version: u64,
    marks: &[Mark],
) -> Result<(), StoreError> {
    if marks.is_empty() {
        return Ok(());
    }
    let kinds: Vec<i16> = marks.iter().map(|m| m.kind).collect();
    let groups: Vec<&str> = marks.iter().map(|m| m.group.as_str()).collect();
    let began: Vec<i64> = marks.iter().map(|m| m.began_at).collect();
    let ended: Vec<i64> = marks.iter().map(|m| m.ended_at).collect();
    let complete: Vec<bool> = marks.iter().map(|m| m.complete).collect();
    let absence: Vec<bool> = marks.iter().map(|m| m.absence).collect();
    let rows: Vec<i64> = marks.iter().map(|m| m.rows).collect();
    let digests: Vec<Option<&[u8]>> = marks.iter().map(|m| m.digest.as_ref().map(|d| d.0.as_slice())).collect();
    let contents: Vec<Option<&[u8]>> = marks.iter().map(|m| m.content.as_ref().map(|d| d.0.as_slice())).collect();
    sql::execute(
        tx,
        "insert into directory.scope_read as s (dir, kind, group_id, began_at, complete_began_at, ended_at, complete,
                                                rows_now, rows_before, digest, content, version)
         select $1, r.kind, r.group_id, r.began_at, case when r.absence then r.began_at end, r.ended_at, r.complete,
                case when r.absence then r.rows_now else 0 end, 0, r.digest, r.content, $2
           from unnest($3::smallint[], $4::text[], $5::bigint[], $6::bigint[], $7::boolean[], $8::boolean[],
                       $9::bigint[], $10::bytea[], $11::bytea[])
                as r (kind, group_id, began_at, ended_at, complete, absence, rows_now, digest, content)
         on conflict (dir, kind, group_id) do update
            set began_at = greatest(s.began_at, excluded.began_at),
                complete_began_at = greatest(s.complete_began_at, excluded.complete_began_at),
                ended_at = greatest(s.ended_at, excluded.ended_at),
                complete = excluded.complete,
                rows_now = case when excluded.complete_began_at is null then s.rows_now else excluded.rows_now end,
                rows_before = case when excluded.complete_began_at is null then s.rows_before
                                   when s.version <= (select coalesce(max(p.version), 0)
                                                        from directory.directory d
                                                        join plan.progress p using (tenant, directory)
                                                       where d.key = s.dir) then s.rows_now
                                   else greatest(s.rows_before, s.rows_now) end,
                digest = excluded.digest, content = excluded.content, version = excluded.version",
        &[&dir, &sql::big(version), &kinds, &groups, &began, &ended, &complete, &absence, &rows, &digests, &contents],
    )
    .await?;
    Ok(())
}
