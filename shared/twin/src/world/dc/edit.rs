//! What the operator of the twin does to Data Center instances, and how they are shown: `POST /_twin/dc`, `dc` in world
//! files, `GET /_twin/world/dc`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Application, Component, DcSide, DcSwitches, Group, Instance, Product, Project, UserDirectory, fold};
use crate::world::World;
use crate::world::atlassian::Act;

/// One thing done by hand. Directories that are only read do not refuse it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// A new, empty instance, in place of one of that name.
    Instance {
        /// What follows `/dc/`.
        instance: String,
        /// Which product.
        product: Product,
        /// Its directories, in order; one writable one if absent.
        #[serde(default)]
        directories: Vec<DirectoryEdit>,
    },
    /// Flags of a directory.
    Directory {
        /// Where.
        instance: String,
        /// Its directory.
        #[serde(flatten)]
        directory: DirectoryEdit,
    },
    /// A user, made or changed.
    User {
        /// Where.
        instance: String,
        /// In which directory; the first if absent.
        #[serde(default)]
        directory: Option<String>,
        /// User name.
        name: String,
        /// Address.
        #[serde(default)]
        email: Option<String>,
        /// Name to show.
        #[serde(default)]
        display_name: Option<String>,
        /// Whether they may sign in.
        #[serde(default)]
        active: Option<bool>,
        /// How often they are signed in.
        #[serde(default)]
        sessions: Option<u32>,
        /// Attributes of Crowd; those that are not named stay.
        #[serde(default)]
        attributes: BTreeMap<String, Vec<String>>,
    },
    /// A user for everybody at Google and in the Cloud, named by what stands before the `@`, or by the whole address where
    /// that is taken or asked for.
    People {
        /// Where.
        instance: String,
        /// The whole address becomes the user name.
        #[serde(default)]
        whole_address: bool,
    },
    /// A user is gone.
    UserRemoved {
        /// Where.
        instance: String,
        /// Who.
        name: String,
    },
    /// A group, made or filled; those who are not named stay.
    Group {
        /// Where.
        instance: String,
        /// In which directory; the first if absent.
        #[serde(default)]
        directory: Option<String>,
        /// Name.
        name: String,
        /// User names to add.
        #[serde(default)]
        members: Vec<String>,
        /// Groups to put into it.
        #[serde(default)]
        children: Vec<String>,
    },
    /// A group is gone.
    GroupRemoved {
        /// Where.
        instance: String,
        /// Which.
        name: String,
    },
    /// Somebody is no longer a member.
    MemberRemoved {
        /// Where.
        instance: String,
        /// Of which group.
        group: String,
        /// Who.
        name: String,
    },
    /// What is licensed, and by which groups.
    Application {
        /// Where.
        instance: String,
        /// Its key.
        key: String,
        /// Groups that give access.
        #[serde(default)]
        groups: Vec<String>,
        /// Those that new users get.
        #[serde(default)]
        default_groups: Vec<String>,
        /// Seats; any number if absent.
        #[serde(default)]
        seats: Option<u32>,
    },
    /// A global permission of Bitbucket that somebody has without a group.
    Granted {
        /// Where.
        instance: String,
        /// Who.
        name: String,
        /// Which; none if absent.
        #[serde(default)]
        permission: Option<String>,
    },
    /// A project of Jira.
    Project {
        /// Where.
        instance: String,
        /// Its key.
        key: String,
        /// User name of its lead.
        lead: String,
        /// Component → user name of its lead, if it has one.
        #[serde(default)]
        components: BTreeMap<String, Option<String>>,
    },
    /// Other answers to open questions.
    Switches {
        /// Where.
        instance: String,
        /// All of them.
        switches: DcSwitches,
    },
}

/// A directory of an edit.
#[derive(Clone, Debug, Deserialize)]
pub struct DirectoryEdit {
    /// Its name.
    #[serde(rename = "directory")]
    pub name: String,
    /// Whether users and groups can be changed in it.
    #[serde(default = "yes")]
    pub writable: bool,
    /// Whether groups in groups count.
    #[serde(default)]
    pub nested: bool,
    /// Whether it is asked at all.
    #[serde(default = "yes")]
    pub active: bool,
}

const fn yes() -> bool {
    true
}

