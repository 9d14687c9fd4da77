//! I11: what nobody may see is in no log, no answer, no metric, no trace and no row outside the mirror.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use harness::{eventually, find};
use scenarios::{Beginning, Company, Options, Outside, World};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;
use twin::google::key;
use twin::world::atlassian::SCIM_DIRECTORY;

use crate::{WITHIN, story};

/// All tables. People are the business of the mirror's (but for its outbox, which is on the bus); secrets of none.
const TABLES: &str = "select format('%I.%I', table_schema, table_name),
        table_schema = 'directory' and table_name <> 'outbox' from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema') order by 1";

/// What the addresses of NATS and of PostgreSQL bear.
const PASSWORDS: [&str; 2] = ["canary-of-the-bus", "canary-of-the-truth"];

/// Every secret that the services are given, by what it opens. What is minted for them comes on top.
const GIVEN: [&str; 10] = [
    "twin-org-key",
    "twin-scim-key",
    "twin-emea-token",
    "twin-jira-token",
    "twin-crowd-application",
    "canary-oauth-client",
    "1//canary-refresh",
    "operator-token-kim",
    PASSWORDS[0],
    PASSWORDS[1],
];

/// A target for every kind of credential, and a source for both kinds.
const EVERY_KIND: &str = r#"
[directory.subsidiary]
kind = "google-workspace"
oauth = { client_id = "web-1", client_secret = "file:secrets/web", refresh_token = "file:secrets/refresh" }
endpoint = "{google}"
lag = "0s"

[directory.cloud-idp]
kind = "atlassian-scim"
directory_id = "{scim}"
token = "file:secrets/scim-key"
endpoint = "{atlassian}"
lag = "0s"

[directory.emea]
kind = "jira-cloud"
site = "https://emea.atlassian.net"
email = "sync@acme.example"
api_token = "file:secrets/emea-token"
endpoint = "{atlassian}"
lag = "0s"

[directory.own]
kind = "jira-dc"
url = "https://jira.acme.example/dc/jira"
token = "file:secrets/jira-token"
endpoint = "{atlassian}"
lag = "0s"

[directory.crowd]
kind = "crowd"
url = "https://crowd.acme.example/dc/crowd"
application = "rollcall"
password = "file:secrets/crowd-password"
endpoint = "{atlassian}"
lag = "0s"

[[people.provision]]
name = "staff"
from = "workspace"
to = "cloud-idp"
"#;

const RULES: &str = r#"
[[sync]]
name = "of our own"
from = "workspace"
groups = ["*"]
to = ["own", "crowd"]
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]

[[sync]]
name = "of the subsidiary"
from = "subsidiary"
groups = ["*"]
to = "emea"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;

/// All of it with services that tell a collector what they do.
async fn with_every_credential() -> Result<(World, Arc<Mutex<Vec<Value>>>)> {
    let mut company = Company::of(12).group("staff", 0..8).group("readers", 3..9);
    company = company.with_sections(&EVERY_KIND.replace("{scim}", SCIM_DIRECTORY));
    RULES.clone_into(&mut company.rule);
    let scope = |name: &str| format!("https://www.googleapis.com/auth/admin.directory.{name}.readonly");
    let scopes = ["user", "group", "group.member", "user.alias"].map(scope);
    let consent = json!({ "subject": "sync@acme.example", "scopes": scopes });
    let web = json!({ "client_id": "web-1", "client_secret": "canary-oauth-client", "refresh_tokens": { "1//canary-refresh": consent } });
    let accounts = (0..12).map(Company::email).chain(["sync@acme.example".to_owned()]);
    let accounts: Vec<Value> = accounts.map(|email| json!({ "email": email, "site": "emea" })).collect();
    let people = |instance: &str| json!({ "op": "people", "instance": instance, "whole_address": true });
    let beginning = Beginning {
        edits: vec![
            json!({ "op": "load", "sites": [{ "name": "emea", "cloud_id": "cloud-emea" }], "accounts": accounts }),
        ],
        dc: vec![people("jira"), people("crowd")],
        sites: vec!["emea".to_owned()],
        oauth_clients: json!({ "web-1": web }),
        secrets: vec![("web", "canary-oauth-client"), ("refresh", "1//canary-refresh"), ("scim-key", "twin-scim-key")],
        ..Beginning::default()
    };
    let (address, got) = story::collector().await?;
    let targets = ["cloud", "cloud-idp", "emea", "own", "crowd"].map(|target| format!("{target}=100000/1")).join(",");
    let mut options = Options { beginning, passwords: Some(PASSWORDS), ..Options::default() };
    options.watcher[0] = format!("--read-limit=workspace=100000/1,subsidiary=100000/1,{targets}");
    options.writer[0] = format!("--limit={targets}");
    for more in [&mut options.watcher, &mut options.reconciler, &mut options.writer] {
        more.push(format!("--otlp={address}"));
    }
    let world = World::start(&company.snapshot(), &company.policy(), &options).await?;
    Ok((world, got))
}

