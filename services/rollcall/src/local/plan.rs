//! `rollcall plan`.

use model::{Plan, Time};
use runtime::{Exit, Fault};

use super::{journal::Journal, planfile, world::World};
use crate::{
    args::{JournalArgs, Output, PlanArgs},
    policy_file::{self, Loaded},
    show::{self, plan::Totals, progress::Progress},
};

/// Reads both sides, decides, shows. Writes nothing but the plan file, if one is asked for.
///
/// # Errors
/// When the policy cannot be right or a directory cannot be read.
pub async fn plan(args: &PlanArgs, quiet: bool) -> Result<Exit, Fault> {
    let loaded = policy_file::load(&args.policy)?;
    let mut journal = open_journal(&loaded, &args.journal)?;
    let mut world = World::read(&loaded, &mut journal, &Progress::new(quiet)).await?;
    let decision = world.decide(&mut journal, Time(runtime::clock::now_micros())).await?;
    let plan = decision.plan;
    if let Some(path) = &args.out {
        planfile::save(path, &plan)?;
    }
    print(&plan, &world, args.output, args.full);
    if !quiet && args.output == Output::Table {
        hint(&plan, &journal, args);
    }
    world.aside.tell();
    Ok(world.aside.exit().unwrap_or_else(|| exit_of(&plan, args.detailed_exitcode)))
}

/// Opens the tenant's journal.
///
/// # Errors
/// As [`Journal::open`].
pub fn open_journal(loaded: &Loaded, args: &JournalArgs) -> Result<Journal, Fault> {
    let folder = args.journal.clone().unwrap_or_else(|| Journal::default_folder(&loaded.policy.tenant));
    Journal::open(folder)
}

/// Prints a plan as asked.
pub fn print(plan: &Plan, world: &World, output: Output, full: bool) {
    match output {
        Output::Table => show::data(&show::plan::text(plan, &world.directory_names, full)),
        Output::Json => show::json(&document(plan, world), true),
        Output::Ndjson => show::plan::documents(plan).iter().for_each(|document| show::json(document, false)),
    }
}

/// A plan as JSON, with what could not be read, if anything.
pub fn document(plan: &Plan, world: &World) -> serde_json::Value {
    let mut document = show::plan::document(plan);
    if let (Some(fields), Some(unread)) = (document.as_object_mut(), world.aside.document()) {
        fields.insert("unread".to_owned(), unread);
    }
    document
}

/// Held is told by 3 in `apply`; `plan` only tells whether there is something to do, and only when asked.
fn exit_of(plan: &Plan, detailed: bool) -> Exit {
    if detailed && !plan.is_empty() { Exit::Changes } else { Exit::Done }
}

fn hint(plan: &Plan, journal: &Journal, args: &PlanArgs) {
    let totals = Totals::of(plan);
    if journal.is_first_contact && !plan.is_empty() {
        show::note(&format!(
            "First contact: nothing is remembered yet. `apply` keeps its journal in {}; keep that folder.",
            journal.folder().display()
        ));
    }
    if totals.held > 0 {
        show::note(
            "What is held waits for a person: `rollcall apply --override GUARD --reason TEXT` releases it here.",
        );
    }
    if !plan.is_empty() {
        let path = &args.policy.path;
        let policy = if path.as_os_str() == "policy.toml" { String::new() } else { format!(" -c {}", path.display()) };
        let saved = args.out.as_ref().map_or_else(String::new, |out| format!(" {}", out.display()));
        show::note(&format!("Next: rollcall apply{policy}{saved}"));
    }
}
