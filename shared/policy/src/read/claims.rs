//! Which rules visibly claim which target groups: two for one is refused unless `into` says that a union is meant,
//! and a protected group is refused as a target.
//!
//! Only what the file itself shows is judged here. What comes from data (two source groups that rename to one name)
//! holds those groups when it is seen.

use std::collections::BTreeMap;

use model::DirectoryId;

use super::{
    checks::{Checked, Known, NamedDefault},
    context::Context,
    section::shown,
};
use crate::{Guard, MembersMode, Rewrite, SyncRule, diagnostic::Code};

/// How a rule names a target group in a way that the file shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// The group of this (folded) name.
    Name(String),
    /// Whatever this pattern takes from this source, renamed in this way.
    Pattern { from: DirectoryId, pattern: String, rename: String },
}

/// Who claimed a group first.
struct First<'r> {
    line: usize,
    union: bool,
    rule: &'r SyncRule,
}

pub(crate) fn check(ctx: &mut Context<'_>, known: &Known<'_>, rules: &[Checked], guard: &Guard) {
    let mut first: BTreeMap<(DirectoryId, Claim), First<'_>> = BTreeMap::new();
    for checked in rules {
        let Some(rule) = &checked.rule else { continue };
        one_name_for_many(ctx, checked, rule);
        protected(ctx, checked, rule, guard);
        let mut reported = false;
        for target in &rule.to {
            for claim in claims(known, rule, target) {
                let union = rule.into_at(target).is_some();
                let key = (target.clone(), claim);
                match first.get(&key) {
                    Some(other) if other.line != rule.line && !reported => {
                        reported = clash(ctx, checked, (rule, union), &key.1, other);
                    }
                    Some(_) => {}
                    None => {
                        first.insert(key, First { line: rule.line, union, rule });
                    }
                }
            }
        }
    }
}

/// Default groups are filled beside rules: one that a rule fills too needs `into` there, and no rule that removes
/// whom an entry put in. A protected one is refused.
pub(crate) fn check_defaults(
    ctx: &mut Context<'_>,
    known: &Known<'_>,
    rules: &[Checked],
    defaults: &[NamedDefault],
    guard: &Guard,
) {
    let mut first: BTreeMap<(&DirectoryId, Claim), &NamedDefault> = BTreeMap::new();
    for default in defaults {
        let NamedDefault { to, name, line, default_access_group } = default;
        if let Some(pattern) = guard.protected_groups.which(&name.value) {
            report_protected(ctx, &name.span, &name.value, pattern);
            continue;
        }
        let claim = Claim::Name(folded(known, to, &name.value));
        let other = first.entry((to, claim.clone())).or_insert(default);
        if other.default_access_group != *default_access_group {
            let message = format!(
                "the entry in line {} fills \"{}\" too, with another `default_access_group`",
                other.line,
                shown(&name.value)
            );
            let help = "who may be put into a group that gives a product is said once: write the same in both entries";
            ctx.report(Code::ClaimedTwice, &name.span, message, help);
            continue;
        }
        let claimed = rules.iter().filter(|checked| {
            let rule = checked.rule.as_ref().filter(|rule| rule.to.contains(to));
            rule.is_some_and(|rule| claims(known, rule, to).contains(&claim))
        });
        for checked in claimed {
            let Some(rule) = &checked.rule else { continue };
            let exact = rule.members == MembersMode::Exact;
            if rule.into.is_some() && !exact && rule.default_access_group != *default_access_group {
                let message = format!(
                    "\"{}\" is a default group of the entry in line {line}, with another `default_access_group`",
                    shown(&name.value)
                );
                let help = "who may be put into a group that gives a product is said once: write the same in the entry";
                ctx.report(Code::ClaimedTwice, &checked.into_span, message, help);
                break;
            }
            if rule.into.is_some() && !exact {
                continue;
            }
            let message = format!("\"{}\" is a default group of the entry in line {line} too", shown(&name.value));
            let help = match (exact, rule.into.is_some()) {
                (true, true) => {
                    "write members = \"managed\" in this rule: \"exact\" would take out whom the entry put in"
                }
                (true, false) => {
                    "give this rule `into` with the group's name, which says that both fill it, and members = \"managed\""
                }
                (false, _) => "give this rule `into` with the group's name, which says that both fill it",
            };
            let span = if rule.into.is_some() { &checked.into_span } else { &checked.span };
            ctx.report(Code::ClaimedTwice, span, message, help);
            break;
        }
    }
}

