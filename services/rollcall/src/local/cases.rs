//! `rollcall policy test`: the cases beside a policy file, and what the policy covers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{DirectoryId, Email, Group, GroupId};
use outbound::{ReadDirectory as _, Scope};
use planner::cases::{Given, target_groups};
use policy::{Case, Cases, Coverage, Policy};
use runtime::{Exit, Fault};
use serde_json::{Value, json};

use super::world::{connect, unreadable};
use crate::{
    args::{Output, PolicyTestArgs},
    policy_file::{self, Loaded},
    show::{self, counted, progress::Progress},
};

/// What became of one case.
struct Verdict<'a> {
    case: &'a Case,
    /// Expected and not given.
    missing: BTreeSet<(DirectoryId, String)>,
    /// Given and not expected.
    extra: BTreeSet<(DirectoryId, String)>,
    withheld: BTreeMap<(DirectoryId, String), &'static str>,
}

impl Verdict<'_> {
    fn passes(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

/// The groups that coverage is told of.
struct Groups {
    known: Vec<(DirectoryId, Group)>,
    /// They were read at the sources, not just named in cases.
    read: bool,
}

/// Runs the cases and tells what the policy covers. Changes nothing; without `--read` it asks nobody.
///
/// # Errors
/// When the policy or the cases cannot be right, or a source cannot be read.
pub async fn test(args: &PolicyTestArgs, quiet: bool) -> Result<Exit, Fault> {
    let loaded = policy_file::load(&args.policy)?;
    let path = args.cases.clone().unwrap_or_else(|| beside(&args.policy.path));
    let cases = load(&path, &loaded.policy, args.cases.is_none() && args.read)?;
    let groups = if args.read { Box::pin(read(&loaded, quiet)).await? } else { named(&cases) };
    let policy = Arc::new(loaded.policy);
    let verdicts: Vec<Verdict<'_>> = cases.cases.iter().map(|case| judge(&policy, &cases, case)).collect();
    let coverage = policy.coverage(groups.known.iter().map(|(directory, group)| (directory, group)));
    match args.output {
        Output::Table => show::data(&text(&path, &verdicts, &coverage, &groups)),
        Output::Json => show::json(&document(&verdicts, &coverage, &groups), true),
        Output::Ndjson => verdicts.iter().for_each(|verdict| show::json(&case_document(verdict), false)),
    }
    let fine = verdicts.iter().all(Verdict::passes) && (!args.strict || coverage.is_whole());
    Ok(if fine { Exit::Done } else { Exit::Error })
}

/// `acme.toml` has its cases in `acme.tests.toml`.
fn beside(policy: &Path) -> PathBuf {
    policy.with_extension("tests.toml")
}

fn load(path: &Path, policy: &Policy, may_be_absent: bool) -> Result<Cases, Fault> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if may_be_absent && cause.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Cases { cases: Vec::new(), nested: BTreeMap::new() });
        }
        Err(cause) => {
            let message = format!("the cases {} cannot be read: {cause}", path.display());
            return Err(Fault::new("E0134", Exit::Usage, message).help(
                "write [[case]] tables with person, groups and expect, beside the policy file or where --cases says",
            ));
        }
    };
    let name = path.display().to_string();
    Cases::parse(&text, policy).map_err(|problems| {
        show::note(&problems.render(&name).to_string());
        Fault::new("E0134", Exit::Usage, format!("the cases {name} cannot be right; none was run"))
            .help("correct what is named above")
    })
}

/// The groups that the cases name.
fn named(cases: &Cases) -> Groups {
    let mut known: BTreeMap<(DirectoryId, String), Group> = BTreeMap::new();
    for case in &cases.cases {
        let nested = cases.nested.iter().flat_map(|(holder, held)| held.iter().chain([holder]));
        for name in case.groups.iter().chain(nested) {
            let Ok(id) = GroupId::new(name) else { continue };
            let mut group = Group::new(id, name.clone());
            group.email = Email::new(name).ok();
            known.insert((case.from.clone(), name.to_ascii_lowercase()), group);
        }
    }
    Groups { known: known.into_iter().map(|((directory, _), group)| (directory, group)).collect(), read: false }
}

/// The groups that every source of a rule or an entry has.
async fn read(loaded: &Loaded, quiet: bool) -> Result<Groups, Fault> {
    let progress = Progress::new(quiet);
    let mut known = Vec::new();
    for id in loaded.policy.sources() {
        let Some(directory) = loaded.policy.directories.get(id) else { continue };
        let reader = connect(&loaded.policy, directory, &loaded.base)?;
        let shown = super::world::Shown::new(&progress, id);
        let reading = reader.sweep(&Scope::Nobody, &shown).await;
        shown.finish();
        let reading = reading.map_err(|error| unreadable(id, &error))?;
        if !reading.groups.complete {
            let message = format!("the list of groups of {id} could not be read to its end");
            return Err(Fault::new("E0117", Exit::TryLater, message).help("try again; nothing was decided from it"));
        }
        known.extend(reading.groups.seen.into_iter().map(|group| (id.clone(), group)));
    }
    Ok(Groups { known, read: true })
}

