//! One thread for each shard, on a processor of its own where there are several.

use std::future::poll_fn;
use std::io;
use std::panic;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use tokio::sync::{oneshot, watch};

use crate::driver::Driver;
use crate::report::ServerReport;

/// A shard that runs.
#[derive(Debug)]
pub(crate) struct ShardThread {
    thread: JoinHandle<()>,
    /// Told when it ends; a thread that panics drops its end.
    outcome: oneshot::Receiver<io::Result<ServerReport>>,
    ended: Option<io::Result<ServerReport>>,
}

impl ShardThread {
    /// Starts the driver that `make` gives, on a runtime of the new thread. It serves until `stop` is true, or
    /// its sender is gone; `kept` is dropped after that.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        number: usize,
        processor: Option<usize>,
        mut stop: watch::Receiver<bool>,
        (make, kept): (
            impl FnOnce() -> io::Result<Driver> + Send + 'static,
            impl Send + 'static,
        ),
    ) -> io::Result<Self> {
        let (told, outcome) = oneshot::channel();
        let serve = move || -> io::Result<ServerReport> {
            if let Some(processor) = processor {
                pin(number, processor);
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let driver = make()?;
                let stopped = async move {
                    stop.wait_for(|stop| *stop).await.ok();
                };
                driver.run(stopped).await
            })
        };
        let thread = thread::Builder::new().name(format!("shard-{number}"));
        let thread = thread.spawn(move || {
            let outcome = serve();
            drop(kept);
            // Nobody listens if the server was dropped.
            told.send(outcome).ok();
        })?;
        Ok(Self {
            thread,
            outcome,
            ended: None,
        })
    }

    /// True if it has ended; else wakes the caller when it does.
    pub(crate) fn has_ended(&mut self, context: &mut Context<'_>) -> bool {
        if self.ended.is_none()
            && let Poll::Ready(outcome) = Pin::new(&mut self.outcome).poll(context)
        {
            let panicked = |_| Err(io::Error::other("a shard's thread panicked"));
            self.ended = Some(outcome.unwrap_or_else(panicked));
        }
        self.ended.is_some()
    }

    /// Waits for its end. A panic of the thread goes on in the caller.
    ///
    /// # Errors
    /// Its socket or runtime failed.
    pub(crate) async fn join(mut self) -> io::Result<ServerReport> {
        poll_fn(|context| match self.has_ended(context) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        if let Err(payload) = self.thread.join() {
            panic::resume_unwind(payload);
        }
        self.ended.unwrap_or_else(|| Ok(ServerReport::default()))
    }
}

/// The processors that this process may use, if each of `shards` shards can have its own.
pub(crate) fn processors(shards: usize) -> Vec<usize> {
    let ours = affinity::ours();
    if shards < 2 || ours.len() < shards {
        return Vec::new();
    }
    ours
}

fn pin(shard: usize, processor: usize) {
    match affinity::pin(processor) {
        Ok(()) => tracing::debug!(shard, processor, "pinned"),
        Err(problem) => tracing::warn!(shard, processor, %problem, "not pinned"),
    }
}

#[cfg(target_os = "linux")]
mod affinity {
    use std::io;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// The processors that this process may use.
    pub(super) fn ours() -> Vec<usize> {
        let set = sched_getaffinity(None).unwrap_or_default();
        let all = 0..CpuSet::MAX_CPU;
        all.filter(|processor| set.is_set(*processor)).collect()
    }

    /// Keeps this thread on a processor.
    pub(super) fn pin(processor: usize) -> io::Result<()> {
        let mut set = CpuSet::new();
        set.set(processor);
        Ok(sched_setaffinity(None, &set)?)
    }
}

/// Elsewhere the system places threads as it likes.
#[cfg(not(target_os = "linux"))]
mod affinity {
    use std::io;

    pub(super) const fn ours() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn pin(_processor: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
