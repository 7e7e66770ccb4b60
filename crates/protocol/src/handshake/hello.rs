//! The hello's bytes: one datagram of exactly 1200.
//!
//! ```text
//! type 1 | version min 1 | version max 1 | flags 1 | receive id 4 | MAC1 16 | cookie 16
//! | credential length 2 | credential | noise length 2 | noise message 1 | zeros
//!
//! type 0x40: a join, with a permit        type 0x41: a resume, with a ticket
//! ```
//!
//! Type, versions, MAC1, the two lengths and the 1200 bytes stay where they are in every version, so
//! that a server can read the versions of any client and answer none who does not know its key. MAC1 is
//! over the head, the credential and the noise message, which costs a flooded server as little as it can.
//! Noise covers what stands before it as its prologue, and the padding is zero, so nobody can make a
//! second hello of one that was seen.

use bytes::BufMut;

use super::cookie::COOKIE_LEN;
use crate::crypto::{PublicKey, hash};
use crate::limits::{DATAGRAM_MAX, VERSION_MAX, VERSION_MIN};
use crate::wire::{Malformed, Reader};

/// The first byte of a hello that joins. Data packets have zeros in the two top bits, handshakes 01.
pub const JOIN: u8 = 0x40;
/// The first byte of a hello that resumes.
pub const RESUME: u8 = 0x41;

/// Bytes of MAC1.
pub(super) const MAC1_LEN: usize = 16;
/// Where the cookie stands: zeros until a server under load asks for one.
const COOKIE_START: usize = HEAD_LEN + MAC1_LEN;
const BODY_START: usize = COOKIE_START + COOKIE_LEN;
const HEAD_LEN: usize = 8;
/// Flag: the receive id is wanted. Other flags belong to later versions and are ignored.
const RECEIVE_ID: u8 = 1;

/// The bits of a datagram's first byte that tell whether it is a hello.
pub const HELLO_MASK: u8 = !(JOIN ^ RESUME);
/// What those bits are then.
pub const HELLO_BITS: u8 = JOIN & HELLO_MASK;

/// What a hello asks for, by what it presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To open a session, with a permit.
    Join,
    /// To take a session up again, with a ticket.
    Resume,
}

/// What stands in clear at the front of a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What the hello asks for.
    pub(super) purpose: Purpose,
    /// The client's oldest version.
    pub(super) version_min: u8,
    /// Its newest.
    pub(super) version_max: u8,
    /// Label that the client wants on packets to it.
    pub(super) receive_id: Option<[u8; 4]>,
}

/// A hello whose form is right and which no key has touched yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello<'a> {
    /// What it says in clear.
    pub(super) head: Head,
    /// Shows that the sender knows the server's key.
    pub(super) mac1: [u8; MAC1_LEN],
    /// Shows that the sender receives at its address, if not zero.
    pub(super) cookie: [u8; COOKIE_LEN],
    /// The same as it came, with flags of later versions.
    pub(super) head_bytes: &'a [u8; HEAD_LEN],
    /// The parts behind the cookie.
    pub(super) body: Body<'a>,
    /// The bytes of those parts.
    body_bytes: &'a [u8],
    padding: &'a [u8],
}

/// The parts behind the cookie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    /// The permit or ticket, readable by whoever has its key.
    pub(super) credential: &'a [u8],
    /// The first message of the Noise pattern.
    pub(super) noise: &'a [u8],
}

impl Head {
    /// The head of a client that speaks all versions of this build.
    pub(super) const fn of_this_build(purpose: Purpose, receive_id: Option<[u8; 4]>) -> Self {
        Self {
            purpose,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            receive_id,
        }
    }

    /// The bytes that travel.
    pub(super) fn encode(&self) -> [u8; HEAD_LEN] {
        let flags = if self.receive_id.is_some() {
            RECEIVE_ID
        } else {
            0
        };
        let [a, b, c, d] = self.receive_id.unwrap_or_default();
        let kind = match self.purpose {
            Purpose::Join => JOIN,
            Purpose::Resume => RESUME,
        };
        [kind, self.version_min, self.version_max, flags, a, b, c, d]
    }

