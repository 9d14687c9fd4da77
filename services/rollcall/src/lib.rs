//! The command line: `plan` and `apply` in one process, `up` with everything on one machine, and the verbs that ask the
//! operators' API.
//!
//! Data goes to standard output, everything else to standard error. Nothing is changed unless a verb says so.

pub mod args;
pub mod demo;
pub mod doctor;
pub mod local;
pub mod policy_file;
pub mod server;
pub mod services;
pub mod show;
pub mod twin_verb;
pub mod up;

use clap::CommandFactory as _;
use runtime::{Exit, Fault};

use args::{Cli, PolicyVerb, Verb};

/// Does what was typed.
///
/// # Errors
/// What an operator should know and do, with the exit code.
pub fn run(cli: Cli) -> Result<Exit, Fault> {
    runtime::tls::install_provider();
    match cli.verb {
        Verb::Policy(PolicyVerb::Check(file)) => policy_file::check(&file),
        Verb::Policy(PolicyVerb::Schema) => Ok(policy_file::schema()),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "rollcall", &mut std::io::stdout());
            Ok(Exit::Done)
        }
        Verb::Man => {
            // A reader that went away is not an error.
            let _reader_gone = clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout());
            Ok(Exit::Done)
        }
        verb => with_runtime(async move { asynchronous(verb, cli.quiet).await }),
    }
}

async fn asynchronous(verb: Verb, quiet: bool) -> Result<Exit, Fault> {
    match verb {
        Verb::Plan(args) if args.server.server.is_some() => server::plan(&args).await,
        Verb::Plan(args) => local::plan::plan(&args, quiet).await,
        Verb::Apply(args) if args.server.server.is_some() => server::apply(&args, quiet).await,
        Verb::Apply(args) => local::apply::apply(&args, quiet).await,
        Verb::Policy(PolicyVerb::Test(args)) => local::cases::test(&args, quiet).await,
        Verb::Import(args) => local::import::import(&args, quiet).await,
        Verb::Explain(args) => local::explain::explain(&args, quiet).await,
        Verb::Doctor(args) => doctor::doctor(&args).await,
        Verb::Up(args) => up::up(&args).await,
        Verb::Demo(args) => demo::demo(&args, quiet).await,
        Verb::Migrate(args) => up::migrate(&args.database).await,
        Verb::Twin(args) => twin_verb::twin(&args).await,
        Verb::Status(args) => server::status(&args).await,
        Verb::Review(args) => server::review(&args).await,
        Verb::Approve(args) => server::approve(&args).await,
        Verb::Reject(args) => server::reject(&args).await,
        Verb::DeadLetters(args) => server::dead_letters(&args).await,
        Verb::Redrive(args) => server::redrive(&args).await,
        Verb::Sync(args) => server::sync(&args).await,
        Verb::Pause(args) => server::pause(&args).await,
        Verb::Resume(args) => server::resume(&args).await,
        // These need no runtime and were done before.
        Verb::Policy(_) | Verb::Completions { .. } | Verb::Man => Ok(Exit::Done),
    }
}

fn with_runtime<Work: Future<Output = Result<Exit, Fault>>>(work: Work) -> Result<Exit, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|cause| Fault::new("E0127", Exit::Error, format!("no threads to be had: {cause}")))?;
    runtime.block_on(work)
}