/// What goes wrong where there are Google and an organization.
fn two_sides() -> Vec<(&'static str, FaultKind)> {
    vec![
        ("google.token", FaultKind::Unauthorized),
        ("google.directory", FaultKind::Fail { status: 503, after: false, plain: true }),
        ("google.directory", FaultKind::Html { after: false }),
        ("atlassian.org", FaultKind::Reset { after: true }),
        ("atlassian.org", FaultKind::Fail { status: 400, after: false, plain: false }),
    ]
}

/// What goes wrong at the others.
fn elsewhere() -> Vec<(&'static str, FaultKind)> {
    vec![
        ("atlassian.org", FaultKind::Unauthorized),
        ("atlassian.scim", FaultKind::Unauthorized),
        ("atlassian.jira", FaultKind::Unauthorized),
        ("atlassian.dc.jira", FaultKind::Fail { status: 400, after: false, plain: true }),
        ("atlassian.dc.crowd", FaultKind::Unauthorized),
    ]
}

/// These go wrong, so that there is something to say: reads, refusals, a poisoned group, a leaver.
async fn trouble(world: &World, faults: Vec<(&str, FaultKind)>) -> Result<()> {
    for (family, kind) in faults {
        if family == "google.token" {
            // New tokens are asked for where the old ones are gone.
            world.twin.twin.engine.credentials().access_tokens.clear();
        }
        let id = world.fault(family, "*", kind, |fault| fault.times = Some(3));
        world
            .at_google(json!([{ "op": "user_suspended", "id": Company::id(5), "suspended": true },
            { "op": "member_added", "group": "grp_readers", "id": Company::id(11), "type": "USER", "role": "MEMBER" }]))
            .or_else(|_| {
                world.at_google(json!([{ "op": "member_removed", "group": "grp_readers", "id": Company::id(11) }]))
            })?;
        world.sync(Some(&Company::email(5))).await?;
        world.sync(None).await?;
        let faults = &world.twin.twin.engine.faults;
        eventually(WITHIN, &format!("a fault of {family} to be met"), async || {
            Ok(faults.all().iter().any(|fault| fault.id == id && fault.hits > 0).then_some(()))
        })
        .await?;
    }
    world.no_faults();
    world.sweep().await?;
    world.until_decided().await
}