    fn decode(bytes: [u8; HEAD_LEN]) -> Result<Self, Malformed> {
        let [kind, version_min, version_max, flags, a, b, c, d] = bytes;
        let purpose = match kind {
            JOIN => Purpose::Join,
            RESUME => Purpose::Resume,
            _ => return Err(Malformed),
        };
        if version_min > version_max {
            return Err(Malformed);
        }
        let receive_id = (flags & RECEIVE_ID != 0).then_some([a, b, c, d]);
        Ok(Self {
            purpose,
            version_min,
            version_max,
            receive_id,
        })
    }

    /// The highest version that this build speaks too.
    pub(super) fn common_version(&self) -> Option<u8> {
        let version = self.version_max.min(VERSION_MAX);
        (version >= self.version_min.max(VERSION_MIN)).then_some(version)
    }
}

impl<'a> Hello<'a> {
    /// Reads the front of a datagram. Nothing is allocated.
    pub(super) fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let datagram: &[u8; DATAGRAM_MAX] = datagram.try_into().map_err(|_| Malformed)?;
        let (head_bytes, rest) = datagram.split_first_chunk().ok_or(Malformed)?;
        let mut reader = Reader::new(rest);
        let mac1 = reader.array()?;
        let cookie = reader.array()?;
        let rest = reader.rest();
        let body = Body::read(&mut reader)?;
        let padding = reader.rest();
        let (body_bytes, _) = rest.split_at(rest.len() - padding.len());
        Ok(Self {
            head: Head::decode(*head_bytes)?,
            mac1,
            cookie,
            head_bytes,
            body,
            body_bytes,
            padding,
        })
    }

    /// True if the sender knows this server's key and nothing was changed by accident.
    pub(super) fn is_for(&self, key: &Mac1Key) -> bool {
        hash::equal(&self.mac1, &key.mac1(self.head_bytes, self.body_bytes))
    }

    /// True if nothing follows the parts but zeros.
    pub(super) fn is_padded(&self) -> bool {
        self.padding.iter().all(|byte| *byte == 0)
    }
}

impl<'a> Body<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let credential_len = u16::from_be_bytes(reader.array()?);
        let credential = reader.take(credential_len.into())?;
        let noise_len = u16::from_be_bytes(reader.array()?);
        let noise = reader.take(noise_len.into())?;
        Ok(Self { credential, noise })
    }
}

/// True if a hello comes with some cookie, good or not: what a server out of time looks at first.
#[must_use]
pub fn carries_cookie(datagram: &[u8]) -> bool {
    let cookie = datagram.get(COOKIE_START..BODY_START);
    cookie.is_some_and(|cookie| cookie != [0; COOKIE_LEN])
}

/// What Noise authenticates beside its own messages.
pub(super) fn prologue(head: &[u8; HEAD_LEN], credential: &[u8]) -> Vec<u8> {
    [LABEL, head, credential].concat()
}

/// Writes a hello.
pub(super) fn encode(server: &PublicKey, head: &Head, body: Body<'_>) -> Vec<u8> {
    let head = head.encode();
    let mut rest = Vec::with_capacity(DATAGRAM_MAX);
    for part in [body.credential, body.noise] {
        rest.put_u16(u16::try_from(part.len()).expect("each part fits a datagram"));
        rest.put_slice(part);
    }
    let mac1 = Mac1Key::of(server).mac1(&head, &rest);
    let len = DATAGRAM_MAX - BODY_START;
    assert!(
        rest.len() <= len,
        "credential and noise message fit a datagram"
    );
    rest.resize(len, 0);
    [head.as_slice(), &mac1, &[0; COOKIE_LEN], &rest].concat()
}

/// Puts a cookie into a hello. MAC1 leaves its place out, so the rest stays good.
pub(super) fn put_cookie(hello: &mut [u8], cookie: &[u8; COOKIE_LEN]) {
    hello
        .get_mut(COOKIE_START..BODY_START)
        .expect("a hello is a full datagram")
        .copy_from_slice(cookie);
}

/// Makes a changed hello pass MAC1 again, as anybody who knows the server's key could.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn remake_mac1(datagram: &mut [u8], server: &PublicKey) {
    let Ok(hello) = Hello::decode(datagram) else {
        return;
    };
    let mac1 = Mac1Key::of(server).mac1(hello.head_bytes, hello.body_bytes);
    datagram
        .get_mut(HEAD_LEN..COOKIE_START)
        .expect("a hello was read from it")
        .copy_from_slice(&mac1);
}

