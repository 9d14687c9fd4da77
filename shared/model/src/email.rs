//! Addresses. Compared in ASCII lower case only, never Unicode-folded, and never an identity by themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An e-mail address as the vendor wrote it. Two addresses are the same person's only by [`Email::key`].
///
/// The key folds ASCII letters and nothing else, so that a dotless i, a Kelvin sign or an accent never makes two
/// people one (failure modes 104, 105 and 107).
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    written: Box<str>,
    /// Only where it differs from what was written: nearly nowhere, and there are millions of addresses in memory.
    key: Option<Box<str>>,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address: it needs one @ between a local part and a domain, and no spaces or control characters")]
pub struct EmailError;

/// Why an address may be looked at but not trusted to find an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmailDoubt {
    /// Characters outside ASCII: may be a homoglyph of somebody else's address.
    NotAscii,
    /// A punycode label in the domain: may look like another domain.
    Punycode,
}

impl Email {
    /// Reads an address. Surrounding white space is not forgiven: vendors do not send it.
    ///
    /// # Errors
    /// When there is not exactly one `@` with something at both sides, or a character that no address has.
    pub fn new(text: impl AsRef<str>) -> Result<Self, EmailError> {
        let text = text.as_ref();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if local.is_empty() || domain.is_empty() || local.contains('@') || text.len() > 320 || !clean {
            return Err(EmailError);
        }
        let folds = text.bytes().any(|byte| byte.is_ascii_uppercase());
        Ok(Self { written: text.into(), key: folds.then(|| text.to_ascii_lowercase().into()) })
    }

    /// What addresses are compared by: the ASCII lower case.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.written)
    }

    /// The address as the vendor wrote it.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// The domain, in ASCII lower case.
    pub fn domain(&self) -> &str {
        self.key().rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The part before the `@`, in ASCII lower case.
    pub fn local(&self) -> &str {
        self.key().rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What makes the address unfit to find an account by itself, if anything.
    pub fn doubt(&self) -> Option<EmailDoubt> {
        if !self.key().is_ascii() {
            Some(EmailDoubt::NotAscii)
        } else if self.domain().split('.').any(|label| label.starts_with("xn--")) {
            Some(EmailDoubt::Punycode)
        } else {
            None
        }
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Email {}

impl PartialOrd for Email {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Email {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}
impl std::hash::Hash for Email {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// An address is personal data: `Debug` shows that there is one, not which.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// For people: the address as it was written.
impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;
    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::new(text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.written.into()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_is_folded_in_ascii_only() {
        assert_eq!(Email::new("Ana.B@Example.com").unwrap(), Email::new("ana.b@example.COM").unwrap());
        // The Kelvin sign and the dotless i fold to k and i in Unicode, and must not here.
        assert_ne!(Email::new("\u{212a}im@example.com").unwrap(), Email::new("kim@example.com").unwrap());
        assert_ne!(Email::new("m\u{131}ke@example.com").unwrap(), Email::new("mike@example.com").unwrap());
    }

    #[test]
    fn what_is_not_plain_ascii_is_a_doubt() {
        assert_eq!(Email::new("josé@example.com").unwrap().doubt(), Some(EmailDoubt::NotAscii));
        assert_eq!(Email::new("a@xn--exmple-cua.com").unwrap().doubt(), Some(EmailDoubt::Punycode));
        assert_eq!(Email::new("a+b@example.com").unwrap().doubt(), None);
    }

    #[test]
    fn debug_shows_no_address() {
        assert!(!format!("{:?}", Email::new("ana@example.com").unwrap()).contains("ana"));
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(text in ".{0,12}@.{0,12}") {
            if let Ok(email) = Email::new(&text) {
                let again = Email::new(email.key()).unwrap();
                prop_assert_eq!(again.key(), email.key());
                prop_assert_eq!(email.as_written(), text.as_str());
            }
        }
    }
}
