//! Data Center: what its answers mean, row by row of reference/atlassian-dc.md §8. Words are in lower case.

use model::{Disposition, Rejection};

use Disposition::{AlreadySo, Look, Reject};

/// Jira: a membership added.
pub fn jira_add(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        400 if words.contains("already a member") => AlreadySo,
        400 | 403 if speaks_of_seats(words) => Reject(Rejection::Licence),
        400 if speaks_of_directory(words) => Reject(Rejection::Ownership),
        // User or group; the answer does not say which in words that one could rely on.
        400 | 404 => Look,
        _ => common(status, "", words),
    }
}

/// Jira: a membership taken away.
pub fn jira_remove(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        400 if words.contains("not a member") => AlreadySo,
        400 if speaks_of_directory(words) => Reject(Rejection::Ownership),
        400 | 404 => Look,
        _ => common(status, "", words),
    }
}

/// Jira: create a group. The name is taken: by us, if an earlier call was cut off; a read tells.
pub fn jira_create_group(status: u16, _code: &str, words: &str) -> Disposition {
    if status == 400 && words.contains("already exists") { Look } else { common(status, "", words) }
}

/// Jira: create a user.
pub fn jira_create_user(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        400 if words.contains("already exists") => Look,
        400 | 403 if speaks_of_seats(words) => Reject(Rejection::Licence),
        _ => common(status, "", words),
    }
}

/// Confluence: a membership, either way; documented as idempotent.
pub fn confluence_member(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        404 => Look,
        _ => common(status, "", words),
    }
}

/// Confluence and Bitbucket: create a user or a group.
pub fn create(status: u16, _code: &str, words: &str) -> Disposition {
    if status == 409 { Look } else { common(status, "", words) }
}

/// Bitbucket: one membership added.
pub fn bitbucket_add(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        409 if words.contains("already") => AlreadySo,
        404 => Look,
        _ => common(status, "", words),
    }
}

/// Bitbucket: several memberships added. One that cannot be keeps all from being so: which it is, halves find.
pub fn bitbucket_add_many(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        400 | 403 | 404 | 409 => Look,
        _ => bitbucket_add(status, code, words),
    }
}

/// Bitbucket: a membership taken away.
pub fn bitbucket_remove(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        404 | 409 if words.contains("not a member") => AlreadySo,
        404 => Look,
        _ => common(status, "", words),
    }
}

/// Crowd: a membership added.
pub fn crowd_add(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        409 => AlreadySo,
        400 if code == "USER_NOT_FOUND" => Reject(Rejection::UnknownUser),
        404 if code == "GROUP_NOT_FOUND" => Reject(Rejection::UnknownGroup),
        400 | 404 => Look,
        _ => common(status, code, words),
    }
}

/// Crowd: a membership taken away.
pub fn crowd_remove(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        404 if code == "MEMBERSHIP_NOT_FOUND" => AlreadySo,
        404 => Look,
        _ => common(status, code, words),
    }
}

/// Crowd: create a user or a group; what exists is said by words alone.
pub fn crowd_create(status: u16, code: &str, words: &str) -> Disposition {
    if status == 400 && words.contains("already exists") { Look } else { common(status, code, words) }
}

/// Delete a group, at any of them.
pub fn delete_group(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        404 => AlreadySo,
        400 if words.contains("does not exist") => AlreadySo,
        // The last administrators, or our own.
        400 | 409 => Reject(Rejection::Conflict),
        _ => common(status, code, words),
    }
}

/// The end of somebody's sessions. A server that knows no such call or no such person has none of them either.
pub fn end_sessions(status: u16, code: &str, words: &str) -> Disposition {
    if status == 404 { AlreadySo } else { common(status, code, words) }
}

/// Change a user, at any of them.
pub fn user(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        404 => Reject(Rejection::UnknownUser),
        // Somebody else has the name; or a project is still led.
        400 if words.contains("already exists") || words.contains("lead") => Reject(Rejection::Conflict),
        _ => common(status, code, words),
    }
}

/// Replace the lead of a project or component: who takes over must be somebody.
pub fn lead(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        400 | 404 => Reject(Rejection::Conflict),
        _ => common(status, "", words),
    }
}

/// What a status means where a call has no row of its own.
fn common(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        402 => Reject(Rejection::Licence),
        403 if speaks_of_seats(words) => Reject(Rejection::Licence),
        403 if speaks_of_directory(words) => Reject(Rejection::Ownership),
        403 if code == "OPERATION_FAILED" => Reject(Rejection::Ownership),
        403 => Reject(Rejection::Auth),
        404 => Reject(Rejection::UnknownGroup),
        409 => Reject(Rejection::Conflict),
        _ => Reject(Rejection::Validation),
    }
}

/// The group, or the user, lies in a user directory that is not the instance's to change.
fn speaks_of_directory(words: &str) -> bool {
    words.contains("read-only") || words.contains("read only") || words.contains("director")
}

