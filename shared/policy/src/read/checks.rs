//! What the sections say of each other: directories that rules name, views, targets, names of rules.

use std::{collections::BTreeMap, ops::Range};

use model::{DirectoryId, DirectoryKind, GroupId, RuleId, Side};

use super::{
    capable,
    context::{Context, Said, nearest, one_of},
    directory::Declared,
    people::WrittenProvision,
    section::{Section, shown, text_of},
    sync::WrittenRule,
    value::slug,
};
use crate::{
    Customers, DefaultGroups, External, Guard, MembersMode, OnSourceDeleted, Outsiders, People, Provision, Settings,
    SyncRule, diagnostic::Code,
};

/// The directories of the file, as rules see them.
pub(crate) struct Known<'d> {
    kinds: BTreeMap<&'d DirectoryId, Option<DirectoryKind>>,
    views: &'d BTreeMap<DirectoryId, DirectoryId>,
    /// Names of the directories that are one list of people.
    lists: BTreeMap<&'d DirectoryId, &'d Customers>,
    /// Those for which the file names a user directory.
    user_directories: BTreeMap<&'d DirectoryId, &'d str>,
}

/// A rule with the places that later checks point at. `rule` is `None` when something in it is wrong.
pub(crate) struct Checked {
    pub(crate) rule: Option<SyncRule>,
    pub(crate) span: Range<usize>,
    pub(crate) into_span: Range<usize>,
    pub(crate) rename_span: Range<usize>,
    pub(crate) members_span: Range<usize>,
}

/// A default group of an entry, with the places that later checks point at.
pub(crate) struct NamedDefault {
    pub(crate) to: DirectoryId,
    pub(crate) name: Said<String>,
    pub(crate) line: usize,
    pub(crate) default_access_group: bool,
}

/// One entry of `[adopt]` as it is written.
pub(crate) struct WrittenAdoption {
    source: GroupId,
    target: Said<DirectoryId>,
    group: GroupId,
}

impl<'d> Known<'d> {
    pub(crate) fn new(directories: &'d [Declared], views: &'d BTreeMap<DirectoryId, DirectoryId>) -> Self {
        let list = |declared: &'d Declared| match &declared.written.as_ref()?.directory.settings {
            Settings::Jsm { customers, .. } => Some((&declared.id, customers)),
            _ => None,
        };
        let chosen = |declared: &'d Declared| match &declared.written.as_ref()?.directory.settings {
            Settings::DataCenter { user_directory: Some(named), .. } => Some((&declared.id, named.as_str())),
            _ => None,
        };
        Self {
            kinds: directories.iter().map(|declared| (&declared.id, declared.kind)).collect(),
            views,
            lists: directories.iter().filter_map(list).collect(),
            user_directories: directories.iter().filter_map(chosen).collect(),
        }
    }

    /// The directory, or the organization that it is a view of.
    fn resolve(&self, ctx: &mut Context<'_>, named: &Said<DirectoryId>) -> Option<DirectoryId> {
        if self.kinds.contains_key(&named.value) {
            return Some(self.views.get(&named.value).unwrap_or(&named.value).clone());
        }
        let names = || self.kinds.keys().map(|id| id.as_str());
        let help = match nearest(named.value.as_str(), names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if self.kinds.is_empty() => format!("add [directory.{}]", named.value),
            None => format!("add [directory.{}], or name {}", named.value, one_of(names())),
        };
        let message = format!("there is no directory \"{}\"", named.value);
        ctx.report(Code::UnknownDirectory, &named.span, message, help);
        None
    }

    /// The same for a directory that is to be written.
    fn resolve_target(&self, ctx: &mut Context<'_>, named: &Said<DirectoryId>) -> Option<DirectoryId> {
        let id = self.resolve(ctx, named)?;
        match self.kind(&id) {
            Some(kind) if kind.side() == Side::Source => {
                let message = format!("\"{}\" is {}, which is only ever read", named.value, kind.as_str());
                ctx.report(Code::NotATarget, &named.span, message, "name a directory at Atlassian");
                None
            }
            _ => Some(id),
        }
    }

    /// The kind, where it is known.
    pub(crate) fn kind(&self, id: &DirectoryId) -> Option<DirectoryKind> {
        self.kinds.get(id).copied().flatten()
    }
}