/// What the operators' API and the command line say, mostly in refusing: whoever may ask may see people.
async fn answers(world: &World) -> Result<Vec<(String, String)>> {
    let mut seen = Vec::new();
    let token = std::fs::read_to_string(world.folder.path().join("token"))?;
    let asked = [
        ("status", None),
        ("plans", None),
        ("plans/99999", None),
        ("cases", None),
        ("cases/none", None),
        ("dead-letters", None),
        ("explain?person=nobody", None),
        ("sync", Some(json!({ "directory": "nowhere" }))),
        ("sync", Some(json!({ "person": token }))),
        ("pause", Some(json!({ "target": token, "reason": "x" }))),
        ("plans/apply", Some(json!({ "token": token }))),
        ("cases/verdict", Some(json!({ "digests": "none" }))),
    ];
    let mut refused = 0;
    for (path, body) in asked {
        // With the token, with one that only begins like it, and with one in the wrong place.
        for bearer in [token.clone(), format!("{}-no-more", &token[..20])] {
            let url = format!("{}/api/v1/{path}", world.api);
            let client = harness::http()?;
            let request = body.as_ref().map_or_else(|| client.get(&url), |body| client.post(&url).json(body));
            let answer = request.bearer_auth(bearer).send().await?;
            refused += usize::from(!answer.status().is_success());
            seen.push((format!("the answer of {path}"), answer.text().await?));
        }
    }
    assert!(refused > 15, "{refused} requests were refused");
    for arguments in [&["doctor"][..], &["plan", "--full"], &["plan", "--output", "json"]] {
        let said = world.rollcall(arguments).await?;
        seen.push((format!("rollcall {}", arguments.join(" ")), said.out + &said.err));
    }
    Ok(seen)
}

/// Every line, page and row, and whether people may be in it.
async fn everything(world: &World) -> Result<Vec<(String, String, bool)>> {
    let mut seen: Vec<_> = world.logs().into_iter().map(|line| ("log".to_owned(), line, false)).collect();
    for address in &world.health {
        for page in ["metrics", "readyz"] {
            let text = harness::http()?.get(format!("{address}/{page}")).send().await?.text().await?;
            assert!(!text.is_empty());
            seen.push((format!("{address}/{page}"), text, false));
        }
    }
    let sql = world.sql().await?;
    let mut rows_seen = 0;
    for table in sql.query(TABLES, &[]).await? {
        let (name, of_people): (String, bool) = (table.get(0), table.get(1));
        for row in sql.query(&format!("select t::text from {name} t"), &[]).await? {
            rows_seen += 1;
            seen.push((name.clone(), row.get(0), of_people));
        }
    }
    assert!(rows_seen > 50, "{rows_seen} rows");
    let health = seen.iter().find(|(place, text, _)| place == "directory.directory" && text.contains("failures"));
    assert!(health.is_some(), "what watchers say of themselves is among the rows");
    Ok(seen)
}

/// Fails with the first of these that is in a text, as it is or in hexadecimal, as bytes are shown.
fn look_for<'a>(canaries: &[String], seen: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    for canary in canaries {
        let bytes: String = canary
            .bytes()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect();
        for (place, text) in seen.clone() {
            assert!(!text.contains(canary) && !text.contains(&bytes), "{canary} is in {place}: {text}");
        }
    }
}

fn people_of_the_company() -> Vec<String> {
    ["Given5".to_owned(), "Family3".to_owned()].into_iter().chain((0..12).map(Company::email)).collect()
}

