//! Tokens for Google: a service account with domain-wide delegation, or an OAuth client's refresh token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use model::{Span, Time};
use outbound::{
    Body, Budget, CallErrorKind, Client, ClientConfig, Clock, Credential, Request, Secret, TokenError, TokenFuture,
    TokenSource,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use yup_oauth2::authenticator::Authenticator;
use yup_oauth2::{CustomHyperClientBuilder, ServiceAccountAuthenticator, ServiceAccountKey};

/// What we ask to be allowed: to read users, and to read groups with their members.
pub const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
];

/// Google's token endpoint for OAuth clients, unless the directory has an `endpoint`.
const TOKEN_BASE: &str = "https://oauth2.googleapis.com";

/// How we identify ourselves.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A service account's key file, impersonating an administrator.
    ServiceAccount {
        /// The content of the key file.
        key: Secret,
        /// The administrator's address.
        subject: String,
    },
    /// An OAuth web client, as the administrator who consented.
    OAuth {
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: Secret,
        /// The refresh token that the consent gave.
        refresh_token: Secret,
    },
}

/// A refusal asked for twice within this time is answered from what the first brought: eight reads that are refused at
/// once are one new token.
const RENEWED_LATELY: Span = Span::from_secs(5);
const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);

impl Auth {
    /// The tokens of this identity. One source per subject: yup-oauth2's cache does not know the subject
    /// (reference/google.md §5.7).
    pub(crate) fn source(
        self,
        endpoint: Option<&str>,
        clock: Clock,
        replaced: &Replaced,
    ) -> Result<Arc<dyn TokenSource>, TokenError> {
        match self {
            Self::ServiceAccount { key, subject } => {
                Ok(Arc::new(ServiceAccount::new(key, subject, clock, replaced.clone())?))
            }
            Self::OAuth { client_id, client_secret, refresh_token } => {
                let base = endpoint.unwrap_or(TOKEN_BASE);
                let secrets = [client_secret, refresh_token];
                Ok(Arc::new(RefreshToken::new(base, client_id, secrets, clock, replaced.clone())?))
            }
        }
    }
}

/// How often the secrets of an identity were replaced: it may be another one since. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replaced(Arc<AtomicU64>);

