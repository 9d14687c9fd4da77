//! Who we are to a vendor.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use http::HeaderValue;
use runtime::secret::Secret;
use secrecy::{ExposeSecret as _, SecretString};

/// What a request is signed with.
#[derive(Clone)]
pub enum Credential {
    /// `Authorization: Bearer …`: an organization API key, a directory key, a personal access token.
    Bearer(Secret),
    /// `Authorization: Basic …`: an address or name and an API token or password.
    Basic {
        /// The address or name.
        user: String,
        /// The API token or password.
        secret: Secret,
    },
    /// Tokens that expire and are fetched.
    Tokens(Arc<dyn TokenSource>),
    /// Nothing: the token endpoint itself.
    None,
}

/// Where short-lived tokens come from.
pub trait TokenSource: Send + Sync {
    /// A token that is believed to be good. `refresh`: the vendor has just refused the last one, fetch another.
    fn token(&self, refresh: bool) -> TokenFuture<'_>;
}

/// A token under way.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<SecretString, TokenError>> + Send + 'a>>;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The vendor refuses us; asking again will not help. Says what to do.
    #[error("{0}")]
    Refused(String),
    /// The token endpoint shows a certificate that is not to be trusted.
    #[error("{0}")]
    Untrusted(String),
    /// The token endpoint cannot be reached or is in trouble.
    #[error("{0}")]
    Unreachable(String),
}

impl Credential {
    /// The value of the `Authorization` header, marked so that no library prints it.
    /// `refresh`: the vendor has just refused the last one. A secret is then fetched anew, which gives the same value
    /// where it was not replaced.
    pub(crate) async fn header(&self, refresh: bool) -> Result<Option<HeaderValue>, TokenError> {
        if let (Self::Bearer(secret) | Self::Basic { secret, .. }, true) = (self, refresh) {
            secret.renew();
        }
        let text = match self {
            Self::None => return Ok(None),
            Self::Bearer(secret) => bearer(&secret.value()),
            Self::Basic { user, secret } => {
                let pair = SecretString::from(format!("{user}:{}", secret.value().expose_secret()));
                let coded = base64::engine::general_purpose::STANDARD.encode(pair.expose_secret());
                SecretString::from(format!("Basic {coded}"))
            }
            Self::Tokens(source) => bearer(&source.token(refresh).await?),
        };
        let mut value = HeaderValue::from_str(text.expose_secret()).map_err(|_| {
            TokenError::Refused("the credential holds characters that no header may have: copy it again".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn bearer(secret: &SecretString) -> SecretString {
    SecretString::from(format!("Bearer {}", secret.expose_secret()))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Basic { .. } => "Basic(…)",
            Self::Tokens(_) => "Tokens(…)",
            Self::None => "None",
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn no_secret_shows() {
        let basic = Credential::Basic { user: "ana".to_owned(), secret: "hunter2".into() };
        assert!(!format!("{basic:?}").contains("hunter2"));
        let header = basic.header(false).await.unwrap().unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic YW5hOmh1bnRlcjI=");
        assert!(!format!("{header:?}").contains("YW5h"), "a sensitive header is not printed");
        let bad = Credential::Bearer("line\nhunter2".into());
        let error = bad.header(false).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
