//! One tenant: taken over when its lease is free, loaded, and turned until the lease or the process ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bus::{ControlRequest, Intake};
use model::{Span, TenantId, Time};
use planner::Decision;
use policy::Policy;
use runtime::spans::{self, Cause, Whose};
use runtime::{Clock, health::LoopHandle, metrics};
use store::plan::{PolicyRow, PolicyState, SyncAsked, SyncTaken, Turn};
use store::{Lease, StoreError};
use tracing::Instrument as _;

use crate::{
    Shared, mirror,
    policy_file::Loaded,
    state::State,
    sweep::{self, PolicyWatch},
    tenure::Tenure,
    turn::{self, Told, Turned},
    wake::{Alarm, Woken},
};

/// How long to wait before a lease is asked for again, and after a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// How things stand is said so often at most while they change: it costs a look at every group, and a commit.
const REPORT_AFTER: Duration = Duration::from_millis(250);
/// How long a request to synchronize lets new decisions go where the schedule alone would not.
const ASKED_FOR: Span = Span::from_secs(300);

/// Serves a tenant for as long as the process lives.
pub(crate) async fn serve(shared: Arc<Shared>, file: PathBuf, loaded: Loaded) {
    let tenant = loaded.policy.tenant.clone();
    let report = shared.health.register_loop(&format!("reconcile/{tenant}"));
    // Pauses that came over the bus outlive a reload, as far as this process goes.
    let mut paused = BTreeSet::new();
    while !shared.shutdown.has_begun() {
        let name = format!("reconciler/{tenant}");
        match Tenure::acquire(&shared.store, &name, &shared.holder, shared.options.lease).await {
            Ok(Some(tenure)) => {
                tracing::info!(rollcall.org = tenant.as_str(), "this reconciler has the tenant");
                let keeper = tenure.clone();
                let keeping = shared.shutdown.spawn(async move { keeper.keep().await });
                let held = Box::pin(hold(&shared, &tenure, &file, &loaded, &mut paused, &report));
                if let Err(error) = held.await {
                    tracing::warn!(%error, rollcall.org = tenant.as_str(), "a turn failed; the tenant is loaded again");
                    report.finished(Err(error.to_string()), None);
                }
                tenure.give_up().await;
                if keeping.await.is_err() {
                    tracing::debug!("the keeper of a lease was dropped");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, rollcall.org = tenant.as_str(), "cannot ask for the tenant's lease"),
        }
        tokio::select! {
            () = shared.shutdown.begun() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
    report.ended();
}

/// What a tenure works with.
struct Session<'a> {
    shared: &'a Shared,
    lease: &'a Lease,
    state: State,
    watch: PolicyWatch,
    /// When something new was last decided, for schedules.
    decided_at: Option<Time>,
    /// Nothing that was asked for was looked at yet.
    is_new: bool,
    /// Until when a person's request to synchronize, or a strike of the schedule, holds: what is read for it, and what
    /// it makes before it can be filled, takes its time.
    asked_until: Time,
    /// The newest request that was taken up.
    request: u64,
    /// What was decided last, and whether the second opinion agreed.
    last: Option<(Decision, bool)>,
    /// When it was last said how things stand, and whether they have changed since.
    reported_at: tokio::time::Instant,
    unreported: bool,
    /// What loading found out, to be committed with the first turn.
    begun: Turn,
}

/// Turns until the tenure or the process ends.
async fn hold(
    shared: &Shared,
    tenure: &Tenure,
    file: &std::path::Path,
    loaded: &Loaded,
    paused: &mut BTreeSet<String>,
    report: &LoopHandle,
) -> Result<(), StoreError> {
    let mut session = open(shared, tenure.lease(), loaded).await?;
    session.state.paused.clone_from(paused);
    let tenant = &session.state.tenant;
    let intakes = vec![Intake::directory_events(tenant), Intake::outcomes(tenant)];
    shared.shutdown.spawn(shared.bus.clone().tell_waiting(intakes, tenure.over().clone()));
    let mut alarm = Alarm::set(shared, tenant, tenure.over());
    let mut more = false;
    loop {
        let mut woken = if more {
            Woken::default()
        } else {
            tokio::select! {
                () = tenure.over().cancelled() => return Ok(()),
                () = shared.shutdown.begun() => return Ok(()),
                woken = alarm.next() => woken,
                () = session.report_due() => {
                    session.report().await?;
                    if session.has_drifted() {
                        return Ok(());
                    }
                    continue;
                }
            }
        };
        report.started(woken.why());
        let requests = std::mem::take(&mut woken.requests);
        if woken.tick || !requests.is_empty() {
            session.take_requests().await?;
        }
        for request in &requests {
            session.heed(request.verb(), request.body());
        }
        paused.clone_from(&session.state.paused);
        if woken.tick {
            let now = now(&shared.clock);
            sweep::policy(&shared.store, &mut session.state, &mut session.watch, file, now).await?;
        }
        let (span, turned) = session.turn(&woken).await;
        let mut turned = turned?;
        shared.outlet.hand(std::mem::take(&mut turned.messages));
        more = turned.more;
        let tick = woken.tick;
        // Everything is committed: what woke us may be forgotten.
        woken.settle().instrument(span).await;
        answer(requests).await;
        let words = turned.words();
        let before = session.last.replace((turned.decision, turned.agreed));
        let changed =
            turned.rows > 0 || turned.outcomes > 0 || before.is_some_and(|(_, agreed)| agreed != turned.agreed);
        if tick {
            session.report().await?;
            if session.has_drifted() {
                return Ok(());
            }
        } else if changed {
            session.unreported = true;
        }
        report.finished(Ok(words), None);
    }
}

/// Says to whoever asked that it is taken up.
async fn answer(requests: Vec<ControlRequest>) {
    for request in requests {
        if let Err(error) = request.answer(br#"{"schema":"rollcall.control/1","ok":true}"#.to_vec()).await {
            tracing::debug!(%error, "nobody waits for the answer any more");
        }
    }
}

/// Loads a tenant. The policy in force is the one that was loaded last; the file's takes its place if it may.
async fn open<'a>(shared: &'a Shared, lease: &'a Lease, loaded: &Loaded) -> Result<Session<'a>, StoreError> {
    let tenant: &TenantId = &loaded.policy.tenant;
    let now = now(&shared.clock);
    let rows = shared.store.load_memory(tenant, now).await?;
    let before = shared.store.last_policy(tenant).await?;
    let running = before.and_then(|row| Policy::parse(&row.body).ok()).filter(|policy| &policy.tenant == tenant);
    let hash = loaded.policy.hash;
    let (policy, waiting) = match running {
        Some(running) if running.hash != hash => (running, Some(loaded.clone())),
        Some(running) => (running, None),
        None => {
            let (state, note) = (PolicyState::Loaded, String::new());
            let row = PolicyRow { hash, body: loaded.text.clone(), loaded_at: now, state, note };
            shared.store.keep_policy(tenant, &row, &[sweep::audit(now, "policy.loaded", hash)]).await?;
            (loaded.policy.clone(), None)
        }
    };
    let mut state = State::new(tenant.clone(), Arc::new(policy), rows, now);
    // Before the first look at the policy file, whose guard counts groups.
    let mut begun = Turn::default();
    let newest = shared.store.directory_versions(tenant).await?;
    let read = mirror::advance(&shared.store, &mut state, newest, BTreeMap::new(), now, &mut begun).await?;
    tracing::info!(rollcall.org = tenant.as_str(), rows = read, "the mirrors are in memory");
    let watch = PolicyWatch { seen: hash, waiting };
    Ok(Session {
        shared,
        lease,
        state,
        watch,
        decided_at: None,
        is_new: true,
        asked_until: Time::NEVER,
        request: 0,
        last: None,
        reported_at: runtime::clock::monotonic().into(),
        unreported: false,
        begun,
    })
}

fn now(clock: &Clock) -> Time {
    Time(clock.now_micros())
}

impl Session<'_> {
    /// Heeds a request of a person.
    fn heed(&mut self, verb: &str, body: &[u8]) {
        let named = std::str::from_utf8(body).unwrap_or_default().trim().trim_matches('"');
        let target = if named.is_empty() { "*" } else { named };
        match verb {
            "pause" => {
                self.state.paused.insert(target.to_owned());
            }
            "resume" if target == "*" => self.state.paused.clear(),
            "resume" => {
                self.state.paused.remove(target);
            }
            "sync" => self.let_go_for_a_while(now(&self.shared.clock)),
            "apply" => {
                let until = now(&self.shared.clock).plus(ASKED_FOR);
                self.state.applied.let_go(named, until);
            }
            _ => {}
        }
    }

    /// Lets new decisions go for a while; that is committed with the turn, so that who takes over goes on with it.
    fn let_go_for_a_while(&mut self, now: Time) {
        self.asked_until = now.plus(ASKED_FOR);
        self.begun.sync_taken = Some(SyncTaken { request: self.request, until: self.asked_until });
    }

    /// Takes up what was asked for, whether a message told it or not: who asked may have come before us.
    async fn take_requests(&mut self) -> Result<(), StoreError> {
        let SyncAsked { newest, taken } = self.shared.store.sync_asked(&self.state.tenant).await?;
        self.asked_until = self.asked_until.max(taken.until);
        // What was due while nobody decided is due now.
        if std::mem::take(&mut self.is_new) && taken.until > Time::NEVER {
            self.decided_at = Some(taken.until.minus(ASKED_FOR));
        }
        self.request = self.request.max(taken.request);
        if newest > self.request {
            self.request = newest;
            self.let_go_for_a_while(now(&self.shared.clock));
        }
        Ok(())
    }

    /// One turn, with its span: a child of what woke it if that is one trace, else linked to all of them. It is linked, too,
    /// to what it finds before the message comes that tells of it; where no message woke it, that is what it is a child of,
    /// and the span begins when it is found.
    async fn turn(&mut self, woken: &Woken) -> (tracing::Span, Result<Turned, StoreError>) {
        let now = now(&self.shared.clock);
        let asked = now < self.asked_until;
        let policy = self.state.planner.policy();
        let strikes = matches!(policy.schedule, policy::Schedule::Cron(_));
        if !strikes {
            self.decided_at = None;
        }
        let first = strikes && self.decided_at.is_none();
        let due = sweep::is_due(&policy.schedule, &mut self.decided_at, now, asked);
        if first && self.begun.sync_taken.is_none() {
            // From here on strikes are counted, also by who takes over.
            self.begun.sync_taken = Some(SyncTaken { request: self.request, until: now });
        }
        if due && !asked && strikes {
            // A strike holds like a person's request: what it makes (groups, accounts) is also filled.
            self.let_go_for_a_while(now);
        }
        let begun = std::mem::take(&mut self.begun);
        let began = runtime::clock::monotonic();
        let (outcomes, versions) = (woken.outcome_of(), woken.versions());
        let told = Told {
            outcomes: outcomes.as_slice(),
            everything: woken.looks_itself(),
            versions: versions.as_slice(),
            trouble: woken.trouble(),
        };
        let span = woken.span(&self.state.tenant);
        let taken = turn::take_in(&self.shared.store, &mut self.state, told, begun, now)
            .instrument(span.clone().unwrap_or_else(tracing::Span::none))
            .await;
        let untold: Vec<&str> = taken.iter().flat_map(|taken| &taken.untold).map(String::as_str).collect();
        let span = span.inspect(|span| spans::link(span, untold.iter().copied()));
        let whose = Whose::of(self.state.tenant.as_str(), "");
        let span = span.unwrap_or_else(|| spans::decide(whose, Cause::Flows(&untold)));
        let turned = match taken {
            Ok(taken) => {
                turn::decide(&self.shared.store, self.lease, &mut self.state, taken, now, due)
                    .instrument(span.clone())
                    .await
            }
            Err(error) => Err(error),
        };
        if let Some(number) = turned.as_ref().ok().and_then(|turned| turned.decision.plan.number) {
            spans::planned(&span, number);
        }
        let error = if turned.is_ok() { "" } else { "store" };
        if !error.is_empty() {
            spans::failed(&span, error);
        }
        for stream in woken.streams() {
            metrics::process().messaging_process("process", stream, error, began.elapsed());
        }
        (span, turned)
    }

    /// Waits until it is time to say how things stand; for ever if nothing has changed.
    async fn report_due(&self) {
        if !self.unreported {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(self.reported_at + REPORT_AFTER).await;
    }

    /// Holds what came in against the watchers' digests. Says whether the mirrors have to be loaded anew.
    fn has_drifted(&mut self) -> bool {
        mirror::prove(&mut self.state) == mirror::Proof::Drifted
    }

    /// Says how things stand.
    async fn report(&mut self) -> Result<(), StoreError> {
        let now = now(&self.shared.clock);
        (self.unreported, self.reported_at) = (false, runtime::clock::monotonic().into());
        let Some((decision, agreed)) = &self.last else { return Ok(()) };
        let decided = (decision, *agreed);
        sweep::report(&self.shared.store, self.lease, &mut self.state, decided, metrics::process(), now).await
    }
}
