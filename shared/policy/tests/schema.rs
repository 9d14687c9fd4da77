//! The schema, the parser and the annotated file of every key know the same keys.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use policy::{Policy, json_schema};
use serde_json::Value;

const EVERY_KEY: &str = include_str!("../../../deploy/config/policy.toml");

fn as_json(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap();
    serde_json::to_value(table).unwrap()
}

/// As much of JSON Schema as our schema uses. Gives what is wrong.
fn problems(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, rule) in schema.as_object().unwrap() {
        let fine = match key.as_str() {
            "description" | "default" | "title" | "$schema" | "properties" | "additionalProperties" | "items" => true,
            "type" => match rule.as_str().unwrap() {
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                other => panic!("the schema uses the type {other}"),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => {
                regex::Regex::new(rule.as_str().unwrap()).unwrap().is_match(value.as_str().unwrap_or_default())
            }
            "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap()),
            "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap()),
            "minProperties" => value.as_object().is_none_or(|table| table.len() as u64 >= rule.as_u64().unwrap()),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
            "required" => rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "propertyNames" => {
                value.as_object().unwrap().keys().all(|name| problems(rule, &Value::from(name.as_str()), "").is_empty())
            }
            "oneOf" => rule.as_array().unwrap().iter().filter(|one| problems(one, value, at).is_empty()).count() == 1,
            other => panic!("the schema uses {other}"),
        };
        if !fine {
            wrong.push(format!("{at}: {key} {rule} is not kept by {value}"));
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => wrong.push(format!("{at} is unknown")),
            (Value::Null, Value::Null) => {}
            (Value::Null, schema) | (schema, _) => wrong.extend(problems(schema, value, &at)),
        }
    }
    if let (Some(list), Some(schema)) = (value.as_array(), schema.get("items")) {
        wrong.extend(list.iter().flat_map(|value| problems(schema, value, &format!("{at}[]"))));
    }
    wrong
}

/// Every key of the schema with the way to it; kinds of directories apart.
fn keys_of_schema(schema: &Value, at: &str, keys: &mut BTreeSet<String>) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        keys.insert(format!("{at}.{key}"));
        keys_of_schema(below, &format!("{at}.{key}"), keys);
    }
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        let kind = one["properties"]["kind"]["const"].as_str().unwrap_or_default();
        keys_of_schema(one, &format!("{at}({kind})"), keys);
    }
    for below in [&schema["items"], &schema["additionalProperties"]] {
        if below.is_object() {
            keys_of_schema(below, at, keys);
        }
    }
}

