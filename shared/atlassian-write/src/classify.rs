//! The tables: what the vendors' answers mean, row by row of reference/atlassian-cloud.md §12 and §13.
//!
//! Each function is asked only about answers that judge the request: throttling, trouble and bad credentials are told
//! apart before ([`crate::Answered::of`]). Words are in lower case.

pub mod dc;

use model::{Disposition, EdgeOp, Rejection};

use Disposition::{AlreadySo, Look, Reject};

/// Organization API v2: one membership.
pub fn org_member(op: EdgeOp, status: u16, code: &str, words: &str) -> Disposition {
    match (status, op) {
        (409, EdgeOp::Add) if words.contains("already") => AlreadySo,
        (409 | 400 | 402, _) if speaks_of_seats(code, words) => Reject(Rejection::Licence),
        (404, _) if code.ends_with("404-10") => Reject(Rejection::UnknownGroup),
        (404, EdgeOp::Add) if code.ends_with("404-8") => Reject(Rejection::UnknownUser),
        // "Already gone" is a 404 only while the group exists; which it is, only a read tells.
        (404 | 409, _) => Look,
        _ => common(status, code),
    }
}

/// Organization API v2: create a group.
pub fn org_create_group(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        409 if speaks_of_seats(code, words) => Reject(Rejection::Licence),
        // The name is taken: by us, if an earlier call of ours was cut off; a read tells.
        409 => Look,
        _ => common(status, code),
    }
}

/// Organization API v2: delete a group.
pub fn org_delete_group(status: u16, code: &str, _words: &str) -> Disposition {
    match status {
        404 => AlreadySo,
        403 if code.ends_with("403-6") || code.ends_with("403-7") => Reject(Rejection::Ownership),
        409 => Reject(Rejection::Conflict),
        _ => common(status, code),
    }
}

/// Organization API v2: a group is to give a product in a role. User management has codes of its own here (§1.6).
pub fn org_assign(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        402 => Reject(Rejection::Licence),
        409 if code.ends_with("409-3") => Reject(Rejection::Licence),
        409 if words.contains("already") => AlreadySo,
        // The product has no licence.
        400 if code.ends_with("UAM-400-4") => Reject(Rejection::Licence),
        400 | 409 if speaks_of_seats(code, words) => Reject(Rejection::Licence),
        403 if code.ends_with("403-6") || code.ends_with("403-7") => Reject(Rejection::Ownership),
        // No such resource, or no such organization: a setting, and no question of the group.
        404 if code.ends_with("404-1") || code.ends_with("404-2") || words.contains("resource") => {
            Reject(Rejection::Validation)
        }
        _ => common(status, code),
    }
}

/// Organization API v2: suspend or restore somebody's access.
pub fn org_access(status: u16, code: &str, _words: &str) -> Disposition {
    match status {
        404 => Reject(Rejection::UnknownUser),
        // Whether it is so already, a read tells.
        409 => Look,
        _ => common(status, code),
    }
}

/// Organization API v2: invite somebody.
pub fn org_invite(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        400 | 402 | 409 if status == 402 || speaks_of_seats(code, words) => Reject(Rejection::Licence),
        409 => Look,
        _ => common(status, code),
    }
}

/// What user management says where no right of ours is missing but the account is another's to change: of a domain that
/// is not claimed or not verified, or linked to an identity provider (reference/atlassian-cloud.md §2).
const NOT_OURS: [&str; 6] = [
    "forbidden.action",
    "forbidden.fieldmutation",
    "forbidden.unclaimeddomain",
    "forbidden.targetunverified",
    "externaldirectory.scim",
    "externaldirectory.google",
];

/// User management: change, disable or enable an account.
pub fn lifecycle(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        404 => Reject(Rejection::UnknownUser),
        409 => Look,
        403 if NOT_OURS.iter().any(|key| words.contains(key) || code.eq_ignore_ascii_case(key)) => {
            Reject(Rejection::Ownership)
        }
        _ => common(status, ""),
    }
}

/// User provisioning (SCIM): one member of a group. A full licence need not be told, and may be (§15).
pub fn scim_member(status: u16, code: &str, words: &str) -> Disposition {
    match status {
        400 if speaks_of_seats("", words) => Reject(Rejection::Licence),
        _ => scim_members(status, code, words),
    }
}

/// User provisioning (SCIM): several members of a group. One that cannot be keeps all from being so: halves find it.
pub fn scim_members(status: u16, _code: &str, _words: &str) -> Disposition {
    match status {
        // Group or user, or whether it is so already (§15): the answer does not say. A batch is bisected, for a single
        // member a read tells.
        400 | 404 | 409 => Look,
        // All groups of the directory are its own: who may not change one has lost the right to.
        _ => common(status, ""),
    }
}