fn speaks_of_seats(words: &str) -> bool {
    words.contains("licen") || words.contains("user limit")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Judge = fn(u16, &str, &str) -> Disposition;

    fn check(rows: &[(&str, Judge, u16, &str, &str, Disposition)]) {
        for (what, judge, status, code, words, expected) in rows {
            assert_eq!(judge(*status, code, words), *expected, "{what}: {status} {code} {words}");
        }
    }

    #[test]
    fn every_row_of_jira() {
        check(&[
            ("add again", jira_add, 400, "", "cannot add user, user is already a member of 'g'", AlreadySo),
            ("add in other words", jira_add, 400, "", "something", Look),
            ("add unknown", jira_add, 404, "", "user 'x' does not exist", Look),
            ("no seat", jira_add, 400, "", "the user limit of your license", Reject(Rejection::Licence)),
            ("no seat, the other status", jira_add, 403, "", "license limit", Reject(Rejection::Licence)),
            ("read-only", jira_add, 403, "", "the user directory is read-only", Reject(Rejection::Ownership)),
            (
                "another directory",
                jira_add,
                400,
                "",
                "the group is in a different directory",
                Reject(Rejection::Ownership),
            ),
            ("another directory, to leave", jira_remove, 400, "", "group is read-only", Reject(Rejection::Ownership)),
            ("no administrator", jira_add, 403, "", "you are not permitted", Reject(Rejection::Auth)),
            ("stranger", jira_remove, 400, "", "since user is not a member of 'g'", AlreadySo),
            ("the other direction's words", jira_remove, 400, "", "already a member", Look),
            ("group exists", jira_create_group, 400, "", "a group or user with this name already exists.", Look),
            ("bad name", jira_create_group, 400, "", "you must specify a group name", Reject(Rejection::Validation)),
            ("user exists", jira_create_user, 400, "", "a user with that username already exists.", Look),
            ("delete missing", delete_group, 404, "", "", AlreadySo),
            (
                "delete missing, the other status",
                delete_group,
                400,
                "",
                "the group named 'g' does not exist",
                AlreadySo,
            ),
            ("leads a project", user, 400, "", "currently the lead of project(s): ops", Reject(Rejection::Conflict)),
            ("unknown user", user, 404, "", "", Reject(Rejection::UnknownUser)),
            ("nobody takes over", lead, 400, "", "the user you specified does not exist", Reject(Rejection::Conflict)),
        ]);
    }

    #[test]
    fn every_row_of_confluence() {
        check(&[
            ("unknown", confluence_member, 404, "", "no user found", Look),
            ("no seat", confluence_member, 402, "", "", Reject(Rejection::Licence)),
            ("read-only", confluence_member, 403, "", "the user directory is read-only", Reject(Rejection::Ownership)),
            ("exists", create, 409, "", "", Look),
            ("no seat for a new user", create, 402, "", "", Reject(Rejection::Licence)),
            ("last administrators", delete_group, 400, "", "the last group", Reject(Rejection::Conflict)),
        ]);
    }

    #[test]
    fn every_row_of_bitbucket() {
        check(&[
            ("one of many unknown", bitbucket_add_many, 404, "", "", Look),
            ("one of many without a seat", bitbucket_add_many, 403, "", "license", Look),
            ("unknown", bitbucket_add, 404, "", "", Look),
            ("no seat", bitbucket_add, 403, "", "the licensed user limit", Reject(Rejection::Licence)),
            ("read-only", bitbucket_add, 403, "", "directory is read-only", Reject(Rejection::Ownership)),
            ("stranger", bitbucket_remove, 404, "", "user x is not a member of group g.", AlreadySo),
            ("unknown", bitbucket_remove, 404, "", "user x does not exist.", Look),
            ("exists", create, 409, "", "", Look),
            (
                "our own administrators",
                delete_group,
                409,
                "",
                "you cannot demote yourself",
                Reject(Rejection::Conflict),
            ),
        ]);
    }

    #[test]
    fn every_row_of_crowd() {
        check(&[
            ("add again", crowd_add, 409, "MEMBERSHIP_ALREADY_EXISTS", "", AlreadySo),
            ("unknown user", crowd_add, 400, "USER_NOT_FOUND", "", Reject(Rejection::UnknownUser)),
            ("unknown group", crowd_add, 404, "GROUP_NOT_FOUND", "", Reject(Rejection::UnknownGroup)),
            ("stranger", crowd_remove, 404, "MEMBERSHIP_NOT_FOUND", "", AlreadySo),
            ("not found, no reason", crowd_remove, 404, "", "", Look),
            ("exists", crowd_create, 400, "INVALID_GROUP", "group already exists: g", Look),
            ("invalid", crowd_create, 400, "INVALID_USER", "the name is missing", Reject(Rejection::Validation)),
            ("read-only", crowd_add, 403, "OPERATION_FAILED", "", Reject(Rejection::Ownership)),
            ("not allowed", crowd_add, 403, "APPLICATION_PERMISSION_DENIED", "", Reject(Rejection::Auth)),
            (
                "read-only, the other reason",
                crowd_add,
                403,
                "APPLICATION_PERMISSION_DENIED",
                "the directory is read-only",
                Reject(Rejection::Ownership),
            ),
            ("no seat", crowd_add, 403, "OPERATION_FAILED", "the license limit", Reject(Rejection::Licence)),
        ]);
    }
}
