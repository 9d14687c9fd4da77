//! A plan, for people and for programs.

use std::{collections::BTreeSet, fmt::Write as _};

use model::{
    AccountChange, Canonical as _, Case, CaseKind, DirectoryId, EdgeOp, GuardName, Plan, Reason, Refusal, RefusalWhy,
    RuleId, Step, TargetPlan, Wait, WaitWhy,
};
use serde_json::{Value, json};

use super::counted;

/// How many steps of a case are shown unless all are asked for.
const STEPS_SHOWN: usize = 5;

/// Names for ids, where both sides are at hand: plans themselves hold no addresses.
pub trait Names {
    /// The address of an account, or of a person at a source; the id when there is none.
    fn person(&self, directory: &DirectoryId, id: &str) -> String;
    /// The name or address of a group; the id when there is none.
    fn group(&self, directory: &DirectoryId, id: &str) -> String;
    /// The products that a group gives, with their sites, where they were read.
    fn gives(&self, _directory: &DirectoryId, _group: &str) -> Vec<String> {
        Vec::new()
    }
    /// The line of the policy file where a rule begins, where the file is at hand.
    fn line(&self, _rule: &RuleId) -> Option<usize> {
        None
    }
}

/// What a plan comes to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Memberships to add.
    pub add: u64,
    /// Memberships to remove.
    pub remove: u64,
    /// Accounts to make, change, deactivate or restore.
    pub accounts: u64,
    /// Groups to make.
    pub create: u64,
    /// Groups to delete.
    pub delete: u64,
    /// What groups are to give beside.
    pub grant: u64,
    /// Cases that wait for a person.
    pub held: u64,
    /// Groups that were there before us and wait for a decision.
    pub conflicts: u64,
    /// Cases that wait for source facts to be read by themselves.
    pub unproven: u64,
    /// Refused steps.
    pub refused: u64,
    /// Of those the ones that stay refused until somebody changes the rule or the target.
    pub to_change: u64,
    /// Waits.
    pub waiting: u64,
}

impl Totals {
    /// Counts a plan.
    pub fn of(plan: &Plan) -> Self {
        let mut totals = Self::default();
        for target in &plan.body.targets {
            totals.refused += count(target.refusals.len());
            totals.to_change += count(target.refusals.iter().filter(|refusal| refusal.why.asks_for_a_change()).count());
            totals.waiting += count(target.waits.len());
        }
        for (_, case) in plan.cases() {
            totals.held += u64::from(!case.held.is_empty());
            totals.conflicts += u64::from(case.held.iter().any(|held| held.guard == GuardName::Conflict));
            totals.unproven += u64::from(case.held.is_empty() && !case.needs.is_empty());
            for step in &case.steps {
                match step {
                    Step::Edge { edge, .. } if edge.op == EdgeOp::Add => totals.add += 1,
                    Step::Edge { .. } => totals.remove += 1,
                    Step::Account { .. } => totals.accounts += 1,
                    Step::CreateGroup { .. } => totals.create += 1,
                    Step::DeleteGroup { .. } => totals.delete += 1,
                    Step::GrantAccess { .. } => totals.grant += 1,
                }
            }
        }
        totals
    }
}

/// The plan as text. Removals come before additions, what is held says why, and the last line says what it comes to.
pub fn text(plan: &Plan, names: &dyn Names, full: bool) -> String {
    let mut out = String::new();
    for target in &plan.body.targets {
        let _infallible = writeln!(out, "{}", target.target);
        for case in &target.cases {
            write_case(&mut out, target, case, names, full);
        }
        write_refusals(&mut out, target, names, full);
        write_waits(&mut out, target, full);
        for seats in &target.seats {
            let after = seats.used + seats.gained.saturating_sub(seats.freed);
            let _infallible =
                writeln!(out, "  seats       {} {} -> {after} of {}", seats.product, seats.used, seats.limit);
        }
    }
    out.push_str(&wider(plan));
    out.push_str(&summary(plan));
    out
}

