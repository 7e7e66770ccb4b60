//! `Noise_IK_25519_ChaChaPoly_BLAKE2s` a second time, as a client in another language would write it:
//! from the Noise specification (revision 34, sections 4 and 5) and bare primitives, without `snow`.

use blake2::Blake2s;
use blake2::digest::consts::U32;
use blake2::digest::{Digest, FixedOutput, Update};
use rejoin_protocol::crypto::{Suite, TrafficKey};

const NAME: &[u8] = b"Noise_IK_25519_ChaChaPoly_BLAKE2s";
const BLOCK_LEN: usize = 64;

/// A key pair.
pub(crate) struct Pair {
    pub(crate) secret: [u8; 32],
    pub(crate) public: [u8; 32],
}

/// What both sides know of a handshake so far.
pub(crate) struct Symmetric {
    chaining: [u8; 32],
    pub(crate) hash: [u8; 32],
    key: [u8; 32],
    counter: u64,
}

impl Pair {
    pub(crate) fn of(secret: [u8; 32]) -> Self {
        let mut base = [0; 32];
        base[0] = 9;
        Self {
            secret,
            public: agree(&secret, &base),
        }
    }
}

impl Symmetric {
    /// The beginning, for a client that knows the server's key.
    pub(crate) fn new(prologue: &[u8], server: &[u8; 32]) -> Self {
        // The name is longer than a hash, so it is hashed.
        let hash = blake2s(&[NAME]);
        let mut state = Self {
            chaining: hash,
            hash,
            key: [0; 32],
            counter: 0,
        };
        state.mix_hash(prologue);
        state.mix_hash(server);
        state
    }

    pub(crate) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = blake2s(&[&self.hash, data]);
    }

    /// Takes in what both sides agree on.
    pub(crate) fn mix_key(&mut self, secret: &[u8; 32], public: &[u8; 32]) {
        let [chaining, key] = hkdf(&self.chaining, &agree(secret, public));
        (self.chaining, self.key, self.counter) = (chaining, key, 0);
    }

    pub(crate) fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let mut sealed = [&self.hash, text].concat();
        let number = self.number();
        self.cipher().seal(number, &mut sealed, 0, 32);
        let sealed = sealed.split_off(32);
        self.mix_hash(&sealed);
        sealed
    }

    pub(crate) fn open(&mut self, sealed: &[u8]) -> Vec<u8> {
        let (mut body, number, hash) = (sealed.to_vec(), self.number(), self.hash);
        let text = self.cipher().open(number, &hash, &mut body);
        let text = text.expect("the other side sealed it").to_vec();
        self.mix_hash(sealed);
        text
    }

    /// The two keys at the end.
    pub(crate) fn split(&self) -> [[u8; 32]; 2] {
        hkdf(&self.chaining, &[])
    }

    fn cipher(&self) -> TrafficKey {
        TrafficKey::new(Suite::ChaCha20Poly1305, &self.key, [0; 12])
    }

    /// Noise writes its counter little-endian, data packets their number big-endian.
    fn number(&mut self) -> u64 {
        self.counter += 1;
        (self.counter - 1).swap_bytes()
    }
}

fn hkdf(key: &[u8; 32], input: &[u8]) -> [[u8; 32]; 2] {
    let temporary = hmac(key, &[input]);
    let first = hmac(&temporary, &[&[1]]);
    [first, hmac(&temporary, &[&first, &[2]])]
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let pad = |mask: u8| {
        let mut block = [mask; BLOCK_LEN];
        block.iter_mut().zip(key).for_each(|(byte, of)| *byte ^= of);
        block
    };
    let inner = blake2s(&[&[pad(0x36).as_slice()], parts].concat());
    blake2s(&[&pad(0x5c), &inner])
}

fn blake2s(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = <Blake2s<U32> as Digest>::new();
    parts
        .iter()
        .for_each(|part| Update::update(&mut hash, part));
    hash.finalize_fixed().into()
}

#[cfg(feature = "aws-lc")]
fn agree(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
    let secret = PrivateKey::from_private_key(&X25519, secret).unwrap();
    let public = UnparsedPublicKey::new(&X25519, public);
    agree(&secret, public, (), |shared| Ok(shared.try_into().unwrap())).unwrap()
}

#[cfg(not(feature = "aws-lc"))]
fn agree(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    let secret = x25519_dalek::StaticSecret::from(*secret);
    let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(*public));
    shared.to_bytes()
}
