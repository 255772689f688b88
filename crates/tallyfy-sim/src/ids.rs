//! Ids as the vendor writes them, drawn from a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A seeded source of ids: the same seed gives the same ids in the same order.
#[derive(Debug)]
pub struct Ids {
    rng: StdRng,
    last_number: u64,
}

impl Ids {
    /// A source that starts from `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            last_number: 40_000,
        }
    }

    /// 32 lowercase hexadecimal digits, the form of run, task, step and capture ids.
    pub fn hex(&mut self) -> String {
        format!("{:032x}", self.rng.random::<u128>())
    }

    /// A number, the form of tag associations, comments and watchers.
    pub fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (mut one, mut two) = (Ids::seeded(7), Ids::seeded(7));
        let id = one.hex();
        assert_eq!(id, two.hex());
        assert_eq!(id.len(), 32);
        assert!(id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        assert_ne!(id, one.hex());
        assert_eq!(one.number() + 1, one.number());
    }
}
