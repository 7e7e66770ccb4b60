//! How a data packet is protected: its header, the keys of its secret, its nonce.

use rejoin_protocol::crypto::{Suite, TrafficKey};
use rejoin_protocol::packet::{Header, TruncatedNumber};

use crate::derivation::of_secret;
use crate::golden::{golden, stored, vectors};

/// Of the client in `packet-up-aes.hex`.
const SECRET: [u8; 32] = [1; 32];
const HEADER_LEN: usize = 6;

fn header(number: u64, acked: Option<u64>, change: fn(&mut Header)) -> Vec<u8> {
    let mut header = Header {
        epoch_bits: 3,
        key_phase: false,
        label: Some([9, 8, 7, 6]),
        number: TruncatedNumber::shortest(number, acked),
    };
    change(&mut header);
    let mut out = Vec::new();
    header.encode(&mut out);
    out
}

#[test]
fn headers_keep_their_bytes() {
    let ours = vectors([
        ("to server, number 0", header(0, None, |_| {})),
        (
            "to client, number 1",
            header(1, Some(0), |it| it.label = None),
        ),
        (
            "two bytes, number 0x8309",
            header(0x8309, Some(0x0409), |_| {}),
        ),
        (
            "key phase 1, number 0x1000002",
            header(0x100_0002, Some(0x100_0001), |it| it.key_phase = true),
        ),
        (
            "three bytes, number 0xaa8309",
            header(0xaa_8309, Some(0xaa_0309), |_| {}),
        ),
        (
            "four bytes, number 0x12aa8309",
            header(0x12aa_8309, Some(0x122a_8309), |_| {}),
        ),
    ]);
    let stored = golden("packet-headers", "Headers of data packets, epoch 3.", ours);
    for (name, bytes) in stored {
        let (header, len) = Header::decode(&bytes).unwrap();
        assert_eq!(len, bytes.len());
        let (_, number) = name.split_once("number ").unwrap();
        let digits = number.strip_prefix("0x").unwrap_or(number);
        let number = u64::from_str_radix(digits, 16).unwrap();
        assert_eq!(header.number.expand(number), Some(number), "{name}");
    }
}

/// The packets 0 and 1 of `packet-up-aes.hex`, sealed from bare key and nonce.
#[test]
fn a_packet_is_sealed_under_key_and_nonce_of_its_secret() {
    let suite = Suite::Aes128Gcm;
    let (key, iv, next) = of_secret(&SECRET, suite);
    let mut material = [0; 32];
    material[..16].copy_from_slice(&key);
    let packets = stored("packet-up-aes");
    let mut ours = vectors([
        ("secret", SECRET.to_vec()),
        ("key", key),
        ("iv", iv.to_vec()),
        ("next secret", next.to_vec()),
    ]);
    for (number, name) in [(0, "00-heartbeat"), (1, "01-control")] {
        let mut nonce = iv;
        for (byte, mask) in nonce[4..].iter_mut().zip(u64::to_be_bytes(number)) {
            *byte ^= mask;
        }
        let mut opened = packets[name].clone();
        let (header, body) = opened.split_at_mut(HEADER_LEN);
        // Under packet number 0 the nonce is what is given.
        let key = TrafficKey::new(suite, &material, nonce);
        let frames = key.open(0, header, body).unwrap().to_vec();
        ours.insert(format!("packet {number} nonce"), nonce.to_vec());
        ours.insert(format!("packet {number} frames"), frames);
    }
    golden(
        "packet-protection",
        "From a traffic secret to packets 0 and 1 of packet-up-aes.hex.",
        ours,
    );
}
