//! Both worlds as the twin has them: who should be where, and who is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use twin::Shared;

/// The rule of the demo's policy, said once more in a few lines so that it checks the services and not itself.
const MAPPED: [&str; 3] = ["eng-", "team-", "all-staff"];

/// Members by group, as addresses.
pub type Members = BTreeMap<String, BTreeSet<String>>;

/// The twin's two sides.
pub struct Worlds {
    twin: Shared,
}

impl Worlds {
    /// The worlds of a running twin.
    pub const fn new(twin: Shared) -> Self {
        Self { twin }
    }

    /// The twin.
    pub const fn twin(&self) -> &Shared {
        &self.twin
    }

    /// How many memberships Atlassian has in mapped groups.
    pub fn memberships(&self) -> usize {
        self.atlassian().values().map(BTreeSet::len).sum()
    }

    /// Waits until both sides are equal.
    pub async fn equal_within(&self, within: Duration) -> bool {
        let until = runtime::clock::deadline(within);
        loop {
            if self.google() == self.atlassian() {
                return true;
            }
            if runtime::clock::deadline(Duration::ZERO) > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until somebody is, or is not, in an Atlassian group.
    pub async fn member_within(&self, group: &str, address: &str, present: bool, within: Duration) -> bool {
        let until = runtime::clock::deadline(within);
        loop {
            let is = self.atlassian().get(group).is_some_and(|members| members.contains(address));
            if is == present {
                return true;
            }
            if runtime::clock::deadline(Duration::ZERO) > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What differs, for people.
    pub fn difference(&self) -> String {
        let (google, atlassian) = (self.google(), self.atlassian());
        let mut text = String::new();
        for name in google.keys().chain(atlassian.keys()).collect::<BTreeSet<_>>() {
            let (wanted, found) =
                (google.get(name).cloned().unwrap_or_default(), atlassian.get(name).cloned().unwrap_or_default());
            for missing in wanted.difference(&found) {
                text.extend([format!("  {name}: {missing} is missing at Atlassian\n")]);
            }
            for stray in found.difference(&wanted) {
                text.extend([format!("  {name}: {stray} is at Atlassian only\n")]);
            }
        }
        text
    }

    /// What the mapped groups should hold: everybody below, who works.
    fn google(&self) -> Members {
        let world = self.twin.world().google.dump();
        let list = |key: &str| world.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let away: BTreeSet<String> = list("users")
            .iter()
            .filter(|user| user.get("suspended").and_then(Value::as_bool).unwrap_or(false))
            .map(|user| text(user, "email"))
            .collect();
        let direct: BTreeMap<String, Vec<Value>> = list("groups")
            .iter()
            .map(|group| {
                (text(group, "email"), group.get("members").and_then(Value::as_array).cloned().unwrap_or_default())
            })
            .collect();
        let mut wanted = Members::new();
        for address in direct.keys() {
            let name = address.split('@').next().unwrap_or_default().to_owned();
            if !MAPPED.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let (mut seen, mut open) = (BTreeSet::new(), vec![address.clone()]);
            let people = wanted.entry(name).or_default();
            while let Some(group) = open.pop() {
                if !seen.insert(group.clone()) {
                    continue;
                }
                for member in direct.get(&group).into_iter().flatten() {
                    let email = text(member, "email");
                    if text(member, "type") == "group" {
                        open.push(email);
                    } else if !away.contains(&email) {
                        people.insert(email);
                    }
                }
            }
        }
        wanted
    }

    fn atlassian(&self) -> Members {
        let organization = twin::world::atlassian::BaseKey::Organization("org-1".to_owned());
        let groups = self.twin.world().atlassian.memberships(&organization);
        let mapped = |name: &str| MAPPED.iter().any(|prefix| name.starts_with(prefix));
        let lower = |emails: Vec<String>| emails.into_iter().map(|email| email.to_lowercase()).collect();
        groups.into_iter().filter(|(name, _)| mapped(name)).map(|(name, emails)| (name, lower(emails))).collect()
    }
}
