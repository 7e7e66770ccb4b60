//! `quinn`: QUIC datagrams.

mod players;
mod server;

use std::sync::OnceLock;

use rejoin_arena::{Subject, own};

pub(crate) use server::serve;

use crate::game;

/// What it is called, and its word on the command line.
pub(crate) const NAME: &str = "quinn";

pub(crate) const SUBJECT: Subject = Subject {
    name: NAME,
    about: "quinn: QUIC datagrams over TLS 1.3, woken by each datagram",
    command: |size| {
        let shape = game::shape(size);
        let Identity { certificate, key } = identity();
        let (certificate, key) = (hex(certificate), hex(key));
        own::told(&format!(
            "{NAME} {shape} {} {certificate} {key}",
            size.rooms()
        ))
    },
    players: |target, size| Box::new(players::QuinnPlayers::new(target, size)),
    has_rooms: true,
};

/// The name that the certificate is for.
const HOST: &str = "localhost";

/// A certificate that the players trust, and its key.
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// That of this process, which starts the servers and has the players.
fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]);
        let made = made.expect("a certificate can be made");
        Identity {
            certificate: made.cert.der().to_vec(),
            key: made.signing_key.serialize_der(),
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| {
        text.get(at..at + 2)
            .and_then(|two| u8::from_str_radix(two, 16).ok())
    };
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_hexadecimal() {
        assert_eq!(from_hex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(from_hex("0g"), None);
        assert_eq!(from_hex("0"), None);
    }
}
