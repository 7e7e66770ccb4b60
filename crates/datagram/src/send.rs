//! Sending: datagrams are gathered in one buffer and leave together.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use crate::system;

/// Datagrams gathered before they must leave.
pub const SEND_BATCH_MAX: usize = 64;

/// Datagrams on their way out.
#[derive(Debug, Default)]
pub struct SendBatch {
    bytes: Vec<u8>,
    /// Where each goes, and where it ends in `bytes`.
    parts: Vec<(SocketAddr, usize)>,
}

/// What became of a batch. UDP promises nothing, so nothing here is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams the system took.
    pub sent: u64,
    /// Datagrams dropped because the socket's send buffer was full.
    pub blocked: u64,
    /// Datagrams the system refused: no route, firewall, too long.
    pub refused: u64,
}

impl SendBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gathers datagrams until `next` has none left or the batch is full. `next` appends a
    /// datagram and tells where it goes. True if there may be more: send this batch, then
    /// gather again.
    pub fn gather(&mut self, mut next: impl FnMut(&mut Vec<u8>) -> Option<SocketAddr>) -> bool {
        while self.parts.len() < SEND_BATCH_MAX {
            let Some(to) = next(&mut self.bytes) else {
                return false;
            };
            self.parts.push((to, self.bytes.len()));
        }
        true
    }

    /// Sends what was gathered, in order, and empties the batch.
    ///
    /// Once the send buffer is full the rest of the batch is dropped: what would follow is newer
    /// than any retry could be, and reliable data is sent again by its owner.
    pub fn send(&mut self, socket: &UdpSocket) -> Sent {
        let mut sent = Sent::default();
        let (mut rest, mut start) = (self.parts.as_slice(), 0);
        while let Some((_, end)) = rest.first() {
            match system::send(socket, &self.bytes, rest, start) {
                Ok(count) => {
                    sent.sent += u64::try_from(count).unwrap_or(u64::MAX);
                    let (left, waiting) = rest.split_at(count.min(rest.len()));
                    start = left.last().map_or(start, |(_, end)| *end);
                    rest = waiting;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    sent.blocked = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                    break;
                }
                Err(error) if answers_another(error.kind()) => {}
                Err(_) => {
                    sent.refused += 1;
                    start = *end;
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
        }
        self.bytes.clear();
        self.parts.clear();
        sent
    }
}

/// True for a refusal that answers an earlier datagram and was told instead of sending. It is told
/// once, so the second try is the real one.
const fn answers_another(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Interrupted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReceiveBatch, bind};

    fn socket() -> (UdpSocket, SocketAddr) {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[test]
    fn gathered_datagrams_arrive_apart_and_in_order() {
        let (sender, _) = socket();
        let (receiver, to) = socket();
        let mut batch = SendBatch::new();
        let mut waiting = 0..100_u8;
        let mut total = 0;
        loop {
            let more = batch.gather(|out| {
                let number = waiting.next()?;
                out.extend_from_slice(&[number, number]);
                Some(to)
            });
            total += batch.send(&sender).sent;
            if !more {
                break;
            }
        }
        assert_eq!(total, 100);
        let mut numbers = Vec::new();
        let mut receive = ReceiveBatch::new();
        while !receive
            .receive(&receiver, |_, bytes| numbers.push(bytes.to_vec()))
            .unwrap()
            .drained
        {}
        assert_eq!(
            numbers,
            (0..100)
                .map(|number| vec![number, number])
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_datagram_that_cannot_leave_does_not_hold_up_the_others() {
        let (sender, _) = socket();
        let (_receiver, to) = socket();
        let mut waiting = [vec![1; 10], vec![2; 70_000], vec![3; 10]].into_iter();
        let mut batch = SendBatch::new();
        batch.gather(|out| {
            out.extend(waiting.next()?);
            Some(to)
        });
        assert_eq!(
            batch.send(&sender),
            Sent {
                sent: 2,
                blocked: 0,
                refused: 1
            }
        );
        assert_eq!(batch.send(&sender), Sent::default());
    }
}
