//! The reader of any directory that the policy file can name.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atlassian::dc::{DcConfig, DcReader};
use atlassian::{
    ConfluenceReader, CustomerList, CustomersReader, JiraConfig, JiraReader, OrgConfig, OrgReader, ScimConfig,
    ScimReader,
};
use google::GoogleReader;
use model::{AccountId, Answer, Email, Fact, Group, GroupId, MembersRead, Reading, User};
use outbound::{
    Budget, Clock, Counts, Credential, Limit, PacerConfig, Progress, ReadDirectory, ReadError, Scope, Secret,
};
use policy::{Customers, Directory, GoogleAuth, SecretRef, Settings};
use runtime::secret::SecretError;
use runtime::{Exit, Fault};

/// A directory that can be read, whatever its kind.
#[derive(Clone, Debug)]
pub enum Reader {
    /// Google Workspace.
    Google(GoogleReader),
    /// An Atlassian organization.
    Org(OrgReader),
    /// A provisioning directory.
    Scim(ScimReader),
    /// A Jira site.
    Jira(JiraReader),
    /// A Confluence site.
    Confluence(ConfluenceReader),
    /// An instance of Data Center.
    DataCenter(DcReader),
    /// A list of customers of a site.
    Customers(CustomersReader),
}

/// How a reader goes about its work.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// What times the readings bear.
    pub clock: Clock,
    /// Which part of the vendor's limit is ours, in per cent: 20 for the watcher of a target that a writer writes to.
    pub share_percent: u8,
    /// The vendor's limit, where it is not as documented.
    pub limit: Option<Limit>,
    /// How many groups are walked at once.
    pub parallel: usize,
    /// Longest time for one call.
    pub timeout: Duration,
    /// Sites that show the groups of the organization that is read.
    pub sites: Vec<Directory>,
    /// Attributes of accounts that entries map to this directory, beside those that are always told.
    pub attributes: BTreeSet<String>,
}

impl ReaderOptions {
    /// As a policy asks for this directory, and otherwise the defaults.
    pub fn of(policy: &policy::Policy, directory: &Directory) -> Self {
        let (sites, attributes) = (sites_of(policy, directory), attributes_of(policy, directory));
        Self { sites, attributes, ..Self::default() }
    }
}

/// The attributes of accounts that the entries of a policy map to this directory.
pub fn attributes_of(policy: &policy::Policy, directory: &Directory) -> BTreeSet<String> {
    let entries = policy.provisions.iter().filter(|entry| entry.to == directory.id);
    entries.flat_map(|entry| entry.attributes.keys().cloned()).collect()
}

/// The sites of a policy that show the groups of this organization.
pub fn sites_of(policy: &policy::Policy, directory: &Directory) -> Vec<Directory> {
    let shows = |site: &&Directory| {
        site.view_of.as_ref() == Some(&directory.id) && matches!(site.settings, Settings::Jira { .. })
    };
    policy.directories.values().filter(shows).cloned().collect()
}

impl Default for ReaderOptions {
    /// The whole limit as documented, eight groups at once, half a minute for a call.
    fn default() -> Self {
        Self {
            clock: Clock::real(),
            share_percent: 100,
            limit: None,
            parallel: 8,
            timeout: Duration::from_secs(30),
            sites: Vec::new(),
            attributes: BTreeSet::new(),
        }
    }
}

impl Reader {
    /// A reader of this directory. Fetches the secrets, relative to `base_folder` (the policy file's); asks nothing of the
    /// vendor yet. Only where several tasks of a process call one vendor as one credential do they share a budget, by
    /// sharing the reader.
    ///
    /// # Errors
    /// When a secret is missing, an address cannot be used, or there is no reader of this kind.
    pub fn connect(directory: &Directory, base_folder: &Path) -> Result<Self, Fault> {
        Self::connect_with(directory, base_folder, &ReaderOptions::default())
    }

