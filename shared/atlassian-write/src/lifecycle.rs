//! People of an organization: invited, kept out, let in again (reference/atlassian-cloud.md §1.2, §2).
//!
//! How somebody is kept out depends on whose account it is: one of a claimed domain is disabled, which ends every
//! sign-in; of anybody else only the access to this organization is suspended. Which it is, and how it is now, a read
//! tells; so a repetition reads first and finds what an earlier attempt did.

use std::collections::BTreeMap;

use model::{AccountChange, AccountId, Disposition, Lane, Rejection};
use outbound::{Method, Request, Turn};
use serde_json::{Map, Value, json};

use crate::{
    Answered, OrgWriter, classify,
    target::{list, look, not_here, text},
};

const GET_USER: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}";
const SEARCH: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/search";
const SUSPEND: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/suspend";
const REMOVE: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}";
const RESTORE: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/restore";
const INVITE: &str = "/admin/v2/orgs/{orgId}/users/invite";
const DISABLE: &str = "/users/{account_id}/manage/lifecycle/disable";
const PROFILE: &str = "/users/{account_id}/manage/profile";
const ADDRESS: &str = "/users/{account_id}/manage/email";
const ENABLE: &str = "/users/{account_id}/manage/lifecycle/enable";

/// Where the planner puts the address of an account that is to be made.
const EMAIL: &str = "emails[primary].value";

/// What an organization says of an account of a claimed domain that is no member of it.
const NO_MEMBERSHIP: &str = "no_membership";

/// How somebody stands in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// The organization has claimed the account's domain.
    managed: bool,
    /// The account may sign in somewhere.
    enabled: bool,
    /// What access it has to this organization.
    access: Access,
}

/// The membership of an account in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// In.
    Admitted,
    /// Kept out for now.
    Suspended,
    /// Not a member: only an invitation makes it one.
    None,
}

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Disable,
    Enable,
    Suspend,
    Remove,
    Restore,
}

/// How somebody is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// In, and able to sign in.
    In,
    /// Unable to get in, in whichever way suits the account.
    Out,
    /// Without access to this organization, whatever else the account may do.
    Suspended,
    /// Not in the organization at all.
    Gone,
}

impl Wanted {
    const fn by(change: &AccountChange) -> Option<Self> {
        match change {
            AccountChange::Deactivate => Some(Self::Out),
            AccountChange::Suspend => Some(Self::Suspended),
            AccountChange::Remove => Some(Self::Gone),
            AccountChange::Restore => Some(Self::In),
            _ => None,
        }
    }
}

impl Standing {
    /// The call that brings somebody nearer to what is wanted; `None`: it is so.
    const fn next(self, wanted: Wanted) -> Option<Call> {
        match (wanted, self.managed, self.enabled, self.access) {
            (Wanted::Gone, _, _, Access::Admitted | Access::Suspended) => Some(Call::Remove),
            (Wanted::Suspended, _, _, Access::Admitted) | (Wanted::Out, false, true, Access::Admitted) => {
                Some(Call::Suspend)
            }
            (Wanted::Out, true, true, _) => Some(Call::Disable),
            (Wanted::In, true, false, _) => Some(Call::Enable),
            (Wanted::In, _, true, Access::Suspended) => Some(Call::Restore),
            // An account that is disabled and not managed here is nobody's to enable.
            _ => None,
        }
    }
}

