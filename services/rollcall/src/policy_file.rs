//! Reading the policy file, and the verbs of `rollcall policy`.

use std::path::{Path, PathBuf};

use policy::Policy;
use runtime::{Exit, Fault};

use crate::{args::PolicyFile, show};

/// A policy with the folder that its secret references start from.
#[derive(Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Policy,
    /// The folder of the file.
    pub base: PathBuf,
}

/// Reads and checks the file.
///
/// # Errors
/// 64 when it cannot be read or cannot be right; then all its mistakes are on standard error already.
pub fn load(file: &PolicyFile) -> Result<Loaded, Fault> {
    let text = std::fs::read_to_string(&file.path).map_err(|cause| {
        Fault::new("E0106", Exit::Usage, format!("the policy {} cannot be read: {cause}", file.path.display()))
            .help("give the file with --config, or put it into the working directory as policy.toml")
    })?;
    let policy = Policy::parse(&text).map_err(|problems| {
        let name = file.path.display().to_string();
        show::note(problems.render(&name).to_string().trim_end());
        let place = format!("the policy {} cannot be right; nothing was read or written", file.path.display());
        Fault::new("E0114", Exit::Usage, place).help("correct what is named above, then run `rollcall policy check`")
    })?;
    let base = file.path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    Ok(Loaded { policy, base })
}

/// `policy check`.
///
/// # Errors
/// As [`load`].
pub fn check(file: &PolicyFile) -> Result<Exit, Fault> {
    let Loaded { policy, .. } = load(file)?;
    let name = file.path.display().to_string();
    for note in &policy.notes {
        show::note(note.as_note(&name).to_string().trim_end());
    }
    let wider: usize = policy.rules.iter().map(|rule| rule.wider.len()).sum();
    show::data(&format!(
        "{}: tenant {}, {}, {}, {}{}\n",
        file.path.display(),
        policy.tenant,
        show::counted(policy.directories.len() as u64, "directory", "directories"),
        show::counted(policy.rules.len() as u64, "rule", "rules"),
        show::counted(policy.provisions.len() as u64, "rule for people", "rules for people"),
        if wider == 0 { String::new() } else { format!(", {wider} budgets wider than [guard]") },
    ));
    Ok(Exit::Done)
}

/// `policy schema`.
pub fn schema() -> Exit {
    show::json(&policy::json_schema(), true);
    Exit::Done
}
