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
    /// What is under way comes back here, or the thread has ended.
    under_way: Option<mpsc::Receiver<Finished>>,
    /// Rung when a chore is finished.
    bell: Arc<Notify>,
    /// When the next one may begin.
    next: Timestamp,
}

impl Chores {
    pub(crate) fn new(thread: mpsc::Sender<Errand>) -> Self {
        Self {
            thread,
            under_way: None,
            bell: Arc::default(),
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
        match self.under_way.as_ref().map(mpsc::Receiver::try_recv) {
            Some(Ok(finished)) => {
                self.under_way = None;
                shard.on_chore(finished, now)?;
            }
            Some(Err(mpsc::TryRecvError::Disconnected)) => return Err(thread_ended()),
            Some(Err(mpsc::TryRecvError::Empty)) | None => {}
        }
        let waits = now < self.next && !shard.is_sync_awaited();
        if self.under_way.is_some() || waits {
            return Ok(());
        }
        self.next = now + SYNC_EVERY;
        if let Some(chore) = shard.take_chore() {
            let (back, finished) = mpsc::sync_channel(1);
            let bell = Arc::clone(&self.bell);
            let errand = Errand { chore, back, bell };
            self.thread.send(errand).map_err(|_| thread_ended())?;
            self.under_way = Some(finished);
        }
        Ok(())
    }

    /// When a turn is needed for what is not synced.
    pub(crate) fn due<S: Store, D: Directory>(&self, shard: &Shard<S, D>) -> Option<Timestamp> {
        (self.under_way.is_none() && shard.is_unsynced()).then_some(self.next)
    }

    /// Waits until a chore is finished that players wait for.
    pub(crate) async fn finished<S: Store, D: Directory>(&self, shard: &Shard<S, D>) {
        if self.under_way.is_some() && shard.is_sync_awaited() {
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
        if let Some(finished) = self.under_way.take() {
            let finished = finished.recv().map_err(|_| thread_ended())?;
            shard.on_chore(finished, now)?;
        }
        shard.sync()
    }
}

/// A chore never came back: only a bug of ours ends the thread before its shards.
fn thread_ended() -> StoreError {
    StoreError::Broken {
        reason: "the store thread has ended".to_owned(),
    }
}
