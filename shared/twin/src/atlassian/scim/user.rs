//! People as SCIM resources.

use serde_json::{Map, Value, json};

use super::list::{Window, filter};
use super::{Operation, Request, answer, error, patch};
use crate::engine::Answer;
use crate::engine::clock::rfc3339;
use crate::world::atlassian::scim::ScimUser;
use crate::world::atlassian::{Act, AtlassianSide, ScimDirectory};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The enterprise extension; Atlassian applies organization and department of it.
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The bridge from SCIM id to account id.
const ATLASSIAN: &str = "urn:scim:schemas:extension:atlassian-external:1.0";
/// Attributes that are kept, in the case that answers use.
pub(super) const ATTRIBUTES: [&str; 14] = [
    "userName",
    "externalId",
    "active",
    "name",
    "displayName",
    "nickName",
    "title",
    "timezone",
    "department",
    "organization",
    "preferredLanguage",
    "emails",
    "phoneNumbers",
    ENTERPRISE,
];

/// The listing of people.
pub(super) fn list(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let scim = request.scim(side)?;
    let window = Window::read(request.incoming, side.switches.scim_count_max)?;
    let selection = Selection::read(request)?;
    let found: Vec<&ScimUser> = match filter(request.incoming, &["userName", "externalId"])? {
        Some((attribute, value)) if attribute == "userName" => scim.user_named(&value).into_iter().collect(),
        Some((_, value)) => scim.users_with_external_id(&value).collect(),
        None => scim.users().collect(),
    };
    let shown = found.into_iter().filter(|it| request.view.shows(&it.id)).collect();
    let show = |it: &ScimUser| selection.of(resource(request, side, scim, it));
    Ok(answer(200, window.body(shown, show)))
}

/// One person.
pub(super) fn get(request: &Request<'_>, side: &AtlassianSide, id: &str) -> Result<Answer, Answer> {
    let selection = Selection::read(request)?;
    shown(request, side, id, 200, &selection)
}

fn shown(
    request: &Request<'_>,
    side: &AtlassianSide,
    id: &str,
    status: u16,
    selection: &Selection,
) -> Result<Answer, Answer> {
    let scim = request.scim(side)?;
    let (_, user) = scim.user(id).ok_or_else(|| unknown(id))?;
    Ok(answer(status, selection.of(resource(request, side, scim, user))))
}

fn unknown(id: &str) -> Answer {
    error::scim(404, None, &format!("Resource [USER]: with id[{id}] not found."))
}

/// Creates, replaces, patches, deletes.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let selection = Selection::read(request)?;
    let directory = request.directory.as_str();
    match &request.operation {
        Operation::CreateUser => {
            let attributes = attributes(&body(request)?)?;
            let id = side.create_scim_user(directory, attributes, act).map_err(error::refusal)?;
            shown(request, side, &id, 201, &selection)
        }
        Operation::PutUser(id) => {
            let attributes = attributes(&body(request)?)?;
            side.replace_scim_user(directory, id, attributes, act).map_err(error::refusal)?;
            shown(request, side, id, 200, &selection)
        }
        Operation::PatchUser(id) => {
            let (_, user) = request.scim(side)?.user(id).ok_or_else(|| unknown(id))?;
            let mut attributes = user.attributes.clone();
            patch::apply(&mut attributes, &patch::operations(&body(request)?)?)?;
            let attributes = normal(attributes)?;
            side.replace_scim_user(directory, id, attributes, act).map_err(error::refusal)?;
            shown(request, side, id, 200, &selection)
        }
        Operation::DeleteUser(id) => {
            side.delete_scim_user(directory, id, act).map_err(error::refusal)?;
            Ok(Answer::empty(204))
        }
        _ => Err(error::scim(404, None, "Not found.")),
    }
}

/// The JSON object of a request.
pub(super) fn body(request: &Request<'_>) -> Result<Map<String, Value>, Answer> {
    request.incoming.json().map_err(|it| error::invalid("invalidSyntax", &it.to_string()))
}

