//! The part of the schema for `[guard]` and for the `guard` of a rule.

use serde_json::{Value, json};

use super::{list, map, number, percent, table, texts};
use crate::{Budget, Guard};

/// `[guard]`.
pub(super) fn guard() -> Value {
    let default = Guard::default();
    let [group, plan, day, week, emptied, shrink] = budgets(&default);
    let seats = json!({ "type": "integer", "minimum": 0 });
    let person = json!({ "type": "string", "pattern": "^[^@ ]+@[^@ ]+$" });
    let mut groups = texts("Groups that are never touched.");
    if let Some(groups) = groups.as_object_mut() {
        groups.insert("default".to_owned(), json!(default.protected_groups.texts().collect::<Vec<_>>()));
    }
    let administrators = number(1, default.minimum_administrators, "A group of administrators never gets smaller.");
    table(
        "Above a budget the case is held for a person.",
        [
            group,
            plan,
            day,
            week,
            emptied,
            shrink,
            ("minimum_administrators", administrators),
            ("protected_groups", groups),
            ("protected_people", list(person, "People who are never touched.")),
            ("seat_limit", map(seats, "Product = how many seats may be used.")),
        ],
        &[],
    )
}

/// The `guard` of a rule: budgets only.
pub(super) fn rule_guard() -> Value {
    table(
        "How far each count may go before cases of this rule are held: the counts stay those of the target, the narrowest of \
         the rules that fill a group holds for it. Wider ones than [guard] are shown in every plan.",
        budgets(&Guard::default()),
        &[],
    )
}

fn budgets(default: &Guard) -> [(&'static str, Value); 6] {
    let both = |changes: &crate::Changes, doc: &str| {
        let keys = [("removals", budget(changes.removals)), ("additions", budget(changes.additions))];
        table(doc, keys, &[])
    };
    let day =
        [("removals", budget(default.per_day.removals)), ("deactivations", budget(default.per_day.deactivations))];
    [
        ("per_group", both(&default.per_group, "For one group in one decision.")),
        ("per_plan", both(&default.per_plan, "For one target in one run, or after a sweep.")),
        ("per_day", table("For one target in 24 hours.", day, &[])),
        ("per_week", table("For one target in 7 days.", [("removals", budget(default.per_week.removals))], &[])),
        (
            "emptied_group_from",
            number(0, default.emptied_group_from, "A group of this many that would become empty is held."),
        ),
        ("source_shrink_percent", percent(default.source_shrink_percent, "When the source lost this much.")),
    ]
}

fn budget(default: Budget) -> Value {
    let keys = [
        ("count", json!({ "type": "integer", "minimum": 0 })),
        ("percent", json!({ "type": "integer", "minimum": 0, "maximum": 100 })),
    ];
    let mut budget = table("The larger of the two counts; what is left out allows nothing.", keys, &[]);
    if let Some(budget) = budget.as_object_mut() {
        budget.insert("default".to_owned(), json!({ "count": default.count, "percent": default.percent }));
        budget.insert("minProperties".to_owned(), json!(1));
    }
    budget
}
