//! Reads `[[sync]]`.

use std::{collections::BTreeSet, ops::Range};

use model::{Access, DirectoryId, Role};

use super::{
    address::Shape,
    context::{Context, Said},
    guard::rule_guard,
    section::{Section, choice_of, list_of, table_of},
    value::{directory_of, patterns_of},
};
use crate::{
    DriftMode, External, GroupMatcher, GuardOverride, MembersMode, NameMatcher, Nested, OnConflict, OnSourceDeleted,
    PersonFilter, Rewrite, diagnostic::Code,
};

/// One `[[sync]]` entry as it is written.
pub(crate) struct WrittenRule {
    pub(crate) span: Range<usize>,
    pub(crate) name: Option<Said<String>>,
    pub(crate) enabled: bool,
    pub(crate) from: Vec<Said<DirectoryId>>,
    pub(crate) to: Vec<Said<DirectoryId>>,
    pub(crate) groups: GroupMatcher,
    pub(crate) people: PersonFilter,
    pub(crate) rename: Vec<Rewrite>,
    pub(crate) rename_span: Range<usize>,
    pub(crate) into: Option<Said<String>>,
    pub(crate) create: bool,
    pub(crate) members: MembersMode,
    pub(crate) members_span: Range<usize>,
    pub(crate) nested: Nested,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) external: External,
    pub(crate) external_span: Range<usize>,
    pub(crate) on_conflict: OnConflict,
    pub(crate) on_source_deleted: OnSourceDeleted,
    pub(crate) on_source_deleted_span: Range<usize>,
    pub(crate) drift: DriftMode,
    pub(crate) guard: GuardOverride,
    pub(crate) default_access_group: bool,
    pub(crate) gives: Vec<Access>,
    pub(crate) gives_span: Range<usize>,
}

/// Reads all of `[[sync]]`.
pub(crate) fn rules(ctx: &mut Context<'_>, root: &Section<'_>) -> Vec<WrittenRule> {
    let Some(value) = root.get("sync") else { return Vec::new() };
    let Some(list) = list_of(ctx, "sync", value, "a list of tables: [[sync]]") else { return Vec::new() };
    let mut read = Vec::new();
    for entry in list {
        if let Some(section) = table_of(ctx, "sync", entry, "[[sync]]".to_owned()) {
            read.push(rule(ctx, section));
        }
    }
    read
}

fn rule(ctx: &mut Context<'_>, section: Section<'_>) -> WrittenRule {
    let written = WrittenRule {
        span: section.span.clone(),
        name: section.text(ctx, "name"),
        enabled: section.enabled(ctx),
        from: directories(ctx, &section, "from", "where the groups are"),
        to: directories(ctx, &section, "to", "that is filled"),
        groups: groups(ctx, &section),
        people: section.people(ctx),
        rename: section.rewrites(ctx, "rename").unwrap_or_default(),
        rename_span: section.key_span("rename"),
        into: section.text(ctx, "into"),
        create: section.flag(ctx, "create").unwrap_or(true),
        members: section.choice(ctx, "members", &MembersMode::ALL).unwrap_or_default(),
        members_span: section.key_span("members"),
        nested: section.choice(ctx, "nested", &Nested::ALL).unwrap_or_default(),
        roles: roles(ctx, &section),
        external: section.choice(ctx, "external", &External::ALL).unwrap_or_default(),
        external_span: section.key_span("external"),
        on_conflict: section.choice(ctx, "on_conflict", &OnConflict::ALL).unwrap_or_default(),
        on_source_deleted: section.choice(ctx, "on_source_deleted", &OnSourceDeleted::ALL).unwrap_or_default(),
        on_source_deleted_span: section.key_span("on_source_deleted"),
        drift: section.choice(ctx, "drift", &DriftMode::ALL).unwrap_or_default(),
        guard: rule_guard(ctx, &section),
        default_access_group: section.flag(ctx, "default_access_group").unwrap_or(false),
        gives: gives(ctx, &section),
        gives_span: section.key_span("gives"),
    };
    section.finish(ctx);
    written
}

/// The role in which a group is given a product (reference/atlassian-cloud.md §1.5). Never one that makes administrators:
/// who administers is decided by people.
const ROLE: &str = "atlassian/user";

/// What the groups are to give: a product on a site, to its users.
fn gives(ctx: &mut Context<'_>, section: &Section<'_>) -> Vec<Access> {
    let what = "a list of { product = \"jira-software\", site = \"https://<name>.atlassian.net\" }";
    let Some(list) = section.get("gives").and_then(|value| list_of(ctx, "gives", value, what)) else {
        return Vec::new();
    };
    let mut read: Vec<Access> = Vec::new();
    for entry in list {
        let Some(table) = table_of(ctx, "gives", entry, "an entry of `gives`".to_owned()) else { continue };
        let product = table.need_text(ctx, "product", "add product = \"jira-software\", for instance");
        let site = table.need_address(ctx, "site", Shape::Origin, "add site = \"https://<name>.atlassian.net\"");
        let span = table.span.clone();
        table.finish(ctx);
        let (Some(product), Some(site)) = (product, site) else { continue };
        let access = Access::Product { product: product.value, site, role: ROLE.to_owned() };
        if read.iter().any(|other| other.listed().is_same_place(&access.listed())) {
            let message = "`gives` names this product of the site twice";
            ctx.report(Code::Conflicting, &span, message, "name each product of a site once");
            continue;
        }
        read.push(access);
    }
    read
}

/// One name or a list of names.
fn directories(ctx: &mut Context<'_>, section: &Section<'_>, key: &'static str, which: &str) -> Vec<Said<DirectoryId>> {
    if !section.has(key) {
        section.need(ctx, key, &format!("add the name of the directory {which}, or a list of names"));
        return Vec::new();
    }
    let help = format!("name at least one directory {which}");
    let texts = section.some_texts(ctx, key, true, &help).unwrap_or_default();
    texts.iter().filter_map(|text| directory_of(ctx, text)).collect()
}

fn groups(ctx: &mut Context<'_>, section: &Section<'_>) -> GroupMatcher {
    let help = "name at least one group; [\"*\"] is every group of the source";
    if !section.has("groups") {
        section.need(ctx, "groups", "add groups = [\"team-*@acme.com\"]; [\"*\"] is every group of the source");
    }
    let texts = section.some_texts(ctx, "groups", false, help).unwrap_or_default();
    let groups = patterns_of(ctx, &texts).unwrap_or_default();
    let except: NameMatcher = section.patterns(ctx, "except").unwrap_or_default();
    let groups = GroupMatcher::from_parts(groups, except);
    let lost: Vec<&Said<String>> = texts.iter().filter(|text| groups.always_excepts(&text.value)).collect();
    for text in lost {
        let message = "this pattern is in `except` too, so it takes no group";
        ctx.report(Code::NoEffect, &text.span, message, "remove it from one of the two lists");
    }
    groups
}

fn roles(ctx: &mut Context<'_>, section: &Section<'_>) -> BTreeSet<Role> {
    const ROLES: [(&str, Role); 3] = [("OWNER", Role::Owner), ("MANAGER", Role::Manager), ("MEMBER", Role::Member)];
    let help = "leave it out for all roles; an empty list would mean nobody";
    match section.some_texts(ctx, "roles", false, help) {
        None => ROLES.map(|(_, role)| role).into(),
        Some(words) => words
            .iter()
            .filter_map(|word| Role::parse(&word.value).or_else(|| choice_of(ctx, "roles", word, &ROLES)))
            .collect(),
    }
}
