//! Which hellos were seen: a repeated one can have the same reply until it is used up, and silence then. An
//! older one is told of the newest, so that a client whose clock went back can start anew.
//!
//! Bounded: the claimant heard of longest ago is forgotten first. All that its old hellos
//! could then do is to make a pending join that nobody can confirm.

use std::collections::BTreeMap;

use rejoin_protocol::SessionId;
use rejoin_protocol::crypto::PublicKey;
use rejoin_protocol::handshake::OpenHello;

use crate::keys::Slot;

/// Whose hellos are put in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claimant {
    /// A client that joins.
    Identity(PublicKey),
    /// Whoever resumes a session.
    Session(SessionId),
}

/// The newest hello of each claimant.
#[derive(Debug)]
pub(crate) struct Hellos {
    by_claimant: BTreeMap<Claimant, Seen>,
    by_age: BTreeMap<u64, Claimant>,
    next_age: u64,
    capacity: usize,
}

#[derive(Debug)]
struct Seen {
    moment: u64,
    fingerprint: [u8; 16],
    age: u64,
    /// The pending connection it made and the reply that said so, until it is confirmed.
    pending: Option<(Slot, Vec<u8>)>,
}

/// What a hello is, next to those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Newer than all before. The pending connection of the one before is of no use any more.
    New { replaces: Option<Slot> },
    /// The newest again: answer as before, and wait for its confirmation anew.
    Repeated { reply: Vec<u8>, slot: Slot },
    /// The newest again, which made a session or was replaced: silence.
    UsedUp,
    /// Not larger than `newest`, or beyond what a hello may have now: the next must exceed `newest`.
    Untimely { newest: u64 },
}

impl Hellos {
    /// Remembers at most `capacity` claimants.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            by_claimant: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            capacity,
        }
    }

    /// Compares a hello with those before it, and with the largest moment that one may have.
    pub(crate) fn judge(&self, hello: Hello, moment_max: u64) -> Judgement {
        let seen = self.by_claimant.get(&hello.claimant);
        let newest = seen.map_or(0, |seen| seen.moment);
        let pending = seen.and_then(|seen| seen.pending.as_ref());
        if hello.moment > moment_max {
            return Judgement::Untimely { newest };
        }
        match (seen, pending) {
            (Some(seen), Some((slot, reply))) if hello.fingerprint == seen.fingerprint => {
                Judgement::Repeated {
                    reply: reply.clone(),
                    slot: *slot,
                }
            }
            (Some(seen), None) if hello.fingerprint == seen.fingerprint => Judgement::UsedUp,
            (Some(_), _) if hello.moment <= newest => Judgement::Untimely { newest },
            (_, pending) => Judgement::New {
                replaces: pending.map(|(slot, _)| *slot),
            },
        }
    }

    /// Remembers a hello, the pending connection it made, and its reply. Refused ones are not worth
    /// memory: the same hello is refused again.
    pub(crate) fn remember(&mut self, hello: Hello, slot: Slot, reply: Vec<u8>) {
        let Hello {
            claimant,
            moment,
            fingerprint,
        } = hello;
        let age = self.next_age;
        self.next_age += 1;
        let seen = Seen {
            moment,
            fingerprint,
            age,
            pending: Some((slot, reply)),
        };
        if let Some(before) = self.by_claimant.insert(claimant, seen) {
            self.by_age.remove(&before.age);
        }
        self.by_age.insert(age, claimant);
        if self.by_claimant.len() > self.capacity
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_claimant.remove(&oldest);
        }
    }

    /// The newest hello of the claimant was confirmed or replaced: it will not be answered again.
    pub(crate) fn use_up(&mut self, claimant: Claimant) {
        if let Some(seen) = self.by_claimant.get_mut(&claimant) {
            seen.pending = None;
        }
    }

    /// The join in `slot` was not confirmed in time: the same hello may try again.
    pub(crate) fn on_expired(&mut self, claimant: Claimant, slot: Slot) {
        if let Some(seen) = self.by_claimant.get(&claimant)
            && seen.pending.as_ref().is_some_and(|(of, _)| *of == slot)
        {
            self.by_age.remove(&seen.age);
            self.by_claimant.remove(&claimant);
        }
    }

    /// Checks that the indexes agree and the bound holds.
    pub(crate) fn check(&self) {
        assert!(
            self.by_claimant.len() <= self.capacity,
            "remembered hellos are bounded"
        );
        assert_eq!(
            self.by_claimant.len(),
            self.by_age.len(),
            "one age per claimant"
        );
    }
}

/// What names a hello.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello {
    pub(crate) claimant: Claimant,
    pub(crate) moment: u64,
    pub(crate) fingerprint: [u8; 16],
}