/// The attributes of a resource that a client sent: known ones, in canonical case, with `active` always there.
fn attributes(body: &Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    let schemas = body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas")).map(|(_, value)| value);
    if !schemas.and_then(Value::as_array).is_some_and(|it| it.iter().any(|it| it == CORE)) {
        return Err(error::invalid("invalidSyntax", &format!("schemas must contain {CORE}")));
    }
    normal(body.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn normal(raw: Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    let mut attributes = Map::new();
    for (name, value) in raw {
        let Some(known) = ATTRIBUTES.iter().find(|it| it.eq_ignore_ascii_case(&name)) else { continue };
        let value = checked(known, value)?;
        if !value.is_null() {
            attributes.insert((*known).to_owned(), value);
        }
    }
    attributes.entry("active").or_insert(Value::Bool(true));
    Ok(attributes)
}

/// The value in the type that the schema wants.
fn checked(name: &str, value: Value) -> Result<Value, Answer> {
    let bad = || error::invalid("invalidValue", &format!("{name} has a wrong type."));
    match (name, &value) {
        (_, Value::Null) | ("active", Value::Bool(_)) => Ok(value),
        ("name" | ENTERPRISE, Value::Object(_)) => Ok(known(name, value)),
        // Entra ID sends truth values as texts.
        ("active", Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(bad()),
        },
        ("emails" | "phoneNumbers", Value::Array(all)) if all.iter().all(Value::is_object) => Ok(known(name, value)),
        ("active" | "name" | "emails" | "phoneNumbers" | ENTERPRISE, _) => Err(bad()),
        (_, Value::String(_)) => Ok(value),
        _ => Err(bad()),
    }
}

/// Without sub-attributes that the document does not know.
fn known(name: &str, value: Value) -> Value {
    let subs: &[&str] = match name {
        "name" => &["formatted", "familyname", "givenname", "middlename", "honorificprefix", "honorificsuffix"],
        ENTERPRISE => &["organization", "department"],
        _ => &["value", "type", "primary"],
    };
    part(value, &|it| subs.contains(&it))
}

/// The resource as answers show it.
fn resource(request: &Request<'_>, side: &AtlassianSide, scim: &ScimDirectory, user: &ScimUser) -> Map<String, Value> {
    let mut body = user.attributes.clone();
    let mut schemas = vec![CORE];
    if body.contains_key(ENTERPRISE) {
        schemas.push(ENTERPRISE);
    }
    if let Some(account) = user.account.and_then(|it| side.accounts().get(it)) {
        schemas.push(ATLASSIAN);
        body.insert(ATLASSIAN.to_owned(), json!({ "atlassianAccountId": account.id }));
    }
    let groups: Vec<Value> = scim
        .user(&user.id)
        .into_iter()
        .flat_map(|(position, _)| scim.groups_of(position))
        .map(|it| {
            let reference = request.location("Groups", &it.id);
            json!({ "type": "Group", "value": it.id, "display": it.display_name, "$ref": reference })
        })
        .collect();
    body.insert("schemas".to_owned(), json!(schemas));
    body.insert("id".to_owned(), json!(user.id));
    body.insert("groups".to_owned(), json!(groups));
    let meta = json!({
        "resourceType": "User",
        "location": request.location("Users", &user.id),
        "created": rfc3339(user.created),
        "lastModified": rfc3339(user.modified),
    });
    body.insert("meta".to_owned(), meta);
    body
}

/// `attributes` or `excludedAttributes` of a request.
struct Selection {
    only: Vec<String>,
    without: Vec<String>,
}

impl Selection {
    fn read(request: &Request<'_>) -> Result<Self, Answer> {
        let words = |name: &str| -> Vec<String> {
            let text = request.incoming.parameter(name).unwrap_or_default();
            text.split(',').map(|it| it.trim().to_lowercase()).filter(|it| !it.is_empty()).collect()
        };
        let it = Self { only: words("attributes"), without: words("excludedAttributes") };
        if !it.only.is_empty() && !it.without.is_empty() {
            return Err(error::invalid("invalidValue", "attributes and excludedAttributes are mutually exclusive."));
        }
        Ok(it)
    }

    /// What is left of a resource. `id`, `schemas` and `meta` always are.
    fn of(&self, body: Map<String, Value>) -> Value {
        if self.only.is_empty() && self.without.is_empty() {
            return Value::Object(body);
        }
        let kept = body.into_iter().filter_map(|(name, value)| {
            let lower = name.to_lowercase();
            if matches!(lower.as_str(), "id" | "schemas" | "meta") {
                return Some((name, value));
            }
            let sub = |words: &[String]| -> Vec<String> {
                words.iter().filter_map(|it| it.strip_prefix(&format!("{lower}.")).map(str::to_owned)).collect()
            };
            if !self.only.is_empty() {
                let wanted = sub(&self.only);
                let whole = self.only.contains(&lower);
                return (whole || !wanted.is_empty())
                    .then(|| (name, if whole { value } else { part(value, &|it| wanted.iter().any(|w| w == it)) }));
            }
            let unwanted = sub(&self.without);
            (!self.without.contains(&lower)).then(|| (name, part(value, &|it| !unwanted.iter().any(|w| w == it))))
        });
        Value::Object(kept.collect())
    }
}

/// The sub-attributes that pass, of one complex value or of each of several.
fn part(value: Value, keep: &dyn Fn(&str) -> bool) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(name, _)| keep(&name.to_lowercase())).collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(|it| part(it, keep)).collect()),
        other => other,
    }
}
