//! A twin, runners for its three kinds of target, and a ledger that remembers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use effect::{
    Admission, Answered, Call, ConfluenceWriter, CustomersWriter, DcProduct, DcWriter, Finished, JiraWriter, Job,
    Ledger, LedgerError, ListKind, OrgWriter, Patience, Runner, ScimWriter, Target, What,
};
use model::{
    Access, AccountId, Command, CommandBody, CommandId, DirectoryId, EdgeChange, EdgeOp, Generation, GroupId, Lane,
    Span, TenantId, Time,
};
use outbound::{Budget, Client, ClientConfig, Clock, Credential};
use twin::engine::{
    credentials::Secret,
    fault::{Fault, FaultKind},
};
use twin::world::atlassian::{BaseKey, DIRECTORY, ORGANIZATION, SCIM_DIRECTORY};

const PEOPLE: usize = 300;
pub(crate) const SITE: &str = "own";
const TOKEN: &str = "own-token";
const ORG_CALLS: &str = "atlassian.org";

/// A ledger in memory: what was admitted, what it was told, which generations it knows.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) admitted: Mutex<Vec<Call>>,
    pub(crate) generations: Mutex<BTreeMap<String, Generation>>,
}

impl Ledger for Memory {
    async fn admit(&self, call: &Call) -> Result<Admission, LedgerError> {
        self.admitted.lock().unwrap().push(call.clone());
        let generations = self.generations.lock().unwrap();
        let current = |object: String, of: Generation| generations.get(&object).copied().unwrap_or(0) <= of;
        let allowed = match &call.what {
            What::Edges { group, generation, edges } => edges
                .iter()
                .map(|(account, _, person)| {
                    current(format!("group/{group}"), *generation) && current(format!("account/{account}"), *person)
                })
                .collect(),
            What::Account { person, generation, .. } => vec![current(format!("person/{person}"), *generation)],
            What::CreateGroup { .. } | What::DeleteGroup { .. } | What::GrantAccess { .. } => vec![true],
        };
        Ok(Admission { allowed, not_now: false })
    }

    async fn answered(&self, _: &Call, _: &Answered) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// What attempts are called: one after the other.
fn next_id() -> uuid::Uuid {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    uuid::Uuid::from_u128(u128::from(LAST.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) + 1)
}

pub(crate) struct World {
    pub(crate) twin: twin::Running,
    pub(crate) ledger: Arc<Memory>,
    next: std::sync::atomic::AtomicU64,
}

impl World {
    /// Three hundred people with accounts in an organization, a provisioning directory and a site that owns its groups.
    pub(crate) async fn start() -> Self {
        let config = twin::Config { quotas: false, ..twin::Config::default() };
        let twin = twin::Twin::start(config).await.unwrap();
        let users: Vec<_> = (0..PEOPLE)
            .map(|n| serde_json::json!({ "id": format!("u{n:03}"), "email": email(n), "given_name": "P", "family_name": "Q" }))
            .collect();
        let accounts: Vec<_> = (0..20).map(|n| serde_json::json!({ "email": email(n), "site": SITE })).collect();
        let world = serde_json::json!({
            "format": "twin-world/1",
            "snapshot": { "format": "orgdir-snapshot/1", "users": users, "groups": [] },
            "atlassian": [
                { "op": "load", "sites": [{ "name": SITE, "cloud_id": "c-1" }] },
                { "op": "load", "accounts": accounts },
                { "op": "load", "desks": [{ "site": SITE, "key": "HELP", "name": "Help" }] },
                { "op": "load", "customer_organizations": [
                    { "site": SITE, "name": "Partners" }, { "site": SITE, "name": "Synced", "scim_managed": true }] },
            ],
        });
        twin.twin.load(world.to_string().as_bytes()).unwrap();
        twin.twin.engine.credentials().secrets.push(Secret {
            kind: "jira".to_owned(),
            realm: SITE.to_owned(),
            principal: "sync@example.com".to_owned(),
            secret: TOKEN.to_owned(),
            scopes: std::collections::BTreeSet::new(),
            expires_at: None,
            revoked: false,
        });
        Self { twin, ledger: Arc::default(), next: 1.into() }
    }

    fn client(base: &str, credential: Credential) -> Client {
        Self::client_with(base, credential, outbound::default_sense)
    }

    fn client_with(base: &str, credential: Credential, sense: fn(&outbound::Answer) -> outbound::Sense) -> Client {
        let limits = vec![outbound::Allowance { calls: 1_000_000, per: Span::from_secs(1) }];
        let budget = Budget::declared("test", limits, 100, 16, Clock::real());
        let mut config = ClientConfig::new("test", base, credential, budget, Clock::real());
        config.timeout = Duration::from_secs(5);
        config.sense = sense;
        Client::new(config).unwrap()
    }

