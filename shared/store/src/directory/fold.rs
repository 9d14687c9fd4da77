//! Several readings folded into one: what the last of them to look at each thing saw of it.
//!
//! Changes arrive one by one and are committed together. Folding keeps what each read proved: a complete walk of a group
//! followed by a partial one stays a proof of absence for whatever neither saw.

use std::collections::BTreeMap;

use model::{AccountId, Digest, Group, GroupId, Member, MemberKind, Reading, Role, Time, User, members_digest};
use sha2::{Digest as _, Sha256};

use super::commit::Pass;
use crate::sql;

/// What is to be written, as rows.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) users: BTreeMap<AccountId, UserSeen>,
    pub(super) groups: BTreeMap<GroupId, GroupSeen>,
    pub(super) members: BTreeMap<GroupId, Walk>,
    /// Complete lists: when the pass began and ended.
    pub(super) users_list: Option<ListRead>,
    pub(super) groups_list: Option<ListRead>,
    pub(super) whole: bool,
}

/// A user that was seen (`Some`) or proven gone.
#[derive(Debug)]
pub(super) struct UserSeen {
    pub(super) body: Option<(String, bool, Option<String>)>,
    pub(super) began_at: Time,
    pub(super) ended_at: Time,
}

/// A group that was seen (`Some`) or proven gone.
#[derive(Debug)]
pub(super) struct GroupSeen {
    pub(super) body: Option<String>,
    pub(super) began_at: Time,
    pub(super) ended_at: Time,
}

/// A pass over a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListRead {
    pub(super) began_at: Time,
    pub(super) ended_at: Time,
    pub(super) complete: bool,
    pub(super) rows: i64,
}

/// What walks of one group saw, together.
#[derive(Debug)]
pub(super) struct Walk {
    /// A complete walk is part of it: what is not in `seen` is gone.
    pub(super) proves_absence: bool,
    /// The last walk was complete.
    pub(super) complete: bool,
    /// `seen` is exactly what a complete walk saw.
    pub(super) exact: bool,
    pub(super) seen: BTreeMap<MemberKind, Role>,
    pub(super) began_at: Time,
    pub(super) ended_at: Time,
}

impl Walk {
    /// The digest of the ids, as every side computes it.
    pub(super) fn digest(&self) -> Digest {
        let mut ids: Vec<&str> = self.seen.keys().map(MemberKind::id).collect();
        ids.sort_unstable();
        ids.dedup();
        members_digest(ids)
    }

