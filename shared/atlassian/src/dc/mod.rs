//! Data Center: Jira, Confluence, Bitbucket, Crowd (reference/atlassian-dc.md).
//!
//! A group's id is its name: there is no other. A person's id is the stable key and the user name together ([`account`]):
//! every write names people by user name, so nothing needs to be looked up before it, and a name that was given to
//! somebody else is another id. Somebody who is renamed has another id too, with the same key: by that the planner knows
//! them again.
//!
//! Caveats: Jira and Confluence show the members of groups in groups as members, where a directory nests; only Crowd
//! tells them apart. Confluence shows the addresses of those only who take a seat. Bitbucket knows no 404 for the members
//! of a group that is gone: the list of groups is asked.

mod bitbucket;
mod confluence;
mod crowd;
mod jira;
mod pages;
mod source;
mod xml;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{AccountId, DirectoryKind, Disposition, Email, User};
use outbound::{Answer, Budget, Client, ClientConfig, Clock, Credential, ReadError};

pub use bitbucket::not_chosen;
pub use jira::{Leads, components_led, projects_led};
pub use source::DcReader;

use crate::error::{is_good, read_error, shape};

/// How an instance is reached.
pub struct DcConfig {
    /// Which product.
    pub kind: DirectoryKind,
    /// Where the instance is called, with its context path: itself, or a gateway.
    pub base_url: String,
    /// Where people find it.
    pub site: String,
    /// Attributes of accounts to be told beside name and address, where the product has such (Crowd).
    pub attributes: BTreeSet<String>,
    /// The user directory in which users are to be made, where the product lists its directories (Bitbucket).
    pub user_directory: Option<String>,
    /// Personal access token, or name and password of an application (Crowd).
    pub credential: Credential,
    /// What the calls spend from; its limit is learned, every answer tells it.
    pub budget: Arc<Budget>,
    /// What times the readings bear.
    pub clock: Clock,
    /// Longest time for one call.
    pub timeout: Duration,
    /// How many groups are walked at once.
    pub parallel: usize,
}

/// Largest answer: the memberships of everybody come in one from Crowd, about 40 bytes each.
const LARGEST_ANSWER: usize = 512 << 20;

/// The id of a person: the stable key, a slash, the user name. `None`: one of them cannot be part of an id.
pub fn account(key: &str, name: &str) -> Option<AccountId> {
    let usable = !key.is_empty() && !key.contains('/') && !name.is_empty();
    usable.then(|| AccountId::new(format!("{key}/{name}")).ok()).flatten()
}

/// An active user with key, name and perhaps an address. The user name is among the attributes: whoever makes accounts must
/// know which names are given.
fn person(key: &str, name: &str, email: Option<&str>) -> Option<User> {
    let email = email.and_then(|text| Email::new(text).ok());
    let attributes = [("userName".to_owned(), name.to_owned())].into();
    Some(User { attributes, ..User::new(account(key, name)?, email) })
}

/// The user name in an id; the whole of an id that was not made by [`account`].
pub fn user_name(account: &AccountId) -> &str {
    account.as_str().split_once('/').map_or(account.as_str(), |(_, name)| name)
}

/// The stable key in an id; empty where there is none.
pub fn key(account: &AccountId) -> &str {
    account.stable_key().unwrap_or_default()
}

/// What calls one instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) client: Client,
    pub(crate) site: String,
    pub(crate) attributes: Arc<BTreeSet<String>>,
    pub(crate) user_directory: Option<String>,
    pub(crate) parallel: usize,
}

impl Instance {
    fn connect(config: DcConfig) -> Result<Self, ReadError> {
        let DcConfig { kind, base_url, site, attributes, user_directory, .. } = config;
        let DcConfig { credential, budget, clock, timeout, parallel, .. } = config;
        let mut client = ClientConfig::new(kind.as_str(), &base_url, credential, budget, clock);
        client.timeout = timeout;
        client.largest_answer = LARGEST_ANSWER;
        client.sense = outbound::data_center_sense;
        let client = Client::new(client).map_err(|error| ReadError {
            disposition: Disposition::Halt,
            message: error.to_string(),
            code: "configuration".to_owned(),
        })?;
        Ok(Self { client, site, attributes: Arc::new(attributes), user_directory, parallel: parallel.max(1) })
    }

    /// A read whose answer must be good.
    async fn read<T: serde::de::DeserializeOwned>(&self, request: &outbound::Request) -> Result<T, ReadError> {
        let answer = self.client.read(request).await?;
        self.good(request.template(), &answer)
    }

    /// A read of something that need not exist.
    async fn find<T: serde::de::DeserializeOwned>(&self, request: &outbound::Request) -> Result<Option<T>, ReadError> {
        let answer = self.client.read(request).await?;
        if answer.status.as_u16() == 404 && self.client.sense(&answer) == outbound::Sense::Judged {
            return Ok(None);
        }
        self.good(request.template(), &answer).map(Some)
    }

    fn good<T: serde::de::DeserializeOwned>(&self, template: &str, answer: &Answer) -> Result<T, ReadError> {
        self.check(template, answer)?;
        answer.json().map_err(|text| shape(template, &text))
    }

    /// Whether an answer is a success that was meant for us.
    fn check(&self, template: &str, answer: &Answer) -> Result<(), ReadError> {
        let sense = self.client.sense(answer);
        if sense == outbound::Sense::Unauthenticated {
            let refused = outbound::read_error(template, answer, sense, "");
            return Err(refused.unwrap_or_else(|| shape(template, "the credentials are refused")));
        }
        let good = is_good(answer) || (sense == outbound::Sense::Judged && answer.is_success());
        if good { Ok(()) } else { Err(read_error(template, answer)) }
    }
}

/// An error of a read that is no trouble of the vendor's but of what was asked.
fn canary(template: &str) -> ReadError {
    ReadError {
        disposition: Disposition::Halt,
        message: format!("GET {template}: the list lacks our own account: give it the right to see all users"),
        code: "canary".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_id_holds_key_and_name_and_names_may_hold_anything() {
        let id = account("1:4f", "dom/ann").unwrap();
        assert_eq!((key(&id), user_name(&id)), ("1:4f", "dom/ann"));
        assert_eq!(account("", "ann"), None);
        assert_eq!(account("a/b", "ann"), None, "a key with a slash would be read as another person");
    }
}
