//! The network: seeded impairments per direction, partitions per client.
//!
//! It decides when, how often and in what shape a datagram arrives; the world delivers it.

use std::time::Duration;

use rejoin_protocol::{Rng, Timestamp};

use crate::coverage::{Coverage, Fault, Stage};
use crate::options::Impairment;

/// Which way a datagram travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// A datagram under way.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) bytes: Vec<u8>,
    /// True if it is not what was sent.
    pub(crate) changed: bool,
    /// Names the datagram if it was sent on twice.
    pub(crate) twin: Option<usize>,
}

/// What becomes of one datagram: at most two arrivals.
pub(crate) type Arrivals = [Option<(Timestamp, Datagram)>; 2];

/// How late an overtaken datagram may be.
pub(crate) const OVERTAKEN_BY: Duration = Duration::from_millis(250);
/// How late a copy may be. Now and then one is much later, like a replayed capture.
const COPY_AFTER: Duration = Duration::from_millis(100);
const REPLAY_AFTER: Duration = Duration::from_secs(3);
const REPLAY_SHARE: f64 = 0.05;
/// Buffers kept for the next datagrams.
const SPARE_MAX: usize = 1_024;

/// The network between the server and all clients.
pub(crate) struct Network {
    up: Impairment,
    down: Impairment,
    paths: Vec<Path>,
    rng: Rng,
    /// Per datagram that arrives twice: true once a copy was taken.
    twins: Vec<bool>,
    spare: Vec<Vec<u8>>,
}

/// One client's path.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    up: Way,
    down: Way,
}

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// Partitions in force.
    cuts: u32,
    /// Arrival of the newest datagram that keeps its order.
    newest: Timestamp,
}

