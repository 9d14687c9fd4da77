//! Plays the watcher of the source: commits changes as they arrive, all that wait as one batch, with their events.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, OrderedRelay, Outlet, outgoing};
use contract::{DirectoryEvent, EventKind};
use harness::eventually;
use model::{AccountId, DirectoryId, GroupId, Member, MemberKind, MembersRead, Reading, Role, TenantId, Time};
use store::directory::{Committed, DirectoryKey, Pass};
use store::{Lease, OutboxMessage, Schema, Store};
use tokio_util::sync::CancellationToken;

use crate::{
    company::{Join, group, person},
    stack::Stack,
};

/// The source's watcher, played.
pub(crate) struct Feed {
    store: Store,
    key: DirectoryKey,
    lease: Lease,
    outlet: Outlet,
    stop: CancellationToken,
}

impl Feed {
    /// Takes the source over from the watcher, which must have been stopped.
    pub(crate) async fn start(stack: &Stack) -> Result<Self> {
        let store = stack.store(store::Role::Watcher).await?;
        let (tenant, workspace) = (TenantId::new("bench")?, DirectoryId::new("workspace")?);
        let key = store.directory(&tenant, &workspace).await?;
        let name = format!("watcher/{tenant}/{workspace}");
        let lease = eventually(Duration::from_secs(30), "the lease of the source", async || {
            Ok(store.acquire(&name, "bench", Duration::from_hours(1), Duration::ZERO).await?)
        })
        .await?;
        let bus = Bus::connect(&stack.nats.url(), "bench").await?;
        let (outlet, stop) = (Outlet::default(), CancellationToken::new());
        let relay = OrderedRelay {
            bus,
            store: store.clone(),
            schema: Schema::Directory,
            lease: lease.clone(),
            topic: key.topic(),
            outlet: outlet.clone(),
        };
        tokio::spawn(relay.run(stop.clone()));
        Ok(Self { store, key, lease, outlet, stop })
    }

    /// Commits changes that wait, each a reading of its own unless they are of one group. Gives when that was done.
    pub(crate) async fn commit(&self, joins: &[Join]) -> Result<i64> {
        let readings = readings(joins)?;
        let announce = |committed: &Committed| self.announce(committed);
        let pass = Pass::Targeted;
        let mut committed =
            self.store.commit_readings(Some(&self.lease), &self.key, pass, &readings, None, announce).await?;
        let at = runtime::clock::now_micros();
        self.outlet.hand(std::mem::take(&mut committed.messages));
        anyhow::ensure!(
            committed.members_added == joins.len() as u64,
            "{} of {} began",
            committed.members_added,
            joins.len()
        );
        Ok(at)
    }

    fn announce(&self, committed: &Committed) -> Vec<OutboxMessage> {
        let event = DirectoryEvent {
            tenant: self.key.tenant.clone(),
            directory: self.key.directory.clone(),
            version: committed.version,
            kind: EventKind::Members,
            ids: committed.member_groups.iter().map(ToString::to_string).collect(),
        };
        vec![outgoing::event(&event, None)]
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One reading for each run of changes of one group.
fn readings(joins: &[Join]) -> Result<Vec<Reading>> {
    let at = Time(runtime::clock::now_micros());
    let mut readings: Vec<Reading> = Vec::new();
    let mut last = None;
    for join in joins {
        let member = Member { kind: MemberKind::User(AccountId::new(person(join.person))?), role: Role::Member };
        if last != Some(join.group) {
            let mut reading = Reading::begun(at);
            reading.ended_at = at;
            let id = GroupId::new(group(join.group))?;
            reading.members.push(MembersRead { group: id, seen: Vec::new(), complete: false, began_at: at });
            readings.push(reading);
            last = Some(join.group);
        }
        let read = readings.last_mut().and_then(|reading| reading.members.last_mut()).context("a reading was begun")?;
        read.seen.push(member);
    }
    Ok(readings)
}
