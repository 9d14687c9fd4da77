//! How the four products word what the engine decides, and their error bodies (atlassian-dc.md §1.4).

use serde_json::{Value, json};

use crate::engine::{Answer, Call, Dialect};
use crate::world::dc::Product;

/// The words of one product, to a client that accepts JSON or not.
pub(super) struct Words {
    pub(super) product: Product,
    pub(super) json: bool,
}

/// Jira: `{errorMessages, errors}`.
pub(super) fn jira(status: u16, message: &str) -> Answer {
    Answer::json(status, json!({ "errorMessages": [message], "errors": {} }))
}

/// Jira, about one field.
pub(super) fn jira_field(status: u16, field: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "errorMessages": [], "errors": { field: message } }))
}

/// Confluence: `{statusCode, message, reason, data}`.
pub(super) fn confluence(status: u16, message: &str) -> Answer {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason()).unwrap_or_default();
    let data = json!({ "authorized": true, "valid": false, "errors": {}, "successful": false });
    Answer::json(status, json!({ "statusCode": status, "message": message, "reason": reason, "data": data }))
}

/// Bitbucket: `{errors: [{context, message, exceptionName}]}`.
pub(super) fn bitbucket(status: u16, message: &str, exception: &str) -> Answer {
    let name = format!("com.atlassian.bitbucket.{exception}");
    Answer::json(status, json!({ "errors": [{ "context": null, "message": message, "exceptionName": name }] }))
}

/// Crowd: `{reason, message}`.
pub(super) fn crowd(status: u16, reason: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "reason": reason, "message": message }))
}

impl Words {
    pub(super) fn message(&self, status: u16, message: &str) -> Answer {
        match self.product {
            Product::Jira => jira(status, message),
            Product::Confluence => confluence(status, message),
            Product::Bitbucket => bitbucket(status, message, "NoSuchEntityException"),
            Product::Crowd => crowd(status, "OPERATION_FAILED", message),
        }
    }

    /// The name of the list in a page.
    const fn list(&self) -> &'static str {
        match self.product {
            Product::Jira | Product::Bitbucket => "values",
            Product::Confluence => "results",
            Product::Crowd => "users",
        }
    }
}

impl Dialect for Words {
    fn throttled(&self, _limit: &str, retry_after: Option<&str>) -> Answer {
        // JSON only for who accepts it; else the container's own page.
        let answer = if self.json {
            Answer::json(429, json!({ "message": "Rate limit exceeded." }))
        } else {
            Answer::html(429, "<html><head><title>Error 429</title></head><body>Rate limit exceeded.</body></html>")
        };
        match retry_after {
            Some(seconds) => answer.with("retry-after", seconds),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        self.message(status, "An internal error occurred.")
    }

    fn unauthorized(&self) -> Answer {
        match self.product {
            Product::Jira => Answer::json(
                401,
                json!({ "message": "Client must be authenticated to access this resource.", "status-code": 401 }),
            ),
            Product::Confluence => confluence(401, "Client must be authenticated to access this resource."),
            Product::Bitbucket => bitbucket(
                401,
                "Authentication failed. Please check your credentials and try again.",
                "auth.IncorrectPasswordAuthenticationException",
            ),
            Product::Crowd => Answer::text(401, "Application failed to authenticate")
                .with("WWW-Authenticate", "Basic realm=\"Crowd REST Service\""),
        }
    }

    fn forbidden(&self) -> Answer {
        match self.product {
            Product::Crowd => crowd(
                403,
                "APPLICATION_PERMISSION_DENIED",
                "Application does not have permission to perform this operation",
            ),
            // The document of Bitbucket knows no 403 for what one may not read: it is 401.
            Product::Bitbucket => {
                bitbucket(401, "You are not permitted to access this resource", "AuthorisationException")
            }
            _ => self.message(403, "You are not permitted to perform this operation."),
        }
    }

    fn not_found(&self, call: &Call) -> Answer {
        match self.product {
            Product::Crowd if call.operation.contains("user") => crowd(404, "USER_NOT_FOUND", "User not found"),
            Product::Crowd => crowd(404, "GROUP_NOT_FOUND", "Group not found"),
            _ => self.message(404, "It does not exist."),
        }
    }

    fn bad_page_token(&self) -> Answer {
        self.message(400, "The cursor is not valid.")
    }

    fn empty_page(&self, body: &mut Value, keep_next: bool) {
        if let Some(values) = body.get_mut(self.list()).and_then(Value::as_array_mut) {
            values.clear();
        }
        if !keep_next {
            self.drop_next(body);
        }
    }

    fn drop_next(&self, body: &mut Value) {
        let Some(fields) = body.as_object_mut() else { return };
        for last in ["isLast", "isLastPage"] {
            if let Some(value) = fields.get_mut(last) {
                *value = json!(true);
            }
        }
        for next in ["nextCursor", "nextPage", "nextPageStart"] {
            fields.remove(next);
        }
        if let Some(links) = fields.get_mut("_links").and_then(Value::as_object_mut) {
            links.remove("next");
        }
    }

    fn repeat_page(&self, body: &mut Value, call: &Call) {
        let Some(fields) = body.as_object_mut() else { return };
        for last in ["isLast", "isLastPage"] {
            if let Some(value) = fields.get_mut(last) {
                *value = json!(false);
            }
        }
        let start = call.page_token.parse::<u64>().unwrap_or(0);
        if self.product == Product::Bitbucket {
            fields.insert("nextPageStart".to_owned(), json!(start));
        }
        if fields.contains_key("nextCursor") || call.operation == "user.list" {
            fields.insert("nextCursor".to_owned(), json!(call.page_token));
        }
        if let Some(links) = fields.get_mut("_links").and_then(Value::as_object_mut)
            && let Some(this) = links.get("self").cloned()
        {
            links.insert("next".to_owned(), this);
        }
    }
}
