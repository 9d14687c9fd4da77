//! The Data Center side of the world: instances of Jira, Confluence, Bitbucket and Crowd, each with ordered user
//! directories, licences and, at Jira, projects with their leads.
//!
//! Plain state and plain functions, as on the Cloud side. Names are compared without regard to letter case. Reads merge
//! the active directories, the first that knows a name wins; new users and groups go to the first that is writable
//! (atlassian-dc.md §1.3). Instances answer from one database: there is no lag.

mod change;
pub mod edit;
pub mod switches;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use change::Refusal;
pub use switches::DcSwitches;

/// Which product an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// Jira Data Center, which serves Crowd's API too.
    Jira,
    /// Confluence Data Center.
    Confluence,
    /// Bitbucket Data Center.
    Bitbucket,
    /// Crowd Data Center.
    Crowd,
}

impl Product {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Jira, Self::Confluence, Self::Bitbucket, Self::Crowd];

    /// The name in paths and edits.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jira => "jira",
            Self::Confluence => "confluence",
            Self::Bitbucket => "bitbucket",
            Self::Crowd => "crowd",
        }
    }

    /// The group whose members administer a new instance.
    pub const fn administrators(self) -> &'static str {
        match self {
            Self::Jira => "jira-administrators",
            Self::Confluence => "confluence-administrators",
            Self::Bitbucket => "stash-administrators",
            Self::Crowd => "crowd-administrators",
        }
    }
}

/// Somebody with a user name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What stays when the name changes: `JIRAUSER10100`, a Confluence user key, Bitbucket's number, Crowd's `1:<uuid>`.
    pub key: String,
    /// The user name.
    pub name: String,
    /// The name to show.
    pub display_name: String,
    /// Given name and family name, where they were given apart (Crowd); the name to show tells neither.
    pub names: Option<(String, String)>,
    /// The address.
    pub email: String,
    /// Whether they may sign in.
    pub active: bool,
    /// How often they are signed in now: an account that is deactivated stays signed in.
    pub sessions: u32,
    /// Crowd's attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Whether it counts; Crowd only.
    pub active: bool,
    /// Direct members, by folded name.
    pub members: BTreeSet<String>,
    /// Groups in it, by folded name.
    pub children: BTreeSet<String>,
    /// Crowd's attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// One of an instance's user directories.
#[derive(Clone, Debug)]
pub struct UserDirectory {
    /// The name.
    pub name: String,
    /// Whether users and groups can be changed in it.
    pub writable: bool,
    /// Whether groups in groups count.
    pub nested: bool,
    /// Whether it is asked at all.
    pub active: bool,
    /// By folded name.
    pub people: BTreeMap<String, Person>,
    /// By folded name.
    pub groups: BTreeMap<String, Group>,
}

/// What is licensed: one at Confluence and Bitbucket, one for each application at Jira.
#[derive(Clone, Debug)]
pub struct Application {
    /// `jira-software`, `confluence`, ….
    pub key: String,
    /// For people.
    pub name: String,
    /// Groups that give access, by folded name.
    pub groups: BTreeSet<String>,
    /// Those that new users get.
    pub default_groups: BTreeSet<String>,
    /// How many may have access; `None` any number.
    pub seats: Option<u32>,
}

/// A project of Jira.
#[derive(Clone, Debug)]
pub struct Project {
    /// Number.
    pub id: u64,
    /// Key.
    pub key: String,
    /// For people.
    pub name: String,
    /// Folded user name.
    pub lead: String,
    /// Its components.
    pub components: Vec<Component>,
}

/// A component of a project.
#[derive(Clone, Debug)]
pub struct Component {
    /// Number.
    pub id: u64,
    /// For people.
    pub name: String,
    /// Folded user name, if it has a lead.
    pub lead: Option<String>,
}

/// One running product.
#[derive(Clone, Debug)]
pub struct Instance {
    /// What follows `/dc/` in its paths.
    pub name: String,
    /// Which product.
    pub product: Product,
    /// Open questions, answered for now.
    pub switches: DcSwitches,
    /// In order.
    pub directories: Vec<UserDirectory>,
    /// What is licensed.
    pub applications: Vec<Application>,
    /// Groups whose members administer it, by folded name.
    pub admin_groups: BTreeSet<String>,
    /// Global permissions of Bitbucket that somebody has without a group, by folded name.
    pub granted: BTreeMap<String, String>,
    /// Jira's projects, by key.
    pub projects: BTreeMap<String, Project>,
    next: u64,
    /// Requests so far: nodes answer in turn.
    turn: u64,
}

