//! `[directory.<name>]`: the user bases of a tenant and how each is reached.

use std::fmt;

use model::{DirectoryId, DirectoryKind, Email, Span};

/// One `[directory.<name>]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The name after `[directory.`.
    pub id: DirectoryId,
    /// What kind of directory it is.
    pub kind: DirectoryKind,
    /// The organization whose groups this site shows: its groups are written once, through that organization.
    /// `None`: the directory owns its groups.
    pub view_of: Option<DirectoryId>,
    /// Whose credential it is. That account is never touched.
    pub owner: Option<Email>,
    /// Where to call instead of the vendor's own address, `scheme://host:port` without a slash at the end.
    pub endpoint: Option<String>,
    /// How long after a confirmed write a read may still show the old state. 60 s unless the file says otherwise.
    pub lag: Span,
    /// How often everything is read. 6 h unless the file says otherwise.
    pub sweep_every: Span,
    /// What only its kind has.
    pub settings: Settings,
}

/// What only one kind of directory has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// `google-workspace`.
    Google {
        /// The customer's id, or `my_customer`.
        customer: String,
        /// Who we are there.
        auth: GoogleAuth,
        /// How often the audit log is asked for hints.
        audit_poll: Span,
        /// Hints that Google sends by itself.
        push: Option<Push>,
    },
    /// `scim-inbound`: another identity provider pushes to us.
    ScimInbound {
        /// The bearer token that it shows.
        token: SecretRef,
    },
    /// `atlassian-org`.
    Org {
        /// The organization's id.
        org: String,
        /// The id of the directory in the organization.
        directory: String,
        /// The organization's API key.
        api_key: SecretRef,
    },
    /// `atlassian-scim`.
    Scim {
        /// The id of the provisioning directory.
        directory_id: String,
        /// Its API key.
        token: SecretRef,
    },
    /// `jira-cloud`.
    Jira {
        /// Address of the site.
        site: String,
        /// The account that the token belongs to.
        email: Email,
        /// Its API token.
        api_token: SecretRef,
    },
    /// `confluence-cloud`.
    Confluence {
        /// Address of the site.
        site: String,
        /// The account that the token belongs to.
        email: Email,
        /// Its API token.
        api_token: SecretRef,
    },
    /// `jsm-customers`.
    Jsm {
        /// Address of the site.
        site: String,
        /// The account that the token belongs to.
        email: Email,
        /// Its API token.
        api_token: SecretRef,
        /// Which customers.
        customers: Customers,
    },
    /// `jira-dc`, `confluence-dc` and `bitbucket-dc`; the kind says which.
    DataCenter {
        /// Address of the instance, with its context path.
        url: String,
        /// Personal access token.
        token: SecretRef,
        /// Bitbucket: the user directory that is to be the one in which users are made.
        user_directory: Option<String>,
    },
    /// `crowd`.
    Crowd {
        /// Address of the server, with its context path.
        url: String,
        /// The application's name.
        application: String,
        /// The application's password.
        password: SecretRef,
    },
}

impl Directory {
    /// Reads younger than this are never too old: where sweeps follow each other in seconds, one takes longer than two
    /// intervals.
    const PATIENCE: Span = Span::from_secs(60);

    /// What was read longer ago than this says nothing about now: two intervals of sweeps.
    pub fn stale_after(&self) -> Span {
        Span(self.sweep_every.0.saturating_mul(2)).max(Self::PATIENCE)
    }
}

impl Settings {
    /// The account that the credential belongs to, or in whose name it is used, where the file says so.
    pub const fn account(&self) -> Option<&Email> {
        match self {
            Self::Google { auth: GoogleAuth::ServiceAccount { subject, .. }, .. } => Some(subject),
            Self::Jira { email, .. } | Self::Confluence { email, .. } | Self::Jsm { email, .. } => Some(email),
            _ => None,
        }
    }
}

/// Where an instance that is at `url` is called: with an endpoint, there, below the path that the instance has.
pub fn below_endpoint(endpoint: Option<&str>, url: &str) -> String {
    let Some(endpoint) = endpoint else { return url.to_owned() };
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("{}/{}", endpoint.trim_end_matches('/'), path.trim_matches('/')).trim_end_matches('/').to_owned()
}

/// Who we are at Google.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleAuth {
    /// A service account with domain-wide delegation.
    ServiceAccount {
        /// Its JSON key.
        key: SecretRef,
        /// The administrator in whose name it reads.
        subject: Email,
    },
    /// An OAuth web client with a refresh token.
    OAuth {
        /// The client's public id.
        client_id: String,
        /// Its secret.
        client_secret: SecretRef,
        /// The refresh token that an administrator granted.
        refresh_token: SecretRef,
    },
}

/// Hints that Google sends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Where Google reaches us.
    pub public_url: String,
    /// What Google shows to prove that the hint is of our channel.
    pub channel_token: SecretRef,
}

/// Which customers of a service desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Customers {
    /// Those of the desk with this project key.
    Desk(String),
    /// Those of a customer organization.
    Organization {
        /// Its name.
        name: String,
        /// The project key of the desk that it is to be attached to; `None`: that is done by hand, or it opens no portal.
        desk: Option<String>,
    },
}

impl Customers {
    /// What the list is called: the key of the desk's project, or the organization's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Desk(name) | Self::Organization { name, .. } => name,
        }
    }
}

/// Where a secret is kept. Never the secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// `file:<path>`: the file's content, without the line end.
    File(String),
    /// `env:<NAME>`: an environment variable.
    Env(String),
}

/// As it is written in the policy file.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{path}"),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_takes_the_place_of_the_host_and_keeps_the_path() {
        let url = "https://crowd.acme.com/crowd/";
        assert_eq!(below_endpoint(None, url), url);
        assert_eq!(below_endpoint(Some("http://127.0.0.1:7002"), url), "http://127.0.0.1:7002/crowd");
        assert_eq!(below_endpoint(Some("http://127.0.0.1:7002/"), "https://jira.acme.com"), "http://127.0.0.1:7002");
    }
}