/// Where accounts are made, a decision says what they are made of; everywhere else it names people by their ids alone.
#[tokio::test(flavor = "multi_thread")]
async fn i11_people_are_in_no_log_no_metric_and_no_row_outside_the_mirror() -> Result<()> {
    let world = World::of(&Company::of(12).group("staff", 0..8).group("readers", 3..9)).await?;
    world.until_in_sync(WITHIN).await?;
    trouble(&world, two_sides()).await?;
    let seen = everything(&world).await?;
    let outside = seen.iter().filter(|(.., of_people)| !of_people);
    look_for(&people_of_the_company(), outside.map(|(place, text, _)| (place.as_str(), text.as_str())));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i11_secrets_of_every_kind_are_in_no_log_no_metric_no_trace_no_answer_and_no_row() -> Result<()> {
    let (world, traces) = with_every_credential().await?;
    world.until_equal(WITHIN).await?;
    let now = || world.twin.twin.engine.credentials().access_tokens.keys().cloned().collect::<BTreeSet<String>>();
    let each_has_one = async || Ok(Some(now()).filter(|minted| minted.len() >= 2));
    let mut minted = eventually(WITHIN, "a token for each of Google's two directories", each_has_one).await?;
    trouble(&world, two_sides().into_iter().chain(elsewhere()).collect()).await?;
    minted.extend(now());
    let key = world.twin.service_account_key();
    let key = key["private_key"].as_str().unwrap_or_default().lines().nth(1).unwrap_or_default().to_owned();
    assert!(key.len() > 40 && minted.iter().all(|token| token.len() > 10));
    let secrets: Vec<String> = GIVEN.map(str::to_owned).into_iter().chain([key]).chain(minted).collect();

    let mut seen = everything(&world).await?;
    seen.extend(answers(&world).await?.into_iter().map(|(place, text)| (place, text, true)));
    // Exporters send every few seconds.
    let told =
        || traces.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Value::to_string).collect::<Vec<_>>();
    let services = ["rollcall-watcher", "rollcall-reconciler", "rollcall-writer"];
    eventually(WITHIN, "every service to have told what it did", async || {
        let told = told();
        Ok(services.iter().all(|service| told.iter().any(|body| body.contains(service))).then_some(()))
    })
    .await?;
    seen.extend(told().into_iter().map(|body| ("trace".to_owned(), body, false)));
    look_for(&secrets, seen.iter().map(|(place, text, _)| (place.as_str(), text.as_str())));
    let spoken = |place: &str| place == "log" || place == "trace" || place.starts_with("http");
    let spoken = seen.iter().filter(|(place, ..)| spoken(place));
    look_for(&people_of_the_company(), spoken.map(|(place, text, _)| (place.as_str(), text.as_str())));
    Ok(())
}

