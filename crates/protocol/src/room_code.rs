//! The code of a private room: short enough to say aloud, too many to guess.
//!
//! 32 letters and digits, without those that sound or look alike (0 O, 1 I), six of them: 2^30
//! codes. Against 1,000 private rooms a wrong code is right by chance once in 1,073,742
//! tries; at the default budget of an address, 100 wrong ones a minute, that is one room
//! in 7.4 days in expectation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::random::Rng;

/// A code. Reads in any case and with spaces or hyphens between; shows in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomCode([u8; CODE_LEN]);

/// Why a text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room code is {CODE_LEN} letters or digits without 0, O, 1 and I")]
pub struct NotARoomCode;

/// Letters of a code.
pub const CODE_LEN: usize = 6;
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

impl RoomCode {
    /// A code by chance, all equally likely.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        let letter = |byte: u8| ALPHABET.get(usize::from(byte % 32)).copied();
        Self(rng.bytes().map(|byte| letter(byte).unwrap_or(b'A')))
    }

    /// The code in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for RoomCode {
    type Err = NotARoomCode;

    fn from_str(text: &str) -> Result<Self, NotARoomCode> {
        let letters = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-'));
        let mut code = [0; CODE_LEN];
        let mut places = code.iter_mut();
        for letter in letters {
            let letter = letter.to_ascii_uppercase();
            if !ALPHABET.contains(&letter) {
                return Err(NotARoomCode);
            }
            *places.next().ok_or(NotARoomCode)? = letter;
        }
        if places.next().is_some() {
            return Err(NotARoomCode);
        }
        Ok(Self(code))
    }
}

impl TryFrom<String> for RoomCode {
    type Error = NotARoomCode;

    fn try_from(text: String) -> Result<Self, NotARoomCode> {
        text.parse()
    }
}

impl From<RoomCode> for String {
    fn from(code: RoomCode) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RoomCode {
    /// Leaves the code out: whoever reads it in a log could enter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_being_spoken_and_typed() {
        let mut rng = Rng::from_number(1);
        for _ in 0..1_000 {
            let code = RoomCode::draw(&mut rng);
            let text = code.to_string();
            let (head, tail) = text.split_at(3);
            let typed = format!("{} - {}", head.to_lowercase(), tail);
            assert_eq!(typed.parse(), Ok(code));
            assert!(!text.contains(['0', 'O', '1', 'I']), "{text}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in [
            "", "ABCDE", "ABCDEFG", "ABCDE0", "ABCDEO", "ABC1EF", "ÄBCDEF", "ABCDE\n",
        ] {
            assert_eq!(text.parse::<RoomCode>(), Err(NotARoomCode), "{text:?}");
        }
    }

    #[test]
    fn every_letter_is_drawn() {
        let mut rng = Rng::from_number(1);
        let drawn: std::collections::BTreeSet<u8> = (0..1_000)
            .flat_map(|_| RoomCode::draw(&mut rng).0)
            .collect();
        assert_eq!(drawn.len(), ALPHABET.len());
    }
}
