//! On which versions of nats-server something is tested, and whether those are the ones that it is meant for.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::{NatsServer, find};

/// Debian 12's.
const OLD: [u32; 2] = [2, 9];
/// What production runs, at least.
const CURRENT: [u32; 2] = [2, 12];

/// The servers of this machine that a test of NATS itself runs on; prints what is not tested here.
///
/// # Errors
/// With `CI=true`, when the distribution's is not 2.9 and `./dev setup` left no reason for it, or when there is no current
/// one; always, when the current one is older than 2.12, or none can be found.
pub fn to_test_on() -> Result<Vec<NatsServer>> {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let reason = std::fs::read_to_string(find::repository().join(".dev/without-nats-2.9")).ok();
    if let Some(said) = without_old(&NatsServer::Distribution.version()?, ci, reason.as_deref())? {
        println!("{said}");
    }
    match find::nats_server_current() {
        Ok(binary) => {
            is_current(&NatsServer::Current.version()?, &binary)?;
            Ok(vec![NatsServer::Distribution, NatsServer::Current])
        }
        Err(error) if ci => Err(error),
        Err(error) => {
            println!("not tested on a current nats-server: {error:#}");
            Ok(vec![NatsServer::Distribution])
        }
    }
}

/// What there is to say when the distribution's server has another version than 2.9. `reason`: why `./dev setup` could not
/// bring that one.
fn without_old(version: &str, ci: bool, reason: Option<&str>) -> Result<Option<String>> {
    if numbers(version) == OLD {
        return Ok(None);
    }
    ensure!(
        !ci || reason.is_some(),
        "CI=true, and the tests of nats-server 2.9 would run on {version}; run `./dev setup`, or install Debian 12's"
    );
    Ok(Some(format!(
        "not tested on nats-server 2.9, but on {version}: {}",
        reason.unwrap_or("it is not installed").trim()
    )))
}

fn is_current(version: &str, binary: &Path) -> Result<()> {
    ensure!(numbers(version) >= CURRENT, "{} is {version}; the current nats-server is 2.12 or newer", binary.display());
    Ok(())
}

/// The first two numbers of a version.
fn numbers(version: &str) -> [u32; 2] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn another_version_than_2_9_is_said_and_with_ci_needs_a_reason() {
        assert_eq!(without_old("2.9.10", true, None).unwrap(), None);
        assert!(without_old("2.12.8", true, None).is_err() && without_old("2.90.1", true, None).is_err());
        let said = without_old("2.12.8", true, Some("there is no root here\n")).unwrap().unwrap();
        assert_eq!(said, "not tested on nats-server 2.9, but on 2.12.8: there is no root here");
        assert!(without_old("2.10.27", false, None).unwrap().is_some());
    }

    #[test]
    fn a_current_server_is_2_12_or_newer() {
        let binary = Path::new("nats-server");
        assert!(is_current("2.12.0", binary).is_ok() && is_current("3.0.1", binary).is_ok());
        assert!(is_current("2.9.10", binary).is_err() && is_current("2.11.9", binary).is_err());
    }
}
