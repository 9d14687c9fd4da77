//! Groups of a site and their members.

use serde::Deserialize;
use serde_json::Value;

use super::{Operation, Request, failure, shape, unknown_group, unknown_user};
use crate::engine::{Answer, Millis};
use crate::world::atlassian::switches::NonEmptyGroup;
use crate::world::atlassian::{Act, AtlassianSide, Authority, Group, Owner, Refusal, Standing, View};

/// Largest page of members; more is refused.
const MEMBERS_MAX: i64 = 200;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(default)]
    name: String,
    #[serde(default)]
    account_id: String,
}

/// GET of groups.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let view = request.base(side)?;
    match request.operation {
        Operation::Group => {
            let (_, group) = named(request, &view, "id")?;
            Ok(Answer::json(200, shape::group(request, group)))
        }
        Operation::Members => members(request, side, &view),
        Operation::MemberOf => {
            let id = request.incoming.parameter("accountId").unwrap_or_default();
            let person = side.accounts().find(id).filter(|it| view.knows(*it)).ok_or_else(unknown_user)?;
            let groups = view.groups_of(person).into_iter().filter_map(|it| view.group_at(it));
            shape::page(request, groups.map(|it| shape::group(request, it)).collect(), 200)
        }
        _ => {
            let query = request.incoming.parameter("query").unwrap_or_default().to_lowercase();
            let kind = request.incoming.parameter("accessType").unwrap_or_default();
            let grants = |group: &Group| match kind {
                "site-admin" => group.admin,
                "admin" => group.grants_administration(),
                "user" => group.roles.values().flatten().any(|it| it == "atlassian/user"),
                _ => true,
            };
            let wanted =
                |it: &Group| it.name.to_lowercase().contains(&query) && grants(it) && request.view.shows(&it.id);
            let groups = view.groups_after(None).map(|(_, it)| it).filter(|it| wanted(it));
            shape::page(request, groups.map(|it| shape::group(request, it)).collect(), 200)
        }
    }
}

/// The group that a parameter names.
fn named<'v>(
    request: &Request<'_>,
    view: &View<'v>,
    parameter: &str,
) -> Result<(crate::world::atlassian::GroupIndex, &'v Group), Answer> {
    let id = request.incoming.parameter(parameter).unwrap_or_default();
    view.group(id).ok_or_else(unknown_group)
}

/// Members, without those whose access is suspended (§5).
fn members(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Result<Answer, Answer> {
    let bad = |()| failure(400, "limit must be a number");
    if request.incoming.number("limit").map_err(bad)?.is_some_and(|it| it > MEMBERS_MAX) {
        return Err(failure(400, "The maximum limit is 200"));
    }
    let id = request.rest.get(1).copied().unwrap_or_default();
    // The document knows no 404 here: a group that is not there is not permitted to be seen.
    let (index, _) = view.group(id).ok_or_else(|| failure(403, "No group found"))?;
    let members = view.members(index);
    let shown = members.iter().filter(|it| {
        view.base().resident(**it).is_none_or(|it| it.standing != Standing::Suspended)
            && side.accounts().get(**it).is_some_and(|it| request.view.shows(&it.id))
    });
    let values: Vec<Value> = shown.filter_map(|it| shape::person(request, side, *it)).collect();
    shape::page(request, values, 200)
}

/// Changes of groups and members.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let body = || request.incoming.json::<Named>().map_err(|_| failure(400, "Invalid request body"));
    let key = request.site.base.clone();
    if request.operation == Operation::CreateGroup {
        let name = body()?.name;
        if name.trim().is_empty() {
            return Err(failure(400, "The name of a group cannot be empty"));
        }
        let id = side.create_group(&key, name.trim(), "", Owner::Admins, act).map_err(|it| refused(side, it))?;
        let view = side.base(&key).ok_or_else(unknown_group)?.view(Millis::MAX);
        let (_, group) = view.group(&id).ok_or_else(unknown_group)?;
        return Ok(Answer::json(201, shape::group(request, group)));
    }
    let view = side.base(&key).ok_or_else(unknown_group)?.view(Millis::MAX);
    let parameter = if request.operation == Operation::DeleteGroup { "id" } else { "groupId" };
    let id = named(request, &view, parameter)?.1.id.clone();
    if request.operation == Operation::DeleteGroup {
        let done = side.delete_group(&key, &id, NonEmptyGroup::Delete, &Authority::Administrator, act);
        done.map_err(|it| refused(side, it))?;
        return Ok(Answer::empty(204));
    }
    let add = request.operation == Operation::AddMember;
    let account =
        if add { body()?.account_id } else { request.incoming.parameter("accountId").unwrap_or_default().to_owned() };
    match side.set_membership(&key, &id, &account, add, &Authority::Administrator, act) {
        // What is so already is said to be done (§12).
        Ok(()) | Err(Refusal::AlreadyMember | Refusal::NotMember) => Ok(Answer::empty(if add { 201 } else { 204 })),
        Err(it) => Err(refused(side, it)),
    }
}

fn refused(side: &AtlassianSide, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::UnknownGroup => unknown_group(),
        Refusal::UnknownAccount | Refusal::NotInDirectory => unknown_user(),
        Refusal::NameTaken => failure(400, "A group with this name already exists"),
        Refusal::External => failure(side.switches.jira_external_group_status, "The group is managed externally"),
        Refusal::DefaultGroup | Refusal::AdminGroup => {
            failure(side.switches.jira_protected_group_status, "The group cannot be deleted")
        }
        Refusal::NoSeat => failure(400, "The license user limit has been exceeded"),
        _ => failure(400, "The request could not be carried out"),
    }
}
