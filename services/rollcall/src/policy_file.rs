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
    /// What the file says.
    text: String,
}

/// Keys that the file may have and that nothing acts on yet.
const NOT_IN_EFFECT: [&str; 2] = ["audit_poll", "push"];

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
    Ok(Loaded { policy, base, text })
}

/// `policy check`.
///
/// # Errors
/// As [`load`].
pub fn check(file: &PolicyFile) -> Result<Exit, Fault> {
    let Loaded { policy, text, .. } = load(file)?;
    for (line, key) in not_in_effect(&text) {
        show::note(&format!("{}:{line}: `{key}` is not in effect yet; sweeps find the changes", file.path.display()));
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

/// The lines, from 1, that set something that nothing acts on yet.
fn not_in_effect(text: &str) -> Vec<(usize, &'static str)> {
    let key = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned()).unwrap_or_default();
    let table = |line: &str| line.trim().strip_prefix("[directory.").is_some_and(|rest| rest.ends_with(".push]"));
    let which = |line: &str| match key(line) {
        _ if table(line) => Some("push"),
        key => NOT_IN_EFFECT.into_iter().find(|known| *known == key),
    };
    text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, which(line)?))).collect()
}

/// `policy schema`.
pub fn schema() -> Exit {
    show::json(&policy::json_schema(), true);
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_effect_is_found_with_its_line() {
        let text = "tenant = \"t\"\n[directory.google]\n  audit_poll = \"5s\"\n# push = 1\n[directory.google.push]\n";
        assert_eq!(not_in_effect(text), [(3, "audit_poll"), (5, "push")]);
        assert_eq!(not_in_effect("push = { public_url = \"https://a.b\" }"), [(1, "push")]);
    }
}