/// Where rules have wider budgets than `[guard]`, a line for each: shown in every plan, also in one that does nothing.
pub fn wider(plan: &Plan) -> String {
    let mut out = String::new();
    for wider in &plan.body.wider {
        let _infallible = writeln!(out, "wider guard, rule {}: {}", wider.rule, wider.budget);
    }
    out
}

/// The last line: what the plan comes to, and its digest.
pub fn summary(plan: &Plan) -> String {
    let totals = Totals::of(plan);
    let digest = plan.body.digest().short();
    if plan.is_empty() && totals.refused == 0 && totals.waiting == 0 {
        return format!("Nothing to do: both sides are equal within what the policy manages. sha256 {digest}\n");
    }
    let mut parts = vec![format!("{} to add", totals.add), format!("{} to remove", totals.remove)];
    let optional = [
        (totals.create, "group to create", "groups to create"),
        (totals.delete, "group to delete", "groups to delete"),
        (totals.accounts, "account to change", "accounts to change"),
        (totals.grant, "access to give", "accesses to give"),
    ];
    parts.extend(optional.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| counted(n, one, many)));
    let mut line = format!("Plan: {}.", parts.join(", "));
    let aside = [
        (totals.held, "case held", "cases held"),
        (totals.conflicts, "group in conflict", "groups in conflict"),
        (totals.unproven, "case waits for proof", "cases wait for proof"),
        (totals.refused, "step refused", "steps refused"),
        (totals.waiting, "wait", "waits"),
    ];
    let aside: Vec<String> =
        aside.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| counted(n, one, many)).collect();
    if !aside.is_empty() {
        let _infallible = write!(line, " {}.", aside.join(", "));
    }
    let calls: u64 = plan.calls.values().sum();
    let _infallible = writeln!(line, " About {}. sha256 {digest}", counted(calls, "API call", "API calls"));
    line
}

fn write_case(out: &mut String, target: &TargetPlan, case: &Case, names: &dyn Names, full: bool) {
    let mark = if !case.held.is_empty() {
        "HELD "
    } else if !case.needs.is_empty() {
        "PROOF "
    } else {
        ""
    };
    let _infallible = writeln!(
        out,
        "  {mark}{} ({}, {})",
        title(&case.kind, names),
        counted(count(case.steps.len()), "step", "steps"),
        case.digest.short()
    );
    if let CaseKind::Conflict { group, .. } = &case.kind {
        let gives = names.gives(&target.target, group.as_str());
        let gives = if gives.is_empty() { "no product that was read".to_owned() } else { gives.join(", ") };
        let (adds, removes) = (case.count(EdgeOp::Add), case.count(EdgeOp::Remove));
        let _infallible = writeln!(out, "    gives {gives}; {removes} would be removed, {adds} added");
    }
    let shown = if full { case.steps.len() } else { STEPS_SHOWN };
    // The plan's own order is that of ids; people look for names.
    let mut lines: Vec<(u8, String)> =
        case.steps.iter().map(|step| (place(step), line(step, &target.target, names))).collect();
    lines.sort_unstable();
    for (_, line) in lines.iter().take(shown) {
        let _infallible = writeln!(out, "    {line}");
    }
    if case.steps.len() > shown {
        let _infallible = writeln!(out, "    … {} more (--full)", case.steps.len() - shown);
    }
    for held in &case.held {
        let _infallible = writeln!(out, "    ! {}: {}", held.guard.as_str(), held.reason);
    }
    if case.held.is_empty() && !case.needs.is_empty() {
        let facts = counted(count(case.needs.len()), "lost fact", "lost facts");
        let _infallible = writeln!(out, "    ! {facts} must be read by themselves at the source before this goes");
    }
}

/// Where a step stands among those of its case: the group itself, who leaves, accounts, who comes.
const fn place(step: &Step) -> u8 {
    match step {
        Step::CreateGroup { .. } | Step::DeleteGroup { .. } => 0,
        Step::Edge { edge, .. } => match edge.op {
            EdgeOp::Remove => 1,
            EdgeOp::Add => 3,
        },
        Step::Account { .. } => 2,
        Step::GrantAccess { .. } => 4,
    }
}

