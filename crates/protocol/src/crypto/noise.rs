//! Noise by `snow`, on our own back end and with injected chance.
//!
//! `snow` runs the pattern and the transcript; this page gives it the primitives. Its default
//! Diffie-Hellman is three times slower and its default randomness asks the system.

use std::mem;

use blake2::Blake2s;
use blake2::digest::consts::U32;
use blake2::digest::{Digest, FixedOutput, Update};
use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher as NoiseCipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};

use super::backend::{Cipher, NONCE_LEN, Secret};
use super::identity::{PublicKey, StaticKeys};
use super::kdf::Shared;
use super::suite::Suite;
use crate::limits::TAG_LEN;
use crate::planted::{self, Bug};
use crate::random::Rng;

/// The client's half of a join: knows the server's key beforehand.
pub(crate) fn join_initiator(
    keys: &StaticKeys,
    server: &PublicKey,
    prologue: &[u8],
    rng: &mut Rng,
) -> HandshakeState {
    builder(JOIN, rng.bytes())
        .local_private_key(keys.secret())
        .and_then(|builder| builder.remote_public_key(&server.0))
        .and_then(|builder| builder.prologue(prologue))
        .and_then(Builder::build_initiator)
        .expect(GIVEN)
}

/// The server's half of a join: learns the client's key from the first message.
pub(crate) fn join_responder(keys: &StaticKeys, prologue: &[u8], rng: &mut Rng) -> HandshakeState {
    builder(JOIN, rng.bytes())
        .local_private_key(keys.secret())
        .and_then(|builder| builder.prologue(prologue))
        .and_then(Builder::build_responder)
        .expect(GIVEN)
}

/// The client's half of a resume: both ends know the psk beforehand, and it proves each to the other.
pub(crate) fn resume_initiator(psk: &[u8; 32], prologue: &[u8], rng: &mut Rng) -> HandshakeState {
    builder(RESUME, rng.bytes())
        .psk(0, proven(psk))
        .and_then(|builder| builder.prologue(prologue))
        .and_then(Builder::build_initiator)
        .expect(GIVEN)
}

/// The server's half of a resume.
pub(crate) fn resume_responder(psk: &[u8; 32], prologue: &[u8], rng: &mut Rng) -> HandshakeState {
    builder(RESUME, rng.bytes())
        .psk(0, proven(psk))
        .and_then(|builder| builder.prologue(prologue))
        .and_then(Builder::build_responder)
        .expect(GIVEN)
}

/// The secret that both ends of a resume prove.
fn proven(psk: &[u8; 32]) -> &[u8; 32] {
    if planted::is(Bug::TicketSecretUnproven) {
        &[0; 32]
    } else {
        psk
    }
}

/// What a finished handshake leaves to both ends.
pub(crate) fn finish(mut state: HandshakeState) -> Shared {
    assert!(
        state.is_handshake_finished(),
        "keys come after the last message"
    );
    let transcript = *state
        .get_handshake_hash()
        .first_chunk()
        .expect("BLAKE2s gives 32 bytes");
    Shared {
        split: state.dangerously_get_raw_split(),
        transcript,
    }
}

/// The pattern of a join: the client knows the server, one round trip.
const JOIN: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";
/// The pattern of a resume: both know a secret, and new keys come of one Diffie-Hellman.
const RESUME: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
const GIVEN: &str = "the pattern is known and every key it needs is given";

fn builder<'a>(pattern: &str, ephemeral: [u8; 32]) -> Builder<'a> {
    let params: NoiseParams = pattern.parse().expect(GIVEN);
    Builder::with_resolver(params, Box::new(Primitives { ephemeral }))
}