    fn runner(&self, target: Target) -> Runner<Memory> {
        let patience =
            Patience { wait: Span::from_millis(20), wait_max: Span::from_millis(200), ..Patience::default() };
        Runner::new(target, Arc::clone(&self.ledger), patience, |wait| wait, next_id)
    }

    pub(crate) fn org(&self) -> Runner<Memory> {
        self.org_as("twin-org-key")
    }

    pub(crate) fn org_as(&self, key: &str) -> Runner<Memory> {
        let key = Credential::Bearer(key.into());
        let client = Self::client(&self.twin.atlassian_url(), key);
        self.runner(Target::Org(OrgWriter::new(client, ORGANIZATION, DIRECTORY)))
    }

    pub(crate) fn scim(&self) -> Runner<Memory> {
        self.scim_as("twin-scim-key")
    }

    pub(crate) fn scim_as(&self, key: &str) -> Runner<Memory> {
        let key = Credential::Bearer(key.into());
        let client = Self::client(&self.twin.atlassian_url(), key);
        self.runner(Target::Scim(ScimWriter::new(client, SCIM_DIRECTORY)))
    }

    /// A client of the site, with this token.
    fn site(&self, token: &str) -> Client {
        let token = Credential::Basic { user: "sync@example.com".to_owned(), secret: token.into() };
        let base = format!("{}/sites/{SITE}", self.twin.atlassian_url());
        Self::client(&base, token)
    }

    pub(crate) fn jira(&self) -> Runner<Memory> {
        self.jira_as(TOKEN)
    }

    pub(crate) fn jira_as(&self, token: &str) -> Runner<Memory> {
        self.runner(Target::Jira(JiraWriter::new(self.site(token))))
    }

    /// A Data Center instance, with this secret or with its own.
    pub(crate) fn dc(&self, product: DcProduct, instance: &str, secret: Option<&str>) -> Runner<Memory> {
        let kind = if product == DcProduct::Crowd { "application" } else { "token" };
        let secret = secret.map_or_else(|| format!("twin-{instance}-{kind}"), str::to_owned);
        let credential = match product {
            DcProduct::Crowd => Credential::Basic { user: "rollcall".to_owned(), secret: secret.into() },
            _ => Credential::Bearer(secret.into()),
        };
        let base = format!("{}/dc/{instance}", self.twin.atlassian_url());
        let client = Self::client_with(&base, credential, outbound::data_center_sense);
        self.runner(Target::DataCenter(DcWriter::new(client, product, || "drawn".to_owned())))
    }

    /// Bitbucket, where users are to be made in this user directory.
    pub(crate) fn bitbucket_with(&self, user_directory: &str) -> Runner<Memory> {
        let base = format!("{}/dc/bitbucket", self.twin.atlassian_url());
        let credential = Credential::Bearer("twin-bitbucket-token".into());
        let client = Self::client_with(&base, credential, outbound::data_center_sense);
        let writer = DcWriter::new(client, DcProduct::Bitbucket, || "drawn".to_owned());
        self.runner(Target::DataCenter(writer.making_users_in(Some(user_directory.to_owned()))))
    }

    /// Does something at a Data Center instance by hand.
    pub(crate) fn edit_dc(&self, edit: serde_json::Value) {
        let edit = serde_json::from_value(edit).unwrap();
        self.twin.twin.world().edit_dc(edit, &twin::world::Cause::default()).unwrap();
    }

    pub(crate) fn confluence(&self) -> Runner<Memory> {
        self.confluence_as(TOKEN)
    }

    pub(crate) fn confluence_as(&self, token: &str) -> Runner<Memory> {
        self.runner(Target::Confluence(ConfluenceWriter::new(self.site(token))))
    }

    /// Does something at Atlassian by hand.
    pub(crate) fn edit(&self, edit: serde_json::Value) {
        let edit = serde_json::from_value(edit).unwrap();
        let mut world = self.twin.twin.world();
        let twin::world::World { atlassian, log, .. } = &mut *world;
        let cause = twin::world::Cause::default();
        atlassian.edit(edit, &mut twin::world::atlassian::Act { cause: &cause, log }).unwrap();
    }

    /// The customers of the site's desk, or its organizations of customers.
    pub(crate) fn customers(&self, kind: ListKind) -> Runner<Memory> {
        self.customers_as(kind, TOKEN)
    }

    pub(crate) fn customers_as(&self, kind: ListKind, token: &str) -> Runner<Memory> {
        self.runner(Target::Customers(CustomersWriter::new(self.site(token), kind)))
    }

    /// The world of the Atlassian side as the twin's operator reads it.
    pub(crate) fn dump(&self) -> serde_json::Value {
        self.twin.twin.world().atlassian.dump()
    }

    pub(crate) fn job(&self, lane: Lane, body: CommandBody) -> Job {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let command = Command {
            id: CommandId(uuid::Uuid::from_u128(u128::from(number))),
            tenant: TenantId::new("acme").unwrap(),
            target: DirectoryId::new("cloud").unwrap(),
            lane,
            body,
        };
        Job { command, since: Self::now(), begun_before: false }
    }

