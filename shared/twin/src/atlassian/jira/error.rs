//! Error bodies of Jira: `{errorMessages:[…],errors:{field:message}}`.

use serde_json::json;

use crate::engine::Answer;
use crate::world::atlassian::{AtlassianSwitches, Refusal};

pub(super) fn messages(status: u16, messages: &[&str]) -> Answer {
    Answer::json(status, json!({ "errorMessages": messages, "errors": {} }))
}

pub(super) fn field(status: u16, name: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "errorMessages": [], "errors": { name: message } }))
}

/// The text for an account that is unknown, or that one may not see.
pub(super) fn unknown_user(status: u16) -> Answer {
    messages(status, &["Specified user does not exist or you do not have required permissions"])
}

pub(super) fn unknown_group() -> Answer {
    messages(404, &["The group does not exist."])
}

/// What Jira answers to a membership that was not changed; `user` and `group` as it names them in its texts.
pub(super) fn membership(refusal: Refusal, switches: &AtlassianSwitches, user: &str, group: &str) -> Answer {
    let text = |status: u16, text: String| messages(status, &[&text]);
    match refusal {
        Refusal::AlreadyMember => text(400, format!("Cannot add user '{user}', user is already a member of '{group}'")),
        Refusal::NotMember => text(
            400,
            format!("Cannot remove user '{user}' from group '{group}' since user is not a member of '{group}'"),
        ),
        Refusal::UnknownAccount | Refusal::NotInDirectory => unknown_user(switches.jira_unknown_user_status),
        Refusal::Inactive => text(400, format!("Cannot add user '{user}', user is inactive")),
        Refusal::NoSeat => {
            text(400, format!("Cannot add user '{user}' to group '{group}': the license user limit has been exceeded"))
        }
        other => group_refusal(other, switches),
    }
}

/// What Jira answers to a group that was not changed.
pub(super) fn group_refusal(refusal: Refusal, switches: &AtlassianSwitches) -> Answer {
    match refusal {
        Refusal::UnknownGroup => unknown_group(),
        Refusal::NameTaken => messages(400, &["A group or user with this name already exists."]),
        Refusal::External => messages(
            switches.jira_external_group_status,
            &["The group is managed by an external directory and is read-only."],
        ),
        Refusal::DefaultGroup => {
            messages(switches.jira_protected_group_status, &["A default group cannot be deleted."])
        }
        Refusal::AdminGroup => {
            messages(switches.jira_protected_group_status, &["A group that grants admin access cannot be deleted."])
        }
        _ => messages(400, &["The request could not be carried out."]),
    }
}
