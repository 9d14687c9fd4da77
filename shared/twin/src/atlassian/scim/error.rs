//! Error bodies of user provisioning, and what each refusal is there.

use serde_json::{Value, json};
use uuid::Uuid;

use super::SCIM_JSON;
use crate::engine::Answer;
use crate::world::atlassian::scim::ScimRefusal;

/// The error of RFC 7644 §3.12.
pub(super) fn scim(status: u16, scim_type: Option<&str>, detail: &str) -> Answer {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": status.to_string(),
        "detail": detail,
    });
    if let (Some(fields), Some(scim_type)) = (body.as_object_mut(), scim_type) {
        fields.insert("scimType".to_owned(), json!(scim_type));
    }
    Answer { json_type: SCIM_JSON, ..Answer::json(status, body) }
}

/// `{error,traceId}` of what stands in front of SCIM.
pub(super) fn gateway(status: u16, error: &str) -> Answer {
    Answer::json(status, json!({ "error": error, "traceId": Uuid::new_v4().simple().to_string() }))
}

/// 400: the body or a parameter is not valid.
pub(super) fn invalid(scim_type: &'static str, detail: &str) -> Answer {
    scim(400, Some(scim_type), detail)
}

/// What the API answers to a change that was refused.
pub(super) fn refusal(refusal: ScimRefusal) -> Answer {
    match refusal {
        ScimRefusal::Invalid(scim_type, detail) => invalid(scim_type, &detail),
        ScimRefusal::Unknown(detail) => scim(404, None, &detail),
        ScimRefusal::Taken(detail) => scim(409, Some("uniqueness"), &detail),
        ScimRefusal::UnknownMembers(id) => scim(400, Some("invalidValue"), &unknown_members(&id)),
        ScimRefusal::Status(status, detail) => scim(status, None, &detail),
    }
}

/// The same for PUT of a group, whose 400 is documented in the shape of a Java exception.
pub(super) fn refusal_of_put(it: ScimRefusal) -> Answer {
    match it {
        ScimRefusal::UnknownMembers(id) => {
            Answer { json_type: SCIM_JSON, ..Answer::json(400, exception(&unknown_members(&id))) }
        }
        it => refusal(it),
    }
}

fn unknown_members(id: &str) -> String {
    format!("The users referenced do not exist: {id}")
}

fn exception(message: &str) -> Value {
    json!({
        "message": message,
        "localizedMessage": message,
        "responseStatus": "BAD_REQUEST",
        "scimErrorType": "invalidValue",
        "stackTrace": [],
        "suppressed": [],
    })
}
