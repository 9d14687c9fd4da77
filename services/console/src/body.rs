//! Bodies of requests, and what every write must say.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;

use crate::failure::Failure;

/// The longest reason that is kept, in characters.
const REASON_MAX: usize = 1000;

/// A JSON body; whatever is wrong with it is said in our own words, without its content.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Body<T>
where
    T: serde::de::DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let Json(value) = Json::<T>::from_request(request, state).await.map_err(|rejection| match rejection {
            JsonRejection::MissingJsonContentType(_) => Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "usage",
                "send JSON, with Content-Type application/json",
            ),
            rejection if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "usage", "the body is longer than 64 KiB")
            }
            _ => Failure::usage("the body is not the JSON that this request takes"),
        })?;
        Ok(Self(value))
    }
}

/// A reason that says something.
pub(crate) fn reason(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::usage("say why: the reason is kept in the audit trail").help("send {\"reason\": \"…\"}"));
    }
    if text.chars().count() > REASON_MAX {
        return Err(Failure::usage(format!("the reason is longer than {REASON_MAX} characters")));
    }
    Ok(text)
}
