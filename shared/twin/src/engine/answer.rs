//! An answer before it becomes bytes, so that faults can still change it.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

/// What an answer carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// No body at all.
    Empty,
    /// A JSON document, sent with the answer's JSON media type.
    Json(Value),
    /// Anything else, with its media type.
    Text(String, String),
}

/// One HTTP answer of a played API.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// Further headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub content: Content,
    /// The media type of a JSON body; `application/scim+json` for SCIM.
    pub json_type: &'static str,
    /// Cut the connection instead of answering: the client sees a transport error.
    pub reset: bool,
    /// The names that the call looked for: who looks for them again, and for nothing else, waits for something that is late.
    pub looked_for: Vec<String>,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: Value) -> Self {
        Self { content: Content::Json(body), ..Self::empty(status) }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Empty,
            json_type: "application/json; charset=UTF-8",
            reset: false,
            looked_for: Vec::new(),
        }
    }

    /// An answer in plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { content: Content::Text(body.into(), "text/plain; charset=utf-8".to_owned()), ..Self::empty(status) }
    }

    /// A web page where the client expects JSON, as log-in and maintenance pages come.
    pub fn html(status: u16, body: impl Into<String>) -> Self {
        Self { content: Content::Text(body.into(), "text/html; charset=utf-8".to_owned()), ..Self::empty(status) }
    }

    /// No answer: the connection is closed before a byte of the head is sent.
    pub fn reset() -> Self {
        Self { reset: true, ..Self::empty(200) }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The JSON body, if there is one.
    pub fn body(&self) -> Option<&Value> {
        match &self.content {
            Content::Json(body) => Some(body),
            Content::Empty | Content::Text(..) => None,
        }
    }

    /// The JSON body to change, if there is one.
    pub fn body_mut(&mut self) -> Option<&mut Value> {
        match &mut self.content {
            Content::Json(body) => Some(body),
            Content::Empty | Content::Text(..) => None,
        }
    }

    /// Whether the status says success.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body's bytes and media type.
    pub fn bytes(&self) -> (Vec<u8>, Option<String>) {
        match &self.content {
            Content::Empty => (Vec::new(), None),
            Content::Json(body) => (body.to_string().into_bytes(), Some(self.json_type.to_owned())),
            Content::Text(text, media_type) => (text.clone().into_bytes(), Some(media_type.clone())),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        if self.reset {
            // The body fails on its first poll, when hyper has not flushed the head: it drops the connection.
            let cut = stream::iter([Err::<Bytes, _>(std::io::Error::other("connection cut by an injected fault"))]);
            return Response::new(Body::from_stream(cut));
        }
        let (bytes, media_type) = self.bytes();
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(value) = media_type.and_then(|it| HeaderValue::from_str(&it).ok()) {
            response.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