    pub(crate) fn edges(&self, group: &GroupId, changes: &[(&str, EdgeOp)]) -> Job {
        let change = |(account, op): &(&str, EdgeOp)| EdgeChange {
            account: AccountId::new(account).unwrap(),
            op: *op,
            person_generation: 0,
        };
        let edges = changes.iter().map(change).collect();
        self.job(Lane::Normal, CommandBody::Edges { group: group.clone(), generation: 1, edges })
    }

    pub(crate) fn create(&self, name: &str) -> Job {
        self.job(Lane::Normal, CommandBody::CreateGroup { name: name.to_owned(), description: String::new() })
    }

    pub(crate) fn grant(&self, group: &GroupId, access: &Access) -> Job {
        let (group, access) = (group.clone(), access.clone());
        self.job(Lane::Normal, CommandBody::GrantAccess { group, access, generation: 1 })
    }

    pub(crate) async fn group(&self, runner: &Runner<Memory>, name: &str) -> GroupId {
        run(runner, &self.create(name)).await.outcome.group.unwrap()
    }

    pub(crate) fn fault(&self, family: &str, operation: &str, times: u64, kind: FaultKind) {
        self.twin.twin.engine.faults.inject(Fault { times: Some(times), ..Fault::new(family, operation, kind) });
    }

    pub(crate) fn org_fault(&self, operation: &str, times: u64, kind: FaultKind) {
        self.fault(ORG_CALLS, operation, times, kind);
    }

    /// Writes of a family are seen by reads only after so long.
    pub(crate) fn lag(&self, family: &str, milliseconds: i64) {
        self.twin.twin.engine.lag.set_visibility(family, milliseconds);
    }

    /// The n-th person's account.
    pub(crate) fn account(&self, n: usize) -> String {
        let world = self.twin.twin.world();
        let accounts = world.atlassian.accounts();
        let index = accounts.with_email(&email(n))[0];
        accounts.get(index).unwrap().id.clone()
    }

    pub(crate) fn members(&self, name: &str) -> Vec<String> {
        self.members_in(BaseKey::Organization(ORGANIZATION.to_owned()), name)
    }

    pub(crate) fn members_of_site(&self, name: &str) -> Vec<String> {
        self.members_in(BaseKey::Site(SITE.to_owned()), name)
    }

    fn members_in(&self, key: BaseKey, name: &str) -> Vec<String> {
        self.twin.twin.world().atlassian.memberships(&key).remove(name).unwrap_or_default()
    }

    /// How often this operation changed the world.
    pub(crate) fn effects(&self, operation: &str) -> usize {
        self.twin.twin.world().log.after(0).filter(|change| change.operation == operation).count()
    }

    /// How many calls this operation of a family was asked for.
    pub(crate) fn calls(&self, family: &str, operation: &str) -> u64 {
        let (families, _) = self.twin.twin.engine.counters.all();
        families.get(family).and_then(|all| all.get(operation)).map_or(0, |figures| figures.calls)
    }

    /// I6: every change of the world came by a request that names an attempt, which the ledger had admitted for it.
    pub(crate) fn every_effect_was_admitted(&self) {
        let admitted: BTreeMap<_, _> =
            self.ledger.admitted.lock().unwrap().iter().map(|call| (call.id, call.clone())).collect();
        let world = self.twin.twin.world();
        let ours: Vec<_> = world.log.after(0).filter(|change| change.family.starts_with("atlassian")).collect();
        assert!(!ours.is_empty(), "nothing has changed");
        for change in ours {
            let call = outbound::attempt_of(&change.request_id).and_then(|attempt| admitted.get(&attempt));
            assert!(call.is_some(), "no attempt was admitted for {change:?}");
            let call = call.unwrap();
            if let (What::Edges { edges, .. }, Some((_, account))) = (&call.what, change.key.split_once("/member/")) {
                // A provisioning directory has ids of its own.
                let named = |edge: &AccountId| edge.as_str().rsplit('/').next() == account.rsplit('/').next();
                let its_own = change.family == "atlassian.scim";
                assert!(its_own || edges.iter().any(|(edge, ..)| named(edge)), "{change:?} is not of {call:?}");
            }
        }
    }

    pub(crate) fn now() -> Time {
        outbound::now(&Clock::real())
    }
}

pub(crate) async fn run(runner: &Runner<Memory>, job: &Job) -> Finished {
    runner.run(job).await.unwrap()
}

pub(crate) fn email(n: usize) -> String {
    format!("p{n:03}@example.com")
}

/// A product on the site, in a role.
pub(crate) fn product(key: &str, role: &str) -> Access {
    Access::Product { product: key.to_owned(), site: format!("https://{SITE}.atlassian.net"), role: role.to_owned() }
}

/// The portal of a desk.
pub(crate) fn portal(desk: &str) -> Access {
    Access::Portal { desk: desk.to_owned() }
}
