//! What the watcher may be told on its command line.

use std::time::Duration;

use model::{DirectoryId, Span};
use outbound::{Allowance, Limit};
use runtime::config::ServiceOptions;

/// Settings of the watcher.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "watcher")]
pub struct Options {
    /// What all services share.
    #[command(flatten)]
    pub service: ServiceOptions,

    /// Longest time of one call
    #[arg(long, value_name = "SECONDS", env = "ROLLCALL_READ_TIMEOUT", default_value = "30", value_parser = seconds)]
    pub read_timeout: Duration,

    /// Groups that are walked at once, per directory
    #[arg(long, value_name = "NUMBER", env = "ROLLCALL_PARALLEL", default_value_t = 8,
        value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallel: u8,

    /// A limit that the vendor has told you, as `<directory>=<calls>/<seconds>`, or `<directory>=learned` to find out;
    /// may be given several times
    #[arg(long = "read-limit", value_name = "LIMIT", env = "ROLLCALL_READ_LIMIT", value_delimiter = ',',
        value_parser = limit)]
    pub limits: Vec<(DirectoryId, Limit)>,
}

impl Options {
    /// The limit that was told for a directory; `None`: the documented one.
    pub fn limit_of(&self, directory: &DirectoryId) -> Option<Limit> {
        let mut allowances = Vec::new();
        for (_, limit) in self.limits.iter().filter(|(id, _)| id == directory) {
            match limit {
                Limit::Declared(more) => allowances.extend(more.iter().copied()),
                Limit::Learned => return Some(Limit::Learned),
            }
        }
        (!allowances.is_empty()).then_some(Limit::Declared(allowances))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("give 0.1 to 600 seconds".to_owned())
    }
}

fn limit(text: &str) -> Result<(DirectoryId, Limit), String> {
    let wrong = || "write <directory>=<calls>/<seconds>, for example workspace=2400/60".to_owned();
    let (directory, rate) = text.split_once('=').ok_or_else(wrong)?;
    let directory = DirectoryId::new(directory).map_err(|error| error.to_string())?;
    if rate == "learned" {
        return Ok((directory, Limit::Learned));
    }
    let (calls, per) = rate.split_once('/').ok_or_else(wrong)?;
    let (calls, per): (u64, u64) = (calls.parse().map_err(|_| wrong())?, per.parse().map_err(|_| wrong())?);
    if calls == 0 || per == 0 {
        return Err(wrong());
    }
    Ok((directory, Limit::Declared(vec![Allowance { calls, per: Span::from_secs(per) }])))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_limit_is_calls_in_seconds_of_a_directory_or_learned() {
        let (directory, found) = limit("workspace=2400/60").unwrap();
        assert_eq!(directory.as_str(), "workspace");
        assert_eq!(found, Limit::Declared(vec![Allowance { calls: 2_400, per: Span::from_secs(60) }]));
        assert_eq!(limit("cloud=learned").unwrap().1, Limit::Learned);
        for wrong in ["cloud", "cloud=200", "cloud=0/60", "cloud=2/0", "Cloud=2/1", "cloud=a/b"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