impl Edit {
    fn instance(&self) -> &str {
        match self {
            Self::Instance { instance, .. }
            | Self::Directory { instance, .. }
            | Self::User { instance, .. }
            | Self::People { instance, .. }
            | Self::UserRemoved { instance, .. }
            | Self::Group { instance, .. }
            | Self::GroupRemoved { instance, .. }
            | Self::MemberRemoved { instance, .. }
            | Self::Application { instance, .. }
            | Self::Granted { instance, .. }
            | Self::Project { instance, .. }
            | Self::Switches { instance, .. } => instance,
        }
    }
}

impl World {
    /// Does what an operator does by hand.
    ///
    /// # Errors
    /// What was not found.
    pub fn edit_dc(&mut self, edit: Edit, cause: &crate::world::Cause) -> Result<(), String> {
        let people = if matches!(edit, Edit::People { .. }) { self.known_people() } else { Vec::new() };
        let mut act = Act { cause, log: &mut self.log };
        if let Edit::Instance { instance, product, directories } = &edit {
            let mut made = Instance::new(instance, *product);
            for (place, each) in directories.iter().enumerate() {
                made.set_directory(each, Some(place));
            }
            self.dc.put(made);
            return Ok(());
        }
        let name = edit.instance().to_owned();
        let instance = self.dc.instance_mut(&name).ok_or_else(|| format!("no instance is called {name}"))?;
        instance.edit(edit, &people, &mut act)
    }

    /// Address and name of everybody at Google and in Atlassian's Cloud.
    fn known_people(&self) -> Vec<(String, String)> {
        let google = self.google.live_users().map(|it| (fold(&it.primary_email), it.full_name()));
        let cloud = self.atlassian.accounts().iter().map(|(_, it)| (fold(&it.email), it.name.clone()));
        let mut seen = BTreeSet::new();
        google.chain(cloud).filter(|(email, _)| !email.is_empty() && seen.insert(email.clone())).collect()
    }
}

impl Instance {
    fn edit(&mut self, edit: Edit, people: &[(String, String)], act: &mut Act<'_>) -> Result<(), String> {
        match edit {
            Edit::Instance { .. } => {}
            Edit::Directory { directory, .. } => self.set_directory(&directory, None),
            Edit::User { directory, name, email, display_name, active, sessions, attributes, .. } => {
                let place = self.place(directory.as_deref())?;
                let fresh = self.person(&name, &name, "");
                let here = self.directories.get_mut(place).ok_or("no such directory")?;
                let person = here.people.entry(fold(&name)).or_insert(fresh);
                person.email = email.unwrap_or_else(|| person.email.clone());
                person.display_name = display_name.unwrap_or_else(|| person.display_name.clone());
                person.active = active.unwrap_or(person.active);
                person.sessions = sessions.unwrap_or(person.sessions);
                person.attributes.extend(attributes);
                act.record(format!("dc/{}/user/{}", self.name, fold(&name)), None, Some("by hand".to_owned()));
            }
            Edit::People { whole_address, .. } => {
                for (email, display_name) in people {
                    let local = email.split('@').next().unwrap_or(email);
                    let taken = self.user(local).is_some_and(|(_, it)| it.email != *email);
                    let name = if whole_address || taken { email.as_str() } else { local };
                    if self.user(name).is_none() {
                        let person = self.person(name, display_name, email);
                        let here = self.directories.first_mut().ok_or("no directory")?;
                        here.people.insert(fold(name), person);
                    }
                }
            }
            Edit::UserRemoved { name, .. } => self.by_hand(|it, act| it.delete_user(&name, act), act)?,
            Edit::Group { directory, name, members, children, .. } => {
                let place = self.place(directory.as_deref())?;
                let unknown = members.iter().find(|it| self.user(it).is_none());
                if let Some(unknown) = unknown {
                    return Err(format!("no user is called {unknown}"));
                }
                let here = self.directories.get_mut(place).ok_or("no such directory")?;
                let fresh = Group { name: name.clone(), active: true, ..Group::default() };
                let group = here.groups.entry(fold(&name)).or_insert(fresh);
                group.members.extend(members.iter().map(|it| fold(it)));
                group.children.extend(children.iter().map(|it| fold(it)));
                act.record(format!("dc/{}/group/{}", self.name, fold(&name)), None, Some("by hand".to_owned()));
            }
            Edit::GroupRemoved { name, .. } => self.by_hand(|it, act| it.delete_group(&name, act), act)?,
            Edit::MemberRemoved { group, name, .. } => {
                self.by_hand(|it, act| it.remove_member(&group, &name, act), act)?;
            }
            Edit::Application { key, groups, default_groups, seats, .. } => {
                let all = |names: Vec<String>| names.iter().map(|it| fold(it)).collect::<BTreeSet<_>>();
                let (groups, default_groups) = (all(groups), all(default_groups));
                self.applications.retain(|it| it.key != key);
                self.applications.push(Application { name: key.clone(), key, groups, default_groups, seats });
            }
            Edit::Granted { name, permission, .. } => {
                self.by_hand(|it, act| it.grant(&name, permission.as_deref(), act), act)?;
            }
            Edit::Project { key, lead, components, .. } => {
                let id = self.number();
                let components = components
                    .into_iter()
                    .map(|(name, lead)| Component { id: self.number(), name, lead: lead.map(|it| fold(&it)) })
                    .collect();
                let project = Project { id, name: key.clone(), key: key.clone(), lead: fold(&lead), components };
                self.projects.insert(key, project);
            }
            Edit::Switches { switches, .. } => self.switches = switches,
        }
        Ok(())
    }

