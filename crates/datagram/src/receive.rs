//! Receiving: up to 64 datagrams at a time into one buffer that is used again and again.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};

use crate::system;

/// Datagrams taken from a socket at a time.
pub const RECEIVE_BATCH_MAX: usize = 64;
/// Longest datagram that is handed on; longer ones are dropped.
pub const RECEIVE_LEN_MAX: usize = 2048;
/// One byte more than the longest: a datagram that fills it was too long.
const SLOT_LEN: usize = RECEIVE_LEN_MAX + 1;

/// The buffer of a receiver: 128 KiB.
#[derive(Debug)]
pub struct ReceiveBatch {
    slots: Box<[u8]>,
    filled: Vec<(SocketAddr, usize)>,
}

/// Datagrams that are about to be handed on.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    slots: &'a [u8],
    filled: &'a [(SocketAddr, usize)],
}

impl<'a> Arrived<'a> {
    /// Their bytes, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let slots = self.slots.chunks_exact(SLOT_LEN).zip(self.filled);
        slots.map(|(slot, (_, len))| slot.get(..*len).unwrap_or_default())
    }
}

/// What one call took in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Datagrams handed on.
    pub datagrams: usize,
    /// Datagrams dropped because they were too long.
    pub too_long: usize,
    /// True if nothing was left; false if the batch was full before that.
    pub drained: bool,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: vec![0; RECEIVE_BATCH_MAX * SLOT_LEN].into_boxed_slice(),
            filled: Vec::with_capacity(RECEIVE_BATCH_MAX),
        }
    }

    /// Takes up to [`RECEIVE_BATCH_MAX`] datagrams and hands each on with its sender.
    ///
    /// # Errors
    /// The socket cannot be used any more. What was received before that was handed on.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        mut handle: impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<Received> {
        let expect = |_: &_, _: &Arrived<'_>| {};
        self.receive_for(socket, &mut handle, expect, |handle, from, datagram| {
            handle(from, datagram);
        })
    }

    /// The same for a taker that is shown all of them before it is handed the first.
    ///
    /// # Errors
    /// As [`ReceiveBatch::receive`].
    pub fn receive_for<T>(
        &mut self,
        socket: &UdpSocket,
        taker: &mut T,
        expect: impl Fn(&T, &Arrived<'_>),
        handle: impl Fn(&mut T, SocketAddr, &mut [u8]),
    ) -> io::Result<Received> {
        let outcome = self.fill(socket);
        let arrived = Arrived {
            slots: &self.slots,
            filled: &self.filled,
        };
        expect(taker, &arrived);
        let mut received = Received::default();
        for (slot, (from, len)) in self
            .slots
            .chunks_exact_mut(SLOT_LEN)
            .zip(self.filled.drain(..))
        {
            if len > RECEIVE_LEN_MAX {
                received.too_long += 1;
            } else if let Some(datagram) = slot.get_mut(..len) {
                received.datagrams += 1;
                handle(taker, from, datagram);
            }
        }
        received.drained = outcome?;
        Ok(received)
    }

    /// Fills the slots. True if the socket ran dry before they did.
    fn fill(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.filled.clear();
        loop {
            let taken = self.filled.len() * SLOT_LEN;
            let Some(slots) = self.slots.get_mut(taken..).filter(|rest| !rest.is_empty()) else {
                return Ok(false);
            };
            match system::receive(socket, slots, SLOT_LEN, &mut self.filled) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if !is_harmless(&error) => return Err(error),
                // Whatever comes from now on is told of again.
                Ok(true) => return Ok(true),
                Ok(false) | Err(_) => {}
            }
        }
    }
}

/// True for errors after which receiving goes on as before.
fn is_harmless(error: &io::Error) -> bool {
    let told_too_long = cfg!(windows) && error.raw_os_error() == Some(WSAEMSGSIZE);
    answers_a_send(error.kind()) || error.kind() == ErrorKind::Interrupted || told_too_long
}

