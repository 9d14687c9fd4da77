//! Changing Data Center: Jira, Confluence, Bitbucket, Crowd (reference/atlassian-dc.md). One write per membership, several
//! in one where Bitbucket takes them; no read before a write.
//!
//! Nobody gets access by being created: access comes through groups. A password that a product insists on is drawn, sent
//! and forgotten.

mod accounts;
mod bitbucket;
mod confluence;
mod crowd;
mod jira;
mod leads;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use atlassian::dc::user_name;
use model::{AccountChange, AccountId, Disposition, EdgeOp, GroupId, Lane, Rejection, Span, Time};
use outbound::{Client, Request, Turn};
use serde_json::Value;

use crate::target::{list, look, not_here, text};
use crate::{Answered, Look};

/// Members per call where an API takes several.
const MEMBERS_PER_CALL: usize = 100;

/// Which product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Jira.
    Jira,
    /// Confluence.
    Confluence,
    /// Bitbucket.
    Bitbucket,
    /// Crowd, or Jira as user server.
    Crowd,
}

/// One instance, as its credential may change it.
#[derive(Debug, Clone)]
pub struct DcWriter {
    client: Client,
    product: Product,
    /// Draws a password.
    password: fn() -> String,
    /// The user directory in which users are to be made, of a product that lists its directories.
    user_directory: Option<Arc<UserDirectory>>,
    /// Groups of Confluence in which there was no group, and when that was seen.
    flat: Arc<Mutex<BTreeMap<GroupId, Time>>>,
}

/// A user directory that was named, and whether the instance was seen to take it for new users.
#[derive(Debug)]
struct UserDirectory {
    named: String,
    seen: AtomicBool,
}

/// How long a group is believed to hold no groups: a removal costs one read in so long, not one each.
const FLAT_FOR: Span = Span::from_secs(600);

/// What a call that changes something is to be, before it is sent.
struct Write {
    request: Request,
    judge: fn(u16, &str, &str) -> Disposition,
    /// Names and addresses that the answer may repeat: they are taken out of what is kept.
    names: Vec<String>,
}

impl DcWriter {
    /// A writer through this client, whose base is the instance. `password` draws a password that nobody is to know.
    pub fn new(client: Client, product: Product, password: fn() -> String) -> Self {
        Self { client, product, password, user_directory: None, flat: Arc::default() }
    }

    /// The same, which makes nobody unless the instance takes this user directory for new users. Only Bitbucket tells.
    #[must_use]
    pub fn making_users_in(self, named: Option<String>) -> Self {
        let named = named.filter(|_| self.product == Product::Bitbucket);
        let user_directory = named.map(|named| Arc::new(UserDirectory { named, seen: AtomicBool::new(false) }));
        Self { user_directory, ..self }
    }

    /// The client behind it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// How many memberships one call changes at most.
    pub const fn edges_per_call(&self) -> usize {
        if matches!(self.product, Product::Bitbucket) { MEMBERS_PER_CALL } else { 1 }
    }

    /// The places of the changes that go in one call, for these changes in their order. Bitbucket adds many at once and
    /// removes one.
    pub fn calls(&self, changes: &[EdgeOp]) -> Vec<Range<usize>> {
        let mut calls: Vec<Range<usize>> = Vec::new();
        for (place, op) in changes.iter().enumerate() {
            let joins = *op == EdgeOp::Add && place > 0 && changes.get(place - 1) == Some(&EdgeOp::Add);
            match calls.last_mut().filter(|last| joins && last.len() < self.edges_per_call()) {
                Some(last) => last.end = place + 1,
                None => calls.push(place..place + 1),
            }
        }
        calls
    }

    /// Changes memberships of one group: one, or several additions where the product takes them.
    pub async fn change_members(&self, turn: &Turn, group: &GroupId, edges: &[(AccountId, EdgeOp)]) -> Answered {
        let write = match (self.product, edges) {
            (Product::Bitbucket, [(account, EdgeOp::Remove)]) => bitbucket::remove(group, user_name(account)),
            (Product::Bitbucket, edges) if edges.iter().all(|(_, op)| *op == EdgeOp::Add) => {
                bitbucket::add(group, edges.iter().map(|(account, _)| user_name(account)).collect())
            }
            (Product::Jira, [(account, op)]) => jira::member(group, user_name(account), *op),
            (Product::Confluence, [(account, op)]) => confluence::member(group, user_name(account), *op),
            (Product::Crowd, [(account, op)]) => crowd::member(group, user_name(account), *op),
            _ => return not_here("this API changes one membership a call"),
        };
        let answered = self.send(turn, write).await.0;
        match edges {
            [(account, EdgeOp::Remove)] => self.nested(turn.lane(), group, user_name(account), answered).await,
            _ => answered,
        }
    }