/// Every Data Center instance.
#[derive(Clone, Debug)]
pub struct DcSide {
    instances: BTreeMap<String, Instance>,
}

impl Default for DcSide {
    /// One instance of each product, with nobody in it but the account that the sample credentials belong to.
    fn default() -> Self {
        let instances =
            Product::ALL.map(|product| (product.as_str().to_owned(), Instance::new(product.as_str(), product)));
        Self { instances: instances.into() }
    }
}

/// Bitbucket's global permissions, the least first; each holds those before it.
pub const GLOBAL_PERMISSIONS: [&str; 4] = ["LICENSED_USER", "PROJECT_CREATE", "ADMIN", "SYS_ADMIN"];

/// User name of the account that the sample credentials belong to.
pub const BOT: &str = "rollcall";

/// A name as it is compared.
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

impl DcSide {
    /// The instance of that name.
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.get(name)
    }

    /// The instance of that name, to change it.
    pub fn instance_mut(&mut self, name: &str) -> Option<&mut Instance> {
        self.instances.get_mut(name)
    }

    /// All instances, by name.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// Adds an instance, or puts a new one in place of the one of that name.
    pub fn put(&mut self, instance: Instance) {
        self.instances.insert(instance.name.clone(), instance);
    }
}

impl UserDirectory {
    /// A writable, active directory with nobody in it.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            writable: true,
            nested: false,
            active: true,
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// The direct members of a group and, where nesting counts and it is asked for, those of the groups in it.
    pub fn members(&self, group: &str, nested: bool) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let (mut open, mut seen) = (vec![group.to_owned()], BTreeSet::new());
        while let Some(name) = open.pop() {
            let Some(group) = self.groups.get(&name).filter(|_| seen.insert(name.clone())) else { continue };
            found.extend(group.members.iter().cloned());
            if nested && self.nested {
                open.extend(group.children.iter().cloned());
            }
        }
        found
    }
}

impl Instance {
    /// An instance with one directory, its administrators' group and the account of the sample credentials in it.
    pub fn new(name: &str, product: Product) -> Self {
        let mut instance = Self {
            name: name.to_owned(),
            product,
            switches: DcSwitches::default(),
            directories: vec![UserDirectory { nested: product == Product::Crowd, ..UserDirectory::new("Internal") }],
            applications: Vec::new(),
            admin_groups: [product.administrators().to_owned()].into(),
            granted: BTreeMap::new(),
            projects: BTreeMap::new(),
            next: 10_000,
            turn: 0,
        };
        if product != Product::Crowd {
            let key = if product == Product::Jira { "jira-software" } else { product.as_str() };
            instance.applications.push(Application {
                key: key.to_owned(),
                name: key.to_owned(),
                groups: BTreeSet::new(),
                default_groups: BTreeSet::new(),
                seats: None,
            });
        }
        let bot = instance.person(BOT, "Rollcall", "rollcall@example.com");
        let admins = Group {
            name: product.administrators().to_owned(),
            active: true,
            members: [BOT.to_owned()].into(),
            ..Group::default()
        };
        if let Some(first) = instance.directories.first_mut() {
            first.people.insert(BOT.to_owned(), bot);
            first.groups.insert(fold(&admins.name), admins);
        }
        instance
    }

    /// A person who is in no directory yet, with a fresh key.
    pub(crate) fn person(&mut self, name: &str, display_name: &str, email: &str) -> Person {
        self.next += 1;
        let number = self.next;
        let key = match self.product {
            Product::Jira => format!("JIRAUSER{number}"),
            Product::Confluence => format!("4028808{number:0>25x}"),
            Product::Bitbucket => number.to_string(),
            Product::Crowd => {
                format!("1:{:08x}-0000-4000-8000-{number:012x}", number.wrapping_mul(2_654_435_761) % 0xffff_ffff)
            }
        };
        let (name, display_name, email) = (name.to_owned(), display_name.to_owned(), email.to_owned());
        Person { key, name, display_name, names: None, email, active: true, sessions: 0, attributes: BTreeMap::new() }
    }

