//! The plainest server: each datagram goes back at once, one system call each way.

use std::net::UdpSocket;
use std::process::ExitCode;

use crate::server;

/// Serves until standard input closes.
pub(crate) fn run() -> ExitCode {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    server::announce(socket.local_addr().unwrap());
    let mut buffer = [0; 2_048];
    loop {
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            // What cannot be sent is lost, as with any datagram.
            socket.send_to(&buffer[..len], from).ok();
        }
    }
}
