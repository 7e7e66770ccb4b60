//! The run's hash, and a log of what happened last for a run that fails.

use std::collections::VecDeque;

use rejoin_protocol::Timestamp;
use xxhash_rust::xxh3::Xxh3;

/// Folds everything that a run delivers and tells into one number.
pub(crate) struct Trace {
    hash: Xxh3,
    log: VecDeque<String>,
    log_max: usize,
}

/// What a hashed item is, so that two kinds of the same bytes differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    ToServer = 1,
    ToClient = 2,
    View = 3,
    RoomEvent = 4,
    Told = 5,
}

impl Trace {
    /// An empty trace that keeps the last `log_max` lines.
    pub(crate) fn new(log_max: usize) -> Self {
        Self {
            hash: Xxh3::new(),
            log: VecDeque::new(),
            log_max,
        }
    }

    /// Folds one item in.
    pub(crate) fn fold(&mut self, mark: Mark, client: usize, bytes: &[u8], now: Timestamp) {
        let client = u64::try_from(client).expect("clients are few");
        let mut head = [0; 17];
        let (first, rest) = head.split_first_mut().expect("the head has 17 bytes");
        *first = mark as u8;
        let (at, who) = rest.split_at_mut(8);
        at.copy_from_slice(&now.as_nanos().to_le_bytes());
        who.copy_from_slice(&client.to_le_bytes());
        self.hash.update(&head);
        self.hash.update(bytes);
    }

    /// Folds a number of the item before.
    pub(crate) fn fold_number(&mut self, number: u64) {
        self.hash.update(&number.to_le_bytes());
    }

    /// Logs a line, if a log is kept.
    pub(crate) fn note(&mut self, now: Timestamp, line: impl FnOnce() -> String) {
        if self.log_max == 0 {
            return;
        }
        if self.log.len() == self.log_max {
            self.log.pop_front();
        }
        let (millis, rest) = (now.as_millis(), now.as_micros() % 1_000);
        self.log
            .push_back(format!("{millis:>6}.{rest:03} ms  {}", line()));
    }

    /// The run's hash so far.
    pub(crate) fn digest(&self) -> u64 {
        self.hash.digest()
    }

    /// Gives the log away.
    pub(crate) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_kind_client_bytes_and_time() {
        let digest = |mark, client, bytes: &[u8], millis| {
            let mut trace = Trace::new(0);
            trace.fold(mark, client, bytes, Timestamp::from_millis(millis));
            trace.digest()
        };
        let base = digest(Mark::ToServer, 1, b"a", 1);
        assert_eq!(base, digest(Mark::ToServer, 1, b"a", 1));
        for other in [
            digest(Mark::ToClient, 1, b"a", 1),
            digest(Mark::ToServer, 2, b"a", 1),
            digest(Mark::ToServer, 1, b"b", 1),
            digest(Mark::ToServer, 1, b"a", 2),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_log_keeps_the_last_lines() {
        let mut trace = Trace::new(2);
        for line in ["one", "two", "three"] {
            trace.note(Timestamp::ZERO, || line.into());
        }
        let log = trace.take_log();
        assert_eq!(log.len(), 2);
        assert!(log[1].ends_with("three"));
        Trace::new(0).note(Timestamp::ZERO, || unreachable!("no log is kept"));
    }
}
