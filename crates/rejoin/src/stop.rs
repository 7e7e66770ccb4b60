//! A wish to stop, from a signal or a key, that a loop without async can look at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rejoin_server::StopSignals;

use crate::exit::{Exit, Failure};

/// Set once the user wants the run to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for the signals that ask a process to stop. They no longer end it by themselves.
    ///
    /// # Errors
    /// The system does not let us.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let stop = Self::default();
        let listened = stop.start_listening();
        listened.map_err(|error| Failure::new(Exit::Internal, format!("no signals: {error}")))?;
        Ok(stop)
    }

    /// True once somebody wants the end.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Wants the end.
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn start_listening(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut signals = {
            let _entered = runtime.enter();
            StopSignals::listen()?
        };
        let stop = self.clone();
        // It waits for the rest of the process: a second signal is as good as the first.
        let wait = move || {
            runtime.block_on(async {
                loop {
                    signals.recv().await;
                    stop.ask();
                }
            });
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(wait)
            .map(drop)
    }
}