fn write_refusals(out: &mut String, target: &TargetPlan, names: &dyn Names, full: bool) {
    let shown = if full { target.refusals.len() } else { STEPS_SHOWN };
    // The remedy is told once for each rule and reason.
    let mut told = BTreeSet::new();
    for Refusal { step, why } in target.refusals.iter().take(shown) {
        let _infallible = writeln!(out, "  refused     {} [{}]", line(step, &target.target, names), why.as_str());
        if told.insert((rule_of(step), *why)) {
            let at = rule_of(step).and_then(|rule| Some((rule, names.line(rule)?)));
            let place = at.map_or_else(String::new, |(rule, line)| format!("rule \"{rule}\", line {line}: "));
            let _infallible = writeln!(out, "              = {place}{}", remedy(*why));
        }
    }
    if target.refusals.len() > shown {
        let _infallible = writeln!(out, "  refused     … {} more (--full)", target.refusals.len() - shown);
    }
    let whys: BTreeSet<(RefusalWhy, Option<&RuleId>)> =
        target.refusals.iter().map(|refusal| (refusal.why, reason(&refusal.step).rule())).collect();
    for (why, rule) in whys {
        let line = rule.and_then(|rule| names.line(rule)).map(|line| format!(" (rule in line {line})"));
        let _infallible =
            writeln!(out, "              [{}]{}: {}", why.as_str(), line.unwrap_or_default(), why.remedy());
    }
}

fn reason(step: &Step) -> &Reason {
    match step {
        Step::CreateGroup { reason, .. }
        | Step::DeleteGroup { reason, .. }
        | Step::GrantAccess { reason, .. }
        | Step::Edge { reason, .. }
        | Step::Account { reason, .. } => reason,
    }
}

fn write_waits(out: &mut String, target: &TargetPlan, full: bool) {
    let shown = if full { target.waits.len() } else { STEPS_SHOWN };
    for Wait { group, person, why, edges } in target.waits.iter().take(shown) {
        let about = group.clone().or_else(|| person.as_ref().map(ToString::to_string)).unwrap_or_default();
        let edges = counted(*edges, "membership", "memberships");
        let _infallible = writeln!(out, "  waits       {about}: {} ({edges})", waits_for(why));
    }
    if target.waits.len() > shown {
        let _infallible = writeln!(out, "  waits       … {} more (--full)", target.waits.len() - shown);
    }
}

fn rule_of(step: &Step) -> Option<&RuleId> {
    reason(step).rule()
}

/// What to do about a refusal, if anything is to be done.
pub const fn remedy(why: RefusalWhy) -> &'static str {
    match why {
        RefusalWhy::ProtectedGroup => {
            "the group administers something or is in protected_groups: take it out of the rule's `groups`"
        }
        RefusalWhy::ProtectedPerson => "the person is in protected_people: nothing is to be done",
        RefusalWhy::OurOwnAccount => "the account is that of our own credentials: nothing is to be done",
        RefusalWhy::LastAdministrator => "make somebody else an administrator first; see minimum_administrators",
        RefusalWhy::NotOurs => {
            "the group belongs to an identity provider or to its members: name that directory as `to`, or leave it out"
        }
        RefusalWhy::DefaultAccessGroup => {
            "it gives a product by default: if that is meant, write default_access_group = true and members = \"managed\""
        }
        RefusalWhy::MayNotCreate => {
            "there is no such group at the target: write create = true, make it there, or correct `into` or `rename`"
        }
        RefusalWhy::Skipped => {
            "it was there before: to use it, write on_conflict = \"review\", or decide in `rollcall review`"
        }
    }
}

