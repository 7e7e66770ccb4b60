//! Connection ids: a connection's slot, hidden from those who watch the network.
//!
//! ```text
//! shard 1, in clear | slot 17 bits, generation 7 bits, under a keyed permutation
//! ```
//!
//! Steering needs the shard; nobody else needs to learn how many connections there are or
//! which came after which. The permutation is a Feistel network of four rounds. Each folds a product with
//! secret numbers, as quick hash functions do: tables of random numbers would take as much of the
//! processor's nearest memory as it has, with every datagram.

use rejoin_protocol::{ConnectionId, Rng};

/// Bits of a slot: 131,072 connections per shard.
pub(crate) const SLOT_BITS: u32 = 17;
/// Bits of a generation: how often a slot is used before an old label fits again.
const GENERATION_BITS: u32 = 7;
/// Bits of one half of the permutation.
const HALF_BITS: u32 = (SLOT_BITS + GENERATION_BITS) / 2;
const HALF_MASK: u32 = (1 << HALF_BITS) - 1;
/// With random round functions, four rounds cannot be told from a random permutation
/// (Luby and Rackoff 1988). These are not quite that, and need not be: what is hidden is how many are there,
/// and who sends is proved by keys.
const ROUNDS: usize = 4;

/// What a connection id hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The connection's place.
    pub(crate) slot: u32,
    /// Which of the place's users.
    pub(crate) generation: u8,
}

/// Makes and reads the connection ids of one shard.
#[derive(Debug)]
pub(crate) struct ConnectionIds {
    shard: u8,
    rounds: [Round; ROUNDS],
}

/// The secret numbers of a round.
#[derive(Debug)]
struct Round {
    add: u64,
    /// Odd.
    factor: u64,
}

impl ConnectionIds {
    /// With fresh secrets.
    pub(crate) fn new(shard: u8, rng: &mut Rng) -> Self {
        Self {
            shard,
            rounds: std::array::from_fn(|_| Round::new(rng)),
        }
    }

    /// The id that hides `label`.
    pub(crate) fn seal(&self, label: Label) -> ConnectionId {
        let clear = label.slot << GENERATION_BITS | u32::from(label.generation);
        let halves = self
            .rounds
            .iter()
            .fold(split(clear), |(left, right), round| {
                (right, left ^ round.of(right))
            });
        let [_, a, b, c] = join(halves).to_be_bytes();
        ConnectionId([self.shard, a, b, c])
    }

    /// What `id` hides; `None` if it is of another shard.
    pub(crate) fn open(&self, id: ConnectionId) -> Option<Label> {
        let ConnectionId([shard, a, b, c]) = id;
        if shard != self.shard {
            return None;
        }
        let sealed = split(u32::from_be_bytes([0, a, b, c]));
        let clear = join(
            self.rounds
                .iter()
                .rev()
                .fold(sealed, |(left, right), round| {
                    (right ^ round.of(left), left)
                }),
        );
        let generation = clear & ((1 << GENERATION_BITS) - 1);
        Some(Label {
            slot: clear >> GENERATION_BITS,
            generation: u8::try_from(generation).expect("seven bits fit a byte"),
        })
    }

    /// The generation after `generation`.
    pub(crate) const fn next_generation(generation: u8) -> u8 {
        (generation + 1) % (1 << GENERATION_BITS)
    }
}

impl Round {
    fn new(rng: &mut Rng) -> Self {
        let [add, factor] = std::array::from_fn(|_| u64::from_le_bytes(rng.bytes()));
        Self {
            add,
            factor: factor | 1,
        }
    }

    /// Folded multiplication: both halves of the whole product.
    fn of(&self, half: u32) -> u32 {
        let sum = u64::from(half).wrapping_add(self.add);
        let product = u128::from(sum) * u128::from(self.factor);
        let folded = (product >> 64) ^ product;
        let [a, b, ..] = folded.to_le_bytes();
        u32::from(u16::from_le_bytes([a, b])) & HALF_MASK
    }
}

const fn split(value: u32) -> (u32, u32) {
    (value >> HALF_BITS, value & HALF_MASK)
}

const fn join((left, right): (u32, u32)) -> u32 {
    left << HALF_BITS | right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_its_own_id_and_reads_back() {
        let ids = ConnectionIds::new(3, &mut Rng::from_number(1));
        let mut seen = vec![false; 1 << 24];
        for slot in 0..1 << SLOT_BITS {
            for generation in 0..1 << GENERATION_BITS {
                let label = Label { slot, generation };
                let id = ids.seal(label);
                let [shard, a, b, c] = id.0;
                assert_eq!((shard, ids.open(id)), (3, Some(label)));
                let place = &mut seen[usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
                assert!(!std::mem::replace(place, true), "{label:?} shares its id");
            }
        }
    }

    #[test]
    fn ids_of_another_shard_are_not_read() {
        let ids = ConnectionIds::new(3, &mut Rng::from_number(1));
        assert_eq!(ids.open(ConnectionId([4, 0, 0, 0])), None);
    }

    #[test]
    fn neighbouring_slots_do_not_look_alike() {
        let ids = ConnectionIds::new(0, &mut Rng::from_number(2));
        let first = ids.seal(Label {
            slot: 0,
            generation: 0,
        });
        let second = ids.seal(Label {
            slot: 1,
            generation: 0,
        });
        let [_, a, b, c] = first.0;
        let [_, d, e, f] = second.0;
        assert!(a != d && b != e && c != f, "{first} and {second}");
    }
}
