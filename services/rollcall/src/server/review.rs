//! `review`.

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use super::{about, conflicts, short};
use crate::args::ReviewArgs;
use crate::show::{counted, table::table};

/// Shows what is held for a person.
///
/// # Errors
/// When the operators' API cannot be asked.
pub async fn review(args: &ReviewArgs) -> Result<Exit, Fault> {
    let (server, output) = (&args.server, args.server.output);
    let client = Client::new(&server.server, server.token_file.as_deref())?;
    if let Some(name) = &args.group {
        let (target, group) = name.split_once('/').ok_or_else(|| {
            Fault::new("E0319", Exit::Usage, "a group that was there before us is named as TARGET/GROUP")
                .help("`rollcall review --conflicts` lists them")
        })?;
        let detail = conflicts::one(&client, target, group).await?;
        super::print_one(output, "rollcall.conflict/1", &detail, || conflicts::detail(&detail));
        return Ok(Exit::Done);
    }
    if args.conflicts {
        let all = conflicts::all(&client).await?;
        super::print(output, "rollcall.conflicts/1", "conflicts", &all, || conflicts::list(&all));
        return Ok(Exit::Done);
    }
    let list: ops::CaseList = client.get(&["cases"], &[("state", "held")]).await?;
    super::print(output, "rollcall.cases/1", "cases", &list.cases, || text(&list.cases));
    Ok(Exit::Done)
}

fn text(cases: &[ops::CaseSummary]) -> String {
    if cases.is_empty() {
        return "Nothing is held.\n".to_owned();
    }
    let rows = cases.iter().map(|case| {
        let held: Vec<String> = case.held.iter().map(|guard| format!("{} ({})", guard.guard, guard.reason)).collect();
        vec![
            short(&case.digest),
            case.target.clone(),
            case.kind.clone(),
            about(case),
            format!("-{} +{}", case.removals, case.additions),
            case.since.clone().unwrap_or_default(),
            case.proposer.clone(),
            held.join("; "),
        ]
    });
    let mut text = table(&["CASE", "TARGET", "KIND", "ABOUT", "CHANGES", "SINCE", "PROPOSED BY", "HELD BY"], rows);
    let removals: u64 = cases.iter().map(|case| case.removals).sum();
    let additions: u64 = cases.iter().map(|case| case.additions).sum();
    text.extend([format!(
        "{} held: {}, {}.\nNext: rollcall approve CASE --reason TEXT, or rollcall reject CASE --reason TEXT\n",
        counted(cases.len() as u64, "case", "cases"),
        counted(removals, "removal", "removals"),
        counted(additions, "addition", "additions"),
    )]);
    let conflicts = cases.iter().filter(|case| case.kind == "conflict").count() as u64;
    if conflicts > 0 {
        let groups = counted(conflicts, "group was", "groups were");
        text.extend([format!("{groups} there before us: rollcall review --conflicts\n")]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_case_shows_what_to_type_and_why_it_waits() {
        let case = ops::CaseSummary {
            digest: "9f3c0123456789abcdef".to_owned(),
            kind: "removals".to_owned(),
            group: Some("jira-eng".to_owned()),
            removals: 39,
            held: vec![ops::Guard {
                guard: "per-group-removals".to_owned(),
                reason: "39 removals, 5 allowed".to_owned(),
                ..ops::Guard::default()
            }],
            ..ops::CaseSummary::default()
        };
        let text = text(&[case]);
        for part in
            ["9f3c01234567 ", "jira-eng", "-39 +0", "39 removals, 5 allowed", "1 case held: 39 removals, 0 additions"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(super::text(&[]), "Nothing is held.\n");
    }
}
