//! Listings: one `eq` filter, index-based pages.

use serde_json::{Value, json};

use super::super::incoming::Incoming;
use super::error;
use crate::engine::Answer;

/// Which part of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// From 1.
    pub(super) start: usize,
    /// Page size.
    pub(super) count: usize,
}

impl Window {
    /// Reads `startIndex` and `count`; out of range is pulled into it, as RFC 7644 §3.4.2.4 says.
    pub(super) fn read(incoming: &Incoming, largest: usize) -> Result<Self, Answer> {
        let bad = |name: &str| error::invalid("invalidValue", &format!("{name} must be a number."));
        let start = incoming.number("startIndex").map_err(|()| bad("startIndex"))?.unwrap_or(1).max(1);
        let count = incoming.number("count").map_err(|()| bad("count"))?;
        let count = count.map_or(largest, |it| usize::try_from(it.max(0)).unwrap_or(largest).min(largest));
        Ok(Self { start: usize::try_from(start).unwrap_or(1), count })
    }

    /// The body of a listing. `itemsPerPage` is the page size also when fewer are left: so a real directory answered.
    pub(super) fn body<T>(self, all: Vec<T>, show: impl Fn(T) -> Value) -> Value {
        let total = all.len();
        let shown: Vec<Value> = all.into_iter().skip(self.start - 1).take(self.count).map(show).collect();
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": self.start,
            "itemsPerPage": self.count,
            "Resources": shown,
        })
    }
}

/// Which page a request asks for, for faults.
pub(super) fn page(incoming: &Incoming) -> u32 {
    let start = incoming.number("startIndex").ok().flatten().unwrap_or(1).max(1) - 1;
    let count = incoming.number("count").ok().flatten().unwrap_or(10_000).max(1);
    u32::try_from(start / count + 1).unwrap_or(u32::MAX)
}

/// Reads `attribute eq "value"`, for one of these attributes; names count whatever their case.
pub(super) fn filter(incoming: &Incoming, allowed: &[&str]) -> Result<Option<(String, String)>, Answer> {
    let Some(text) = incoming.parameter("filter").filter(|it| !it.trim().is_empty()) else { return Ok(None) };
    let bad = || error::invalid("invalidFilter", &format!("Unsupported filter: {text}"));
    let (attribute, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(bad)?;
    let (operator, value) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(bad)?;
    if !operator.eq_ignore_ascii_case("eq") {
        return Err(bad());
    }
    let attribute = attribute.rsplit_once(':').map_or(attribute, |(_, name)| name);
    let known = allowed.iter().find(|it| it.eq_ignore_ascii_case(attribute)).ok_or_else(bad)?;
    let value: String = serde_json::from_str(value.trim()).map_err(|_| bad())?;
    Ok(Some(((*known).to_owned(), value)))
}
