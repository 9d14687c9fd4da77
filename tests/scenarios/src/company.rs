//! Worlds to play: made-up companies, and the real organization.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// A made-up company: people `p00`, `p01`, … of `acme.example`, and groups of them.
#[derive(Clone, Debug, Default)]
pub struct Company {
    people: usize,
    groups: Vec<(String, Vec<Value>)>,
    /// Further text of its policy: sections, before the rule.
    pub sections: String,
    /// Further keys of the rule.
    pub rule: String,
}

impl Company {
    /// So many people and no groups.
    pub fn of(people: usize) -> Self {
        Self { people, ..Self::default() }
    }

    /// One group more: of these people.
    #[must_use]
    pub fn group(mut self, name: &str, people: impl IntoIterator<Item = usize>) -> Self {
        let members = people.into_iter().map(|n| json!({ "id": Self::id(n), "type": "USER", "role": "MEMBER" }));
        self.groups.push((name.to_owned(), members.collect()));
        self
    }

    /// Puts the group `inner` into the group made last.
    #[must_use]
    pub fn with_nested(mut self, inner: &str) -> Self {
        if let Some((_, members)) = self.groups.last_mut() {
            members.push(json!({ "id": format!("grp_{inner}"), "type": "GROUP", "role": "MEMBER" }));
        }
        self
    }

    /// Adds sections to the policy.
    #[must_use]
    pub fn with_sections(mut self, text: &str) -> Self {
        self.sections.push_str(text);
        self
    }

    /// The id of the n-th person at Google.
    pub fn id(n: usize) -> String {
        format!("usr_{n:04}")
    }

    /// The address of the n-th person.
    pub fn email(n: usize) -> String {
        format!("p{n:02}@acme.example")
    }

    /// The snapshot, in the format that the twin loads.
    pub fn snapshot(&self) -> Value {
        let user = |n| json!({ "id": Self::id(n), "email": Self::email(n), "given_name": format!("Given{n}"), "family_name": format!("Family{n}"), "external": false });
        let users: Vec<Value> = (0..self.people).map(user).collect();
        let group = |(name, members): &(String, Vec<Value>)| {
            json!({ "id": format!("grp_{name}"), "email": format!("{name}@acme.example"), "name": name, "description": "",
                "external": false, "members": members })
        };
        let groups: Vec<Value> = self.groups.iter().map(group).collect();
        json!({ "format": "orgdir-snapshot/1", "users": users, "groups": groups })
    }

    /// The policy: every group by its own name. `{google}` and `{atlassian}` stand for the endpoints.
    pub fn policy(&self) -> String {
        let mut text = POLICY.to_owned();
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}\n{RULE}{}", self.sections, self.rule);
        text
    }
}

/// Budgets of 100 %: a section of the policy for tests of something else than guards.
pub const WIDE: &str = "\n[guard]\nemptied_group_from = 100000\nsource_shrink_percent = 100\n\
    per_group = { removals = { count = 100000, percent = 100 }, additions = { count = 100000, percent = 100 } }\n\
    per_plan = { removals = { count = 100000, percent = 100 }, additions = { count = 100000, percent = 100 } }\n\
    per_day = { removals = { count = 100000, percent = 100 }, deactivations = { count = 100000, percent = 100 } }\n\
    per_week = { removals = { count = 100000, percent = 100 } }\n";

const POLICY: &str = r#"tenant = "acme"

[directory.workspace]
kind = "google-workspace"
customer = "my_customer"
service_account = "file:secrets/google.json"
subject = "sync@acme.example"
endpoint = "{google}"
lag = "0s"

[directory.cloud]
kind = "atlassian-org"
org = "org-1"
directory = "dir-1"
api_key = "file:secrets/org-key"
owner = "sync@acme.example"
endpoint = "{atlassian}"
lag = "0s"

[people]
match = ["link", "external-id", "email", "alias"]
domains = ["acme.example"]
"#;

const RULE: &str = r#"
[[sync]]
name = "teams"
from = "workspace"
groups = ["*"]
to = ["cloud"]
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;

/// The real organization: its snapshot, its policy (endpoints as `{google}` and `{atlassian}`, no lag) and the lines of
/// its history. `None` where the data are not there; says so.
///
/// # Errors
/// With `CI=true` absent data are a failure; or when they cannot be read.
pub fn real() -> Result<Option<(Value, String, Vec<Value>)>> {
    real_of(harness::find::shared()?)
}

/// As [`real`], of this folder of shared data, if there is one.
///
/// # Errors
/// When the data cannot be read.
pub fn real_of(shared: Option<PathBuf>) -> Result<Option<(Value, String, Vec<Value>)>> {
    let Some(shared) = shared else {
        eprintln!("the shared data are absent: a made-up world stands in for the real organization");
        return Ok(None);
    };
    let read = |path: &str| {
        let path = shared.join("data").join(path);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let snapshot = serde_json::from_str(&read("k8s-google-groups/snapshot.json")?)?;
    let policy = read("k8s-policy.toml")?
        .replace("\"http://127.0.0.1:7001\"", "\"{google}\"\nlag = \"0s\"")
        .replace("\"http://127.0.0.1:7002\"", "\"{atlassian}\"\nlag = \"0s\"");
    let lines = read("k8s-google-groups/history.jsonl")?;
    let history = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(Some((snapshot, policy, history)))
}