    /// As [`Reader::connect`], with other options.
    ///
    /// # Errors
    /// As there.
    pub fn connect_with(directory: &Directory, base_folder: &Path, options: &ReaderOptions) -> Result<Self, Fault> {
        let secret = |reference: &SecretRef| {
            fetch(reference, base_folder)
                .map_err(|error| Fault::secret(&format!("directory \"{}\"", directory.id), &error))
        };
        let refused = |error: ReadError| {
            let message = format!("directory \"{}\" cannot be called: {error}", directory.id);
            Fault::new("E0118", Exit::Error, message).help("correct its credentials and addresses; nothing was read")
        };
        let endpoint = directory.endpoint.clone();
        let (clock, timeout, parallel) = (options.clock.clone(), options.timeout, options.parallel);
        let budget = |api: &str, documented: Limit| {
            let limit = options.limit.clone().unwrap_or(documented);
            let concurrency = u32::try_from(parallel).unwrap_or(u32::MAX);
            let config = PacerConfig { limit, share_percent: options.share_percent, concurrency };
            // Limits are the vendor's, in its time, which is the real one: a rehearsed clock may stand still.
            Budget::new(api, &config, Clock::real())
        };
        match &directory.settings {
            Settings::Google { customer, auth, .. } => {
                let auth = google_auth(auth, &secret)?;
                let budget = budget("google", google::documented_limit());
                let customer = customer.clone();
                let config = google::Config { endpoint, customer, auth, budget, clock, timeout, parallel };
                GoogleReader::connect(config).map(Self::Google).map_err(refused)
            }
            Settings::Org { org, directory: id, api_key } => {
                let config = OrgConfig {
                    endpoint,
                    org: org.clone(),
                    directory: id.clone(),
                    api_key: secret(api_key)?,
                    owner: directory.owner.clone(),
                    budget: budget("atlassian-org", Limit::Learned),
                    clock,
                    timeout,
                    parallel,
                    sites: Self::sites(base_folder, options)?,
                };
                OrgReader::connect(config).map(Self::Org).map_err(refused)
            }
            Settings::Scim { directory_id, token } => {
                let (directory_id, token) = (directory_id.clone(), secret(token)?);
                let budget = budget("atlassian-scim", Limit::Learned);
                let config = ScimConfig { endpoint, directory_id, token, budget, clock, timeout, parallel };
                ScimReader::connect(config).map(Self::Scim).map_err(refused)
            }
            Settings::Jira { site, email, api_token }
            | Settings::Confluence { site, email, api_token }
            | Settings::Jsm { site, email, api_token, .. } => {
                let config = JiraConfig {
                    base_url: endpoint.unwrap_or_else(|| site.clone()),
                    site: site.clone(),
                    email: email.as_written().to_owned(),
                    api_token: secret(api_token)?,
                    budget: budget("jira", atlassian::jira_limit()),
                    clock,
                    timeout,
                    parallel,
                };
                Self::of_site(directory, config).map_err(refused)
            }
            Settings::DataCenter { .. } | Settings::Crowd { .. } => {
                let budget = budget(directory.kind.as_str(), Limit::Learned);
                let config = data_center(directory, &secret, budget, options)?;
                DcReader::connect(config).map(Self::DataCenter).map_err(refused)
            }
            Settings::ScimInbound { .. } => Err(not_yet(directory)),
        }
    }

    /// The site's groups, or the list of customers that is meant.
    fn of_site(directory: &Directory, config: JiraConfig) -> Result<Self, ReadError> {
        match &directory.settings {
            Settings::Jsm { customers, .. } => {
                CustomersReader::connect(config, customer_list(customers)).map(Self::Customers)
            }
            Settings::Confluence { .. } => ConfluenceReader::connect(config).map(Self::Confluence),
            _ => JiraReader::connect(config).map(Self::Jira),
        }
    }

    fn sites(base_folder: &Path, options: &ReaderOptions) -> Result<Vec<JiraReader>, Fault> {
        let options_of_site = ReaderOptions { sites: Vec::new(), ..options.clone() };
        let mut sites = Vec::new();
        for site in &options.sites {
            if let Self::Jira(reader) = Self::connect_with(site, base_folder, &options_of_site)? {
                sites.push(reader);
            }
        }
        Ok(sites)
    }

    /// What the directory is pinned by from the first sight on: a policy file, or credentials, that later mean another one
    /// by the same name are refused. `None`: nothing was read yet that tells, or the vendor has no id for it.
    pub fn pinned_id(&self) -> Option<String> {
        match self {
            Self::Google(reader) => reader.customer_id(),
            Self::Org(reader) => Some(reader.identity()),
            Self::Scim(reader) => Some(reader.identity()),
            Self::Jira(_) | Self::Confluence(_) | Self::DataCenter(_) | Self::Customers(_) => None,
        }
    }

    /// Asks the vendor for one thing of each kind that a sweep reads, and at sites and instances for the right without which
    /// nothing can be changed. With credentials that pass this, a sweep is not refused. Cheap, and always a call.
    ///
    /// # Errors
    /// When the vendor refuses or does not answer; names the scope or the right that is missing.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        match self {
            Self::Google(reader) => reader.probe().await,
            Self::Org(reader) => reader.probe().await,
            Self::Scim(reader) => reader.probe().await,
            Self::Jira(reader) => reader.probe().await,
            Self::Confluence(reader) => reader.probe().await,
            Self::DataCenter(reader) => reader.probe().await,
            Self::Customers(reader) => reader.probe().await,
        }
    }

    /// How many calls were made, and how many of them the vendor refused because there were too many.
    pub fn counts(&self) -> Counts {
        match self {
            Self::Google(reader) => reader.budget(),
            Self::Org(reader) => reader.budget(),
            Self::Scim(reader) => reader.budget(),
            Self::Jira(reader) => reader.budget(),
            Self::Confluence(reader) => reader.budget(),
            Self::DataCenter(reader) => reader.budget(),
            Self::Customers(reader) => reader.budget(),
        }
        .counts()
    }
}

