//! `rollcall doctor` asks each vendor, and names what is missing.

use anyhow::Result;
use harness::{Postgres, ports};
use scenarios::{Company, Outside};
use serde_json::{Value, json};
use twin::world::atlassian::SCIM_DIRECTORY;

const USERS: &str = "https://www.googleapis.com/auth/admin.directory.user.readonly";
const GROUPS: &str = "https://www.googleapis.com/auth/admin.directory.group.readonly";

/// The finding about one directory: whether it is well, and what is said.
async fn found(outside: &Outside, directory: &str, code: i32) -> Result<(bool, String)> {
    let said = outside.rollcall(&["doctor", "--output", "json"]).await?;
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    let document: Value = serde_json::from_str(&said.out)?;
    let findings = document["findings"].as_array().cloned().unwrap_or_default();
    let what = format!("directory {directory}");
    let finding = findings.into_iter().find(|finding| finding["what"] == what.as_str()).unwrap_or_default();
    Ok((finding["ok"] == true, format!("{}: {} ({})", finding["code"], finding["found"], finding["help"])))
}

/// Google by an OAuth web client with these scopes, and a provisioning directory.
async fn outside(scopes: &[&str]) -> Result<Outside> {
    let company = Company::of(6).group("staff", 0..5);
    let policy = company.policy().replace(
        "service_account = \"file:secrets/google.json\"\nsubject = \"sync@acme.example\"",
        "oauth = { client_id = \"web\", client_secret = \"file:secrets/web\", refresh_token = \"file:secrets/refresh\" }",
    );
    let scim = format!(
        "\n[directory.cloud-idp]\nkind = \"atlassian-scim\"\ndirectory_id = \"{SCIM_DIRECTORY}\"\n\
         token = \"file:secrets/scim-key\"\nendpoint = \"{{atlassian}}\"\nlag = \"0s\"\n\n[[people.provision]]\n\
         name = \"staff\"\nfrom = \"workspace\"\nto = \"cloud-idp\"\n"
    );
    let policy =
        policy.replace("owner = \"sync@acme.example\"\n", "").replace("\n[[sync]]", &format!("{scim}\n[[sync]]"));
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    // Without `subject` and `owner` in the policy the twin has its usual administrator.
    let grant = json!({ "subject": "sync@example.com", "scopes": scopes });
    let client = json!({ "client_id": "web", "client_secret": "hush", "refresh_tokens": { "consent": grant } });
    outside.tell("credentials", &json!({ "oauth_clients": { "web": client } })).await?;
    for (name, secret) in [("web", "hush"), ("refresh", "consent"), ("scim-key", "twin-scim-key")] {
        std::fs::write(outside.folder.path().join("secrets").join(name), secret)?;
    }
    Ok(outside)
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_every_vendor_and_says_what_it_could_read() -> Result<()> {
    let outside = outside(&[USERS, GROUPS]).await?;
    let before = outside.sequence();
    for directory in ["workspace", "cloud", "cloud-idp"] {
        let (well, said) = found(&outside, directory, 0).await?;
        assert!(well && said.contains("groups") && said.contains("can be read"), "{directory}: {said}");
    }
    assert_eq!(outside.sequence(), before, "doctor changes nothing");
    // Each refusal is found, although nobody's own account is asked for at any of them.
    let secrets = outside.folder.path().join("secrets");
    for (directory, file) in [("cloud", "org-key"), ("cloud-idp", "scim-key")] {
        let right = std::fs::read_to_string(secrets.join(file))?;
        std::fs::write(secrets.join(file), "another-key")?;
        let (well, said) = found(&outside, directory, 1).await?;
        assert!(!well && said.contains("E0118"), "{directory}: {said}");
        std::fs::write(secrets.join(file), right)?;
    }
    outside.tell("credentials/revoke", &json!({ "refresh_token": "consent" })).await?;
    let (well, said) = found(&outside, "workspace", 1).await?;
    assert!(!well && said.contains("E0118"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_the_scope_that_is_missing() -> Result<()> {
    for (scopes, missing) in [([USERS], GROUPS), ([GROUPS], USERS)] {
        let outside = outside(&scopes).await?;
        let (well, said) = found(&outside, "workspace", 1).await?;
        assert!(!well && said.contains("E0118") && said.contains(&format!("takes the scope {missing}")), "{said}");
    }
    Ok(())
}

/// A server that refuses is no server that is away: its address is to be corrected, and waiting does not help.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_a_database_that_refuses_from_one_that_is_away() -> Result<()> {
    let company = Company::of(2).group("staff", 0..2);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let postgres = Postgres::fast().await?;
    let stranger = postgres.url("postgres").replace("//rollcall@", "//stranger:hunter2@");
    let away = format!("postgresql://rollcall:hunter2@127.0.0.1:{}/rollcall", ports::free()?);
    let rows = [(&postgres.url("postgres"), 0, "answers"), (&stranger, 1, "E0131"), (&away, 75, "E0102")];
    for (url, code, word) in rows {
        let said = outside.rollcall(&["doctor", "--database", url]).await?;
        assert!(said.code == code && said.out.contains(word), "{code} {word}: {}{}", said.out, said.err);
        assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{}{}", said.out, said.err);
        assert_eq!(said.out.contains("start it"), code == 75, "{}", said.out);
    }
    Ok(())
}