    /// A change that no directory refuses.
    fn by_hand(
        &mut self,
        change: impl FnOnce(&mut Self, &mut Act<'_>) -> Result<(), super::Refusal>,
        act: &mut Act<'_>,
    ) -> Result<(), String> {
        let before: Vec<bool> = self.directories.iter().map(|it| it.writable).collect();
        self.directories.iter_mut().for_each(|it| it.writable = true);
        let done = change(self, act);
        for (directory, writable) in self.directories.iter_mut().zip(before) {
            directory.writable = writable;
        }
        done.map_err(|refusal| format!("{refusal:?}"))
    }

    fn place(&self, directory: Option<&str>) -> Result<usize, String> {
        let Some(name) = directory else { return Ok(0) };
        self.directories.iter().position(|it| it.name == name).ok_or_else(|| format!("no directory is called {name}"))
    }

    /// Sets the flags of a directory. `place`: it is to stand there, and takes over what does.
    fn set_directory(&mut self, edit: &DirectoryEdit, place: Option<usize>) {
        let place = place.or_else(|| self.directories.iter().position(|it| it.name == edit.name));
        let place = place.unwrap_or(self.directories.len());
        if place >= self.directories.len() {
            self.directories.push(UserDirectory::new(&edit.name));
        }
        if let Some(directory) = self.directories.get_mut(place) {
            edit.name.clone_into(&mut directory.name);
            (directory.writable, directory.nested, directory.active) = (edit.writable, edit.nested, edit.active);
        }
    }

    fn dump(&self) -> Value {
        let directory = |it: &UserDirectory| {
            let users: BTreeMap<&String, Value> = it
                .people
                .iter()
                .map(|(name, it)| {
                    (name, json!({ "key": it.key, "email": it.email, "name": it.display_name, "active": it.active }))
                })
                .collect();
            let groups: BTreeMap<&String, Value> = it
                .groups
                .values()
                .map(|it| (&it.name, json!({ "members": it.members, "children": it.children })))
                .collect();
            json!({ "name": it.name, "writable": it.writable, "nested": it.nested, "users": users, "groups": groups })
        };
        let project = |it: &Project| {
            let components: BTreeMap<&String, &Option<String>> =
                it.components.iter().map(|it| (&it.name, &it.lead)).collect();
            json!({ "key": it.key, "lead": it.lead, "components": components })
        };
        json!({
            "product": self.product,
            "switches": self.switches,
            "directories": self.directories.iter().map(directory).collect::<Vec<_>>(),
            "projects": self.projects.values().map(project).collect::<Vec<_>>(),
            "granted": self.granted,
        })
    }
}

impl DcSide {
    /// The truth about every instance.
    pub fn dump(&self) -> Value {
        self.instances().map(|it| (it.name.clone(), it.dump())).collect::<serde_json::Map<_, _>>().into()
    }

    /// Group → addresses of its direct members, sorted; for tests that compare sets.
    pub fn memberships(&self, instance: &str) -> BTreeMap<String, BTreeSet<String>> {
        let Some(instance) = self.instance(instance) else { return BTreeMap::new() };
        let emails = |group: &Group| instance.members(&group.name, false).iter().map(|it| fold(&it.email)).collect();
        instance.groups().into_iter().map(|it| (it.name.clone(), emails(it))).collect()
    }
}
