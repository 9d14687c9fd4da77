//! Opaque page tokens: bound to the query that made them, and expiring.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clock::Millis;

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageToken {
    /// Which page it leads to, from 2.
    #[serde(rename = "p")]
    pub page: u32,
    /// The sort key of the last item shown, or an offset in decimal digits: the list decides.
    #[serde(rename = "a")]
    pub after: String,
    /// When it was made.
    #[serde(rename = "t")]
    pub made_at: Millis,
    /// Digest of the query that it belongs to.
    #[serde(rename = "q")]
    query: String,
}

impl PageToken {
    /// A token for the page after `after`, for this query.
    pub fn new(page: u32, after: impl Into<String>, made_at: Millis, query: &str) -> Self {
        Self { page, after: after.into(), made_at, query: digest(query) }
    }

    /// The text that clients see; changing a character of it makes it invalid.
    pub fn seal(&self) -> String {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = Sha256::digest(&body).get(..6).unwrap_or_default().to_vec();
        bytes.extend_from_slice(&body);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token, unless it was made by somebody else, for another query, or too long ago.
    pub fn open(text: &str, now: Millis, lifetime: Millis, query: &str) -> Option<Self> {
        let it = Self::peek(text)?;
        (it.query == digest(query) && now.saturating_sub(it.made_at) <= lifetime).then_some(it)
    }

    /// Reads a token without asking what it is for.
    pub fn peek(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        let (check, body) = bytes.split_at_checked(6)?;
        if Sha256::digest(body).get(..6)? != check {
            return None;
        }
        serde_json::from_slice(body).ok()
    }
}

/// Which page a token leads to; 1 without a token, 0 if it is none of ours.
pub fn page_of(token: &str) -> u32 {
    if token.is_empty() { 1 } else { PageToken::peek(token).map_or(0, |it| it.page) }
}

fn digest(query: &str) -> String {
    hex::encode(Sha256::digest(query.as_bytes()).get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_bound_to_its_query_and_its_lifetime() {
        let text = PageToken::new(2, "m", 1000, "members of g").seal();
        assert_eq!(PageToken::open(&text, 1500, 1000, "members of g").map(|it| it.after), Some("m".to_owned()));
        assert_eq!(PageToken::open(&text, 1500, 1000, "members of h"), None);
        assert_eq!(PageToken::open(&text, 2001, 1000, "members of g"), None);
        assert_eq!((page_of(&text), page_of(""), page_of("nonsense")), (2, 1, 0));
    }
}
