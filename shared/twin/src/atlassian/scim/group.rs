//! Groups as SCIM resources.

use serde_json::{Map, Value, json};

use super::list::{Window, filter};
use super::patch::{self, Step, Verb};
use super::user::body;
use super::{Operation, Request, answer, error};
use crate::engine::Answer;
use crate::engine::clock::rfc3339;
use crate::world::atlassian::scim::ScimGroup;
use crate::world::atlassian::scim_group::MemberStep;
use crate::world::atlassian::{Act, AtlassianSide, ScimDirectory};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// The listing of groups.
pub(super) fn list(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let scim = request.scim(side)?;
    let window = Window::read(request.incoming, side.switches.scim_count_max)?;
    let bare = request.incoming.parameter("excludedAttributes").is_some_and(|it| it.eq_ignore_ascii_case("members"));
    let found: Vec<&ScimGroup> = match filter(request.incoming, &["displayName"])? {
        Some((_, value)) => scim.group_named(&value).into_iter().collect(),
        None => scim.groups().collect(),
    };
    let shown = found.into_iter().filter(|it| request.view.shows(&it.id)).collect();
    Ok(answer(200, window.body(shown, |it| resource(request, scim, it, !bare))))
}

/// One group.
pub(super) fn get(request: &Request<'_>, side: &AtlassianSide, id: &str) -> Result<Answer, Answer> {
    shown(request, side, id, 200)
}

fn shown(request: &Request<'_>, side: &AtlassianSide, id: &str, status: u16) -> Result<Answer, Answer> {
    let scim = request.scim(side)?;
    let (_, group) = scim.group(id).ok_or_else(|| unknown(id))?;
    Ok(answer(status, resource(request, scim, group, true)))
}

fn unknown(id: &str) -> Answer {
    error::scim(404, None, &format!("Resource [GROUP]: with id[{id}] not found."))
}

/// Creates, replaces, patches, deletes.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let directory = request.directory.as_str();
    match &request.operation {
        Operation::CreateGroup => {
            let sent = Sent::read(&body(request)?)?;
            let created = side.create_scim_group(directory, &sent.name, sent.external_id, &sent.members, act);
            let id = created.map_err(error::refusal)?;
            shown(request, side, &id, 201)
        }
        Operation::PutGroup(id) => {
            let sent = Sent::read(&body(request)?)?;
            let (_, group) = request.scim(side)?.group(id).ok_or_else(|| unknown(id))?;
            same_name(group, &sent.name)?;
            if let Some(missing) =
                sent.members.iter().find(|it| request.scim(side).is_ok_and(|scim| scim.user(it).is_none()))
            {
                let refusal = crate::world::atlassian::scim::ScimRefusal::UnknownMembers(missing.clone());
                return Err(error::refusal_of_put(refusal));
            }
            let steps = [MemberStep::Replace(sent.members)];
            side.change_scim_members(directory, id, &steps, act).map_err(error::refusal_of_put)?;
            side.set_scim_group_external_id(directory, id, sent.external_id);
            shown(request, side, id, 200)
        }
        Operation::PatchGroup(id) => {
            let steps = patch::operations(&body(request)?)?;
            let (_, group) = request.scim(side)?.group(id).ok_or_else(|| unknown(id))?;
            let wanted = Wanted::read(group, &steps)?;
            side.change_scim_members(directory, id, &wanted.members, act).map_err(error::refusal)?;
            if let ExternalId::Set(external_id) = wanted.external_id {
                side.set_scim_group_external_id(directory, id, external_id);
            }
            shown(request, side, id, 200)
        }
        Operation::DeleteGroup(id) => {
            side.delete_scim_group(directory, id, act).map_err(error::refusal)?;
            Ok(Answer::empty(204))
        }
        _ => Err(error::scim(404, None, "Not found.")),
    }
}

/// A group that a client sent.
struct Sent {
    name: String,
    external_id: Option<String>,
    members: Vec<String>,
}

impl Sent {
    fn read(body: &Map<String, Value>) -> Result<Self, Answer> {
        let field =
            |wanted: &str| body.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
        let schemas = field("schemas").and_then(Value::as_array);
        if !schemas.is_some_and(|it| it.iter().any(|it| it == CORE)) {
            return Err(error::invalid("invalidSyntax", &format!("schemas must contain {CORE}")));
        }
        let name = field("displayName").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        if name.is_empty() {
            return Err(error::invalid("invalidValue", "displayName is required."));
        }
        let external_id = field("externalId").and_then(Value::as_str).map(str::to_owned);
        let members = field("members").map_or_else(|| Ok(Vec::new()), ids)?;
        Ok(Self { name, external_id, members })
    }
}

