//! Memory that will be needed is asked for ahead.
//!
//! A server touches each of its connections now and then, and all others in between: most of the time of a
//! datagram is waiting for memory. Asked for many connections in a row, all of it comes at once, and is there
//! when the datagrams are taken. What a connection points at can be asked for once it is there itself.

use std::mem::offset_of;

use super::Connection;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use crate::fetch::Fetch;

impl Connection {
    /// First: asks for what datagrams touch of the connection itself.
    pub fn fetch_ahead(&self, fetch: Fetch) {
        fetch.front(self, offset_of!(Self, outgoing) + Outgoing::FRONT);
        fetch.front(&self.incoming, Incoming::FRONT);
    }

    /// Then: for what they touch beyond it.
    pub fn fetch_parts(&self, fetch: Fetch) {
        self.recovery.fetch_parts(fetch);
        self.outgoing.fetch_parts(fetch);
        self.incoming.fetch_parts(fetch);
    }
}
