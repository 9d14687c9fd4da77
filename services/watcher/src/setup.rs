//! From a policy file to the directories that this process may watch.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::{DirectoryId, Side, TenantId};
use policy::{Directory, Policy};
use runtime::{Clock, Exit, Fault};

use crate::{Options, Reader, ReaderOptions};

/// The watcher's part of a target's API budget; its writer has the rest (DESIGN §7).
const SHARE_PERCENT: u8 = 20;

/// A directory of a tenant, ready to be watched.
#[derive(Debug, Clone)]
pub struct Place {
    /// The policy that names it.
    pub policy: Arc<Policy>,
    /// Which directory.
    pub directory: Directory,
    /// How to read it.
    pub reader: Reader,
}

impl Place {
    /// Whose.
    pub fn tenant(&self) -> &TenantId {
        &self.policy.tenant
    }

    /// Which.
    pub const fn id(&self) -> &DirectoryId {
        &self.directory.id
    }

    /// `source` or `target`: the side in metrics.
    pub const fn side(&self) -> &'static str {
        match self.directory.kind.side() {
            Side::Source => "source",
            Side::Target => "target",
        }
    }
}

/// The directories of one policy file that a rule names. Views stand for their organization, and are not read.
///
/// # Errors
/// When the file cannot be read or cannot be right, or a credential is not to be had.
pub fn places(file: &Path, clock: &Clock, options: &Options) -> Result<Vec<Place>, Fault> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|cause| {
        Fault::new("E0106", Exit::Usage, format!("the policy {shown} cannot be read: {cause}"))
            .help("check the path and that this process may read it")
    })?;
    let policy = Policy::parse(&text).map_err(|problems| {
        let name = shown.to_string();
        let problems = problems.render(&name);
        let message = format!("the policy {shown} cannot be right; nothing is read\n{problems}");
        Fault::new("E0114", Exit::Usage, message).help("correct what is named above, then run `rollcall policy check`")
    })?;
    let base = file.parent().unwrap_or(Path::new("."));
    let policy = Arc::new(policy);
    let mut places = Vec::new();
    for id in used_directories(&policy) {
        let Some(directory) = policy.directories.get(&id) else { continue };
        let whole = directory.kind.side() == Side::Source;
        let reader_options = ReaderOptions {
            clock: clock.clone(),
            share_percent: if whole { 100 } else { SHARE_PERCENT },
            limit: options.limit_of(&id),
            parallel: usize::from(options.parallel),
            timeout: options.read_timeout,
            sites: crate::reader::sites_of(&policy, directory),
        };
        let reader = Reader::connect_with(directory, base, &reader_options)?;
        places.push(Place { policy: Arc::clone(&policy), directory: directory.clone(), reader });
    }
    Ok(places)
}

/// The directories that a rule names.
pub fn used_directories(policy: &Policy) -> BTreeSet<DirectoryId> {
    let rules = policy.rules.iter().flat_map(|rule| rule.to.iter().chain([&rule.from]));
    let people = policy.provisions.iter().flat_map(|rule| [&rule.from, &rule.to]);
    rules.chain(people).cloned().collect()
}