/// User provisioning (SCIM): create a user or a group.
pub fn scim_create(status: u16, _code: &str, _words: &str) -> Disposition {
    match status {
        // Uniqueness: by us, if an earlier call of ours was cut off; a read tells.
        409 => Look,
        _ => common(status, ""),
    }
}

/// User provisioning (SCIM): change or deactivate a user.
pub fn scim_user(status: u16, _code: &str, _words: &str) -> Disposition {
    match status {
        404 => Reject(Rejection::UnknownUser),
        409 => Reject(Rejection::Conflict),
        _ => common(status, ""),
    }
}

/// User provisioning (SCIM): delete a group.
pub fn scim_delete_group(status: u16, _code: &str, _words: &str) -> Disposition {
    if status == 404 { AlreadySo } else { common(status, "") }
}

/// Jira Cloud: one membership.
pub fn jira_member(op: EdgeOp, status: u16, _code: &str, words: &str) -> Disposition {
    match (status, op) {
        (400, EdgeOp::Add) if words.contains("already a member") => AlreadySo,
        (400, EdgeOp::Remove) if words.contains("not a member") => AlreadySo,
        (400, _) if speaks_of_seats("", words) => Reject(Rejection::Licence),
        // User or group, the answer does not say which.
        (404 | 400, _) => Look,
        // 403: a group of an identity provider, or a token that may no more. The writer reads which.
        _ => common(status, ""),
    }
}

/// Confluence Cloud: one membership. What is so already is said to be done (§12).
pub fn confluence_member(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        400 if speaks_of_seats("", words) => Reject(Rejection::Licence),
        // User or group, the answer does not say which.
        404 | 400 => Look,
        // 403: a group of an identity provider, or a token that may no more. The writer reads which.
        _ => common(status, ""),
    }
}

/// Jira Cloud: create a group.
pub fn jira_create_group(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        400 | 409 if words.contains("already exists") => Look,
        _ => common(status, ""),
    }
}

/// Jira Cloud: delete a group.
pub fn jira_delete_group(status: u16, _code: &str, _words: &str) -> Disposition {
    match status {
        404 => AlreadySo,
        // A default group or the administrators' (§12): the same refusal that the organization gives a code.
        400 => Reject(Rejection::Ownership),
        _ => common(status, ""),
    }
}

/// Service management: people of a list of customers. What is so already is 204, so a refusal is about somebody whom the
/// site does not know, or about a desk that is open to everybody: a batch is bisected, for a single person a read tells.
pub fn customers(status: u16, _code: &str, _words: &str) -> Disposition {
    match status {
        400 | 409 => Look,
        _ => common(status, ""),
    }
}

/// Service management: make an organization of customers.
pub fn customers_create(status: u16, _code: &str, _words: &str) -> Disposition {
    common(status, "")
}

/// Service management: attach an organization of customers to a desk. A desk or an organization that is not there is
/// for a person to correct, and no reason to look for anybody.
pub fn customers_attach(status: u16, _code: &str, _words: &str) -> Disposition {
    match status {
        400 | 404 | 409 => Reject(Rejection::Validation),
        _ => common(status, ""),
    }
}

/// Service management: delete an organization of customers.
pub fn customers_delete(status: u16, _code: &str, _words: &str) -> Disposition {
    if status == 404 { AlreadySo } else { common(status, "") }
}

/// Service management: make a portal-only account.
pub fn customers_account(status: u16, _code: &str, words: &str) -> Disposition {
    match status {
        // The address is taken on the site; whose it is, a read tells.
        409 => Look,
        400 if words.contains("already exists") => Look,
        _ => common(status, ""),
    }
}

/// What a status means where a call has no row of its own.
fn common(status: u16, code: &str) -> Disposition {
    match status {
        403 if code.ends_with("403-5") => Reject(Rejection::Ownership),
        402 => Reject(Rejection::Licence),
        403 => Reject(Rejection::Auth),
        404 => Reject(Rejection::UnknownGroup),
        409 => Reject(Rejection::Conflict),
        _ => Reject(Rejection::Validation),
    }
}

fn speaks_of_seats(code: &str, words: &str) -> bool {
    code.ends_with("409-3") || code.ends_with("400-32") || words.contains("licen") || words.contains("user limit")
}

#[cfg(test)]
mod tests {
    use EdgeOp::{Add, Remove};

    use super::*;