/// Ids of members: `[{value}]`, one `{value}`, or bare ids.
fn ids(value: &Value) -> Result<Vec<String>, Answer> {
    let bad = || error::invalid("invalidValue", "members must be a list of objects with a value.");
    let id = |it: &Value| it.get("value").unwrap_or(it).as_str().map(str::to_owned).ok_or_else(bad);
    match value {
        Value::Array(all) => all.iter().map(id).collect(),
        Value::Null => Ok(Vec::new()),
        one => Ok(vec![id(one)?]),
    }
}

/// Groups cannot be renamed.
fn same_name(group: &ScimGroup, name: &str) -> Result<(), Answer> {
    if group.display_name == name {
        Ok(())
    } else {
        Err(error::invalid("mutability", "displayName of a group cannot be changed."))
    }
}

/// What a PATCH of a group wants.
struct Wanted {
    members: Vec<MemberStep>,
    external_id: ExternalId,
}

/// What becomes of the external id.
enum ExternalId {
    Kept,
    Set(Option<String>),
}

impl Wanted {
    fn read(group: &ScimGroup, steps: &[Step]) -> Result<Self, Answer> {
        let mut wanted = Self { members: Vec::new(), external_id: ExternalId::Kept };
        for step in steps {
            match (&step.path, &step.value) {
                (Some(path), value) => wanted.at(group, path, step.verb, value.as_ref())?,
                (None, Some(Value::Object(fields))) => {
                    for (path, value) in fields {
                        wanted.at(group, path, step.verb, Some(value))?;
                    }
                }
                _ => return Err(error::invalid("noTarget", "An operation without path needs an object as value.")),
            }
        }
        Ok(wanted)
    }

    fn at(&mut self, group: &ScimGroup, path: &str, verb: Verb, value: Option<&Value>) -> Result<(), Answer> {
        let name = path.rsplit_once("core:2.0:Group:").map_or(path, |(_, name)| name);
        let lower = name.to_ascii_lowercase();
        if lower == "displayname" {
            return same_name(group, value.and_then(Value::as_str).unwrap_or_default());
        }
        if lower == "externalid" {
            let text = value.and_then(Value::as_str).filter(|_| verb != Verb::Remove);
            self.external_id = ExternalId::Set(text.map(str::to_owned));
            return Ok(());
        }
        if let Some(id) = picked(name) {
            if verb != Verb::Remove {
                return Err(error::invalid("invalidPath", &format!("Unsupported path: {path}")));
            }
            self.members.push(MemberStep::Remove(vec![id]));
            return Ok(());
        }
        if lower != "members" {
            // `id`, `schemas` and the like come along from some identity providers, and change nothing.
            return Ok(());
        }
        let step = match (verb, value) {
            (Verb::Remove, None | Some(Value::Null)) => MemberStep::Replace(Vec::new()),
            (Verb::Remove, Some(value)) => MemberStep::Remove(ids(value)?),
            (Verb::Add, Some(value)) => MemberStep::Add(ids(value)?),
            (Verb::Replace, Some(value)) => MemberStep::Replace(ids(value)?),
            (_, None) => return Err(error::invalid("invalidValue", "value is required.")),
        };
        self.members.push(step);
        Ok(())
    }
}

/// The id in `members[value eq "id"]`.
fn picked(path: &str) -> Option<String> {
    let (name, filter) = path.split_once('[')?;
    let filter = filter.trim().strip_suffix(']')?;
    let (attribute, rest) = filter.trim().split_once(char::is_whitespace)?;
    let (operator, value) = rest.trim_start().split_once(char::is_whitespace)?;
    let right = name.trim().eq_ignore_ascii_case("members")
        && attribute.eq_ignore_ascii_case("value")
        && operator.eq_ignore_ascii_case("eq");
    serde_json::from_str(value.trim()).ok().filter(|_| right)
}

/// The resource as answers show it.
fn resource(request: &Request<'_>, scim: &ScimDirectory, group: &ScimGroup, with_members: bool) -> Value {
    let mut body = json!({
        "schemas": [CORE],
        "id": group.id,
        "displayName": group.display_name,
        "meta": {
            "resourceType": "Group",
            "location": request.location("Groups", &group.id),
            "created": rfc3339(group.created),
            "lastModified": rfc3339(group.modified),
        },
    });
    let Some(fields) = body.as_object_mut() else { return body };
    if let Some(external_id) = &group.external_id {
        fields.insert("externalId".to_owned(), json!(external_id));
    }
    if with_members {
        let users = request.location("Users", "");
        let members = group.members.iter().filter_map(|it| scim.user_at(*it)).map(|it| {
            let reference = format!("{users}{}", it.id);
            json!({ "type": "User", "value": it.id, "display": it.user_name(), "$ref": reference })
        });
        fields.insert("members".to_owned(), members.collect());
    }
    body
}
