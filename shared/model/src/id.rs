//! Typed ids. Our own names are slugs; the vendors' ids are opaque strings that are compared byte by byte.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A name of ours has other characters than `[a-z0-9-]` or is not 1 to 40 characters long.
    #[error("\"{0}\" is not a valid id: use 1 to 40 lower-case letters, digits and hyphens")]
    Slug(String),
    /// A vendor's id is empty, longer than 256 bytes or holds control characters.
    #[error("an id of the vendor is empty, too long or holds control characters")]
    Opaque,
}

fn is_slug(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_opaque(text: &str) -> bool {
    (1..=256).contains(&text.len()) && !text.chars().any(char::is_control)
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $valid:ident, $error:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        /// As text; canonical bytes hold an id several times for each membership, so it is not copied first.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// Checks the text and makes the id.
            ///
            /// # Errors
            /// When the text breaks the rule that the type states.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                if $valid(text) { Ok(Self(Arc::from(text))) } else { Err($error(text)) }
            }

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }
    };
}

fn slug_error(text: &str) -> IdError {
    IdError::Slug(text.chars().take(60).collect())
}

fn opaque_error(_: &str) -> IdError {
    IdError::Opaque
}

text_id!(
    /// A customer of one deployment. A slug: `[a-z0-9-]{1,40}`.
    TenantId, is_slug, slug_error
);
text_id!(
    /// A named user base of a tenant, at either side: the name after `[directory.` in the policy file. A slug.
    DirectoryId, is_slug, slug_error
);
text_id!(
    /// One `[[sync]]` or `[[people.provision]]` entry; its name in the policy file, made a slug.
    RuleId, is_slug, slug_error
);
text_id!(
    /// The vendor's immutable id of a person or account in one directory (Google user id, Atlassian accountId,
    /// SCIM user id). Compared byte by byte; unique only within its directory.
    AccountId, is_opaque, opaque_error
);
text_id!(
    /// The vendor's immutable id of a group in one directory. Compared byte by byte; unique only within its directory.
    GroupId, is_opaque, opaque_error
);

impl AccountId {
    /// What of the id outlasts a rename: at Data Center and Crowd ids are made of a stable key, a slash and the user
    /// name; `None`: an id of another make, which never changes.
    pub fn stable_key(&self) -> Option<&str> {
        self.0.split_once('/').map(|(key, _)| key)
    }
}

/// The id of a command: the idempotency key under which the ledger knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub uuid::Uuid);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_has_lower_case_letters_digits_and_hyphens_only() {
        assert!(TenantId::new("acme-2").is_ok());
        for bad in ["", "Acme", "a.b", "a*", "a>b", "ä", "a b", &"a".repeat(41)] {
            assert!(TenantId::new(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn an_opaque_id_keeps_its_case_and_refuses_control_characters() {
        assert_eq!(AccountId::new("70121:Ab-C").map(|id| id.to_string()), Ok("70121:Ab-C".to_owned()));
        assert!(AccountId::new("a\nb").is_err());
        assert!(GroupId::new("").is_err());
    }
}
