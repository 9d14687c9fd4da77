//! Opaque cursors: they carry the whole query, so that beside a cursor every other parameter is ignored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::incoming::Incoming;
use super::{Operation, Request, error};
use crate::engine::{Answer, Millis};
use crate::world::atlassian::AtlassianSwitches;
use crate::world::atlassian::switches::CursorPlace;

/// Where the next page of which query begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The query: body of a search, or parameters of a listing.
    #[serde(rename = "q")]
    pub(super) query: Value,
    /// Position of the last element shown.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<u32>,
    /// Number of elements shown so far.
    #[serde(rename = "n", default)]
    pub(super) shown: usize,
    /// Which page it leads to, from 1.
    #[serde(rename = "p")]
    pub(super) page: u32,
    /// When it was made.
    #[serde(rename = "t")]
    pub(super) made_at: Millis,
}

impl Cursor {
    /// A cursor to the first page of the request.
    pub(super) fn first(incoming: &Incoming, now: Millis) -> Self {
        Self { query: query_of(incoming).unwrap_or(Value::Null), after: None, shown: 0, page: 1, made_at: now }
    }

    /// The text that clients see.
    pub(super) fn seal(&self) -> String {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = Sha256::digest(&body).get(..6).unwrap_or_default().to_vec();
        bytes.extend_from_slice(&body);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor, unless it is none of ours.
    pub(super) fn open(text: &str) -> Result<Self, ()> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ())?;
        let (check, body) = bytes.split_at_checked(6).ok_or(())?;
        if Sha256::digest(body).get(..6) != Some(check) {
            return Err(());
        }
        serde_json::from_slice(body).map_err(|_| ())
    }

    /// The cursor of this request: the one presented, if it is valid, or one to its first page.
    pub(super) fn of(request: &Request<'_>, switches: &AtlassianSwitches) -> Result<Self, Answer> {
        let bad = || error::application(400, "ADMIN-400-1", "Invalid cursor");
        match &request.cursor {
            Err(()) => Err(bad()),
            Ok(Some(it)) => {
                let age = request.view.now.saturating_sub(it.made_at);
                let expired = switches.cursor_life_ms > 0 && age > switches.cursor_life_ms;
                if expired { Err(bad()) } else { Ok(it.clone()) }
            }
            Ok(None) => {
                let query = query_of(request.incoming).map_err(|it| error::invalid_body(&it))?;
                let made_at = request.view.now;
                Ok(Self { query, after: None, shown: 0, page: 1, made_at })
            }
        }
    }

    /// Takes one page from elements in order, each with its position: what is shown, and the links of the page.
    pub(super) fn page<T>(
        &self,
        elements: impl Iterator<Item = (u32, T)>,
        limit: usize,
        now: Millis,
        place: CursorPlace,
    ) -> (Vec<T>, Value) {
        let skip = if place == CursorPlace::Offset { self.shown } else { 0 };
        let mut elements = elements.skip(skip);
        let mut shown = Vec::new();
        let mut last = self.after;
        for (position, element) in elements.by_ref().take(limit) {
            last = Some(position);
            shown.push(element);
        }
        let mut links = Map::new();
        links.insert("self".to_owned(), json!(self.seal()));
        if elements.next().is_some() {
            let after = if place == CursorPlace::Element { last } else { None };
            let next = Self {
                query: self.query.clone(),
                after,
                shown: self.shown + shown.len(),
                page: self.page + 1,
                made_at: now,
            };
            links.insert("next".to_owned(), json!(next.seal()));
        }
        (shown, Value::Object(links))
    }
}

/// Whether faults may speak of pages of that operation.
pub(super) fn is_paged(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::UserSearch
            | Operation::UserList
            | Operation::GroupSearch
            | Operation::GroupList
            | Operation::ManagedAccounts
            | Operation::Directories
            | Operation::Workspaces
            | Operation::Events
            | Operation::EventsStream
    )
}

/// The cursor that the request presents: in the body of a search, in the query of a listing.
pub(super) fn presented(incoming: &Incoming) -> Option<String> {
    let in_query = incoming.parameter("cursor").map(str::to_owned);
    in_query.or_else(|| {
        let body: Value = incoming.json().ok()?;
        body.get("cursor")?.as_str().map(str::to_owned)
    })
}

/// The query: the JSON body of a search, or the parameters of a listing as an object of arrays of texts.
fn query_of(incoming: &Incoming) -> Result<Value, String> {
    if incoming.method == http::Method::POST {
        return incoming.json::<Value>().map_err(|it| it.to_string());
    }
    let mut query = Map::new();
    for (name, value) in &incoming.query {
        // Array parameters come repeated or with commas.
        let values = value.split(',').map(|it| json!(it));
        if let Value::Array(all) = query.entry(name.clone()).or_insert_with(|| json!([])) {
            all.extend(values);
        }
    }
    Ok(Value::Object(query))
}
