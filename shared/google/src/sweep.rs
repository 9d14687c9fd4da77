//! One pass over everything.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use model::{AccountId, Group, GroupId, Lane, MembersRead, Reading, Time, User};
use outbound::{Progress, ReadError, Scope, Stage};

use crate::page::{List, Walk, walk};
use crate::reader::GoogleReader;
use crate::wire::{
    DELETED_FIELDS, GROUPS_FIELDS, MEMBERS_FIELDS, SeenMember, USERS_FIELDS, WireDeleted, WireGroup, WireMember,
    WireUser,
};

/// Largest page of users.list.
const USERS_PAGE: &str = "500";
/// Largest page of groups.list and members.list. The maximum of groups.list is prose only (reference/google.md §1.5).
const PAGE: &str = "200";
/// The same as a number.
const PAGE_ROWS: usize = 200;

/// What a walk of one group's members saw.
pub(crate) struct Walked {
    pub(crate) members: Vec<SeenMember>,
    pub(crate) complete: bool,
    pub(crate) began_at: Time,
    pub(crate) error: Option<ReadError>,
}

/// What became of one group of a sweep.
struct Visited {
    group: GroupId,
    walked: Walked,
    /// The group was gone when its members were asked for, confirmed by two reads by id.
    gone: bool,
}

impl Walked {
    pub(crate) fn read(&self, group: &GroupId) -> MembersRead {
        let mut seen: BTreeMap<&str, _> = BTreeMap::new();
        for member in &self.members {
            seen.insert(member.member.kind.id(), member.member.clone());
        }
        MembersRead {
            group: group.clone(),
            seen: seen.into_values().collect(),
            complete: self.complete,
            began_at: self.began_at,
        }
    }
}

impl GoogleReader {
    pub(crate) async fn sweep_all(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        let mut reading = Reading::begun(self.client.now());
        let as_of = self.known.times();
        let (users, deleted, groups) =
            tokio::join!(self.users(progress), self.deleted(Lane::Bulk), self.groups(progress));
        // Every row says whose it is: no call of its own is needed to know.
        let customers: BTreeSet<&str> = users.rows.iter().filter_map(|user| user.customer_id.as_deref()).collect();
        if !customers.is_empty() {
            self.known.named(customers.into_iter(), as_of)?;
        }
        let counts = take_groups(&mut reading, &groups);
        take_users(&mut reading, users.rows, deleted);
        reading.users.complete = users.complete && self.plausible(&reading, progress);
        reading.groups.complete = groups.complete && !reading.groups.seen.is_empty();
        for error in [users.error, groups.error].into_iter().flatten() {
            if error.is_refusal() {
                return Err(error.about_us());
            }
            if reading.users.seen.is_empty() && reading.groups.seen.is_empty() {
                return Err(error);
            }
            progress.trouble(&error);
        }
        if self.take_members(&mut reading, &counts, scope, progress).await {
            // What is refused to us looks like what is gone: a pass that met a refusal proves nothing.
            reading.users.complete = false;
            reading.groups.complete = false;
        }
        if self.known.times() != as_of {
            self.same_customer().await?;
        }
        reading.ended_at = self.client.now();
        Ok(reading)
    }

    async fn users(&self, progress: &dyn Progress) -> Walk<WireUser> {
        let query = vec![
            ("customer", self.customer.clone()),
            ("maxResults", USERS_PAGE.to_owned()),
            ("projection", "full".to_owned()),
            ("fields", USERS_FIELDS.to_owned()),
        ];
        let template = "/admin/directory/v1/users";
        let list = List { template, values: &[], array: "users", query, lane: Lane::Bulk };
        walk(&self.client, &list, |done| progress.step(Stage::Users, done, None)).await
    }

