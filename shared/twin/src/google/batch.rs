//! The batch endpoint (google.md §1.3): up to a thousand calls in one `multipart/mixed` request.

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use uuid::Uuid;

use super::dialect::error;
use super::directory::dispatch;
use super::wire::Wire;
use crate::engine::Answer;
use crate::engine::answer::Content;
use crate::server::Shared;

const LARGEST: usize = 64 * 1024 * 1024;
const MOST_CALLS: usize = 1000;

/// Answers a batch: parts in the order asked, each with its own status. Each part counts as one call.
pub(super) async fn batch(State(twin): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let refuse = |message: &str| error(400, "badRequest", message, None).into_response();
    let Ok(body) = to_bytes(body, LARGEST).await else {
        return refuse("The batch is too large.");
    };
    let boundary = head.headers.get("content-type").and_then(|it| it.to_str().ok()).and_then(boundary_of);
    let Some(boundary) = boundary else {
        return refuse("Failed to parse batch request: no boundary");
    };
    let Some(calls) = read_parts(&body, &boundary, &head.headers) else {
        return refuse("Failed to parse batch request: malformed part");
    };
    if calls.is_empty() || calls.len() > MOST_CALLS {
        return refuse("The batch request must contain between 1 and 1000 calls.");
    }
    let boundary = format!("batch_{}", Uuid::new_v4().simple());
    let mut parts = Vec::new();
    for call in calls {
        let answer = dispatch(&twin, &call.wire).await;
        if answer.reset {
            return answer.into_response();
        }
        parts.push(part(&boundary, call.content_id.as_deref(), &answer));
    }
    parts.push(format!("--{boundary}--\r\n"));
    let media_type = format!("multipart/mixed; boundary={boundary}");
    Answer { content: Content::Text(parts.concat(), media_type), ..Answer::empty(200) }.into_response()
}

struct Part {
    content_id: Option<String>,
    wire: Wire,
}

fn boundary_of(content_type: &str) -> Option<String> {
    let parameters = content_type.strip_prefix("multipart/mixed")?.split(';');
    let boundary = parameters.map(str::trim).find_map(|it| it.strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"').to_owned())
}

fn read_parts(body: &Bytes, boundary: &str, outer: &HeaderMap) -> Option<Vec<Part>> {
    let text = std::str::from_utf8(body).ok()?.replace("\r\n", "\n");
    let mut parts = Vec::new();
    let line = format!("--{boundary}");
    let mut pieces = text.split(&line);
    pieces.next()?;
    for piece in pieces {
        if piece.starts_with("--") {
            break;
        }
        parts.push(read_part(piece.trim_start_matches('\n'), outer)?);
    }
    Some(parts)
}

/// One part: its own headers, an empty line, a request line, the request's headers, an empty line, the body. Outer
/// headers apply unless the request names them itself.
fn read_part(piece: &str, outer: &HeaderMap) -> Option<Part> {
    let (envelope, inner) = piece.split_once("\n\n")?;
    let content_id = headers(envelope).get("content-id").and_then(|it| it.to_str().ok()).map(str::to_owned);
    let inner = inner.trim_start_matches('\n');
    let (head, body) = inner.split_once("\n\n").unwrap_or((inner.trim_end(), ""));
    let (line, rest) = head.split_once('\n').unwrap_or((head, ""));
    let mut words = line.split_whitespace();
    let method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
    let uri = words.next()?;
    let mut headers = headers(rest);
    for name in ["authorization", "x-request-id"] {
        if let (None, Some(value)) = (headers.get(name), outer.get(name)) {
            headers.insert(name, value.clone());
        }
    }
    let body = Bytes::copy_from_slice(body.trim_end_matches('\n').as_bytes());
    Some(Part { content_id, wire: Wire::new(method, uri, headers, body) })
}

fn headers(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let name = HeaderName::from_bytes(name.trim().to_ascii_lowercase().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value.trim())) {
            headers.insert(name, value);
        }
    }
    headers
}

/// `Content-ID: <x>` is answered as `<response-x>`, the text kept as it is.
fn part(boundary: &str, content_id: Option<&str>, answer: &Answer) -> String {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (body, media_type) = answer.bytes();
    let mut lines = vec![format!("--{boundary}"), "Content-Type: application/http".to_owned()];
    if let Some(id) = content_id {
        let id = id.trim_start_matches('<').trim_end_matches('>');
        lines.push(format!("Content-ID: <response-{id}>"));
    }
    lines.push(String::new());
    lines.push(format!("HTTP/1.1 {} {}", answer.status, status.canonical_reason().unwrap_or("Unknown")));
    lines.extend(answer.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.extend(media_type.map(|it| format!("Content-Type: {it}")));
    lines.push(format!("Content-Length: {}", body.len()));
    lines.push(String::new());
    lines.push(String::from_utf8_lossy(&body).into_owned());
    lines.push(String::new());
    lines.join("\r\n")
}
