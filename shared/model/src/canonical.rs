//! Canonical bytes and digests: what an approval binds to, and how two sides prove that they hold the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct DigestError;

/// A value with one and only one spelling in bytes.
///
/// The bytes are the JSON of the value with the fields in the order of their declaration and no white space. Values
/// that are made canonical hold no hash maps and no floats, so equal values have equal bytes.
pub trait Canonical: Serialize {
    /// The canonical bytes. A value that cannot be written (there is none among ours) has no bytes, and so a digest
    /// that equals nothing else's.
    fn canonical_bytes(&self) -> Vec<u8> {
        // Most values that are made canonical are a few hundred bytes: grown from nothing, half the time is copying.
        let mut bytes = Vec::with_capacity(1024);
        if serde_json::to_writer(&mut bytes, self).is_err() {
            bytes.clear();
        }
        bytes
    }

    /// The digest of the canonical bytes.
    fn digest(&self) -> Digest {
        Digest::of(&self.canonical_bytes())
    }
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first twelve hexadecimal digits, for people and for ids within a plan.
    pub fn short(&self) -> String {
        let mut text = hex::encode(self.0);
        text.truncate(12);
        text
    }
}

/// The digest of a group's members in one directory's own ids: the same at the watcher and in the mirror.
///
/// The ids must be sorted and free of duplicates; each is written with its length before it, so that no two lists
/// share their bytes.
pub fn members_digest<'a>(sorted_ids: impl IntoIterator<Item = &'a str>) -> Digest {
    let mut hasher = Sha256::new();
    for id in sorted_ids {
        hasher.update(u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(id.as_bytes());
    }
    Digest(hasher.finalize().into())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl std::str::FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_join_to_the_same_text_have_other_digests() {
        assert_ne!(members_digest(["ab", "c"]), members_digest(["a", "bc"]));
        assert_eq!(members_digest(["a", "b"]), members_digest(vec!["a", "b"]));
    }

    #[test]
    fn a_digest_reads_back() {
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("xyz".parse::<Digest>(), Err(DigestError));
    }
}
