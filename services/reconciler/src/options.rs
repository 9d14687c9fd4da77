//! What the reconciler may be told on its command line.

use std::time::Duration;

use runtime::config::ServiceOptions;

/// Settings of the reconciler.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "reconciler")]
pub struct Options {
    /// What all services share.
    #[command(flatten)]
    pub service: ServiceOptions,

    /// How often everything is looked at without being woken
    #[arg(long, value_name = "SECONDS", env = "ROLLCALL_TICK", default_value = "5", value_parser = seconds)]
    pub tick: Duration,

    /// How long a reconciler that vanished is waited for before another one takes its tenants over
    #[arg(long, value_name = "SECONDS", env = "ROLLCALL_LEASE", default_value = "15", value_parser = seconds)]
    pub lease: Duration,

    /// Publish again what has no outcome after this time
    #[arg(long, value_name = "SECONDS", env = "ROLLCALL_REPUBLISH", default_value = "60", value_parser = seconds)]
    pub republish: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.05..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("give 0.05 to 3600 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_neither_nothing_nor_for_ever() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("0").is_err() && seconds("86400").is_err() && seconds("often").is_err());
    }
}
