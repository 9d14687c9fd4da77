//! What the source lost: the facts by which somebody was in a group and is no more, and whether they are proven.
//!
//! For every way down to a person the *first* fact that is gone matters: when all of those are proven gone, no way is
//! left. So a nested group that was taken out of another is one question, however many people it held.

use model::{AccountId, Answer, DirectoryId, Fact, GroupId, Span, Time, WaitWhy};
use policy::{Nested, Policy};

use crate::{
    flatten::{Graph, Opening, Walk, contributes},
    mirror::{GroupSlot, Mirror, ScopeRead},
    state::{Claim, TargetGroup},
};

/// A fact that is gone, and who was in by it.
#[derive(Debug, Clone)]
pub(crate) struct LostFact {
    pub(crate) source: usize,
    pub(crate) fact: Fact,
    pub(crate) gone_at: Time,
    /// Whether somebody can be asked about it. That everybody of the customer is a member no vendor tells by itself.
    askable: bool,
    /// The group whose members, read again, serve where no question can be asked.
    holder: u32,
    people: People,
}

#[derive(Debug, Clone)]
enum People {
    One(u32),
    Many(Vec<u32>),
    Everybody,
}

/// Whether a lost fact is proven gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It is.
    Gone,
    /// It has to be read by itself.
    Ask,
    /// It cannot be read by itself: a second complete read of the holder serves, after the lag.
    SecondRead(GroupId),
    /// It was read by itself and holds: whatever missed it is void.
    Holds(Option<GroupId>),
}

impl LostFact {
    pub(crate) fn concerns(&self, source: usize, person: u32) -> bool {
        self.source == source
            && match &self.people {
                People::One(one) => *one == person,
                People::Many(many) => many.binary_search(&person).is_ok(),
                People::Everybody => true,
            }
    }

    /// What is known about the fact now.
    pub(crate) fn proof(&self, mirror: &Mirror, lag: Span) -> Proof {
        let holder = mirror.group_at(self.holder);
        let again = || {
            let read = holder.map(|group| group.read).unwrap_or_default();
            let second = read.complete && read.complete_began_at.is_some_and(|began| began >= self.gone_at.plus(lag));
            match holder {
                _ if second => Proof::Gone,
                Some(group) => Proof::SecondRead(group.id.clone()),
                None => Proof::Ask,
            }
        };
        if !self.askable {
            return again();
        }
        let fact = &self.fact;
        match mirror.answer(fact) {
            Some(known) if known.answer == Answer::NoPointRead => again(),
            Some(known) if known.read_at < self.gone_at => Proof::Ask,
            Some(known) if known.answer == Answer::Gone => Proof::Gone,
            // A newer complete read that misses it again asks again; until then the read that missed it is void.
            Some(known) => match fact {
                Fact::Member { .. } | Fact::Nested { .. } => match holder {
                    Some(group) if group.read.complete_began_at.is_some_and(|began| began > known.read_at) => {
                        Proof::Ask
                    }
                    group => Proof::Holds(group.map(|group| group.id.clone())),
                },
                Fact::Group { .. } | Fact::User { .. } => Proof::Holds(None),
            },
            None => Proof::Ask,
        }
    }
}

/// All facts that are gone by which somebody was in this target group.
pub(crate) fn lost_facts(policy: &Policy, mirrors: &[Mirror], group: &TargetGroup, walk: &mut Walk) -> Vec<LostFact> {
    let mut lost = Vec::new();
    for claim in &group.claims {
        let (Some(rule), Some(mirror)) = (policy.rules.get(claim.rule), mirrors.get(claim.source)) else { continue };
        let opening = Opening { nested: rule.nested, roles: &rule.roles };
        if !claim.live {
            lost.extend(lost_group(mirror, claim.source, claim.group, opening, walk));
            continue;
        }
        walk.open(mirror, claim.group, opening, Graph::Current);
        for slot in walk.opened.clone() {
            if let Some(group) = mirror.group_at(slot) {
                lost_here(mirror, *claim, slot, group, opening, walk, &mut lost);
            }
        }
    }
    lost
}

fn lost_here(
    mirror: &Mirror,
    claim: Claim,
    slot: u32,
    group: &GroupSlot,
    opening: Opening<'_>,
    walk: &mut Walk,
    lost: &mut Vec<LostFact>,
) {
    let (source, directory) = (claim.source, mirror.directory());
    let member = |user| Fact::Member { directory: directory.clone(), group: group.id.clone(), user };
    for (person, gone_at) in &group.lost_people {
        let Some(user) = mirror.person(*person).map(|person| person.id.clone()) else { continue };
        let (fact, people) = (member(user), People::One(*person));
        lost.push(LostFact { source, fact, gone_at: *gone_at, askable: true, holder: slot, people });
    }
    if let Some((gone_at, customer)) = &group.lost_everyone {
        let of_group = || Fact::Group { directory: directory.clone(), group: group.id.clone() };
        let fact = AccountId::new(customer.as_str()).map_or_else(|_| of_group(), member);
        let people = People::Everybody;
        lost.push(LostFact { source, fact, gone_at: *gone_at, askable: false, holder: slot, people });
    }
    if opening.nested == Nested::Direct {
        return;
    }
    for (nested, gone_at) in &group.lost_nested {
        let Some(below) = mirror.group_at(*nested) else { continue };
        let fact = Fact::Nested { directory: directory.clone(), group: group.id.clone(), nested: below.id.clone() };
        let people = everybody_below(mirror, *nested, opening, walk);
        lost.push(LostFact { source, fact, gone_at: *gone_at, askable: true, holder: slot, people });
    }
    for packed in &group.nested {
        if mirror.group_at(packed.slot()).is_some_and(|nested| !contributes(nested)) {
            lost.extend(lost_group(mirror, source, packed.slot(), opening, walk));
        }
    }
}

