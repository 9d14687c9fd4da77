//! The readers of the four products behind one type.

use std::future::Future;
use std::sync::Arc;

use model::{
    AccountId, Answer as FactAnswer, DirectoryKind, Email, Fact, Group, GroupId, Lane, MemberKind, MembersRead,
    Reading, User,
};
use outbound::{Budget, Progress, ReadDirectory, ReadError, Scope};

use super::bitbucket::Bitbucket;
use super::confluence::Confluence;
use super::crowd::Crowd;
use super::jira::Jira;
use super::{DcConfig, Instance, Leads};
use crate::gather::{self, Source, members_seen, twice};

/// What a product answers beside lists.
pub(super) trait DcSource: Source {
    /// The person with this address.
    fn find(&self, email: &Email) -> impl Future<Output = Result<Option<User>, ReadError>> + Send;
    /// The groups that an account is in; `None`: there is no such account.
    fn groups_of(
        &self,
        user: &AccountId,
        lane: Lane,
    ) -> impl Future<Output = Result<Option<Vec<GroupId>>, ReadError>> + Send;
    /// Whose credentials they are.
    fn myself(&self) -> impl Future<Output = Result<Vec<AccountId>, ReadError>> + Send;
    /// Makes a read that only an account may make which may change groups, too.
    fn may_change(&self) -> impl Future<Output = Result<(), ReadError>> + Send;
    /// One pass.
    fn pass(&self, scope: &Scope, progress: &dyn Progress) -> impl Future<Output = Result<Reading, ReadError>> + Send
    where
        Self: Sized,
    {
        gather::sweep(self, scope, progress)
    }
}

/// Reads one instance.
#[derive(Clone, Debug)]
pub enum DcReader {
    /// Jira.
    #[doc(hidden)]
    Jira(JiraReader),
    /// Confluence.
    #[doc(hidden)]
    Confluence(ConfluenceReader),
    /// Bitbucket.
    #[doc(hidden)]
    Bitbucket(BitbucketReader),
    /// Crowd, or Jira as user server.
    #[doc(hidden)]
    Crowd(CrowdReader),
}

/// Jira.
#[derive(Clone, Debug)]
pub struct JiraReader(Jira);
/// Confluence.
#[derive(Clone, Debug)]
pub struct ConfluenceReader(Confluence);
/// Bitbucket.
#[derive(Clone, Debug)]
pub struct BitbucketReader(Bitbucket);
/// Crowd.
#[derive(Clone, Debug)]
pub struct CrowdReader(Crowd);

/// Calls the same function of whichever source it is.
macro_rules! each {
    ($self:expr, $source:ident => $call:expr) => {
        match $self {
            DcReader::Jira(JiraReader($source)) => $call,
            DcReader::Confluence(ConfluenceReader($source)) => $call,
            DcReader::Bitbucket(BitbucketReader($source)) => $call,
            DcReader::Crowd(CrowdReader($source)) => $call,
        }
    };
}

impl DcReader {
    /// A reader. Asks nothing yet.
    ///
    /// # Errors
    /// When the address cannot be used, or the kind is no Data Center product.
    pub fn connect(config: DcConfig) -> Result<Self, ReadError> {
        let kind = config.kind;
        let instance = Instance::connect(config)?;
        match kind {
            DirectoryKind::JiraDc => Ok(Self::Jira(JiraReader(Jira(instance)))),
            DirectoryKind::ConfluenceDc => Ok(Self::Confluence(ConfluenceReader(Confluence(instance)))),
            DirectoryKind::BitbucketDc => Ok(Self::Bitbucket(BitbucketReader(Bitbucket(instance)))),
            DirectoryKind::Crowd => Ok(Self::Crowd(CrowdReader(Crowd(instance)))),
            other => Err(crate::error::shape(other.as_str(), "this is no Data Center product")),
        }
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &Arc<Budget> {
        each!(self, source => source.client().budget())
    }

    /// Asks who we are, whether we may change groups, and whether users are made where they should be. Says what was found.
    ///
    /// # Errors
    /// When the credentials are refused, or lack a right: names it.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        each!(self, source => source.myself().await).map_err(ReadError::about_us_if_refused)?;
        each!(self, source => source.may_change().await)?;
        self.check_user_directory().await?;
        Ok("users and groups can be read and changed")
    }