/// An empty or default file would stop everything: it is refused (failure mode 92).
pub(crate) fn something_to_do(
    ctx: &mut Context<'_>,
    directories: &[Declared],
    rules: &[WrittenRule],
    provisions: &[WrittenProvision],
) {
    if directories.is_empty() && ctx.is_clean() {
        let help = "add at least [directory.<name>] for Google Workspace and one for a target";
        ctx.report(Code::Nothing, &(0..0), "the policy file has no directory", help);
    } else if rules.is_empty() && provisions.is_empty() && ctx.is_clean() {
        let help = "add [[sync]] or [[people.provision]]; to stop managing everything, stop the services";
        ctx.report(Code::Nothing, &(0..0), "the policy file has no rule", help);
    }
}

/// Which site shows the groups of which organization.
pub(crate) fn views(ctx: &mut Context<'_>, directories: &[Declared]) -> BTreeMap<DirectoryId, DirectoryId> {
    let none = BTreeMap::new();
    let known = Known::new(directories, &none);
    let mut views = BTreeMap::new();
    for declared in directories {
        let Some(org) = declared.written.as_ref().and_then(|written| written.org.as_ref()) else { continue };
        let Some(id) = known.resolve(ctx, org) else { continue };
        match known.kind(&id) {
            Some(DirectoryKind::AtlassianOrg) => {
                views.insert(declared.id.clone(), id);
            }
            None => {}
            Some(kind) => {
                let message = format!("\"{id}\" is {}, not an organization", kind.as_str());
                let help =
                    "name a directory of kind \"atlassian-org\"; leave `org` out for a site that owns its groups";
                ctx.report(Code::BadView, &org.span, message, help);
            }
        }
    }
    views
}

/// The ids of all rules, which must differ: `[[people.provision]]` first, then `[[sync]]`.
pub(crate) fn rule_ids(
    ctx: &mut Context<'_>,
    provisions: &[WrittenProvision],
    rules: &[WrittenRule],
) -> (Vec<Option<RuleId>>, Vec<Option<RuleId>>) {
    let mut taken: BTreeMap<RuleId, usize> = BTreeMap::new();
    let mut id = |name: Option<&Said<String>>, header: &Range<usize>, kind: &str, at: usize| {
        let fallback = format!("{kind}-{}", at + 1);
        let slug = name.map(|name| slug(&name.value)).filter(|slug| !slug.is_empty()).unwrap_or(fallback);
        let id = RuleId::new(slug).ok()?;
        let line = ctx.line_of(header.start);
        if let Some(other) = taken.insert(id.clone(), line) {
            let span = name.map_or(header, |name| &name.span);
            let message = format!("the rule in line {other} is called \"{id}\" too");
            let help = "give each rule a name of its own: letters and digits make the difference, not case or signs";
            ctx.report(Code::DuplicateName, span, message, help);
        }
        Some(id)
    };
    let first = provisions.iter().enumerate().map(|(at, p)| id(p.name.as_ref(), &p.span, "provision", at)).collect();
    let second = rules.iter().enumerate().map(|(at, r)| id(r.name.as_ref(), &r.span, "sync", at)).collect();
    (first, second)
}

/// Completes the `[[people.provision]]` entries.
pub(crate) fn provisions(
    ctx: &mut Context<'_>,
    known: &Known<'_>,
    people: &People,
    written: Vec<WrittenProvision>,
    ids: Vec<Option<RuleId>>,
) -> (Option<Vec<Provision>>, Vec<NamedDefault>) {
    let mut checked = Vec::new();
    let mut defaults = Vec::new();
    for (written, id) in written.into_iter().zip(ids) {
        within_provision(ctx, people, &written);
        let from = written.from.as_ref().and_then(|from| known.resolve(ctx, from));
        let to = written.to.as_ref().and_then(|to| known.resolve_target(ctx, to));
        if let (Some(from), Some(to), Some(said)) = (&from, &to, &written.to)
            && from == to
        {
            let message = format!("\"{to}\" would get its people from itself");
            ctx.report(Code::OntoItself, &said.span, message, "name another directory");
        }
        if let Some((to, kind)) = to.as_ref().and_then(|to| Some((to, known.kind(to)?))) {
            capable::entry(ctx, &written, to, kind);
            if let Some(named) = known.user_directories.get(to) {
                capable::user_directory(ctx, &written, to, (kind, named));
            }
        }
        let line = ctx.line_of(written.span.start);
        for name in written.default_groups.new.iter().chain(&written.default_groups.all) {
            let to = to.clone().into_iter();
            let default_access_group = written.default_groups.default_access_group;
            defaults.extend(to.map(|to| NamedDefault { to, name: name.clone(), line, default_access_group }));
        }
        checked.push(id.zip(from).zip(to).map(|((id, from), to)| Provision {
            name: written.name.map_or_else(|| id.to_string(), |name| name.value),
            id,
            line,
            enabled: written.enabled,
            from,
            to,
            create: written.create,
            update: written.update,
            org_units: written.org_units,
            people: written.people,
            who: written.who,
            external: written.external,
            attributes: written.attributes,
            on_leave: written.on_leave,
            default_groups: DefaultGroups {
                new: written.default_groups.new.into_iter().map(|name| name.value).collect(),
                all: written.default_groups.all.into_iter().map(|name| name.value).collect(),
                default_access_group: written.default_groups.default_access_group,
            },
            lead_fallback: written.lead_fallback,
        }));
    }
    (checked.into_iter().collect(), defaults)
}