/// Where other systems cut a datagram to the buffer, Windows drops it and says so.
const WSAEMSGSIZE: i32 = 10_040;

/// True for errors that tell of a datagram sent earlier. Nothing that arrived is lost by skipping
/// them, and each is told once.
const fn answers_a_send(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind;

    fn pair() -> (UdpSocket, UdpSocket, SocketAddr) {
        let receiver = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let sender = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = receiver.local_addr().unwrap();
        (receiver, sender, address)
    }

    fn take(batch: &mut ReceiveBatch, socket: &UdpSocket) -> (Received, Vec<Vec<u8>>) {
        let mut datagrams = Vec::new();
        let received = batch
            .receive(socket, |_, bytes| datagrams.push(bytes.to_vec()))
            .unwrap();
        (received, datagrams)
    }

    #[test]
    fn a_batch_ends_at_its_bound_and_the_rest_waits() {
        let (receiver, sender, address) = pair();
        for number in 0..70_u8 {
            sender.send_to(&[number], address).unwrap();
        }
        let mut batch = ReceiveBatch::new();
        let (first, datagrams) = take(&mut batch, &receiver);
        assert_eq!(
            first,
            Received {
                datagrams: 64,
                too_long: 0,
                drained: false
            }
        );
        assert!(
            datagrams
                .iter()
                .zip(0..64)
                .all(|(bytes, number)| bytes == &[number])
        );
        let (second, datagrams) = take(&mut batch, &receiver);
        assert_eq!(
            second,
            Received {
                datagrams: 6,
                too_long: 0,
                drained: true
            }
        );
        assert_eq!(datagrams.concat(), [64, 65, 66, 67, 68, 69]);
    }

    #[test]
    fn a_taker_is_shown_all_before_it_is_handed_the_first() {
        let (receiver, sender, address) = pair();
        for number in 0..70_u8 {
            sender.send_to(&[number, number], address).unwrap();
        }
        let mut batch = ReceiveBatch::new();
        for expected in [0..64_u8, 64..70] {
            let shown = std::cell::RefCell::new(Vec::new());
            let mut handed = Vec::new();
            let expect = |handed: &Vec<_>, arrived: &Arrived<'_>| {
                assert!(handed.is_empty());
                let datagrams = arrived.datagrams().map(<[u8]>::to_vec);
                shown.borrow_mut().extend(datagrams);
            };
            batch
                .receive_for(&receiver, &mut handed, expect, |handed, _, datagram| {
                    handed.push(datagram.to_vec());
                })
                .unwrap();
            assert_eq!(shown.into_inner(), handed);
            assert!(handed.iter().flatten().copied().step_by(2).eq(expected));
        }
    }

    #[test]
    fn the_longest_datagram_arrives_and_a_longer_one_is_dropped() {
        let (receiver, sender, address) = pair();
        sender.send_to(&[7; RECEIVE_LEN_MAX], address).unwrap();
        sender.send_to(&[8; RECEIVE_LEN_MAX + 1], address).unwrap();
        sender.send_to(&[9; 60_000], address).unwrap();
        sender.send_to(&[], address).unwrap();
        let (received, datagrams) = take(&mut ReceiveBatch::new(), &receiver);
        assert_eq!(
            received,
            Received {
                datagrams: 2,
                too_long: 2,
                drained: true
            }
        );
        assert_eq!(datagrams, [vec![7; RECEIVE_LEN_MAX], vec![]]);
    }

    #[test]
    fn a_refused_send_does_not_end_a_receiver() {
        let (receiver, sender, gone) = pair();
        drop(receiver);
        sender.connect(gone).unwrap();
        sender.send(b"nobody is there").unwrap();
        // The refusal is queued on a loopback socket before `send` returns.
        let (received, _) = take(&mut ReceiveBatch::new(), &sender);
        assert_eq!(
            received,
            Received {
                datagrams: 0,
                too_long: 0,
                drained: true
            }
        );
    }
}