    /// The digest of all that a membership row holds: equal content needs no comparison of rows.
    pub(super) fn content(&self) -> Digest {
        let mut hasher = Sha256::new();
        for (kind, role) in &self.seen {
            hasher.update([kind_number(kind), role_number(*role)]);
            hasher.update(u32::try_from(kind.id().len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(kind.id().as_bytes());
        }
        Digest(hasher.finalize().into())
    }
}

/// The number of a member's kind in rows.
pub(super) const fn kind_number(kind: &MemberKind) -> u8 {
    match kind {
        MemberKind::User(_) => 0,
        MemberKind::Group(_) => 1,
        MemberKind::Everyone(_) => 2,
        MemberKind::Other(_) => 3,
    }
}

/// The number of a role in rows.
pub(super) const fn role_number(role: Role) -> u8 {
    match role {
        Role::Owner => 0,
        Role::Manager => 1,
        Role::Member => 2,
    }
}

/// Folds readings in the order in which they are given.
pub(super) fn fold(pass: Pass, readings: &[Reading]) -> Folded {
    let mut folded = Folded::default();
    for reading in readings {
        fold_users(&mut folded, pass, reading);
        fold_groups(&mut folded, pass, reading);
        for read in &reading.members {
            let walk = Walk {
                proves_absence: read.complete,
                complete: read.complete,
                exact: read.complete,
                seen: read.seen.iter().map(|Member { kind, role }| (clean_kind(kind), *role)).collect(),
                began_at: read.began_at,
                ended_at: reading.ended_at,
            };
            match folded.members.get_mut(&read.group) {
                Some(before) if !read.complete => merge_partial(before, walk),
                Some(before) if before.proves_absence && before.began_at > read.began_at => {}
                _ => {
                    folded.members.insert(read.group.clone(), walk);
                }
            }
        }
        folded.whole |= pass == Pass::Sweep && reading.is_whole();
    }
    folded
}

/// Ids of kinds that are not typed ids may hold what PostgreSQL cannot.
fn clean_kind(kind: &MemberKind) -> MemberKind {
    match kind {
        MemberKind::Everyone(id) => MemberKind::Everyone(sql::clean(id)),
        MemberKind::Other(id) => MemberKind::Other(sql::clean(id)),
        typed => typed.clone(),
    }
}

fn merge_partial(before: &mut Walk, partial: Walk) {
    before.complete = false;
    before.exact = false;
    before.seen.extend(partial.seen);
    before.ended_at = before.ended_at.max(partial.ended_at);
}

fn fold_users(folded: &mut Folded, pass: Pass, reading: &Reading) {
    let (began_at, ended_at) = (reading.began_at, reading.ended_at);
    for user in &reading.users.seen {
        folded.users.insert(user.id.clone(), UserSeen { body: Some(user_body(user)), began_at, ended_at });
    }
    for id in &reading.users.gone {
        folded.users.insert(id.clone(), UserSeen { body: None, began_at, ended_at });
    }
    let complete = reading.users.complete;
    if complete || pass == Pass::Sweep {
        let listed = reading.users.seen.iter().filter(|user| user.standing == model::Standing::Listed).count();
        let rows = i64::try_from(listed).unwrap_or(i64::MAX);
        folded.users_list = Some(ListRead { began_at, ended_at, complete, rows });
    }
}

fn fold_groups(folded: &mut Folded, pass: Pass, reading: &Reading) {
    let (began_at, ended_at) = (reading.began_at, reading.ended_at);
    for group in &reading.groups.seen {
        folded.groups.insert(group.id.clone(), GroupSeen { body: Some(group_body(group)), began_at, ended_at });
    }
    for id in &reading.groups.gone {
        folded.groups.insert(id.clone(), GroupSeen { body: None, began_at, ended_at });
    }
    let complete = reading.groups.complete;
    if complete || pass == Pass::Sweep {
        let rows = i64::try_from(reading.groups.seen.len()).unwrap_or(i64::MAX);
        folded.groups_list = Some(ListRead { began_at, ended_at, complete, rows });
    }
}

fn user_body(user: &User) -> (String, bool, Option<String>) {
    let key = user.email.as_ref().map(|email| sql::clean(email.key()));
    (sql::json_text(user), user.standing == model::Standing::Listed, key)
}

fn group_body(group: &Group) -> String {
    sql::json_text(group)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use model::MembersRead;

    fn walk(group: &str, users: &[&str], complete: bool, at: i64) -> Reading {
        let mut reading = Reading::begun(Time(at));
        reading.ended_at = Time(at + 1);
        reading.members.push(MembersRead {
            group: GroupId::new(group).unwrap(),
            seen: users
                .iter()
                .map(|id| Member { kind: MemberKind::User(AccountId::new(id).unwrap()), role: Role::Member })
                .collect(),
            complete,
            began_at: Time(at),
        });
        reading
    }

    #[test]
    fn a_partial_walk_after_a_complete_one_adds_and_keeps_the_proof() {
        let folded = fold(Pass::Targeted, &[walk("g", &["a"], true, 1), walk("g", &["b"], false, 5)]);
        let walk = &folded.members[&GroupId::new("g").unwrap()];
        assert!(walk.proves_absence && !walk.complete && !walk.exact);
        assert_eq!(walk.seen.len(), 2);
        assert_eq!(walk.began_at, Time(1), "absence was proven then, not later");
    }

    #[test]
    fn a_complete_walk_replaces_what_was_seen_before() {
        let folded = fold(Pass::Targeted, &[walk("g", &["a", "b"], false, 1), walk("g", &["b"], true, 5)]);
        let walk = &folded.members[&GroupId::new("g").unwrap()];
        assert!(walk.proves_absence && walk.exact);
        assert_eq!(walk.seen.len(), 1);
    }

    #[test]
    fn a_targeted_pass_says_nothing_about_the_lists() {
        let reading = Reading::begun(Time(1));
        assert!(fold(Pass::Targeted, std::slice::from_ref(&reading)).users_list.is_none());
        assert!(fold(Pass::Sweep, &[reading]).users_list.is_some_and(|list| !list.complete));
    }
}