/// What one entry says of itself.
fn within_provision(ctx: &mut Context<'_>, people: &People, entry: &WrittenProvision) {
    if entry.external != Outsiders::Create && entry.external_span != entry.span && people.domains.is_empty() {
        let message = "`external` has no effect: the tenant has no domains, so nobody is external";
        let help = "add domains = [\"acme.com\"] under [people]";
        ctx.report(Code::NoEffect, &entry.external_span, message, help);
    }
    if let (false, Some(name)) = (entry.create, entry.default_groups.new.first()) {
        let message = "nobody gets into the groups of `new`: this entry makes no accounts";
        let help = "write create = true, or name the groups under `all`";
        ctx.report(Code::NoEffect, &name.span, message, help);
    }
}

/// Entries that make accounts for members alone: of some group that a rule fills at the same target.
pub(crate) fn members_of_something(
    ctx: &mut Context<'_>,
    entries: Option<&[Provision]>,
    rules: &[Checked],
    spans: &[Option<std::ops::Range<usize>>],
) {
    for (entry, span) in entries.unwrap_or_default().iter().zip(spans) {
        let Some(span) = span else { continue };
        let fills = |rule: &crate::SyncRule| rule.from == entry.from && rule.to.contains(&entry.to);
        if !rules.iter().filter_map(|checked| checked.rule.as_ref()).any(fills) {
            let message =
                format!("`who` is \"members\" and no rule from \"{}\" fills a group of \"{}\"", entry.from, entry.to);
            let help = "add a [[sync]] rule between the two, or leave `who` out to make accounts for all of them";
            ctx.report(Code::NoEffect, span, message, help);
        }
    }
}

/// Entries behind one that takes everybody between the same two directories: a person belongs to the first entry that
/// takes them, so these never take anybody.
pub(crate) fn reached(ctx: &mut Context<'_>, entries: Option<&[Provision]>, headers: &[Range<usize>]) {
    let takes_everybody = |entry: &Provision| {
        entry.org_units.is_everywhere() && entry.people.is_everybody() && entry.external != Outsiders::Skip
    };
    let mut full: BTreeMap<(&DirectoryId, &DirectoryId), usize> = BTreeMap::new();
    for (entry, header) in entries.unwrap_or_default().iter().zip(headers) {
        if let Some(line) = full.get(&(&entry.from, &entry.to)) {
            let message = format!(
                "this entry takes nobody: the one in line {line} takes everybody from \"{}\" to \"{}\" already",
                entry.from, entry.to
            );
            let help =
                "say whom the other one is for (org_units, people, where), put this one before it, or make one of both";
            ctx.report(Code::NoEffect, header, message, help);
        } else if takes_everybody(entry) {
            full.insert((&entry.from, &entry.to), entry.line);
        }
    }
}

