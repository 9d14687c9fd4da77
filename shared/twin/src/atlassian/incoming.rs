//! A request taken apart: path segments, query, credentials, body.

use axum::body::Bytes;
use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::engine::Answer;

/// The most that a request body may hold.
const BODY_MAX: usize = 32 << 20;

/// One request of any of Atlassian's APIs.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// Decoded, without empty ones.
    pub(crate) segments: Vec<String>,
    /// Decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) request_id: String,
}

impl Incoming {
    pub(crate) async fn read(request: Request) -> Result<Self, Answer> {
        let (parts, body) = request.into_parts();
        let body =
            axum::body::to_bytes(body, BODY_MAX).await.map_err(|_| Answer::text(413, "request body too large"))?;
        let pairs = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>();
        let request_id = text(&parts.headers, "x-request-id").unwrap_or_else(|| Uuid::new_v4().to_string());
        Ok(Self {
            method: parts.method,
            segments: segments(parts.uri.path()),
            query: parts.uri.query().map(pairs).unwrap_or_default(),
            headers: parts.headers,
            body,
            request_id,
        })
    }

    /// Path segments as text.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// First value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter.
    pub(crate) fn parameters(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A numeric query parameter: `Ok(None)` if absent, `Err` if it is not a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ()> {
        self.parameter(name).map(|it| it.parse().map_err(|_| ())).transpose()
    }

    /// The body as JSON of that shape; an empty body counts as an empty object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        if self.body.is_empty() { serde_json::from_str("{}") } else { serde_json::from_slice(&self.body) }
    }

    /// The bearer token, if one was sent.
    pub(crate) fn bearer(&self) -> Option<String> {
        let value = text(&self.headers, header::AUTHORIZATION.as_str())?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }

    /// User and password of basic authentication, if they were sent.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let value = text(&self.headers, header::AUTHORIZATION.as_str())?;
        let (scheme, token) = value.split_once(' ')?;
        let decoded = STANDARD.decode(token.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let (user, password) =
            String::from_utf8(decoded).ok()?.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        Some((user, password))
    }

    /// `http://host` as the client called it.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", text(&self.headers, header::HOST.as_str()).unwrap_or_else(|| "localhost".to_owned()))
    }

    /// The path as it was called, for messages.
    pub(crate) fn path_text(&self) -> String {
        format!("/{}", self.segments.join("/"))
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned)
}

/// Segments of a path, percent-decoded; a plus sign stays one.
fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|it| !it.is_empty()).map(decoded).collect()
}

fn decoded(segment: &str) -> String {
    let plus_kept = segment.replace('+', "%2B");
    url::form_urlencoded::parse(plus_kept.replace('&', "%26").replace('=', "%3D").as_bytes())
        .map(|(key, _)| key.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn paths_are_decoded_segment_by_segment() {
        assert_eq!(segments("/users/712020%3Aab%2Fc+d=e&f/manage"), ["users", "712020:ab/c+d=e&f", "manage"]);
    }
}
