//! How a tenant stands: directories, targets, queues, what waits for a person, and whether it is in sync.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Query, State};
use contract::ops;
use model::{DirectoryId, Span, TenantId, Time};
use policy::{Directory, Policy, Schedule};
use serde::Deserialize;
use store::directory::DirectoryVersion;
use store::plan::{CaseRow, CaseState, Verdicts};
use store::show::{DirectoryReads, LaneBacklog};
use store::{Lease, Schema};

use crate::cases::{Beside, is_conflict};
use crate::failure::Failure;
use crate::gate::{Asker, TenantQuery};
use crate::state::Api;

const IN_SYNC: &str = "in-sync";
const DRIFTED: &str = "drifted";
const UNKNOWN: &str = "unknown";

/// What a writer said of an API budget is shown for so long: it says it every quarter of a minute.
const BUDGET_FRESH: Span = Span::from_secs(60);

/// What was read is part of a decision after a moment; where it is not after so long, nobody decides.
const DECIDED_WITHIN: Span = Span::from_secs(30);

/// What the reconciler stores about a directory, as far as it is shown. Its reading of a newer reconciler must not fail.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Stored {
    in_sync: bool,
    drifted: serde_json::Value,
    why_not: serde_json::Value,
    as_of: serde_json::Value,
    wanted: Option<String>,
    observed: Option<String>,
}

/// Everything that a tenant's status is made of.
#[derive(Debug)]
struct Facts {
    now: Time,
    versions: BTreeMap<DirectoryId, DirectoryVersion>,
    reads: BTreeMap<DirectoryId, DirectoryReads>,
    lanes: Vec<LaneBacklog>,
    leases: Vec<Lease>,
    held: Vec<CaseRow>,
    verdicts: Verdicts,
    stored: BTreeMap<DirectoryId, Stored>,
    budgets: BTreeMap<DirectoryId, f64>,
}

/// `GET /status`.
pub(crate) async fn show(
    State(api): State<Api>,
    Asker(person): Asker,
    Query(query): Query<TenantQuery>,
) -> Result<Json<ops::StatusList>, Failure> {
    let tenants = match query.tenant.as_deref() {
        Some(name) => vec![api.tenant(&person, Some(name))?],
        None => api.tenants(&person),
    };
    let mut outboxes = Vec::new();
    for (name, schema) in [("watcher", Schema::Directory), ("reconciler", Schema::Plan), ("writer", Schema::Effect)] {
        let (unpublished, oldest_seconds) = api.store().outbox_backlog(schema).await?;
        outboxes.push(ops::OutboxStatus { outbox: name.to_owned(), unpublished, oldest_seconds });
    }
    let mut all = Vec::new();
    for tenant in tenants {
        let policy = api.policy(&tenant).await?;
        let facts = Facts::load(&api, &tenant).await?;
        all.push(ops::Status { outboxes: outboxes.clone(), ..facts.status(&tenant, &policy) });
    }
    Ok(Json(ops::StatusList { tenants: all }))
}

impl Facts {
    async fn load(api: &Api, tenant: &TenantId) -> Result<Self, Failure> {
        let store = api.store();
        let now = api.now();
        let beside = Beside::load(api, tenant).await?;
        let open = [CaseState::Held, CaseState::Approved, CaseState::Rejected];
        let mut held = store.cases(tenant, &open).await?;
        held.retain(|row| beside.state(row) == CaseState::Held);
        let of_tenant = |lease: &Lease| lease.name.split('/').nth(1) == Some(tenant.as_str());
        let versions = store.directory_versions(tenant).await?.into_iter();
        let reads = store.directory_reads(tenant).await?.into_iter();
        let stored = store.sync_states(tenant).await?.into_iter();
        Ok(Self {
            now,
            versions: versions.map(|row| (row.directory.clone(), row)).collect(),
            reads: reads.map(|row| (row.directory.clone(), row)).collect(),
            lanes: store.lane_backlogs(tenant).await?,
            leases: store.leases().await?.into_iter().filter(of_tenant).collect(),
            held,
            verdicts: store.load_verdicts(tenant, now).await?,
            budgets: store.budgets(tenant, now.minus(BUDGET_FRESH)).await?,
            stored: stored.map(|row| (row.directory, serde_json::from_str(&row.body).unwrap_or_default())).collect(),
        })
    }

