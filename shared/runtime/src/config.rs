//! Process settings: flags and environment, the same for every service.
//!
//! What operators *want* stands in the policy file; here is only where the process finds its parts. Flags win over the
//! environment. Credentials may stand in the addresses of NATS and PostgreSQL, so those are secrets: they are neither
//! in `Debug` nor shown by `--help`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secrecy::{ExposeSecret as _, SecretString};

use crate::clock::Clock;
use crate::fault::{Exit, Fault};
use crate::secret::SecretRef;
use crate::{telemetry, tls};

/// Settings that all services share; `#[command(flatten)]` them.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceOptions {
    /// Address of NATS, several separated by commas
    #[arg(long, value_name = "URL", env = "ROLLCALL_NATS", hide_env_values = true,
        default_value = "nats://127.0.0.1:4222", value_parser = secret_text)]
    pub nats: SecretString,

    /// Address of the PostgreSQL database; with `?sslmode=verify-full` only by TLS
    #[arg(long, value_name = "URL", env = "ROLLCALL_DATABASE", hide_env_values = true,
        default_value = "postgresql://127.0.0.1:5432/rollcall", value_parser = secret_text)]
    pub database: SecretString,

    /// Who we are there.
    #[command(flatten)]
    pub access: Access,

    /// Policy file, or a folder of them (*.toml); may be given several times, one file per tenant
    #[arg(long, value_name = "PATH", env = "ROLLCALL_POLICY", value_delimiter = ':')]
    pub policy: Vec<PathBuf>,

    /// Where health, readiness, metrics and the loops' reports are served; port 0 picks a free one
    #[arg(long, value_name = "ADDR", env = "ROLLCALL_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// Take the service's own role on database connections; needs the roles that the migrations make
    #[arg(long, value_name = "BOOL", env = "ROLLCALL_ROLE_SET", default_value_t = true, action = clap::ArgAction::Set)]
    pub role_set: bool,

    /// How many days closed commands, tries, plans and answers are kept; dead letters, the audit chain and the history of
    /// memberships stay for ever
    #[arg(long, value_name = "DAYS", env = "ROLLCALL_KEEP_DAYS", default_value_t = 90,
        value_parser = clap::value_parser!(u16).range(9..))]
    pub keep_days: u16,

    /// Run on the clock that this file shows (for rehearsals and replays)
    #[arg(long, value_name = "FILE", env = "ROLLCALL_CLOCK_FILE", hide = true)]
    pub clock_file: Option<PathBuf>,

    /// Where logs and traces go.
    #[command(flatten)]
    pub telemetry: telemetry::Options,
}

/// How a process shows NATS and PostgreSQL who it is, and what it may do there.
#[derive(Clone, Debug, clap::Args)]
pub struct Access {
    /// Who we are at NATS: `file:PATH` or `env:NAME` of an nkey's seed or of a credentials file
    #[arg(long, value_name = "REFERENCE", env = "ROLLCALL_NATS_CREDENTIALS", hide_env_values = true,
        value_parser = secret_text)]
    pub nats_credentials: Option<SecretString>,

    /// The certificate that NATS and PostgreSQL are shown where they ask for one, as PEM
    #[arg(long, value_name = "FILE", env = "ROLLCALL_TLS_CERTIFICATE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// The key of that certificate, as PEM
    #[arg(long, value_name = "FILE", env = "ROLLCALL_TLS_KEY", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,

    /// Declare streams that are missing; `false` where this user may not, and another one has
    #[arg(long, value_name = "BOOL", env = "ROLLCALL_NATS_DECLARE", default_value_t = true,
        action = clap::ArgAction::Set)]
    pub nats_declare: bool,
}

impl Access {
    /// The nkey's seed, or the text of the credentials file; `None`: the address says who we are, or nobody asks.
    ///
    /// # Errors
    /// E0104 when it is no reference, or what it leads to is not to be had.
    pub fn credentials(&self) -> Result<Option<SecretString>, Fault> {
        let Some(reference) = &self.nats_credentials else { return Ok(None) };
        let fetched = reference.expose_secret().parse::<SecretRef>().and_then(|known| known.resolve(Path::new(".")));
        fetched.map(Some).map_err(|error| Fault::secret("--nats-credentials", &error))
    }

    /// Whom we trust at the other end, and what we show it.
    ///
    /// # Errors
    /// E0143 when a certificate or a key cannot be used.
    pub fn tls(&self) -> Result<rustls::ClientConfig, Fault> {
        let identity = self.tls_certificate.clone().zip(self.tls_key.clone());
        let identity = identity.map(|(certificate, key)| tls::Identity { certificate, key });
        tls::client_config(identity.as_ref()).map_err(|why| {
            Fault::new("E0143", Exit::Error, format!("certificates cannot be used: {why}"))
                .help("correct the file that is named; nothing was connected to")
        })
    }
}

impl ServiceOptions {
    /// The clock that this process runs on: the wall clock unless told otherwise.
    ///
    /// # Errors
    /// E0107 when the clock file cannot be read.
    pub fn clock(&self) -> Result<Clock, Fault> {
        let Some(path) = &self.clock_file else { return Ok(Clock::real()) };
        Clock::shared(path).map_err(|cause| {
            let message = format!("the clock file {} cannot be read: {cause}", path.display());
            Fault::new("E0107", Exit::Error, message).help("write eight bytes to it first, or leave --clock-file away")
        })
    }

