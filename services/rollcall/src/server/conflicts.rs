//! `review --conflicts` and `review TARGET/GROUP`: groups that were there before us.

use contract::ops;
use runtime::Fault;

use super::{client::Client, short};
use crate::show::{counted, table::table};

/// One group, person by person.
pub(super) async fn one(client: &Client, target: &str, group: &str) -> Result<ops::ConflictDetail, Fault> {
    client.get(&["conflicts", target, group], &[]).await
}

/// All groups of which somebody has something to decide, or decided to leave them alone.
pub(super) async fn all(client: &Client) -> Result<Vec<ops::Conflict>, Fault> {
    let list: ops::ConflictList = client.get(&["conflicts"], &[]).await?;
    Ok(list.conflicts)
}

/// Those that wait for a decision.
pub(super) async fn waiting(client: &Client, target: Option<&str>) -> Result<Vec<ops::Conflict>, Fault> {
    let mut list = all(client).await?;
    list.retain(|conflict| conflict.state == "waiting" && target.is_none_or(|target| conflict.target == target));
    Ok(list)
}

/// Decides about a group of which no case waits: it was left alone, and is taken after all, or the other way.
pub(super) async fn decide(
    client: &Client,
    conflict: &ops::Conflict,
    verb: &str,
    reason: &str,
) -> Result<ops::VerdictResult, Fault> {
    let decision = ops::ConflictDecision {
        target: conflict.target.clone(),
        groups: vec![conflict.group.clone()],
        decision: if verb == "approve" { "adopt" } else { "keep-apart" }.to_owned(),
        until: None,
        reason: reason.to_owned(),
    };
    let accepted: ops::Accepted = client.post(&["conflicts", "decision"], &decision).await?;
    let digest = format!("{}/{}", conflict.target, conflict.name);
    Ok(ops::VerdictResult { digest, result: "decided".to_owned(), why: accepted.message })
}

/// The list for people.
pub(super) fn list(conflicts: &[ops::Conflict]) -> String {
    if conflicts.is_empty() {
        return "No group is in conflict.\n".to_owned();
    }
    let rows = conflicts.iter().map(|conflict| {
        vec![
            conflict.target.clone(),
            conflict.name.clone(),
            products(conflict),
            sites(conflict),
            format!("-{} +{}", conflict.removals, conflict.additions),
            conflict.until.as_ref().map_or_else(|| conflict.state.clone(), |until| format!("ignored until {until}")),
            conflict.digest.as_deref().map(short).unwrap_or_default(),
        ]
    });
    let mut text = table(&["TARGET", "GROUP", "PRODUCT ACCESS", "SITE", "CHANGES", "STATE", "CASE"], rows);
    let waiting: Vec<&ops::Conflict> = conflicts.iter().filter(|conflict| conflict.state == "waiting").collect();
    let removals: u64 = waiting.iter().map(|conflict| conflict.removals).sum();
    let additions: u64 = waiting.iter().map(|conflict| conflict.additions).sum();
    text.extend([format!(
        "{} in conflict: {}, {}.\n",
        counted(waiting.len() as u64, "group", "groups"),
        counted(removals, "removal", "removals"),
        counted(additions, "addition", "additions"),
    )]);
    if !waiting.is_empty() {
        text.push_str(
            "Next: rollcall review TARGET/GROUP, then approve or reject TARGET/GROUP --reason TEXT; or approve --conflicts\n",
        );
    }
    text
}

/// One group for people: what it gives, who would go, who would come.
pub(super) fn detail(detail: &ops::ConflictDetail) -> String {
    let conflict = detail.conflict.clone().unwrap_or_default();
    let mut text = format!(
        "{}/{}: {}; product access: {}; site: {}\n",
        conflict.target,
        conflict.name,
        conflict.state,
        products(&conflict),
        sites(&conflict),
    );
    let sign = |op: &str| if op == "add" { "+" } else { "-" }.to_owned();
    let rows = detail
        .changes
        .iter()
        .map(|change| vec![sign(&change.op), change.name.clone(), change.email.clone(), change.account.clone()]);
    if !detail.changes.is_empty() {
        text.push_str(&table(&["", "NAME", "ADDRESS", "ACCOUNT"], rows));
    }
    text.extend([format!(
        "{} to remove, {} to add, {} unchanged.\n",
        conflict.removals, conflict.additions, detail.unchanged
    )]);
    text
}

fn products(conflict: &ops::Conflict) -> String {
    let mut words: Vec<String> =
        conflict.gives.iter().map(|access| access.product.clone()).filter(|product| !product.is_empty()).collect();
    words.dedup();
    if conflict.default_access {
        words.push("DEFAULT ACCESS".to_owned());
    }
    if conflict.grants_admin {
        words.push("ADMINISTRATORS".to_owned());
    }
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

fn sites(conflict: &ops::Conflict) -> String {
    let mut sites: Vec<&str> =
        conflict.gives.iter().map(|access| access.site.as_str()).filter(|site| !site.is_empty()).collect();
    sites.sort_unstable();
    sites.dedup();
    if sites.is_empty() { "-".to_owned() } else { sites.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict() -> ops::Conflict {
        let access =
            |product: &str, site: &str| ops::ProductAccess { product: product.to_owned(), site: site.to_owned() };
        ops::Conflict {
            target: "cloud".to_owned(),
            name: "eng".to_owned(),
            state: "waiting".to_owned(),
            digest: Some("0123456789abcdef".to_owned()),
            additions: 2,
            removals: 1,
            gives: vec![
                access("jira-software", "https://acme.atlassian.net"),
                access("confluence", "https://acme.atlassian.net"),
            ],
            ..ops::Conflict::default()
        }
    }

    #[test]
    fn a_conflict_shows_what_the_group_gives_where_and_what_would_change() {
        let text = list(&[conflict()]);
        let parts = [
            "eng",
            "jira-software, confluence",
            "https://acme.atlassian.net",
            "-1 +2",
            "0123456789ab",
            "1 group in conflict",
        ];
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(list(&[]).contains("No group"));
    }

    #[test]
    fn what_is_not_told_is_a_dash_and_never_nothing() {
        let bare = ops::Conflict { gives: Vec::new(), ..conflict() };
        assert_eq!((products(&bare), sites(&bare)), ("-".to_owned(), "-".to_owned()));
        let default = ops::Conflict { default_access: true, ..bare };
        assert_eq!(products(&default), "DEFAULT ACCESS");
    }
}