    /// Those who were deleted in the last 20 days: positive evidence. Missing it costs nothing but time.
    pub(crate) async fn deleted(&self, lane: Lane) -> Vec<WireDeleted> {
        let query = vec![
            ("customer", self.customer.clone()),
            ("maxResults", USERS_PAGE.to_owned()),
            ("showDeleted", "true".to_owned()),
            ("fields", DELETED_FIELDS.to_owned()),
        ];
        let template = "/admin/directory/v1/users";
        let list = List { template, values: &[], array: "users", query, lane };
        walk(&self.client, &list, |_| ()).await.rows
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<WireGroup> {
        let query = vec![
            ("customer", self.customer.clone()),
            ("maxResults", PAGE.to_owned()),
            ("fields", GROUPS_FIELDS.to_owned()),
        ];
        let template = "/admin/directory/v1/groups";
        let list = List { template, values: &[], array: "groups", query, lane: Lane::Bulk };
        walk(&self.client, &list, |done| progress.step(Stage::Groups, done, None)).await
    }

    /// The groups that a person is a direct member of, groups of other customers included.
    pub(crate) async fn groups_of_user(&self, user: &AccountId) -> Result<Vec<GroupId>, ReadError> {
        let query =
            vec![("userKey", user.to_string()), ("maxResults", PAGE.to_owned()), ("fields", GROUPS_FIELDS.to_owned())];
        let template = "/admin/directory/v1/groups";
        let list = List { template, values: &[], array: "groups", query, lane: Lane::Normal };
        let walk = walk::<WireGroup>(&self.client, &list, |_| ()).await;
        match walk.error {
            // Somebody who is not the customer's, or is gone.
            Some(error) if matches!(error.code.as_str(), "notFound" | "forbidden") => Ok(Vec::new()),
            Some(error) => Err(error),
            None => Ok(walk.rows.into_iter().map(|row| row.id).collect()),
        }
    }

    /// Walks one group's members to the end.
    pub(crate) async fn walk_members(&self, group: &GroupId, lane: Lane) -> Walked {
        let query = vec![("maxResults", PAGE.to_owned()), ("fields", MEMBERS_FIELDS.to_owned())];
        let values = [group.as_str()];
        let template = "/admin/directory/v1/groups/{groupKey}/members";
        let list = List { template, values: &values, array: "members", query, lane };
        let walk = walk::<WireMember>(&self.client, &list, |_| ()).await;
        let rows = walk.rows.len();
        let members: Vec<SeenMember> = walk.rows.into_iter().filter_map(WireMember::seen).collect();
        let complete = walk.complete && members.len() == rows;
        Walked { members, complete, began_at: walk.began_at, error: walk.error }
    }

    /// Whether the list of users can be true: it holds somebody, and the administrator that we read as
    /// (reference/failure-modes.md, 1 and 22).
    fn plausible(&self, reading: &Reading, progress: &dyn Progress) -> bool {
        let ours = |user: &User| {
            let subject = self.subject.as_ref();
            subject.is_none_or(|subject| user.email.as_ref() == Some(subject) || user.aliases.contains(subject))
        };
        let plausible = if self.customer == "my_customer" {
            reading.users.seen.iter().any(ours)
        } else {
            !reading.users.seen.is_empty()
        };
        if !plausible {
            progress.trouble(&ReadError {
                disposition: model::Disposition::Retry { after: None },
                message: "the list of users lacks the administrator that we read as: it cannot be whole".to_owned(),
                code: "canary".to_owned(),
            });
        }
        plausible
    }

    /// Walks the groups in scope. True: the credentials were refused on the way.
    async fn take_members(
        &self,
        reading: &mut Reading,
        counts: &BTreeMap<GroupId, u64>,
        scope: &Scope,
        progress: &dyn Progress,
    ) -> bool {
        let wanted: Vec<GroupId> =
            reading.groups.seen.iter().filter(|group| scope.holds(group)).map(|group| group.id.clone()).collect();
        let (total, mut done) = (wanted.len() as u64, 0);
        let visits = wanted.into_iter().map(|group| {
            let count = counts.get(&group).copied();
            self.visit(group, count)
        });
        let mut visits = stream::iter(visits).buffer_unordered(self.parallel);
        let mut people = Outside::new(reading);
        let mut about_us = false;
        while let Some(visited) = visits.next().await {
            done += 1;
            progress.step(Stage::Members, done, Some(total));
            if let Some(error) = &visited.walked.error {
                progress.trouble(error);
                about_us |= error.is_about_us();
            }
            if visited.gone {
                reading.groups.seen.retain(|group| group.id != visited.group);
                reading.groups.gone.push(visited.group);
            } else {
                people.see(&visited.walked.members);
                reading.members.push(visited.walked.read(&visited.group));
            }
            if about_us {
                break;
            }
        }
        drop(visits);
        people.add_to(reading);
        reading.members.sort_by(|a, b| a.group.cmp(&b.group));
        about_us
    }

    /// Walks one group of a sweep. A walk that saw fewer members than Google counts is repeated once where the difference
    /// looks like a lost page: the count is a hint that may be stale, so the second walk is believed.
    async fn visit(&self, group: GroupId, count: Option<u64>) -> Visited {
        let mut walked = self.walk_members(&group, Lane::Bulk).await;
        let rows = walked.members.len();
        let short = count.is_some_and(|count| (rows as u64) < count);
        if walked.complete && short && (rows.is_multiple_of(PAGE_ROWS) || (rows as u64) * 2 < count.unwrap_or(0)) {
            let again = self.walk_members(&group, Lane::Bulk).await;
            if !again.complete || again.members.len() >= rows {
                walked = again;
            }
        }
        let missing = walked.error.as_ref().is_some_and(|error| error.code == "notFound");
        let gone = missing && matches!(self.get_group(&group, Lane::Bulk).await, Ok(None));
        if gone {
            walked.error = None;
        }
        Visited { group, walked, gone }
    }
}

/// Who is listed is there, whatever the other list says: both are read at the same time, and a person who was deleted in
/// between is found by the next pass.
fn take_users(reading: &mut Reading, listed: Vec<WireUser>, deleted: Vec<WireDeleted>) {
    let mut users: BTreeMap<AccountId, User> = BTreeMap::new();
    users.extend(deleted.into_iter().map(|row| (row.id.clone(), row.user())));
    users.extend(listed.into_iter().filter_map(|row| Some((row.id.clone(), row.user()?))));
    reading.users.seen = users.into_values().collect();
}

/// Groups by id, and how many members Google counts in each.
fn take_groups(reading: &mut Reading, walk: &Walk<WireGroup>) -> BTreeMap<GroupId, u64> {
    let mut counts = BTreeMap::new();
    let mut groups: BTreeMap<GroupId, Group> = BTreeMap::new();
    for row in &walk.rows {
        let (group, count) = row.clone().group();
        counts.extend(count.map(|count| (group.id.clone(), count)));
        groups.insert(group.id.clone(), group);
    }
    reading.groups.seen = groups.into_values().collect();
    counts
}

/// People and groups that are known by membership only.
struct Outside {
    people: BTreeMap<AccountId, User>,
    groups: BTreeMap<GroupId, Group>,
    known_people: BTreeSet<AccountId>,
    known_groups: BTreeSet<GroupId>,
}

impl Outside {
    fn new(reading: &Reading) -> Self {
        Self {
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            known_people: reading.users.seen.iter().map(|user| user.id.clone()).collect(),
            known_groups: reading.groups.seen.iter().map(|group| group.id.clone()).collect(),
        }
    }

    fn see(&mut self, members: &[SeenMember]) {
        for member in members {
            if let Some(user) = member.outsider().filter(|user| !self.known_people.contains(&user.id)) {
                self.people.insert(user.id.clone(), user);
            }
            if let Some(group) = member.opaque_group().filter(|group| !self.known_groups.contains(&group.id)) {
                self.groups.insert(group.id.clone(), group);
            }
        }
    }

    /// Who is not in a list that was not read to its end may be in it all the same.
    fn add_to(self, reading: &mut Reading) {
        if reading.users.complete {
            reading.users.seen.extend(self.people.into_values());
        }
        if reading.groups.complete {
            reading.groups.seen.extend(self.groups.into_values());
        }
    }
}
