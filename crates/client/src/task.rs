//! The task that owns a client's socket and drives its core.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::UdpSocket;

use crate::error::ConnectError;
use crate::route::Route;
use crate::shared::Shared;
use crate::state::State;
use crate::system::Clock;

/// Datagrams taken before others get their turn.
const RECEIVE_BATCH: usize = 64;

/// Room for a datagram; a longer one is none of ours.
const DATAGRAM_BUFFER: usize = 2048;

/// The driver of one client.
#[derive(Debug)]
pub(crate) struct Task {
    shared: Arc<Shared>,
    clock: Clock,
    route: Route,
    socket: UdpSocket,
    out: Vec<u8>,
    buffer: Box<[u8; DATAGRAM_BUFFER]>,
}

impl Task {
    /// Opens the socket. Must run inside a tokio runtime with I/O and time.
    pub(crate) fn new(
        shared: Arc<Shared>,
        clock: Clock,
        mut route: Route,
    ) -> Result<Self, ConnectError> {
        let socket = route
            .open()
            .and_then(UdpSocket::from_std)
            .map_err(ConnectError::Socket)?;
        let buffer = Box::new([0; DATAGRAM_BUFFER]);
        Ok(Self {
            shared,
            clock,
            route,
            socket,
            out: Vec::new(),
            buffer,
        })
    }

    /// Drives until the session is open.
    pub(crate) async fn join(&mut self) -> Result<(), ConnectError> {
        loop {
            self.turn().await;
            match self.shared.lock().core.state() {
                State::Joining => {}
                State::Active(_) | State::Away => return Ok(()),
                State::Ended(ended) => return Err(ended.clone().into()),
            }
            self.wait().await;
        }
    }

    /// Drives until the session is over.
    pub(crate) async fn run(mut self) {
        loop {
            self.turn().await;
            if matches!(self.shared.lock().core.state(), State::Ended(_)) {
                break;
            }
            self.wait().await;
        }
        self.close_ticket_file().await;
    }

    /// Waits until the ticket file is as it is to stay.
    async fn close_ticket_file(&self) {
        let keeper = self.shared.lock().keeper.take();
        if let Some(keeper) = keeper {
            // It cannot fail: nothing panics there.
            drop(tokio::task::spawn_blocking(move || drop(keeper)).await);
        }
    }

    /// Takes what has arrived, lets time pass, sends what is due.
    async fn turn(&mut self) {
        {
            let mut inner = self.shared.lock();
            for _ in 0..RECEIVE_BATCH {
                match self.socket.try_recv(self.buffer.as_mut_slice()) {
                    Ok(len) => {
                        let datagram = self.buffer.get_mut(..len).unwrap_or_default();
                        inner.core.handle_datagram(datagram, self.clock.now());
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // A report about something sent before, such as a port that nobody listens
                    // on: the server may be restarting. Only silence ends a session.
                    Err(_) => {}
                }
            }
            inner.core.handle_timeout(self.clock.now());
            inner.deliver();
            if matches!(inner.core.state(), State::Active(_)) {
                self.route.on_welcome();
            }
        }
        self.follow_move();
        self.transmit().await;
    }

    async fn transmit(&mut self) {
        loop {
            self.out.clear();
            let is_hello = {
                let mut inner = self.shared.lock();
                if !inner.core.poll_transmit(&mut self.out, self.clock.now()) {
                    return;
                }
                matches!(inner.core.state(), State::Joining | State::Away)
            };
            if is_hello && let Some(socket) = self.route.on_hello() {
                self.replace_socket(socket);
            }
            self.send().await;
        }
    }

    /// Sends one datagram. What the system refuses is lost, as on any link.
    async fn send(&self) {
        if is_report(&self.socket.send(&self.out).await) {
            drop(self.socket.send(&self.out).await);
        }
    }

    /// Goes on with another socket if this machine's address has changed.
    fn follow_move(&mut self) {
        let mut inner = self.shared.lock();
        if std::mem::take(&mut inner.moved)
            && let Ok(socket) = self.route.reopen().and_then(UdpSocket::from_std)
        {
            self.socket = socket;
            inner.core.handle_moved(self.clock.now());
        }
    }

    fn replace_socket(&mut self, socket: std::net::UdpSocket) {
        if let Ok(socket) = UdpSocket::from_std(socket) {
            self.socket = socket;
        }
    }

    /// Sleeps until a datagram arrives, a handle has something to send, or time is up.
    async fn wait(&self) {
        let due = self.shared.lock().core.poll_timeout();
        let mut timer = pin!(tokio::time::sleep(self.clock.until(due)));
        let mut woken = pin!(self.shared.woken());
        poll_fn(|context| {
            let ready = woken.as_mut().poll(context).is_ready()
                || self.socket.poll_recv_ready(context).is_ready()
                || timer.as_mut().poll(context).is_ready();
            if ready {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Task {
    /// Also when the runtime drops the task half-way.
    fn drop(&mut self) {
        self.shared.finish();
    }
}

/// True if a send only fetched the report about an earlier datagram, and this one did not leave.
fn is_report<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}
