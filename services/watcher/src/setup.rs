//! From a policy file to the directories that this process may watch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{DirectoryId, Side, Span, TenantId};
use policy::{Directory, Policy, Settings};
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

/// Whom one policy file makes us watch.
#[derive(Debug)]
pub struct Tenant {
    /// What the file says.
    pub policy: Arc<Policy>,
    /// The folder that its secrets are relative to.
    pub base: PathBuf,
    /// The directories that a rule names, ready to be read. Views stand for their organization, and are not read.
    pub places: BTreeMap<DirectoryId, (Way, Place)>,
}

/// Reads a policy file at the start, where one that cannot be right, or whose credentials are not to be had, ends the
/// process.
///
/// # Errors
/// When the file cannot be read or cannot be right, or a credential is not to be had.
pub fn tenant(file: &Path, clock: &Clock, options: &Options) -> Result<Tenant, Fault> {
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
    let (base, policy) = (file.parent().unwrap_or(Path::new(".")).to_owned(), Arc::new(policy));
    let mut places = BTreeMap::new();
    for (id, way) in ways(&policy) {
        let place = open(&policy, &way, &base, clock, options)?;
        places.insert(id, (way, place));
    }
    Ok(Tenant { policy, base, places })
}

/// All that a reader is made of. A directory whose way changes is another reader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    directory: Directory,
    /// Sites that show the groups of the organization.
    sites: Vec<Directory>,
    /// Attributes of accounts that entries map to it.
    attributes: BTreeSet<String>,
}

impl Way {
    /// Of which directory.
    pub(crate) const fn id(&self) -> &DirectoryId {
        &self.directory.id
    }
}

/// The way to each directory that a rule names.
pub fn ways(policy: &Policy) -> BTreeMap<DirectoryId, Way> {
    let used = policy.used().into_iter().filter_map(|id| policy.directories.get(id));
    used.map(|directory| {
        let sites = crate::reader::sites_of(policy, directory).iter().map(as_reached).collect();
        let attributes = crate::reader::attributes_of(policy, directory);
        (directory.id.clone(), Way { directory: as_reached(directory), sites, attributes })
    })
    .collect()
}

/// A directory without what changes no way to it: how often it is read, how far its reads lag, where hints come from. That
/// is heeded as it changes.
fn as_reached(directory: &Directory) -> Directory {
    let mut reached = Directory { lag: Span::ZERO, sweep_every: Span::ZERO, ..directory.clone() };
    if let Settings::Google { audit_poll, push, .. } = &mut reached.settings {
        (*audit_poll, *push) = (Span::ZERO, None);
    }
    reached
}

/// Opens a directory for reading. Asks nothing of the vendor yet.
///
/// # Errors
/// When a credential is not to be had, or an address cannot be used.
pub fn open(policy: &Arc<Policy>, way: &Way, base: &Path, clock: &Clock, options: &Options) -> Result<Place, Fault> {
    let directory = policy.directories.get(&way.directory.id).unwrap_or(&way.directory).clone();
    let whole = directory.kind.side() == Side::Source;
    let reader_options = ReaderOptions {
        clock: clock.clone(),
        share_percent: if whole { 100 } else { SHARE_PERCENT },
        limit: options.limit_of(&directory.id),
        parallel: usize::from(options.parallel),
        timeout: options.read_timeout,
        sites: way.sites.clone(),
        attributes: way.attributes.clone(),
    };
    let reader = Reader::connect_with(&directory, base, &reader_options)?;
    Ok(Place { policy: Arc::clone(policy), directory, reader })
}
