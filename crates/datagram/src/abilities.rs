//! What this system lets a server's sockets do. Nothing is sent, and no port is taken that is named.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU8;
use std::path::Path;

use crate::bind::{BUFFER_WANTED, Buffers, bind, buffers};
use crate::group::{Pattern, SteeringRules, bind_group};
use crate::system;

/// What a socket of this process can have. Made anew each time it is asked for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Abilities {
    /// Bytes for datagrams that a socket is granted, as they were asked for: Linux tells twice as many, as
    /// its own bookkeeping takes about half.
    pub buffers: Buffers,
    /// Many datagrams to one peer as one buffer (`UDP_SEGMENT`).
    pub segmented_sends: io::Result<()>,
    /// Several sockets on one port, with a classic BPF program that chooses among them.
    pub steering: io::Result<()>,
}

/// Bytes that a server asks for as its receive buffer, and as its send buffer.
#[must_use]
pub const fn buffer_wanted() -> usize {
    BUFFER_WANTED
}

/// Looks.
///
/// # Errors
/// Not even a socket on loopback can be had.
pub fn abilities() -> io::Result<Abilities> {
    let socket = socket()?;
    let Buffers { receive, send } = buffers(&socket);
    let counted_twice = if cfg!(target_os = "linux") { 2 } else { 1 };
    Ok(Abilities {
        buffers: Buffers {
            receive: receive / counted_twice,
            send: send / counted_twice,
        },
        segmented_sends: system::knows_runs(&socket),
        steering: steering(),
    })
}

/// Bytes that this process may still write to the disk of `folder`.
///
/// # Errors
/// The system does not tell.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    system::free_space(folder)
}

/// Tries it on a port of loopback.
fn steering() -> io::Result<()> {
    const COUNT: NonZeroU8 = NonZeroU8::MIN.saturating_add(1);
    const ANY: Pattern = Pattern { mask: 0, value: 0 };
    const RULES: SteeringRules = SteeringRules {
        numbered: ANY,
        number_at: 0,
        spread: ANY,
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let group = bind_group(address, COUNT, None).map_err(io::Error::other)?;
    let first = group.sockets.first().ok_or(io::ErrorKind::NotFound)?;
    system::steer(first, &RULES, COUNT)
}

fn socket() -> io::Result<UdpSocket> {
    bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_granted_no_more_than_it_asked_for() {
        let granted = abilities().unwrap().buffers;
        assert!(granted.receive > 0 && granted.receive <= buffer_wanted());
        assert!(granted.send > 0 && granted.send <= buffer_wanted());
    }

    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    #[test]
    fn what_is_told_of_buffers_is_what_linux_allows() {
        let granted = abilities().unwrap().buffers;
        for (found, setting) in [(granted.receive, "rmem_max"), (granted.send, "wmem_max")] {
            // Not every container shows them.
            if let Ok(most) = std::fs::read_to_string(format!("/proc/sys/net/core/{setting}")) {
                let most = most.trim().parse().unwrap();
                assert_eq!(found, buffer_wanted().min(most), "{setting}");
            }
        }
    }

    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    #[test]
    fn what_linux_has_had_for_years_is_found() {
        let found = abilities().unwrap();
        found.segmented_sends.unwrap();
        found.steering.unwrap();
    }

    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    #[test]
    fn the_room_on_a_disk_is_told_and_a_folder_that_is_not_there_is_an_error() {
        assert!(free_space(Path::new("/")).unwrap() > 0);
        assert_eq!(free_space(Path::new("/proc")).unwrap(), 0);
        let error = free_space(Path::new("/no/such/folder")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = free_space(Path::new("a\0b")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
