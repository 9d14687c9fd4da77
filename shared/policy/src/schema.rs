//! The JSON Schema of the policy file, for editors and for checks outside of this program.
//!
//! It says what has the right shape. What the parts say of each other only [`Policy::parse`](crate::Policy::parse)
//! judges. Tests hold it against the parser: both know the same keys in each table.

mod directory;
mod guard;

use serde_json::{Map, Value, json};

use crate::{
    ApprovalFor, DriftMode, External, LeaveAction, MatchBy, MembersMode, Nested, OnConflict, OnSourceDeleted,
    Outsiders, Who,
};

/// The schema, in JSON Schema 2020-12.
pub fn json_schema() -> Value {
    let properties = [
        ("tenant", slug("Whose policy this is.")),
        ("directory", directory::directories()),
        ("people", people()),
        ("sync", list(sync(), "Which groups fill which groups.")),
        ("guard", guard::guard()),
        ("approval", approval()),
        ("schedule", schedule()),
        ("adopt", adopt()),
    ];
    let mut schema = table("The policy of one tenant.", properties, &["tenant", "directory"]);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("Rollcall policy"));
    }
    schema
}

fn people() -> Value {
    let by: Vec<&str> = MatchBy::ALL.iter().map(|(word, _)| *word).collect();
    table(
        "Who is whose.",
        [
            ("match", some(words(&by), "By what a person is paired with an account, in this order.")),
            ("domains", list(json!({ "type": "string" }), "Our own domains; everybody else is external.")),
            ("username", rewrites("How an address becomes a user name.")),
            ("provision", list(provision(), "Who gets an account where.")),
        ],
        &[],
    )
}

fn provision() -> Value {
    let leave = |doc: &str| choice(&LeaveAction::ALL, "deactivate", doc);
    let on_leave = table(
        "What becomes of the account of somebody who leaves.",
        [
            ("suspended", leave("When suspended at the source.")),
            ("archived", leave("When archived at the source.")),
            ("deleted", leave("When deleted at the source.")),
            ("grace", duration("0s", "How long to wait first.")),
        ],
        &[],
    );
    let default_groups = table(
        "Groups that everybody gets.",
        [
            ("new", texts("Once, when the account is made.")),
            ("all", texts("Always.")),
            ("default_access_group", flag(false, "One of them gives a product by default, on purpose.")),
        ],
        &[],
    );
    let lead_fallback = table(
        "Data Center: who takes over what a leaver led.",
        [("project", text("User name, for projects.")), ("component", text("User name, for components."))],
        &[],
    );
    let path = json!({ "type": "string", "minLength": 1 });
    table(
        "People of one directory get accounts in another. Of several entries between the same two directories the first \
         one in the file that takes a person is theirs; who left and is taken by none of them goes by the mildest.",
        [
            ("name", text("A name for plans and tables.")),
            ("enabled", flag(true, "Whether it is in force: switched off, accounts of its people stay as they are.")),
            ("from", slug("The directory where the people are.")),
            ("to", slug("The directory where they get accounts.")),
            ("create", flag(true, "Whether accounts are made.")),
            ("update", flag(true, "Whether attributes are kept up to date.")),
            ("org_units", some(json!({ "type": "string", "pattern": "^/" }), "Only people in these units.")),
            ("people", some_or_one("Only people with these addresses: globs, or regular expressions after re:.")),
            ("except_people", texts_or_one("Not these people.")),
            ("where", wherever()),
            (
                "who",
                choice(&Who::ALL, "all", "For whom accounts are made: all, or who is in a group that a rule takes."),
            ),
            ("external", choice(&Outsiders::ALL, "match", "What becomes of people outside of our domains.")),
            ("attributes", map(path, "Target attribute = path at the source.")),
            ("on_leave", on_leave),
            ("default_groups", default_groups),
            ("lead_fallback", lead_fallback),
        ],
        &["from", "to"],
    )
}

fn sync() -> Value {
    let name = json!({ "type": "string", "minLength": 1 });
    let directories = |doc: &str| {
        let directory = slug("A directory.");
        json!({
            "description": doc,
            "oneOf": [directory.clone(), { "type": "array", "items": directory, "minItems": 1 }],
        })
    };
    let roles =
        json!({ "type": "string", "pattern": "^([Oo][Ww][Nn]|[Mm][Aa][Nn][Aa][Gg]|[Mm][Ee][Mm][Bb])[Ee][Rr]$" });
    table(
        "Groups of one directory fill groups of others.",
        [
            ("name", text("A name for plans and tables; no two rules share one.")),
            ("enabled", flag(true, "Whether it is in force: switched off, its groups stay as they are.")),
            ("from", directories("The directories where the groups are.")),
            ("groups", some(name, "Addresses: globs, or regular expressions after re:.")),
            ("except", texts("Not these.")),
            ("people", some_or_one("Only members with these addresses: globs, or regular expressions after re:.")),
            ("except_people", texts_or_one("Not these people.")),
            ("where", wherever()),
            ("to", directories("The directories that are filled.")),
            ("rename", rewrites("How the address becomes the name at the target; the same name without it.")),
            ("into", text("One target group that all of them fill together.")),
            ("create", flag(true, "Whether a missing target group is made.")),
            ("members", choice(&MembersMode::ALL, "exact", "What becomes of members whom the source does not have.")),
            ("nested", choice(&Nested::ALL, "flatten", "What becomes of nested groups.")),
            ("roles", some(roles, "Only members in these roles: OWNER, MANAGER, MEMBER.")),
            ("external", choice(&External::ALL, "match", "What becomes of people outside of our domains.")),
            ("on_conflict", choice(&OnConflict::ALL, "review", "When the target group existed before.")),
            ("on_source_deleted", choice(&OnSourceDeleted::ALL, "keep", "When the source group is deleted.")),
            ("drift", choice(&DriftMode::ALL, "repair", "When the target was changed by hand.")),
            ("guard", guard::rule_guard()),
            ("default_access_group", flag(false, "The target group gives a product by default, on purpose.")),
            ("gives", gives()),
        ],
        &["from", "to", "groups"],
    )
}

