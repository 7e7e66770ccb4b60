//! Datagrams with any source address, by a raw socket: needs root.

use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// See the module page.
pub(crate) struct RawSocket {
    socket: Socket,
    packet: Vec<u8>,
}

/// `IPPROTO_RAW`: the caller writes the IP header.
const RAW: i32 = 255;
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

impl RawSocket {
    pub(crate) fn open() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)))
            .expect("a raw socket needs root");
        socket.set_send_buffer_size(4 << 20).ok();
        Self {
            socket,
            packet: Vec::new(),
        }
    }

    /// Sends `payload` as if from `from`. Only loopback: this tool attacks nobody else.
    pub(crate) fn send(&mut self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> bool {
        assert!(from.ip().is_loopback() && to.ip().is_loopback());
        let udp_len = UDP_HEADER + payload.len();
        let total = u16::try_from(IP_HEADER + udp_len).unwrap().to_be_bytes();
        let udp_len = u16::try_from(udp_len).unwrap().to_be_bytes();
        let packet = &mut self.packet;
        packet.clear();
        packet.extend_from_slice(&[0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend_from_slice(&from.ip().octets());
        packet.extend_from_slice(&to.ip().octets());
        packet.extend_from_slice(&from.port().to_be_bytes());
        packet.extend_from_slice(&to.port().to_be_bytes());
        packet.extend_from_slice(&udp_len);
        // No UDP checksum, as IPv4 allows.
        packet.extend_from_slice(&[0, 0]);
        packet.extend_from_slice(payload);
        let to = SockAddr::from(SocketAddrV4::new(*to.ip(), 0));
        self.socket.send_to(packet, &to).is_ok()
    }
}

/// Any address of 127/8 but those that others here use, and any port.
pub(crate) fn spoofed(rng: &mut rejoin::protocol::Rng) -> SocketAddrV4 {
    let [a, b, c, d, e] = rng.bytes();
    let port = u16::from_be_bytes([d, e]).max(1_024);
    SocketAddrV4::new(Ipv4Addr::new(127, a.max(16), b, c), port)
}