    fn status(&self, tenant: &TenantId, policy: &Policy) -> ops::Status {
        let targets: BTreeSet<&DirectoryId> = policy
            .rules
            .iter()
            .flat_map(|rule| &rule.to)
            .chain(policy.provisions.iter().map(|provision| &provision.to))
            .collect();
        let targets: Vec<ops::TargetStatus> =
            targets.into_iter().map(|target| self.target(tenant, policy, target)).collect();
        let sync = match targets.iter().map(|target| target.sync.as_str()).min_by_key(|sync| rank(sync)) {
            Some(worst) => worst,
            None => UNKNOWN,
        };
        let why_not = targets
            .iter()
            .flat_map(|target| target.why_not.iter().map(move |why| format!("{}: {why}", target.target)))
            .collect();
        ops::Status {
            tenant: tenant.to_string(),
            as_of: self.now.to_string(),
            directories: policy.directories.values().map(|directory| self.directory(tenant, directory)).collect(),
            held: self.held.len() as u64,
            conflicts: self.held.iter().filter(|row| is_conflict(&row.case)).count() as u64,
            schedule: match &policy.schedule {
                Schedule::Continuous => "continuous".to_owned(),
                Schedule::Manual => "manual".to_owned(),
                Schedule::Cron(cron) => format!("cron {cron}"),
            },
            last_sync_at: self.last_sync(policy).map(|at| at.to_string()),
            next_sync_at: self.next_sync(policy).map(|at| at.to_string()),
            dead_letters: self.verdicts.letters.len() as u64,
            in_sync: sync == IN_SYNC,
            why_not,
            sync: sync.to_owned(),
            outboxes: Vec::new(),
            leases: self
                .leases
                .iter()
                .map(|lease| ops::LeaseStatus {
                    name: lease.name.clone(),
                    holder: lease.holder.clone(),
                    epoch: lease.epoch.unsigned_abs(),
                })
                .collect(),
            targets,
        }
    }

