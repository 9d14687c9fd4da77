//! Cases kept beside a policy file: a person in groups, and the target groups that they should come to be in.
//!
//! ```toml
//! [[case]]
//! name = "an engineer"
//! person = "jo@acme.com"
//! groups = ["eng-web@acme.com"]
//! expect = ["cloud/eng-web", "jira-dc/eng-web"]
//!
//! [nested]                                  # which groups hold which, for groups that nest
//! "eng@acme.com" = ["eng-web@acme.com"]
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use model::{DirectoryId, Email, Role, Side, UserState};
use toml::de::DeTable;

use crate::{
    Diagnostics, Policy,
    diagnostic::Code,
    read::{
        Context, Said, Section, UserStates, directory_named, list_of, report_syntax_errors, shown, table_of, text_of,
    },
};

/// All cases of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases {
    /// `[[case]]`, in the order of the file.
    pub cases: Vec<Case>,
    /// `[nested]`: which groups hold which, by address or name.
    pub nested: BTreeMap<String, Vec<String>>,
}

/// One `[[case]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The name for people; the address where the file gives none.
    pub name: String,
    /// The line of its header, from 1.
    pub line: usize,
    /// The source that the person is known from.
    pub from: DirectoryId,
    /// The person's address.
    pub person: Email,
    /// The groups that hold the person directly, by address or name.
    pub groups: Vec<String>,
    /// In which role the person is in them.
    pub role: Role,
    /// The organizational unit.
    pub org_unit: Option<String>,
    /// Whether and how the person may work.
    pub state: UserState,
    /// Attributes by their path at the source.
    pub attributes: BTreeMap<String, String>,
    /// The person's account was just made.
    pub is_new: bool,
    /// Exactly the target groups that the person should come to be in.
    pub expect: BTreeSet<(DirectoryId, String)>,
}

impl Cases {
    /// Reads a file of cases for this policy.
    ///
    /// # Errors
    /// All problems of the file, in its order.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, Diagnostics> {
        let mut ctx = Context::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            report_syntax_errors(&mut ctx, &errors);
            return Err(ctx.into_diagnostics());
        }
        let root = Section::new(document.get_ref(), 0..0, "the file of cases");
        let mut cases = Vec::new();
        if let Some(value) = root.get("case")
            && let Some(list) = list_of(&mut ctx, "case", value, "a list of tables: [[case]]")
        {
            for entry in list {
                if let Some(section) = table_of(&mut ctx, "case", entry, "[[case]]".to_owned()) {
                    cases.extend(case(&mut ctx, policy, section));
                }
            }
        }
        let nested = nested(&mut ctx, &root);
        root.finish(&mut ctx);
        if cases.is_empty() && ctx.is_clean() {
            let help = "add [[case]] with person, groups and expect";
            ctx.report(Code::Nothing, &(0..0), "the file has no case", help);
        }
        if ctx.is_clean() { Ok(Self { cases, nested }) } else { Err(ctx.into_diagnostics()) }
    }
}

fn case(ctx: &mut Context<'_>, policy: &Policy, section: Section<'_>) -> Option<Case> {
    let span = section.span.clone();
    let line = ctx.line_of(span.start);
    let name = section.text(ctx, "name");
    let person = section.need_email(ctx, "person", "add person = \"name@acme.com\"");
    let from = section.text(ctx, "from");
    let from = source(ctx, policy, from.as_ref(), &span);
    let groups = values(section.texts(ctx, "groups", false));
    let role = section.choice(ctx, "role", &ROLES).unwrap_or_default();
    let org_unit = section.text(ctx, "org_unit").map(|text| text.value);
    let state = section.choice(ctx, "state", &UserStates::ALL).unwrap_or(UserState::Active);
    let mut attributes = BTreeMap::new();
    if let Some(table) = section.table(ctx, "attributes") {
        for (path, value) in table.entries() {
            attributes.extend(text_of(ctx, "attributes", value).map(|text| (path.value, text.value)));
        }
    }
    let is_new = section.flag(ctx, "new").unwrap_or(false);
    if !section.has("expect") {
        section.need(ctx, "expect", "add expect = [\"<directory>/<group>\"]; [] is no group at all");
    }
    let written = section.texts(ctx, "expect", false).unwrap_or_default();
    let expect = written.iter().filter_map(|text| expected(ctx, policy, text)).collect();
    section.finish(ctx);
    let person = person?;
    let name = name.map_or_else(|| person.as_written().to_owned(), |name| name.value);
    Some(Case { name, line, from: from?, person, groups, role, org_unit, state, attributes, is_new, expect })
}

const ROLES: [(&str, Role); 3] = [("OWNER", Role::Owner), ("MANAGER", Role::Manager), ("MEMBER", Role::Member)];

fn values(texts: Option<Vec<Said<String>>>) -> Vec<String> {
    texts.unwrap_or_default().into_iter().map(|text| text.value).collect()
}

/// The source that is named, or the only one that rules take anything from.
fn source(
    ctx: &mut Context<'_>,
    policy: &Policy,
    named: Option<&Said<String>>,
    span: &Range<usize>,
) -> Option<DirectoryId> {
    if let Some(named) = named {
        return directory_named(ctx, policy, named);
    }
    let of_rules = policy.rules.iter().map(|rule| &rule.from).chain(policy.provisions.iter().map(|entry| &entry.from));
    let mut sources: BTreeSet<&DirectoryId> = of_rules.collect();
    let is_source = |id: &&DirectoryId| policy.directories.get(*id).is_some_and(|of| of.kind.side() == Side::Source);
    if sources.iter().filter(|id| is_source(id)).count() == 1 {
        sources.retain(is_source);
    }
    if let (Some(only), 1) = (sources.first(), sources.len()) {
        return Some((*only).clone());
    }
    let known: Vec<&str> = sources.iter().map(|id| id.as_str()).collect();
    let help = format!("add from = \"…\": one of {}", known.join(", "));
    ctx.report(Code::MissingKey, span, "[[case]] has no `from`, and the policy has several sources", help);
    None
}

/// `<directory>/<group>`. A view stands for its organization.
fn expected(ctx: &mut Context<'_>, policy: &Policy, text: &Said<String>) -> Option<(DirectoryId, String)> {
    let Some((directory, group)) = text.value.split_once('/').filter(|(_, group)| !group.is_empty()) else {
        let message = format!("`expect` names no group of a directory: \"{}\"", shown(&text.value));
        ctx.report(Code::WrongType, &text.span, message, "write \"<directory>/<group>\", such as \"cloud/eng-web\"");
        return None;
    };
    let said = Said { value: directory.to_owned(), span: text.span.clone() };
    Some((directory_named(ctx, policy, &said)?, group.to_owned()))
}

fn nested(ctx: &mut Context<'_>, root: &Section<'_>) -> BTreeMap<String, Vec<String>> {
    let Some(table) = root.table(ctx, "nested") else { return BTreeMap::new() };
    let mut nested = BTreeMap::new();
    for (holder, value) in table.entries() {
        let Some(list) = list_of(ctx, "nested", value, "a list of groups") else { continue };
        let held = list.iter().filter_map(|entry| text_of(ctx, "nested", entry)).map(|text| text.value).collect();
        nested.insert(holder.value, held);
    }
    nested
}