/// Makes and checks MAC1 for one server.
#[derive(Clone)]
pub struct Mac1Key([u8; 32]);

impl Mac1Key {
    /// The key that everyone can derive who knows the server's public key.
    #[must_use]
    pub fn of(server: &PublicKey) -> Self {
        Self(hash::keyed(&server.0, &[b"rejoin mac1"]))
    }

    fn mac1(&self, head: &[u8; HEAD_LEN], body: &[u8]) -> [u8; MAC1_LEN] {
        hash::keyed_short(&self.0, &[head, body])
    }
}

impl std::fmt::Debug for Mac1Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mac1Key")
    }
}

const LABEL: &[u8] = b"rejoin hello";

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: PublicKey = PublicKey([5; 32]);

    fn sample(head: &Head) -> Vec<u8> {
        encode(
            &SERVER,
            head,
            Body {
                credential: b"permit",
                noise: b"noise",
            },
        )
    }

    #[test]
    fn a_hello_reads_back_what_was_written() {
        for (purpose, receive_id) in [
            (Purpose::Join, None),
            (Purpose::Resume, Some([0; 4])),
            (Purpose::Join, Some([1, 2, 3, 4])),
        ] {
            let head = Head::of_this_build(purpose, receive_id);
            let bytes = sample(&head);
            assert_eq!(bytes.len(), DATAGRAM_MAX);
            let hello = Hello::decode(&bytes).unwrap();
            assert_eq!(hello.head, head);
            let (ours, other) = (Mac1Key::of(&SERVER), Mac1Key::of(&PublicKey([6; 32])));
            assert!(hello.is_for(&ours) && !hello.is_for(&other));
            assert_eq!(
                (hello.body.credential, hello.body.noise),
                (b"permit".as_slice(), b"noise".as_slice())
            );
        }
    }

    #[test]
    fn no_changed_byte_passes_but_those_of_the_cookie() {
        let bytes = sample(&Head::of_this_build(Purpose::Join, None));
        let ours = Mac1Key::of(&SERVER);
        let passes = |hello: Hello<'_>| hello.is_for(&ours) && hello.is_padded();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let accepted = Hello::decode(&changed).is_ok_and(passes);
            assert_eq!(accepted, (24..40).contains(&index), "byte {index}");
        }
    }

    #[test]
    fn a_cookie_is_seen_at_a_glance() {
        let mut bytes = sample(&Head::of_this_build(Purpose::Join, None));
        assert!(!carries_cookie(&bytes));
        put_cookie(
            &mut bytes,
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        );
        assert!(carries_cookie(&bytes));
        assert!(!carries_cookie(&bytes[..BODY_START - 1]), "cut short");
    }

    #[test]
    fn lengths_beyond_the_datagram_and_padding_are_malformed() {
        let bytes = sample(&Head::of_this_build(Purpose::Join, None));
        for index in [40, 48] {
            let mut changed = bytes.clone();
            changed[index] = 0xff;
            assert!(Hello::decode(&changed).is_err(), "byte {index}");
        }
        let mut changed = bytes.clone();
        changed[DATAGRAM_MAX - 1] = 1;
        assert!(!Hello::decode(&changed).unwrap().is_padded());
        assert!(Hello::decode(&bytes[..DATAGRAM_MAX - 1]).is_err());
        assert!(Hello::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn the_highest_common_version_is_taken() {
        let common = |version_min, version_max| {
            Head {
                purpose: Purpose::Join,
                version_min,
                version_max,
                receive_id: None,
            }
            .common_version()
        };
        assert_eq!(common(VERSION_MIN, VERSION_MAX), Some(VERSION_MAX));
        assert_eq!(common(VERSION_MAX, u8::MAX), Some(VERSION_MAX));
        assert_eq!(common(0, VERSION_MIN), Some(VERSION_MIN));
        assert_eq!(common(VERSION_MAX + 1, u8::MAX), None);
        assert_eq!(common(0, VERSION_MIN - 1), None);
    }
}