/// What a wait is for, in words.
pub fn waits_for(why: &WaitWhy) -> String {
    match why {
        WaitWhy::CompleteRead { directory, group: Some(group) } => {
            format!("a complete read of group {group} in {directory}")
        }
        WaitWhy::CompleteRead { directory, group: None } => format!("a complete read of {directory}"),
        WaitWhy::TargetRead { group } => format!("a complete read of {group} at the target"),
        WaitWhy::NoAccount => "the person has no account at the target".to_owned(),
        WaitWhy::Doubt => "more than one account could be the person's, or the address is in doubt".to_owned(),
        WaitWhy::AccountUnusable => "the account exists but is not usable".to_owned(),
        WaitWhy::AddressTaken => "another account has the address until it gets a new one".to_owned(),
        WaitWhy::Opaque { group } => format!("nested group {group} belongs to others and cannot be read"),
        WaitWhy::DeadLetter { id } => format!("dead letter D-{id}"),
        WaitWhy::Grace { until } => format!("the grace period, until {until}"),
        WaitWhy::Seat => "a free seat".to_owned(),
        WaitWhy::SourceBlind { directory } => format!("{directory} cannot be read"),
    }
}

fn title(kind: &CaseKind, names: &dyn Names) -> String {
    match kind {
        CaseKind::Leaver { source, person } => format!("leaver {}", names.person(source, person.as_str())),
        CaseKind::Create { name } => format!("new group {name}"),
        CaseKind::Conflict { name, .. } => format!("conflict: group {name} existed before"),
        CaseKind::Additions { name, .. } => format!("additions to {name}"),
        CaseKind::Removals { name, .. } => format!("removals from {name}"),
        CaseKind::Delete { name, .. } => format!("delete group {name}"),
        CaseKind::Access { name, .. } => format!("what group {name} gives"),
        CaseKind::Account { source, person } => format!("account of {}", names.person(source, person.as_str())),
    }
}

/// One step on one line.
pub fn line(step: &Step, target: &DirectoryId, names: &dyn Names) -> String {
    match step {
        Step::CreateGroup { name, reason, .. } => format!("+ group       {name}  {}", why(reason, names)),
        Step::DeleteGroup { name, reason, .. } => format!("- group       {name}  {}", why(reason, names)),
        Step::GrantAccess { name, access, reason, .. } => {
            format!("+ access      {name}  {access}  {}", why(reason, names))
        }
        Step::Edge { edge, reason } => {
            let sign = if edge.op == EdgeOp::Add { '+' } else { '-' };
            let who = match (&edge.account, &edge.person) {
                (Some(account), _) => names.person(target, account.as_str()),
                (None, Some(person)) => person.to_string(),
                (None, None) => "?".to_owned(),
            };
            format!("{sign} membership  {}  {who}  {}", edge.group_name, why(reason, names))
        }
        Step::Account { account, person, change, reason } => {
            let sign = match change {
                AccountChange::Create { .. } | AccountChange::Restore => '+',
                AccountChange::Update { .. } => '~',
                AccountChange::Deactivate
                | AccountChange::Suspend
                | AccountChange::Remove
                | AccountChange::HandOver { .. } => '-',
            };
            let who = account.as_ref().map(|id| names.person(target, id.as_str()));
            let who = who.or_else(|| person.as_ref().map(ToString::to_string)).unwrap_or_default();
            format!("{sign} account     {who}  {}  {}", change.as_str(), why(reason, names))
        }
    }
}

fn why(reason: &Reason, names: &dyn Names) -> String {
    let path = |source: &DirectoryId, groups: &[model::GroupId]| {
        let groups: Vec<String> = groups.iter().map(|group| names.group(source, group.as_str())).collect();
        groups.join(" > ")
    };
    match reason {
        Reason::Joined { source, path: groups, .. } => format!("member of {}", path(source, groups)),
        Reason::Left { source, path: groups, .. } => format!("left {}", path(source, groups)),
        Reason::Leaver { state, source } => format!("{} at {source}", state.as_str()),
        Reason::OutOfScope { source } => format!("out of every scope of {source}"),
        Reason::Drift { .. } => "changed by hand at the target".to_owned(),
        Reason::Conflict { .. } => "the group existed before".to_owned(),
        Reason::Policy { rule } => format!("rule {rule} claims fewer sources"),
        Reason::Missing { rule, .. } => format!("rule {rule} wants it"),
        Reason::SourceDeleted { source, group, .. } => {
            format!("{} was deleted", names.group(source, group.as_str()))
        }
        Reason::Access { rule } | Reason::Provision { rule, .. } => format!("rule {rule}"),
    }
}

