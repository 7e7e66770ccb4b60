//! Something is longer, or more, than may be: said with the bound and with what was given.
//!
//! One value for both ends: a client's caller gets it before anything is sent, room logic in a
//! fault, and a peer who sends it all the same as the text of a refusal.

use crate::refusal::{Refusal, RefusalCode};

/// Something is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} {what}, {} allowed", Allowed { least: *least, most: *most })]
pub struct SizeError {
    /// What is counted, such as `bytes of an input`.
    pub what: &'static str,
    /// How much there is.
    pub given: usize,
    /// How little there may be.
    pub least: usize,
    /// How much there may be.
    pub most: usize,
}

/// The bounds in words.
struct Allowed {
    least: usize,
    most: usize,
}

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.least {
            0 => write!(f, "at most {}", self.most),
            least => write!(f, "{least} to {}", self.most),
        }
    }
}

impl SizeError {
    /// An error if `given` is more than `most`.
    ///
    /// # Errors
    /// See above.
    pub const fn check(what: &'static str, given: usize, most: usize) -> Result<(), Self> {
        Self::check_between(what, given, 0, most)
    }

    /// An error if `given` is less than `least` or more than `most`.
    ///
    /// # Errors
    /// See above.
    pub const fn check_between(
        what: &'static str,
        given: usize,
        least: usize,
        most: usize,
    ) -> Result<(), Self> {
        if least <= given && given <= most {
            return Ok(());
        }
        Err(Self {
            what,
            given,
            least,
            most,
        })
    }
}

impl From<SizeError> for Refusal {
    fn from(error: SizeError) -> Self {
        Self::new(RefusalCode::LimitReached, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_are_allowed_and_what_is_beyond_says_all_of_it() {
        let check = |given| SizeError::check_between("bytes of a kind", given, 1, 32);
        assert_eq!((check(1), check(32)), (Ok(()), Ok(())));
        let text = |given: usize| check(given).unwrap_err().to_string();
        assert_eq!(text(0), "0 bytes of a kind, 1 to 32 allowed");
        assert_eq!(text(33), "33 bytes of a kind, 1 to 32 allowed");
        assert_eq!(SizeError::check("filters", 0, 16), Ok(()));
        let many = SizeError::check("filters", 17, 16).unwrap_err();
        assert_eq!(many.to_string(), "17 filters, at most 16 allowed");
        assert_eq!(Refusal::from(many).code, RefusalCode::LimitReached);
    }
}
