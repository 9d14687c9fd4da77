//! The one source of randomness: ids, spread of waits, tokens.

use std::time::Duration;

use rand::Rng as _;
use uuid::Uuid;

/// A new id. Version 7, so that rows keyed by it are appended rather than scattered; it tells when it was made and is
/// therefore no secret (see [`token`]).
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
pub fn uuid() -> Uuid {
    Uuid::now_v7()
}

/// A random number, for seeds and for spreading work.
#[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
pub fn random_u64() -> u64 {
    rand::rng().random()
}

/// A wait between nothing and `most`, evenly spread ("full jitter").
pub fn jitter(most: Duration) -> Duration {
    let most_nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    most_nanos.checked_add(1).map_or(most, |bound| Duration::from_nanos(random_u64() % bound))
}

/// 256 random bits as 64 hexadecimal digits: a bearer token, a channel token.
pub fn token() -> String {
    use std::fmt::Write as _;
    (0..4).fold(String::with_capacity(64), |mut text, _| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:016x}", random_u64());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_sort_by_time() {
        let (first, second) = (uuid(), uuid());
        assert_ne!(first, second);
        assert!(first < second, "version 7 ids of one process rise");
    }

    #[test]
    fn jitter_stays_within_its_bound_and_is_not_constant() {
        let most = Duration::from_millis(50);
        let waits: Vec<Duration> = (0..64).map(|_| jitter(most)).collect();
        assert!(waits.iter().all(|wait| *wait <= most));
        assert!(waits.iter().any(|wait| Some(wait) != waits.first()));
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn tokens_are_long_and_unique() {
        assert_eq!(token().len(), 64);
        assert_ne!(token(), token());
    }
}