    /// The node that answers the next request, from 1.
    pub(crate) fn node(&mut self) -> u64 {
        self.turn += 1;
        self.turn % u64::from(self.switches.nodes.max(1)) + 1
    }

    /// A number that nothing here has yet.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The directories that are asked.
    pub fn active_directories(&self) -> impl Iterator<Item = &UserDirectory> {
        self.directories.iter().filter(|it| it.active)
    }

    /// The person of that name, in the first directory that has one.
    pub fn user(&self, name: &str) -> Option<(&UserDirectory, &Person)> {
        let name = fold(name);
        self.active_directories().find_map(|it| Some((it, it.people.get(&name)?)))
    }

    /// The person with that key.
    pub fn user_with_key(&self, key: &str) -> Option<&Person> {
        self.active_directories().flat_map(|it| it.people.values()).find(|it| it.key == key)
    }

    /// Everybody, by folded name; who is in two directories is shown from the first.
    pub fn users(&self) -> Vec<&Person> {
        let mut all: BTreeMap<&String, &Person> = BTreeMap::new();
        for (name, person) in self.active_directories().flat_map(|it| &it.people) {
            all.entry(name).or_insert(person);
        }
        all.into_values().collect()
    }

    /// The group of that name, in the first directory that has one.
    pub fn group(&self, name: &str) -> Option<(&UserDirectory, &Group)> {
        let name = fold(name);
        self.active_directories().find_map(|it| Some((it, it.groups.get(&name)?)))
    }

    /// All groups, by folded name; one that is in two directories is shown from the first.
    pub fn groups(&self) -> Vec<&Group> {
        let mut all: BTreeMap<&String, &Group> = BTreeMap::new();
        for (name, group) in self.active_directories().flat_map(|it| &it.groups) {
            all.entry(name).or_insert(group);
        }
        all.into_values().collect()
    }

    /// The people in a group, by folded name; `nested` counts groups in it where its directory does.
    pub fn members(&self, group: &str, nested: bool) -> Vec<&Person> {
        let Some((directory, found)) = self.group(group) else { return Vec::new() };
        directory.members(&fold(&found.name), nested).iter().filter_map(|it| Some(self.user(it)?.1)).collect()
    }

    /// The groups that a person is in, directly or through others, by folded name.
    pub fn groups_of(&self, name: &str, nested: bool) -> Vec<&Group> {
        let name = fold(name);
        let holds = |it: &&Group| {
            self.group(&it.name)
                .is_some_and(|(directory, it)| directory.members(&fold(&it.name), nested).contains(&name))
        };
        self.groups().into_iter().filter(holds).collect()
    }

    /// Whether somebody administers the instance.
    pub fn is_admin(&self, name: &str) -> bool {
        self.groups_of(name, true).iter().any(|it| self.admin_groups.contains(&fold(&it.name)))
    }

    /// The active people who have access to an application.
    pub fn licensed(&self, application: &Application) -> BTreeSet<String> {
        let people = application.groups.iter().flat_map(|group| self.members(group, true));
        let granted = self.granted.keys().filter_map(|name| Some(self.user(name)?.1));
        people.chain(granted).filter(|it| it.active).map(|it| fold(&it.name)).collect()
    }

    /// Everybody with this global permission of Bitbucket or a greater one, of their own or through a group.
    pub fn permitted(&self, permission: &str) -> BTreeSet<String> {
        let rank = |permission: &str| GLOBAL_PERMISSIONS.iter().position(|it| *it == permission);
        let own = self.granted.iter().filter(|(_, has)| rank(has) >= rank(permission)).map(|(name, _)| name.clone());
        let groups = if permission == "LICENSED_USER" { self.applications.as_slice() } else { &[] };
        let groups = groups.iter().flat_map(|it| &it.groups).chain(&self.admin_groups);
        groups.flat_map(|group| self.members(group, true)).map(|it| fold(&it.name)).chain(own).collect()
    }
}