    /// The policy files to run, folders opened, each once, in order of path.
    ///
    /// # Errors
    /// E0105 when none is given or found, E0106 when one is missing.
    pub fn policy_files(&self) -> Result<Vec<PathBuf>, Fault> {
        policy_files(&self.policy)
    }

    /// The address of NATS, for opening a connection and for nothing else.
    pub fn nats_url(&self) -> &str {
        self.nats.expose_secret()
    }

    /// The address of the database, for opening a connection and for nothing else.
    pub fn database_url(&self) -> &str {
        self.database.expose_secret()
    }
}

/// Parses the command line. On wrong usage prints what clap says and gives 64 (clap's own code, 2, would read as
/// "changes present"); on `--help` and `--version` prints and gives 0.
pub fn parse<Options: clap::Parser>() -> Result<Options, ExitCode> {
    Options::try_parse().map_err(|error| {
        // The terminal may be gone; then there is nobody to tell.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
    })
}

/// An environment variable; `None` when it is unset or not UTF-8.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where this machine keeps what is only for a while: `TMPDIR`, or else the system's folder.
pub fn temporary_folder() -> PathBuf {
    std::env::temp_dir()
}

/// See [`ServiceOptions::policy_files`].
pub fn policy_files(given: &[PathBuf]) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    for path in given {
        let unreadable = |cause: std::io::Error| {
            Fault::new("E0106", Exit::Usage, format!("the policy {} cannot be read: {cause}", path.display()))
                .help("check the path and that this process may read it")
        };
        if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            for entry in std::fs::read_dir(path).map_err(unreadable)? {
                let inside = entry.map_err(unreadable)?.path();
                if is_policy(&inside) {
                    files.push(inside);
                }
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(Fault::new("E0105", Exit::Usage, "there is no policy file to run")
            .help("give one with --policy FILE, or a folder that holds *.toml files"));
    }
    Ok(files)
}

fn is_policy(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "toml")
}

/// Takes an option's text as a secret: for addresses that may bear a password. Give `hide_env_values` with it.
///
/// # Errors
/// None.
pub fn secret_text(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        options: ServiceOptions,
    }

    fn parsed(arguments: &[&str]) -> Result<ServiceOptions, clap::Error> {
        let arguments = std::iter::once("service").chain(arguments.iter().copied());
        Command::try_parse_from(arguments).map(|command| command.options)
    }

    #[test]
    fn addresses_are_never_shown() {
        Command::command().debug_assert();
        let options = parsed(&["--nats", "nats://a:hunter2@b", "--database", "postgresql://a:hunter2@b/c"]).unwrap();
        assert_eq!(options.database_url(), "postgresql://a:hunter2@b/c");
        assert_eq!(options.nats_url(), "nats://a:hunter2@b");
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn who_we_are_at_nats_is_a_reference_and_what_was_given_instead_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seed");
        std::fs::write(&file, "SUSEED\n").unwrap();
        let of = |text: &str| parsed(&["--nats-credentials", text]).unwrap().access;
        let read = of(&format!("file:{}", file.display())).credentials().unwrap().unwrap();
        assert_eq!(read.expose_secret(), "SUSEED");
        assert!(parsed(&[]).unwrap().access.credentials().unwrap().is_none());
        let literal = of("SUSEED");
        let refused = literal.credentials().unwrap_err();
        assert_eq!(refused.code, "E0104");
        assert!(!format!("{refused} {literal:?}").contains("SUSEED"));
    }

    #[test]
    fn a_certificate_and_its_key_come_together_and_must_be_readable() {
        assert!(parsed(&["--tls-certificate", "a.pem"]).is_err());
        let access = parsed(&["--tls-certificate", "/nowhere/a.pem", "--tls-key", "/nowhere/a.key"]).unwrap().access;
        let refused = access.tls().unwrap_err();
        assert!(refused.code == "E0143" && refused.message.contains("/nowhere/a.pem"), "{refused}");
    }

    #[test]
    fn defaults_are_private_and_careful() {
        let options = parsed(&[]).unwrap();
        assert!(options.listen.ip().is_loopback());
        assert!(options.role_set);
        assert!(options.clock().unwrap().is_real());
        assert!(!parsed(&["--role-set", "false"]).unwrap().role_set);
        assert!(parsed(&["--listen", "nowhere"]).is_err());
    }

    #[test]
    fn a_folder_of_policies_is_opened_in_order_and_others_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "notes.md"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let single = folder.path().join("a.toml");
        let files = policy_files(&[folder.path().to_owned(), single]).unwrap();
        let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).collect();
        assert_eq!(names, ["a.toml", "b.toml"]);
    }

    #[test]
    fn no_policy_and_a_missing_policy_are_usage_errors() {
        assert_eq!(policy_files(&[]).unwrap_err().code, "E0105");
        let missing = policy_files(&[PathBuf::from("/nonexistent/policy.toml")]).unwrap_err();
        assert_eq!((missing.code, missing.exit), ("E0106", Exit::Usage));
    }
}
