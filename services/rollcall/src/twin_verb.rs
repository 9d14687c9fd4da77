//! `rollcall twin`: Google and Atlassian, played from a file.

use std::path::Path;

use runtime::{Exit, Fault, Shutdown};
use twin::{Running, Twin};

use crate::{args::TwinArgs, show, up::tokens};

/// Serves a world until it is told to stop. With its secrets it writes a token for the operators' API beside it, and the file that
/// tells a console whose it is; both stay on the next start.
///
/// # Errors
/// When a port is taken or the world cannot be loaded.
pub async fn twin(args: &TwinArgs) -> Result<Exit, Fault> {
    let shutdown = Shutdown::on_signals()
        .map_err(|cause| Fault::new("E0130", Exit::Error, format!("signals cannot be caught: {cause}")))?;
    let running = start(args).await?;
    if let Some(folder) = &args.secrets {
        write_all(&running, folder)?;
    }
    show::note(&format!(
        "Google at {}, Atlassian at {}, the operator's endpoint at {}",
        running.google_url(),
        running.atlassian_url(),
        running.admin_url()
    ));
    if let Some(folder) = &args.secrets {
        show::note(&format!(
            "The secrets of a policy for this twin are in {}, with a token for the operators' API",
            folder.display()
        ));
    }
    shutdown.begun().await;
    Ok(Exit::Done)
}

/// Starts a twin with a world.
///
/// # Errors
/// When a port is taken or the world cannot be loaded.
pub async fn start(args: &TwinArgs) -> Result<Running, Fault> {
    let options = twin::load::Options { administrator: args.administrator.clone(), ..twin::load::Options::default() };
    let (google, atlassian, world) = (args.google, args.atlassian, args.world.clone());
    let started = Twin::start(twin::Config { google, atlassian, world, options, ..twin::Config::default() }).await;
    started.map_err(|error| match error {
        twin::Error::Listen { .. } => Fault::new("E0103", Exit::Error, error.to_string())
            .help("stop the other process, or choose other ports with --google and --atlassian"),
        _ => Fault::new("E0128", Exit::Usage, error.to_string())
            .help("give a snapshot in the format orgdir-snapshot/1, or a world file of the twin"),
    })
}

fn write_all(running: &Running, folder: &Path) -> Result<(), Fault> {
    write_secrets(running, folder)?;
    // Last: who waits for it finds the others.
    tokens::local(folder).map(drop)
}

/// Writes the secrets that a policy needs to reach the twin: Google's key file, whose token endpoint is the twin, and
/// Atlassian's keys.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_secrets(running: &Running, folder: &Path) -> Result<(), Fault> {
    let key = running.service_account_key();
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join("google.json"), key.to_string()))
        .and_then(|()| std::fs::write(folder.join("org-key"), "twin-org-key"))
        .and_then(|()| std::fs::write(folder.join("scim-token"), "twin-scim-key"))
        .and_then(|()| std::fs::write(folder.join("jira-token"), "twin-api-token"));
    written.map_err(|cause| {
        Fault::new("E0112", Exit::Error, format!("cannot use {}: {cause}", folder.display()))
            .help("choose another folder with --secrets")
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::{net::SocketAddr, os::unix::fs::PermissionsExt as _};

    use console::Tokens;

    use super::*;

    #[tokio::test]
    async fn a_twin_writes_a_token_that_the_console_takes_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let administrator = "sync@acme.example".to_owned();
        let args = TwinArgs { world: None, google: any, atlassian: any, secrets: None, administrator };
        let running = start(&args).await.unwrap();
        write_all(&running, &secrets).unwrap();
        let (token, tokens) = (secrets.join("token"), secrets.join("tokens.toml"));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let person = Tokens::parse(&read(&tokens)).unwrap().find(&read(&token)).unwrap();
        assert_eq!((person.role, &person.tenants), (console::Role::Admin, &None));
        for path in [&token, &tokens] {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        let first = read(&token);
        write_all(&running, &secrets).unwrap();
        assert_eq!(read(&token), first, "whoever holds it can go on");
    }
}
