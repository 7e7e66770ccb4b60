//! Which codec the deltas of a room are made by.

use bytes::Bytes;
use rejoin_protocol::snapshot::{self, Codec};

/// Deltas between two trials of all codecs. In between only the best of the last trial is used, so that
/// the dear ones cost little where they do not help.
const TRIAL_EVERY: u8 = 32;
/// Pauses double up to 2^3 - 1 views while nothing is shorter than they are: a state that changes all over costs
/// little, and one that calms down is told by deltas again within a few ticks.
const VAIN_MAX: u8 = 3;

/// By result: what made the shortest delta when all were tried, and is worth its time.
#[derive(Debug)]
pub(crate) struct Choice {
    codec: Codec,
    /// Deltas until the next trial.
    left: u8,
    /// Whether a delta to the present view was made, and was shorter.
    tried: Option<bool>,
    /// Views in a row that nothing was shorter than.
    vain: u8,
    /// Views for which nothing is tried, the present one included.
    pause: u8,
}

impl Choice {
    pub(crate) const fn new() -> Self {
        Self {
            codec: Codec::Xor,
            left: 0,
            tried: None,
            vain: 0,
            pause: 0,
        }
    }

    /// As [`snapshot::delta_by`], with the codec of the moment. `None` also where it is not worth a try.
    pub(crate) fn delta(&mut self, base: &[u8], view: &[u8]) -> Option<Bytes> {
        if base == view {
            // All tell it in a byte: that says nothing about them.
            return snapshot::delta_by(Codec::Xor, base, view);
        }
        if self.pause > 0 {
            return None;
        }
        let delta = self.made(base, view);
        self.tried = Some(self.tried == Some(true) || delta.is_some());
        delta
    }

    /// Deltas are to another view from now on. A base that it has nothing in common with says nothing of the others, so what
    /// counts is whether one of them helped.
    pub(crate) fn on_view(&mut self) {
        match self.tried.take() {
            Some(true) => self.vain = 0,
            Some(false) => {
                self.pause = (1 << self.vain) - 1;
                self.vain = (self.vain + 1).min(VAIN_MAX);
            }
            None if self.pause > 0 => {
                self.pause -= 1;
                self.left = self.left.saturating_sub(1);
            }
            None => {}
        }
    }

    fn made(&mut self, base: &[u8], view: &[u8]) -> Option<Bytes> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            let delta = snapshot::delta_by(self.codec, base, view);
            return delta.or_else(|| match self.codec {
                Codec::Xor => None,
                // What it cannot do the cheapest may.
                Codec::Dictionary | Codec::Values => snapshot::delta_by(Codec::Xor, base, view),
            });
        }
        self.left = TRIAL_EVERY - 1;
        let (mut codec, mut best) = (Codec::Xor, None);
        for tried in Codec::ALL {
            let delta = snapshot::delta_by(tried, base, view);
            if delta
                .as_ref()
                .is_some_and(|delta| is_worth(delta, best.as_ref()))
            {
                (codec, best) = (tried, delta);
            }
        }
        self.codec = codec;
        best
    }
}

/// A codec that takes longer must save a datagram's head and an eighth.
fn is_worth(delta: &Bytes, cheaper: Option<&Bytes>) -> bool {
    const HEAD: usize = 32;
    cheaper.is_none_or(|cheaper| delta.len() + delta.len() / 8 + HEAD < cheaper.len())
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;
    use rejoin_protocol::limits::VIEW_MAX;

    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut noise = vec![0; len];
        Rng::from_number(seed).fill(&mut noise);
        noise
    }

    #[test]
    fn bytes_that_move_are_soon_told_by_the_dictionary() {
        let mut choice = Choice::new();
        let still = noise(1, 2_000);
        let mut changed = still.clone();
        changed[900] ^= 1;
        for _ in 0..3 {
            choice.delta(&still, &changed).unwrap();
        }
        assert_eq!(choice.codec, Codec::Xor);
        let moved = [b"head".as_slice(), &still].concat();
        let lens: Vec<_> = (0..64)
            .map(|_| {
                choice
                    .delta(&still, &moved)
                    .map_or(moved.len(), |delta| delta.len())
            })
            .collect();
        assert_eq!(choice.codec, Codec::Dictionary);
        let whole = lens.iter().filter(|len| **len == moved.len()).count();
        assert_eq!(whole, usize::from(TRIAL_EVERY) - 3);
    }

    #[test]
    fn what_no_codec_makes_shorter_leaves_the_cheapest() {
        let mut choice = Choice::new();
        for seed in 0..100 {
            assert_eq!(choice.delta(&noise(seed, 500), &noise(seed + 1, 500)), None);
            assert_eq!(choice.codec, Codec::Xor);
        }
    }

    #[test]
    fn what_is_made_in_vain_is_tried_ever_more_rarely_until_it_helps() {
        let mut choice = Choice::new();
        let still = noise(1, 500);
        let mut changed = still.clone();
        changed[90] ^= 1;
        for _ in 0..2 {
            let mut waits = Vec::new();
            for seed in 0..40 {
                choice.on_view();
                waits.push(choice.pause);
                assert_eq!(choice.delta(&noise(seed, 500), &noise(seed + 1, 500)), None);
            }
            let tried: Vec<_> = (0..40).filter(|view| waits[*view] == 0).collect();
            assert_eq!(tried, [0, 1, 3, 7, 15, 23, 31, 39]);
            let first = (0..40).position(|_| {
                choice.on_view();
                choice.delta(&still, &changed).is_some()
            });
            assert_eq!(first, Some(7));
        }
    }

    #[test]
    fn a_base_that_helps_is_not_kept_from_it_by_those_that_do_not() {
        let mut choice = Choice::new();
        let still = noise(1, 500);
        for at in 0..100 {
            let mut view = still.clone();
            view[at] ^= 1;
            choice.on_view();
            for stale in [2, 3] {
                assert_eq!(choice.delta(&noise(stale, 500), &view), None);
            }
            assert!(choice.delta(&still, &view).is_some());
        }
    }

    #[test]
    fn whatever_is_chosen_makes_the_view() {
        let mut choice = Choice::new();
        let mut rng = Rng::from_number(7);
        let mut base = noise(3, 1_000);
        for _ in 0..200 {
            let mut view = base.clone();
            match rng.below(4) {
                0 => view.insert(rng.index(view.len()), 9),
                1 => drop(view.remove(rng.index(view.len()))),
                2 => view.rotate_left(5),
                _ => {
                    let at = rng.index(view.len());
                    view[at] ^= 0x55;
                }
            }
            if let Some(delta) = choice.delta(&base, &view) {
                assert!(delta.len() < view.len());
                assert_eq!(snapshot::apply(&base, &delta, VIEW_MAX).unwrap(), view);
            }
            base = view;
        }
    }
}
