//! What cannot work ends with one clear message that says what to do, the right exit code, and nothing written.

use std::time::Duration;

use anyhow::Result;
use harness::{Nats, NatsOptions, Postgres, Service, ports};
use scenarios::{Company, Outside, Said};
use serde_json::json;

fn company() -> Company {
    Company::of(6).group("staff", 0..5)
}

async fn outside() -> Result<Outside> {
    Outside::start(&company().snapshot(), &company().policy()).await
}

/// `plan` and `apply` both end with this code, name what is wrong and write nothing.
async fn refused(outside: &Outside, code: i32, words: &[&str]) -> Result<()> {
    let before = outside.sequence();
    for arguments in [&["plan"][..], &["apply", "--yes"][..]] {
        let said = outside.rollcall(arguments).await?;
        check(&said, code, words);
    }
    assert_eq!(outside.sequence(), before);
    Ok(())
}

fn check(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    for word in words {
        assert!(said.err.contains(word), "{word:?} is not in: {}", said.err);
    }
    for secret in ["twin-org-key", "PRIVATE KEY"] {
        assert!(!said.err.contains(secret) && !said.out.contains(secret));
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
    refused(&outside, 64, &["membrs", "members", &place]).await?;
    check(&outside.rollcall(&["policy", "check"]).await?, 64, &["membrs", "members", &place]);
    // The place bears the name of the file that was given, so that an editor finds it.
    std::fs::rename(outside.policy(), outside.folder.path().join("company.toml"))?;
    let said = outside.rollcall(&["policy", "check", "--config", "company.toml"]).await?;
    check(&said, 64, &["membrs", &format!("--> company.toml:{place}")]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_missing_revoked_expired_or_too_narrow_end_with_1() -> Result<()> {
    let outside = outside().await?;
    let key = outside.folder.path().join("secrets/org-key");
    std::fs::remove_file(&key)?;
    refused(&outside, 1, &["org-key"]).await?;
    std::fs::write(&key, "another-key")?;
    refused(&outside, 1, &["cloud"]).await?;
    std::fs::write(&key, "twin-org-key")?;
    for secret in &mut outside.twin.twin.engine.credentials().secrets {
        secret.expires_at = Some(1);
    }
    refused(&outside, 1, &["cloud"]).await?;
    for secret in &mut outside.twin.twin.engine.credentials().secrets {
        secret.expires_at = None;
    }
    // Google: a service account that may read users and nothing else; then one that is gone.
    let narrow = ["https://www.googleapis.com/auth/admin.directory.user.readonly"];
    outside.tell("credentials/key-file", &json!({ "scopes": narrow })).await?;
    refused(&outside, 1, &["workspace"]).await?;
    outside.tell("credentials/revoke", &json!({ "service_account": "rollcall@twin.iam.gserviceaccount.com" })).await?;
    refused(&outside, 1, &["workspace"]).await?;
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
    refused(&outside, 75, &["cloud"]).await?;
    outside.write_policy(&text)?;
    outside.twin.stop();
    let said = outside.rollcall(&["plan"]).await?;
    check(&said, 75, &["workspace"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_ends_with_1() -> Result<()> {
    let outside = outside().await?;
    let taken = outside.twin.google.to_string();
    let said = outside.rollcall(&["twin", "--google", &taken, "--atlassian", "127.0.0.1:0"]).await?;
    check(&said, 1, &[&taken, "--google"]);
    Ok(())
}

const SERVICES: [&str; 3] = ["rollcall-watcher", "rollcall-reconciler", "rollcall-writer"];

/// Starts a service with these addresses and waits for its end.
async fn ends(binary: &str, nats: &str, database: &str, more: &[String]) -> Result<(i32, String)> {
    let shared = [format!("--nats={nats}"), format!("--database={database}")];
    let mut service = Service::spawn(binary, shared.iter().chain(more))?;
    let code = service.wait(Duration::from_secs(40)).await?.code().unwrap_or(-1);
    Ok((code, service.lines().all().join("\n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn services_without_nats_or_postgres_end_with_75_and_with_a_wrong_policy_with_64() -> Result<()> {
    let outside = outside().await?;
    let postgres = Postgres::fast().await?;
    let database = postgres.database("empty").await?;
    let (nowhere, no_database) = (
        format!("nats://user:hunter2@127.0.0.1:{}", ports::free()?),
        format!("postgresql://user:hunter2@127.0.0.1:{}/rollcall", ports::free()?),
    );
    store::migrate(&database).await?;
    let policy = [format!("--policy={}", outside.policy().display())];
    let before = outside.sequence();
    for binary in SERVICES {
        let (code, said) = ends(binary, &nowhere, &database, &policy).await?;
        assert!(code == 75 && said.contains("NATS") && !said.contains("hunter2"), "{binary}: {code} {said}");
        let (code, said) = ends(binary, &nowhere, &no_database, &policy).await?;
        assert!(code == 75 && said.contains("PostgreSQL") && !said.contains("hunter2"), "{binary}: {code} {said}");
        let taken = [policy[0].clone(), format!("--listen={}", outside.twin.google)];
        let (code, said) = ends(binary, &nowhere, &database, &taken).await?;
        assert!(code == 1 && said.contains(&outside.twin.google.to_string()), "{binary}: {code} {said}");
    }
    let mut wrong = company();
    wrong.rule = "membrs = \"exact\"\n".to_owned();
    let other = outside.folder.path().join("company.toml");
    std::fs::write(&other, wrong.policy())?;
    let policy = [format!("--policy={}", other.display())];
    for binary in SERVICES {
        let (code, said) = ends(binary, &nowhere, &database, &policy).await?;
        let named = said.contains(&format!("--> {}:", other.display()));
        assert!(code == 64 && said.contains("membrs") && named, "{binary}: {code} {said}");
    }
    assert_eq!(outside.sequence(), before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_without_room_is_told_at_once_and_one_that_is_not_there_after_a_while() -> Result<()> {
    let outside = outside().await?;
    let postgres = Postgres::fast().await?;
    let database = postgres.database("empty").await?;
    store::migrate(&database).await?;
    let nats = Nats::start_with(NatsOptions { max_file_store: Some(64), ..NatsOptions::default() }).await?;
    let policy = [format!("--policy={}", outside.policy().display())];
    for binary in SERVICES {
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
