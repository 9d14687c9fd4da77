//! Error bodies of the organization API, and what each refusal is there.

use serde_json::json;
use uuid::Uuid;

use crate::engine::Answer;
use crate::world::atlassian::switches::LicenceRefusal;
use crate::world::atlassian::{AtlassianSwitches, Refusal};

/// `{errors:[{id,status,code,title,detail}]}`.
pub(super) fn application(status: u16, code: &str, title: &str) -> Answer {
    detailed(status, code, title, title)
}

pub(super) fn detailed(status: u16, code: &str, title: &str, detail: &str) -> Answer {
    let error = json!({
        "id": Uuid::new_v4().to_string(),
        "status": status.to_string(),
        "code": code,
        "title": title,
        "detail": detail,
    });
    Answer::json(status, json!({ "errors": [error] }))
}

/// 400: the body is not what the operation wants.
pub(super) fn invalid_body(detail: &str) -> Answer {
    detailed(400, "ADMIN-400-24", "Invalid request body", detail)
}

/// 403: the key is for another organization.
pub(super) fn forbidden_organization() -> Answer {
    application(403, "ADMIN-403-3", "You do not have permission to manage this organization")
}

/// What the API answers to a change that was refused.
pub(super) fn refusal(refusal: Refusal, switches: &AtlassianSwitches) -> Answer {
    match refusal {
        Refusal::UnknownGroup => application(404, "ADMIN-404-10", "Group not found"),
        Refusal::UnknownAccount | Refusal::NotInDirectory => application(404, "ADMIN-404-8", "User not found"),
        Refusal::NotMember => detailed(404, "ADMIN-404-8", "User not found", "The user is not a member of the group"),
        Refusal::External => {
            application(403, "ADMIN-403-5", "You may not manage this group: it is synced from an identity provider")
        }
        Refusal::DefaultGroup => application(403, "ADMIN-403-6", "A default group cannot be deleted"),
        Refusal::AdminGroup => application(403, "ADMIN-403-7", "A group that grants admin access cannot be deleted"),
        Refusal::NotEmpty => application(409, "ADMIN-409-5", "The group is not empty"),
        Refusal::NameTaken => {
            detailed(409, "ADMIN-409-2", "Conflict", "A group with this name already exists in the directory")
        }
        Refusal::AlreadyMember => {
            let detail = "The user is already a member of the group";
            detailed(switches.org_add_existing_status, "ADMIN-409-2", "Conflict", detail)
        }
        Refusal::NoSeat => match switches.org_licence_refusal {
            LicenceRefusal::Conflict => application(409, "ADMIN-409-3", "Product licence limit exceeded"),
            LicenceRefusal::BadRequest => application(400, "ADMIN-400-32", "Too many licence breaches"),
        },
        Refusal::Inactive => application(400, "ADMIN-UAM-400-2", "The user is inactive"),
        Refusal::UnknownResource => application(404, "ADMIN-UAM-404-1", "Unknown Resource"),
        Refusal::Conflict => application(409, "ADMIN-UAM-409-2", "Conflict"),
    }
}
