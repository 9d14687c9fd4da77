//! From a policy file to the targets that this process may write to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use effect::{
    ConfluenceWriter, CustomersWriter, DcProduct, DcWriter, JiraWriter, ListKind, OrgWriter, ScimWriter, Target,
};
use model::{DirectoryId, DirectoryKind, Side, Span, TenantId};
use outbound::{Budget, Client, ClientConfig, Credential, Limit, PacerConfig, Secret};
use policy::{Customers, Directory, Policy, SecretRef, Settings};
use runtime::{Clock, Exit, Fault};

use crate::Options;

/// Atlassian's own address, unless the policy names another endpoint.
const ATLASSIAN: &str = "https://api.atlassian.com";

/// The writer's part of a target's API budget; its watcher has the rest (DESIGN §7).
const SHARE_PERCENT: u8 = 80;

/// A target of a tenant, ready to be written to.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub directory: DirectoryId,
    /// How to change it.
    pub target: Target,
    /// Most commands at once.
    pub concurrency: usize,
}

/// Whom one policy file makes us write to.
#[derive(Debug)]
pub struct Tenant {
    /// What the file says.
    pub policy: Policy,
    /// The folder that its secrets are relative to.
    pub base: PathBuf,
    /// Its targets, ready to be written to.
    pub places: BTreeMap<DirectoryId, (Directory, Place)>,
}

/// Reads a policy file at the start, where one that cannot be right, or whose credentials are not to be had, ends the
/// process.
///
/// # Errors
/// When the file cannot be read or cannot be right, or a credential is not to be had.
pub fn tenant(file: &Path, clock: &Clock, options: &Options) -> Result<Tenant, Fault> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|cause| {
        Fault::new("E0106", Exit::Usage, format!("the policy {shown} cannot be read: {cause}"))
            .help("check the path and that this process may read it")
    })?;
    let policy = Policy::parse(&text).map_err(|problems| {
        let name = shown.to_string();
        let problems = problems.render(&name);
        let message = format!("the policy {shown} cannot be right; nothing is written\n{problems}");
        Fault::new("E0114", Exit::Usage, message).help("correct what is named above, then run `rollcall policy check`")
    })?;
    let base = file.parent().unwrap_or(Path::new(".")).to_owned();
    let mut places = BTreeMap::new();
    for (id, directory) in targets(&policy) {
        if let Some(place) = place(&policy.tenant, &directory, &base, clock, options)? {
            places.insert(id, (directory, place));
        }
    }
    Ok(Tenant { policy, base, places })
}

/// The targets of a policy: neither directories that are only read, nor views of an organization.
pub fn targets(policy: &Policy) -> BTreeMap<DirectoryId, Directory> {
    let is_target = |of: &&Directory| of.kind.side() == Side::Target && of.view_of.is_none();
    // How far its reads lag and how often it is read is nothing to its writer.
    let as_written = |of: &Directory| Directory { lag: Span::ZERO, sweep_every: Span::ZERO, ..of.clone() };
    policy.directories.values().filter(is_target).map(|of| (of.id.clone(), as_written(of))).collect()
}

/// A target, opened for writing; `None`: its kind cannot be written yet.
///
/// # Errors
/// As [`open`].
pub fn place(
    tenant: &TenantId,
    directory: &Directory,
    base: &Path,
    clock: &Clock,
    options: &Options,
) -> Result<Option<Place>, Fault> {
    let (tenant, id) = (tenant.clone(), directory.id.clone());
    let Some(target) = open(directory, base, clock, options)? else {
        tracing::warn!(
            rollcall.org = tenant.as_str(),
            rollcall.site = id.as_str(),
            kind = directory.kind.as_str(),
            "this kind of directory cannot be written yet"
        );
        return Ok(None);
    };
    Ok(Some(Place { tenant, directory: id, target, concurrency: concurrency(directory.kind) }))
}

