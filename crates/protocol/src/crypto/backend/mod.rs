//! The library behind AEAD and key agreement, chosen by feature.
//!
//! Each back end offers the same two types: `Cipher` (one AEAD key) and `Secret` (one X25519
//! secret). Callers own nonces and key derivation. Both back ends give the same bytes, which
//! the tests below and the golden vectors prove.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(all(feature = "portable", any(test, not(feature = "aws-lc"))))]
mod portable;

#[cfg(feature = "aws-lc")]
pub(super) use aws_lc::{Cipher, Secret};
#[cfg(all(feature = "portable", not(feature = "aws-lc")))]
pub(super) use portable::{Cipher, Secret};

#[cfg(not(any(feature = "aws-lc", feature = "portable")))]
compile_error!("rejoin-protocol needs the feature `aws-lc` (default) or `portable`");

/// Bytes of an AEAD nonce.
pub(super) const NONCE_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::suite::Suite;
    #[cfg(all(feature = "aws-lc", feature = "portable"))]
    use crate::random::Rng;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .unwrap()
            .try_into()
            .unwrap()
    }

    #[test]
    fn agreement_gives_the_numbers_of_rfc_7748() {
        let scalar = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
        let point = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
        let shared = hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
        assert_eq!(Secret::new(&scalar).agree(&point), Some(shared));
    }

    #[test]
    fn a_key_that_contributes_nothing_is_refused() {
        let one: [u8; 32] = std::array::from_fn(|index| u8::from(index == 0));
        for low_order in [[0; 32], one] {
            assert_eq!(Secret::new(&[7; 32]).agree(&low_order), None);
        }
    }

    #[test]
    fn aes_gives_the_numbers_of_its_specification() {
        // McGrew and Viega, "The Galois/Counter Mode of Operation", test case 2.
        let cipher = Cipher::new(Suite::Aes128Gcm, &[0; 32]);
        let mut body = [0; 16];
        let tag = cipher.seal([0; 12], &[], &mut body);
        assert_eq!(body, hex("0388dace60b6a392f328c2b971b2fe78"));
        assert_eq!(tag, hex("ab6e47d42cec13bdf53a67b21257bddf"));
    }

    #[test]
    fn chacha_gives_the_numbers_of_rfc_8439() {
        let key = std::array::from_fn(|index| 0x80 + u8::try_from(index).unwrap());
        let cipher = Cipher::new(Suite::ChaCha20Poly1305, &key);
        let mut body = *b"Ladies and Gentlemen of the class of '99: If I could offer you \
            only one tip for the future, sunscreen would be it.";
        let nonce = hex("070000004041424344454647");
        let tag = cipher.seal(nonce, &hex::<12>("50515253c0c1c2c3c4c5c6c7"), &mut body);
        assert_eq!(tag, hex("1ae10b594f09e26a7e902ecbd0600691"));
    }

    #[cfg(all(feature = "aws-lc", feature = "portable"))]
    #[test]
    fn both_back_ends_give_the_same_bytes() {
        let mut rng = Rng::from_number(1);
        for len in [0, 1, 15, 16, 17, 64, 1_100] {
            let (material, nonce, header) = (rng.bytes(), rng.bytes(), rng.bytes::<9>());
            for suite in Suite::ALL {
                let mut one = vec![7; len];
                let mut other = one.clone();
                let tag = Cipher::new(suite, &material).seal(nonce, &header, &mut one);
                let portable = portable::Cipher::new(suite, &material);
                assert_eq!(tag, portable.seal(nonce, &header, &mut other));
                assert_eq!(one, other);
                assert!(portable.open(nonce, &header, &mut one, &tag));
            }
            let (one, other) = (Secret::new(&material), portable::Secret::new(&material));
            assert_eq!(one.public(), other.public());
            let peer = rng.bytes();
            assert_eq!(one.agree(&peer), other.agree(&peer));
        }
    }
}
