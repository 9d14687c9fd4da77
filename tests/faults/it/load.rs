//! A company whose people change groups all the time, at Google.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use scenarios::{Company, WIDE};
use serde_json::{Value, json};

const PEOPLE: usize = 90;
const GROUPS: usize = 24;
const MEMBERS: usize = 45;

/// How often each membership began and ended at Google, by group and address.
pub(crate) type Turns = BTreeMap<(String, String), (usize, usize)>;

/// Who makes the changes, and what was changed.
#[derive(Debug)]
pub(crate) struct Load {
    random: SmallRng,
    members: BTreeMap<String, BTreeSet<usize>>,
    /// What happened to each membership.
    pub(crate) turns: Turns,
}

fn name(group: usize) -> String {
    format!("team-{group:02}")
}

impl Load {
    /// The company before the first change: more than a thousand memberships.
    pub(crate) fn new(seed: u64) -> (Self, Company) {
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut company, mut members, mut turns) =
            (Company::of(PEOPLE).with_sections(WIDE), BTreeMap::new(), Turns::new());
        for group in (0..GROUPS).map(name) {
            let mut people = BTreeSet::new();
            while people.len() < MEMBERS {
                people.insert(random.random_range(0..PEOPLE));
            }
            company = company.group(&group, people.iter().copied());
            turns.extend(people.iter().map(|person| ((group.clone(), Company::email(*person)), (1, 0))));
            members.insert(group, people);
        }
        (Self { random, members, turns }, company)
    }

    /// The next few changes: people come into groups and go out of them.
    ///
    /// # Errors
    /// Never, as long as there are groups.
    pub(crate) fn next(&mut self) -> Result<Value> {
        let groups: Vec<String> = self.members.keys().cloned().collect();
        let mut changes = Vec::new();
        for _ in 0..self.random.random_range(1..=4) {
            let group = groups.choose(&mut self.random).context("there are groups")?.clone();
            let person = self.random.random_range(0..PEOPLE);
            let people = self.members.entry(group.clone()).or_default();
            let turns = self.turns.entry((group.clone(), Company::email(person))).or_default();
            let (group, id) = (format!("grp_{group}"), Company::id(person));
            if people.insert(person) {
                turns.0 += 1;
                changes
                    .push(json!({ "op": "member_added", "group": group, "id": id, "type": "USER", "role": "MEMBER" }));
            } else {
                people.remove(&person);
                turns.1 += 1;
                changes.push(json!({ "op": "member_removed", "group": group, "id": id }));
            }
        }
        Ok(Value::Array(changes))
    }

    /// A number of `range`, for whoever else needs chance.
    pub(crate) fn number(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.random.random_range(range)
    }
}