/// Opens a target for writing; `None`: its kind cannot be written yet.
///
/// # Errors
/// When a credential is not to be had or an address is none.
pub fn open(directory: &Directory, base: &Path, clock: &Clock, options: &Options) -> Result<Option<Target>, Fault> {
    let id = &directory.id;
    let key = |name: &str| format!("directory.{id}.{name}");
    let secret = |name: &str, reference: &SecretRef| {
        let fetched = reference.to_string().parse().and_then(|reference| Secret::fetch(reference, base));
        fetched.map_err(|error| Fault::secret(&key(name), &error))
    };
    let endpoint = |own: &str| directory.endpoint.clone().unwrap_or_else(|| own.to_owned());
    let client = |base_url: String, credential| client(directory, &base_url, credential, clock, options);
    Ok(match &directory.settings {
        Settings::Org { org, directory, api_key } => {
            let credential = Credential::Bearer(secret("api_key", api_key)?);
            Some(Target::Org(OrgWriter::new(client(endpoint(ATLASSIAN), credential)?, org, directory)))
        }
        Settings::Scim { directory_id, token } => {
            let credential = Credential::Bearer(secret("token", token)?);
            Some(Target::Scim(ScimWriter::new(client(endpoint(ATLASSIAN), credential)?, directory_id)))
        }
        Settings::Jira { site, email, api_token } => {
            let secret = secret("api_token", api_token)?;
            let credential = Credential::Basic { user: email.as_written().to_owned(), secret };
            Some(Target::Jira(JiraWriter::new(client(endpoint(site), credential)?)))
        }
        Settings::DataCenter { url, token, user_directory } => {
            let product = match directory.kind {
                DirectoryKind::ConfluenceDc => DcProduct::Confluence,
                DirectoryKind::BitbucketDc => DcProduct::Bitbucket,
                _ => DcProduct::Jira,
            };
            let credential = Credential::Bearer(secret("token", token)?);
            let writer = data_center(directory, url, (product, credential), clock, options)?;
            Some(Target::DataCenter(writer.making_users_in(user_directory.clone())))
        }
        Settings::Crowd { url, application, password } => {
            let secret = secret("password", password)?;
            let credential = Credential::Basic { user: application.clone(), secret };
            Some(Target::DataCenter(data_center(directory, url, (DcProduct::Crowd, credential), clock, options)?))
        }
        Settings::Confluence { site, email, api_token } => {
            let secret = secret("api_token", api_token)?;
            let credential = Credential::Basic { user: email.as_written().to_owned(), secret };
            Some(Target::Confluence(ConfluenceWriter::new(client(endpoint(site), credential)?)))
        }
        Settings::Jsm { site, email, api_token, customers } => {
            let secret = secret("api_token", api_token)?;
            let credential = Credential::Basic { user: email.as_written().to_owned(), secret };
            let kind = match customers {
                Customers::Desk(_) => ListKind::Desk,
                Customers::Organization { .. } => ListKind::Organization,
            };
            Some(Target::Customers(CustomersWriter::new(client(endpoint(site), credential)?, kind)))
        }
        _ => None,
    })
}

/// An instance of Data Center, whose answers say in words of their own that we are nobody.
fn data_center(
    directory: &Directory,
    url: &str,
    (product, credential): (DcProduct, Credential),
    clock: &Clock,
    options: &Options,
) -> Result<DcWriter, Fault> {
    let base_url = policy::below_endpoint(directory.endpoint.as_deref(), url);
    let client = client_with(directory, &base_url, credential, (clock, options), outbound::data_center_sense)?;
    Ok(DcWriter::new(client, product, runtime::ids::token))
}

fn client(
    directory: &Directory,
    base_url: &str,
    credential: Credential,
    clock: &Clock,
    options: &Options,
) -> Result<Client, Fault> {
    client_with(directory, base_url, credential, (clock, options), outbound::default_sense)
}

fn client_with(
    directory: &Directory,
    base_url: &str,
    credential: Credential,
    (clock, options): (&Clock, &Options),
    sense: fn(&outbound::Answer) -> outbound::Sense,
) -> Result<Client, Fault> {
    let told = options.limits_of(&directory.id);
    let limit = if told.is_empty() { Limit::Learned } else { Limit::Declared(told) };
    let concurrency = u32::try_from(concurrency(directory.kind)).unwrap_or(u32::MAX);
    let config = PacerConfig { limit, share_percent: SHARE_PERCENT, concurrency };
    let name = directory.kind.as_str();
    let budget = Budget::new(name, &config, clock.clone());
    let mut config = ClientConfig::new(name, base_url, credential, budget, clock.clone());
    config.timeout = options.call_timeout;
    config.sense = sense;
    Client::new(config).map_err(|error| {
        Fault::new("E0132", Exit::Usage, format!("directory.{}: {error}", directory.id))
            .help("correct `endpoint`, `site` or `url` in the policy file")
    })
}

/// Most calls at once. Provisioning answers a whole group's change in one call and bears more of them.
const fn concurrency(kind: DirectoryKind) -> usize {
    match kind {
        DirectoryKind::AtlassianScim => 32,
        DirectoryKind::JiraCloud => 16,
        _ => 8,
    }
}