/// The primitives, with the one ephemeral secret that each of our patterns draws.
struct Primitives {
    ephemeral: [u8; 32],
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Ephemeral(Some(self.ephemeral))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        (*choice == DHChoice::Curve25519).then(|| Box::new(X25519::default()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        (*choice == HashChoice::Blake2s).then(|| Box::new(Hasher::default()) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn NoiseCipher>> {
        (*choice == CipherChoice::ChaChaPoly)
            .then(|| Box::new(ChaChaPoly::default()) as Box<dyn NoiseCipher>)
    }
}

/// Chance for one ephemeral key. Asked twice it fails, since a repeated key would be worse.
struct Ephemeral(Option<[u8; 32]>);

impl Random for Ephemeral {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let out: &mut [u8; 32] = out.try_into().map_err(|_| Error::Rng)?;
        *out = self.0.take().ok_or(Error::Rng)?;
        Ok(())
    }
}

/// One X25519 key pair, empty until set or generated.
#[derive(Default)]
struct X25519 {
    pair: Option<Secret>,
    secret: [u8; 32],
    public: [u8; 32],
}

impl X25519 {
    fn put(&mut self, secret: [u8; 32]) {
        let pair = Secret::new(&secret);
        *self = Self {
            public: pair.public(),
            secret,
            pair: Some(pair),
        };
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        self.put(*secret.first_chunk().expect("the builder is given 32 bytes"));
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = [0; 32];
        rng.try_fill_bytes(&mut secret)?;
        self.put(secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.secret
    }

    fn dh(&self, peer: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let pair = self.pair.as_ref().ok_or(Error::Dh)?;
        let peer = peer.first_chunk().ok_or(Error::Dh)?;
        let out = out.first_chunk_mut().ok_or(Error::Dh)?;
        *out = pair.agree(peer).ok_or(Error::Dh)?;
        Ok(())
    }
}

/// BLAKE2s as Noise hashes with it.
#[derive(Default)]
struct Hasher(Blake2s<U32>);

impl Hash for Hasher {
    fn name(&self) -> &'static str {
        "BLAKE2s"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = <Blake2s<U32> as Digest>::new();
    }

    fn input(&mut self, data: &[u8]) {
        Update::update(&mut self.0, data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let digest: [u8; 32] = mem::take(&mut self.0).finalize_fixed().into();
        *out.first_chunk_mut().expect("a hash output holds 32 bytes") = digest;
    }
}

/// ChaCha20-Poly1305 as Noise seals with it: four zero bytes, then the counter little-endian.
#[derive(Default)]
struct ChaChaPoly(Option<Cipher>);

impl ChaChaPoly {
    fn nonce(counter: u64) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        let (_, tail) = nonce.split_at_mut(NONCE_LEN - size_of::<u64>());
        tail.copy_from_slice(&counter.to_le_bytes());
        nonce
    }
}

impl NoiseCipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(Cipher::new(Suite::ChaCha20Poly1305, key));
    }

    fn encrypt(&self, counter: u64, header: &[u8], text: &[u8], out: &mut [u8]) -> usize {
        let cipher = self.0.as_ref().expect("a key is set before its first use");
        let (body, rest) = out.split_at_mut(text.len());
        body.copy_from_slice(text);
        let tag = cipher.seal(Self::nonce(counter), header, body);
        *rest
            .first_chunk_mut()
            .expect("the buffer holds text and tag") = tag;
        text.len() + TAG_LEN
    }

