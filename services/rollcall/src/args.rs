//! What can be typed. Addresses may bear a password: they are secrets, neither in `Debug` nor shown by `--help`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use runtime::config::secret_text;
use secrecy::SecretString;

/// Keeps Atlassian's users and groups in step with Google Workspace.
#[derive(Debug, Parser)]
#[command(
    name = "rollcall",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Examples:\n  \
        rollcall policy check -c policy.toml    is the file right?\n  \
        rollcall plan -c policy.toml            what would change, and why; changes nothing\n  \
        rollcall apply -c policy.toml           plans, shows, asks, applies\n\n\
        At Atlassian, `apply` changes what its plan says, at once; `approve` and `redrive` let the running services\n\
        go on. `up`, `reject`, `dead-letters discard`, `pause`, `resume`, `sync` and `migrate` act on the services and\n\
        their database. All other verbs only look."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what would change at Atlassian, and why. Changes nothing.
    Plan(PlanArgs),
    /// Apply a plan: without PLANFILE plans, shows and asks.
    Apply(ApplyArgs),
    /// Run everything on this machine: private NATS and PostgreSQL, watcher, reconciler, writer, console.
    Up(UpArgs),
    /// See a made-up company join, move and leave, without an account anywhere.
    Demo(DemoArgs),
    /// Play Google and Atlassian from a file.
    Twin(TwinArgs),
    /// What the running services do: freshness, drift, queues, held cases, dead letters.
    Status(StatusArgs),
    /// What is held for a person, and which groups were there before us.
    Review(ReviewArgs),
    /// Release a held case. Binds to its digest.
    Approve(VerdictArgs),
    /// Turn a held case down.
    Reject(VerdictArgs),
    /// What will not be tried again by itself.
    #[command(alias = "dead-letter")]
    DeadLetters(DeadLettersArgs),
    /// Try dead letters again, after their cause was removed.
    Redrive(RedriveArgs),
    /// Does a person have access to a group: why, or why not.
    Explain(ExplainArgs),
    /// Write the policy that describes what is there already: its plan is empty. Changes nothing.
    Import(ImportArgs),
    /// Read a person, a group or everything again, now.
    Sync(SyncArgs),
    /// Stop sending to a target, or to all. Reading and planning go on; nobody loses anything.
    Pause(PauseArgs),
    /// Send again after a pause.
    Resume(PauseArgs),
    /// Bring the database's schema up to date. `up` does it by itself.
    Migrate(MigrateArgs),
    /// Are the policy, the credentials and the servers in order?
    Doctor(DoctorArgs),
    /// Work on the policy file.
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Completions for your shell, on standard output.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// The manual page, on standard output.
    Man,
}

/// How to print data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON document with its schema's name.
    Json,
    /// One JSON document a line.
    Ndjson,
}

/// Where the policy file is.
#[derive(Debug, Clone, Args)]
pub struct PolicyFile {
    /// The policy file.
    #[arg(long = "config", short = 'c', env = "ROLLCALL_CONFIG", default_value = "policy.toml", value_name = "FILE")]
    pub path: PathBuf,
}

/// Where a one-shot run keeps what it must remember.
#[derive(Debug, Clone, Args)]
pub struct JournalArgs {
    /// The folder of the journal: links, pins, windows, audit [default: $XDG_STATE_HOME/rollcall/<tenant>].
    #[arg(long, value_name = "FOLDER")]
    pub journal: Option<PathBuf>,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyFile,
    /// What is remembered.
    #[command(flatten)]
    pub journal: JournalArgs,
    /// End with 2 when there are changes.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How to print the plan.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
    /// Save the plan, so that `apply PLANFILE` applies exactly this or refuses.
    #[arg(long, value_name = "PLANFILE")]
    pub out: Option<PathBuf>,
    /// Show every step, not the first few of each case.
    #[arg(long)]
    pub full: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub server: OptionalServer,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A plan that `plan --out` saved.
    pub planfile: Option<PathBuf>,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyFile,
    /// What is remembered.
    #[command(flatten)]
    pub journal: JournalArgs,
    /// Do not ask. Never answers a guard.
    #[arg(long)]
    pub yes: bool,
    /// Release what this guard holds; recorded with your name and the reason.
    #[arg(long = "override", value_name = "GUARD", requires = "reason")]
    pub overrides: Vec<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How to print the plan and the result.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
    /// Whom to ask.
    #[command(flatten)]
    pub server: OptionalServer,
}