/// Completes the `[[sync]]` entries.
pub(crate) fn rules(
    ctx: &mut Context<'_>,
    known: &Known<'_>,
    people: &People,
    guard: &Guard,
    written: Vec<WrittenRule>,
    ids: Vec<Option<RuleId>>,
) -> Vec<Checked> {
    let mut checked = Vec::new();
    for (written, id) in written.into_iter().zip(ids) {
        within_rule(ctx, people, &written);
        let mut from: Vec<DirectoryId> = Vec::new();
        for named in &written.from {
            let Some(source) = known.resolve(ctx, named) else { continue };
            if !from.contains(&source) {
                from.push(source);
            }
        }
        let mut to: Vec<DirectoryId> = Vec::new();
        for named in &written.to {
            let Some(target) = known.resolve_target(ctx, named) else { continue };
            if from.contains(&target) {
                onto_itself(ctx, &written, named);
            }
            if !to.contains(&target) {
                to.push(target);
            }
        }
        let lists = lists(ctx, known, &written, &to);
        capable::gives(ctx, &written, to.iter().map(|id| known.kind(id)));
        if from.is_empty() {
            checked.push(complete(ctx, guard, &written, id, (None, to, lists)));
            continue;
        }
        // A rule of several sources is one rule for each, under one name.
        for source in from {
            checked.push(complete(ctx, guard, &written, id.clone(), (Some(source), to.clone(), lists.clone())));
        }
    }
    checked
}

fn complete(
    ctx: &Context<'_>,
    guard: &Guard,
    written: &WrittenRule,
    id: Option<RuleId>,
    (from, to, lists): (Option<DirectoryId>, Vec<DirectoryId>, BTreeMap<DirectoryId, String>),
) -> Checked {
    let effective = guard.merge(&written.guard);
    let line = ctx.line_of(written.span.start);
    let (span, rename_span) = (written.span.clone(), written.rename_span.clone());
    let members_span = written.members_span.clone();
    let into_span = written.into.as_ref().map_or_else(|| span.clone(), |into| into.span.clone());
    let rule = id.zip(from).map(|(id, from)| SyncRule {
        name: written.name.as_ref().map_or_else(|| id.to_string(), |name| name.value.clone()),
        id,
        line,
        enabled: written.enabled,
        from,
        to,
        groups: written.groups.clone(),
        people: written.people.clone(),
        rename: written.rename.clone(),
        into: written.into.as_ref().map(|into| into.value.clone()),
        lists,
        create: written.create,
        members: written.members,
        nested: written.nested,
        roles: written.roles.clone(),
        external: written.external,
        on_conflict: written.on_conflict,
        on_source_deleted: written.on_source_deleted,
        drift: written.drift,
        wider: effective.wider_than(guard),
        guard: effective,
        default_access_group: written.default_access_group,
        gives: written.gives.clone(),
        default_of: None,
    });
    Checked { rule, span, into_span, rename_span, members_span }
}

/// The targets of a rule that are one list of people, with its name; and what has no effect there.
fn lists(
    ctx: &mut Context<'_>,
    known: &Known<'_>,
    rule: &WrittenRule,
    to: &[DirectoryId],
) -> BTreeMap<DirectoryId, String> {
    let found: Vec<(&DirectoryId, &Customers)> = to.iter().filter_map(|id| Some((id, *known.lists.get(id)?))).collect();
    if !to.is_empty() && found.len() == to.len() {
        let help = "leave it out: the directory is one list of customers, which all matched groups fill";
        if let Some(into) = &rule.into {
            ctx.report(Code::NoEffect, &into.span, "`into` names no group of a list of customers", help);
        }
        if !rule.rename.is_empty() {
            ctx.report(Code::NoEffect, &rule.rename_span, "`rename` gives no name to a list of customers", help);
        }
    }
    let desk = found.iter().find(|(_, customers)| matches!(customers, Customers::Desk(_)));
    if let (Some((id, _)), OnSourceDeleted::Delete) = (desk, rule.on_source_deleted) {
        let message = format!("`on_source_deleted` is \"delete\", and the service desk of \"{id}\" is never deleted");
        let help = "write on_source_deleted = \"empty\" to take the portal from everybody, or \"keep\"";
        ctx.report(Code::Conflicting, &rule.on_source_deleted_span, message, help);
    }
    found.into_iter().map(|(id, customers)| (id.clone(), customers.name().to_owned())).collect()
}

