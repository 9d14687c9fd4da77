//! What the writer may be told on its command line.

use std::time::Duration;

use model::{DirectoryId, Span};
use outbound::Allowance;
use runtime::config::ServiceOptions;

/// Settings of the writer.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Options {
    /// What all services share.
    #[command(flatten)]
    pub service: ServiceOptions,

    /// Longest time of one call; a writer that vanished is replaced after about twice as long
    #[arg(long, value_name = "SECONDS", env = "ROLLCALL_CALL_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub call_timeout: Duration,

    /// A limit that the vendor has told you, as `<directory>=<calls>/<seconds>`; may be given several times
    #[arg(long = "limit", value_name = "LIMIT", env = "ROLLCALL_LIMIT", value_delimiter = ',', value_parser = limit)]
    pub limits: Vec<(DirectoryId, Allowance)>,
}

impl Options {
    /// The limits that were told for a directory; none: they are learned.
    pub fn limits_of(&self, directory: &DirectoryId) -> Vec<Allowance> {
        self.limits.iter().filter(|(id, _)| id == directory).map(|(_, limit)| *limit).collect()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=120.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("give 0.1 to 120 seconds".to_owned())
    }
}

fn limit(text: &str) -> Result<(DirectoryId, Allowance), String> {
    let wrong = || "write <directory>=<calls>/<seconds>, for example cloud=200/60".to_owned();
    let (directory, rate) = text.split_once('=').ok_or_else(wrong)?;
    let (calls, per) = rate.split_once('/').ok_or_else(wrong)?;
    let directory = DirectoryId::new(directory).map_err(|error| error.to_string())?;
    let (calls, per): (u64, u64) = (calls.parse().map_err(|_| wrong())?, per.parse().map_err(|_| wrong())?);
    if calls == 0 || per == 0 {
        return Err(wrong());
    }
    Ok((directory, Allowance { calls, per: Span::from_secs(per) }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::{CommandFactory as _, Parser as _};
        Arguments::command().debug_assert();
        let given = ["writer", "--limit", "cloud=200/60,jira=50/1"];
        let options = Arguments::try_parse_from(given).unwrap().options;
        assert_eq!(options.limits_of(&DirectoryId::new("jira").unwrap()).len(), 1);
        assert_eq!(options.call_timeout, Duration::from_secs(10));
    }

    #[test]
    fn a_limit_is_calls_in_seconds_of_a_directory() {
        let (directory, allowance) = limit("cloud=200/60").unwrap();
        assert_eq!((directory.as_str(), allowance.calls, allowance.per), ("cloud", 200, Span::from_secs(60)));
        for wrong in ["cloud", "cloud=200", "cloud=0/60", "cloud=2/0", "Cloud=2/1", "cloud=a/b"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_out_is_neither_nothing_nor_for_ever() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert!(seconds("0").is_err() && seconds("600").is_err() && seconds("soon").is_err());
    }
}
