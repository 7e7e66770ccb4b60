//! The store thread: does what may block, so that no turn of a shard waits for a medium.
//!
//! One for all shards. Each hands over at most one chore at a time, and takes in what came of it with a later turn.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rejoin_coordinator::{Directory, Shard};
use rejoin_protocol::Timestamp;
use rejoin_store::{Chore, Finished, Store, StoreError};
use tokio::sync::Notify;

/// How long what is written waits for its sync: a loss of power takes no more than that and the sync itself.
const SYNC_EVERY: Duration = Duration::from_millis(20);

/// A chore, and where what came of it goes.
#[derive(Debug)]
pub(crate) struct Errand {
    chore: Chore,
    back: mpsc::SyncSender<Finished>,
    bell: Arc<Notify>,
}

/// Starts the thread. It ends when all shards have.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start() -> io::Result<mpsc::Sender<Errand>> {
    let (sender, errands) = mpsc::channel::<Errand>();
    thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || {
            for Errand { chore, back, bell } in errands {
                // A shard that ended waits for nothing.
                drop(back.send(chore.run()));
                bell.notify_one();
            }
        })?;
    Ok(sender)
}

/// One shard's side.
#[derive(Debug)]
pub(crate) struct Chores {
    thread: mpsc::Sender<Errand>,
    back: mpsc::SyncSender<Finished>,
    finished: mpsc::Receiver<Finished>,
    /// Rung when a chore is finished.
    bell: Arc<Notify>,
    under_way: bool,
    /// When the next one may begin.
    next: Timestamp,
}

impl Chores {
    pub(crate) fn new(thread: mpsc::Sender<Errand>) -> Self {
        let (back, finished) = mpsc::sync_channel(1);
        Self {
            thread,
            back,
            finished,
            bell: Arc::default(),
            under_way: false,
            next: Timestamp::ZERO,
        }
    }

    /// Brings back what is finished, and hands over the next.
    ///
    /// # Errors
    /// The store takes nothing any more.
    pub(crate) fn turn<S: Store, D: Directory>(
        &mut self,
        shard: &mut Shard<S, D>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Ok(finished) = self.finished.try_recv() {
            self.under_way = false;
            shard.on_chore(finished, now)?;
        }
        let waits = now < self.next && !shard.is_sync_awaited();
        if self.under_way || waits {
            return Ok(());
        }
        self.next = now + SYNC_EVERY;
        if let Some(chore) = shard.take_chore() {
            let errand = Errand {
                chore,
                back: self.back.clone(),
                bell: Arc::clone(&self.bell),
            };
            self.under_way = self.thread.send(errand).is_ok();
        }
        Ok(())
    }

    /// When a turn is needed for what is not synced.
    pub(crate) fn due<S: Store, D: Directory>(&self, shard: &Shard<S, D>) -> Option<Timestamp> {
        (!self.under_way && shard.is_unsynced()).then_some(self.next)
    }

    /// Waits until a chore is finished that players wait for.
    pub(crate) async fn finished<S: Store, D: Directory>(&self, shard: &Shard<S, D>) {
        if self.under_way && shard.is_sync_awaited() {
            self.bell.notified().await;
        } else {
            std::future::pending().await
        }
    }

    /// Waits for what is under way, and puts all on the medium.
    ///
    /// # Errors
    /// The store takes nothing any more.
    pub(crate) fn end<S: Store, D: Directory>(
        &mut self,
        shard: &mut Shard<S, D>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if std::mem::take(&mut self.under_way)
            && let Ok(finished) = self.finished.recv()
        {
            shard.on_chore(finished, now)?;
        }
        shard.sync()
    }
}
