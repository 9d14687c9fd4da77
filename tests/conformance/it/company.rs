//! The world that the programs see.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The real group structure, or a small made-up one where the data are absent. Says which.
///
/// # Errors
/// With `CI=true` absent data are a failure.
pub(crate) fn world() -> Result<(Vec<u8>, &'static str)> {
    let Some(shared) = harness::find::shared()? else {
        return Ok((made_up().to_string().into_bytes(), "a small made-up company, because the data are absent"));
    };
    let path = shared.join("data/k8s-google-groups/snapshot.json");
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((bytes, "the real group structure"))
}

fn made_up() -> Value {
    let person = |n: u32, external: bool| {
        let domain = if external { "other.example.org" } else { "example.com" };
        json!({
            "id": format!("u{n}"), "email": format!("person{n}@{domain}"), "given_name": format!("Given{n}"),
            "family_name": format!("Family{n}"), "external": external,
        })
    };
    let member = |n: u32| json!({"id": format!("u{n}"), "type": "USER", "role": "MEMBER"});
    let group = |n: u32| {
        let mut members: Vec<Value> = (n..n + 8).map(member).collect();
        if n > 1 {
            members.push(json!({"id": format!("g{}", n - 1), "type": "GROUP", "role": "MEMBER"}));
        }
        json!({
            "id": format!("g{n}"), "email": format!("group{n}@example.com"), "name": format!("Group {n}"),
            "description": "", "external": false, "members": members,
        })
    };
    json!({
        "format": "orgdir-snapshot/1",
        "users": (1..=30).map(|n| person(n, n % 3 == 0)).collect::<Vec<_>>(),
        "groups": (1..=20).map(group).collect::<Vec<_>>(),
    })
}
