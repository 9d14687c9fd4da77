//! How Google words errors (google.md §1.8) and how its lists look to faults.

use serde_json::{Map, Value, json};

use crate::engine::{Answer, Call, Dialect};
use crate::world::google::Refused;

/// Google's Directory API.
pub(super) struct Google;

/// An error in the canonical body. `status` is the gRPC name that newer front ends add.
pub(super) fn error(code: u16, reason: &str, message: &str, status: Option<&str>) -> Answer {
    let mut body = json!({
        "code": code,
        "message": message,
        "errors": [{"message": message, "domain": domain(reason), "reason": reason}],
    });
    if let (Some(status), Some(body)) = (status, body.as_object_mut()) {
        body.insert("status".to_owned(), json!(status));
    }
    Answer::json(code, json!({ "error": body }))
}

fn domain(reason: &str) -> &'static str {
    match reason {
        "userRateLimitExceeded"
        | "rateLimitExceeded"
        | "quotaExceeded"
        | "dailyLimitExceeded"
        | "accessNotConfigured" => "usageLimits",
        _ => "global",
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::NotFound(_) | Refused::DomainNotFound => error(404, "notFound", &message, None),
            Refused::Duplicate(_) => error(409, "duplicate", &message, None),
            Refused::Condition(_) => error(412, "conditionNotMet", &message, None),
            Refused::Invalid(_) => error(400, "invalid", &message, None),
            Refused::Required(_) => error(400, "required", &message, None),
            Refused::BadRequest(_) => error(400, "badRequest", &message, None),
            Refused::Forbidden => error(403, "forbidden", &message, None),
        }
    }
}

/// 401 for a token that is missing, unknown, expired or taken back.
pub(super) fn unauthorized(missing: bool) -> Answer {
    let (message, reason, short) = if missing {
        (
            "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other \
          valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
            "required",
            "Login Required.",
        )
    } else {
        (
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
          authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
            "authError",
            "Invalid Credentials",
        )
    };
    let detail = json!({
        "message": short, "domain": "global", "reason": reason,
        "location": "Authorization", "locationType": "header",
    });
    let body = json!({"error": {"code": 401, "message": message, "errors": [detail], "status": "UNAUTHENTICATED"}});
    let challenge = if missing {
        "Bearer realm=\"https://accounts.google.com/\"".to_owned()
    } else {
        "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"".to_owned()
    };
    Answer::json(401, body).with("WWW-Authenticate", challenge)
}

/// 403 for a token without any of the scopes that the method takes.
pub(super) fn insufficient_scope(method: &str, scopes: &[String]) -> Answer {
    let message = "Request had insufficient authentication scopes.";
    let body = json!({"error": {
        "code": 403,
        "message": message,
        "errors": [{"message": "Insufficient Permission", "domain": "global", "reason": "insufficientPermissions"}],
        "status": "PERMISSION_DENIED",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "domain": "googleapis.com",
            "metadata": {"service": "admin.googleapis.com", "method": format!("directory.{method}")},
        }],
    }});
    let challenge = format!(
        "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"{}\"",
        scopes.join(" ")
    );
    Answer::json(403, body).with("WWW-Authenticate", challenge)
}

impl Dialect for Google {
    /// Google sends no `Retry-After` with its quota errors unless a fault asks for one.
    fn throttled(&self, limit: &str, retry_after: Option<&str>) -> Answer {
        let answer = match limit {
            "google.directory.user" | "userRateLimitExceeded" => {
                error(403, "userRateLimitExceeded", "User Rate Limit Exceeded", None)
            }
            "google.directory.user-create" | "concurrency" | "quotaExceeded" => {
                error(403, "quotaExceeded", "Request rate higher than configured.", None)
            }
            "dailyLimitExceeded" => error(403, "dailyLimitExceeded", "Daily Limit Exceeded", None),
            "plain" => Answer::text(429, "Rate Limit Exceeded"),
            "plain503" => Answer::text(503, "quota exceeded for the current request"),
            _ => error(
                429,
                "rateLimitExceeded",
                "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service \
                 'admin.googleapis.com'.",
                Some("RESOURCE_EXHAUSTED"),
            ),
        };
        match retry_after.filter(|_| !limit.starts_with("google.")) {
            Some(value) => answer.with("Retry-After", value),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        let reason = if status >= 500 { "backendError" } else { "badRequest" };
        error(status, reason, "Service unavailable. Please try again", None)
    }

    fn unauthorized(&self) -> Answer {
        unauthorized(false)
    }

    fn forbidden(&self) -> Answer {
        Refused::Forbidden.into()
    }

    fn not_found(&self, call: &Call) -> Answer {
        let what = match call.operation.split_once('.').map_or("", |(resource, _)| resource) {
            "users" => "userKey",
            "members" if call.operation != "members.list" => "memberKey",
            _ => "groupKey",
        };
        Refused::NotFound(what).into()
    }

    fn bad_page_token(&self) -> Answer {
        Refused::Invalid("Invalid Input: pageToken".to_owned()).into()
    }

    fn empty_page(&self, body: &mut Value, keep_next: bool) {
        if let Some(body) = body.as_object_mut() {
            clear(body);
            if !keep_next {
                body.remove("nextPageToken");
            }
        }
    }

    fn drop_next(&self, body: &mut Value) {
        if let Some(body) = body.as_object_mut() {
            body.remove("nextPageToken");
        }
    }

    fn repeat_page(&self, body: &mut Value, call: &Call) {
        let Some(body) = body.as_object_mut() else {
            return;
        };
        if !call.page_token.is_empty() {
            body.insert("nextPageToken".to_owned(), json!(call.page_token));
        }
    }
}

/// An empty collection has no key at all (google.md §1.9).
fn clear(body: &mut Map<String, Value>) {
    for name in ["users", "groups", "members", "aliases"] {
        body.remove(name);
    }
}