/// Every key of a file, named as in [`keys_of_schema`].
fn keys_of_file(schema: &Value, value: &Value, at: &str, keys: &mut BTreeSet<String>) {
    if let Some(list) = value.as_array() {
        for value in list {
            keys_of_file(&schema["items"], value, at, keys);
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        if !schema["properties"][key].is_null() {
            keys.insert(format!("{at}.{key}"));
            keys_of_file(&schema["properties"][key], value, &format!("{at}.{key}"), keys);
        } else if let (Some(all), true) = (schema["additionalProperties"]["oneOf"].as_array(), value.is_object()) {
            let one = all.iter().find(|one| one["properties"]["kind"]["const"] == value["kind"]).unwrap();
            keys_of_file(one, value, &format!("{at}({})", value["kind"].as_str().unwrap()), keys);
        }
    }
}

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema = json_schema();
    let mut files = vec![Policy::example().to_owned(), EVERY_KEY.to_owned()];
    let real = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/k8s-policy.toml");
    files.extend(std::fs::read_to_string(real));
    for text in files {
        Policy::parse(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(problems(&schema, &as_json(&text), ""), Vec::<String>::new());
    }
}

#[test]
fn the_schema_refuses_what_has_the_wrong_shape() {
    let schema = json_schema();
    for (from, to) in [
        ("rename =", "renmae ="),
        ("members = \"exact\"", "members = \"exakt\""),
        ("\"file:/run/secrets/org-key\"", "\"ATATT3xFfGF0\""),
        ("desk = \"HELP\"", "desk = 7"),
        ("percent = 10 }, additions", "percent = 101 }, additions"),
        ("org_units = [\"/Staff/**\"]", "org_units = []"),
        ("kind = \"crowd\"", "kind = \"crowds\""),
    ] {
        assert!(Policy::example().contains(from), "{from}");
        let text = Policy::example().replacen(from, to, 1);
        assert_ne!(problems(&schema, &as_json(&text), ""), Vec::<String>::new(), "{to}");
        assert!(Policy::parse(&text).is_err(), "{to}");
    }
}

#[test]
fn the_annotated_file_shows_every_key() {
    let schema = json_schema();
    let (mut known, mut shown) = (BTreeSet::new(), BTreeSet::new());
    keys_of_schema(&schema, "", &mut known);
    keys_of_file(&schema, &as_json(EVERY_KEY), "", &mut shown);
    // Keys of every directory that is called are shown once.
    let common = ["endpoint", "owner", "lag", "sweep_every"];
    let missing: Vec<&String> = known
        .difference(&shown)
        .filter(|key| !common.iter().any(|common| key.ends_with(&format!(").{common}"))))
        // Shown where it can be looked up.
        .filter(|key| !key.ends_with("-dc).user_directory") || key.contains("(bitbucket-dc)"))
        .collect();
    assert_eq!(missing, Vec::<&String>::new());
    for key in common {
        assert!(shown.contains(&format!(".directory(google-workspace).{key}")));
    }
}

#[test]
fn the_parser_knows_no_other_keys_than_the_schema() {
    let schema = json_schema();
    // A key that is like no other makes the parser list those that it knows in that table.
    let cases = [
        ("tenant = \"acme\"\n", "zzzzzzzzzzzzzzzzzzzz = 1\ntenant = \"acme\"\n", &schema["properties"]),
        ("[people]\n", "[people]\nzzzzzzzzzzzzzzzzzzzz = 1\n", &schema["properties"]["people"]["properties"]),
        ("[[sync]]\n", "[[sync]]\nzzzzzzzzzzzzzzzzzzzz = 1\n", &schema["properties"]["sync"]["items"]["properties"]),
        ("[guard]\n", "[guard]\nzzzzzzzzzzzzzzzzzzzz = 1\n", &schema["properties"]["guard"]["properties"]),
        ("[approval]\n", "[approval]\nzzzzzzzzzzzzzzzzzzzz = 1\n", &schema["properties"]["approval"]["properties"]),
        ("[schedule]\n", "[schedule]\nzzzzzzzzzzzzzzzzzzzz = 1\n", &schema["properties"]["schedule"]["properties"]),
        (
            "[[people.provision]]\n",
            "[[people.provision]]\nzzzzzzzzzzzzzzzzzzzz = 1\n",
            &schema["properties"]["people"]["properties"]["provision"]["items"]["properties"],
        ),
    ];
    for (from, to, known) in cases {
        assert!(EVERY_KEY.contains(from), "{from}");
        same_keys(&EVERY_KEY.replacen(from, to, 1), known);
    }
    for one in schema["properties"]["directory"]["additionalProperties"]["oneOf"].as_array().unwrap() {
        let kind = format!("kind = {}", one["properties"]["kind"]["const"]);
        let text = EVERY_KEY.replacen(&kind, &format!("{kind}\nzzzzzzzzzzzzzzzzzzzz = 1"), 1);
        same_keys(&text, &one["properties"]);
    }
}

fn same_keys(text: &str, known: &Value) {
    let wrong = Policy::parse(text).unwrap_err();
    assert_eq!(wrong.len(), 1, "{wrong}");
    let help = &wrong.iter().next().unwrap().help;
    let parser: BTreeSet<&str> = help.rsplit(": ").next().unwrap().split(", ").collect();
    let schema: BTreeSet<&str> = known.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(parser, schema);
}
