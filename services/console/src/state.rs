//! What every request works with, and whose request it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use model::{Digest, TenantId, Time};
use policy::Policy;
use runtime::Clock;
use runtime::metrics::Metrics;
use store::Store;
use store::audit::AuditEntry;
use store::console::Decider;
use tokio::sync::Mutex;

use crate::explain::Brain;
use crate::failure::Failure;
use crate::tokens::{Person, TokenFile};

/// How long a wake may take. Rows are the truth; whoever does not hear it looks by itself within seconds.
const WAKE_WITHIN: Duration = Duration::from_millis(500);

/// What every request works with. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) tokens: TokenFile,
    /// `Host` headers that are ours, in lower case.
    pub(crate) hosts: Vec<String>,
    /// The policies that the process was started with, by tenant.
    pub(crate) policies: BTreeMap<TenantId, Arc<Policy>>,
    /// The newest policy that the reconciler put in force, by tenant.
    in_force: Mutex<BTreeMap<TenantId, (Digest, Arc<Policy>)>>,
    /// What explaining knows, by tenant.
    pub(crate) brains: Mutex<BTreeMap<TenantId, Brain>>,
}

impl Api {
    /// Puts the parts together.
    pub(crate) fn new(
        store: Store,
        bus: Bus,
        clock: Clock,
        metrics: Metrics,
        tokens: TokenFile,
        hosts: Vec<String>,
        policies: BTreeMap<TenantId, Arc<Policy>>,
    ) -> Self {
        let (in_force, brains) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { store, bus, clock, metrics, tokens, hosts, policies, in_force, brains }) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn now(&self) -> Time {
        Time(self.inner.clock.now_micros())
    }

    /// The tenants that a person may see, by id.
    pub(crate) fn tenants(&self, person: &Person) -> Vec<TenantId> {
        let may = |tenant: &&TenantId| person.tenants.as_ref().is_none_or(|theirs| theirs.contains(tenant));
        self.inner.policies.keys().filter(may).cloned().collect()
    }

    /// The tenant that a request is about: the one that it names, or the only one there is.
    pub(crate) fn tenant(&self, person: &Person, named: Option<&str>) -> Result<TenantId, Failure> {
        let mut theirs = self.tenants(person);
        match named {
            Some(name) => theirs.into_iter().find(|tenant| tenant.as_str() == name).ok_or_else(Failure::forbidden),
            None if theirs.len() == 1 => theirs.pop().ok_or_else(Failure::forbidden),
            None => Err(Failure::usage("say which tenant: there are several").help("add ?tenant=NAME")),
        }
    }

    /// The policy in force: the newest that the reconciler loaded, else the file that this process was started with.
    pub(crate) async fn policy(&self, tenant: &TenantId) -> Result<Arc<Policy>, Failure> {
        let file = self.inner.policies.get(tenant).ok_or_else(Failure::forbidden)?;
        let Some(row) = self.store().last_policy(tenant).await? else { return Ok(Arc::clone(file)) };
        if row.hash == file.hash {
            return Ok(Arc::clone(file));
        }
        let mut in_force = self.inner.in_force.lock().await;
        if let Some((hash, policy)) = in_force.get(tenant)
            && *hash == row.hash
        {
            return Ok(Arc::clone(policy));
        }
        let Ok(policy) = Policy::parse(&row.body).map(Arc::new) else {
            tracing::warn!(event.name = "rollcall.console.policy", %tenant, "the policy in force cannot be read; using the file");
            return Ok(Arc::clone(file));
        };
        in_force.insert(tenant.clone(), (row.hash, Arc::clone(&policy)));
        Ok(policy)
    }

    /// A decision of a person, now.
    pub(crate) fn decider(&self, person: &Person, reason: &str) -> Decider {
        Decider { actor: person.name.clone(), reason: reason.trim().to_owned(), at: self.now() }
    }

    /// Writes into the audit chain that somebody tried what they may not, and gives the failure back.
    pub(crate) async fn refuse(&self, tenant: &TenantId, person: &Person, what: &str, failure: Failure) -> Failure {
        let entry = AuditEntry {
            at: self.now(),
            actor: person.name.clone(),
            verb: "request.refused".to_owned(),
            key: what.to_owned(),
            before: Vec::new(),
            after: failure.code.as_bytes().to_vec(),
            cause: format!("role {}", person.role.as_str()),
        };
        match self.store().append_audit(tenant, &[entry]).await {
            Ok(()) => failure,
            Err(error) => Failure::from(error),
        }
    }

    /// Tells the tenant's reconciler to look now. A hint: it looks by itself every few seconds.
    pub(crate) async fn wake(&self, tenant: &TenantId) {
        if let Err(error) = self.inner.bus.ask(tenant, "wake", Vec::new(), WAKE_WITHIN).await {
            tracing::debug!(event.name = "rollcall.console.wake", %tenant, %error, "nobody heard the wake");
        }
    }
}
