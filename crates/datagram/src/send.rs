//! Sending: datagrams are gathered in one buffer and leave together.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use crate::runs::{self, Message, Runs};
use crate::system;

/// Datagrams gathered before they must leave.
pub const SEND_BATCH_MAX: usize = 64;

/// Datagrams on their way out, of one socket.
///
/// Where the system can, those to one peer that follow each other and are equally long leave as one message.
/// A receiver that steers by what datagrams say steers such a run by its first.
#[derive(Debug, Default)]
pub struct SendBatch {
    bytes: Vec<u8>,
    /// Where each goes, and where it ends in `bytes`.
    parts: Vec<(SocketAddr, usize)>,
    messages: Vec<Message>,
    runs: Runs,
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
        let (mut done, mut apart) = (0, 0);
        while let Some(first) = self.pack(socket, done, apart) {
            match system::send(socket, &self.bytes, &self.messages) {
                Ok(count) => {
                    let taken = self.messages.get(..count).unwrap_or_default();
                    let datagrams = taken.iter().map(|it| it.datagrams).sum::<usize>();
                    if datagrams > taken.len() {
                        self.runs.on_taken();
                    }
                    sent.sent += number(datagrams);
                    done += datagrams;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    sent.blocked = number(self.parts.len().saturating_sub(done));
                    break;
                }
                Err(error) if answers_another(error.kind()) => {}
                Err(error) if first.datagrams > 1 => {
                    self.runs.on_refused(&error);
                    apart = done + first.datagrams;
                }
                Err(_) => {
                    sent.refused += 1;
                    done += 1;
                }
            }
        }
        self.bytes.clear();
        self.parts.clear();
        sent
    }

    /// Packs what is left after `done` datagrams, those before `apart` alone. Tells the first message.
    fn pack(&mut self, socket: &UdpSocket, done: usize, apart: usize) -> Option<Message> {
        let (before, rest) = self.parts.split_at_checked(done)?;
        let start = before.last().map_or(0, |(_, end)| *end);
        let apart = if rest.len() > 1 && self.runs.are_wanted(socket) {
            apart.saturating_sub(done)
        } else {
            rest.len()
        };
        runs::pack(rest, start, apart, &mut self.messages);
        self.messages.first().copied()
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
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

    /// Sends `datagrams`, each a peer and a length, told apart by their first byte.
    fn send_all(
        batch: &mut SendBatch,
        sender: &UdpSocket,
        datagrams: &[(SocketAddr, usize)],
    ) -> Sent {
        let mut waiting = (0_u8..).zip(datagrams);
        batch.gather(|out| {
            let (number, (to, len)) = waiting.next()?;
            out.resize(out.len() + len, number);
            Some(*to)
        });
        batch.send(sender)
    }

    /// First byte and length of each datagram that waits.
    fn waiting(receiver: &UdpSocket) -> Vec<(u8, usize)> {
        let mut all = Vec::new();
        let mut take =
            |bytes: &mut [u8]| all.push((bytes.first().copied().unwrap_or(0), bytes.len()));
        ReceiveBatch::new()
            .receive(receiver, |_, bytes| take(bytes))
            .unwrap();
        all
    }

    fn all_sent(datagrams: u64) -> Sent {
        Sent {
            sent: datagrams,
            ..Sent::default()
        }
    }

    #[test]
    fn runs_and_single_datagrams_arrive_apart_and_in_order() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let any = any.parse().unwrap();
            let (sender, one, other) = (bind(any).unwrap(), bind(any).unwrap(), bind(any).unwrap());
            let (to, elsewhere) = (one.local_addr().unwrap(), other.local_addr().unwrap());
            let mut datagrams = vec![(to, 1_200); 5];
            datagrams.extend([(to, 30), (elsewhere, 30), (elsewhere, 30), (to, 30)]);
            datagrams.extend([(to, 0), (to, 7), (to, 7), (to, 8)]);
            let mut batch = SendBatch::new();
            for _ in 0..2 {
                assert_eq!(send_all(&mut batch, &sender, &datagrams), all_sent(13));
                let mut expected: Vec<_> = (0..5).map(|number| (number, 1_200)).collect();
                expected.extend([(5, 30), (8, 30), (0, 0), (10, 7), (11, 7), (12, 8)]);
                assert_eq!(waiting(&one), expected);
                assert_eq!(waiting(&other), [(6, 30), (7, 30)]);
            }
        }
    }

    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    #[test]
    fn a_run_leaves_as_one_message() {
        let (sender, _) = socket();
        let (receiver, to) = socket();
        // Such a receiver gets as one what was sent as one.
        system::join(&receiver).unwrap();
        let mut batch = SendBatch::new();
        send_all(
            &mut batch,
            &sender,
            &[(to, 100), (to, 100), (to, 40), (to, 60)],
        );
        let mut buffer = [0; 2_048];
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 240);
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 60);
        assert_eq!(batch.runs, Runs::Taken);
    }

    /// A socket that leaves checksums out, so that the system cuts nothing.
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    fn cut_nothing(sender: &UdpSocket) {
        system::leave_checksums_out(sender).unwrap();
    }

    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    #[test]
    fn what_is_refused_as_a_run_is_sent_apart_and_nothing_is_lost() {
        let (receiver, to) = socket();
        let datagrams = [
            (to, 20),
            (to, 10),
            (to, 30),
            (to, 30),
            (to, 5),
            (to, 6),
            (to, 6),
        ];
        let expected = [(0, 20), (1, 10), (2, 30), (3, 30), (4, 5), (5, 6), (6, 6)];

        let (sender, _) = socket();
        cut_nothing(&sender);
        let mut batch = SendBatch::new();
        assert_eq!(send_all(&mut batch, &sender, &datagrams), all_sent(7));
        assert_eq!(waiting(&receiver), expected);
        assert_eq!(batch.runs, Runs::Refused, "for good");

        let (sender, _) = socket();
        let mut batch = SendBatch::new();
        assert_eq!(send_all(&mut batch, &sender, &datagrams), all_sent(7));
        cut_nothing(&sender);
        assert_eq!(send_all(&mut batch, &sender, &datagrams), all_sent(7));
        assert_eq!(waiting(&receiver), [expected, expected].concat());
        assert_eq!(batch.runs, Runs::Taken, "others can still have it");
    }
}