/// A group that is gone, if it is: everybody who was below it.
fn lost_group(mirror: &Mirror, source: usize, slot: u32, opening: Opening<'_>, walk: &mut Walk) -> Option<LostFact> {
    let group = mirror.group_at(slot)?;
    let gone_at = group.row.as_ref()?.gone_at?;
    let fact = Fact::Group { directory: mirror.directory().clone(), group: group.id.clone() };
    let people = everybody_below(mirror, slot, opening, walk);
    Some(LostFact { source, fact, gone_at, askable: true, holder: slot, people })
}

/// Who is or was below a group, whatever the roles. Leaves the walk as it was not: callers have taken what they need.
fn everybody_below(mirror: &Mirror, slot: u32, opening: Opening<'_>, walk: &mut Walk) -> People {
    walk.open(mirror, slot, Opening { nested: opening.nested, ..opening }, Graph::WithLost);
    let mut people = Vec::new();
    for slot in &walk.opened {
        let Some(group) = mirror.group_at(*slot) else { continue };
        if group.holds_everyone() || group.lost_everyone.is_some() {
            return People::Everybody;
        }
        people.extend(group.people.iter().map(|packed| packed.slot()));
        people.extend(group.lost_people.iter().map(|(person, _)| *person));
    }
    people.sort_unstable();
    people.dedup();
    People::Many(people)
}

/// A source of this target of which nothing was ever read whole: nobody knows which groups it fills, and with whom. While
/// there is one, no absence at the target is proven by the others.
pub(crate) fn unseen(policy: &Policy, mirrors: &[Mirror], target: &DirectoryId) -> Option<WaitWhy> {
    let never = |source: &DirectoryId, list: fn(&Mirror) -> &ScopeRead| {
        let mirror = mirrors.iter().find(|mirror| mirror.directory() == source);
        mirror.is_none_or(|mirror| list(mirror).complete_began_at.is_none())
    };
    let by_groups = policy.rules.iter().filter(|rule| rule.to.contains(target)).map(|rule| &rule.from);
    let by_people = policy.provisions.iter().filter(|entry| {
        entry.to == *target && !(entry.default_groups.new.is_empty() && entry.default_groups.all.is_empty())
    });
    let of_groups = by_groups.filter(|source| never(source, Mirror::groups_read));
    let of_people = by_people.map(|entry| &entry.from).filter(|source| never(source, Mirror::users_read));
    of_groups.chain(of_people).min().map(|source| WaitWhy::CompleteRead { directory: source.clone(), group: None })
}

/// What was read before this moment says nothing about now.
pub(crate) fn oldest(policy: &Policy, directory: &DirectoryId, now: Time) -> Time {
    policy.directories.get(directory).map_or(Time::NEVER, |directory| now.minus(directory.stale_after()))
}

/// What keeps the source from proving any absence for this group, if anything does: a read that is missing, partial,
/// contradicted or too old. The first by ids, so that it does not depend on the order of rows.
pub(crate) fn gap(
    policy: &Policy,
    mirrors: &[Mirror],
    group: &TargetGroup,
    now: Time,
    walk: &mut Walk,
) -> Option<WaitWhy> {
    let mut gaps = Vec::new();
    for claim in &group.claims {
        let (Some(rule), Some(mirror)) = (policy.rules.get(claim.rule), mirrors.get(claim.source)) else { continue };
        let directory = mirror.directory();
        let oldest = oldest(policy, directory, now);
        let whole = |group: Option<GroupId>| WaitWhy::CompleteRead { directory: directory.clone(), group };
        let users = mirror.users_read();
        let without_users = !users.is_sound() || users.is_older_than(oldest);
        if claim.is_of_people() {
            gaps.extend(without_users.then(|| whole(None)));
            continue;
        }
        let lists = mirror.groups_read();
        if !lists.is_sound() || lists.is_older_than(oldest) {
            gaps.push(whole(None));
        }
        if !claim.live {
            continue;
        }
        walk.open(mirror, claim.group, Opening { nested: rule.nested, roles: &rule.roles }, Graph::Current);
        for slot in &walk.opened {
            let Some(group) = mirror.group_at(*slot) else { continue };
            if group.turned_unreadable() || !group.read.is_sound() || group.read.is_older_than(oldest) {
                gaps.push(whole(Some(group.id.clone())));
            }
            if group.holds_everyone() && without_users {
                gaps.push(whole(None));
            }
        }
    }
    gaps.into_iter().min()
}