    #[test]
    fn every_row_of_the_organization_api() {
        let rows = [
            (Add, 409, "ADMIN-409-2", "user is already a member of the group", AlreadySo),
            (Add, 409, "ADMIN-409-3", "licence limit", Reject(Rejection::Licence)),
            (Add, 400, "ADMIN-400-32", "too many licence breaches", Reject(Rejection::Licence)),
            (Add, 409, "", "user limit reached", Reject(Rejection::Licence)),
            (Add, 409, "", "conflict", Look),
            (Add, 404, "ADMIN-404-8", "user not found", Reject(Rejection::UnknownUser)),
            (Add, 404, "ADMIN-404-10", "group not found", Reject(Rejection::UnknownGroup)),
            (Remove, 404, "ADMIN-404-10", "group not found", Reject(Rejection::UnknownGroup)),
            (Remove, 404, "ADMIN-404-8", "user not found", Look),
            (Remove, 404, "", "not found", Look),
            (Add, 403, "ADMIN-403-5", "not permitted to manage group", Reject(Rejection::Ownership)),
            (Remove, 403, "ADMIN-403-3", "forbidden", Reject(Rejection::Auth)),
            (Add, 400, "ADMIN-400-24", "invalid body", Reject(Rejection::Validation)),
        ];
        for (op, status, code, words, expected) in rows {
            assert_eq!(org_member(op, status, code, words), expected, "{op:?} {status} {code} {words}");
        }
        for (status, expected) in [(404, Reject(Rejection::UnknownUser)), (409, Look), (403, Reject(Rejection::Auth))] {
            assert_eq!(org_access(status, "", ""), expected, "{status}");
        }
        assert_eq!(org_invite(402, "ADMIN-402-1", "a paid subscription is needed"), Reject(Rejection::Licence));
        assert_eq!(org_invite(409, "ADMIN-409-3", "licence limit"), Reject(Rejection::Licence));
        assert_eq!(org_invite(400, "ADMIN-400-24", "invalid body"), Reject(Rejection::Validation));
        assert_eq!(lifecycle(404, "", "accountnotfound"), Reject(Rejection::UnknownUser));
        for key in
            ["action", "fieldMutation", "unclaimedDomain", "targetUnverified"].map(|it| format!("forbidden.{it}"))
        {
            assert_eq!(lifecycle(403, "", &key.to_ascii_lowercase()), Reject(Rejection::Ownership), "{key}");
        }
        for reason in ["externalDirectory.scim", "externalDirectory.google"] {
            assert_eq!(lifecycle(403, reason, "forbidden"), Reject(Rejection::Ownership), "{reason}");
        }
        assert_eq!(lifecycle(403, "", "forbidden"), Reject(Rejection::Auth));
        assert_eq!(lifecycle(409, "", "conflict.lifecycleerrors"), Look);
        assert_eq!(org_create_group(409, "", "group already exists"), Look);
        assert_eq!(org_create_group(400, "", ""), Reject(Rejection::Validation));
        assert_eq!(org_delete_group(404, "ADMIN-404-10", ""), AlreadySo);
        assert_eq!(org_delete_group(403, "ADMIN-403-6", ""), Reject(Rejection::Ownership));
        assert_eq!(org_delete_group(403, "ADMIN-403-7", ""), Reject(Rejection::Ownership));
        assert_eq!(org_delete_group(409, "ADMIN-409-5", ""), Reject(Rejection::Conflict));
    }

    #[test]
    fn every_row_of_a_group_that_is_to_give_a_product() {
        let rows = [
            (409, "ADMIN-409-2", "the role is already assigned to the group", AlreadySo),
            (409, "ADMIN-UAM-409-2", "conflict", Reject(Rejection::Conflict)),
            (409, "ADMIN-UAM-409-3", "product licence limit already reached", Reject(Rejection::Licence)),
            (409, "", "user limit reached", Reject(Rejection::Licence)),
            (402, "ADMIN-402-1", "a paid subscription is needed", Reject(Rejection::Licence)),
            (400, "ADMIN-400-32", "too many licence breaches", Reject(Rejection::Licence)),
            (400, "ADMIN-UAM-400-1", "bad request", Reject(Rejection::Validation)),
            (400, "ADMIN-UAM-400-2", "inactive user", Reject(Rejection::Validation)),
            (400, "ADMIN-UAM-400-3", "invalid role for resource", Reject(Rejection::Validation)),
            (400, "ADMIN-UAM-400-4", "the product is not there", Reject(Rejection::Licence)),
            (400, "ADMIN-400-4", "invalid resource", Reject(Rejection::Validation)),
            (400, "ADMIN-400-24", "invalid request body", Reject(Rejection::Validation)),
            (403, "ADMIN-403-3", "you may not manage this organization", Reject(Rejection::Auth)),
            (403, "ADMIN-403-5", "you may not manage this group", Reject(Rejection::Ownership)),
            (403, "ADMIN-403-6", "a default group", Reject(Rejection::Ownership)),
            (403, "ADMIN-403-7", "it grants admin access", Reject(Rejection::Ownership)),
            (403, "ADMIN-UAM-403-1", "forbidden", Reject(Rejection::Auth)),
            (404, "ADMIN-404-10", "group not found", Reject(Rejection::UnknownGroup)),
            (404, "ADMIN-UAM-404-3", "group not found", Reject(Rejection::UnknownGroup)),
            (404, "ADMIN-UAM-404-1", "not found", Reject(Rejection::Validation)),
            (404, "ADMIN-404-2", "organization not found", Reject(Rejection::Validation)),
            (404, "", "unknown resource", Reject(Rejection::Validation)),
            (404, "", "", Reject(Rejection::UnknownGroup)),
        ];
        for (status, code, words, expected) in rows {
            assert_eq!(org_assign(status, code, words), expected, "{status} {code} {words}");
        }
    }

