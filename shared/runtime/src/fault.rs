//! Errors that an operator reads, and the codes that processes end with.
//!
//! A [`Fault`] has a stable code with an entry in `deploy/runbooks/errors.md` (a test compares both ways), says what
//! failed and what to do next, and carries the exit code. Libraries keep their own typed errors; a fault is made at the
//! edge, where the operator's next step is known.

use std::fmt;
use std::process::ExitCode;

/// How a process ends. Scripts rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 1: an error: bad or under-scoped credentials, a taken port, …
    Error,
    /// 2: changes are present; only with `--detailed-exitcode`.
    Changes,
    /// 3: held or refused (guard, approval, stale plan); the rest was applied.
    Held,
    /// 4: partly applied; the rest is in dead letters.
    Partly,
    /// 64: wrong usage, or a policy file that cannot be right.
    Usage,
    /// 75: try later: NATS, PostgreSQL or an API cannot be reached.
    TryLater,
    /// 130: interrupted, resumable.
    Interrupted,
}

impl Exit {
    /// The number itself.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Held => 3,
            Self::Partly => 4,
            Self::Usage => 64,
            Self::TryLater => 75,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// One error for the operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable code, `E` and four digits, with an entry in `deploy/runbooks/errors.md`.
    pub code: &'static str,
    /// How the process ends when this ends it.
    pub exit: Exit,
    /// What failed, where and why: lower case, no full stop, no secret, no personal data.
    pub message: String,
    /// What to do next; empty when the message says it.
    pub help: String,
}

impl Fault {
    /// A fault without help text.
    pub fn new(code: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        Self { code, exit, message: message.into(), help: String::new() }
    }

    /// The same fault with what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// NATS does not answer. `url` may hold a password; it is not shown.
    pub fn nats_unreachable(url: &str, cause: &dyn fmt::Display) -> Self {
        Self::new("E0101", Exit::TryLater, format!("NATS at {} cannot be reached: {cause}", without_password(url)))
            .help("start nats-server with JetStream (`-js`), or give its address with --nats or ROLLCALL_NATS")
    }

    /// NATS, or who minds certificates on the way to it, does not let us in. `url` may hold a password; it is not shown.
    pub fn nats_denies(url: &str, cause: &dyn fmt::Display) -> Self {
        Self::new("E0138", Exit::Error, format!("NATS at {} does not let us in: {cause}", without_password(url))).help(
            "check --nats-credentials, the certificate that is shown (--tls-certificate) and the authority that is \
             trusted (ROLLCALL_CA_FILE)",
        )
    }

    /// NATS answers, and has no room for the streams: waiting does not help. `url` may hold a password; it is not shown.
    pub fn nats_has_no_room(url: &str, cause: &dyn fmt::Display) -> Self {
        Self::new("E0136", Exit::Error, format!("NATS at {} cannot hold what passes: {cause}", without_password(url)))
            .help("make room on its disk, or let it use more of it (`max_file_store` of its `jetstream` section)")
    }

    /// NATS answers, and refuses a stream. `url` may hold a password; it is not shown.
    pub fn nats_refuses(url: &str, cause: &dyn fmt::Display) -> Self {
        Self::new("E0137", Exit::TryLater, format!("NATS at {} refuses: {cause}", without_password(url)))
            .help("start it with JetStream (`-js`), and let this user declare streams, or have them declared")
    }

    /// PostgreSQL answers, and refuses a service. `url` may hold a password; it is not shown.
    pub fn postgres_refuses(url: &str, service: &str, cause: &dyn fmt::Display) -> Self {
        let help = format!(
            "check database, user and password in the address, run the migrations (`rollcall up` does), and check that \
             this user may take the {service}'s role; where it says `no encryption`, add ?sslmode=verify-full"
        );
        Self::new("E0131", Exit::Error, format!("{}: {cause}", without_password(url))).help(help)
    }

