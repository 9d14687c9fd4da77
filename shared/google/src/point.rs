//! Reading one thing by itself.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use model::{AccountId, Answer as FactAnswer, Fact, Group, GroupId, Lane, Reading, User};
use outbound::{Answer, ReadError, Request, Sense};
use serde::de::DeserializeOwned;

use crate::error::{GoogleError, read_error, sense};
use crate::reader::GoogleReader;
use crate::wire::{GROUP_FIELDS, MEMBER_FIELDS, USER_FIELDS, WireDeleted, WireGroup, WireMember, WireUser};

const GET_USER: &str = "/admin/directory/v1/users/{userKey}";
const GET_GROUP: &str = "/admin/directory/v1/groups/{groupKey}";
const GET_MEMBER: &str = "/admin/directory/v1/groups/{groupKey}/members/{memberKey}";

/// What a read by id said.
enum Found<T> {
    Yes(T),
    /// Twice not found.
    No,
    /// It is not ours to ask.
    Forbidden,
}

impl GoogleReader {
    /// One group by id, address or alias. Not found must be said twice (reference/google.md §9).
    pub(crate) async fn get_group(&self, key: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        match self.get::<WireGroup>(GET_GROUP, &[key.as_str()], GROUP_FIELDS, lane).await? {
            Found::Yes(row) => Ok(Some(row.group().0)),
            Found::No => Ok(None),
            Found::Forbidden => Err(forbidden(GET_GROUP)),
        }
    }

    /// One person by id, address or alias. People of other domains are not found, or forbidden: both are `None`.
    pub(crate) async fn get_user(&self, key: &str, lane: Lane) -> Result<Option<User>, ReadError> {
        match self.get::<WireUser>(GET_USER, &[key], USER_FIELDS, lane).await? {
            Found::Yes(row) => Ok(row.user()),
            Found::No | Found::Forbidden => Ok(None),
        }
    }

    pub(crate) async fn verify_fact(&self, fact: &Fact) -> Result<FactAnswer, ReadError> {
        let lane = Lane::Urgent;
        let answer = match fact {
            Fact::Member { group, user, .. } => self.is_member(group, user.as_str(), lane).await?,
            Fact::Nested { group, nested, .. } => self.is_member(group, nested.as_str(), lane).await?,
            Fact::Group { group, .. } => {
                said(&self.get::<WireGroup>(GET_GROUP, &[group.as_str()], GROUP_FIELDS, lane).await?)
            }
            Fact::User { user, .. } => {
                said(&self.get::<WireUser>(GET_USER, &[user.as_str()], USER_FIELDS, lane).await?)
            }
        };
        Ok(answer)
    }

    /// Reads groups with their members, and people, by id.
    pub(crate) async fn reread_these(&self, groups: &[GroupId], users: &[AccountId]) -> Result<Reading, ReadError> {
        let mut reading = Reading::begun(self.client.now());
        let groups = groups.iter().cloned().map(|id| async move {
            let group = self.get_group(&id, Lane::Normal).await;
            let walked = match &group {
                Ok(Some(_)) => Some(self.walk_members(&id, Lane::Normal).await),
                _ => None,
            };
            (id, group, walked)
        });
        let mut groups = stream::iter(groups).buffered(self.parallel);
        while let Some((id, group, walked)) = groups.next().await {
            match group {
                // A group of another customer, in which one of our people is: not ours to read.
                Err(error) if error.code == "forbidden" => {}
                Err(error) => return Err(error),
                Ok(None) => reading.groups.gone.push(id.clone()),
                Ok(Some(group)) => reading.groups.seen.push(group),
            }
            let Some(walked) = walked else { continue };
            if let Some(error) = walked.error.clone().filter(ReadError::is_about_us) {
                return Err(error);
            }
            // Without the list at hand, only the missing status tells that a person is not the customer's.
            let outside = walked.members.iter().filter(|member| !member.managed);
            reading.users.seen.extend(outside.filter_map(crate::wire::SeenMember::outsider));
            reading.members.push(walked.read(&id));
        }
        let users = users.iter().cloned().map(|id| async move {
            let user = self.get_user(id.as_str(), Lane::Normal).await;
            (id, user)
        });
        let mut users = stream::iter(users).buffered(self.parallel);
        let mut missing = BTreeSet::new();
        while let Some((id, user)) = users.next().await {
            match user? {
                Some(user) => reading.users.seen.push(user),
                None => _ = missing.insert(id),
            }
        }
        // Not found is not deleted (reference/google.md §9): who is not among the deleted is left to a whole read.
        if !missing.is_empty() {
            let deleted = self.deleted(Lane::Normal).await.into_iter().filter(|row| missing.contains(&row.id));
            reading.users.seen.extend(deleted.map(WireDeleted::user));
        }
        // A person who is also asked for by id is the customer's: the row by id stands.
        let mut known = std::collections::BTreeMap::new();
        for user in std::mem::take(&mut reading.users.seen) {
            known.insert(user.id.clone(), user);
        }
        reading.users.seen = known.into_values().collect();
        reading.ended_at = self.client.now();
        Ok(reading)
    }

    async fn is_member(&self, group: &GroupId, member: &str, lane: Lane) -> Result<FactAnswer, ReadError> {
        let values = [group.as_str(), member];
        Ok(said(&self.get::<WireMember>(GET_MEMBER, &values, MEMBER_FIELDS, lane).await?))
    }

    /// Reads by id. A 404 is asked again before it is believed; so is a 400 `invalid`, which comes for no reason at times
    /// (reference/google.md §1.5).
    async fn get<T: DeserializeOwned>(
        &self,
        template: &'static str,
        values: &[&str],
        fields: &str,
        lane: Lane,
    ) -> Result<Found<T>, ReadError> {
        let request = Request::get(template, values).query("fields", fields).lane(lane);
        let mut answer = self.client.read(&request).await?;
        let invalid = |answer: &Answer| answer.status.as_u16() == 400 && GoogleError::of(answer).reason == "invalid";
        if answer.status.as_u16() == 404 || invalid(&answer) {
            answer = self.client.read(&request).await?;
        }
        if answer.is_success() && sense(&answer) == Sense::Judged {
            return answer.json().map(Found::Yes).map_err(|text| ReadError {
                disposition: model::Disposition::Retry { after: None },
                message: format!("GET {template}: {text}"),
                code: "shape".to_owned(),
            });
        }
        let error = read_error(&format!("GET {template}"), &answer);
        match answer.status.as_u16() {
            404 => Ok(Found::No),
            // "Not authorized to access this resource": somebody else's. Lost rights have other reasons.
            403 if error.code == "forbidden" => Ok(Found::Forbidden),
            // "Type not supported: userKey": an address of a group is nobody.
            400 if error.code == "badRequest" => Ok(Found::No),
            _ => Err(error),
        }
    }
}

fn said<T>(found: &Found<T>) -> FactAnswer {
    match found {
        Found::Yes(_) => FactAnswer::Holds,
        Found::No => FactAnswer::Gone,
        Found::Forbidden => FactAnswer::NoPointRead,
    }
}

fn forbidden(template: &str) -> ReadError {
    ReadError {
        disposition: model::Disposition::Reject(model::Rejection::Auth),
        message: format!("GET {template}: this group belongs to somebody else and cannot be read"),
        code: "forbidden".to_owned(),
    }
}
