//! `Noise_IK_25519_ChaChaPoly_BLAKE2s` and `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s` a second time, as a client in
//! another language would write them: from the Noise specification (revision 34, sections 4, 5 and 9) and bare
//! primitives, without `snow`.

use blake2::Blake2s;
use blake2::digest::consts::U32;
use blake2::digest::{Digest, FixedOutput, Update};
use rejoin_protocol::crypto::{Suite, TrafficKey};

const JOIN: &[u8] = b"Noise_IK_25519_ChaChaPoly_BLAKE2s";
const RESUME: &[u8] = b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
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
    /// The beginning of a join, for a client that knows the server's key.
    pub(crate) fn join(prologue: &[u8], server: &[u8; 32]) -> Self {
        let mut state = Self::new(JOIN, prologue);
        state.mix_hash(server);
        state
    }

    /// The beginning of a resume: the first token is `psk`.
    pub(crate) fn resume(prologue: &[u8], psk: &[u8; 32]) -> Self {
        let mut state = Self::new(RESUME, prologue);
        let [chaining, hash, key] = hkdf(&state.chaining, psk);
        state.mix_hash(&hash);
        (state.chaining, state.key, state.counter) = (chaining, key, 0);
        state
    }

    fn new(name: &[u8], prologue: &[u8]) -> Self {
        // Both names are longer than a hash, so they are hashed.
        let hash = blake2s(&[name]);
        let mut state = Self {
            chaining: hash,
            hash,
            key: [0; 32],
            counter: 0,
        };
        state.mix_hash(prologue);
        state
    }

    /// The token `e` where there is a psk: the key in clear is mixed in twice.
    pub(crate) fn mix_ephemeral(&mut self, public: &[u8; 32]) {
        self.mix_hash(public);
        self.mix_key_of(public);
    }

    pub(crate) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = blake2s(&[&self.hash, data]);
    }

    /// Takes in what both sides agree on.
    pub(crate) fn mix_key(&mut self, secret: &[u8; 32], public: &[u8; 32]) {
        self.mix_key_of(&agree(secret, public));
    }

    fn mix_key_of(&mut self, input: &[u8]) {
        let [chaining, key, _] = hkdf(&self.chaining, input);
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
        let [first, second, _] = hkdf(&self.chaining, &[]);
        [first, second]
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

/// Whoever needs two outputs leaves the third.
fn hkdf(key: &[u8; 32], input: &[u8]) -> [[u8; 32]; 3] {
    let temporary = hmac(key, &[input]);
    let first = hmac(&temporary, &[&[1]]);
    let second = hmac(&temporary, &[&first, &[2]]);
    [first, second, hmac(&temporary, &[&second, &[3]])]
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