/// The plan as JSON of the schema `rollcall.plan/1`. Its shape never changes within that number.
pub fn document(plan: &Plan) -> Value {
    let targets: Vec<Value> = plan.body.targets.iter().map(|target| target_document(plan, target)).collect();
    json!({
        "schema": plan.body.schema,
        "tenant": plan.body.tenant,
        "number": plan.number,
        "made_at": plan.made_at.to_string(),
        "policy": plan.policy,
        "digest": plan.body.digest(),
        "targets": targets,
        "wider": plan.body.wider,
    })
}

/// One document a target, for `ndjson`.
pub fn documents(plan: &Plan) -> Vec<Value> {
    let document = |target| {
        let mut document = target_document(plan, target);
        if let Value::Object(fields) = &mut document {
            fields.insert("wider".to_owned(), json!(plan.body.wider));
        }
        document
    };
    plan.body.targets.iter().map(document).collect()
}

fn target_document(plan: &Plan, target: &TargetPlan) -> Value {
    let steps: Vec<Value> = target
        .cases
        .iter()
        .flat_map(|case| {
            case.steps.iter().map(|step| {
                let mut value = json!(step);
                if let Value::Object(fields) = &mut value {
                    fields.insert("case".to_owned(), json!(case.digest));
                    fields.insert("released".to_owned(), json!(case.is_released()));
                }
                value
            })
        })
        .collect();
    let cases: Vec<Value> = target
        .cases
        .iter()
        .map(|case| {
            json!({
                "digest": case.digest, "cause": case.kind, "lane": case.lane, "held": case.held,
                "needs": case.needs, "guards": case.guards, "steps": case.steps.len(),
            })
        })
        .collect();
    let guards: Vec<Value> = target
        .cases
        .iter()
        .flat_map(|case| case.guards.iter().map(|guard| json!({"case": case.digest, "verdict": guard})))
        .collect();
    json!({
        "schema": plan.body.schema,
        "target": target.target,
        "steps": steps,
        "cases": cases,
        "refusals": target.refusals,
        "waits": target.waits,
        "guards": guards,
        "links": target.links,
        "seats": target.seats,
        "estimate": { "calls": plan.calls.get(&target.target).copied().unwrap_or(0) },
        "digest": digest_of(target),
    })
}

/// The digest of what was decided for one target.
fn digest_of(target: &TargetPlan) -> model::Digest {
    model::Digest::of(&serde_json::to_vec(target).unwrap_or_default())
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{Digest, PlanBody, TenantId, Time, WiderGuard};

    use super::*;

    struct Ids;

    impl Names for Ids {
        fn person(&self, _directory: &DirectoryId, id: &str) -> String {
            id.to_owned()
        }
        fn group(&self, _directory: &DirectoryId, id: &str) -> String {
            id.to_owned()
        }
    }

    #[test]
    fn every_plan_says_which_rules_have_wider_budgets() {
        let budget = "per_day.removals is { count = 9, percent = 9 } instead of { count = 5, percent = 5 }";
        let wider = WiderGuard { rule: RuleId::new("teams").unwrap(), budget: budget.to_owned() };
        let tenant = TenantId::new("acme").unwrap();
        let schema = "rollcall.plan/1".to_owned();
        let body = PlanBody { schema, tenant, targets: Vec::new(), wider: vec![wider] };
        let calls = std::collections::BTreeMap::new();
        let plan = Plan { number: None, made_at: Time(0), policy: Digest([0; 32]), calls, body };
        let shown = text(&plan, &Ids, false);
        assert!(shown.starts_with(&format!("wider guard, rule teams: {budget}\nNothing to do")), "{shown}");
        let document = document(&plan);
        assert_eq!(document.pointer("/wider/0/rule"), Some(&json!("teams")));
        assert_eq!(document.pointer("/wider/0/budget"), Some(&json!(budget)));
    }
}