impl OrgWriter {
    /// Invites somebody, keeps somebody out, or lets somebody in again.
    pub async fn change_account(&self, turn: &Turn, account: Option<&AccountId>, change: &AccountChange) -> Answered {
        let (wanted, account) = match (change, account) {
            (AccountChange::Create { attributes }, _) => {
                let Some(email) = attributes.get(EMAIL) else { return not_here("an invitation has an address") };
                return self.invite(turn, email).await;
            }
            (AccountChange::HandOver { .. }, _) => return not_here("an organization has no leads to hand over"),
            (_, None) => {
                return not_here("the account is not known yet").with(Disposition::Reject(Rejection::UnknownUser));
            }
            (AccountChange::Update { attributes }, Some(account)) => {
                return self.update(turn, account, attributes).await;
            }
            (change, Some(account)) => (Wanted::by(change).unwrap_or(Wanted::In), account),
        };
        let standing = match self.standing(turn.lane(), account).await {
            Ok(Some(standing)) => standing,
            // Who is not there is not in.
            Ok(None) if wanted != Wanted::In => return not_here("").with(Disposition::AlreadySo),
            Ok(None) => {
                return not_here("nobody of that id is in the organization")
                    .with(Disposition::Reject(Rejection::UnknownUser));
            }
            Err(failed) => return failed,
        };
        if wanted == Wanted::In && standing.enabled && standing.access == Access::None {
            let text = "the account is no member of the organization: it is to be invited, not restored";
            return not_here(text).with(Disposition::Reject(Rejection::UnknownUser));
        }
        let Some(call) = standing.next(wanted) else { return not_here("").with(Disposition::AlreadySo) };
        let (org, directory) = self.place();
        let place = [org, directory, account.as_str()];
        let request = match call {
            Call::Disable => Request::post(DISABLE, &[account.as_str()]).json(json!({})),
            Call::Enable => Request::post(ENABLE, &[account.as_str()]).json(json!({})),
            Call::Suspend => Request::new(Method::POST, SUSPEND, &place),
            Call::Remove => Request::new(Method::DELETE, REMOVE, &place),
            Call::Restore => Request::new(Method::POST, RESTORE, &place),
        };
        let judge =
            if matches!(call, Call::Disable | Call::Enable) { classify::lifecycle } else { classify::org_access };
        let answered = match self.client().send(&request.turn(turn)).await {
            Ok(answer) => Answered::of(self.client(), &answer, judge),
            Err(error) => return Answered::failed(&error),
        };
        let enabled_only = call == Call::Enable && standing.access == Access::Suspended;
        // Who was gone a moment ago is gone.
        if call == Call::Remove && answered.disposition == Disposition::Reject(Rejection::UnknownUser) {
            return answered.with(Disposition::AlreadySo);
        }
        // Enabled, and still suspended: the second half is another attempt.
        if enabled_only && answered.holds() { answered.with(Disposition::Retry { after: None }) } else { answered }
    }

    /// Sets the profile of an account of a claimed domain, and its address if that moves: one call for each.
    async fn update(&self, turn: &Turn, account: &AccountId, attributes: &BTreeMap<String, String>) -> Answered {
        let mut requests = Vec::new();
        let profile = profile(attributes);
        if !profile.is_empty() {
            let patch = Request::new(Method::PATCH, PROFILE, &[account.as_str()]);
            requests.push(patch.json(Value::Object(profile)));
        }
        if let Some(email) = attributes.get(EMAIL) {
            requests.push(Request::new(Method::PUT, ADDRESS, &[account.as_str()]).json(json!({ "email": email })));
        }
        let mut answered = not_here("nothing of this is kept here").with(Disposition::AlreadySo);
        for request in requests {
            answered = match self.client().send(&request.turn(turn)).await {
                Ok(answer) => Answered::of(self.client(), &answer, classify::lifecycle),
                Err(error) => return Answered::failed(&error),
            };
            if !answered.holds() {
                return answered;
            }
        }
        answered
    }

    async fn invite(&self, turn: &Turn, email: &str) -> Answered {
        let (org, _) = self.place();
        let body = json!({ "emails": [email], "sendNotification": false });
        let request = Request::post(INVITE, &[org]).json(body).turn(turn);
        let mut answered = match self.client().send(&request).await {
            Ok(answer) => {
                let mut answered = Answered::of(self.client(), &answer, classify::org_invite);
                let body: Value = answer.json().unwrap_or_default();
                answered.account = AccountId::new(text(&body, "/data/0/id")).ok();
                answered
            }
            Err(error) => return Answered::failed(&error),
        };
        if answered.disposition == Disposition::Done && answered.account.is_none() {
            // The answer need not name the account: it is found by its address, now or at the next attempt.
            match self.invited(turn.lane(), email).await {
                Ok(Some(account)) => answered.account = Some(account),
                Ok(None) | Err(_) => return answered.with(Disposition::Unknown),
            }
        }
        answered
    }

