//! MessagePack made to cost its reader more than its sender: in depth, in promised lengths, in
//! values that take many times their bytes, in errors that repeat what they complain about.

use rejoin_protocol::limits::{MESSAGEPACK_ITEMS_MAX, RELIABLE_MAX};

/// A bomb and its name.
pub type Bomb = (String, Vec<u8>);

/// All of them, each at most as long as a reliable message.
#[must_use]
pub fn all() -> Vec<Bomb> {
    let mut bombs: Vec<Bomb> = Vec::new();
    for (name, bytes) in nested().into_iter().chain(promised()).chain(odd()) {
        bombs.push((name.to_owned(), bytes.clone()));
        // The same where each of our messages would hold a list, a map or a text.
        for place in PLACES {
            let placed = [place.before, &bytes].concat();
            bombs.push((format!("{name} as {}", place.name), placed));
        }
    }
    for place in PLACES {
        for (kind, element) in ELEMENTS {
            for count in [1, 11, 12, 16, 17, 64, 65, 1_024, 4_000] {
                let list = [place.before, &list(element, count), place.after].concat();
                bombs.push((format!("{count} {kind} as {}", place.name), list));
            }
        }
        for count in [1, 11, 12, 16, 17, 64, 1_300] {
            let map = [place.before, &facts(count), place.after].concat();
            bombs.push((format!("{count} facts as {}", place.name), map));
        }
    }
    let cards = [1, 64, 65, 200].map(|count| (format!("{count} cards of one fact"), cards(count)));
    bombs.extend(cards);
    bombs.retain(|(_, bytes)| bytes.len() <= RELIABLE_MAX);
    bombs
}

/// A place within a message, which the bytes before it lead to.
struct Place {
    name: &'static str,
    before: &'static [u8],
    after: &'static [u8],
}

const PLACES: [Place; 8] = [
    Place {
        name: "filters",
        before: b"\x81\xa4List\x84\xa4call\x01\xa4kind\xc0\xa3max\x01\xa7filters",
        after: b"",
    },
    Place {
        name: "positional filters",
        before: b"\x81\xa4List\x94\x01\xc0",
        after: b"\x01",
    },
    Place {
        name: "metadata",
        before: b"\x81\xa6Create\x94\x01\xc4\x100123456789abcdef\xa4duel\x93\x04",
        after: b"\xc4\x00",
    },
    Place {
        name: "kind",
        before: b"\x81\xa6Create\x82\xa4call\x01\xa4kind",
        after: b"",
    },
    Place {
        name: "members",
        before: b"\x81\xa5Reply\x92\x01\x81\xa2Ok\x81\xa6Seated\x9a\x01\xc4\x100123456789abcdef\
            \xa4duel\x01\x1e\x05\x00\x00\xc3",
        after: b"",
    },
    Place {
        name: "rooms",
        before: b"\x81\xa5Reply\x92\x01\x81\xa2Ok\x81\xa5Rooms",
        after: b"",
    },
    Place {
        name: "suites",
        before: b"\x82\xa6moment\x01\xa6suites",
        after: b"",
    },
    Place {
        name: "ticket",
        before: b"\x81\xa2Ok\x97\x01\x00\xc4\x040123\xc4\x100123456789abcdef\x01\x01",
        after: b"",
    },
];

/// Small values that become large ones.
const ELEMENTS: [(&str, &[u8]); 6] = [
    ("nothings", b"\xc0"),
    ("numbers", b"\x07"),
    ("empty texts", b"\xa0"),
    ("positional members", b"\x92\x01\xa0"),
    ("positional filters", b"\x93\xa0\x00\x81\x00\xc3"),
    (
        "positional cards",
        b"\x95\xc4\x100123456789abcdef\xa0\x01\x01\x80",
    ),
];

fn nested() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("arrays in arrays", vec![0x91; 10_000]),
        ("maps in maps", [0x81, 0xa1, b'x'].repeat(10_000)),
        ("pairs in pairs", vec![0x92; 60_000]),
        (
            "large arrays in large arrays",
            [0xdc, 0x0f, 0xff].repeat(15),
        ),
    ]
}

fn promised() -> Vec<(&'static str, Vec<u8>)> {
    let padded = |head: &[u8]| {
        let mut bytes = head.to_vec();
        bytes.resize(60_000, 0xc0);
        bytes
    };
    vec![
        ("2^32 values", padded(b"\xdd\xff\xff\xff\xff")),
        ("2^32 pairs", padded(b"\xdf\xff\xff\xff\xff")),
        ("2^32 bytes", padded(b"\xc6\xff\xff\xff\xff")),
        ("2^32 bytes of text", padded(b"\xdb\xff\xff\xff\xff")),
        ("50,000 values", padded(b"\xdd\x00\x00\xc3\x50")),
        ("4,000 values", padded(b"\xdc\x0f\xa0")),
    ]
}

fn odd() -> Vec<(&'static str, Vec<u8>)> {
    let text = |byte: u8| {
        let mut bytes = vec![0xda, 0xf0, 0x00];
        bytes.resize(3 + 0xf000, byte);
        bytes
    };
    vec![
        ("a long text", text(b'x')),
        ("a long text of quotes", text(b'"')),
        ("a long text of control characters", text(0x1b)),
        ("a text that is no UTF-8", text(0xff)),
        (
            "an unknown name",
            [b"\x81".as_slice(), &text(b'x'), b"\xc0"].concat(),
        ),
        (
            "one key twice",
            b"\x81\xa4Join\x84\xa4call\x01\xa4call\x02\xa4call\x03\xa4call\x04".to_vec(),
        ),
        ("not a number", b"\xca\x7f\xc0\x00\x00".to_vec()),
        (
            "a negative count",
            b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        ),
        ("an extension", b"\xc7\x08\x01abcdefgh".to_vec()),
        (
            "bytes behind the value",
            b"\x81\xa4Left\xc0\xc0\xc0".to_vec(),
        ),
        (
            "an array of bytes",
            list(b"\x07", MESSAGEPACK_ITEMS_MAX - 64),
        ),
    ]
}

fn head(marker: u8, count: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes();
    vec![marker, high, low]
}

fn list(element: &[u8], count: usize) -> Vec<u8> {
    [head(0xdc, count), element.repeat(count)].concat()
}

/// A map of as many distinct short keys.
fn facts(count: usize) -> Vec<u8> {
    let mut bytes = head(0xde, count);
    for key in 0..count {
        let [high, low] = u16::try_from(key).unwrap_or(u16::MAX).to_be_bytes();
        bytes.extend([0xa2, 0x20 + high, low & 0x7f, 0x81, 0x00, 0xc3]);
    }
    bytes
}

/// A list of as many rooms with one fact each.
fn cards(count: usize) -> Vec<u8> {
    let card = b"\x95\xc4\x100123456789abcdef\xa0\x01\x01\x81\xa0\x81\x00\xc3";
    let before = b"\x81\xa5Reply\x92\x01\x81\xa2Ok\x81\xa5Rooms";
    [before.as_slice(), &list(card, count)].concat()
}