/// `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyFile,
    /// The folder for private servers' data [default: $XDG_STATE_HOME/rollcall/up].
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// A running NATS instead of a private one.
    #[arg(long, env = "ROLLCALL_NATS", hide_env_values = true, value_parser = secret_text, value_name = "URL")]
    pub nats: Option<SecretString>,
    /// A running PostgreSQL instead of a private one.
    #[arg(long, env = "ROLLCALL_DATABASE", hide_env_values = true, value_parser = secret_text, value_name = "URL")]
    pub database: Option<SecretString>,
    /// Where the operators' API listens.
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "ADDRESS")]
    pub console: SocketAddr,
    /// Who may use the operators' API: a file of names, roles and bearer tokens [default: made in the data folder].
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End with a summary, with 0 only if both sides are equal.
    #[arg(long)]
    pub once: bool,
    /// The folder for the demo's data [default: a temporary one].
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

/// `twin`.
#[derive(Debug, Args)]
pub struct TwinArgs {
    /// The world to load: a snapshot in the format `orgdir-snapshot/1`.
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// Where Google listens.
    #[arg(long, default_value = "127.0.0.1:7001", value_name = "ADDRESS")]
    pub google: SocketAddr,
    /// Where Atlassian listens.
    #[arg(long, default_value = "127.0.0.1:7002", value_name = "ADDRESS")]
    pub atlassian: SocketAddr,
    /// Write the secrets that a policy needs to reach this twin into this folder, and a token for the operators' API.
    #[arg(long, value_name = "FOLDER")]
    pub secrets: Option<PathBuf>,
    /// The administrator in whose name a policy reads.
    #[arg(long, default_value = "sync@example.com", value_name = "ADDRESS")]
    pub administrator: String,
}

/// Where the operators' API is, and who asks. May be said before or after a verb's own verb.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The operators' API.
    #[arg(long, global = true, env = "ROLLCALL_SERVER", hide_env_values = true, value_parser = secret_text,
        default_value = "http://127.0.0.1:7400", value_name = "URL")]
    pub server: SecretString,
    /// A file with your bearer token.
    #[arg(long, global = true, env = "ROLLCALL_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Output,
}

/// The operators' API, where a verb also works without it.
#[derive(Debug, Clone, Args)]
pub struct OptionalServer {
    /// Act on the running services behind this operators' API.
    #[arg(long, env = "ROLLCALL_SERVER", hide_env_values = true, value_parser = secret_text, value_name = "URL")]
    pub server: Option<SecretString>,
    /// A file with your bearer token.
    #[arg(long, env = "ROLLCALL_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
    /// End with 1 unless everything is healthy.
    #[arg(long)]
    pub check: bool,
}

/// `review`.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// One group that was there before us, as TARGET/GROUP: who would be removed and added.
    #[arg(value_name = "TARGET/GROUP")]
    pub group: Option<String>,
    /// The groups that were there before us, with the products that they give.
    #[arg(long, conflicts_with = "group")]
    pub conflicts: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `pause` and `resume`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// The target; all of them when none is named.
    pub target: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `approve` and `reject`.
