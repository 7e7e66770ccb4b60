//! Several sockets on one port, on loopback: who gets what, and who gets in.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails"
)]

use std::net::SocketAddr;
use std::num::NonZeroU8;

use rejoin_datagram::{Group, Pattern, Steering, SteeringRules, bind, bind_group};

/// As this project's packets are: two bits of type, one that says that a number follows.
const RULES: SteeringRules = SteeringRules {
    numbered: Pattern {
        mask: 0b1100_0100,
        value: 0b0000_0100,
    },
    number_at: 1,
    spread: Pattern {
        mask: 0b1111_1111,
        value: 0x40,
    },
};
const NUMBERED: u8 = 0b0010_1101;
const HELLO: u8 = 0x40;

fn ipv4() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn count(count: u8) -> NonZeroU8 {
    NonZeroU8::new(count).unwrap()
}

/// A port of its own has no group: the one socket gets all.
#[test]
fn a_group_of_one_is_a_socket() {
    let group = bind_group(ipv4(), count(1), Some(RULES)).unwrap();
    assert_eq!(group.steering, Steering::Kernel);
    let address = group.sockets[0].local_addr().unwrap();
    let sender = bind(ipv4()).unwrap();
    for datagram in [[NUMBERED, 9], [HELLO, 9], [0xff, 9]] {
        sender.send_to(&datagram, address).unwrap();
    }
    assert_eq!(taken(&group).concat().len(), 3);
    let error = bind_group(address, count(1), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address} is in use by another process")
    );
}

#[cfg(any(not(target_os = "linux"), feature = "portable"))]
#[test]
fn where_a_port_has_one_socket_a_second_is_an_error() {
    let error = bind_group(ipv4(), count(2), Some(RULES)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this system has one socket for 127.0.0.1:0, so that one shard alone can serve there"
    );
}

/// What waits at each socket.
fn taken(group: &Group) -> Vec<Vec<Vec<u8>>> {
    let all = group.sockets.iter().map(|socket| {
        let mut buffer = [0; 2_048];
        let one = || {
            let len = socket.recv(&mut buffer).ok()?;
            Some(buffer[..len].to_vec())
        };
        std::iter::from_fn(one).collect()
    });
    all.collect()
}

