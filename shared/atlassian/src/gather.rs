//! What all three APIs have in common: two listings, then one walk per group in scope.

use std::collections::BTreeMap;
use std::future::Future;

use futures_util::{StreamExt as _, stream};
use model::{AccountId, Group, GroupId, Lane, Member, MemberKind, MembersRead, Reading, Role, Time, User};
use outbound::{Client, Progress, ReadError, Scope, Stage};

/// What a walk saw.
#[derive(Debug, Clone)]
pub(crate) struct Walk<T> {
    pub(crate) rows: Vec<T>,
    /// Every page came, every row could be read, and the vendor's count agrees.
    pub(crate) complete: bool,
    /// Why the walk ended early, if it did.
    pub(crate) error: Option<ReadError>,
    /// When it began.
    pub(crate) began_at: Time,
}

impl<T> Walk<T> {
    pub(crate) fn begun(at: Time) -> Self {
        Self { rows: Vec::new(), complete: false, error: None, began_at: at }
    }

    pub(crate) fn failed(mut self, error: ReadError) -> Self {
        self.complete = false;
        self.error = Some(error);
        self
    }

    /// The walk as if it had seen nothing: what must be known of its rows, and protects them, was not told.
    pub(crate) fn untold(mut self, error: ReadError) -> Self {
        self.rows.clear();
        self.failed(error)
    }

    /// The walk has come to its end; so many rows could not be read.
    pub(crate) fn ended(mut self, call: &str, unreadable: usize) -> Self {
        self.complete = unreadable == 0;
        if unreadable > 0 {
            let text = format!("{unreadable} rows are of another shape than documented");
            self.error = Some(crate::error::shape(call, &text));
        }
        self
    }
}

/// Ids of a group's members as a reading has them.
pub(crate) fn members_read(group: &GroupId, walk: Walk<AccountId>) -> MembersRead {
    let mut ids = walk.rows;
    ids.sort_unstable();
    ids.dedup();
    let member = |id| Member { kind: MemberKind::User(id), role: Role::Member };
    MembersRead {
        group: group.clone(),
        seen: ids.into_iter().map(member).collect(),
        complete: walk.complete,
        began_at: walk.began_at,
    }
}

/// The same of a group that was read by itself: what was seen before a failure counts as a part, and a failure before
/// anything was seen as one.
pub(crate) fn members_alone(group: &GroupId, mut walk: Walk<AccountId>) -> Result<MembersRead, ReadError> {
    match walk.error.take() {
        Some(error) if walk.rows.is_empty() => Err(error),
        _ => Ok(members_read(group, walk)),
    }
}

/// Members of a group as a reading has them, whatever they are.
pub(crate) fn members_seen(group: &GroupId, walk: Walk<Member>) -> MembersRead {
    let mut seen = walk.rows;
    seen.sort_unstable();
    seen.dedup();
    MembersRead { group: group.clone(), seen, complete: walk.complete, began_at: walk.began_at }
}

/// A group whose members are to be walked, with the members where the listing told them.
pub(crate) struct Listed {
    pub(crate) group: Group,
    pub(crate) members: Option<Walk<AccountId>>,
}

impl From<Group> for Listed {
    fn from(group: Group) -> Self {
        Self { group, members: None }
    }
}

/// The three reads that a pass is made of.
pub(crate) trait Source: Sync {
    fn client(&self) -> &Client;
    /// How many groups are walked at once.
    fn parallel(&self) -> usize;
    fn users(&self, progress: &dyn Progress) -> impl Future<Output = Walk<User>> + Send;
    fn groups(&self, progress: &dyn Progress) -> impl Future<Output = Walk<Listed>> + Send;
    fn members(&self, group: &GroupId, lane: Lane) -> impl Future<Output = Walk<AccountId>> + Send;
    /// The members with those that are no accounts, where there are such.
    fn all_members(&self, group: &GroupId, lane: Lane) -> impl Future<Output = Walk<Member>> + Send {
        async move {
            let Walk { rows, complete, error, began_at } = self.members(group, lane).await;
            let member = |id| Member { kind: MemberKind::User(id), role: Role::Member };
            Walk { rows: rows.into_iter().map(member).collect(), complete, error, began_at }
        }
    }
    fn group(&self, group: &GroupId, lane: Lane) -> impl Future<Output = Result<Option<Group>, ReadError>> + Send;
    /// Groups that were read by themselves with what other lists say of them: who administrates through them, and which
    /// give a product. What protects a group in a pass must not be lost to a read of that group alone.
    fn with_roles(&self, groups: Vec<Group>, lane: Lane) -> impl Future<Output = Result<Vec<Group>, ReadError>> + Send {
        async move {
            let _ = lane;
            Ok(groups)
        }
    }
    fn user(&self, user: &AccountId, lane: Lane) -> impl Future<Output = Result<Option<User>, ReadError>> + Send;
    /// Whether a list without a single user can be true.
    fn may_be_empty(&self) -> bool;
}

