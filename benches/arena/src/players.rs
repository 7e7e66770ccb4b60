//! What the players of any server can do.

use std::net::SocketAddr;
use std::time::Instant;

use rejoin::protocol::Timestamp;

use crate::net::Traffic;
use crate::workload::{INPUT_LEN, PING_LEN};

/// Players of one server, in one thread.
pub trait Players {
    /// Lets player number `player` begin.
    fn begin(&mut self, player: usize, now: Timestamp);

    /// Lets the client of player number `player` go without a word, and another come that takes its session up.
    ///
    /// # Panics
    /// If the server knows no sessions.
    fn come_back(&mut self, player: usize, _now: Timestamp) {
        panic!("player {player} has no session to come back to");
    }

    /// Players that can play.
    fn ready(&self) -> usize;

    /// Sends an input.
    fn input(&mut self, player: usize, now: Timestamp);

    /// Sends a ping.
    fn ping(&mut self, player: usize, ping: Ping, now: Timestamp);

    /// Takes in what came, and does what is due. True if anything came.
    fn pump(&mut self, now: Timestamp, echoes: &mut Vec<Ping>) -> bool;

    /// Ends player number `player`'s session.
    fn leave(&mut self, player: usize, now: Timestamp);

    /// What has travelled so far.
    fn traffic(&self) -> Traffic;
}

/// An input that is made now: no two of a player are alike.
#[must_use]
pub fn input(now: Timestamp) -> [u8; INPUT_LEN] {
    let mut input = [0; INPUT_LEN];
    input[..8].copy_from_slice(&now.as_nanos().to_be_bytes());
    input
}

/// What a ping carries: when it should have been sent.
#[derive(Clone, Copy)]
pub struct Ping {
    pub planned: Timestamp,
}

impl Ping {
    pub fn bytes(self) -> [u8; PING_LEN] {
        let mut bytes = [0; PING_LEN];
        bytes[..8].copy_from_slice(&self.planned.as_nanos().to_be_bytes());
        bytes
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let nanos = u64::from_be_bytes(*bytes.first_chunk()?);
        let planned = Timestamp::from_nanos(nanos);
        Some(Self { planned })
    }
}

/// Where a server is, and what clients must know of it.
#[derive(Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    pub key: Option<rejoin::protocol::crypto::PublicKey>,
}

/// The players' clock.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(self) -> Timestamp {
        Timestamp::ZERO + self.0.elapsed()
    }
}
