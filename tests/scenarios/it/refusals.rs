//! What cannot work ends with one clear message that says what to do, the right exit code, and nothing written.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use harness::{Nats, NatsOptions, Postgres, Service, ports};
use scenarios::{Company, Outside, Said};
use serde_json::{Value, json};

fn company() -> Company {
    Company::of(6).group("staff", 0..5)
}

async fn outside() -> Result<Outside> {
    Outside::start(&company().snapshot(), &company().policy()).await
}

/// `plan` and `apply` both end with this code and this one error, name what is wrong and write nothing, neither outside
/// nor in what they remember.
async fn refused(outside: &Outside, code: i32, error: &str, words: &[&str]) -> Result<()> {
    let before = (outside.sequence(), remembered(outside)?);
    for arguments in [&["plan"][..], &["apply", "--yes"][..]] {
        let said = outside.rollcall(arguments).await?;
        check(&said, code, error, words);
    }
    assert_eq!((outside.sequence(), remembered(outside)?), before);
    Ok(())
}

/// What one-shot runs remember of what they did. What they have read may be kept: it is the vendor's.
fn remembered(outside: &Outside) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for name in ["ledger.ndjson", "audit.ndjson"] {
        match std::fs::metadata(outside.journal().join(name)) {
            Ok(file) => files.push((name.to_owned(), file.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(files)
}

fn check(said: &Said, code: i32, error: &str, words: &[&str]) {
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    one_message(&said.err, error, words);
    for secret in ["twin-org-key", "PRIVATE KEY"] {
        assert!(!said.err.contains(secret) && !said.out.contains(secret));
    }
}

/// Exactly one error is told: under this code, with these words, and with what to do. What is wrong in a policy file
/// stands beside the one sentence that says that the file is refused.
fn one_message(said: &str, error: &str, words: &[&str]) {
    let told = said.lines().filter(|line| line.starts_with("error"));
    let (refused, told): (Vec<&str>, Vec<&str>) = told.partition(|line| line.starts_with("error[E0114]: "));
    let begins = format!("error[{error}]: ");
    assert!(matches!(told.as_slice(), [one] if one.starts_with(&begins)), "not one error {error}: {said}");
    assert_eq!(refused.len(), usize::from(error.starts_with("E02")), "{said}");
    let help = said.lines().find_map(|line| line.trim_start().strip_prefix("help: "));
    assert!(help.is_some_and(|help| help.len() > 10), "it does not say what to do: {said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_shown_with_its_place_and_the_nearest_one() -> Result<()> {
    let outside = outside().await?;
    let mut wrong = company();
    wrong.rule = "membrs = \"exact\"\n".to_owned();
    outside.write_policy(&wrong.policy())?;
    let line = wrong.policy().lines().position(|line| line.starts_with("membrs")).unwrap_or_default() + 1;
    let place = format!("{line}:1");
    let words = ["membrs", "did you mean `members`?", &place];
    refused(&outside, 64, "E0201", &words).await?;
    check(&outside.rollcall(&["policy", "check"]).await?, 64, "E0201", &words);
    // The place bears the name of the file that was given, so that an editor finds it.
    std::fs::rename(outside.policy(), outside.folder.path().join("company.toml"))?;
    let said = outside.rollcall(&["policy", "check", "--config", "company.toml"]).await?;
    check(&said, 64, "E0201", &["membrs", &format!("--> company.toml:{place}")]);
    Ok(())
}

/// What to do about credentials that are refused.
const DOCTOR: &str = "`rollcall doctor` names the directory and the scopes that are missing";

/// `doctor` ends with 1, and says of this directory alone what is wrong.
async fn doctor_names(outside: &Outside, directory: &str, words: &[&str]) -> Result<()> {
    let said = outside.rollcall(&["doctor"]).await?;
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let failed: Vec<&str> = said.out.lines().filter(|line| line.contains("FAILED")).collect();
    assert!(matches!(failed.as_slice(), [one] if one.contains(directory) && one.contains("E0118")), "{}", said.out);
    for word in words {
        assert!(said.out.contains(word), "{word:?} is not in: {}", said.out);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_missing_revoked_expired_or_too_narrow_end_with_1() -> Result<()> {
    let outside = outside().await?;
    let key = outside.folder.path().join("secrets/org-key");
    std::fs::remove_file(&key)?;
    refused(&outside, 1, "E0104", &["org-key", "put the secret where the policy file says"]).await?;
    std::fs::write(&key, "another-key")?;
    refused(&outside, 1, "E0118", &["cloud", DOCTOR]).await?;
    doctor_names(&outside, "cloud", &[]).await?;
    std::fs::write(&key, "twin-org-key")?;
    for secret in &mut outside.twin.twin.engine.credentials().secrets {
        secret.expires_at = Some(1);
    }
    refused(&outside, 1, "E0118", &["cloud", DOCTOR]).await?;
    for secret in &mut outside.twin.twin.engine.credentials().secrets {
        secret.expires_at = None;
        // A key with scopes that lacks one of those that a read takes.
        secret.scopes = ["read:directories:admin", "read:accounts:admin"].map(str::to_owned).into();
    }
    refused(&outside, 1, "E0118", &["cloud", DOCTOR]).await?;
    doctor_names(&outside, "cloud", &["read:groups:admin"]).await?;
    for secret in &mut outside.twin.twin.engine.credentials().secrets {
        secret.scopes.clear();
    }
    assert_eq!(outside.rollcall(&["doctor"]).await?.code, 0, "all is well with the right key");
    // Google: a service account that may read users and nothing else; then one that is gone.
    let narrow = ["https://www.googleapis.com/auth/admin.directory.user.readonly"];
    outside.tell("credentials/key-file", &json!({ "scopes": narrow })).await?;
    refused(&outside, 1, "E0118", &["workspace", DOCTOR]).await?;
    doctor_names(&outside, "workspace", &["admin.directory.group.readonly"]).await?;
    outside.tell("credentials/revoke", &json!({ "service_account": "rollcall@twin.iam.gserviceaccount.com" })).await?;
    refused(&outside, 1, "E0118", &["workspace", DOCTOR]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vendors_that_do_not_answer_end_with_75() -> Result<()> {
    let outside = outside().await?;
    // Nobody listens any more where the policy points to.
    let free = ports::free()?;
    let text = std::fs::read_to_string(outside.policy())?;
    let gone = text.replace(&outside.twin.atlassian_url(), &format!("http://127.0.0.1:{free}"));
    outside.write_policy(&gone)?;
    refused(&outside, 75, "E0119", &["cloud", "try again later"]).await?;
    outside.write_policy(&text)?;
    outside.twin.stop();
    let said = outside.rollcall(&["plan"]).await?;
    check(&said, 75, "E0119", &["workspace", "try again later"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_ends_with_1() -> Result<()> {
    let outside = outside().await?;
    let taken = outside.twin.google.to_string();
    let said = outside.rollcall(&["twin", "--google", &taken, "--atlassian", "127.0.0.1:0"]).await?;
    check(&said, 1, "E0103", &[&taken, "--google"]);
    Ok(())
}

/// What there is in a folder; nothing where there is none.
fn inside(folder: &Path) -> Result<BTreeSet<String>> {
    if !folder.exists() {
        return Ok(BTreeSet::new());
    }
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn up_with_a_taken_port_ends_with_1_names_its_flag_and_leaves_whoever_holds_it_alone() -> Result<()> {
    let outside = outside().await?;
    let policy = format!("--config={}", outside.policy().display());
    let folder = outside.folder.path().join("servers");
    let up = async |console: &str| {
        let arguments = ["up", &policy, &format!("--data={}", folder.display()), &format!("--console={console}")];
        run("rollcall", &arguments.map(str::to_owned)).await
    };
    let (code, said) = up(&outside.twin.google.to_string()).await?;
    one_message(&said, "E0103", &[&outside.twin.google.to_string(), "choose another address with --console"]);
    assert_eq!((code, inside(&folder)?.len()), (1, 0), "nothing is written: {said}");
    // Others have taken the ports that our own servers had when they last ran.
    let (nats, postgres) = tokio::join!(Nats::start(), Postgres::fast());
    let (nats, postgres) = (nats?, postgres?);
    std::fs::create_dir(&folder)?;
    for (name, port, flag) in [("postgres", postgres.port(), "--database"), ("nats", nats.port(), "--nats")] {
        let file = folder.join(format!("{name}.port"));
        std::fs::write(&file, port.to_string())?;
        let (code, said) = up("127.0.0.1:0").await?;
        one_message(&said, "E0103", &[&format!("127.0.0.1:{port} is taken"), flag, &file.display().to_string()]);
        let written: Vec<String> = inside(&folder)?.into_iter().collect();
        assert!(code == 1 && written == ["lock".to_owned(), format!("{name}.port")], "{written:?} {said}");
        std::fs::remove_file(&file)?;
    }
    let schemas = "select count(*) from information_schema.schemata where schema_name in ('common', 'plan', 'effect')";
    let migrated: i64 = postgres.connect("postgres").await?.query_one(schemas, &[]).await?.get(0);
    let names = nats.connect().await?.request("$JS.API.STREAM.NAMES", Vec::new().into()).await?;
    let names: Value = serde_json::from_slice(&names.payload)?;
    assert_eq!((migrated, &names["total"]), (0, &json!(0)), "nothing is written at others': {names}");
    Ok(())
}

const SERVICES: [&str; 4] = ["rollcall-watcher", "rollcall-reconciler", "rollcall-writer", "rollcall-console"];

/// Runs a binary of ours to its end; gives its code and what it said.
async fn run(binary: &str, arguments: &[String]) -> Result<(i32, String)> {
    let mut service = Service::spawn(binary, arguments)?;
    let code = service.wait(Duration::from_secs(40)).await?.code().unwrap_or(-1);
    Ok((code, service.lines().all().join("\n")))
}

/// Starts a service with these addresses and waits for its end.
async fn ends(binary: &str, nats: &str, database: &str, more: &[String]) -> Result<(i32, String)> {
    let mut arguments = vec![format!("--nats={nats}"), format!("--database={database}")];
    arguments.extend_from_slice(more);
    if binary == "rollcall-console" {
        let tokens = tempfile::NamedTempFile::new()?;
        let entry = format!("[[token]]\nperson = \"kim\"\nrole = \"admin\"\nsha256 = \"{}\"\n", "0".repeat(64));
        std::fs::write(tokens.path(), entry)?;
        arguments.push(format!("--tokens={}", tokens.path().display()));
        if !more.iter().any(|argument| argument.starts_with("--api")) {
            arguments.push("--api=127.0.0.1:0".to_owned());
        }
        return run(binary, &arguments).await;
    }
    run(binary, &arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn services_without_nats_or_postgres_end_with_75_where_it_refuses_with_1_and_with_a_wrong_policy_with_64()
-> Result<()> {
    let outside = outside().await?;
    let postgres = Postgres::fast().await?;
    let database = postgres.database("empty").await?;
    let (nowhere, no_database) = (
        format!("nats://user:hunter2@127.0.0.1:{}", ports::free()?),
        format!("postgresql://user:hunter2@127.0.0.1:{}/rollcall", ports::free()?),
    );
    let policy = [format!("--policy={}", outside.policy().display())];
    let told = |(code, said): (i32, String), expected: (i32, &str), words: &[&str]| {
        assert!(code == expected.0 && !said.contains("hunter2"), "{code}: {said}");
        one_message(&said, expected.1, words);
    };
    // A database without our migrations has no roles of ours; and a user whom it does not know.
    let stranger = database.replace("//rollcall@", "//stranger:hunter2@");
    for binary in SERVICES {
        for (url, word) in [(&database, "role \"rollcall_"), (&stranger, "role \"stranger\"")] {
            let refused = ends(binary, &nowhere, url, &policy).await?;
            told(refused, (1, "E0131"), &[word, "does not exist", "run the migrations"]);
        }
    }
    store::migrate(&database).await?;
    let before = (outside.sequence(), rows(&postgres).await?);
    for binary in SERVICES {
        let no_nats = ends(binary, &nowhere, &database, &policy).await?;
        told(no_nats, (75, "E0101"), &["NATS", "start nats-server with JetStream"]);
        let neither = ends(binary, &nowhere, &no_database, &policy).await?;
        told(neither, (75, "E0102"), &["PostgreSQL", "start it, or give its address with --database"]);
        let taken = outside.twin.google.to_string();
        let listening = [policy[0].clone(), format!("--listen={taken}")];
        let no_port = ends(binary, &nowhere, &database, &listening).await?;
        told(no_port, (1, "E0103"), &[&taken, "choose another address with --listen"]);
    }
    let taken = outside.twin.google.to_string();
    let no_port = ends("rollcall-console", &nowhere, &database, &[policy[0].clone(), format!("--api={taken}")]).await?;
    told(no_port, (1, "E0103"), &[&taken, "choose another address with --api"]);
    let mut wrong = company();
    wrong.rule = "membrs = \"exact\"\n".to_owned();
    let other = outside.folder.path().join("company.toml");
    std::fs::write(
        &other,
        wrong.policy().replace("{google}", "http://127.0.0.1:1").replace("{atlassian}", "http://127.0.0.1:1"),
    )?;
    let policy = [format!("--policy={}", other.display())];
    for binary in SERVICES {
        let place = format!("--> {}:", other.display());
        let no_policy = ends(binary, &nowhere, &database, &policy).await?;
        told(no_policy, (64, "E0201"), &["membrs", "did you mean `members`?", &place]);
    }
    assert_eq!((outside.sequence(), rows(&postgres).await?), before, "nothing is written, outside or in the database");
    Ok(())
}

/// How many rows each table of ours has.
async fn rows(postgres: &Postgres) -> Result<Vec<(String, i64)>> {
    let sql = postgres.connect("empty").await?;
    let tables = "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_type = 'BASE TABLE' and table_schema in ('common', 'directory', 'plan', 'effect', 'console') order by 1";
    let mut rows = Vec::new();
    for table in sql.query(tables, &[]).await? {
        let table: String = table.get(0);
        let count = sql.query_one(&format!("select count(*) from {table}"), &[]).await?.get(0);
        rows.push((table, count));
    }
    assert!(rows.len() > 20, "{rows:?}");
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_without_room_is_told_at_once_and_one_that_is_not_there_after_a_while() -> Result<()> {
    let outside = outside().await?;
    let postgres = Postgres::fast().await?;
    let database = postgres.database("empty").await?;
    store::migrate(&database).await?;
    let nats = Nats::start_with(NatsOptions { max_file_store: Some(64), ..NatsOptions::default() }).await?;
    let policy = [format!("--policy={}", outside.policy().display())];
    // The console declares no streams.
    for binary in SERVICES.into_iter().filter(|binary| *binary != "rollcall-console") {
        let (code, said) = ends(binary, &nats.url(), &database, &policy).await?;
        assert!(code == 1 && said.contains("E0136") && said.contains("max_file_store"), "{binary}: {code} {said}");
    }
    let up = |nats: &str, folder: &str| {
        let folder = outside.folder.path().join(folder);
        ["up".to_owned(), format!("--config={}", outside.policy().display()), format!("--nats={nats}")]
            .into_iter()
            .chain([format!("--database={database}"), format!("--data={}", folder.display())])
            .chain(["--console=127.0.0.1:0".to_owned()])
            .collect::<Vec<_>>()
    };
    let mut service = Service::spawn("rollcall", up(&nats.url(), "one"))?;
    let code = service.wait(Duration::from_secs(20)).await?.code();
    let said = service.lines().all().join("\n");
    assert!(code == Some(1) && said.contains("E0136") && said.contains("at least 84 MB"), "{code:?} {said}");
    let nowhere = format!("nats://127.0.0.1:{}", ports::free()?);
    let mut service = Service::spawn("rollcall", up(&nowhere, "two"))?;
    let code = service.wait(Duration::from_secs(40)).await?.code();
    let said = service.lines().all().join("\n");
    assert!(code == Some(75) && said.contains("E0101"), "{code:?} {said}");
    Ok(())
}
