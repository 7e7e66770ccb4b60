//! Datagrams of the raw servers: an eight-byte head, then a kind and a payload, sealed or not.
//!
//! ```text
//! player 4 | number 4 | kind 1, payload | tag 16, if sealed
//! ```

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const HEAD: usize = 8;

/// What a datagram is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A player begins: its key follows, in the clear. No key exchange is measured here.
    Hello = 0,
    /// The player is known.
    Welcome = 1,
    Input = 2,
    Ping = 3,
    Echo = 4,
    State = 5,
}

impl Kind {
    fn read(byte: u8) -> Option<Self> {
        use Kind::{Echo, Hello, Input, Ping, State, Welcome};
        [Hello, Welcome, Input, Ping, Echo, State]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Which way a datagram goes: both ways share a key, and no nonce.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Up = 0,
    Down = 1,
}

/// Whose datagram it is, and which of them.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) player: u32,
    pub(crate) number: u32,
}

impl Head {
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let (player, rest) = datagram.split_first_chunk()?;
        let (number, _) = rest.split_first_chunk()?;
        Some(Self {
            player: u32::from_be_bytes(*player),
            number: u32::from_be_bytes(*number),
        })
    }

    fn bytes(self) -> [u8; HEAD] {
        let [a, b, c, d] = self.player.to_be_bytes();
        let [e, f, g, h] = self.number.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }

    fn nonce(self, way: Way) -> Nonce {
        let mut nonce = [0; 12];
        nonce[0] = way as u8;
        nonce[8..].copy_from_slice(&self.number.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

pub(crate) fn key(bytes: [u8; 16]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes).expect("16 bytes are a key"))
}

/// Appends a datagram.
pub(crate) fn write(
    out: &mut Vec<u8>,
    head: Head,
    (kind, payload): (Kind, &[u8]),
    (key, way): (Option<&LessSafeKey>, Way),
) {
    out.extend_from_slice(&head.bytes());
    let start = out.len();
    out.push(kind as u8);
    out.extend_from_slice(payload);
    if let Some(key) = key {
        let aad = Aad::from(head.bytes());
        let tag = key.seal_in_place_separate_tag(head.nonce(way), aad, &mut out[start..]);
        out.extend_from_slice(tag.expect("short enough").as_ref());
    }
}

/// Opens a datagram in place.
pub(crate) fn read<'a>(
    datagram: &'a mut [u8],
    (key, way): (Option<&LessSafeKey>, Way),
) -> Option<(Kind, &'a [u8])> {
    let head = Head::read(datagram)?;
    let body = datagram.get_mut(HEAD..)?;
    let plain = match key {
        Some(key) => key
            .open_in_place(head.nonce(way), Aad::from(head.bytes()), body)
            .ok()?,
        None => body,
    };
    let (kind, payload) = plain.split_first()?;
    Some((Kind::read(*kind)?, payload))
}
