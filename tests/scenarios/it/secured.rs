//! NATS with one user per service, PostgreSQL and NATS by TLS, as `deploy/nats/secured.conf` has it: everything runs, and
//! whoever shows the wrong thing, or is shown it, is told so and does nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::{Lines, Postgres, Process, Service, eventually, find, ports};
use nkeys::{KeyPair as Nkey, KeyPairType};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use scenarios::{Company, Outside};

use crate::WITHIN;

const USERS: [&str; 5] = ["bootstrap", "watcher", "reconciler", "writer", "console"];
const CONFIG: &str = include_str!("../../../deploy/nats/secured.conf");

/// NATS, PostgreSQL and what opens them, in a folder.
struct Secured {
    folder: tempfile::TempDir,
    nats: String,
    database: String,
    _server: Process,
    _postgres: Postgres,
}

/// The user's nkey: made of its name, so that it is the same in every run.
fn nkey(user: &str) -> Result<Nkey> {
    let mut bytes = [7; 32];
    bytes.iter_mut().zip(user.bytes()).for_each(|(into, byte)| *into = byte);
    Nkey::new_from_raw(KeyPairType::User, bytes).map_err(|error| anyhow::anyhow!("{error}"))
}

/// Writes an authority's certificate, and one that it signed for whoever is called so, with its key.
fn certificates(folder: &Path, authority: &str, names: &[&str]) -> Result<()> {
    let (mut parameters, key) = (CertificateParams::new(Vec::<String>::new())?, KeyPair::generate()?);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join(format!("{authority}.pem")), parameters.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(parameters, key);
    for name in names {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        std::fs::write(folder.join(format!("{name}.pem")), parameters.signed_by(&key, &issuer)?.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

/// The configuration of the deployment, in this folder and on these ports, for this server.
fn configuration(folder: &Path, [port, monitor]: [u16; 2], knows_sync: bool) -> Result<String> {
    let mut text = CONFIG
        .replace("0.0.0.0:4222", &format!("127.0.0.1:{port}"))
        .replace("127.0.0.1:8222", &format!("127.0.0.1:{monitor}"))
        .replace("/data", &folder.join("store").display().to_string())
        .replace("/etc/nats", &folder.display().to_string());
    if !knows_sync {
        text = text.replace("sync_interval: always", "");
    }
    for user in USERS {
        let variable = format!("$NKEY_{}", user.to_uppercase());
        ensure!(text.contains(&variable), "the configuration has no user {user}");
        text = text.replace(&variable, &nkey(user)?.public_key());
    }
    Ok(text)
}

impl Secured {
    async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rollcall-secured-").tempdir()?;
        let path = folder.path();
        certificates(path, "authority", &["server", "service", "postgres"])?;
        certificates(path, "stranger", &[])?;
        for user in USERS {
            let seed = nkey(user)?.seed().map_err(|error| anyhow::anyhow!("{error}"))?;
            std::fs::write(path.join(format!("{user}.nk")), seed)?;
        }
        let (nats, server) = nats(path).await?;
        let postgres = Postgres::fast().await?;
        let database = by_tls_only(&postgres, path).await?;
        Ok(Self { folder, nats, database, _server: server, _postgres: postgres })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a process of ours is told, when it goes by this user.
    fn settings(&self, user: &str) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.file(name).display().to_string();
        vec![
            ("ROLLCALL_CA_FILE", path("authority.pem")),
            ("ROLLCALL_TLS_CERTIFICATE", path("service.pem")),
            ("ROLLCALL_TLS_KEY", path("service.key")),
            ("ROLLCALL_NATS_CREDENTIALS", format!("file:{}", path(&format!("{user}.nk")))),
            ("ROLLCALL_NATS_DECLARE", (user == "bootstrap").to_string()),
            ("ROLLCALL_NATS", self.nats.clone()),
            ("ROLLCALL_DATABASE", self.database.clone()),
        ]
    }
}

/// The server of the deployment's configuration, once it is healthy, and its address.
async fn nats(folder: &Path) -> Result<(String, Process)> {
    let (binary, [port, monitor]) = (find::nats_server()?, [ports::free()?, ports::free()?]);
    let version = Command::new(&binary).arg("-v").output()?;
    let knows_sync = !String::from_utf8_lossy(&version.stdout).contains("v2.9.");
    let config = folder.join("nats.conf");
    std::fs::write(&config, configuration(folder, [port, monitor], knows_sync)?)?;
    let checked = Command::new(&binary).arg("-t").arg("-c").arg(&config).output()?;
    ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let mut command = Command::new(&binary);
    command.arg("-c").arg(&config);
    let lines = Lines::default();
    let server = Process::spawn("nats", command, &lines)?;
    let client = harness::http()?;
    eventually(Duration::from_secs(30), "nats to be healthy", async || {
        Ok(client.get(format!("http://127.0.0.1:{monitor}/healthz")).send().await?.status().is_success().then_some(()))
    })
    .await
    .with_context(|| lines.tail(20))?;
    Ok((format!("tls://127.0.0.1:{port}"), server))
}

/// Lets nobody but the tests' own superuser in without TLS. Gives the address of an empty database.
async fn by_tls_only(postgres: &Postgres, folder: &Path) -> Result<String> {
    let client = postgres.connect("postgres").await?;
    let put = async |text: &str, name: &str| {
        let lines = text.replace('\'', "''");
        let copy = format!(
            "copy (select regexp_split_to_table('{lines}', E'\\n')) to program 'umask 077; cat > {name}' with (format text)"
        );
        client.batch_execute(&copy).await.with_context(|| name.to_owned())
    };
    put(std::fs::read_to_string(folder.join("postgres.pem"))?.trim(), "server.crt").await?;
    put(std::fs::read_to_string(folder.join("postgres.key"))?.trim(), "server.key").await?;
    put("host all rollcall 127.0.0.1/32 trust\nhostssl all secured 127.0.0.1/32 trust", "pg_hba.conf").await?;
    client.batch_execute("create role secured superuser login").await?;
    client.batch_execute("alter system set ssl = on").await?;
    client.batch_execute("select pg_reload_conf()").await?;
    let address = postgres.database("secured").await?;
    eventually(WITHIN, "PostgreSQL to speak TLS", async || {
        let on = client.query_one("select current_setting('ssl')", &[]).await?;
        Ok((on.get::<_, String>(0) == "on").then_some(()))
    })
    .await?;
    Ok(format!("{}?sslmode=verify-full", address.replace("//rollcall@", "//secured@")))
}

/// Runs one of our programs to its end: its code, and what it said.
async fn run(binary: &str, arguments: &[String], settings: &[(&str, String)]) -> Result<(i32, String)> {
    let mut command = Command::new(find::ours(binary)?);
    command.args(arguments).stdin(Stdio::null()).envs(settings.iter().map(|(name, value)| (*name, value)));
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    write!(said, "{}", String::from_utf8_lossy(&output.stdout))?;
    Ok((output.status.code().context("it was ended by a signal")?, said))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_runs_by_tls_with_one_user_per_service_and_the_rights_that_it_needs() -> Result<()> {
    let company = Company::of(12).group("staff", 0..8).group("readers", 3..9);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let secured = Secured::start().await?;
    let policy = format!("--policy={}", outside.policy().display());
    let tokens = outside.folder.path().join("tokens.toml");
    std::fs::write(
        &tokens,
        format!("[[token]]\nperson = \"kim\"\nrole = \"admin\"\nsha256 = \"{}\"\n", "0".repeat(64)),
    )?;
    let (code, said) = run("rollcall", &["migrate".to_owned()], &secured.settings("bootstrap")).await?;
    ensure!(code == 0, "{said}");

    // Whoever may not declare streams does not, and nothing goes until somebody who may has.
    let spawn = |name: &str, user: &str, more: &[String]| {
        let port = ports::free()?;
        let listen = format!("--listen=127.0.0.1:{port}");
        let arguments: Vec<String> = [policy.clone(), listen].into_iter().chain(more.iter().cloned()).collect();
        let settings = secured.settings(user).into_iter().chain([("ROLLCALL_LOG", "info".to_owned())]);
        Ok::<_, anyhow::Error>((
            Service::spawn_with(name, arguments, settings)?,
            format!("http://127.0.0.1:{port}/readyz"),
        ))
    };
    {
        let (mut bootstrap, ready) = spawn("rollcall-reconciler", "bootstrap", &[])?;
        // It bears the name of a reconciler, so its answers come to the bootstrap's own inbox of that name.
        bootstrap.wait_ready(&ready).await?;
        bootstrap.stop().await?;
    }
    let api = [format!("--api=127.0.0.1:{}", ports::free()?), format!("--tokens={}", tokens.display())];
    let mut services = Vec::new();
    for (name, more) in [("watcher", &[][..]), ("reconciler", &[]), ("writer", &[]), ("console", &api)] {
        services.push(spawn(&format!("rollcall-{name}"), name, more)?);
    }
    for (service, ready) in &mut services {
        service.wait_ready(ready).await?;
    }
    outside.until_equal(WITHIN).await?;
    for (service, _) in &mut services {
        service.check_running()?;
        let refused = service.lines().find("nats refused something");
        ensure!(refused.is_none(), "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_the_wrong_thing_or_is_shown_it_says_so_and_ends() -> Result<()> {
    let company = Company::of(3).group("staff", 0..2);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let secured = Secured::start().await?;
    let policy = [format!("--policy={}", outside.policy().display())];
    let path = |name: &str| secured.file(name).display().to_string();
    let (code, said) = run("rollcall", &["migrate".to_owned()], &secured.settings("bootstrap")).await?;
    ensure!(code == 0, "{said}");
    let unknown = nkey("nobody that it knows")?.seed().map_err(|error| anyhow::anyhow!("{error}"))?;
    std::fs::write(secured.file("unknown.nk"), &unknown)?;
    std::fs::write(secured.file("empty.pem"), "")?;
    let without = |name: &str| {
        let mut settings = secured.settings("watcher");
        settings.retain(|(of, _)| !of.starts_with(name));
        settings
    };
    let with = |name: &'static str, value: String| {
        let mut settings = without(name);
        settings.push((name, value));
        settings
    };
    let plain = secured.database.replace("?sslmode=verify-full", "");
    for (what, settings, code, words) in [
        (
            "an nkey that is nobody's",
            with("ROLLCALL_NATS_CREDENTIALS", format!("file:{}", path("unknown.nk"))),
            1,
            "E0138",
        ),
        ("no nkey", without("ROLLCALL_NATS_CREDENTIALS"), 1, "E0138"),
        ("an nkey that is not there", with("ROLLCALL_NATS_CREDENTIALS", "file:/nowhere/seed".to_owned()), 1, "E0104"),
        ("the nkey itself", with("ROLLCALL_NATS_CREDENTIALS", unknown.clone()), 1, "E0104"),
        ("no certificate", without("ROLLCALL_TLS"), 1, "E0138"),
        ("a certificate that is none", with("ROLLCALL_TLS_CERTIFICATE", path("empty.pem")), 1, "E0143"),
        ("another authority", with("ROLLCALL_CA_FILE", path("stranger.pem")), 1, "E0141"),
        ("a database without TLS", with("ROLLCALL_DATABASE", plain.clone()), 1, "E0131"),
        ("no NATS", with("ROLLCALL_NATS", format!("tls://127.0.0.1:{}", ports::free()?)), 75, "E0101"),
    ] {
        let (found, said) = run("rollcall-watcher", &policy, &settings).await?;
        ensure!(found == code && said.contains(words), "{what}: {found}, {said}");
        ensure!(!said.contains(&unknown) && said.matches("error[").count() == 1, "{what}: {said}");
    }
    Ok(())
}
