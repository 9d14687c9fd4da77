//! Both vendors, and a policy file that points at them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::{eventually, find};
use serde_json::{Value, json};
use twin::engine::fault::{Fault, FaultKind};
use twin::world::atlassian::BaseKey;
use twin::{Config, Running, Twin};

/// Members by group, as addresses in lower case.
pub type Members = BTreeMap<String, BTreeSet<String>>;

/// Google and Atlassian, played, with a policy file and its secrets in a folder of their own.
#[derive(Debug)]
pub struct Outside {
    /// The twin.
    pub twin: Running,
    /// The folder with `policy.toml` and `secrets`.
    pub folder: tempfile::TempDir,
}

/// What is there before anybody looks, beside what the snapshot says.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Whose accounts the organization begins with: `one-per-person`, or `none` but the administrator's.
    pub accounts: &'static str,
    /// Changes by hand in Atlassian's Cloud.
    pub edits: Vec<Value>,
    /// Changes by hand at instances of Data Center.
    pub dc: Vec<Value>,
    /// Sites beside the organization's own: the administrator has an API token there, in `secrets/<site>-token`.
    pub sites: Vec<String>,
    /// What goes wrong from the beginning, in the twin's words.
    pub faults: Vec<Value>,
    /// Web clients that Google knows by their ids, in the twin's words.
    pub oauth_clients: Value,
    /// Further files below `secrets`: name and content.
    pub secrets: Vec<(&'static str, &'static str)>,
}

impl Default for Beginning {
    fn default() -> Self {
        Self {
            accounts: "one-per-person",
            edits: Vec::new(),
            dc: Vec::new(),
            sites: Vec::new(),
            faults: Vec::new(),
            oauth_clients: json!({}),
            secrets: Vec::new(),
        }
    }
}