/// One pass.
pub(crate) async fn sweep<S: Source>(source: &S, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
    let mut reading = Reading::begun(source.client().now());
    let (users, groups) = tokio::join!(source.users(progress), source.groups(progress));
    let nothing = users.rows.is_empty() && groups.rows.is_empty();
    for error in [&users.error, &groups.error].into_iter().flatten() {
        if error.is_refusal() {
            return Err(error.clone().about_us());
        }
        if nothing {
            return Err(error.clone());
        }
        progress.trouble(error);
    }
    let plausible = !users.rows.is_empty() || source.may_be_empty();
    reading.users.complete = users.complete && plausible;
    reading.groups.complete = groups.complete && plausible;
    let by_id: BTreeMap<AccountId, User> = users.rows.into_iter().map(|user| (user.id.clone(), user)).collect();
    reading.users.seen = by_id.into_values().collect();
    let listed: BTreeMap<GroupId, Listed> =
        groups.rows.into_iter().map(|listed| (listed.group.id.clone(), listed)).collect();
    if take_members(source, &mut reading, listed, scope, progress).await {
        // What is refused to us looks like what is gone: a pass that met a refusal proves nothing.
        reading.users.complete = false;
        reading.groups.complete = false;
    }
    reading.ended_at = source.client().now();
    Ok(reading)
}

/// Walks the groups in scope. True: the credentials were refused on the way.
async fn take_members<S: Source>(
    source: &S,
    reading: &mut Reading,
    listed: BTreeMap<GroupId, Listed>,
    scope: &Scope,
    progress: &dyn Progress,
) -> bool {
    let mut wanted = Vec::new();
    for listed in listed.into_values() {
        if scope.holds(&listed.group) {
            match listed.members {
                Some(walk) => reading.members.push(members_read(&listed.group.id, walk)),
                None => wanted.push(listed.group.id.clone()),
            }
        }
        reading.groups.seen.push(listed.group);
    }
    let (total, mut done) = (wanted.len() as u64, 0);
    let walks = wanted.into_iter().map(|group| async move {
        let walk = source.all_members(&group, Lane::Bulk).await;
        let missing = walk.error.as_ref().is_some_and(|error| error.code.contains("404"));
        let gone = missing && matches!(confirmed_gone(source, &group, Lane::Bulk).await, Ok(true));
        (group, walk, gone)
    });
    let mut walks = stream::iter(walks).buffer_unordered(source.parallel());
    let mut about_us = false;
    while let Some((group, walk, gone)) = walks.next().await {
        done += 1;
        progress.step(Stage::Members, done, Some(total));
        if gone {
            reading.groups.seen.retain(|seen| seen.id != group);
            reading.groups.gone.push(group);
            continue;
        }
        if let Some(error) = &walk.error {
            about_us |= error.is_about_us();
            progress.trouble(error);
        }
        reading.members.push(members_seen(&group, walk));
        if about_us {
            break;
        }
    }
    drop(walks);
    reading.members.sort_by(|a, b| a.group.cmp(&b.group));
    about_us
}

/// Reads groups with their members, and people, by id.
pub(crate) async fn reread<S: Source>(
    source: &S,
    groups: &[GroupId],
    users: &[AccountId],
) -> Result<Reading, ReadError> {
    let mut reading = Reading::begun(source.client().now());
    let groups = groups.iter().cloned().map(|id| async move {
        let group = twice(|| source.group(&id, Lane::Normal)).await;
        let walk = match &group {
            Ok(Some(_)) => Some(source.all_members(&id, Lane::Normal).await),
            _ => None,
        };
        (id, group, walk)
    });
    let mut groups = stream::iter(groups).buffered(source.parallel());
    while let Some((id, group, walk)) = groups.next().await {
        match group? {
            Some(group) => reading.groups.seen.push(group),
            None => reading.groups.gone.push(id.clone()),
        }
        let Some(walk) = walk else { continue };
        if let Some(error) = walk.error.clone().filter(ReadError::is_about_us) {
            return Err(error);
        }
        reading.members.push(members_seen(&id, walk));
    }
    drop(groups);
    reading.groups.seen = source.with_roles(reading.groups.seen, Lane::Normal).await?;
    let users = users.iter().cloned().map(|id| async move {
        let user = twice(|| source.user(&id, Lane::Normal)).await;
        (id, user)
    });
    let mut users = stream::iter(users).buffered(source.parallel());
    while let Some((id, user)) = users.next().await {
        match user? {
            Some(user) => reading.users.seen.push(user),
            None => reading.users.gone.push(id),
        }
    }
    reading.ended_at = source.client().now();
    Ok(reading)
}

/// One group as a pass would tell it; `None`: it is not found, twice.
pub(crate) async fn group_alone<S: Source>(source: &S, group: &GroupId) -> Result<Option<Group>, ReadError> {
    let Some(found) = twice(|| source.group(group, Lane::Normal)).await? else { return Ok(None) };
    Ok(source.with_roles(vec![found], Lane::Normal).await?.pop())
}

/// Whether a group is not found, twice.
pub(crate) async fn confirmed_gone<S: Source>(source: &S, group: &GroupId, lane: Lane) -> Result<bool, ReadError> {
    Ok(twice(|| source.group(group, lane)).await?.is_none())
}

/// Asks again before it believes that something is gone.
pub(crate) async fn twice<T, F: Future<Output = Result<Option<T>, ReadError>>>(
    read: impl Fn() -> F,
) -> Result<Option<T>, ReadError> {
    match read().await? {
        Some(found) => Ok(Some(found)),
        None => read().await,
    }
}
