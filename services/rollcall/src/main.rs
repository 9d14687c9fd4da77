//! The `rollcall` command.

use std::process::ExitCode;

use clap::Parser as _;
use runtime::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap ends with 2 on a usage error, which would read as "changes present".
    let cli = match rollcall::args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // A closed pipe is nobody's mistake.
            let _closed = error.print();
            return exit.into();
        }
    };
    match rollcall::run(cli) {
        Ok(exit) => exit.into(),
        Err(fault) => runtime::fault::report(&fault),
    }
}
