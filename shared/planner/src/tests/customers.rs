//! A group of the source fills a list of customers: portal-only accounts are made, leaving takes the portal away.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::Arc;

use model::{AccountChange, CaseKind, GuardName, RefusalWhy, Step, WaitWhy};
use policy::Policy;

use crate::testing::{World, acc, cases, edges, only};

/// A world whose target is an organization of customers (or a desk), filled from every group.
pub(super) fn portal(list: &str, rule: &str, rest: &str) -> World {
    let text = format!(
        r#"
tenant = "acme"
[directory.workspace]
kind = "google-workspace"
customer = "my_customer"
service_account = "file:google.json"
subject = "rollcall@acme.com"
[directory.cloud]
kind = "jsm-customers"
site = "https://acme.atlassian.net"
email = "sync-bot@acme.com"
api_token = "file:token"
{list}
[people]
domains = ["acme.com"]
{rest}
[[sync]]
name = "portal"
from = "workspace"
groups = ["*"]
to = "cloud"
{rule}
"#
    );
    let mut world = World::new("", "");
    world.planner.set_policy(Arc::new(Policy::parse(&text).unwrap_or_else(|problems| panic!("{problems}"))));
    world
}

const ORGANIZATION: &str = "customer_organization = \"Partners\"";
const DESK: &str = "desk = \"HELP\"";

/// Ann has an account; Pia of another domain and Quin of ours have none.
fn three(list: &str, rule: &str, rest: &str) -> World {
    let mut world = portal(list, rule, rest);
    world.person("ann");
    world.outsider("pia");
    world.person("quin");
    world.target.users.remove(&acc("a-pia"));
    world.target.users.remove(&acc("a-quin"));
    world.fill("customers", &["ann", "pia"]);
    world.fill("resellers", &["quin"]);
    world
}

fn made(decision: &crate::Decision) -> Vec<String> {
    let steps = cases(decision).into_iter().flat_map(|case| &case.steps);
    let mut made: Vec<String> = steps
        .filter_map(|step| match step {
            Step::Account { change: AccountChange::Create { attributes }, .. } => {
                Some(attributes["emails[primary].value"].clone())
            }
            _ => None,
        })
        .collect();
    made.sort();
    made
}

#[test]
fn several_groups_fill_one_list_and_who_is_unknown_gets_a_portal_only_account() {
    let mut world = three(ORGANIZATION, "", "");
    world.sweep_source();
    world.sweep_target();
    let first = world.decide();
    assert_eq!(made(&first), ["pia@other.org", "quin@acme.com"]);
    let create = cases(&first).into_iter().find(|case| matches!(&case.kind, CaseKind::Create { .. })).unwrap();
    assert!(matches!(&create.kind, CaseKind::Create { name } if name == "Partners"));
    world.carry_out(&first);
    world.converge();
    let everybody = ["a-ann", "a-pia", "a-quin"].map(str::to_owned);
    assert_eq!(world.in_target("Partners"), everybody.into());
}

#[test]
fn p3_06_leaving_the_group_takes_the_portal_away_and_nothing_else() {
    let mut world = three(ORGANIZATION, "", "");
    world.sweep_source();
    world.sweep_target();
    world.converge();
    world.leave("customers", "pia");
    world.sweep_source();
    let first = world.decide();
    // Of somebody of another domain no single read tells: a second walk after the lag does.
    world.answer(&first.needs);
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(edges(&decision), ["-Partners a-pia"]);
    assert!(only(&decision).steps.iter().all(|step| matches!(step, Step::Edge { .. })), "the account stays");
}

#[test]
fn with_create_off_nothing_is_made() {
    let mut world = three(ORGANIZATION, "create = false", "");
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(made(&decision).is_empty());
    let plan = &decision.plan.body.targets[0];
    assert!(plan.refusals.iter().any(|refusal| refusal.why == RefusalWhy::MayNotCreate));
    assert_eq!(plan.waits.iter().filter(|wait| wait.why == WaitWhy::NoAccount).count(), 2);
}

#[test]
fn external_skip_lets_only_our_own_people_in() {
    let mut world = three(ORGANIZATION, "external = \"skip\"", "");
    world.sweep_source();
    world.sweep_target();
    assert_eq!(made(&world.decide()), ["quin@acme.com"]);
}

#[test]
fn a_desk_that_is_there_is_met_before_anybody_is_made() {
    let mut world = three(DESK, "", "");
    world.existing("1", "HELP", &["a-ann"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(made(&decision).is_empty(), "{:#?}", decision.plan.body);
    // It already holds everybody who has an account, so it is ours from the next decision on.
    world.carry_out(&decision);
    world.converge();
    assert_eq!(world.in_target("HELP").len(), 3);
}

#[test]
fn what_is_new_in_a_settled_list_counts_against_the_budget() {
    let guard = "[guard]\nper_group = { additions = { count = 1, percent = 1 } }\n";
    let mut world = three(ORGANIZATION, "", guard);
    world.sweep_source();
    world.sweep_target();
    world.converge();
    for name in ["rob", "sue"] {
        world.outsider(name);
        world.target.users.remove(&acc(&format!("a-{name}")));
        world.fill("customers", &[name]);
    }
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(made(&decision).len(), 2);
    for case in cases(&decision) {
        assert!(case.held.iter().any(|held| held.guard == GuardName::PerGroupAdditions), "{case:#?}");
    }
}