#[derive(Debug, Args)]
pub struct VerdictArgs {
    /// Cases: digests as `review` shows them, or their first twelve digits or more; or TARGET/GROUP for a group that was
    /// there before us.
    #[arg(value_name = "CASE", required_unless_present = "conflicts")]
    pub cases: Vec<String>,
    /// All groups that were there before us and wait for a decision, however many.
    #[arg(long, conflicts_with = "cases")]
    pub conflicts: bool,
    /// With --conflicts: only those of this target.
    #[arg(long, value_name = "DIRECTORY", requires = "conflicts")]
    pub target: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    /// What about them.
    #[command(subcommand)]
    pub verb: Option<DeadLettersVerb>,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// The verbs of `dead-letters`.
#[derive(Debug, Subcommand)]
pub enum DeadLettersVerb {
    /// All open ones.
    List,
    /// One, with its attempts.
    Show {
        /// Its number.
        id: u64,
    },
    /// Try again.
    Redrive {
        /// Their numbers; all open ones when none is given.
        ids: Vec<u64>,
    },
    /// Give up.
    Discard {
        /// Its number.
        id: u64,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// `redrive`.
#[derive(Debug, Args)]
pub struct RedriveArgs {
    /// Their numbers; all open ones when none is given.
    pub ids: Vec<u64>,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The person: an address, or an id at either side.
    pub person: String,
    /// The group at the target, by name.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyFile,
    /// What is remembered.
    #[command(flatten)]
    pub journal: JournalArgs,
    /// Whom to ask.
    #[command(flatten)]
    pub server: OptionalServer,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// A person's or a group's address at the source; everything when none is given.
    pub address: Option<String>,
    /// Whom to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The PostgreSQL database; its user must be able to create schemas and roles.
    #[arg(long, env = "ROLLCALL_DATABASE", hide_env_values = true, value_parser = secret_text, value_name = "URL")]
    pub database: SecretString,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyFile,
    /// NATS to look at.
    #[arg(long, env = "ROLLCALL_NATS", hide_env_values = true, value_parser = secret_text, value_name = "URL")]
    pub nats: Option<SecretString>,
    /// PostgreSQL to look at.
    #[arg(long, env = "ROLLCALL_DATABASE", hide_env_values = true, value_parser = secret_text, value_name = "URL")]
    pub database: Option<SecretString>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A policy file with the directories; it need not have rules yet.
    #[command(flatten)]
    pub policy: PolicyFile,
    /// Only from this source; all of them when none is named.
    #[arg(long, value_name = "DIRECTORY")]
    pub from: Vec<String>,
    /// Only into this target; all of them when none is named.
    #[arg(long, value_name = "DIRECTORY")]
    pub to: Vec<String>,
    /// Where to write the policy [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// The verbs of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyVerb {
    /// Is the file right? Every mistake with line, column and remedy.
    Check(PolicyFile),
    /// The JSON schema of the file, for editors.
    Schema,
    /// Do the cases beside the file come out as they say, and what does the policy cover? Changes nothing.
    Test(PolicyTestArgs),
}

/// `policy test`.
#[derive(Debug, Args)]
#[command(after_help = "Cases are kept beside the policy file, policy.tests.toml for policy.toml:\n\n  \
        [[case]]\n  \
        person = \"jo@acme.com\"\n  \
        groups = [\"eng-web@acme.com\"]\n  \
        expect = [\"cloud/eng-web\"]\n\n\
        Further keys of a case: name, from, role, org_unit, state, attributes, new. A table [nested] says which\n\
        groups hold which: \"eng@acme.com\" = [\"eng-web@acme.com\"].")]
pub struct PolicyTestArgs {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyFile,
    /// The file of cases [default: beside the policy file, with .tests.toml].
    #[arg(long, value_name = "FILE")]
    pub cases: Option<PathBuf>,
    /// Read the groups of the sources for the coverage, instead of those that the cases name.
    #[arg(long)]
    pub read: bool,
    /// End with 1 when a rule takes nothing, a group is not taken, or two rules meet at one target group.
    #[arg(long)]
    pub strict: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}