    /// The oldest of the last complete reads of what the rules name; `None` while one is missing.
    fn last_sync(&self, policy: &Policy) -> Option<Time> {
        let reads = policy.used().into_iter().map(|id| self.reads.get(id).and_then(|reads| reads.complete_began_at));
        reads.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// When all is read and decided next by itself: at the strike, or with the next read of what the rules name.
    fn next_sync(&self, policy: &Policy) -> Option<Time> {
        match &policy.schedule {
            Schedule::Manual => None,
            Schedule::Cron(cron) => cron.next(self.now),
            Schedule::Continuous => {
                policy.used().into_iter().filter_map(|id| self.reads.get(id).and_then(|reads| reads.next_at)).min()
            }
        }
    }

    fn directory(&self, tenant: &TenantId, directory: &Directory) -> ops::DirectoryStatus {
        let (kind, directory) = (directory.kind, &directory.id);
        let version = self.versions.get(directory);
        let reads = self.reads.get(directory);
        let read_at = reads.and_then(|reads| reads.complete_began_at);
        ops::DirectoryStatus {
            directory: directory.to_string(),
            kind: kind.as_str().to_owned(),
            version: version.map_or(0, |row| row.version),
            complete_read_at: read_at.map(|at| at.to_string()),
            blind: version.is_some_and(|row| row.blind_since.is_some()),
            users: reads.map_or(0, |reads| reads.users),
            groups: reads.map_or(0, |reads| reads.groups),
            memberships: reads.map_or(0, |reads| reads.memberships),
            holder: self.holder(&format!("watcher/{tenant}/{directory}")),
            age_seconds: read_at.map(|at| at.until(self.now).to_std().as_secs()),
            next_read_at: reads.and_then(|reads| reads.next_at).map(|at| at.to_string()),
        }
    }

    fn holder(&self, lease: &str) -> Option<String> {
        self.leases.iter().find(|held| held.name == lease).map(|held| held.holder.clone())
    }

    fn target(&self, tenant: &TenantId, policy: &Policy, target: &DirectoryId) -> ops::TargetStatus {
        let lanes: Vec<&LaneBacklog> = self.lanes.iter().filter(|lane| &lane.target == target).collect();
        let held = self.held.iter().filter(|row| &row.target == target).count() as u64;
        let dead_letters = self.verdicts.letters.iter().filter(|letter| &letter.target == target).count() as u64;
        let paused = self.verdicts.paused.iter().find(|name| *name == "*" || *name == target.as_str());
        let stored = self.stored.get(target);
        let (sync, why_not) = self.sync(tenant, policy, target, held, dead_letters);
        ops::TargetStatus {
            target: target.to_string(),
            paused: paused.map(|name| if name == "*" { "every target is paused" } else { "paused" }.to_owned()),
            open_commands: lanes.iter().map(|lane| (lane.lane.clone(), lane.open)).collect(),
            drifted_groups: stored.map_or(0, |stored| count(&stored.drifted)),
            in_sync: sync == IN_SYNC,
            why_not,
            as_of: stored.and_then(|stored| time(&stored.as_of)),
            dead_letters,
            budget_remaining: self.budgets.get(target).copied(),
            sync: sync.to_owned(),
            lanes: lanes
                .iter()
                .map(|lane| ops::LaneStatus {
                    lane: lane.lane.clone(),
                    open: lane.open,
                    oldest_seconds: lane.oldest_at.until(self.now).to_std().as_secs(),
                })
                .collect(),
            held,
            // What is not known is not shown as if it were: both digests, or none.
            wanted_digest: stored.and_then(|stored| stored.wanted.clone()),
            observed_digest: stored.and_then(|stored| stored.observed.clone()),
            conflicts: self.held.iter().filter(|row| &row.target == target && is_conflict(&row.case)).count() as u64,
        }
    }

    /// In sync is said only when the digests were equal, nothing is held, open or in quarantine, and somebody is there
    /// who would have noticed otherwise. Whatever is not known is `unknown` and never `in-sync`.
    fn sync(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        target: &DirectoryId,
        held: u64,
        dead_letters: u64,
    ) -> (&'static str, Vec<String>) {
        let mut unknown = Vec::new();
        let stored = self.stored.get(target);
        if stored.is_none() {
            unknown.push("nothing was decided yet".to_owned());
        }
        if stored.is_some_and(|stored| time(&stored.as_of).is_none()) {
            unknown.push("one side was never read completely".to_owned());
        }
        if self.holder(&format!("reconciler/{tenant}")).is_none() {
            unknown.push("no reconciler runs".to_owned());
        }
        let sources = policy.rules.iter().filter(|rule| rule.to.contains(target)).map(|rule| &rule.from);
        let provisions = policy.provisions.iter().filter(|each| &each.to == target).map(|each| &each.from);
        let both: BTreeSet<&DirectoryId> = sources.chain(provisions).chain([target]).collect();
        unknown.extend(both.iter().flat_map(|directory| self.unseen(tenant, policy, directory)));
        // What the digests rest on is as old as the oldest read of any group: it may be the slowest directory's.
        let slowest = both.iter().filter_map(|id| policy.directories.get(*id)).max_by_key(|known| known.stale_after());
        let as_of = stored.and_then(|stored| moment(&stored.as_of));
        if as_of.is_some() && slowest.is_some_and(|slowest| !self.is_fresh(as_of, slowest)) {
            unknown.push("some group was not read for two intervals".to_owned());
        }
        let open: u64 = self.lanes.iter().filter(|lane| &lane.target == target).map(|lane| lane.open).sum();
        let mut differs = stored.map_or_else(Vec::new, |stored| reasons(&stored.why_not));
        for (count, what) in
            [(held, "cases are held"), (open, "commands are open"), (dead_letters, "dead letters are open")]
        {
            if count > 0 {
                differs.push(format!("{count} {what}"));
            }
        }
        let equal = stored.is_some_and(|stored| stored.in_sync) && held + open + dead_letters == 0;
        if !unknown.is_empty() {
            unknown.append(&mut differs);
            return (UNKNOWN, unknown);
        }
        if equal { (IN_SYNC, Vec::new()) } else { (DRIFTED, differs) }
    }

    /// Why nobody can know how this directory is now, or what it means: it is not looked at, or what was seen there is
    /// part of no decision. A reconciler that has the tenant may still be loading it, or fail at that again and again.
    fn unseen(&self, tenant: &TenantId, policy: &Policy, directory: &DirectoryId) -> Vec<String> {
        let mut unseen = Vec::new();
        let version = self.versions.get(directory);
        if version.is_some_and(|row| row.blind_since.is_some()) {
            unseen.push(format!("{directory} cannot be read now"));
        }
        if self.holder(&format!("watcher/{tenant}/{directory}")).is_none() {
            unseen.push(format!("no watcher looks at {directory}"));
        }
        let lists = self.reads.get(directory).and_then(|reads| reads.lists_began_at);
        if policy.directories.get(directory).is_some_and(|known| !self.is_fresh(lists, known)) {
            unseen.push(format!("{directory} was not read for two intervals"));
        }
        let undecided = version.and_then(|row| row.undecided_since);
        if let Some(since) = undecided.filter(|since| *since < self.now.minus(DECIDED_WITHIN)) {
            unseen.push(format!("what was read of {directory} since {since} is not decided yet"));
        }
        unseen
    }

    /// Whether a read that began then is not older than two intervals of this directory.
    fn is_fresh(&self, at: Option<Time>, directory: &Directory) -> bool {
        at.is_some_and(|at| at >= self.now.minus(directory.stale_after()))
    }
}

/// The worst first.
fn rank(sync: &str) -> u8 {
    match sync {
        UNKNOWN => 0,
        DRIFTED => 1,
        _ => 2,
    }
}

/// A number, or how many there are in a list.
fn count(value: &serde_json::Value) -> u64 {
    value.as_array().map_or_else(|| value.as_u64().unwrap_or(0), |list| list.len() as u64)
}

/// A text, or each text of a list.
fn reasons(value: &serde_json::Value) -> Vec<String> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Null | serde_json::Value::String(_) => None,
        other => Some(other.to_string()),
    };
    match value {
        serde_json::Value::Array(list) => list.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

/// A time as the reconciler stores it: microseconds, or a text already.
fn time(value: &serde_json::Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| moment(value).map(|at| at.to_string()))
}

/// A time that is stored in microseconds.
fn moment(value: &serde_json::Value) -> Option<Time> {
    value.as_i64().map(Time).filter(|at| *at > Time::NEVER)
}
