//! Memory that the connections of one owner use in turn.
//!
//! A connection has something to tell only until its owner has asked, and what a datagram brings is
//! mostly done with by the end of a turn. With memory of its own for that, each of a thousand connections
//! touches other lines of the processor's caches with each datagram; with this all touch the same.

use std::collections::VecDeque;

use super::Connection;
use super::copies::Copies;
use super::event::ConnectionEvent;

/// Copies of short messages take as much at a time, twice at most unless they are held for long: what
/// thousands of players send in a millisecond.
const CHUNK: usize = 8 * 1024;

/// See the module page.
#[derive(Debug)]
pub struct Memory {
    events: VecDeque<ConnectionEvent>,
    copies: Option<Box<Copies>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            copies: Some(Box::new(Copies::new(CHUNK))),
        }
    }
}

impl Connection {
    /// Changes the connection's memory with `memory`: before a datagram, and back once all events of it
    /// are taken. Events that wait stay where they are.
    pub fn swap_memory(&mut self, memory: &mut Memory) {
        self.incoming.swap_copies(&mut memory.copies);
        if self.events.is_empty() && memory.events.is_empty() {
            std::mem::swap(&mut self.events, &mut memory.events);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::CloseReason;
    use crate::connection::{Role, Setup};
    use crate::crypto::{Suite, TrafficSecret};
    use crate::ids::Epoch;
    use crate::time::Timestamp;

    fn connection() -> Connection {
        let secret = || TrafficSecret::new(Suite::Aes128Gcm, [1; 32]);
        let setup = Setup {
            role: Role::Server,
            seal: secret(),
            open: secret(),
            send_id: None,
            labelled: true,
            epoch: Epoch(1),
        };
        Connection::new(setup, None, Timestamp::ZERO)
    }

    #[test]
    fn events_that_wait_stay_with_their_connection() {
        let mut memory = Memory::default();
        let [mut one, mut other] = [connection(), connection()];
        one.swap_memory(&mut memory);
        one.close(CloseReason::TimedOut);
        one.swap_memory(&mut memory);
        other.swap_memory(&mut memory);
        assert_eq!(other.poll_event(), None);
        let closed = ConnectionEvent::Closed(CloseReason::TimedOut);
        assert_eq!(one.poll_event(), Some(closed));
    }
}
