//! Who may call the played APIs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Millis;

/// A Google service account with domain-wide delegation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// `iss` of its assertions.
    pub client_email: String,
    /// The numeric client id under which an administrator granted scopes.
    pub client_id: String,
    /// Its public key: DER of an RSAPublicKey (PKCS #1) or SubjectPublicKeyInfo, in base64, or PEM.
    pub public_key: String,
    /// The scopes granted by delegation; a request for any other fails as a whole.
    pub scopes: BTreeSet<String>,
}

/// An OAuth web client at Google with the refresh tokens and codes that people gave it.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct OauthClient {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: String,
    /// Refresh token → who consented, to what.
    #[serde(default)]
    pub refresh_tokens: BTreeMap<String, Grant>,
    /// Unused authorization code → who consented, to what.
    #[serde(default)]
    pub codes: BTreeMap<String, Grant>,
}

/// Somebody's consent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Grant {
    /// The person who consented.
    pub subject: String,
    /// What they consented to.
    pub scopes: BTreeSet<String>,
}

/// An access token that the token endpoint handed out.
#[derive(Debug, Clone, Serialize)]
pub struct AccessToken {
    /// On whose behalf.
    pub subject: String,
    /// The client it was given to.
    pub client: String,
    /// What it may do.
    pub scopes: BTreeSet<String>,
    /// When it ends.
    pub expires_at: Millis,
}

/// A key of Atlassian's side.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret {
    /// `atlassian-org` (organization key), `scim` (directory token) or `jira` (API token of a person).
    pub kind: String,
    /// The organization, the SCIM directory or the site that it is for.
    pub realm: String,
    /// For `jira` the person's e-mail address; otherwise a name for the log.
    #[serde(default)]
    pub principal: String,
    /// The secret itself.
    pub secret: String,
    /// What it may do; everything if empty.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
    /// When it ends.
    #[serde(default)]
    pub expires_at: Option<Millis>,
    /// Taken back.
    #[serde(default)]
    pub revoked: bool,
}

/// All credentials of the twin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Credentials {
    /// Service accounts by their address.
    #[serde(default)]
    pub service_accounts: BTreeMap<String, ServiceAccount>,
    /// OAuth clients by client id.
    #[serde(default)]
    pub oauth_clients: BTreeMap<String, OauthClient>,
    /// Access tokens by their text.
    #[serde(skip)]
    pub access_tokens: BTreeMap<String, AccessToken>,
    /// Atlassian's keys.
    #[serde(default)]
    pub secrets: Vec<Secret>,
}

impl Credentials {
    /// The key of this kind with this secret, if it is neither revoked nor expired.
    pub fn secret(&self, kind: &str, presented: &str, now: Millis) -> Option<&Secret> {
        self.secrets.iter().find(|it| {
            it.kind == kind
                && it.secret == presented
                && !it.revoked
                && it.expires_at.is_none_or(|expires_at| now < expires_at)
        })
    }

    /// Adds what another set holds; entries with the same name are replaced.
    pub fn merge(&mut self, other: Self) {
        self.service_accounts.extend(other.service_accounts);
        self.oauth_clients.extend(other.oauth_clients);
        for secret in other.secrets {
            self.secrets.retain(|it| (&it.kind, &it.secret) != (&secret.kind, &secret.secret));
            self.secrets.push(secret);
        }
    }
}

impl fmt::Debug for OauthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthClient").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, realm, principal, revoked, .. } = self;
        f.debug_struct("Secret")
            .field("kind", kind)
            .field("realm", realm)
            .field("principal", principal)
            .field("revoked", revoked)
            .finish_non_exhaustive()
    }
}
