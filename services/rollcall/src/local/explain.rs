//! `rollcall explain` without a server: reads both sides and says why, or why not.

use model::{DirectoryId, Time};
use planner::explain::{Explanation, GroupExplained, Missing};
use runtime::{Exit, Fault};
use serde_json::json;

use super::{plan::open_journal, world::World};
use crate::{
    args::{ExplainArgs, Output},
    policy_file, server,
    show::{self, plan::Names, progress::Progress},
};

/// Explains a person's access, here or by the running services.
///
/// # Errors
/// When the policy cannot be right, a directory cannot be read, or nobody is meant by the name (64).
pub async fn explain(args: &ExplainArgs, quiet: bool) -> Result<Exit, Fault> {
    if args.server.server.is_some() {
        return server::explain(args).await;
    }
    let loaded = policy_file::load(&args.policy)?;
    let mut journal = open_journal(&loaded, &args.journal)?;
    let mut world = World::read(&loaded, &mut journal, &Progress::new(quiet)).await?;
    let now = Time(runtime::clock::now_micros());
    let explained = world.planner.explain(&journal.memory, now, &args.person, args.group.as_deref());
    world.aside.tell();
    if explained.persons.is_empty() {
        let message = "no source knows a person by this address or id".to_owned();
        return Err(Fault::new("E0133", Exit::Usage, message)
            .help("look at the spelling; a person outside every source group is not known here"));
    }
    match args.output {
        Output::Table => show::data(&text(&explained, &world.directory_names)),
        Output::Json => show::json(&json!({ "schema": "rollcall.explanation/1", "explanation": explained }), true),
        Output::Ndjson => explained.persons.iter().for_each(|person| show::json(&json!(person), false)),
    }
    Ok(world.aside.exit().unwrap_or(Exit::Done))
}

fn text(explanation: &Explanation, names: &dyn Names) -> String {
    let mut text = String::new();
    for person in &explanation.persons {
        let who = names.person(&person.source, person.person.as_str());
        text.extend([format!("{who}, known at {}\n", person.source)]);
        if person.groups.is_empty() {
            text.push_str("  in no group that a rule fills\n");
        }
        for group in &person.groups {
            text.push_str(&line(group, &person.source, names));
        }
    }
    text
}

fn line(group: &GroupExplained, source: &DirectoryId, names: &dyn Names) -> String {
    let answer = match (group.has_access, &group.missing) {
        (true, None) => "YES".to_owned(),
        (true, Some(missing)) => format!("YES, BUT {}", words(missing)),
        (false, None) => "CHANGING".to_owned(),
        (false, Some(missing)) => format!("NO: {}", words(missing)),
    };
    let mut line = format!("  {}/{}  {answer}\n", group.target, group.name);
    for path in &group.paths {
        let path: Vec<String> = path.iter().map(|id| names.group(source, id.as_str())).collect();
        line.extend([format!("    by {}\n", path.join(" > "))]);
    }
    line
}

fn words(missing: &Missing) -> String {
    match missing {
        Missing::MayNotWork => "the person is suspended, archived or gone at the source".to_owned(),
        Missing::OutOfScope => "the person is out of every scope of the policy".to_owned(),
        Missing::NotInSourceGroup => "no source group of this group holds the person".to_owned(),
        Missing::NotTaken => "the rule does not take this role or domain".to_owned(),
        Missing::NoAccount => "the person has no account at the target".to_owned(),
        Missing::Doubt => "which account is the person's is in doubt".to_owned(),
        Missing::AccountUnusable => "the account cannot be used".to_owned(),
        Missing::SwitchedOff => "a rule that names the group is switched off (enabled = false)".to_owned(),
        Missing::NoTargetGroup => "the target group does not exist".to_owned(),
        Missing::Held { guards } => {
            let guards: Vec<&str> = guards.iter().map(|guard| guard.as_str()).collect();
            format!("held by {}", guards.join(", "))
        }
        Missing::Waits { why } => format!("waits for {}", show::plan::waits_for(why)),
        Missing::UnderWay => "under way".to_owned(),
        Missing::Refused { why } => format!("refused: {}", why.as_str()),
    }
}
