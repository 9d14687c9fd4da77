//! Rules for Prometheus: what they name must be there.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{assert_none, file, files};

const PAGE: &str = "deploy/runbooks/alerts.md";
const METRICS: &str = "shared/runtime/src/metrics.rs";

/// Metrics that a process shows, with their labels. A histogram has three series.
fn shown() -> BTreeMap<String, BTreeSet<String>> {
    let mut shown = BTreeMap::new();
    let Some(code) = file(METRICS) else { return shown };
    for line in code.text.lines() {
        let Some((_, family)) = line.split_once("Family::new(\"") else { continue };
        let Some((name, rest)) = family.split_once('"') else { continue };
        let labels = rest.rsplit_once('[').map_or("", |(_, labels)| labels);
        let labels: BTreeSet<String> = labels.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        let series: &[&str] = if rest.contains("Histogram(") { &["_bucket", "_sum", "_count"] } else { &[""] };
        shown.extend(series.iter().map(|end| (format!("{name}{end}"), labels.clone())));
    }
    shown
}

fn words(expression: &str) -> impl Iterator<Item = &str> {
    expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// The labels that an expression groups by or chooses by.
fn labels(expression: &str) -> BTreeSet<String> {
    let grouped = expression.split(" by (").skip(1).filter_map(|rest| rest.split_once(')').map(|(list, _)| list));
    let chosen = expression.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(list, _)| list));
    let chosen = chosen.flat_map(|list| list.split(',')).filter_map(|each| each.split_once('='));
    let chosen = chosen.map(|(label, _)| label.trim_end_matches(['!', '~']).trim().to_owned());
    grouped.flat_map(|list| list.split(',')).map(|label| label.trim().to_owned()).chain(chosen).collect()
}

#[test]
fn alerts_rest_on_metrics_that_we_show_and_have_their_page() {
    let shown = shown();
    assert!(shown.len() > 20, "only {} metrics were found; the rule would say nothing", shown.len());
    let page = file(PAGE).map_or("", |page| page.text.as_str());
    let mut pages: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut violations = Vec::new();
    let mut alerts = 0;
    for rules in files().iter().filter(|file| file.is_in("deploy/alerts")) {
        for rule in rules.text.split("- alert: ").skip(1) {
            let name = rule.lines().next().unwrap_or_default().trim();
            let of = |key: &str| {
                let line = rule.lines().find_map(|line| line.trim().strip_prefix(key));
                line.map(str::trim).unwrap_or_default()
            };
            alerts += 1;
            let mut wrong = |what: String| violations.push(format!("{}: {name}: {what}", rules.path));
            let expression = of("expr:");
            let named: Vec<&str> = words(expression).filter(|word| word.starts_with("rollcall_")).collect();
            if named.is_empty() {
                wrong("its expression names no metric of ours".to_owned());
            }
            let known: BTreeSet<&String> = named.iter().filter_map(|name| shown.get(*name)).flatten().collect();
            for metric in named.iter().filter(|name| !shown.contains_key(**name)) {
                wrong(format!("{metric} is none of our metrics"));
            }
            for label in labels(expression).iter().filter(|label| !known.contains(label)) {
                wrong(format!("{label} is no label of {}", named.join(", ")));
            }
            if !["{severity: page}", "{severity: ticket}"].contains(&of("labels:")) {
                wrong("its severity is neither page nor ticket".to_owned());
            }
            if of("summary:").is_empty() || of("for:").is_empty() {
                wrong("it lacks a summary, or how long it has to hold".to_owned());
            }
            if of("runbook_url:") != format!("{PAGE}#{}", name.to_ascii_lowercase()) {
                wrong("it points at no entry of its own".to_owned());
            }
            if !pages.remove(name) {
                wrong(format!("it has no entry in {PAGE}"));
            }
        }
    }
    assert!(alerts >= 8, "only {alerts} alerts were found; the rule would say nothing");
    violations.extend(pages.into_iter().map(|name| format!("{PAGE}: {name} is no alert")));
    assert_none("rules for Prometheus:", &violations);
}

#[test]
fn a_label_is_found_where_it_is_grouped_or_chosen_by() {
    let found = labels("max by (org, rule) (a{stage=~\"x|y\",site!=\"z\"}) > 0");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["org", "rule", "site", "stage"]);
}