    /// What an unclear change left: the account as it should be, named; `None`: it is not so.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_account(
        &self,
        lane: Lane,
        account: Option<&AccountId>,
        change: &AccountChange,
    ) -> Result<Option<Answered>, Answered> {
        let found = match (change, account) {
            (AccountChange::Create { attributes }, _) => match attributes.get(EMAIL) {
                Some(email) => self.invited(lane, email).await?,
                None => None,
            },
            (change, Some(account)) => match Wanted::by(change) {
                Some(wanted) => {
                    let standing = self.standing(lane, account).await?;
                    let so = standing.map_or(wanted != Wanted::In, |standing| standing.next(wanted).is_none());
                    so.then(|| account.clone())
                }
                None => None,
            },
            _ => None,
        };
        Ok(found.map(|account| Answered { account: Some(account), ..not_here("").with(Disposition::AlreadySo) }))
    }

    /// The one member of the organization with this address. Somebody of a claimed domain who was not invited is listed,
    /// too, and is no member.
    async fn invited(&self, lane: Lane, email: &str) -> Result<Option<AccountId>, Answered> {
        let (org, directory) = self.place();
        let request = Request::post(SEARCH, &[org, directory]).json(json!({ "emails": [email] })).lane(lane);
        let page = look(self.client(), &request).await?.unwrap_or_default();
        let is_member = |row: &&Value| text(row, "/membershipStatus") != NO_MEMBERSHIP;
        let rows = list(&page, "/data").iter();
        let mut found = rows.filter(|row| text(row, "/email").eq_ignore_ascii_case(email)).filter(is_member);
        let first = found.next().filter(|_| found.next().is_none());
        Ok(first.and_then(|row| AccountId::new(text(row, "/accountId")).ok()))
    }

    async fn standing(&self, lane: Lane, account: &AccountId) -> Result<Option<Standing>, Answered> {
        let (org, directory) = self.place();
        let request = Request::get(GET_USER, &[org, directory, account.as_str()]).lane(lane);
        let user = look(self.client(), &request).await?;
        Ok(user.map(|body| Standing {
            managed: text(&body, "/data/claimStatus") == "managed",
            enabled: text(&body, "/data/accountStatus") == "active",
            access: match text(&body, "/data/membershipStatus") {
                "active" => Access::Admitted,
                NO_MEMBERSHIP => Access::None,
                _ => Access::Suspended,
            },
        }))
    }
}

/// The profile's fields from attribute paths of SCIM, null where one is to be cleared; what has no field is left out.
fn profile(attributes: &BTreeMap<String, String>) -> Map<String, Value> {
    let (mut profile, mut extended) = (Map::new(), Map::new());
    for (path, value) in attributes {
        let name = path.rsplit(':').next().unwrap_or(path);
        let value = if value.is_empty() { Value::Null } else { json!(value) };
        let field = match name {
            "displayName" => Some("name"),
            "nickName" => Some("nickname"),
            "timezone" => Some("zoneinfo"),
            _ => None,
        };
        let of_work = match name {
            "title" => Some("job_title"),
            "department" | "organization" | "location" => Some(name),
            _ => None,
        };
        if let Some(field) = field {
            profile.insert(field.to_owned(), value);
        } else if let Some(field) = of_work {
            extended.insert(field.to_owned(), value);
        }
    }
    if !extended.is_empty() {
        profile.insert("extended_profile".to_owned(), Value::Object(extended));
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standing_has_one_next_call_and_comes_to_an_end() {
        let of = |managed, enabled, access| Standing { managed, enabled, access };
        let (member, suspended, none) = (Access::Admitted, Access::Suspended, Access::None);
        let rows = [
            (of(true, true, member), Wanted::Out, Some(Call::Disable)),
            (of(true, false, member), Wanted::Out, None),
            (of(false, true, member), Wanted::Out, Some(Call::Suspend)),
            (of(false, true, suspended), Wanted::Out, None),
            (of(false, false, member), Wanted::Out, None),
            (of(true, false, member), Wanted::In, Some(Call::Enable)),
            (of(true, false, suspended), Wanted::In, Some(Call::Enable)),
            (of(true, true, suspended), Wanted::In, Some(Call::Restore)),
            (of(false, true, suspended), Wanted::In, Some(Call::Restore)),
            (of(false, true, member), Wanted::In, None),
            (of(false, false, suspended), Wanted::In, None),
            (of(true, true, member), Wanted::Suspended, Some(Call::Suspend)),
            (of(true, false, member), Wanted::Suspended, Some(Call::Suspend)),
            (of(false, true, suspended), Wanted::Suspended, None),
            (of(true, true, suspended), Wanted::Gone, Some(Call::Remove)),
            (of(true, true, none), Wanted::Gone, None),
            (of(true, true, none), Wanted::Suspended, None),
            (of(true, true, none), Wanted::Out, Some(Call::Disable)),
            (of(true, false, none), Wanted::In, Some(Call::Enable)),
            (of(true, true, none), Wanted::In, None),
        ];
        for (standing, wanted, expected) in rows {
            assert_eq!(standing.next(wanted), expected, "{standing:?} {wanted:?}");
        }
    }
}
