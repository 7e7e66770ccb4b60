//! The ciphers that data packets may be sealed with.

/// The cipher of a connection's data packets, chosen by the server from what the client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Suite {
    /// AES-128-GCM: fastest where the processor has AES.
    Aes128Gcm = 0,
    /// ChaCha20-Poly1305, for processors without AES.
    ChaCha20Poly1305 = 1,
}

impl Suite {
    /// All suites, in the order of their numbers, which is also the order of preference.
    pub const ALL: [Self; 2] = [Self::Aes128Gcm, Self::ChaCha20Poly1305];

    /// The number that travels.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The suite behind a number from the wire, `None` if this build does not know it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_survives_its_number() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_number(suite.number()), Some(suite));
        }
        assert_eq!(Suite::from_number(2), None);
    }
}