/// What one rule says of itself.
fn within_rule(ctx: &mut Context<'_>, people: &People, rule: &WrittenRule) {
    if rule.into.is_some() && !rule.rename.is_empty() {
        let message = "`rename` and `into` exclude each other";
        let help = "`into` names the one target group; `rename` gives each group its own";
        ctx.report(Code::Conflicting, &rule.rename_span, message, help);
    }
    if rule.default_access_group && rule.members == MembersMode::Exact {
        let message =
            "`members` is \"exact\" for a default access group: whoever has the product otherwise would lose it";
        let help = "write members = \"managed\", which removes only what the rule added, or \"add-only\"";
        ctx.report(Code::ExactDefaultAccess, &rule.members_span, message, help);
    }
    if rule.members == MembersMode::AddOnly && rule.on_source_deleted == OnSourceDeleted::Empty {
        let message = "`on_source_deleted` is \"empty\", and `members` is \"add-only\", which never removes anybody";
        let help = "write members = \"managed\" to take out what the rule added, or on_source_deleted = \"keep\"";
        ctx.report(Code::NoEffect, &rule.on_source_deleted_span, message, help);
    }
    if rule.on_source_deleted == OnSourceDeleted::Delete {
        if rule.default_access_group {
            let message = "`on_source_deleted` is \"delete\", and a default access group is never deleted";
            let help =
                "Atlassian refuses that while it gives a product: write on_source_deleted = \"empty\" or \"keep\"";
            ctx.report(Code::Conflicting, &rule.on_source_deleted_span, message, help);
        } else if rule.members == MembersMode::AddOnly {
            let message =
                "`on_source_deleted` is \"delete\", and `members` is \"add-only\", which never removes anybody";
            let help = "deleting takes everybody out: write members = \"managed\", or on_source_deleted = \"keep\"";
            ctx.report(Code::Conflicting, &rule.on_source_deleted_span, message, help);
        }
    }
    if rule.external == External::Skip && people.domains.is_empty() {
        let message = "`external` is \"skip\" and the tenant has no domains, so everybody is left out";
        let help = "add domains = [\"acme.com\"] under [people]";
        ctx.report(Code::NoEffect, &rule.external_span, message, help);
    }
}

/// A directory may fill one of its own groups from others, but not every group from itself.
fn onto_itself(ctx: &mut Context<'_>, rule: &WrittenRule, named: &Said<DirectoryId>) {
    match &rule.into {
        None => {
            let message = format!("\"{}\" would fill its own groups from themselves", named.value);
            let help = "add into = \"<group>\" to fill one group from others, or name another directory";
            ctx.report(Code::OntoItself, &named.span, message, help);
        }
        Some(into) if rule.groups.matches_text(&into.value) => {
            let message = format!("\"{}\" would fill itself: `groups` takes it too", shown(&into.value));
            let help = format!("add except = [\"{}\"], or take fewer groups", shown(&into.value));
            ctx.report(Code::OntoItself, &into.span, message, help);
        }
        Some(_) => {}
    }
}

/// Reads `[adopt]`.
pub(crate) fn adoptions(ctx: &mut Context<'_>, root: &Section<'_>) -> Vec<WrittenAdoption> {
    let Some(section) = root.table(ctx, "adopt") else { return Vec::new() };
    let help = "write \"<source group id>\" = \"<directory>/<group id>\"";
    let mut read = Vec::new();
    for (source, value) in section.entries() {
        let Some(text) = text_of(ctx, "an entry of [adopt]", value) else { continue };
        let Ok(source_id) = GroupId::new(&source.value) else {
            ctx.report(Code::BadAdoption, &source.span, "the source group of [adopt] is not an id", help);
            continue;
        };
        let (directory, group) = text.value.split_once('/').unwrap_or((&text.value, ""));
        let (Ok(directory), Ok(group)) = (DirectoryId::new(directory), GroupId::new(group)) else {
            let message = "this entry of [adopt] names no group of a directory";
            ctx.report(Code::BadAdoption, &text.span, message, help);
            continue;
        };
        let target = Said { value: directory, span: text.span.clone() };
        read.push(WrittenAdoption { source: source_id, target, group });
    }
    read
}

/// Checks `[adopt]` against the directories.
pub(crate) fn adopted(
    ctx: &mut Context<'_>,
    known: &Known<'_>,
    written: Vec<WrittenAdoption>,
) -> BTreeMap<GroupId, (DirectoryId, GroupId)> {
    let mut adopted: BTreeMap<GroupId, (DirectoryId, GroupId)> = BTreeMap::new();
    for adoption in written {
        let Some(target) = known.resolve_target(ctx, &adoption.target) else { continue };
        let pair = (target, adoption.group);
        if let Some((other, _)) = adopted.iter().find(|(_, other)| **other == pair) {
            let message = format!("this group was adopted for the source group \"{}\" already", shown(other.as_str()));
            let help = "one target group follows one source group; to fill it from several, write a rule with `into`";
            ctx.report(Code::BadAdoption, &adoption.target.span, message, help);
        }
        adopted.insert(adoption.source, pair);
    }
    adopted
}