impl Hello {
    /// The name of an opened hello.
    pub(crate) const fn of(claimant: Claimant, hello: &OpenHello) -> Self {
        Self {
            claimant,
            moment: hello.moment,
            fingerprint: hello.fingerprint,
        }
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;

    use super::*;
    use crate::keys::Key;

    fn claimant(identity: u8) -> Claimant {
        Claimant::Identity(PublicKey([identity; 32]))
    }

    fn hello(identity: u8, moment: u64) -> Hello {
        let fingerprint = [u8::try_from(moment).unwrap(); 16];
        Hello {
            claimant: claimant(identity),
            moment,
            fingerprint,
        }
    }

    fn judge(hellos: &Hellos, hello: Hello) -> Judgement {
        hellos.judge(hello, 100)
    }

    #[test]
    fn the_same_hello_gets_the_same_reply_and_an_older_one_the_newest_moment() {
        let mut hellos = Hellos::new(4);
        let slot = Slot::from_index(7);
        assert_eq!(
            judge(&hellos, hello(1, 5)),
            Judgement::New { replaces: None }
        );
        hellos.remember(hello(1, 5), slot, vec![1]);
        assert_eq!(
            judge(&hellos, hello(1, 5)),
            Judgement::Repeated {
                reply: vec![1],
                slot,
            }
        );
        let old = Judgement::Untimely { newest: 5 };
        assert_eq!(judge(&hellos, hello(1, 4)), old);
        assert_eq!(
            judge(&hellos, hello(1, 6)),
            Judgement::New {
                replaces: Some(slot)
            }
        );
        let other = Hello {
            fingerprint: [0; 16],
            ..hello(1, 5)
        };
        assert_eq!(judge(&hellos, other), old, "as old, and not the same");
        hellos.use_up(claimant(1));
        assert_eq!(judge(&hellos, other), old);
    }

    #[test]
    fn a_confirmed_hello_is_used_up_and_an_expired_one_is_not() {
        let mut hellos = Hellos::new(4);
        let slot = Slot::from_index(7);
        hellos.remember(hello(1, 5), slot, vec![1]);
        hellos.remember(hello(2, 5), slot, vec![2]);
        hellos.use_up(claimant(1));
        hellos.on_expired(claimant(2), slot);
        assert_eq!(judge(&hellos, hello(1, 5)), Judgement::UsedUp);
        assert_eq!(
            judge(&hellos, hello(2, 5)),
            Judgement::New { replaces: None }
        );
        hellos.check();
    }

    #[test]
    fn the_claimant_heard_of_longest_ago_is_forgotten_first() {
        let mut hellos = Hellos::new(2);
        hellos.remember(hello(1, 1), Slot::from_index(0), vec![]);
        hellos.remember(hello(2, 1), Slot::from_index(0), vec![]);
        hellos.remember(hello(1, 2), Slot::from_index(0), vec![]);
        hellos.remember(hello(3, 1), Slot::from_index(0), vec![]);
        hellos.check();
        assert_eq!(
            judge(&hellos, hello(2, 1)),
            Judgement::New { replaces: None }
        );
        assert_eq!(
            judge(&hellos, hello(1, 1)),
            Judgement::Untimely { newest: 2 }
        );
    }

    #[test]
    fn a_moment_of_the_far_future_is_not_taken_and_the_next_one_is() {
        let mut hellos = Hellos::new(2);
        assert_eq!(
            judge(&hellos, hello(1, 101)),
            Judgement::Untimely { newest: 0 }
        );
        hellos.remember(hello(1, 100), Slot::from_index(0), vec![]);
        hellos.use_up(claimant(1));
        assert_eq!(
            judge(&hellos, hello(1, 101)),
            Judgement::Untimely { newest: 100 }
        );
        // Time goes on, and with it what a hello may say.
        assert_eq!(
            hellos.judge(hello(1, 101), 101),
            Judgement::New { replaces: None }
        );
    }

    #[test]
    fn however_identities_come_the_memory_is_bounded_and_the_oldest_forgotten() {
        const CAPACITY: usize = 50;
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let mut hellos = Hellos::new(CAPACITY);
            // The identities that must be there, heard of longest ago first, and their slots.
            let mut known: Vec<(Claimant, Slot)> = Vec::new();
            for moment in 0..3_000 {
                let claimant = claimant(u8::try_from(rng.below(200)).unwrap());
                let slot = Slot::from_index(u32::try_from(rng.below(1_000)).unwrap());
                let at = known.iter().position(|(of, _)| *of == claimant);
                match rng.below(8) {
                    0 => hellos.use_up(claimant),
                    1 => {
                        // Some expire that were replaced or confirmed meanwhile.
                        let of = at.map_or(slot, |at| known[at].1);
                        let pending = hellos.by_claimant.get(&claimant);
                        if pending.is_some_and(|seen| seen.pending.is_some()) {
                            known.remove(at.unwrap());
                        }
                        hellos.on_expired(claimant, of);
                    }
                    _ => {
                        at.map(|at| known.remove(at));
                        known.push((claimant, slot));
                        let fingerprint = rng.bytes();
                        let hello = Hello {
                            claimant,
                            moment,
                            fingerprint,
                        };
                        hellos.remember(hello, slot, vec![0; 300]);
                        if known.len() > CAPACITY {
                            known.remove(0);
                        }
                    }
                }
                hellos.check();
                let kept = hellos.by_age.values();
                assert!(kept.eq(known.iter().map(|(identity, _)| identity)));
            }
        }
    }
}
