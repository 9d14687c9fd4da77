//! The part of the schema for `[directory.<name>]`: one shape for each kind.

use model::DirectoryKind;
use serde_json::{Map, Value, json};

use super::{duration, map, slug, table, text};

pub(super) fn directories() -> Value {
    let mut directories = map(json!({ "oneOf": DirectoryKind::ALL.map(directory) }), "The directories, by name.");
    if let Some(directories) = directories.as_object_mut() {
        directories.insert("propertyNames".to_owned(), json!({ "pattern": "^[a-z0-9-]{1,40}$" }));
        directories.insert("minProperties".to_owned(), json!(1));
    }
    directories
}

fn directory(kind: DirectoryKind) -> Value {
    let (own, required) = keys(kind);
    let mut properties = Map::new();
    properties.insert("kind".to_owned(), json!({ "const": kind.as_str() }));
    properties.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
    if kind != DirectoryKind::ScimInbound {
        let endpoint = json!({
            "description": "Where to call instead of the vendor's own address: scheme://host:port.",
            "type": "string",
            "pattern": "^https?://[^/@ ]+/?$",
        });
        properties.insert("endpoint".to_owned(), endpoint);
        properties.insert("owner".to_owned(), email("Whose credential it is: that account is never touched."));
        properties.insert("lag".to_owned(), duration("60s", "How long reads may be behind writes."));
        properties.insert("sweep_every".to_owned(), duration("6h", "How often everything is read."));
    }
    let required: Vec<&str> = ["kind"].into_iter().chain(required.iter().copied()).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

type Keys = (Vec<(&'static str, Value)>, &'static [&'static str]);

fn keys(kind: DirectoryKind) -> Keys {
    use DirectoryKind as Kind;
    match kind {
        Kind::GoogleWorkspace => (google(), &[]),
        Kind::ScimInbound => (vec![("token", secret("The bearer token that it shows."))], &["token"]),
        Kind::AtlassianOrg => (
            vec![
                ("org", text("The organization's id.")),
                ("directory", text("The id of the directory in the organization.")),
                ("api_key", secret("The organization's API key.")),
            ],
            &["org", "directory", "api_key"],
        ),
        Kind::AtlassianScim => (
            vec![("directory_id", text("The id of the provisioning directory.")), ("token", secret("Its API key."))],
            &["directory_id", "token"],
        ),
        Kind::JiraCloud | Kind::ConfluenceCloud => {
            let mut keys = site();
            keys.push(("org", slug("The organization's directory whose groups this site shows.")));
            (keys, &["site", "email", "api_token"])
        }
        Kind::JsmCustomers => {
            let mut keys = site();
            keys.push((
                "desk",
                text("The project key of the service desk: its customers, or where the organization is attached."),
            ));
            keys.push(("customer_organization", text("The name of an organization of customers.")));
            (keys, &["site", "email", "api_token"])
        }
        Kind::JiraDc | Kind::ConfluenceDc | Kind::BitbucketDc => (
            vec![
                ("url", url("Address of the instance.")),
                ("token", secret("Personal access token.")),
                (
                    "user_directory",
                    text(
                        "Where users are made. No call chooses it: `doctor` checks it at Bitbucket, elsewhere it has no effect.",
                    ),
                ),
            ],
            &["url", "token"],
        ),
        Kind::Crowd => (
            vec![
                ("url", url("Address of the server.")),
                ("application", text("The application's name.")),
                ("password", secret("The application's password.")),
            ],
            &["url", "application", "password"],
        ),
    }
}

fn google() -> Vec<(&'static str, Value)> {
    let oauth = table(
        "An OAuth web client, instead of a service account.",
        [
            ("client_id", text("The client's public id.")),
            ("client_secret", secret("Its secret.")),
            ("refresh_token", secret("The token that an administrator granted.")),
        ],
        &["client_id", "client_secret", "refresh_token"],
    );
    let push = table(
        "Hints from Google.",
        [
            ("public_url", url("Where Google reaches us.")),
            ("channel_token", secret("What Google shows to prove that a hint is of our channel.")),
        ],
        &["public_url", "channel_token"],
    );
    vec![
        ("customer", json!({ "type": "string", "minLength": 1, "default": "my_customer" })),
        ("service_account", secret("JSON key of the service account.")),
        ("subject", email("The administrator in whose name it reads.")),
        ("oauth", oauth),
        ("audit_poll", duration("60s", "Not in effect yet: how often the audit log is asked for hints.")),
        ("push", push),
    ]
}

fn site() -> Vec<(&'static str, Value)> {
    let site = json!({
        "description": "Address of the site.",
        "type": "string",
        "pattern": "^https?://[^/@ ]+/?$",
    });
    vec![("site", site), ("email", email("Whose token it is.")), ("api_token", secret("The API token."))]
}

fn secret(doc: &str) -> Value {
    json!({
        "description": format!("{doc} A reference: \"file:<path>\" or \"env:<NAME>\", never the secret itself."),
        "type": "string",
        "pattern": "^(file:.+|env:[A-Za-z0-9_]+)$",
    })
}

fn email(doc: &str) -> Value {
    json!({ "description": doc, "type": "string", "pattern": "^[^@ ]+@[^@ ]+$" })
}

fn url(doc: &str) -> Value {
    json!({ "description": doc, "type": "string", "pattern": "^https?://[^@ ]+$" })
}