#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod linux {
    use std::io::ErrorKind;
    use std::net::UdpSocket;

    use rejoin_datagram::BindError;
    use socket2::{Domain, Socket, Type};

    use super::*;

    fn ipv6() -> SocketAddr {
        "[::1]:0".parse().unwrap()
    }

    fn port_of(group: &Group) -> SocketAddr {
        let address = group.sockets[0].local_addr().unwrap();
        for socket in &group.sockets {
            assert_eq!(socket.local_addr().unwrap(), address);
        }
        address
    }

    fn senders(to: SocketAddr, number: usize) -> Vec<UdpSocket> {
        let any = SocketAddr::new(to.ip(), 0);
        (0..number).map(|_| bind(any).unwrap()).collect()
    }

    /// A socket that would share its port with whoever else would.
    fn sharing(address: SocketAddr) -> std::io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    }

    #[test]
    fn each_number_comes_to_its_socket_and_one_that_none_has_to_the_first() {
        for any in [ipv4(), ipv6()] {
            let group = bind_group(any, count(4), Some(RULES)).unwrap();
            assert_eq!(group.steering, Steering::Kernel);
            let to = port_of(&group);
            // From many addresses, so that their hash would bring some elsewhere.
            for sender in senders(to, 16) {
                for number in 0..=u8::MAX {
                    sender.send_to(&[NUMBERED, number, 7], to).unwrap();
                }
                let (mut first, mut others) = (0, 0);
                for (socket, datagrams) in (0..).zip(taken(&group)) {
                    for datagram in datagrams {
                        match datagram[1] {
                            1..=3 => {
                                assert_eq!(datagram, [NUMBERED, socket, 7]);
                                others += 1;
                            }
                            number => {
                                assert_eq!(socket, 0, "{number}");
                                first += 1;
                            }
                        }
                    }
                }
                assert_eq!((first, others), (253, 3), "none is lost");
            }
        }
    }

    #[test]
    fn the_largest_group_has_a_socket_for_every_number_but_one() {
        let group = bind_group(ipv4(), count(u8::MAX), Some(RULES)).unwrap();
        let to = port_of(&group);
        let sender = bind(ipv4()).unwrap();
        for number in 0..=u8::MAX {
            sender.send_to(&[NUMBERED, number], to).unwrap();
        }
        let mut taken = taken(&group);
        assert_eq!(taken.remove(0), [[NUMBERED, 0], [NUMBERED, u8::MAX]]);
        for (number, datagrams) in (1..u8::MAX).zip(taken) {
            assert_eq!(datagrams, [[NUMBERED, number]]);
        }
    }

    #[test]
    fn hellos_spread_over_all_sockets_and_one_that_is_repeated_stays() {
        for any in [ipv4(), ipv6()] {
            let group = bind_group(any, count(4), Some(RULES)).unwrap();
            let to = port_of(&group);
            let mut got = [0; 4];
            for sender in senders(to, 64) {
                for attempt in 0..3 {
                    // A cookie changes what follows, and the number's place means nothing here.
                    sender.send_to(&[HELLO, attempt, attempt], to).unwrap();
                }
                let lens: Vec<_> = taken(&group).iter().map(Vec::len).collect();
                let socket = lens.iter().position(|len| *len == 3);
                assert_eq!(lens.iter().sum::<usize>(), 3);
                got[socket.expect("all three are at one socket")] += 1;
            }
            assert!(got.iter().all(|hellos| *hellos > 0), "{got:?}");
        }
    }

    #[test]
    fn what_is_nothing_of_ours_comes_to_the_first_socket() {
        let datagrams: [&[u8]; 8] = [
            &[],
            &[NUMBERED],
            &[HELLO + 1, 2],
            &[HELLO | NUMBERED, 2],
            &[NUMBERED | 0x80, 2],
            &[NUMBERED & !0b100, 2],
            &[0xff, 2],
            &[0, 2],
        ];
        for any in [ipv4(), ipv6()] {
            let group = bind_group(any, count(4), Some(RULES)).unwrap();
            let to = port_of(&group);
            for sender in senders(to, 16) {
                for datagram in datagrams {
                    sender.send_to(datagram, to).unwrap();
                }
                let mut taken = taken(&group);
                assert_eq!(taken.remove(0), datagrams);
                assert!(taken.iter().all(Vec::is_empty));
            }
        }
    }

    #[test]
    fn without_rules_the_senders_address_alone_decides() {
        let group = bind_group(ipv4(), count(4), None).unwrap();
        assert_eq!(group.steering, Steering::None);
        let to = port_of(&group);
        let mut got = [0; 4];
        for sender in senders(to, 64) {
            for number in 0..4 {
                sender.send_to(&[NUMBERED, number], to).unwrap();
            }
            let socket = taken(&group)
                .iter()
                .position(|datagrams| datagrams.len() == 4);
            got[socket.expect("all four are at one socket")] += 1;
        }
        assert!(got.iter().all(|senders| *senders > 0), "{got:?}");
    }

    #[test]
    fn a_port_that_somebody_holds_is_an_error() {
        for any in [ipv4(), ipv6()] {
            let group = bind_group(any, count(2), Some(RULES)).unwrap();
            let alone = bind(any).unwrap();
            // As a careless server is started twice: each would share.
            let careless = sharing(any).unwrap();
            let careless = careless.local_addr().unwrap().as_socket().unwrap();
            for taken in [port_of(&group), alone.local_addr().unwrap(), careless] {
                for count in [count(1), count(2)] {
                    let error = bind_group(taken, count, Some(RULES)).unwrap_err();
                    assert!(matches!(error, BindError::InUse(at) if at == taken));
                }
                assert!(matches!(bind(taken), Err(BindError::InUse(_))));
            }
            let plain = UdpSocket::bind(port_of(&group)).unwrap_err();
            assert_eq!(plain.kind(), ErrorKind::AddrInUse);
        }
    }

    /// What stays possible, told where a group is bound.
    #[test]
    fn whoever_shares_on_purpose_gets_in_and_takes_no_numbered_datagram() {
        let group = bind_group(ipv4(), count(2), Some(RULES)).unwrap();
        let to = port_of(&group);
        let stranger = sharing(to).unwrap();
        for sender in senders(to, 16) {
            for number in 0..=u8::MAX {
                sender.send_to(&[NUMBERED, number], to).unwrap();
            }
            assert_eq!(taken(&group).concat().len(), 256);
        }
        drop(stranger);
    }
}
