//! Reads `[guard]`, the `guard` of a rule, and `[approval]`.

use std::collections::BTreeMap;

use model::Span;

use super::{
    context::{Context, nearest},
    section::{Section, choice_of, shown},
    value::email_of,
};
use crate::{Approval, ApprovalFor, Budget, Guard, GuardOverride, diagnostic::Code};

/// What only `[guard]` may say, for it holds for the whole tenant.
const TENANT_WIDE: [&str; 4] = ["minimum_administrators", "protected_groups", "protected_people", "seat_limit"];

pub(crate) fn guard(ctx: &mut Context<'_>, root: &Section<'_>) -> Guard {
    let mut guard = Guard::default();
    let Some(section) = root.table(ctx, "guard") else { return guard };
    guard.apply(&budgets(ctx, &section));
    if let Some(least) = section.number(ctx, "minimum_administrators", 1) {
        guard.minimum_administrators = least;
    }
    if let Some(groups) = section.patterns(ctx, "protected_groups") {
        guard.protected_groups = groups;
    }
    if let Some(people) = section.texts(ctx, "protected_people", false) {
        guard.protected_people = people.iter().filter_map(|person| email_of(ctx, "protected_people", person)).collect();
    }
    guard.seat_limit = seats(ctx, &section);
    section.finish(ctx);
    guard
}

/// The `guard` of a rule: budgets only.
pub(crate) fn rule_guard(ctx: &mut Context<'_>, rule: &Section<'_>) -> GuardOverride {
    let Some(section) = rule.table(ctx, "guard") else { return GuardOverride::default() };
    for key in TENANT_WIDE {
        if section.has(key) {
            let message = format!("`{key}` cannot be set for one rule");
            let help = "write it under [guard]: what is protected is protected from every rule";
            ctx.report(Code::Conflicting, &section.key_span(key), message, help);
        }
    }
    let budgets = budgets(ctx, &section);
    section.finish(ctx);
    budgets
}

fn budgets(ctx: &mut Context<'_>, section: &Section<'_>) -> GuardOverride {
    let mut read = GuardOverride::default();
    if let Some(table) = section.table(ctx, "per_group") {
        read.group_removals = budget(ctx, &table, "removals");
        read.group_additions = budget(ctx, &table, "additions");
        table.finish(ctx);
    }
    if let Some(table) = section.table(ctx, "per_plan") {
        read.plan_removals = budget(ctx, &table, "removals");
        read.plan_additions = budget(ctx, &table, "additions");
        table.finish(ctx);
    }
    if let Some(table) = section.table(ctx, "per_day") {
        read.day_removals = budget(ctx, &table, "removals");
        read.day_deactivations = budget(ctx, &table, "deactivations");
        table.finish(ctx);
    }
    if let Some(table) = section.table(ctx, "per_week") {
        read.week_removals = budget(ctx, &table, "removals");
        table.finish(ctx);
    }
    read.emptied_group_from = section.number(ctx, "emptied_group_from", 0);
    read.source_shrink_percent = section.percent(ctx, "source_shrink_percent");
    read
}

/// A budget is given whole: since the larger of the two counts, a part that is left out allows nothing.
fn budget(ctx: &mut Context<'_>, section: &Section<'_>, key: &'static str) -> Option<Budget> {
    let table = section.table(ctx, key)?;
    if !table.has("count") && !table.has("percent") {
        let help = "write { count = 5, percent = 10 }; the larger of the two counts, what is left out allows nothing";
        ctx.report(Code::MissingKey, &table.span, format!("`{key}` has neither `count` nor `percent`"), help);
    }
    let count = table.number(ctx, "count", 0).unwrap_or(0);
    let percent = table.percent(ctx, "percent").unwrap_or(0);
    table.finish(ctx);
    Some(Budget { count, percent })
}

/// Products that take seats, by the keys that Atlassian gives them (reference/atlassian-cloud.md §4). A key that is like
/// none of them may be one of a product that came later, and is believed.
const PRODUCTS: [&str; 10] = [
    "jira-software",
    "jira-servicedesk",
    "jira-core",
    "jira-product-discovery",
    "confluence",
    "bitbucket",
    "trello",
    "compass",
    "statuspage",
    "opsgenie",
];

fn seats(ctx: &mut Context<'_>, section: &Section<'_>) -> BTreeMap<String, u64> {
    let Some(table) = section.table(ctx, "seat_limit") else { return BTreeMap::new() };
    let mut seats = BTreeMap::new();
    for (product, value) in table.entries() {
        let known = PRODUCTS.iter().any(|known| product.value.eq_ignore_ascii_case(known));
        if !known && let Some(near) = nearest(&product.value, PRODUCTS) {
            let message =
                format!("no product has the key \"{}\", so this limit would guard nothing", shown(&product.value));
            ctx.report(Code::NoEffect, &product.span, message, format!("did you mean \"{near}\"?"));
            continue;
        }
        if let Some(limit) = super::section::number_of(ctx, &product.value, value, 0) {
            seats.insert(product.value, limit);
        }
    }
    seats
}

pub(crate) fn approval(ctx: &mut Context<'_>, root: &Section<'_>) -> Approval {
    let mut approval = Approval::default();
    let Some(section) = root.table(ctx, "approval") else { return approval };
    if let Some(words) = section.texts(ctx, "required_for", false) {
        let known = ApprovalFor::ALL.map(|what| (what.as_str(), what));
        approval.required_for = words.iter().filter_map(|word| choice_of(ctx, "required_for", word, &known)).collect();
        if !approval.required_for.contains(&ApprovalFor::Guard) && words.len() == approval.required_for.len() {
            let message = "`required_for` leaves \"guard\" out, and what is above a budget is held all the same";
            let help = "add \"guard\"; to let more go without a person, raise the budgets under [guard]";
            ctx.report(Code::NoEffect, &section.key_span("required_for"), message, help);
        }
    }
    if let Some(four_eyes) = section.flag(ctx, "four_eyes") {
        approval.four_eyes = four_eyes;
    }
    if let Some(expires) = section.duration(ctx, "expires", Span::from_secs(1)) {
        approval.expires = expires;
    }
    section.finish(ctx);
    approval
}