    /// Somebody who is in a group through a group in it is listed as its member and cannot be removed from it (§1.3).
    /// Jira says then that there is nobody to remove, and Confluence that it is done: whoever is still in it is held as
    /// that, or the removal would be planned for ever.
    async fn nested(&self, lane: Lane, group: &GroupId, name: &str, answered: Answered) -> Answered {
        let doubtful = match self.product {
            Product::Jira => answered.disposition == Disposition::AlreadySo,
            Product::Confluence => answered.holds() && self.holds_groups(lane, group).await,
            Product::Bitbucket | Product::Crowd => false,
        };
        if !doubtful {
            return answered;
        }
        let Ok(Some(groups)) = self.groups_of(lane, name).await else { return answered };
        if !groups.iter().any(|of| of.eq_ignore_ascii_case(group.as_str())) {
            return answered;
        }
        let text = "nested-at-target: a member through a group in this group; take that group out, or the person out of \
                    it; Crowd's API at the same server (kind = \"crowd\") tells such members from its own";
        Answered { text: text.to_owned(), ..answered.with(Disposition::Reject(Rejection::Conflict)) }
    }

    /// Whether there are groups in a group of Confluence; what cannot be read is taken for none.
    async fn holds_groups(&self, lane: Lane, group: &GroupId) -> bool {
        let now = self.client.now();
        let known = || self.flat.lock().unwrap_or_else(PoisonError::into_inner);
        if known().get(group).is_some_and(|seen| now < seen.plus(FLAT_FOR)) {
            return false;
        }
        match confluence::nests(&self.client, lane, group).await {
            Some(true) => return true,
            Some(false) => {
                let mut flat = known();
                flat.retain(|_, seen| now < seen.plus(FLAT_FOR));
                flat.insert(group.clone(), now);
            }
            None => {}
        }
        false
    }

    /// Creates a group, whose id is its name.
    pub async fn create_group(&self, turn: &Turn, name: &str, description: &str) -> Answered {
        let write = match self.product {
            Product::Jira => jira::create_group(name),
            Product::Confluence => confluence::create_group(name),
            Product::Bitbucket => bitbucket::create_group(name),
            Product::Crowd => crowd::create_group(name, description),
        };
        let (mut answered, made) = self.send(turn, write).await;
        if answered.disposition == Disposition::Done {
            // The product may have folded or trimmed what it was given.
            let named = Some(text(&made, "/name")).filter(|made| !made.is_empty()).unwrap_or(name);
            answered.group = GroupId::new(named).ok();
        }
        answered
    }

    /// Deletes a group.
    pub async fn delete_group(&self, turn: &Turn, group: &GroupId) -> Answered {
        let write = match self.product {
            Product::Jira => jira::delete_group(group),
            Product::Confluence => confluence::delete_group(group),
            Product::Bitbucket => bitbucket::delete_group(group),
            Product::Crowd => crowd::delete_group(group),
        };
        self.send(turn, write).await.0
    }

