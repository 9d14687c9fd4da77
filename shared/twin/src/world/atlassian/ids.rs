//! Ids that look random and are the same in every run.

use sha2::{Digest, Sha256};
use uuid::Builder;

/// A counter whose values are spread over the space of UUIDs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    used: u64,
}

impl Ids {
    pub(crate) fn next(&mut self) -> String {
        self.used += 1;
        let high = mix(self.used);
        let low = mix(high ^ 0x5E1C_7A50_5E1C_7A50);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

/// The account id of a seeded person: follows from the text alone, so that every run and every test knows it.
pub(crate) fn account_id(text: &str) -> String {
    let digest = Sha256::digest(text.to_lowercase().as_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    format!("712020:{}", Builder::from_random_bytes(bytes).into_uuid())
}

/// One step of SplitMix64: a bijection, so that no two counters meet.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Ids;

    #[test]
    fn ids_are_distinct_and_repeatable() {
        let run = || {
            let mut ids = Ids::default();
            (0..10_000).map(|_| ids.next()).collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first, run());
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 10_000);
    }
}
