//! A request as Google reads it: percent-encoded paths, method override, queries in bodies.

use std::borrow::Cow;

use axum::body::to_bytes;
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::{Map, Value};

use super::dialect::error;
use crate::engine::Answer;

/// What a body may weigh: a batch of a thousand calls fits.
const LARGEST: usize = 32 * 1024 * 1024;

/// One request, on its own or as a part of a batch.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    /// The method after `X-HTTP-Method-Override`.
    pub(super) method: Method,
    /// Decoded segments of the path below `/admin/directory/v1/`.
    pub(super) path: Vec<String>,
    /// Decoded query parameters in order.
    pub(super) query: Vec<(String, String)>,
    /// Headers.
    pub(super) headers: HeaderMap,
    /// The body; empty when it was a query in disguise.
    pub(super) body: Bytes,
}

impl Wire {
    /// Reads a request from the network.
    pub(super) async fn read(request: Request) -> Result<Self, Answer> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, LARGEST)
            .await
            .map_err(|_| error(413, "uploadTooLarge", "Request Entity Too Large", None))?;
        Ok(Self::new(parts.method, &parts.uri.to_string(), parts.headers, body))
    }

    /// Makes a request from its parts. A GET that came as POST has its query in the body (google.md §1.1).
    pub(super) fn new(method: Method, uri: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, raw_query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = path.split_once("/admin/directory/v1/").map_or("", |(_, rest)| rest);
        let path = path.split('/').filter(|it| !it.is_empty()).map(decoded).collect();
        let mut query = pairs(raw_query.as_bytes());
        let over = text(&headers, "x-http-method-override").and_then(|it| it.to_ascii_uppercase().parse().ok());
        let form = text(&headers, header::CONTENT_TYPE.as_str())
            .is_some_and(|it| it.starts_with("application/x-www-form-urlencoded"));
        let mut it = Self { method, path, query: Vec::new(), headers, body };
        if let Some(over) = over.filter(|_| it.method == Method::POST) {
            it.method = over;
            if form {
                query.extend(pairs(&it.body));
                it.body = Bytes::new();
            }
        }
        it.query = query;
        it
    }

    /// The last value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    /// The JSON object in the body; empty if there is no body.
    pub(super) fn object(&self) -> Option<Map<String, Value>> {
        if self.body.is_empty() {
            return Some(Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// The access token, from the header or the query.
    pub(super) fn access_token(&self) -> Option<&str> {
        let bearer = self.header("authorization").and_then(|it| it.split_once(' '));
        match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
            _ => self.parameter("access_token").or_else(|| self.parameter("oauth_token")),
        }
    }

    /// A segment of the path; empty if it is not that long.
    pub(super) fn segment(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }
}

/// The pairs of a query string or form.
pub(super) fn pairs(raw: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(raw).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}

/// Percent-decodes a segment of a path, where `+` is a plus.
fn decoded(segment: &str) -> String {
    let escaped: Cow<'_, str> = if segment.contains('+') { segment.replace('+', "%2B").into() } else { segment.into() };
    // A segment may hold `&` and `=`, which the form decoder would take for its own.
    let escaped = escaped.replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(escaped.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_path_is_decoded_segment_by_segment() {
        let wire = Wire::new(
            Method::GET,
            "/admin/directory/v1/users/a%2Bb%40example.com?fields=id&x=1%202",
            HeaderMap::new(),
            Bytes::new(),
        );
        assert_eq!(wire.path, ["users", "a+b@example.com"]);
        assert_eq!(wire.parameter("x"), Some("1 2"));
        assert_eq!(decoded("a+b=c&d"), "a+b=c&d");
    }

    #[test]
    fn a_long_get_may_come_as_a_post() {
        let mut headers = HeaderMap::new();
        headers.insert("x-http-method-override", "get".parse().unwrap());
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let wire = Wire::new(Method::POST, "/admin/directory/v1/users", headers, Bytes::from("query=a%3Db"));
        assert_eq!((wire.method, wire.body.len()), (Method::GET, 0));
        assert_eq!(wire.query, [("query".to_owned(), "a=b".to_owned())]);
    }
}
