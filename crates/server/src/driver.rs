//! The one loop: wait, receive, turn, send.
//!
//! Runs on one thread. A turn never waits for anything; between turns the loop sleeps until a
//! datagram comes, the shard's next deadline is due, or the process is asked to stop.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rejoin_coordinator::{Auth, Shard};
use rejoin_datagram::{RECEIVE_BATCH_MAX, ReceiveBatch, SendBatch};
use rejoin_protocol::handshake::TicketKeys;
use rejoin_protocol::{CloseReason, Timestamp};
use rejoin_store::{Store, StoreError};
use tokio::io::Interest;
use tokio::sync::watch;

use crate::chores::Chores;
use crate::clock::Clock;
use crate::directory::SharedDirectory;
use crate::drains::Drains;
use crate::mailboxes::Mailboxes;
use crate::report::{ServerReport, Status, TOLD_EVERY, TURN_EVERY};
use crate::watchdog::{Watch, WatchedCalls};

/// Batches received before a turn must be taken: 512 datagrams, 2 to 5 ms of work, so that ticks
/// stay on time under a flood. What waits longer stays in the socket's buffer.
const BATCHES_PER_TURN: usize = 8;
/// Turns between two looks of the runtime at what else there is: each costs as much as a datagram.
const YIELD_EVERY: u64 = 16;
/// How long a stopping server may take to tell its players.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// When letters are offered again to a shard that does not keep up.
const OFFER_AGAIN: Duration = Duration::from_millis(1);
/// A stopping shard has little to do; this is how often it is looked at.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// A shard as the server runs it: on the store that the process was started with.
pub(crate) type ServedShard = Shard<Box<dyn AnyStore>, SharedDirectory>;

/// Whatever engine a shard keeps its rooms in.
pub(crate) trait AnyStore: Store + fmt::Debug + Send {}

impl<S: Store + fmt::Debug + Send> AnyStore for S {}

/// A shard and all that moves it.
#[derive(Debug)]
pub(crate) struct Driver {
    shard: ServedShard,
    chores: Chores,
    socket: Socket,
    clock: Clock,
    receive: ReceiveBatch,
    send: SendBatch,
    auth: watch::Receiver<Auth>,
    ticket_keys: watch::Receiver<TicketKeys>,
    drains: Drains,
    mailboxes: Mailboxes,
    /// Letters wait because a mailbox is full; they are offered again then.
    offer_at: Option<Timestamp>,
    watch: Arc<Watch>,
    calls: WatchedCalls,
    report: ServerReport,
    /// True once it has begun to stop.
    stops: bool,
    /// Who is told where the shard stands, and when next.
    status: watch::Sender<Status>,
    tell_at: Timestamp,
}

/// What a driver connects its shard to.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) socket: UdpSocket,
    pub(crate) clock: Clock,
    pub(crate) auth: watch::Receiver<Auth>,
    pub(crate) ticket_keys: watch::Receiver<TicketKeys>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) chores: Chores,
    pub(crate) watch: Arc<Watch>,
    pub(crate) status: watch::Sender<Status>,
}

/// One socket in two forms.
#[derive(Debug)]
struct Socket {
    /// Moves datagrams.
    std: UdpSocket,
    /// The same socket, known to the runtime: only tells when there is something to receive.
    readiness: tokio::net::UdpSocket,
}

/// Why the loop woke.
enum Wake {
    Readable,
    Due,
    Auth,
    TicketKeys,
    Stop,
}

