//! Mailboxes: how letters get from one shard's thread to another's, a batch at a time.
//!
//! One for each shard, with a row for each sender, so that two senders never wait for each other. Bounded:
//! with [`LETTERS_MAX`] in a row the sender keeps its letters, and the shard's own bound and rule apply.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rejoin_coordinator::Letter;
use tokio::sync::Notify;

/// Letters in one row beyond which no more are put in, as many as a shard keeps. A row below it takes all that its
/// sender has.
const LETTERS_MAX: usize = 65_536;

/// The mailboxes of all shards, as one of them sees them.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    own: usize,
    all: Arc<[Mailbox]>,
    /// A row that was taken, to be put back empty: rows keep their memory.
    taken: Vec<Letter>,
}

#[derive(Debug)]
struct Mailbox {
    /// By sender.
    rows: Vec<Mutex<Vec<Letter>>>,
    bell: Notify,
}

impl Mailboxes {
    /// The views of `shards` shards, in order.
    pub(crate) fn of(shards: usize) -> Vec<Self> {
        let mailbox = |_| Mailbox {
            rows: (0..shards).map(|_| Mutex::default()).collect(),
            bell: Notify::new(),
        };
        let all: Arc<[_]> = (0..shards).map(mailbox).collect();
        let view = |own| Self {
            own,
            all: Arc::clone(&all),
            taken: Vec::new(),
        };
        (0..shards).map(view).collect()
    }

    /// Lets `write` put letters for each other shard into its row. False if a row was full.
    pub(crate) fn put(&self, mut write: impl FnMut(u8, &mut Vec<Letter>)) -> bool {
        let mut all = true;
        for (number, mailbox) in self.all.iter().enumerate() {
            let (Ok(shard), Some(row)) = (u8::try_from(number), mailbox.rows.get(self.own)) else {
                continue;
            };
            if number == self.own {
                continue;
            }
            let mut row = open(row);
            if row.len() >= LETTERS_MAX {
                all = false;
                continue;
            }
            let before = row.len();
            write(shard, &mut row);
            if row.len() > before {
                mailbox.bell.notify_one();
            }
        }
        all
    }

    /// Takes all letters, in order for each sender.
    pub(crate) fn take(&mut self, mut read: impl FnMut(Letter)) {
        let Some(mailbox) = self.all.get(self.own) else {
            return;
        };
        for row in &mailbox.rows {
            std::mem::swap(&mut *open(row), &mut self.taken);
            self.taken.drain(..).for_each(&mut read);
        }
    }

    /// Waits until letters may have come.
    pub(crate) async fn rung(&self) {
        match self.all.get(self.own) {
            Some(mailbox) => mailbox.bell.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// A row whose other side panicked still holds whole letters.
fn open(row: &Mutex<Vec<Letter>>) -> MutexGuard<'_, Vec<Letter>> {
    row.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rejoin_coordinator::{Config, MemoryDirectory, Shard};
    use rejoin_protocol::crypto::StaticKeys;
    use rejoin_protocol::packet::{LABELLED_BITS, SHARD_AT};
    use rejoin_protocol::{Rng, Timestamp};
    use rejoin_room::Kinds;
    use rejoin_store::MemoryStore;

    use super::*;

    type Plain = Shard<MemoryStore, MemoryDirectory>;

    fn shard(number: u8) -> Plain {
        let config = Config {
            shard: number,
            shards: 2,
            ..Config::new(StaticKeys::development(), [7; 32])
        };
        let (store, directory) = (MemoryStore::default(), MemoryDirectory::default());
        let (rng, now) = (Rng::from_number(1), Timestamp::ZERO);
        Shard::new(config, Kinds::new(), store, directory, rng, now)
    }

    /// Makes the shard write letters to shard 1: datagrams that are for it.
    fn write(shard: &mut Plain, count: usize) {
        let from = ([127, 0, 0, 1], 9).into();
        for _ in 0..count {
            let mut datagram = [0_u8; 40];
            datagram[0] = LABELLED_BITS;
            datagram[usize::from(SHARD_AT)] = 1;
            shard.handle_datagram(from, &mut datagram, Timestamp::ZERO);
        }
    }

    #[tokio::test]
    async fn letters_wait_with_their_sender_once_a_row_is_full_and_none_is_lost() {
        let [zero, mut one] = Mailboxes::of(2).try_into().unwrap();
        let mut shard = shard(0);
        let put = |shard: &mut Plain| zero.put(|to, row| shard.take_letters(to, row));
        let mut written = 0;
        let mut refused = false;
        for _ in 0..4 {
            write(&mut shard, 24_000);
            written += 24_000;
            refused |= !put(&mut shard);
        }
        assert!(refused);
        one.rung().await;
        let mut read = 0;
        one.take(|_| read += 1);
        assert!((LETTERS_MAX..2 * LETTERS_MAX).contains(&read), "{read}");
        assert!(put(&mut shard), "there is room again");
        one.rung().await;
        one.take(|_| read += 1);
        assert_eq!(read, written);
        let mut more = 0;
        one.take(|_| more += 1);
        assert_eq!((more, shard.stats().dropped), (0, 0));
    }

    #[test]
    fn a_shard_finds_nothing_of_its_own() {
        let [mut zero, one] = Mailboxes::of(2).try_into().unwrap();
        let mut asked = Vec::new();
        assert!(zero.put(|to, _| asked.push(to)));
        assert!(one.put(|to, _| asked.push(to)));
        assert_eq!(asked, [1, 0]);
        zero.take(|_| panic!("nobody wrote"));
    }
}