fn approval() -> Value {
    let what = ApprovalFor::ALL.map(ApprovalFor::as_str);
    table(
        "What waits for a person.",
        [
            ("required_for", list(words(&what), "What a person must release; guards hold always, so name \"guard\".")),
            ("four_eyes", flag(true, "Whether the approver must be another than the proposer.")),
            ("expires", duration("60m", "How long an approval holds.")),
        ],
        &[],
    )
}

fn schedule() -> Value {
    table(
        "When the tenant is synchronised.",
        [
            ("mode", json!({ "enum": ["continuous", "cron", "manual"], "default": "continuous" })),
            ("cron", text("minute hour day month weekday, UTC.")),
        ],
        &[],
    )
}

fn adopt() -> Value {
    let target = json!({ "type": "string", "pattern": "^[a-z0-9-]{1,40}/.+$" });
    map(target, "Source group id = \"directory/group id\": what was adopted.")
}

/// A table with these keys and no others.
fn table<const N: usize>(doc: &str, properties: [(&str, Value); N], required: &[&str]) -> Value {
    let properties: Map<String, Value> = properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    json!({
        "description": doc,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A table whose keys are the user's own.
fn map(value: Value, doc: &str) -> Value {
    json!({ "description": doc, "type": "object", "additionalProperties": value })
}

fn text(doc: &str) -> Value {
    json!({ "description": doc, "type": "string", "minLength": 1 })
}

fn slug(doc: &str) -> Value {
    json!({ "description": doc, "type": "string", "pattern": "^[a-z0-9-]{1,40}$" })
}

fn duration(default: &str, doc: &str) -> Value {
    json!({ "description": doc, "type": "string", "minLength": 2, "default": default })
}

fn flag(default: bool, doc: &str) -> Value {
    json!({ "description": doc, "type": "boolean", "default": default })
}

fn number(least: u64, default: u64, doc: &str) -> Value {
    json!({ "description": doc, "type": "integer", "minimum": least, "default": default })
}

fn percent(default: u64, doc: &str) -> Value {
    json!({ "description": doc, "type": "integer", "minimum": 0, "maximum": 100, "default": default })
}

fn words(words: &[&str]) -> Value {
    json!({ "enum": words })
}

fn choice<T>(all: &[(&'static str, T)], default: &str, doc: &str) -> Value {
    let words: Vec<&str> = all.iter().map(|(word, _)| *word).collect();
    json!({ "description": doc, "enum": words, "default": default })
}

fn list(items: Value, doc: &str) -> Value {
    json!({ "description": doc, "type": "array", "items": items })
}

/// A list with at least one entry.
fn some(items: Value, doc: &str) -> Value {
    json!({ "description": doc, "type": "array", "items": items, "minItems": 1 })
}

fn texts(doc: &str) -> Value {
    list(json!({ "type": "string", "minLength": 1 }), doc)
}

/// One text, or a list of texts.
fn texts_or_one(doc: &str) -> Value {
    json!({ "description": doc, "oneOf": [text("One."), texts("Several.")] })
}

/// One text, or a list with at least one.
fn some_or_one(doc: &str) -> Value {
    let text_schema = json!({ "type": "string", "minLength": 1 });
    json!({ "description": doc, "oneOf": [text_schema.clone(), some(text_schema, "Several.")] })
}

fn wherever() -> Value {
    map(some_or_one("One of these values."), "Path at the source = patterns: only people who have such a value there.")
}

fn gives() -> Value {
    let access = table(
        "A product on a site, to its users.",
        [("product", text("The product's key, such as jira-software.")), ("site", text("The address of the site."))],
        &["product", "site"],
    );
    list(access, "What its groups at an organization are to give; each is given after approval.")
}

fn rewrites(doc: &str) -> Value {
    let rewrite = table(
        "Replaces what the pattern matches.",
        [
            ("pattern", text("A regular expression.")),
            ("replace", json!({ "type": "string", "description": "$1 is what the first group matched." })),
        ],
        &["pattern", "replace"],
    );
    list(rewrite, doc)
}
