//! Reads `[people]` and `[[people.provision]]`.

use std::{collections::BTreeMap, ops::Range};

use model::{DirectoryId, Span};

use super::{
    address::is_host,
    capable::place,
    context::{Context, Said},
    section::{Section, choice_of, list_of, table_of, text_of},
    value::patterns_or_units,
};
use crate::{
    LeadFallback, LeaveAction, MatchBy, OnLeave, OrgUnitMatcher, Outsiders, People, PersonFilter, Who, diagnostic::Code,
};

/// One `[[people.provision]]` entry as it is written.
pub(crate) struct WrittenProvision {
    pub(crate) span: Range<usize>,
    pub(crate) name: Option<Said<String>>,
    pub(crate) enabled: bool,
    pub(crate) from: Option<Said<DirectoryId>>,
    pub(crate) to: Option<Said<DirectoryId>>,
    pub(crate) create: bool,
    pub(crate) update: bool,
    pub(crate) org_units: OrgUnitMatcher,
    pub(crate) people: PersonFilter,
    pub(crate) who: Who,
    pub(crate) who_span: Range<usize>,
    pub(crate) external: Outsiders,
    pub(crate) external_span: Range<usize>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) attribute_names: Vec<Said<String>>,
    pub(crate) on_leave: OnLeave,
    pub(crate) on_leave_span: Range<usize>,
    pub(crate) default_groups: WrittenDefaults,
    pub(crate) lead_fallback: LeadFallback,
    pub(crate) lead_fallback_span: Range<usize>,
}

/// `default_groups` as it is written.
#[derive(Default)]
pub(crate) struct WrittenDefaults {
    pub(crate) new: Vec<Said<String>>,
    pub(crate) all: Vec<Said<String>>,
    pub(crate) default_access_group: bool,
}

/// `[people]`, its entries, and where `username` stands if it does.
pub(crate) fn people(ctx: &mut Context<'_>, root: &Section<'_>) -> (People, Vec<WrittenProvision>, Option<Said<()>>) {
    let mut people = People::default();
    let Some(section) = root.table(ctx, "people") else { return (people, Vec::new(), None) };
    let help = "leave it out for link, external-id, email, alias";
    if let Some(words) = section.some_texts(ctx, "match", false, help) {
        people.match_by = match_by(ctx, &words);
    }
    if let Some(domains) = section.texts(ctx, "domains", false) {
        people.domains = domains.iter().filter_map(|domain| own_domain(ctx, domain)).collect();
    }
    if let Some(username) = section.rewrites(ctx, "username") {
        people.username = username;
    }
    let username = section.has("username").then(|| place(section.key_span("username")));
    let provisions = provisions(ctx, &section);
    section.finish(ctx);
    (people, provisions, username)
}

fn match_by(ctx: &mut Context<'_>, words: &[Said<String>]) -> Vec<MatchBy> {
    let mut order = Vec::new();
    for word in words {
        let Some(by) = choice_of(ctx, "match", word, &MatchBy::ALL) else { continue };
        if order.contains(&by) {
            let message = format!("\"{}\" is named twice", word.value);
            ctx.report(Code::NoEffect, &word.span, message, "remove the second one");
        } else {
            order.push(by);
        }
    }
    order
}

fn own_domain(ctx: &mut Context<'_>, text: &Said<String>) -> Option<String> {
    let domain = text.value.to_ascii_lowercase();
    if domain.contains('.') && is_host(&domain) {
        return Some(domain);
    }
    let help = "write the part behind the @, such as \"acme.com\"; no wildcards, subdomains are named by themselves, \
                other scripts as punycode";
    ctx.report(Code::BadDomain, &text.span, "`domains` holds something that is not a domain", help);
    None
}

fn provisions(ctx: &mut Context<'_>, people: &Section<'_>) -> Vec<WrittenProvision> {
    let Some(value) = people.get("provision") else { return Vec::new() };
    let Some(list) = list_of(ctx, "provision", value, "a list of tables: [[people.provision]]") else {
        return Vec::new();
    };
    let mut read = Vec::new();
    for entry in list {
        let name = "[[people.provision]]".to_owned();
        if let Some(section) = table_of(ctx, "provision", entry, name) {
            read.push(provision(ctx, section));
        }
    }
    read
}

