//! The reader of one Google Workspace customer.

use std::sync::Arc;
use std::time::Duration;

use model::{AccountId, Answer, Email, Fact, Group, GroupId, MembersRead, Reading, Span, User};
use outbound::{
    Allowance, Budget, Client, ClientConfig, Clock, Credential, Limit, Progress, ReadDirectory, ReadError, Scope,
    TokenError,
};

use crate::auth::{Auth, Replaced};
use crate::customer::Customer;

/// Where the Directory API is.
const API_BASE: &str = "https://admin.googleapis.com";

/// How a customer is reached.
pub struct Config {
    /// `scheme://host:port` of a twin, a gateway or a proxy; `None`: Google.
    pub endpoint: Option<String>,
    /// The customer: `my_customer` or an id.
    pub customer: String,
    /// Who we are.
    pub auth: Auth,
    /// What the calls spend from; see [`documented_limit`].
    pub budget: Arc<Budget>,
    /// What times the readings bear.
    pub clock: Clock,
    /// Longest time for one call.
    pub timeout: Duration,
    /// How many groups are walked at once: 4 to 8 (reference/google.md §4).
    pub parallel: usize,
}

/// Reads one customer.
#[derive(Clone, Debug)]
pub struct GoogleReader {
    pub(crate) client: Client,
    pub(crate) customer: String,
    pub(crate) known: Customer,
    /// The administrator that a service account reads as.
    pub(crate) subject: Option<Email>,
    pub(crate) parallel: usize,
}

/// 2,400 queries a minute for each impersonated administrator and project (reference/google.md §4).
pub fn documented_limit() -> Limit {
    Limit::Declared(vec![Allowance { calls: 2_400, per: Span::from_secs(60) }])
}

impl GoogleReader {
    /// A reader. Reads the key, asks nothing of Google yet.
    ///
    /// # Errors
    /// When the key or an address cannot be used; says what to do.
    pub fn connect(config: Config) -> Result<Self, ReadError> {
        let subject = match &config.auth {
            Auth::ServiceAccount { subject, .. } => Some(Email::new(subject).map_err(|error| halt(&error))?),
            Auth::OAuth { .. } => None,
        };
        let replaced = Replaced::default();
        let source = config.auth.source(config.endpoint.as_deref(), config.clock.clone(), &replaced);
        let source = source.map_err(|error| match error {
            TokenError::Refused(text) | TokenError::Untrusted(text) | TokenError::Unreachable(text) => halt(&text),
        })?;
        let base = config.endpoint.as_deref().unwrap_or(API_BASE);
        let credential = Credential::Tokens(source);
        let mut client = ClientConfig::new("google", base, credential, config.budget, config.clock);
        client.timeout = config.timeout;
        client.sense = crate::error::sense;
        Ok(Self {
            client: Client::new(client).map_err(|error| halt(&error))?,
            customer: config.customer,
            known: Customer::new(replaced),
            subject,
            parallel: config.parallel.max(1),
        })
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &Arc<Budget> {
        self.client.budget()
    }
}

impl ReadDirectory for GoogleReader {
    async fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        self.sweep_all(scope, progress).await
    }

    async fn read_members(&self, group: &GroupId) -> Result<MembersRead, ReadError> {
        let read = async {
            let walked = self.walk_members(group, model::Lane::Normal).await;
            match walked.error {
                Some(error) if walked.members.is_empty() => Err(error),
                _ => Ok(walked.read(group)),
            }
        };
        self.as_customer(read).await
    }

    async fn read_group(&self, group: &GroupId) -> Result<Option<Group>, ReadError> {
        self.as_customer(self.get_group(group, model::Lane::Normal)).await
    }

    async fn read_user(&self, user: &AccountId) -> Result<Option<User>, ReadError> {
        self.as_customer(self.get_user(user.as_str(), model::Lane::Normal)).await
    }

    async fn find_person(&self, email: &Email) -> Result<Option<User>, ReadError> {
        self.as_customer(self.get_user(email.as_written(), model::Lane::Normal)).await
    }

    async fn verify(&self, fact: &Fact) -> Result<Answer, ReadError> {
        self.as_customer(self.verify_fact(fact)).await
    }

    async fn reread(&self, groups: &[GroupId], users: &[AccountId]) -> Result<Reading, ReadError> {
        self.as_customer(self.reread_these(groups, users)).await
    }

    async fn groups_of(&self, user: &AccountId) -> Result<Vec<GroupId>, ReadError> {
        self.as_customer(self.groups_of_user(user)).await
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        let Some(subject) = &self.subject else { return Ok(Vec::new()) };
        let user = self.get_user(subject.as_written(), model::Lane::Normal).await?;
        Ok(user.into_iter().map(|user| user.id).collect())
    }
}

fn halt(text: &dyn std::fmt::Display) -> ReadError {
    ReadError { disposition: model::Disposition::Halt, message: text.to_string(), code: "configuration".to_owned() }
}
