//! Runs: datagrams to one peer that follow each other and are equally long leave as one message, which the
//! system cuts apart again.
//!
//! A message costs the way through the system once. A tick is one datagram to each of many peers and has no
//! runs; a large view, or what a returning player missed, is one long run.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};

use crate::system;

/// Bytes of a run: less than what an IPv4 packet carries.
const RUN_LEN_MAX: usize = 65_000;

/// What leaves with one call of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where to.
    pub(crate) to: SocketAddr,
    /// Where its bytes begin.
    pub(crate) start: usize,
    /// Where they end.
    pub(crate) end: usize,
    /// Datagrams in it.
    pub(crate) datagrams: usize,
    /// Bytes of each, of which the last may have fewer; `None` if there is one alone.
    pub(crate) segment: Option<u16>,
}

/// Whether runs may be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Runs {
    /// Nobody has asked the system.
    #[default]
    Unknown,
    /// The system knows of them; no device has taken one yet.
    Untried,
    /// Some have left.
    Taken,
    /// Never again.
    Refused,
}

impl Runs {
    /// True if runs may be made on `socket`.
    pub(crate) fn are_wanted(&mut self, socket: &UdpSocket) -> bool {
        if *self == Self::Unknown {
            // An old system would send a run as one large datagram.
            *self = match system::knows_runs(socket) {
                Ok(()) => Self::Untried,
                Err(_) => Self::Refused,
            };
        }
        *self != Self::Refused
    }

    /// A run has left.
    pub(crate) fn on_taken(&mut self) {
        *self = Self::Taken;
    }

    /// A run was refused, and its datagrams go one by one. For good if a device says that it cannot cut,
    /// or if the system calls the first run invalid; what else is wrong is wrong with this one path.
    pub(crate) fn on_refused(&mut self, error: &io::Error) {
        let is_invalid = error.kind() == ErrorKind::InvalidInput;
        if system::cannot_cut(error) || (is_invalid && *self != Self::Taken) {
            *self = Self::Refused;
        }
    }
}

/// Packs `parts` into messages; each part is an address and where its datagram ends, the first of which
/// begins at `start`. The first `apart` datagrams stay alone.
pub(crate) fn pack(
    parts: &[(SocketAddr, usize)],
    mut start: usize,
    apart: usize,
    messages: &mut Vec<Message>,
) {
    messages.clear();
    for (index, (to, end)) in parts.iter().enumerate() {
        let len = end.saturating_sub(start);
        let joined = index > apart && messages.last_mut().is_some_and(|it| it.join(*to, len));
        if !joined {
            messages.push(Message {
                to: *to,
                start,
                end: *end,
                datagrams: 1,
                segment: None,
            });
        }
        start = *end;
    }
}

impl Message {
    /// Takes in the datagram that follows, of `len` bytes. False if it cannot.
    fn join(&mut self, to: SocketAddr, len: usize) -> bool {
        let total = self.end - self.start;
        let segment = self.segment.map_or(total, usize::from);
        // One that is shorter than the others was the last.
        let is_open = total == segment * self.datagrams;
        let fits = (1..=segment).contains(&len) && total + len <= RUN_LEN_MAX;
        let Ok(segment) = u16::try_from(segment) else {
            return false;
        };
        if to != self.to || !is_open || !fits {
            return false;
        }
        self.end += len;
        self.datagrams += 1;
        self.segment = Some(segment);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Datagrams and bytes of each message, for datagrams of `(peer, len)`, from byte 100.
    fn packed(datagrams: &[(u16, usize)], apart: usize) -> Vec<(usize, usize)> {
        let mut end = 100;
        let parts: Vec<_> = datagrams
            .iter()
            .map(|(port, len)| {
                end += len;
                (peer(*port), end)
            })
            .collect();
        let mut messages = Vec::new();
        pack(&parts, 100, apart, &mut messages);
        let mut at = (100, 0);
        for message in &messages {
            assert_eq!(message.start, at.0, "nothing is left out");
            let (to, len) = datagrams[at.1];
            assert_eq!(message.to, peer(to));
            let segment = (message.datagrams > 1).then(|| u16::try_from(len).unwrap());
            assert_eq!(message.segment, segment);
            at = (message.end, at.1 + message.datagrams);
        }
        assert_eq!(at, (end, datagrams.len()), "nothing is left over");
        messages
            .iter()
            .map(|it| (it.datagrams, it.end - it.start))
            .collect()
    }

    #[test]
    fn equal_datagrams_to_one_peer_are_a_run_whose_last_may_be_shorter() {
        assert_eq!(packed(&[(1, 9), (1, 9), (1, 9)], 0), [(3, 27)]);
        assert_eq!(packed(&[(1, 9), (1, 9), (1, 4)], 0), [(3, 22)]);
        assert_eq!(
            packed(&[(1, 9), (1, 4), (1, 4), (1, 9)], 0),
            [(2, 13), (1, 4), (1, 9)]
        );
        assert_eq!(packed(&[(1, 4), (1, 9), (1, 9)], 0), [(1, 4), (2, 18)]);
    }

    #[test]
    fn another_peer_and_an_empty_datagram_are_no_part_of_a_run() {
        assert_eq!(packed(&[], 0), []);
        assert_eq!(
            packed(&[(1, 9), (2, 9), (1, 9)], 0),
            [(1, 9), (1, 9), (1, 9)]
        );
        assert_eq!(
            packed(&[(1, 9), (1, 0), (1, 0), (1, 9)], 0),
            [(1, 9), (1, 0), (1, 0), (1, 9)]
        );
    }

    #[test]
    fn a_run_fits_a_packet_of_the_system() {
        assert_eq!(packed(&[(1, 1_200); 64], 0), [(54, 64_800), (10, 12_000)]);
        assert_eq!(packed(&[(1, 65_000), (1, 1)], 0), [(1, 65_000), (1, 1)]);
        assert_eq!(packed(&[(1, 70_000), (1, 1)], 0), [(1, 70_000), (1, 1)]);
    }

    #[test]
    fn what_was_refused_as_a_run_leaves_apart_and_the_rest_joined() {
        let six = [(1, 9); 6];
        assert_eq!(packed(&six, 3), [(1, 9), (1, 9), (1, 9), (3, 27)]);
        assert_eq!(packed(&six, 6), [(1, 9); 6]);
    }

    /// What comes of a refusal by `error`.
    fn after(mut runs: Runs, error: impl Into<io::Error>) -> Runs {
        runs.on_refused(&error.into());
        runs
    }

    #[test]
    fn an_invalid_run_is_the_last_only_if_it_was_the_first() {
        let invalid = ErrorKind::InvalidInput;
        assert_eq!(after(Runs::Untried, invalid), Runs::Refused);
        assert_eq!(after(Runs::Taken, invalid), Runs::Taken);
        let of_the_path = ErrorKind::PermissionDenied;
        assert_eq!(after(Runs::Untried, of_the_path), Runs::Untried);
    }

    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    #[test]
    fn a_device_that_cannot_cut_is_asked_once() {
        let cannot = || io::Error::from_raw_os_error(libc::EIO);
        assert_eq!(after(Runs::Untried, cannot()), Runs::Refused);
        assert_eq!(after(Runs::Taken, cannot()), Runs::Refused);
    }
}