fn provision(ctx: &mut Context<'_>, section: Section<'_>) -> WrittenProvision {
    let (attributes, attribute_names) = attributes(ctx, &section);
    let written = WrittenProvision {
        span: section.span.clone(),
        name: section.text(ctx, "name"),
        enabled: section.enabled(ctx),
        from: section.directory(ctx, "from"),
        to: section.directory(ctx, "to"),
        create: section.flag(ctx, "create").unwrap_or(true),
        update: section.flag(ctx, "update").unwrap_or(true),
        org_units: org_units(ctx, &section),
        people: section.people(ctx),
        who: section.choice(ctx, "who", &Who::ALL).unwrap_or_default(),
        who_span: section.key_span("who"),
        external: section.choice(ctx, "external", &Outsiders::ALL).unwrap_or_default(),
        external_span: section.key_span("external"),
        attributes,
        attribute_names,
        on_leave: on_leave(ctx, &section),
        on_leave_span: section.key_span("on_leave"),
        default_groups: default_groups(ctx, &section),
        lead_fallback: lead_fallback(ctx, &section),
        lead_fallback_span: section.key_span("lead_fallback"),
    };
    section.finish(ctx);
    written
}

fn org_units(ctx: &mut Context<'_>, section: &Section<'_>) -> OrgUnitMatcher {
    let help = "leave it out for everybody; a list that is empty would mean nobody";
    let Some(texts) = section.some_texts(ctx, "org_units", false, help) else { return OrgUnitMatcher::default() };
    for text in &texts {
        if !text.value.starts_with('/') {
            let message = "an organizational unit is a path from the top";
            ctx.report(
                Code::BadGlob,
                &text.span,
                message,
                format!("write \"/{}\"", super::section::shown(&text.value)),
            );
        }
    }
    patterns_or_units(ctx, &texts)
}

/// Target attribute → path at the source, and where each is named.
fn attributes(ctx: &mut Context<'_>, section: &Section<'_>) -> (BTreeMap<String, String>, Vec<Said<String>>) {
    let (mut attributes, mut names) = (BTreeMap::new(), Vec::new());
    let Some(table) = section.table(ctx, "attributes") else { return (attributes, names) };
    for (target, value) in table.entries() {
        let Some(path) = text_of(ctx, &target.value, value) else { continue };
        let balanced = path.value.matches('[').count() == path.value.matches(']').count();
        let fine = balanced && path.value.split('.').all(|part| !part.is_empty() && !part.starts_with('['));
        if fine && !path.value.contains(char::is_whitespace) {
            attributes.insert(target.value.clone(), path.value);
            names.push(target);
        } else {
            let message = format!("`{}` is not taken from a path", super::section::shown(&target.value));
            let help = "write a path at the source, such as \"organizations[primary].title\" or \"name.givenName\"";
            ctx.report(Code::WrongType, &path.span, message, help);
        }
    }
    (attributes, names)
}

fn on_leave(ctx: &mut Context<'_>, section: &Section<'_>) -> OnLeave {
    let mut on_leave = OnLeave::default();
    let Some(table) = section.table(ctx, "on_leave") else { return on_leave };
    for (key, place) in [
        ("suspended", &mut on_leave.suspended),
        ("archived", &mut on_leave.archived),
        ("deleted", &mut on_leave.deleted),
    ] {
        if let Some(action) = table.choice(ctx, key, &LeaveAction::ALL) {
            *place = action;
        }
    }
    if let Some(grace) = table.duration(ctx, "grace", Span::ZERO) {
        on_leave.grace = grace;
    }
    table.finish(ctx);
    on_leave
}

fn default_groups(ctx: &mut Context<'_>, section: &Section<'_>) -> WrittenDefaults {
    let Some(table) = section.table(ctx, "default_groups") else { return WrittenDefaults::default() };
    let groups = WrittenDefaults {
        new: table.texts(ctx, "new", false).unwrap_or_default(),
        all: table.texts(ctx, "all", false).unwrap_or_default(),
        default_access_group: table.flag(ctx, "default_access_group").unwrap_or(false),
    };
    table.finish(ctx);
    groups
}

fn lead_fallback(ctx: &mut Context<'_>, section: &Section<'_>) -> LeadFallback {
    let Some(table) = section.table(ctx, "lead_fallback") else { return LeadFallback::default() };
    let project = table.text(ctx, "project").map(|text| text.value);
    let component = table.text(ctx, "component").map(|text| text.value);
    table.finish(ctx);
    LeadFallback { project, component }
}