/// The verbs that a command's help lists.
fn verbs(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that goes on with what the last verb does is farther in.
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// `--help` shows where an option may come from, and never what stands there; nor does an error, whatever stands there.
#[tokio::test(flavor = "multi_thread")]
async fn i11_no_help_and_no_error_shows_what_an_address_in_the_environment_bears() -> Result<()> {
    let company = Company::of(2).group("staff", 0..2);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let of = |scheme: &str| format!("{scheme}://rollcall:{}@127.0.0.1:1", PASSWORDS[0]);
    let set = [
        ("ROLLCALL_NATS", of("nats")),
        ("ROLLCALL_DATABASE", of("postgresql")),
        ("ROLLCALL_NATS_CREDENTIALS", PASSWORDS[1].to_owned()),
        ("ROLLCALL_SERVER", of("https")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", of("no address")),
    ];
    let set: Vec<(&str, &str)> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (mut seen, mut shown) = (Vec::new(), BTreeSet::new());
    for binary in ["rollcall", "rollcall-watcher", "rollcall-reconciler", "rollcall-writer", "rollcall-console"] {
        let mut open = vec![Vec::new()];
        while let Some(mut line) = open.pop() {
            let mut command = Command::new(find::ours(binary)?);
            let output = command.args(&line).arg("--help").envs(set.iter().copied()).output()?;
            let help = String::from_utf8(output.stdout)?;
            assert!(output.status.success() && help.contains("Usage:"), "{binary} {line:?}: {help}");
            shown.extend(set.iter().filter(|(name, _)| help.contains(&format!("[env: {name}"))).map(|(name, _)| *name));
            open.extend(verbs(&help).into_iter().map(|verb| [&line[..], &[verb]].concat()));
            line.insert(0, binary.to_owned());
            seen.push((line.join(" "), help));
        }
    }
    assert!(seen.len() > 30 && shown.len() == set.len(), "{} helps show {shown:?}", seen.len());
    for arguments in [&["up"][..], &["doctor"], &["migrate"], &["status", "--token-file", "secrets/org-key"]] {
        let said = outside.rollcall_with(arguments, &set).await?;
        assert!(said.code != 0, "{arguments:?}: {}{}", said.out, said.err);
        seen.push((arguments.join(" "), said.out + &said.err));
    }
    let canaries = PASSWORDS.map(str::to_owned);
    look_for(&canaries, seen.iter().map(|(place, text)| (place.as_str(), text.as_str())));
    Ok(())
}

/// Parity 1.04: a key that is replaced at Atlassian and in its file is taken over by whoever reads and whoever writes,
/// without a restart; until then everything waits, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn p1_04_a_secret_that_is_replaced_is_taken_over_while_running() -> Result<()> {
    let mut world = World::of(&Company::of(12).group("staff", 0..8)).await?;
    world.until_in_sync(WITHIN).await?;
    let before = world.sequence();
    let key = |secret: &str| {
        for known in
            world.twin.twin.engine.credentials().secrets.iter_mut().filter(|it| it.secret.starts_with("twin-org-key"))
        {
            secret.clone_into(&mut known.secret);
        }
    };
    key("twin-org-key-2");
    world.at_google(
        json!([{ "op": "member_added", "group": "grp_staff", "id": Company::id(9), "type": "USER", "role": "MEMBER" }]),
    )?;
    world.sync(None).await?;
    eventually(WITHIN, "the old key to be refused", async || {
        let refused = |line: &String| line.contains("rollcall.target.halted");
        Ok(world.logs().iter().any(refused).then_some(()))
    })
    .await?;
    assert_eq!(world.effects(before).iter().filter(|(operation, ..)| operation.contains("memberships")).count(), 0);
    std::fs::write(world.folder.path().join("secrets").join("org-key"), "twin-org-key-2\n")?;
    world.until_equal(WITHIN).await?;
    world.sync(None).await?;
    world.until_in_sync(WITHIN).await?;
    for service in [&mut world.watcher, &mut world.writer] {
        service.check_running()?;
    }
    Ok(())
}

/// Parity 1.04: the key file of the service account is replaced while everything runs. While it is wrong the source is
/// blind, with a code of the runbook, and nobody is let in or out; then everything is made up for, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn p1_04_i02_a_key_file_that_is_replaced_is_taken_over_and_while_it_is_wrong_nothing_is_decided() -> Result<()> {
    let mut world = World::of(&Company::of(12).group("staff", 0..8)).await?;
    world.until_in_sync(WITHIN).await?;
    let (email, id) = ("second@twin.iam.gserviceaccount.com", "100000000000000000002");
    {
        let mut credentials = world.twin.twin.engine.credentials();
        credentials.service_accounts.clear();
        credentials.access_tokens.clear();
        let account = key::service_account(email, id, key::default_scopes());
        credentials.service_accounts.insert(email.to_owned(), account);
    }
    let before = world.sequence();
    world.at_google(json!([
        { "op": "member_added", "group": "grp_staff", "id": Company::id(9), "type": "USER", "role": "MEMBER" },
        { "op": "member_removed", "group": "grp_staff", "id": Company::id(3) },
    ]))?;
    world.sync(None).await?;
    let blind = async || {
        eventually(WITHIN, "the source to be blind", async || {
            let status = world.get("status").await?;
            let all = status.pointer("/tenants/0/directories").and_then(Value::as_array).cloned().unwrap_or_default();
            let blind = all.iter().any(|of| of["directory"] == "workspace" && of["blind"] == true);
            Ok((blind && status["tenants"][0]["sync"] == "unknown").then_some(()))
        })
        .await
    };
    blind().await?;
    world.watcher.lines().find("E0118").context("the code that the runbook explains")?;
    // The wrong file is no better, and says so.
    let file = world.folder.path().join("secrets").join("google.json");
    std::fs::write(&file, "half a ke")?;
    world.sync(None).await?;
    eventually(WITHIN, "the wrong file to be named", async || Ok(world.watcher.lines().find("key file is not one")))
        .await?;
    blind().await?;
    // A whole turn over the blind source: nothing comes of it.
    world.until_decided().await?;
    assert_eq!(world.effects(before), [], "decided from a source that cannot be read");
    let right = key::key_file(email, id, &format!("{}/token", world.twin.google_url()));
    std::fs::write(&file, right.to_string())?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    world.until_in_sync(WITHIN).await?;
    world.watcher.check_running()
}