    fn decrypt(
        &self,
        counter: u64,
        header: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let cipher = self.0.as_ref().ok_or(Error::Decrypt)?;
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(Error::Decrypt)?;
        let (body, _) = out.split_at_mut_checked(text.len()).ok_or(Error::Decrypt)?;
        body.copy_from_slice(text);
        let authentic = cipher.open(Self::nonce(counter), header, body, tag);
        authentic.then_some(text.len()).ok_or(Error::Decrypt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    fn key(text: &str) -> [u8; 32] {
        hex(text).try_into().unwrap()
    }

    /// The vector of the Haskell implementation "cacophony" for this pattern.
    #[test]
    fn a_join_gives_the_bytes_of_another_implementation() {
        let prologue = b"John Galt";
        let (static_i, static_r) = (
            key("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"),
            key("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"),
        );
        let ephemeral_i = key("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
        let ephemeral_r = key("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
        let server = StaticKeys::from_secret(static_r).public();
        let mut client = builder(JOIN, ephemeral_i)
            .local_private_key(&static_i)
            .unwrap();
        client = client
            .remote_public_key(&server.0)
            .unwrap()
            .prologue(prologue)
            .unwrap();
        let mut client = client.build_initiator().unwrap();
        let server = builder(JOIN, ephemeral_r)
            .local_private_key(&static_r)
            .unwrap();
        let mut server = server
            .prologue(prologue)
            .unwrap()
            .build_responder()
            .unwrap();

        let (mut message, mut payload) = ([0; 256], [0; 256]);
        let len = client
            .write_message(b"Ludwig von Mises", &mut message)
            .unwrap();
        assert_eq!(
            message[..len],
            hex(
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79440b03ddc7aac5123d\
                 06a1b23b71670e32e76c28239a7ca4ac8f784de7e44c1adbfc6e83fef7352a58d9d56157400c0a73\
                 7b1d171ce368229c7b752ac25b8faf4eca690f6d896f543be02c996ab2b86b76"
            )
        );
        server.read_message(&message[..len], &mut payload).unwrap();
        let len = server
            .write_message(b"Murray Rothbard", &mut message)
            .unwrap();
        assert_eq!(
            message[..len],
            hex(
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843d9b5a8927f0ac965\
                 5ef76833bc7e5561f42e691ac8404efd6fbd6308b6a27c"
            )
        );
        client.read_message(&message[..len], &mut payload).unwrap();

        let (client, server) = (finish(client), finish(server));
        let hash = key("48f3cb8bc9319da4ba1e9933991b1c4ed4034f1f126a76d3a1fbcfd7f94248d4");
        assert_eq!((client.transcript, server.transcript), (hash, hash));
        assert_eq!(client.split, server.split);
    }

    /// As above. What a test needs beyond our own functions: an ephemeral secret of its choice.
    #[test]
    fn a_resume_gives_the_bytes_of_another_implementation() {
        let psk = key("54686973206973206d7920417573747269616e20706572737065637469766521");
        let half = |ephemeral| {
            let builder = builder(RESUME, key(ephemeral)).psk(0, &psk).unwrap();
            builder.prologue(b"John Galt").unwrap()
        };
        let client = half("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
        let server = half("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
        let mut client = client.build_initiator().unwrap();
        let mut server = server.build_responder().unwrap();

        let (mut message, mut payload) = ([0; 256], [0; 256]);
        let len = client.write_message(b"Ludwig von Mises", &mut message);
        let len = len.unwrap();
        assert_eq!(
            message[..len],
            hex(
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944fda936bec35a8adf\
                 dff198386f7d5475880897edaaf7495314c99095a2e4d66a"
            )
        );
        server.read_message(&message[..len], &mut payload).unwrap();
        let len = server.write_message(b"Murray Rothbard", &mut message);
        let len = len.unwrap();
        assert_eq!(
            message[..len],
            hex(
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088434cd2a371993ba41e\
                 a11448024fca32766b169183c9e691a7a433279da7e729"
            )
        );
        client.read_message(&message[..len], &mut payload).unwrap();
        let (client, server) = (finish(client), finish(server));
        let hash = key("b3e9c846d264120a4211e18307da91157a21e92e69b639c50f027f101db3e1a6");
        assert_eq!((client.transcript, server.transcript), (hash, hash));
        assert_eq!(client.split, server.split);
    }

    #[test]
    fn chance_is_given_once() {
        let mut chance = Ephemeral(Some([5; 32]));
        let mut out = [0; 32];
        assert!(chance.try_fill_bytes(&mut out).is_ok());
        assert_eq!(out, [5; 32]);
        assert!(chance.try_fill_bytes(&mut out).is_err());
    }
}