impl Driver {
    /// Registers the socket with the runtime.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub(crate) fn new(shard: ServedShard, outside: Outside) -> io::Result<Self> {
        let Outside {
            socket,
            clock,
            auth,
            ticket_keys,
            mailboxes,
            chores,
            watch,
            status,
        } = outside;
        let readiness = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        Ok(Self {
            shard,
            chores,
            socket: Socket {
                std: socket,
                readiness,
            },
            clock,
            receive: ReceiveBatch::new(),
            send: SendBatch::new(),
            auth,
            ticket_keys,
            drains: Drains::default(),
            mailboxes,
            offer_at: None,
            calls: WatchedCalls::new(Arc::clone(&watch)),
            watch,
            report: ServerReport::default(),
            stops: false,
            status,
            tell_at: Timestamp::ZERO,
        })
    }

    /// Serves until `shutdown` is ready, then drains.
    ///
    /// # Errors
    /// The socket failed.
    pub(crate) async fn run(
        mut self,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<ServerReport> {
        let mut shutdown = pin!(shutdown);
        loop {
            match self.wait(shutdown.as_mut()).await? {
                Wake::Readable | Wake::Due => self.turn()?,
                Wake::Auth => {
                    let auth = self.auth.borrow_and_update().clone();
                    self.shard.set_auth(auth);
                }
                Wake::TicketKeys => {
                    let keys = self.ticket_keys.borrow_and_update().clone();
                    self.shard.set_ticket_keys(keys);
                }
                Wake::Stop => break,
            }
            // A loop under load never waits in the runtime, which would never see a signal.
            if self.report.turns.is_multiple_of(YIELD_EVERY) {
                tokio::task::yield_now().await;
            }
        }
        self.drain().await?;
        let now = self.clock.now();
        self.chores.end(&mut self.shard, now).map_err(failed)?;
        self.report.shard = self.shard.stats();
        Ok(self.report)
    }

    async fn wait(&mut self, shutdown: impl Future<Output = ()>) -> io::Result<Wake> {
        // Nobody watches unless operators may ask.
        let watched = self.status.receiver_count() > 0;
        let turn = watched.then_some(self.tell_at + TURN_EVERY);
        let look = self.drains.next();
        let due = match (look, self.offer_at) {
            // What is due is seen to at the look.
            (Some(_), _) => None,
            (None, Some(offer)) => Some(offer),
            (None, None) => self.shard.poll_timeout(),
        };
        let sync = self.chores.due(&self.shard);
        let due = [due, turn, sync].into_iter().flatten().min();
        if let Some(look) = look {
            // Not in the runtime: it would be woken by each datagram that it is not to look at yet. Nor for
            // each deadline: rooms and connections have thousands, and what is due is seen to at the look.
            std::thread::sleep(look.since(self.clock.now()));
        }
        let socket = &self.socket.readiness;
        let wake = async {
            match look {
                Some(_) => Ok(Wake::Due),
                None => socket.readable().await.map(|()| Wake::Readable),
            }
        };
        tokio::select! {
            biased;
            () = shutdown => Ok(Wake::Stop),
            () = changed(&mut self.auth) => Ok(Wake::Auth),
            () = changed(&mut self.ticket_keys) => Ok(Wake::TicketKeys),
            wake = wake => wake,
            () = self.mailboxes.rung() => Ok(Wake::Due),
            () = self.chores.finished(&self.shard) => Ok(Wake::Due),
            () = sleep_until(self.clock, due) => Ok(Wake::Due),
        }
    }

    /// Tells the players, then lets the shard finish.
    async fn drain(&mut self) -> io::Result<()> {
        let end = self.clock.now() + DRAIN_MAX;
        self.shard.stop(CloseReason::ServerStopping);
        self.stops = true;
        self.turn()?;
        while !self.shard.is_stopped() && self.clock.now() < end {
            tokio::time::sleep(DRAIN_STEP).await;
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        self.watch.enter();
        let outcome = self.turn_watched();
        self.watch.leave();
        outcome
    }

    fn turn_watched(&mut self) -> io::Result<()> {
        let received = self.report.received;
        let looked = self.clock.now();
        let drained = self.collect()?;
        self.drains
            .on_look(self.report.received - received, drained, looked);
        let now = self.clock.now();
        let shard = &mut self.shard;
        self.mailboxes
            .take(|letter| shard.handle_letter(letter, now));
        self.shard.turn_measured(&mut self.calls, now);
        if let Some(problem) = self.shard.store_failure() {
            // What was not written has not happened: nobody hears of it.
            return Err(failed(problem.clone()));
        }
        self.release(now);
        self.chores.turn(&mut self.shard, now).map_err(failed)?;
        let shard = &mut self.shard;
        let put = self
            .mailboxes
            .put(|to, letters| shard.take_letters(to, letters));
        self.offer_at = (!put).then_some(now + OFFER_AGAIN);
        self.report.turns += 1;
        self.tell_status(now);
        Ok(())
    }

    fn tell_status(&mut self, now: Timestamp) {
        if now >= self.tell_at && self.status.receiver_count() > 0 {
            self.tell_at = now + TOLD_EVERY;
            self.report.shard = self.shard.stats();
            self.status.send_replace(Status {
                serves: !self.stops,
                turned: Instant::now(),
                report: self.report,
            });
        }
    }

    /// Step 1 of the shard's turn: what has arrived, up to the budget. True if nothing was left.
    fn collect(&mut self) -> io::Result<bool> {
        // On a timer the runtime has not asked yet whether there is something.
        let asked = self.drains.next().is_none();
        for _ in 0..BATCHES_PER_TURN {
            let now = self.clock.now();
            let Self {
                shard,
                socket,
                receive,
                report,
                ..
            } = self;
            let mut take = || {
                let received = receive.receive_for(
                    &socket.std,
                    shard,
                    |shard, arrived| shard.expect(arrived.datagrams()),
                    |shard, from, datagram| shard.handle_datagram(from, datagram, now),
                )?;
                report.received += count(received.datagrams);
                report.received_too_long += count(received.too_long);
                // Only this error makes the runtime wait for the next datagram.
                if received.drained {
                    Err(ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            };
            let outcome = if asked {
                socket.readiness.try_io(Interest::READABLE, take)
            } else {
                take()
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        tracing::trace!(
            datagrams = BATCHES_PER_TURN * RECEIVE_BATCH_MAX,
            "receive budget used up"
        );
        Ok(false)
    }

    /// Step 5: everything the turn has to send.
    fn release(&mut self, now: Timestamp) {
        let Self {
            shard,
            socket,
            send,
            report,
            ..
        } = self;
        let mut more = true;
        while more {
            more = send.gather(|out| shard.poll_transmit(out, now));
            let sent = send.send(&socket.std);
            report.sent += sent.sent;
            report.sends_blocked += sent.blocked;
            report.sends_refused += sent.refused;
        }
    }
}

/// The store's failure ends the driver as one of the socket does.
fn failed(problem: StoreError) -> io::Error {
    io::Error::other(problem)
}

async fn sleep_until(clock: Clock, due: Option<Timestamp>) {
    match due {
        Some(moment) => tokio::time::sleep_until(clock.instant(moment).into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for a change. Once nobody can make one there is nothing to wait for.
async fn changed<T>(told: &mut watch::Receiver<T>) {
    if told.changed().await.is_err() {
        std::future::pending().await
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
