//! Keeps a client's ticket file as the client is: newest ticket in it, none once the client has left.
//!
//! A thread of its own waits for the disk, so that neither a frame nor a runtime does. What it has not yet
//! got to is replaced by what is newer.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use rejoin_protocol::handshake::Ticket;

use crate::ticket_file::{TicketFile, TicketFileError};

/// Dropped, it waits until the file is as it was last told.
#[derive(Debug)]
pub(crate) struct TicketKeeper {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What client and thread share.
#[derive(Debug, Default)]
struct Desk {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    next: Option<Step>,
    is_closed: bool,
    problem: Option<Arc<TicketFileError>>,
}

#[derive(Debug)]
enum Step {
    Write(Ticket),
    Remove,
}

impl TicketKeeper {
    /// Starts the thread.
    pub(crate) fn start(file: TicketFile) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let thread = Builder::new().name("ticket file".to_owned()).spawn({
            let desk = Arc::clone(&desk);
            move || desk.work_off(&file)
        })?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    /// The client has a newer ticket.
    pub(crate) fn keep(&self, ticket: Ticket) {
        self.next(Step::Write(ticket));
    }

    /// The client has left: the ticket opens nothing.
    pub(crate) fn forget(&self) {
        self.next(Step::Remove);
    }

    /// Why the file is not as it should be, if it is not.
    pub(crate) fn problem(&self) -> Option<Arc<TicketFileError>> {
        self.desk.lock().problem.clone()
    }

    fn next(&self, step: Step) {
        self.desk.lock().next = Some(step);
        self.desk.changed.notify_one();
    }
}

impl Drop for TicketKeeper {
    fn drop(&mut self) {
        self.desk.lock().is_closed = true;
        self.desk.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, its panic has been told.
            drop(thread.join());
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work_off(&self, file: &TicketFile) {
        while let Some(step) = self.take() {
            let done = match step {
                Step::Write(ticket) => file.write(&ticket),
                Step::Remove => file.remove(),
            };
            self.lock().problem = done.err().map(Arc::new);
        }
    }

    /// Waits for the next step; `None` if there will be none.
    fn take(&self) -> Option<Step> {
        let mut work = self.lock();
        while work.next.is_none() && !work.is_closed {
            let woken = self.changed.wait(work);
            work = woken.unwrap_or_else(PoisonError::into_inner);
        }
        work.next.take()
    }
}