fn judge<'a>(policy: &Arc<Policy>, cases: &Cases, case: &'a Case) -> Verdict<'a> {
    let Given { groups, withheld } = target_groups(policy, case, &cases.nested);
    let folded = |set: &BTreeSet<(DirectoryId, String)>| -> BTreeSet<(DirectoryId, String)> {
        set.iter().map(|(target, name)| (target.clone(), policy.fold_group_name(target, name))).collect()
    };
    let (given, expected) = (folded(&groups), folded(&case.expect));
    let without = |all: &BTreeSet<(DirectoryId, String)>, but: &BTreeSet<(DirectoryId, String)>| {
        let fold = |(target, name): &(DirectoryId, String)| (target.clone(), policy.fold_group_name(target, name));
        all.iter().filter(|each| !but.contains(&fold(each))).cloned().collect()
    };
    Verdict { case, missing: without(&case.expect, &given), extra: without(&groups, &expected), withheld }
}

fn text(path: &Path, verdicts: &[Verdict<'_>], coverage: &Coverage, groups: &Groups) -> String {
    let mut out = String::new();
    let _infallible = writeln!(out, "{}", path.display());
    for verdict in verdicts {
        let Verdict { case, missing, extra, withheld } = verdict;
        if verdict.passes() {
            let _infallible = writeln!(out, "  passes  {}", case.name);
            continue;
        }
        let _infallible = writeln!(out, "  FAILS   {} (line {})", case.name, case.line);
        for (target, name) in missing {
            let why = withheld.get(&(target.clone(), name.clone())).map(|why| format!(": {why}"));
            let _infallible = writeln!(out, "    expected and not given  {target}/{name}{}", why.unwrap_or_default());
        }
        for (target, name) in extra {
            let _infallible = writeln!(out, "    given and not expected  {target}/{name}");
        }
    }
    write_coverage(&mut out, coverage, groups);
    let failed = verdicts.iter().filter(|verdict| !verdict.passes()).count();
    let _infallible = writeln!(
        out,
        "{}: {} passed, {failed} failed. Coverage: {}.",
        counted(number(verdicts.len()), "case", "cases"),
        verdicts.len() - failed,
        if coverage.is_whole() { "every rule takes a group, every group is taken by one" } else { "see above" },
    );
    out
}

fn write_coverage(out: &mut String, coverage: &Coverage, groups: &Groups) {
    let from = if groups.read { "read at the sources" } else { "named in the cases; --read asks the sources" };
    let _infallible = writeln!(out, "coverage of {} ({from})", counted(number(groups.known.len()), "group", "groups"));
    for (rule, line, source) in &coverage.idle {
        let _infallible = writeln!(out, "  idle      rule \"{rule}\" (line {line}) takes no group of {source}");
    }
    for (directory, group) in &coverage.unclaimed {
        let _infallible = writeln!(out, "  unclaimed {directory}: {group}, no rule takes it");
    }
    for shared in &coverage.shared {
        let rules: Vec<String> = shared.rules.iter().map(|(line, rule)| format!("\"{rule}\" (line {line})")).collect();
        let rules = format!("{} {}", if rules.len() == 1 { "rule" } else { "rules" }, rules.join(", "));
        let from: Vec<&str> = shared.groups.iter().map(|(_, group)| group.as_str()).collect();
        let what = if shared.is_union {
            "a union, as `into` says"
        } else {
            "held when it comes to that: give each rule the same `into` if a union is meant, or let one rule take it"
        };
        let (target, name, from) = (&shared.target, &shared.name, from.join(", "));
        let _infallible = writeln!(out, "  shared    {target}/{name} from {from} by {rules}: {what}");
    }
}

fn document(verdicts: &[Verdict<'_>], coverage: &Coverage, groups: &Groups) -> Value {
    let idle =
        |(id, line, source): &(model::RuleId, usize, DirectoryId)| json!({ "rule": id, "line": line, "from": source });
    let group = |(directory, name): &(DirectoryId, String)| json!({ "directory": directory, "group": name });
    let shared = |each: &policy::Shared| {
        let rules: Vec<Value> = each.rules.iter().map(|(line, id)| json!({ "rule": id, "line": line })).collect();
        json!({
            "target": each.target, "group": each.name, "rules": rules, "union": each.is_union,
            "from": each.groups.iter().map(group).collect::<Vec<_>>(),
        })
    };
    json!({
        "schema": "rollcall.policy-test/1",
        "cases": verdicts.iter().map(case_document).collect::<Vec<_>>(),
        "coverage": {
            "groups": groups.known.len(),
            "read": groups.read,
            "idle": coverage.idle.iter().map(idle).collect::<Vec<_>>(),
            "unclaimed": coverage.unclaimed.iter().map(group).collect::<Vec<_>>(),
            "shared": coverage.shared.iter().map(shared).collect::<Vec<_>>(),
        },
    })
}

fn case_document(verdict: &Verdict<'_>) -> Value {
    let list = |set: &BTreeSet<(DirectoryId, String)>| -> Vec<String> {
        set.iter().map(|(target, name)| format!("{target}/{name}")).collect()
    };
    let withheld: BTreeMap<String, &str> =
        verdict.withheld.iter().map(|((target, name), why)| (format!("{target}/{name}"), *why)).collect();
    json!({
        "schema": "rollcall.policy-test/1", "case": verdict.case.name, "line": verdict.case.line,
        "passes": verdict.passes(), "missing": list(&verdict.missing), "extra": list(&verdict.extra),
        "withheld": withheld,
    })
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