impl Network {
    pub(crate) fn new(up: Impairment, down: Impairment, rng: Rng) -> Self {
        Self {
            up,
            down,
            paths: Vec::new(),
            rng,
            twins: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// A partition begins for `client` in one direction. Partitions may overlap.
    pub(crate) fn cut(&mut self, client: usize, direction: Direction) {
        self.way(client, direction).cuts += 1;
    }

    /// One partition ends.
    pub(crate) fn mend(&mut self, client: usize, direction: Direction) {
        let way = self.way(client, direction);
        way.cuts = way.cuts.saturating_sub(1);
    }

    /// All faults end; only the delay stays.
    pub(crate) fn heal(&mut self) {
        for impairment in [&mut self.up, &mut self.down] {
            *impairment = Impairment {
                delay: impairment.delay,
                ..Impairment::default()
            };
        }
        for path in &mut self.paths {
            path.up.cuts = 0;
            path.down.cuts = 0;
        }
    }

    /// Sends a datagram of a client that is at `stage`.
    pub(crate) fn send(
        &mut self,
        (client, direction): (usize, Direction),
        bytes: &[u8],
        (stage, coverage): (Option<Stage>, &mut Coverage),
        now: Timestamp,
    ) -> Arrivals {
        let impairment = match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        };
        if self.way(client, direction).cuts > 0 {
            coverage.hit(Fault::Partition, stage);
            return [None, None];
        }
        if self.rng.chance(impairment.loss) {
            coverage.hit(Fault::Loss, stage);
            return [None, None];
        }
        let at = self.arrival((client, direction), impairment, (stage, coverage), now);
        if at > now {
            coverage.hit(Fault::Delay, stage);
        }
        let twin = self.rng.chance(impairment.duplication).then(|| {
            coverage.hit(Fault::Duplication, stage);
            self.twins.push(false);
            self.twins.len() - 1
        });
        let first = self.shape(bytes, twin, impairment, (stage, coverage));
        let copy = twin.map(|_| {
            let longest = if self.rng.chance(REPLAY_SHARE) {
                REPLAY_AFTER
            } else {
                COPY_AFTER
            };
            let later = at + longest.mul_f64(self.rng.unit());
            (
                later,
                self.shape(bytes, twin, impairment, (stage, coverage)),
            )
        });
        [Some((at, first)), copy]
    }

    /// True if a copy of `datagram` was taken before.
    pub(crate) fn was_taken(&self, datagram: &Datagram) -> bool {
        datagram
            .twin
            .is_some_and(|twin| self.twins.get(twin).copied().unwrap_or(false))
    }

    /// Remembers that a copy of `datagram` was taken.
    pub(crate) fn take(&mut self, datagram: &Datagram) {
        if let Some(taken) = datagram.twin.and_then(|twin| self.twins.get_mut(twin)) {
            *taken = true;
        }
    }

    /// A copy of a datagram under way. At most one of both is taken.
    pub(crate) fn copy(&mut self, datagram: &mut Datagram) -> Datagram {
        let twin = *datagram.twin.get_or_insert_with(|| {
            self.twins.push(false);
            self.twins.len() - 1
        });
        Datagram {
            bytes: datagram.bytes.clone(),
            changed: datagram.changed,
            twin: Some(twin),
        }
    }

    /// Gets a delivered datagram's buffer back.
    pub(crate) fn recycle(&mut self, datagram: Datagram) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(datagram.bytes);
        }
    }

    fn arrival(
        &mut self,
        (client, direction): (usize, Direction),
        impairment: Impairment,
        (stage, coverage): (Option<Stage>, &mut Coverage),
        now: Timestamp,
    ) -> Timestamp {
        let at = now + impairment.delay + impairment.jitter.mul_f64(self.rng.unit());
        if self.rng.chance(impairment.reorder) {
            coverage.hit(Fault::Reorder, stage);
            return at + OVERTAKEN_BY.mul_f64(self.rng.unit());
        }
        let way = self.way(client, direction);
        way.newest = way.newest.max(at);
        way.newest
    }

    fn shape(
        &mut self,
        bytes: &[u8],
        twin: Option<usize>,
        impairment: Impairment,
        (stage, coverage): (Option<Stage>, &mut Coverage),
    ) -> Datagram {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        let changed = self.rng.chance(impairment.corruption) && !bytes.is_empty();
        if changed {
            coverage.hit(Fault::Corruption, stage);
            corrupt(&mut buffer, &mut self.rng);
        }
        Datagram {
            bytes: buffer,
            changed,
            twin,
        }
    }

    fn way(&mut self, client: usize, direction: Direction) -> &mut Way {
        if self.paths.len() <= client {
            self.paths.resize(client + 1, Path::default());
        }
        let path = self
            .paths
            .get_mut(client)
            .expect("the paths were grown to hold it");
        match direction {
            Direction::Up => &mut path.up,
            Direction::Down => &mut path.down,
        }
    }
}

