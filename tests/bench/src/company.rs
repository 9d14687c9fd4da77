//! A made-up company for measurements of the pipeline: people, and groups with one member each.

use serde_json::{Value, json};

/// How many people and groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Company {
    pub(crate) people: usize,
    pub(crate) groups: usize,
}

/// Which target the company's groups go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The organization's groups.
    Organization,
    /// Groups of user provisioning.
    Provisioning,
}

impl Company {
    pub(crate) fn world(self) -> Vec<u8> {
        let users: Vec<Value> = (0..self.people)
            .map(|n| json!({ "id": person(n), "email": email(n), "given_name": "P", "family_name": format!("Q{n}") }))
            .collect();
        let groups: Vec<Value> = (0..self.groups)
            .map(|n| {
                let member = json!({ "id": person(n % self.people.max(1)), "role": "MEMBER", "type": "USER" });
                json!({ "id": group(n), "email": format!("{}@example.com", group(n)), "name": group(n),
                        "description": "", "members": [member] })
            })
            .collect();
        json!({ "format": "orgdir-snapshot/1", "users": users, "groups": groups }).to_string().into_bytes()
    }

    /// The n-th change: somebody joins a group. No two are the same, and none is there at the start, up to
    /// `people × groups` less the groups.
    pub(crate) fn join(self, n: usize) -> Join {
        let (round, group) = (n / self.groups, n % self.groups);
        Join { group, person: (group + 1 + round) % self.people }
    }
}

/// A change: somebody joins a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) group: usize,
    pub(crate) person: usize,
}

pub(crate) fn person(n: usize) -> String {
    format!("u{n:06}")
}

pub(crate) fn email(n: usize) -> String {
    format!("p{n:06}@example.com")
}

pub(crate) fn group(n: usize) -> String {
    format!("g{n:06}")
}

/// The company's policy: no lag, no budgets that hold anything.
pub(crate) fn policy(target: Target) -> String {
    let (directory, provision) = match target {
        Target::Organization => (
            "kind = \"atlassian-org\"\norg = \"org-1\"\ndirectory = \"dir-1\"\napi_key = \"file:secrets/org-key\"\n\
             owner = \"sync@example.com\"",
            "",
        ),
        Target::Provisioning => (
            "kind = \"atlassian-scim\"\ndirectory_id = \"scim-1\"\ntoken = \"file:secrets/scim-key\"",
            "[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\n",
        ),
    };
    format!(
        "tenant = \"bench\"\n\
         [directory.workspace]\nkind = \"google-workspace\"\nservice_account = \"file:secrets/google.json\"\n\
         subject = \"sync@example.com\"\nendpoint = \"{{google}}\"\nlag = \"0s\"\n\
         [directory.cloud]\n{directory}\nendpoint = \"{{atlassian}}\"\nlag = \"0s\"\n\
         [people]\ndomains = [\"example.com\"]\n{provision}\
         [guard]\n{UNGUARDED}\n\
         [[sync]]\nname = \"teams\"\nfrom = \"workspace\"\ngroups = [\"*\"]\nto = \"cloud\"\n\
         rename = [{{ pattern = '^(.+)@.*$', replace = '$1' }}]\n"
    )
}

/// Budgets of 100 %, with room for the first import.
pub(crate) const UNGUARDED: &str = "\
per_group = { removals = { count = 10000000, percent = 100 }, additions = { count = 10000000, percent = 100 } }\n\
per_plan = { removals = { count = 10000000, percent = 100 }, additions = { count = 10000000, percent = 100 } }\n\
per_day = { removals = { count = 10000000, percent = 100 }, deactivations = { count = 10000000, percent = 100 } }\n\
per_week = { removals = { count = 10000000, percent = 100 } }\n\
emptied_group_from = 10000000\nsource_shrink_percent = 100\n";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_change_comes_twice_or_is_there_already() {
        let company = Company { people: 7, groups: 5 };
        let joins: BTreeSet<(usize, usize)> =
            (0..30).map(|n| company.join(n)).map(|join| (join.group, join.person)).collect();
        assert_eq!(joins.len(), 30);
        assert!((0..5).all(|n| !joins.contains(&(n, n))));
    }
}
