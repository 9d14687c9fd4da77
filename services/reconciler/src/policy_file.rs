//! The policy file: read at the start, looked at again while running.

use std::path::Path;

use model::Digest;
use policy::Policy;
use runtime::{Exit, Fault};

/// A policy with the text that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    pub(crate) text: String,
}

/// Reads a policy file at the start, where one that cannot be right ends the process.
///
/// # Errors
/// E0106 when the file cannot be read, E0114 when it cannot be right; both are usage errors.
pub(crate) fn read(file: &Path) -> Result<Loaded, Fault> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|cause| {
        Fault::new("E0106", Exit::Usage, format!("the policy {shown} cannot be read: {cause}"))
            .help("check the path and that this process may read it")
    })?;
    let policy = Policy::parse(&text).map_err(|problems| {
        let name = shown.to_string();
        let problems = problems.render(&name);
        let message = format!("the policy {shown} cannot be right; nothing is decided\n{problems}");
        Fault::new("E0114", Exit::Usage, message).help("correct what is named above, then run `rollcall policy check`")
    })?;
    for note in &policy.notes {
        let (line, code) = (note.line, note.code.as_str());
        tracing::warn!(code, line, "the policy says what has no effect: {}; {}", note.message, note.help);
    }
    Ok(Loaded { policy, text })
}

/// What a look at the file found.
#[derive(Debug)]
pub(crate) enum Look {
    /// The text that was seen last, or nothing that can be read: the running policy stays.
    Same,
    /// A text that cannot be right. Its hash, and why.
    Wrong(Digest, String),
    /// Another policy.
    New(Box<Loaded>),
}

/// Looks at the file again. `seen` is the hash of the text that was judged last.
pub(crate) fn look(file: &Path, seen: Digest) -> Look {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(%error, "the policy file cannot be read; the running policy stays");
            return Look::Same;
        }
    };
    let hash = Digest::of(text.as_bytes());
    if hash == seen {
        return Look::Same;
    }
    match Policy::parse(&text) {
        Ok(policy) => Look::New(Box::new(Loaded { policy, text })),
        Err(problems) => Look::Wrong(hash, problems.to_string()),
    }
}
