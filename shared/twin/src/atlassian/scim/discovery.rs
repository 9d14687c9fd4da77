//! What the service can do: configuration, resource types, schemas (RFC 7643 §5–§7).

use serde_json::{Value, json};

use super::user::ENTERPRISE;
use super::{Operation, Request, answer, error};
use crate::engine::Answer;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Answers the five questions.
pub(super) fn read(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = match &request.operation {
        Operation::Config => config(request),
        Operation::Schemas => listed(schemas(request)),
        Operation::Schema(id) => one(schemas(request), id)?,
        Operation::ResourceTypes => listed(resource_types(request)),
        Operation::ResourceType(id) => one(resource_types(request), id)?,
        _ => return Err(error::scim(404, None, "Not found.")),
    };
    Ok(answer(200, body))
}

fn listed(all: Vec<Value>) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": all.len(),
        "startIndex": 1,
        "itemsPerPage": all.len(),
        "Resources": all,
    })
}

fn one(all: Vec<Value>, id: &str) -> Result<Value, Answer> {
    let found = all.into_iter().find(|it| it.get("id").and_then(Value::as_str) == Some(id));
    found.ok_or_else(|| error::scim(404, None, &format!("Resource {id} not found.")))
}

fn config(request: &Request<'_>) -> Value {
    let no = json!({ "supported": false });
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://developer.atlassian.com/cloud/admin/user-provisioning/rest/intro/",
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": 10_000 },
        "changePassword": no,
        "sort": no,
        "etag": no,
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "The directory's API key as a bearer token",
            "primary": true,
        }],
        "meta": meta(request, "ServiceProviderConfig", "ServiceProviderConfig"),
    })
}

fn meta(request: &Request<'_>, kind: &str, path: &str) -> Value {
    let location = format!("{}/scim/directory/{}/{path}", request.incoming.origin(), request.directory);
    json!({ "resourceType": kind, "location": location })
}

fn resource_types(request: &Request<'_>) -> Vec<Value> {
    let of = |name: &str, schema: &str, extensions: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": name,
            "name": name,
            "endpoint": format!("/{name}s"),
            "description": format!("{name} resources"),
            "schema": schema,
            "schemaExtensions": extensions,
            "meta": meta(request, "ResourceType", &format!("ResourceTypes/{name}")),
        })
    };
    vec![of("User", USER, json!([{ "schema": ENTERPRISE, "required": false }])), of("Group", GROUP, json!([]))]
}

fn schemas(request: &Request<'_>) -> Vec<Value> {
    let of = |id: &str, name: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id,
            "name": name,
            "description": name,
            "attributes": attributes,
            "meta": meta(request, "Schema", &format!("Schemas/{id}")),
        })
    };
    vec![
        of(USER, "User", user_attributes()),
        of(GROUP, "Group", group_attributes()),
        of(ENTERPRISE, "EnterpriseUser", vec![text("organization"), text("department")]),
    ]
}

fn attribute(name: &str, kind: &str, more: Value) -> Value {
    let mut it = json!({
        "name": name,
        "type": kind,
        "multiValued": false,
        "description": name,
        "required": false,
        "caseExact": false,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
    });
    if let (Some(fields), Value::Object(more)) = (it.as_object_mut(), more) {
        fields.extend(more);
    }
    it
}

fn text(name: &str) -> Value {
    attribute(name, "string", json!({}))
}

fn many(name: &str, subs: Vec<Value>, required: bool) -> Value {
    attribute(name, "complex", json!({ "multiValued": true, "required": required, "subAttributes": subs }))
}

fn user_attributes() -> Vec<Value> {
    let parts = ["formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"];
    let value = |required: bool| {
        let value = attribute("value", "string", json!({ "required": required }));
        vec![value, text("type"), attribute("primary", "boolean", json!({}))]
    };
    let mut all = vec![
        attribute("userName", "string", json!({ "required": true, "uniqueness": "server" })),
        attribute("name", "complex", json!({ "subAttributes": parts.map(text) })),
    ];
    all.extend(
        ["displayName", "nickName", "title", "preferredLanguage", "timezone", "organization", "department"].map(text),
    );
    all.extend([
        attribute("active", "boolean", json!({})),
        many("emails", value(true), true),
        many("phoneNumbers", value(false), false),
        attribute(
            "groups",
            "complex",
            json!({ "multiValued": true, "mutability": "readOnly", "subAttributes": references() }),
        ),
    ]);
    all
}

fn group_attributes() -> Vec<Value> {
    vec![
        attribute(
            "displayName",
            "string",
            json!({ "required": true, "mutability": "immutable", "uniqueness": "server" }),
        ),
        many("members", references(), false),
    ]
}

fn references() -> Vec<Value> {
    vec![
        text("value"),
        text("display"),
        text("type"),
        attribute("$ref", "reference", json!({ "referenceTypes": ["User", "Group"] })),
    ]
}
