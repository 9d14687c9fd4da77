//! `rollcall import`: writes the policy that describes what is there.

use std::collections::{BTreeMap, BTreeSet};

use model::{DirectoryId, Snapshot, Time};
use outbound::{ReadDirectory as _, Scope};
use planner::Memory;
use policy::Policy;
use runtime::{Exit, Fault};

use super::{
    draft::{self, Draft, Pair, Sides},
    world::{Shown, connect, unreadable},
};
use crate::{
    args::ImportArgs,
    show::{self, counted, progress::Progress},
};

/// Reads both sides and writes a policy whose plan is empty: the given file, with rules for the groups that are equal
/// today and the table of what was adopted. Changes nothing at either side.
///
/// # Errors
/// When the file cannot be right, a directory cannot be read to its end, or the policy cannot be written.
pub async fn import(args: &ImportArgs, quiet: bool) -> Result<Exit, Fault> {
    let path = &args.policy.path;
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Fault::new("E0106", Exit::Usage, format!("the policy {} cannot be read: {cause}", path.display()))
            .help("write tenant and the [directory.…] tables; rules need not be there yet")
    })?;
    let base = Policy::parse_draft(&text).map_err(|problems| wrong(&problems, &path.display().to_string()))?;
    let pairs = draft::pairs(&base, &ids(&base, &args.from)?, &ids(&base, &args.to)?);
    if pairs.is_empty() {
        return Err(Fault::new("E0135", Exit::Usage, "there is no source and target to import between")
            .help("add a [directory.…] for Google Workspace and one for Atlassian that has groups; a list of customers has none"));
    }
    let folder = path.parent().map_or_else(std::path::PathBuf::new, std::path::Path::to_path_buf);
    let sides = Box::pin(read(&base, &folder, &pairs, quiet)).await?;
    let draft = draft::draft(&text, &base, &pairs, &sides)
        .map_err(|problems| wrong(&problems, "the policy that would be written"))?;
    let lists = draft::lists(&base);
    let written = draft::written(&text, &draft) + "\n" + &draft::remarks(&draft, &lists);
    match &args.out {
        Some(out) => std::fs::write(out, written).map_err(|cause| {
            Fault::new("E0135", Exit::Error, format!("{} cannot be written: {cause}", out.display()))
                .help("give another file with --out; without it the policy goes to standard output")
        })?,
        None => show::data(&written),
    }
    tell(&draft, &lists, args.out.as_deref());
    Ok(Exit::Done)
}

fn wrong(problems: &policy::Diagnostics, name: &str) -> Fault {
    show::note(&problems.render(name).to_string());
    Fault::new("E0114", Exit::Usage, format!("{name} cannot be right; nothing was written"))
        .help("correct what is named above; a group that a rule of the file claims already is left to that rule")
}

/// The directories that were named.
fn ids(policy: &Policy, names: &[String]) -> Result<Vec<DirectoryId>, Fault> {
    let find = |name: &String| {
        let found = policy.directories.keys().find(|id| id.as_str() == name.as_str());
        found.cloned().ok_or_else(|| {
            Fault::new("E0135", Exit::Usage, format!("there is no directory \"{name}\" in the policy"))
                .help("name one of its [directory.…] tables")
        })
    };
    names.iter().map(find).collect()
}

async fn read(policy: &Policy, folder: &std::path::Path, pairs: &[Pair], quiet: bool) -> Result<Sides, Fault> {
    let progress = Progress::new(quiet);
    let used: BTreeSet<&DirectoryId> = pairs.iter().flat_map(|(source, target)| [source, target]).collect();
    let (mut rows, mut memory) = (BTreeMap::new(), Memory::default());
    for id in used {
        let Some(directory) = policy.directories.get(id) else { continue };
        let reader = connect(policy, directory, folder)?;
        let own = reader.who_am_i().await.map_err(|error| unreadable(id, &error))?;
        memory.own_accounts.entry(id.clone()).or_default().extend(own);
        let shown = Shown::new(&progress, id);
        let reading = reader.sweep(&Scope::All, &shown).await;
        shown.finish();
        let reading = reading.map_err(|error| unreadable(id, &error))?;
        if !reading.groups.complete {
            let message = format!("the list of groups of {id} could not be read to its end");
            return Err(Fault::new("E0117", Exit::TryLater, message).help("try again; nothing was written"));
        }
        let mut snapshot = Snapshot::new(id.clone());
        snapshot.observe(&reading);
        rows.insert(id.clone(), snapshot.whole());
    }
    Ok(Sides { rows, memory, now: Time(runtime::clock::now_micros()) })
}

fn tell(draft: &Draft, lists: &[&DirectoryId], out: Option<&std::path::Path>) {
    let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let taken = draft.taken.values().map(BTreeSet::len).sum::<usize>() + draft.into.len();
    let rules = draft.taken.len() + draft.into.len();
    show::note(&format!(
        "{} in {} taken over as they are; {} differ and {} are not at the target: they are named in comments.",
        counted(number(taken), "group", "groups"),
        counted(number(rules), "rule", "rules"),
        draft.differing.len(),
        draft.missing.len(),
    ));
    for list in lists {
        show::note(&format!("{list} is a list of customers, which has no groups: write a rule that says who may ask."));
    }
    let file = out.map_or_else(String::new, |out| format!(" -c {}", out.display()));
    show::note(&if rules == 0 {
        "No group that the file does not claim already is equal today: write rules by hand, then rollcall plan."
            .to_owned()
    } else {
        format!(
            "Next: read the file, then rollcall plan{file}: it has nothing to do; rollcall apply{file} notes these groups as ours."
        )
    });
}