    /// Whether users are made in the user directory that the policy names, where it names one and the product lists them.
    ///
    /// # Errors
    /// When it is missing, switched off or not the first of its own, or when the list cannot be read.
    pub async fn check_user_directory(&self) -> Result<(), ReadError> {
        match self {
            Self::Bitbucket(BitbucketReader(bitbucket)) => bitbucket.check_user_directory().await,
            Self::Jira(_) | Self::Confluence(_) | Self::Crowd(_) => Ok(()),
        }
    }

    /// What a person leads; nothing where nothing can be led.
    ///
    /// # Errors
    /// When a list could not be read to its end.
    pub async fn leads(&self, account: &AccountId) -> Result<Leads, ReadError> {
        match self {
            Self::Jira(JiraReader(jira)) => jira.leads(account).await,
            Self::Confluence(_) | Self::Bitbucket(_) | Self::Crowd(_) => Ok(Leads::default()),
        }
    }
}

impl ReadDirectory for DcReader {
    async fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        each!(self, source => source.pass(scope, progress).await)
    }

    async fn read_members(&self, group: &GroupId) -> Result<MembersRead, ReadError> {
        let walk = each!(self, source => source.all_members(group, Lane::Normal).await);
        match walk.error {
            Some(error) if walk.rows.is_empty() => Err(error),
            _ => Ok(members_seen(group, walk)),
        }
    }

    async fn read_group(&self, group: &GroupId) -> Result<Option<Group>, ReadError> {
        each!(self, source => twice(|| source.group(group, Lane::Normal)).await)
    }

    async fn read_user(&self, user: &AccountId) -> Result<Option<User>, ReadError> {
        each!(self, source => twice(|| source.user(user, Lane::Normal)).await)
    }

    async fn find_person(&self, email: &Email) -> Result<Option<User>, ReadError> {
        each!(self, source => source.find(email).await)
    }

    async fn verify(&self, fact: &Fact) -> Result<FactAnswer, ReadError> {
        let holds = match fact {
            Fact::Member { group, user, .. } => {
                let groups = each!(self, source => DcSource::groups_of(source, user, Lane::Urgent).await)?;
                groups.is_some_and(|groups| groups.contains(group))
            }
            Fact::Nested { group, nested, .. } => {
                let walk = each!(self, source => source.all_members(group, Lane::Urgent).await);
                match walk.error {
                    Some(error) if error.code != "404" && !error.code.contains("NOT_FOUND") => return Err(error),
                    _ => walk.rows.iter().any(|member| member.kind == MemberKind::Group(nested.clone())),
                }
            }
            Fact::User { user, .. } => {
                each!(self, source => twice(|| source.user(user, Lane::Urgent)).await)?.is_some()
            }
            Fact::Group { group, .. } => {
                each!(self, source => twice(|| source.group(group, Lane::Urgent)).await)?.is_some()
            }
        };
        Ok(if holds { FactAnswer::Holds } else { FactAnswer::Gone })
    }

    async fn reread(&self, groups: &[GroupId], users: &[AccountId]) -> Result<Reading, ReadError> {
        each!(self, source => gather::reread(source, groups, users).await)
    }

    async fn groups_of(&self, user: &AccountId) -> Result<Vec<GroupId>, ReadError> {
        let groups = each!(self, source => DcSource::groups_of(source, user, Lane::Normal).await)?;
        Ok(groups.unwrap_or_default())
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        each!(self, source => source.myself().await)
    }
}