/// Reports two rules that claim one group, unless both say that a union is meant and agree on what a union is.
fn clash(
    ctx: &mut Context<'_>,
    checked: &Checked,
    (rule, union): (&SyncRule, bool),
    claim: &Claim,
    other: &First<'_>,
) -> bool {
    let what = match claim {
        Claim::Name(name) => format!("the target group \"{}\"", shown(name)),
        Claim::Pattern { pattern, .. } => format!("the target groups of \"{}\"", shown(pattern)),
    };
    if !(union && other.union) {
        let message = format!("the rule in line {} claims {what} too", other.line);
        let help =
            "to fill one group from both, give both rules the same `into`; or let one rule take the groups of both";
        let span = if rule.into.is_some() { &checked.into_span } else { &checked.span };
        ctx.report(Code::ClaimedTwice, span, message, help);
        return true;
    }
    if let Some(key) = differing(rule, other.rule) {
        let message = format!("the rule in line {} fills {what} with another `{key}`", other.line);
        let help = format!("a union has one answer to how its group is kept: give both rules the same `{key}`");
        let said = key == "members" && checked.members_span != checked.span;
        let span = if said { &checked.members_span } else { &checked.into_span };
        ctx.report(Code::ClaimedTwice, span, message, help);
        return true;
    }
    false
}

/// The first key that is about the group as a whole, not about who gets in, and that two rules of a union answer
/// differently: the first rule's answer would hold for the other's people too, and nobody would see it.
fn differing(one: &SyncRule, other: &SyncRule) -> Option<&'static str> {
    let same = [
        ("members", one.members == other.members),
        ("default_access_group", one.default_access_group == other.default_access_group),
        ("gives", one.gives == other.gives),
        ("create", one.create == other.create),
        ("on_conflict", one.on_conflict == other.on_conflict),
        ("on_source_deleted", one.on_source_deleted == other.on_source_deleted),
        ("drift", one.drift == other.drift),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(key, _)| key)
}

/// A rename that gives every group the same name is a union that nobody said.
fn one_name_for_many(ctx: &mut Context<'_>, checked: &Checked, rule: &SyncRule) {
    let Some(name) = constant(&rule.rename) else { return };
    let literals = rule.groups.literals().count();
    if rule.into.is_none() && (literals != rule.groups.patterns().count() || literals > 1) {
        let message = format!("`rename` calls every group \"{}\"", shown(&name));
        let help = format!("write into = \"{}\" if one group is to be filled from all of them", shown(&name));
        ctx.report(Code::ClaimedTwice, &checked.rename_span, message, help);
    }
}

/// Protected is absolute: a rule that names such a group could never do anything.
fn protected(ctx: &mut Context<'_>, checked: &Checked, rule: &SyncRule, guard: &Guard) {
    let names: Vec<String> = rule.to.iter().flat_map(|target| names(rule, target)).collect();
    let hit = names.iter().find_map(|name| Some((name, guard.protected_groups.which(name)?)));
    if let Some((name, pattern)) = hit {
        let span = if rule.into.is_some() { &checked.into_span } else { &checked.span };
        report_protected(ctx, span, name, pattern);
    }
}

fn report_protected(ctx: &mut Context<'_>, span: &std::ops::Range<usize>, name: &str, pattern: &str) {
    let message = format!("\"{}\" is protected by \"{}\"", shown(name), shown(pattern));
    let help = "no rule touches a protected group: name another group, or change protected_groups under [guard]";
    ctx.report(Code::Protected, span, message, help);
}

fn folded(known: &Known<'_>, target: &DirectoryId, name: &str) -> String {
    let folds = known.kind(target).is_none_or(model::DirectoryKind::folds_group_names);
    if folds { name.to_ascii_lowercase() } else { name.to_owned() }
}

fn claims(known: &Known<'_>, rule: &SyncRule, target: &DirectoryId) -> Vec<Claim> {
    let mut claims: Vec<Claim> =
        names(rule, target).into_iter().map(|name| Claim::Name(folded(known, target, &name))).collect();
    if rule.into_at(target).is_none() {
        let rename = format!("{:?}", rule.rename);
        claims.extend(rule.groups.patterns().map(|pattern| Claim::Pattern {
            from: rule.from.clone(),
            pattern: pattern.to_ascii_lowercase(),
            rename: rename.clone(),
        }));
    }
    claims
}

/// The names at the target that the rule itself shows: its one list, `into`, a constant rename, and what its literal addresses and
/// names become. Without a rename the name of a group with an address is not to be seen here.
fn names(rule: &SyncRule, target: &DirectoryId) -> Vec<String> {
    if let Some(into) = rule.into_at(target) {
        return vec![into.to_owned()];
    }
    if let Some(name) = constant(&rule.rename) {
        return vec![name];
    }
    let named = |text: &str| match Rewrite::apply_all(&rule.rename, text) {
        Some(name) => Some(name),
        None if text.contains('@') => None,
        None => Some(text.to_owned()),
    };
    rule.groups.literals().filter_map(named).collect()
}

/// The name that a rename gives to whatever it is applied to, if it is always the same: found by trying it on texts
/// that have nothing in common.
fn constant(rename: &[Rewrite]) -> Option<String> {
    let names = ["a@b.example", "x-9.y@zz.test", "qqq"].map(|probe| Rewrite::apply_all(rename, probe));
    let [first, second, third] = names;
    let addresses = first.filter(|name| Some(name) == second.as_ref())?;
    (third.is_none() || third.as_ref() == Some(&addresses)).then_some(addresses)
}
