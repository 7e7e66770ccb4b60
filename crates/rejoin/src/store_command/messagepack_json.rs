//! MessagePack as JSON, for eyes: any value, without the type that it was written from.
//!
//! What JSON has no word for is said so: bytes stand as `{"hex": "…"}`, an extension as `{"extension": N, "hex": "…"}`,
//! keys that are no text as their text, numbers that are none as `"NaN"` and `"inf"`.

use std::fmt;

use data_encoding::HEXLOWER;
use rejoin_protocol::limits::{STATE_DEPTH_MAX, STATE_MAX};
use rejoin_protocol::messagepack::{self, Bounds};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

/// What the bytes of a game say: as MessagePack if they are one value of it, else in hexadecimal.
pub(super) fn payload(bytes: &[u8]) -> Value {
    match messagepack::decode::<Shown>(bytes, BOUNDS) {
        Ok(Shown(value)) => value,
        Err(_) => hex(bytes),
    }
}

/// Bytes that may well be a text: as one if they are printable, else in hexadecimal.
pub(super) fn text(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => json!(text),
        _ => hex(bytes),
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> Value {
    json!({ "hex": HEXLOWER.encode(bytes) })
}

/// As of a state: no payload is deeper or holds more.
const BOUNDS: Bounds = Bounds {
    depth: STATE_DEPTH_MAX,
    items: STATE_MAX,
    text: usize::MAX,
};

/// A value of any type.
struct Shown(Value);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(json!(value))
    }

    /// In its own width, so that 0.1 is not shown as 0.10000000149011612.
    fn visit_f32<E>(self, value: f32) -> Result<Value, E> {
        Ok(number(value.to_string(), value.is_finite()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(number(value.to_string(), value.is_finite()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(json!(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(hex(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Shown(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((Shown(key), Shown(value))) = entries.next_entry()? {
            let text = key.as_str().map(str::to_owned);
            let key = text.unwrap_or_else(|| key.to_string());
            if all.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(all))
    }

    /// An extension comes as its number and its bytes.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        let (number, bytes): (i8, serde_bytes::ByteBuf) = Deserialize::deserialize(inner)?;
        Ok(json!({ "extension": number, "hex": HEXLOWER.encode(&bytes) }))
    }
}

fn number(text: String, finite: bool) -> Value {
    let parsed = finite.then(|| text.parse::<f64>().ok()).flatten();
    parsed.map_or(Value::String(text), |value| json!(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_shown() {
        for (bytes, shown) in [
            (&b"\xc0"[..], json!(null)),
            (b"\xc3", json!(true)),
            (b"\x05", json!(5)),
            (b"\xff", json!(-1)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX)),
            (b"\xca\x3d\xcc\xcc\xcd", json!(0.1)),
            (b"\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", json!(0.1)),
            (b"\xca\x7f\xc0\x00\x00", json!("NaN")),
            (b"\xca\xff\x80\x00\x00", json!("-inf")),
            (b"\xa2hi", json!("hi")),
            (b"\xa1\xff", json!({"hex": "ff"})),
            (b"\xc4\x02hi", json!({"hex": "6869"})),
            (b"\x92\x01\xc0", json!([1, null])),
            (b"\x81\xa1a\x80", json!({"a": {}})),
            (b"\x82\x07\x01\xa1b\x02", json!({"7": 1, "b": 2})),
            (b"\xd4\x05\x09", json!({"extension": 5, "hex": "09"})),
            // Not one value: cut short, one too many, a key twice.
            (b"\x92\x01", json!({"hex": "9201"})),
            (b"\x01\x02", json!({"hex": "0102"})),
            (b"\x82\x07\x01\xa17\x02", json!({"hex": "820701a13702"})),
            (b"", json!({"hex": ""})),
        ] {
            assert_eq!(payload(bytes), shown, "{bytes:x?}");
        }
        let deep = [vec![0x91; 64], vec![0xc0]].concat();
        assert!(payload(&deep).is_array());
        let deeper = [vec![0x91; 65], vec![0xc0]].concat();
        assert!(payload(&deeper).is_object(), "beyond the bound");
    }

    #[test]
    fn what_may_be_a_text_is_shown_as_one_if_it_can_be_printed() {
        assert_eq!(text(b"guild=moon"), json!("guild=moon"));
        assert_eq!(text(b"a\x1b[2J"), json!({"hex": "611b5b324a"}));
        assert_eq!(text(b"\xff"), json!({"hex": "ff"}));
    }
}
