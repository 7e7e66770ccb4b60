//! MessagePack as text: JSON's notation, and `h'..'` for byte strings.

use data_encoding::HEXLOWER;
use rejoin_protocol::wire::Reader;

/// One value that fills `bytes`.
pub(crate) fn show(bytes: &[u8]) -> String {
    let mut reader = Reader::new(bytes);
    let text = value(&mut reader);
    assert!(reader.is_empty(), "one value fills the message");
    text
}

fn value(reader: &mut Reader<'_>) -> String {
    let marker = reader.byte().unwrap();
    let low = u64::from(marker);
    match marker {
        0x00..=0x7f => low.to_string(),
        0x80..=0x8f => map(reader, low & 0x0f),
        0x90..=0x9f => array(reader, low & 0x0f),
        0xa0..=0xbf => text(reader, low & 0x1f),
        0xc0 => "nil".into(),
        0xc2 => "false".into(),
        0xc3 => "true".into(),
        0xc4 => {
            let len = number(reader, 1);
            format!("h'{}'", HEXLOWER.encode(bytes(reader, len)))
        }
        0xcc..=0xcf => number(reader, 1 << (marker - 0xcc)).to_string(),
        0xd9 => {
            let len = number(reader, 1);
            text(reader, len)
        }
        0xe0..=0xff => (i16::from(marker) - 0x100).to_string(),
        _ => panic!("no vector holds the marker {marker:#x}"),
    }
}

fn map(reader: &mut Reader<'_>, len: u64) -> String {
    let pairs = (0..len).map(|_| format!("{}: {}", value(reader), value(reader)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

fn array(reader: &mut Reader<'_>, len: u64) -> String {
    let values = (0..len).map(|_| value(reader));
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn text(reader: &mut Reader<'_>, len: u64) -> String {
    format!("{:?}", str::from_utf8(bytes(reader, len)).unwrap())
}

fn bytes<'a>(reader: &mut Reader<'a>, len: u64) -> &'a [u8] {
    reader.take(usize::try_from(len).unwrap()).unwrap()
}

fn number(reader: &mut Reader<'_>, len: usize) -> u64 {
    let bytes = reader.take(len).unwrap();
    bytes
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