/// What a command of ours came to.
#[derive(Clone, Debug)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outside {
    /// A twin with this snapshot, without quotas, and the policy with `{google}` and `{atlassian}` filled in. The
    /// administrator is the policy's `subject`.
    ///
    /// # Errors
    /// When the twin does not start or take the snapshot.
    pub async fn start(snapshot: &Value, policy: &str) -> Result<Self> {
        Self::begin(snapshot, policy, &Beginning::default()).await
    }

    /// The same with these accounts at Atlassian (`one-per-person`, or `none` but the administrator's), and these changes
    /// by hand made there before anybody looks.
    ///
    /// # Errors
    /// When the twin does not start or take the snapshot or a change.
    pub async fn start_with(snapshot: &Value, policy: &str, accounts: &'static str, edits: &[Value]) -> Result<Self> {
        let beginning = Beginning { accounts, edits: edits.to_vec(), ..Beginning::default() };
        Self::begin(snapshot, policy, &beginning).await
    }

    /// The same with all of this there.
    ///
    /// # Errors
    /// When the twin does not start or take the snapshot or a change.
    pub async fn begin(snapshot: &Value, policy: &str, beginning: &Beginning) -> Result<Self> {
        let twin = Twin::start(Config { quotas: false, ..Config::default() }).await?;
        let administrator = if policy.contains("sync@acme.example") { "sync@acme.example" } else { "sync@example.com" };
        let token = |site: &String| json!({ "kind": "jira", "realm": site, "principal": administrator, "secret": format!("twin-{site}-token") });
        let world = json!({
            "format": "twin-world/1",
            "options": { "accounts": beginning.accounts, "administrator": administrator },
            "snapshot": snapshot,
            "atlassian": beginning.edits,
            "dc": beginning.dc,
            "faults": beginning.faults,
            "credentials": {
                "secrets": beginning.sites.iter().map(token).collect::<Vec<_>>(),
                "oauth_clients": beginning.oauth_clients,
            },
        });
        twin.twin.load(world.to_string().as_bytes())?;
        let folder = tempfile::Builder::new().prefix("rollcall-scenario-").tempdir()?;
        let outside = Self { twin, folder };
        let secrets = outside.folder.path().join("secrets");
        std::fs::create_dir_all(&secrets)?;
        std::fs::write(secrets.join("google.json"), outside.twin.service_account_key().to_string())?;
        std::fs::write(secrets.join("org-key"), "twin-org-key")?;
        let sites = beginning.sites.iter().map(String::as_str);
        for name in ["jira", "confluence", "bitbucket"].into_iter().chain(sites) {
            std::fs::write(secrets.join(format!("{name}-token")), format!("twin-{name}-token"))?;
        }
        std::fs::write(secrets.join("crowd-password"), "twin-crowd-application")?;
        std::fs::write(secrets.join("api-token"), "twin-api-token")?;
        for (name, content) in &beginning.secrets {
            std::fs::write(secrets.join(name), content)?;
        }
        outside.write_policy(policy)?;
        Ok(outside)
    }

    /// Puts another policy in place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_policy(&self, policy: &str) -> Result<()> {
        let text =
            policy.replace("{google}", &self.twin.google_url()).replace("{atlassian}", &self.twin.atlassian_url());
        let (made, path) = (self.folder.path().join("policy.toml.new"), self.policy());
        std::fs::write(&made, text)?;
        Ok(std::fs::rename(made, path)?)
    }

    /// The policy file.
    pub fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    /// Runs `rollcall` in the folder, with a journal of its own there, to its end.
    ///
    /// # Errors
    /// When it is not built, or does not end by itself.
    pub async fn rollcall(&self, arguments: &[&str]) -> Result<Said> {
        self.rollcall_with(arguments, &[]).await
    }

    /// The same with these in its environment.
    ///
    /// # Errors
    /// When it is not built, or does not end by itself.
    pub async fn rollcall_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Result<Said> {
        let mut command = self.command(arguments)?;
        command.stdin(Stdio::null()).envs(settings.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        Ok(Said {
            code: output.status.code().context("rollcall was ended by a signal")?,
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// `rollcall` with these arguments, to be started in the folder, with a journal of its own there.
    ///
    /// # Errors
    /// When it is not built.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(find::ours("rollcall")?);
        command.args(arguments).current_dir(self.folder.path());
        command.env("XDG_STATE_HOME", self.folder.path().join("state")).env("NO_COLOR", "1");
        for name in ["ROLLCALL_CONFIG", "ROLLCALL_SERVER", "ROLLCALL_NATS", "ROLLCALL_DATABASE", "ROLLCALL_LOG"] {
            command.env_remove(name);
        }
        Ok(command)
    }

    /// The journal that `rollcall` keeps for the tenant `acme` when it is not told another place.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("state/rollcall/acme")
    }

    /// Makes changes at Google: a list in the twin's words.
    ///
    /// # Errors
    /// When the twin does not take one.
    pub fn at_google(&self, changes: Value) -> Result<()> {
        let changes: Vec<twin::load::Change> = serde_json::from_value(changes)?;
        self.twin.twin.change(&changes).map_err(|(applied, error)| anyhow::anyhow!("after {applied} changes: {error}"))
    }

    /// Makes changes by hand at Atlassian: a list in the twin's words.
    ///
    /// # Errors
    /// When the twin does not take one.
    pub async fn at_atlassian(&self, edits: &Value) -> Result<()> {
        self.tell("atlassian", edits).await
    }

    /// Tells the twin's operator endpoint something.
    ///
    /// # Errors
    /// When the twin does not take it.
    pub async fn tell(&self, path: &str, body: &Value) -> Result<()> {
        let answer = harness::http()?.post(format!("{}/{path}", self.twin.admin_url())).json(body).send().await?;
        if !answer.status().is_success() {
            bail!("the twin refuses {body}: {}", answer.text().await?);
        }
        Ok(())
    }

    /// Injects a fault; gives its id.
    pub fn fault(&self, family: &str, operation: &str, kind: FaultKind, more: impl FnOnce(&mut Fault)) -> u64 {
        let mut fault = Fault::new(family, operation, kind);
        more(&mut fault);
        self.twin.twin.engine.faults.inject(fault)
    }

    /// Ends all faults.
    pub fn no_faults(&self) {
        self.twin.twin.engine.faults.clear();
    }

    /// The number of the last change of either world.
    pub fn sequence(&self) -> u64 {
        self.twin.twin.world().log.sequence()
    }

    /// The changes at Atlassian after a number that our calls made: operation, key, and whether it was there after.
    pub fn effects(&self, after: u64) -> Vec<(String, String, bool)> {
        let world = self.twin.twin.world();
        let ours = world.log.after(after).filter(|change| change.family.starts_with("atlassian."));
        ours.map(|change| (change.operation.clone(), change.key.clone(), change.new.is_some())).collect()
    }

    /// How often the worlds' memberships at Atlassian were taken away by our calls after a number.
    pub fn removals(&self, after: u64) -> usize {
        self.effects(after).iter().filter(|(_, key, present)| key.contains("/member/") && !present).count()
    }

    /// What every mapped group should hold, by the group's name at Atlassian: everybody below it who works. Groups of
    /// others contribute nobody.
    pub fn wanted(&self) -> Members {
        let world = self.twin.twin.world().google.dump();
        let truth = |value: &Value, key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
        let away = list(&world, "users").filter(|user| truth(user, "suspended") || truth(user, "archived"));
        let away: BTreeSet<String> = away.map(|user| text(user, "email")).collect();
        let ours = || list(&world, "groups").filter(|group| !truth(group, "external"));
        let direct: BTreeMap<String, &Value> = ours().map(|group| (text(group, "id"), group)).collect();
        let mut wanted = Members::new();
        for group in ours() {
            let name = text(group, "email").split('@').next().unwrap_or_default().to_owned();
            let people = wanted.entry(name).or_default();
            let (mut seen, mut open) = (BTreeSet::new(), vec![text(group, "id")]);
            while let Some(id) = open.pop() {
                let Some(group) = direct.get(&id).filter(|_| seen.insert(id)) else { continue };
                for member in list(group, "members") {
                    let email = text(member, "email");
                    match text(member, "type").as_str() {
                        "group" => open.push(text(member, "id")),
                        _ if away.contains(&email) => {}
                        _ => drop(people.insert(email)),
                    }
                }
            }
        }
        wanted
    }

    /// What the mapped groups hold at Atlassian.
    pub fn found(&self) -> Members {
        let wanted = self.wanted();
        let mut all = self.all_found();
        all.retain(|name, _| wanted.contains_key(name));
        all
    }

    /// What all groups hold at Atlassian, mapped or not.
    pub fn all_found(&self) -> Members {
        let organization = BaseKey::Organization("org-1".to_owned());
        let groups = self.twin.twin.world().atlassian.memberships(&organization);
        let lower = |emails: Vec<String>| emails.iter().map(|email| email.to_ascii_lowercase()).collect();
        groups.into_iter().map(|(name, emails)| (name.to_ascii_lowercase(), lower(emails))).collect()
    }

    /// What differs between what should be and what is; empty when nothing does.
    pub fn difference(&self) -> Vec<String> {
        let (wanted, found) = (self.wanted(), self.found());
        let mut lines = Vec::new();
        for (name, people) in &wanted {
            let Some(there) = found.get(name) else {
                lines.push(format!("{name} is missing, with {} members", people.len()));
                continue;
            };
            lines.extend(people.difference(there).map(|who| format!("{name} lacks {who}")));
            lines.extend(there.difference(people).map(|who| format!("{name} has {who} too many")));
        }
        lines
    }

    /// Waits until both sides are equal, over all mapped groups.
    ///
    /// # Errors
    /// When they are not in time; shows the first differences.
    pub async fn until_equal(&self, within: Duration) -> Result<()> {
        eventually(within, "both worlds to be equal", async || {
            let difference = self.difference();
            if difference.is_empty() {
                return Ok(Some(()));
            }
            let shown: Vec<&str> = difference.iter().take(8).map(String::as_str).collect();
            bail!("{} differences: {}", difference.len(), shown.join("; "))
        })
        .await
    }
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase()
}
