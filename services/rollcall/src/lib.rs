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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use clap::Parser as _;

    use super::*;

    /// The options of all verbs that take an address from the environment: the verb, the option, and whether `--help`
    /// hides what is there.
    fn addresses(command: &clap::Command) -> Vec<(String, String, bool)> {
        let is_address = |arg: &&clap::Arg| {
            arg.get_env().is_some() && arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "URL"))
        };
        let own = command.get_arguments().filter(is_address);
        let own =
            own.map(|arg| (command.get_name().to_owned(), arg.get_id().to_string(), arg.is_hide_env_values_set()));
        own.chain(command.get_subcommands().flat_map(addresses)).collect()
    }

    #[test]
    fn what_may_bear_a_password_is_neither_in_help_nor_in_debug() {
        let mut command = Cli::command();
        command.build();
        let found = addresses(&command);
        let of = |name: &str| found.iter().filter(|(_, option, _)| option == name).count();
        assert!(of("nats") >= 2 && of("database") >= 3 && of("server") >= 10, "{found:?}");
        assert!(found.iter().all(|(.., hidden)| *hidden), "{found:?}");
        for (verb, option, _) in &found {
            let needed: &[&str] = match verb.as_str() {
                "approve" | "reject" => &["case", "--reason=x"],
                "pause" | "resume" => &["--reason=x"],
                "explain" => &["kim"],
                _ => &[],
            };
            let given = format!("--{option}=http://user:hunter2@127.0.0.1");
            let line = ["rollcall", verb, &given].into_iter().chain(needed.iter().copied());
            // Verbs of verbs have the option of the verb above them.
            let Ok(cli) = Cli::try_parse_from(line) else { continue };
            assert!(!format!("{cli:?}").contains("hunter2"), "{verb} {option}");
        }
        let of_up = Cli::try_parse_from(["rollcall", "up", "--database=postgresql://a:hunter2@b/c"]).unwrap();
        let Verb::Up(args) = &of_up.verb else { unreachable!("it is up") };
        let settings = up::settings(args);
        assert!(settings.database.is_some() && !format!("{settings:?}").contains("hunter2"));
    }
}
