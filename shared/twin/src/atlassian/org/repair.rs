//! The repair API of user provisioning: finding and undoing links between SCIM records and accounts (§3.5).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Operation, Request, error};
use crate::engine::Answer;
use crate::world::atlassian::{Act, AtlassianSide, Index};

#[derive(Debug, Deserialize)]
struct ByEmail {
    email: String,
}

/// Answers the four operations.
pub(super) fn handle(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Answer {
    let organization = request.organization.as_str();
    match &request.operation {
        Operation::ScimLinks(account) => match side.accounts().find(account) {
            Some(person) => Answer::json(200, links(side, organization, &[person])),
            None => error::application(404, "ADMIN-404-8", "User not found"),
        },
        Operation::ScimLinksForEmail => match request.incoming.json::<ByEmail>() {
            Ok(wanted) => {
                let people = side.accounts().with_email(&wanted.email).to_vec();
                Answer::json(200, links(side, organization, &people))
            }
            Err(it) => error::invalid_body(&it.to_string()),
        },
        Operation::Unlink { directory, user } => {
            let ours = side.scim_directory(directory).is_some_and(|it| it.organization == organization);
            if ours && side.unlink_scim_user(directory, user, act) {
                Answer::empty(204)
            } else {
                error::application(404, "ADMIN-404-8", "User not found")
            }
        }
        Operation::DeleteRecord(account) => {
            let Some(person) = side.accounts().find(account) else {
                return error::application(404, "ADMIN-404-8", "User not found");
            };
            for (directory, user) in linked(side, organization, &[person]) {
                side.forget_scim_user(&directory, &user, act);
            }
            Answer::empty(204)
        }
        _ => error::invalid_body("not a repair operation"),
    }
}

fn linked(side: &AtlassianSide, organization: &str, people: &[Index]) -> Vec<(String, String)> {
    side.scim_directories()
        .filter(|it| it.organization == organization)
        .flat_map(|it| {
            it.users()
                .filter(|user| user.account.is_some_and(|it| people.contains(&it)))
                .map(|user| (it.id.clone(), user.id.clone()))
        })
        .collect()
}

fn links(side: &AtlassianSide, organization: &str, people: &[Index]) -> Value {
    let data: Vec<Value> = linked(side, organization, people)
        .into_iter()
        .map(|(directory, user)| json!({ "scimDirectoryId": directory, "scimUserId": user }))
        .collect();
    json!({ "data": data })
}