    /// PostgreSQL does not answer, or who minds certificates on the way to it does not let us through. `url` may hold a
    /// password; it is not shown.
    pub fn no_postgres(url: &str, error: &(dyn std::error::Error + 'static), why: &str) -> Self {
        match crate::tls::refusal(error) {
            Some(refusal) => {
                let message = format!("PostgreSQL at {} is not to be trusted: {refusal}", without_password(url));
                Self::new("E0141", Exit::Error, message)
                    .help("name its authority in ROLLCALL_CA_FILE, or correct the address or the certificate")
            }
            None => Self::postgres_unreachable(url, &why),
        }
    }

    /// PostgreSQL does not answer. `url` may hold a password; it is not shown.
    pub fn postgres_unreachable(url: &str, cause: &dyn fmt::Display) -> Self {
        Self::new(
            "E0102",
            Exit::TryLater,
            format!("PostgreSQL at {} cannot be reached: {cause}", without_password(url)),
        )
        .help("start it, or give its address with --database or ROLLCALL_DATABASE")
    }

    /// A port that we should listen on is taken, or may not be opened. `flag` is the option that names another one, such
    /// as `--listen`.
    pub fn cannot_listen(flag: &str, address: &dyn fmt::Display, cause: &std::io::Error) -> Self {
        let what = if cause.kind() == std::io::ErrorKind::AddrInUse {
            format!("the port of {address} is taken by another process")
        } else {
            format!("cannot listen on {address}: {cause}")
        };
        Self::new("E0103", Exit::Error, what)
            .help(format!("stop the other process, or choose another address with {flag}"))
    }

    /// A secret that the policy refers to is not to be had.
    pub fn secret(key: &str, error: &crate::secret::SecretError) -> Self {
        Self::new("E0104", Exit::Error, format!("{key}: {error}"))
            .help("put the secret where the policy file says, readable for this process and nobody else")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error[{}]: {}", self.code, self.message)?;
        if !self.help.is_empty() {
            write!(out, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// Prints the fault on standard error and gives the code to end with.
pub fn report(fault: &Fault) -> ExitCode {
    eprintln!("{fault}");
    fault.exit.into()
}

/// An address as it may be shown: what stands between `//` and `@` is who and password, and is cut out.
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(authority_end).unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // A query may hold `password=…`; nobody needs it to find the server.
    let path = path.split('?').next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    if scheme.is_empty() && url.contains("password") {
        return "the given connection string".to_owned();
    }
    format!("{scheme}{separator}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_code_message_help() {
        let fault = Fault::new("E0312", Exit::Usage, "unknown key `max_removal`").help("did you mean `max_removals`?");
        assert_eq!(fault.to_string(), "error[E0312]: unknown key `max_removal`\n  help: did you mean `max_removals`?");
        assert_eq!(Fault::new("E0312", Exit::Held, "held").to_string(), "error[E0312]: held");
    }

    #[test]
    fn exit_codes_are_the_contract() {
        let codes: Vec<u8> = [
            Exit::Done,
            Exit::Error,
            Exit::Changes,
            Exit::Held,
            Exit::Partly,
            Exit::Usage,
            Exit::TryLater,
            Exit::Interrupted,
        ]
        .into_iter()
        .map(Exit::code)
        .collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 64, 75, 130]);
    }

    #[test]
    fn an_address_is_shown_without_who_and_password() {
        let shown = [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://svc:hunter2@bus:4222", "nats://bus:4222"),
            ("postgresql://svc:hun@ter2@db/rollcall?password=hunter2", "postgresql://db/rollcall"),
            ("host=db user=svc password=hunter2", "the given connection string"),
            ("127.0.0.1:4222", "127.0.0.1:4222"),
        ];
        for (url, expected) in shown {
            assert_eq!(without_password(url), expected);
        }
        let fault = Fault::postgres_unreachable("postgresql://svc:hunter2@db/x", &"connection refused");
        assert!(!format!("{fault} {fault:?}").contains("hunter2"));
        assert_eq!(fault.exit, Exit::TryLater);
    }

    #[test]
    fn a_taken_port_says_so() {
        let taken = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let fault = Fault::cannot_listen("--api", &"127.0.0.1:8080", &taken);
        assert!(fault.message.contains("127.0.0.1:8080 is taken"));
        assert!(fault.help.ends_with("another address with --api"), "{fault}");
        assert_eq!(fault.exit, Exit::Error);
    }
}