    /// The group with this name, in any letter case, under the name that it has.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_group(&self, lane: Lane, name: &str) -> Result<Option<GroupId>, Answered> {
        let (request, pointer) = match self.product {
            Product::Jira => jira::find_group(name),
            Product::Confluence => confluence::find_group(name),
            Product::Bitbucket => bitbucket::find_group(name),
            Product::Crowd => crowd::find_group(name),
        };
        let Some(found) = look(&self.client, &request.lane(lane)).await? else { return Ok(None) };
        let one = [found.clone()];
        let rows = if pointer.is_empty() { one.as_slice() } else { list(&found, pointer) };
        let same = rows.iter().map(|row| text(row, "/name")).find(|known| known.eq_ignore_ascii_case(name));
        Ok(same.and_then(|known| GroupId::new(known).ok()))
    }

    /// Whether the account is a member of the group, now.
    pub async fn look_member(&self, lane: Lane, group: &GroupId, account: &AccountId) -> Look {
        let groups = match self.groups_of(lane, user_name(account)).await {
            Ok(Some(groups)) => groups,
            Ok(None) => return Look::NoAccount,
            Err(failed) => return Look::Unreadable(failed),
        };
        if groups.iter().any(|name| name.eq_ignore_ascii_case(group.as_str())) {
            return Look::There;
        }
        match self.find_group(lane, group.as_str()).await {
            Ok(Some(_)) => Look::NotThere,
            Ok(None) => Look::NoGroup,
            Err(failed) => Look::Unreadable(failed),
        }
    }

    /// The names of the groups that somebody is in; `None`: there is no such user.
    async fn groups_of(&self, lane: Lane, name: &str) -> Result<Option<Vec<String>>, Answered> {
        match self.product {
            Product::Jira => jira::groups_of(&self.client, lane, name).await,
            Product::Confluence => confluence::groups_of(&self.client, lane, name).await,
            Product::Bitbucket => bitbucket::groups_of(&self.client, lane, name).await,
            Product::Crowd => crowd::groups_of(&self.client, lane, name).await,
        }
    }

    /// Changes one account.
    pub async fn change_account(&self, turn: &Turn, account: Option<&AccountId>, change: &AccountChange) -> Answered {
        accounts::change(self, turn, account, change).await
    }

    /// What an unclear change of an account left behind: the account as it should be, named; `None`: it is not so.
    /// `ours`: an attempt of ours came to no clear answer.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_account(
        &self,
        lane: Lane,
        account: Option<&AccountId>,
        change: &AccountChange,
        ours: bool,
    ) -> Result<Option<Answered>, Answered> {
        accounts::find(self, lane, account, change, ours).await
    }

    /// Why nobody may be made here: the user directory that was named is not the one in which they would be. Looked up
    /// before the first, and not again for as long as we run.
    async fn elsewhere(&self, lane: Lane) -> Option<Answered> {
        let chosen = self.user_directory.as_ref().filter(|chosen| !chosen.seen.load(Ordering::Relaxed))?;
        let all = match look(&self.client, &Request::get(bitbucket::DIRECTORIES, &[]).lane(lane)).await {
            Ok(all) => all.unwrap_or_default(),
            Err(failed) => return Some(failed),
        };
        let wrong = atlassian::dc::not_chosen(list(&all, ""), &chosen.named);
        chosen.seen.store(wrong.is_none(), Ordering::Relaxed);
        wrong.map(|wrong| not_here(&wrong).with(Disposition::Reject(Rejection::Validation)))
    }

    /// Sends one change, and gives what became of it and the body of a success.
    async fn send(&self, turn: &Turn, write: Write) -> (Answered, Value) {
        // What a form could send is refused without it (§1.1).
        let request = write.request.header("x-atlassian-token", "no-check").turn(turn);
        match self.client.send(&request).await {
            Ok(answer) => {
                let mut answered = Answered::of(&self.client, &answer, write.judge);
                answered.text = masked(answered.text, &write.names);
                let body = if answer.is_success() { answer.json().unwrap_or_default() } else { Value::Null };
                (answered, body)
            }
            Err(error) => (Answered::failed(&error), Value::Null),
        }
    }
}

/// The text without names: products repeat them without quotes.
fn masked(mut text: String, names: &[String]) -> String {
    for name in names.iter().filter(|name| !name.is_empty()) {
        text = text.replace(name.as_str(), "…");
    }
    text
}

/// The texts under a name in a list, of every page of an answer: `next` says where the next page begins.
async fn names_in_pages(
    client: &Client,
    pointer: &str,
    page: impl Fn(u64) -> Request,
    next: fn(&Value, u64) -> Option<u64>,
) -> Result<Option<Vec<String>>, Answered> {
    /// More pages than anybody has groups.
    const PAGES_MAX: usize = 1_000;
    let (mut names, mut start) = (Vec::new(), 0);
    for _ in 0..PAGES_MAX {
        let Some(found) = look(client, &page(start)).await? else { return Ok(None) };
        let rows = list(&found, pointer);
        names.extend(rows.iter().map(|row| text(row, "/name").to_owned()));
        match next(&found, start).filter(|next| *next > start) {
            Some(next) => start = next,
            None => break,
        }
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_what_is_kept() {
        let names = ["ann".to_owned(), String::new()];
        assert_eq!(masked("404 User ann does not exist.".to_owned(), &names), "404 User … does not exist.");
    }
}