fn customer_list(customers: &Customers) -> CustomerList {
    match customers {
        Customers::Desk(key) => CustomerList::Desk(key.clone()),
        Customers::Organization { name, desk } => CustomerList::Organization { name: name.clone(), desk: desk.clone() },
    }
}

/// Who we are at Google, with the secrets fetched.
fn google_auth(
    auth: &GoogleAuth,
    secret: &impl Fn(&SecretRef) -> Result<Secret, Fault>,
) -> Result<google::Auth, Fault> {
    Ok(match auth {
        GoogleAuth::ServiceAccount { key, subject } => {
            google::Auth::ServiceAccount { key: secret(key)?, subject: subject.as_written().to_owned() }
        }
        GoogleAuth::OAuth { client_id, client_secret, refresh_token } => google::Auth::OAuth {
            client_id: client_id.clone(),
            client_secret: secret(client_secret)?,
            refresh_token: secret(refresh_token)?,
        },
    })
}

/// How an instance of Data Center is reached, with its secret fetched.
fn data_center(
    directory: &Directory,
    secret: &impl Fn(&SecretRef) -> Result<Secret, Fault>,
    budget: Arc<Budget>,
    options: &ReaderOptions,
) -> Result<DcConfig, Fault> {
    let (url, credential) = match &directory.settings {
        Settings::DataCenter { url, token, .. } => (url.as_str(), Credential::Bearer(secret(token)?)),
        Settings::Crowd { url, application, password } => {
            (url.as_str(), Credential::Basic { user: application.clone(), secret: secret(password)? })
        }
        _ => ("", Credential::None),
    };
    Ok(DcConfig {
        kind: directory.kind,
        base_url: policy::below_endpoint(directory.endpoint.as_deref(), url),
        site: url.to_owned(),
        attributes: options.attributes.clone(),
        user_directory: match &directory.settings {
            Settings::DataCenter { user_directory, .. } => user_directory.clone(),
            _ => None,
        },
        credential,
        budget,
        clock: options.clock.clone(),
        timeout: options.timeout,
        parallel: options.parallel,
    })
}

/// Calls the same method of whichever reader it is.
macro_rules! each {
    ($self:ident, $reader:ident => $call:expr) => {
        match $self {
            Reader::Google($reader) => $call,
            Reader::Org($reader) => $call,
            Reader::Scim($reader) => $call,
            Reader::Jira($reader) => $call,
            Reader::Confluence($reader) => $call,
            Reader::DataCenter($reader) => $call,
            Reader::Customers($reader) => $call,
        }
    };
}

impl ReadDirectory for Reader {
    async fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        each!(self, reader => reader.sweep(scope, progress).await)
    }

    async fn read_members(&self, group: &GroupId) -> Result<MembersRead, ReadError> {
        each!(self, reader => reader.read_members(group).await)
    }

    async fn read_group(&self, group: &GroupId) -> Result<Option<Group>, ReadError> {
        each!(self, reader => reader.read_group(group).await)
    }

    async fn read_user(&self, user: &AccountId) -> Result<Option<User>, ReadError> {
        each!(self, reader => reader.read_user(user).await)
    }

    async fn find_person(&self, email: &Email) -> Result<Option<User>, ReadError> {
        each!(self, reader => reader.find_person(email).await)
    }

    async fn verify(&self, fact: &Fact) -> Result<Answer, ReadError> {
        each!(self, reader => reader.verify(fact).await)
    }

    async fn reread(&self, groups: &[GroupId], users: &[AccountId]) -> Result<Reading, ReadError> {
        each!(self, reader => reader.reread(groups, users).await)
    }

    async fn groups_of(&self, user: &AccountId) -> Result<Vec<GroupId>, ReadError> {
        each!(self, reader => reader.groups_of(user).await)
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        each!(self, reader => reader.who_am_i().await)
    }
}

fn not_yet(directory: &Directory) -> Fault {
    let message = format!("directory \"{}\": {} cannot be read yet", directory.id, directory.kind.as_str());
    Fault::new("E0119", Exit::Error, message).help("take the directory out of the rules until it can")
}

fn fetch(reference: &SecretRef, base_folder: &Path) -> Result<Secret, SecretError> {
    let reference = match reference {
        SecretRef::File(path) => runtime::secret::SecretRef::File(path.into()),
        SecretRef::Env(name) => runtime::secret::SecretRef::Env(name.clone()),
    };
    Secret::fetch(reference, base_folder)
}
