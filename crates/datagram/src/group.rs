//! Several sockets on one port: one for each shard, with the system handing each datagram to its own.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU8;

use socket2::SockRef;

use crate::bind::{BindError, bind, named, open};
use crate::system;

/// Sockets that share one address, in the order of their numbers, from 0.
///
/// They live and end together: when one of a port closes, the system gives its number to the last, and
/// steering is wrong from then on.
#[derive(Debug)]
#[non_exhaustive]
pub struct Group {
    /// At least one. All have the same address.
    pub sockets: Vec<UdpSocket>,
    /// Who gets what.
    pub steering: Steering,
}

/// How datagrams find their socket of a [`Group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// As [`SteeringRules`] say, in the system. So it is with a single socket, too.
    Kernel,
    /// By the sender's address and port alone. A datagram with a number can come to another socket than that
    /// of its number, and comes to a third once its sender has a new address.
    None,
}

/// Which datagrams belong where, by the bytes at their front.
///
/// What fits neither pattern goes to socket 0, and so does what ends before a byte that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteeringRules {
    /// Datagrams that carry the number of their socket.
    pub numbered: Pattern,
    /// Where that number stands. One that no socket has goes to socket 0.
    pub number_at: u8,
    /// Datagrams that any socket may have: those from one address and port stay with one socket, others
    /// spread over all.
    pub spread: Pattern,
}

/// What the first byte of a datagram is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The bits that matter.
    pub mask: u8,
    /// What they are.
    pub value: u8,
}

/// Binds `count` sockets to one address; those after the first to the port that it got. With `None` as
/// rules they are not steered.
///
/// An address that somebody holds is refused as by [`bind`](crate::bind()): the first socket is bound before
/// it may be shared. From then on the system lets a process of the same user in that sets `SO_REUSEPORT`
/// before it binds, as nothing here does; it would get a part of what is spread.
///
/// # Errors
/// See [`BindError`]; [`BindError::OneSocket`] for more than one where the system cannot share a port.
pub fn bind_group(
    address: SocketAddr,
    count: NonZeroU8,
    rules: Option<SteeringRules>,
) -> Result<Group, BindError> {
    let first = bind(address)?;
    if count.get() == 1 {
        return Ok(Group {
            sockets: vec![first],
            steering: Steering::Kernel,
        });
    }
    if system::share(SockRef::from(&first)).is_err() {
        return Err(BindError::OneSocket(address));
    }
    let sockets = beside(first, count).map_err(|source| named(address, source))?;
    let steered = sockets
        .first()
        .zip(rules)
        .map(|(first, rules)| system::steer(first, &rules, count));
    let steering = match steered {
        Some(Ok(())) => Steering::Kernel,
        // Every datagram still comes to one of them.
        Some(Err(_)) | None => Steering::None,
    };
    Ok(Group { sockets, steering })
}

/// `first` and the others, which bind to its address.
fn beside(first: UdpSocket, count: NonZeroU8) -> io::Result<Vec<UdpSocket>> {
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count.get() {
        sockets.push(open(address, |socket| {
            system::share(SockRef::from(socket))
        })?);
    }
    Ok(sockets)
}
