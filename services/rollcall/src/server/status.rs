//! `status`.

use std::time::Duration;

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use crate::args::StatusArgs;
use crate::show::{ago, counted, table::table};

/// Shows what the running services do.
///
/// # Errors
/// When the operators' API cannot be asked.
pub async fn status(args: &StatusArgs) -> Result<Exit, Fault> {
    let client = Client::new(&args.server.server, args.server.token_file.as_deref())?;
    let list: ops::StatusList = client.get(&["status"], &[]).await?;
    let text = || list.tenants.iter().map(tenant).collect::<Vec<_>>().join("\n");
    super::print(args.server.output, "rollcall.status/1", "tenants", &list.tenants, text);
    let healthy = !list.tenants.is_empty() && list.tenants.iter().all(is_healthy);
    Ok(if args.check && !healthy { Exit::Error } else { Exit::Done })
}

fn is_healthy(status: &ops::Status) -> bool {
    status.in_sync && status.dead_letters == 0 && status.directories.iter().all(|directory| !directory.blind)
}

fn seconds(length: f64) -> String {
    ago(Duration::try_from_secs_f64(length.max(0.0)).unwrap_or_default())
}

fn tenant(status: &ops::Status) -> String {
    let mut text = format!("{}: {} as of {}\n", status.tenant, words(&status.sync), status.as_of);
    let directories = status.directories.iter().map(|each| {
        let read = match each.age_seconds {
            Some(age) => format!("{} ago", ago(Duration::from_secs(age))),
            None => "never".to_owned(),
        };
        vec![
            each.directory.clone(),
            if each.blind { "BLIND" } else { "ok" }.to_owned(),
            read,
            each.users.to_string(),
            each.groups.to_string(),
            each.memberships.to_string(),
            each.next_read_at.clone().unwrap_or_else(|| "-".to_owned()),
            each.version.to_string(),
            if each.holder.is_some() { "yes" } else { "NOBODY" }.to_owned(),
        ]
    });
    let headings = ["DIRECTORY", "STATE", "READ", "USERS", "GROUPS", "MEMBERSHIPS", "NEXT READ", "VERSION", "WATCHED"];
    text.push_str(&table(&headings, directories));
    let targets = status.targets.iter().map(|each| {
        let open: u64 = each.open_commands.values().sum();
        let oldest = each.lanes.iter().map(|lane| lane.oldest_seconds).max();
        vec![
            each.target.clone(),
            if each.paused.is_some() { "PAUSED".to_owned() } else { words(&each.sync).to_owned() },
            each.drifted_groups.to_string(),
            open.to_string(),
            oldest.map_or_else(|| "-".to_owned(), |oldest| ago(Duration::from_secs(oldest))),
            each.held.to_string(),
            each.dead_letters.to_string(),
            each.budget_remaining.map_or_else(|| "-".to_owned(), |left| format!("{:.0} %", left * 100.0)),
            each.as_of.clone().unwrap_or_else(|| "-".to_owned()),
            proof(each),
        ]
    });
    text.push('\n');
    let headings = ["TARGET", "STATE", "DRIFTED", "OPEN", "OLDEST", "HELD", "LETTERS", "BUDGET", "AS OF", "DIGESTS"];
    text.push_str(&table(&headings, targets));
    text.push_str(&times(status));
    for outbox in status.outboxes.iter().filter(|outbox| outbox.unpublished > 0) {
        let (count, oldest) = (counted(outbox.unpublished, "message", "messages"), seconds(outbox.oldest_seconds));
        text.extend([format!("{}: {count} not published, the oldest for {oldest}\n", outbox.outbox)]);
    }
    if status.held > 0 {
        text.extend([format!("{} held: `rollcall review`\n", counted(status.held, "case", "cases"))]);
    }
    if status.conflicts > 0 {
        let groups = counted(status.conflicts, "group was", "groups were");
        text.extend([format!("{groups} there before us: `rollcall review --conflicts`\n")]);
    }
    if status.dead_letters > 0 {
        let letters = counted(status.dead_letters, "dead letter", "dead letters");
        text.extend([format!("{letters}: `rollcall dead-letters`\n")]);
    }
    for why in &status.why_not {
        text.extend([format!("not in sync: {why}\n")]);
    }
    text
}

/// What is wanted and what is observed, by their digests: equal only where both are known and nothing speaks against it.
fn proof(target: &ops::TargetStatus) -> String {
    match (&target.wanted_digest, &target.observed_digest) {
        (Some(wanted), Some(observed)) if target.in_sync && wanted == observed => {
            format!("{} on both sides", super::short(wanted))
        }
        (Some(wanted), Some(observed)) => {
            format!("wanted {}, observed {}", super::short(wanted), super::short(observed))
        }
        _ => "not known".to_owned(),
    }
}

/// When the last sync was, and when the next one comes by itself.
fn times(status: &ops::Status) -> String {
    let or = |time: &Option<String>, none: &str| time.clone().unwrap_or_else(|| none.to_owned());
    let next = if status.schedule == "manual" { "when somebody asks (rollcall sync)" } else { "not known" };
    format!(
        "last sync {}; next {} ({}); now: rollcall sync\n",
        or(&status.last_sync_at, "never"),
        or(&status.next_sync_at, next),
        if status.schedule.is_empty() { "schedule not known" } else { &status.schedule },
    )
}

fn words(sync: &str) -> &'static str {
    match sync {
        "in-sync" => "in sync",
        "drifted" => "drifted",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_said_to_be_in_sync() {
        assert_eq!(words("in-sync"), "in sync");
        assert_eq!(words(""), "unknown");
        let mut status = ops::Status { in_sync: true, sync: "in-sync".to_owned(), ..ops::Status::default() };
        assert!(is_healthy(&status));
        status.directories.push(ops::DirectoryStatus { blind: true, ..ops::DirectoryStatus::default() });
        assert!(!is_healthy(&status));
    }

    #[test]
    fn a_status_names_what_waits_and_the_next_command() {
        let status = ops::Status {
            tenant: "acme".to_owned(),
            sync: "drifted".to_owned(),
            held: 1,
            dead_letters: 2,
            why_not: vec!["cloud: differs".to_owned()],
            ..ops::Status::default()
        };
        let text = tenant(&status);
        for part in ["acme: drifted", "1 case held: `rollcall review`", "2 dead letters", "not in sync: cloud: differs"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