/// Flips a bit, changes a few bytes, or cuts the end off. The result always differs.
pub(crate) fn corrupt(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let mut below = |bound: usize| {
        let bound = u64::try_from(bound).expect("a length in memory fits 64 bits");
        usize::try_from(rng.below(bound)).expect("an index below a length fits")
    };
    let place = below(bytes.len());
    match below(3) {
        0 => bytes.truncate(place),
        1 => {
            let bit = below(8);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << bit;
            }
        }
        _ => {
            for byte in bytes.iter_mut().skip(place).take(4) {
                *byte = byte.wrapping_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Impairment = Impairment {
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
        loss: 0.0,
        duplication: 0.0,
        reorder: 0.0,
        corruption: 0.0,
    };

    fn send_many(impairment: Impairment, count: u64) -> (Vec<(Timestamp, Datagram)>, Coverage) {
        let mut network = Network::new(impairment, CLEAN, Rng::from_number(1));
        let mut coverage = Coverage::default();
        let arrivals = (0..count)
            .flat_map(|number| {
                let now = Timestamp::from_millis(number);
                let bytes = number.to_be_bytes();
                let cell = (Some(Stage::Seated), &mut coverage);
                network.send((0, Direction::Up), &bytes, cell, now)
            })
            .flatten()
            .collect();
        (arrivals, coverage)
    }

    #[test]
    fn a_clean_network_only_delays() {
        let (arrivals, coverage) = send_many(CLEAN, 100);
        assert_eq!(arrivals.len(), 100);
        for (number, (at, datagram)) in (0_u64..).zip(&arrivals) {
            assert_eq!(*at, Timestamp::from_millis(number + 20));
            assert_eq!(datagram.bytes, number.to_be_bytes());
        }
        assert_eq!(coverage.hits(Fault::Delay, Stage::Seated), 100);
        assert_eq!(coverage.hits(Fault::Loss, Stage::Seated), 0);
    }

    #[test]
    fn loss_and_duplication_come_near_their_shares() {
        let (arrivals, coverage) = send_many(Impairment { loss: 0.2, ..CLEAN }, 10_000);
        assert!((7_800..8_200).contains(&arrivals.len()));
        let lost = coverage.hits(Fault::Loss, Stage::Seated);
        assert_eq!(u64::try_from(arrivals.len()).unwrap() + lost, 10_000);
        let (arrivals, _) = send_many(
            Impairment {
                duplication: 0.5,
                ..CLEAN
            },
            10_000,
        );
        assert!((14_800..15_200).contains(&arrivals.len()));
    }

    #[test]
    fn jitter_keeps_the_order_and_reorder_does_not() {
        let inversions = |impairment| {
            let (arrivals, _) = send_many(impairment, 1_000);
            arrivals
                .windows(2)
                .filter(|pair| pair[0].0 > pair[1].0)
                .count()
        };
        let jitter = Impairment {
            jitter: Duration::from_millis(50),
            ..CLEAN
        };
        assert_eq!(inversions(jitter), 0);
        assert!(
            inversions(Impairment {
                reorder: 0.2,
                ..jitter
            }) > 50
        );
    }

    #[test]
    fn a_corrupt_datagram_always_differs() {
        let (arrivals, coverage) = send_many(
            Impairment {
                corruption: 1.0,
                ..CLEAN
            },
            1_000,
        );
        for (number, (_, datagram)) in (0_u64..).zip(&arrivals) {
            assert!(datagram.changed);
            assert_ne!(datagram.bytes, number.to_be_bytes());
        }
        assert_eq!(coverage.hits(Fault::Corruption, Stage::Seated), 1_000);
    }

    #[test]
    fn a_cut_path_carries_nothing_until_it_is_mended() {
        let mut network = Network::new(CLEAN, CLEAN, Rng::from_number(1));
        let mut coverage = Coverage::default();
        let mut arrives = |network: &mut Network, client, direction| {
            let cell = (Some(Stage::Lost), &mut coverage);
            network.send((client, direction), b"x", cell, Timestamp::ZERO)[0].is_some()
        };
        network.cut(1, Direction::Up);
        network.cut(1, Direction::Up);
        assert!(!arrives(&mut network, 1, Direction::Up));
        assert!(arrives(&mut network, 1, Direction::Down));
        assert!(arrives(&mut network, 0, Direction::Up));
        network.mend(1, Direction::Up);
        assert!(!arrives(&mut network, 1, Direction::Up));
        network.mend(1, Direction::Up);
        assert!(arrives(&mut network, 1, Direction::Up));
    }

    #[test]
    fn copies_of_one_datagram_know_of_each_other() {
        let twice = Impairment {
            duplication: 1.0,
            ..CLEAN
        };
        let mut network = Network::new(twice, CLEAN, Rng::from_number(1));
        let mut coverage = Coverage::default();
        let cell = (Some(Stage::Seated), &mut coverage);
        let [first, copy] = network.send((0, Direction::Up), b"x", cell, Timestamp::ZERO);
        let (first, copy) = (first.unwrap().1, copy.unwrap().1);
        assert!(!network.was_taken(&copy));
        network.take(&first);
        assert!(network.was_taken(&copy));
    }
}