impl Replaced {
    pub(crate) fn times(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Fetches secrets anew that were refused; whether one of them is another than before.
    fn look(&self, secrets: &[&Secret]) -> bool {
        let mut other = false;
        for secret in secrets {
            let before = secret.value();
            secret.renew();
            other |= before.expose_secret() != secret.value().expose_secret();
        }
        if other {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        other
    }
}

type Signer = Authenticator<HttpsConnector<HttpConnector>>;

struct ServiceAccount {
    key: Secret,
    subject: String,
    /// Held while a token is fetched: concurrent first calls are one.
    signing: Mutex<Signing>,
    clock: Clock,
    replaced: Replaced,
}

struct Signing {
    /// Of the key as it was when the signer was made.
    signer: Option<Arc<Signer>>,
    /// When a token was last renewed by force.
    renewed: Time,
}

fn key_of(secret: &Secret) -> Result<ServiceAccountKey, TokenError> {
    let key: ServiceAccountKey = serde_json::from_str(secret.value().expose_secret()).map_err(|_| {
        refused("the service account's key file is not one: download a JSON key of the service account")
    })?;
    // What is sent there is signed with the key: whoever reads it on its way is us for an hour.
    if !outbound::is_safe_address(&key.token_uri) {
        return Err(refused("the key file's token_uri is neither https nor on this machine: download the key again"));
    }
    Ok(key)
}

impl ServiceAccount {
    fn new(key: Secret, subject: String, clock: Clock, replaced: Replaced) -> Result<Self, TokenError> {
        key_of(&key)?;
        Ok(Self { key, subject, signing: Mutex::new(Signing { signer: None, renewed: Time::NEVER }), clock, replaced })
    }

    /// Made with the first token: yup-oauth2 reads the private key in an async function.
    async fn signer(&self, signing: &mut Signing) -> Result<Arc<Signer>, TokenError> {
        if let Some(signer) = &signing.signer {
            return Ok(Arc::clone(signer));
        }
        let tls = outbound::tls_config().map_err(|error| TokenError::Refused(error.to_string()))?;
        let connector =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        let client = CustomHyperClientBuilder::from(client);
        let builder = ServiceAccountAuthenticator::with_client(key_of(&self.key)?, client);
        let made = builder.subject(self.subject.clone()).build().await;
        let made =
            made.map_err(|_| refused("the service account's private key cannot be read: download a new JSON key"))?;
        Ok(Arc::clone(signing.signer.insert(Arc::new(made))))
    }

    async fn fetch(&self, refresh: bool) -> Result<SecretString, TokenError> {
        let mut signing = self.signing.lock().await;
        let refusal = match self.ask(&mut signing, refresh).await {
            Err(TokenError::Refused(text)) => TokenError::Refused(text),
            answer => return answer,
        };
        // The key may have been replaced since it was read.
        if !self.replaced.look(&[&self.key]) {
            return Err(refusal);
        }
        signing.signer = None;
        self.ask(&mut signing, false).await
    }

    async fn ask(&self, signing: &mut Signing, refresh: bool) -> Result<SecretString, TokenError> {
        let now = outbound::now(&self.clock);
        let force = refresh && signing.renewed.until(now) > RENEWED_LATELY;
        let signer = self.signer(signing).await?;
        let fetching = async {
            if !force {
                let kept = signer.token(&SCOPES).await?;
                // An error object in the place of a token comes out as a token without text, and is kept for ever.
                if kept.token().is_some() {
                    return Ok(kept);
                }
            }
            signer.force_refreshed_token(&SCOPES).await
        };
        let answer = tokio::time::timeout(TOKEN_TIMEOUT, fetching)
            .await
            .map_err(|_| TokenError::Unreachable("the token endpoint did not answer within 20 s".to_owned()))?;
        let token = answer.map_err(|error| explain(&error))?;
        if force {
            signing.renewed = now;
        }
        match token.token() {
            Some(text) if !text.is_empty() => Ok(SecretString::from(text)),
            _ => Err(TokenError::Unreachable("the token endpoint answered without a token".to_owned())),
        }
    }
}

impl TokenSource for ServiceAccount {
    fn token(&self, refresh: bool) -> TokenFuture<'_> {
        Box::pin(self.fetch(refresh))
    }
}

/// The refresh-token grant as our own POST: yup-oauth2 ties that flow to Google's address.
struct RefreshToken {
    client: Client,
    client_id: SecretString,
    client_secret: Secret,
    /// What the administrator's consent gave.
    consent: Secret,
    kept: Mutex<Kept>,
    replaced: Replaced,
}

struct Kept {
    token: Option<SecretString>,
    fetched: Time,
    expires: Time,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl RefreshToken {
    fn new(
        base: &str,
        client_id: String,
        [client_secret, consent]: [Secret; 2],
        clock: Clock,
        replaced: Replaced,
    ) -> Result<Self, TokenError> {
        let budget = Budget::learned("google-token", 100, 1, clock.clone());
        let mut config = ClientConfig::new("google-token", base, Credential::None, budget, clock);
        config.timeout = TOKEN_TIMEOUT;
        let client = Client::new(config).map_err(|error| TokenError::Refused(error.to_string()))?;
        let kept = Mutex::new(Kept { token: None, fetched: Time::NEVER, expires: Time::NEVER });
        let client_id = SecretString::from(client_id);
        Ok(Self { client, client_id, client_secret, consent, kept, replaced })
    }

    async fn fetch(&self, refresh: bool) -> Result<SecretString, TokenError> {
        let mut kept = self.kept.lock().await;
        let now = self.client.now();
        let good = now < kept.expires && !(refresh && kept.fetched.until(now) > RENEWED_LATELY);
        if let Some(token) = kept.token.as_ref().filter(|_| good) {
            return Ok(token.clone());
        }
        match self.ask(&mut kept, now).await {
            // They may have been replaced since they were read.
            Err(TokenError::Refused(_)) if self.replaced.look(&[&self.client_secret, &self.consent]) => {
                self.ask(&mut kept, now).await
            }
            answer => answer,
        }
    }

    async fn ask(&self, kept: &mut Kept, now: Time) -> Result<SecretString, TokenError> {
        let form = vec![
            ("grant_type", SecretString::from("refresh_token")),
            ("client_id", self.client_id.clone()),
            ("client_secret", self.client_secret.value()),
            ("refresh_token", self.consent.value()),
        ];
        let request = Request::post("/token", &[]).body(Body::Form(form));
        let answer = self.client.read(&request).await.map_err(|error| match error.kind {
            CallErrorKind::Untrusted => TokenError::Untrusted(error.to_string()),
            _ => TokenError::Unreachable(error.to_string()),
        })?;
        if answer.is_success() {
            let granted: Granted = answer.json().map_err(TokenError::Unreachable)?;
            let token = SecretString::from(granted.access_token);
            let lives = Span::from_secs(granted.expires_in.unwrap_or(3_600).saturating_sub(60));
            *kept = Kept { token: Some(token.clone()), fetched: now, expires: now.plus(lives) };
            return Ok(token);
        }
        match (answer.status.as_u16(), answer.json::<Refusal>()) {
            (400..=403, Ok(refusal)) => Err(refused_for(&refusal.error)),
            (status, _) => Err(TokenError::Unreachable(format!("the token endpoint is in trouble (status {status})"))),
        }
    }
}

impl TokenSource for RefreshToken {
    fn token(&self, refresh: bool) -> TokenFuture<'_> {
        Box::pin(self.fetch(refresh))
    }
}

fn refused(text: &str) -> TokenError {
    TokenError::Refused(text.to_owned())
}

/// Google's reason for refusing a token, and what to do (reference/google.md §5.3).
fn refused_for(error: &str) -> TokenError {
    let remedy = match error {
        "unauthorized_client" => {
            "authorize the client's id for domain-wide delegation with the scopes admin.directory.user.readonly and \
             admin.directory.group.readonly"
        }
        "invalid_grant" => {
            "check that the subject is an active administrator, the machine's clock is right and the key or refresh \
             token was not revoked"
        }
        "invalid_client" => "check client id and secret, or download a new key",
        "invalid_scope" => "the scopes are not known to this endpoint",
        _ => "check the credentials of this directory",
    };
    TokenError::Refused(format!("Google refuses a token ({error}): {remedy}"))
}

fn explain(error: &yup_oauth2::Error) -> TokenError {
    use yup_oauth2::Error;
    match error {
        Error::AuthError(refusal) => refused_for(refusal.error.as_str()),
        Error::UserError(_) | Error::CredentialSourceError(_) => refused("the service account's key cannot be used"),
        Error::JSONError(_) | Error::MissingAccessToken => {
            TokenError::Unreachable("the token endpoint answered without a token".to_owned())
        }
        other => match outbound::untrusted(other) {
            Some(why) => TokenError::Untrusted(format!("the token endpoint is not trusted: {why}")),
            None => TokenError::Unreachable("the token endpoint cannot be reached".to_owned()),
        },
    }
}