    #[test]
    fn every_row_of_user_provisioning() {
        for (status, expected) in [
            (404, Look),
            (400, Look),
            (409, Look),
            (403, Reject(Rejection::Auth)),
            (413, Reject(Rejection::Validation)),
        ] {
            assert_eq!(scim_members(status, "", ""), expected, "{status}");
        }
        let full = "product licence limit exceeded.";
        assert_eq!((scim_member(400, "", full), scim_members(400, "", full)), (Reject(Rejection::Licence), Look));
        assert_eq!(scim_member(400, "", "the users referenced do not exist"), Look);
        assert_eq!(scim_create(409, "uniqueness", ""), Look);
        assert_eq!(scim_create(400, "", ""), Reject(Rejection::Validation));
        assert_eq!(scim_user(404, "", ""), Reject(Rejection::UnknownUser));
        assert_eq!(scim_user(409, "uniqueness", ""), Reject(Rejection::Conflict));
        assert_eq!(scim_delete_group(404, "", ""), AlreadySo);
    }

    #[test]
    fn every_row_of_confluence() {
        assert_eq!(confluence_member(404, "", "no user found"), Look);
        assert_eq!(confluence_member(400, "", "something else"), Look);
        assert_eq!(confluence_member(403, "", ""), Reject(Rejection::Auth));
        assert_eq!(confluence_member(400, "", "the license user limit"), Reject(Rejection::Licence));
        assert_eq!(confluence_member(415, "", ""), Reject(Rejection::Validation));
    }

    #[test]
    fn every_row_of_service_management() {
        type Judge = fn(u16, &str, &str) -> Disposition;
        let rows: [(Judge, u16, &str, Disposition); 11] = [
            (customers, 400, "one or more of the users do not exist", Look),
            (customers, 409, "", Look),
            (customers, 404, "", Reject(Rejection::UnknownGroup)),
            (customers, 403, "", Reject(Rejection::Auth)),
            (customers_create, 400, "", Reject(Rejection::Validation)),
            (customers_delete, 404, "", AlreadySo),
            (customers_delete, 403, "", Reject(Rejection::Auth)),
            (customers_account, 409, "", Look),
            (customers_account, 400, "an account already exists for this email.", Look),
            (customers_account, 400, "the email address is not valid.", Reject(Rejection::Validation)),
            (customers_account, 403, "", Reject(Rejection::Auth)),
        ];
        for (judge, status, words, expected) in rows {
            assert_eq!(judge(status, "", words), expected, "{status} {words}");
        }
    }

    #[test]
    fn every_row_of_jira() {
        let already = "cannot add user 'x', user is already a member of 'g'";
        let stranger = "cannot remove user 'x' from group 'g' since user is not a member of 'g'";
        let rows = [
            (Add, 400, already, AlreadySo),
            (Remove, 400, stranger, AlreadySo),
            // The other direction's words prove nothing.
            (Remove, 400, already, Look),
            (Add, 400, "something else", Look),
            (Add, 404, "specified user does not exist or you do not have required permissions", Look),
            (Remove, 404, "the group does not exist", Look),
            (Add, 403, "", Reject(Rejection::Auth)),
            (Add, 400, "the user limit of your licence is reached", Reject(Rejection::Licence)),
        ];
        for (op, status, words, expected) in rows {
            assert_eq!(jira_member(op, status, "", words), expected, "{op:?} {status} {words}");
        }
        assert_eq!(jira_create_group(400, "", "a group or user with this name already exists."), Look);
        assert_eq!(jira_create_group(403, "", ""), Reject(Rejection::Auth));
        assert_eq!(jira_delete_group(404, "", ""), AlreadySo);
    }
}
