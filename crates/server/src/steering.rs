//! Which of a server's sockets a datagram belongs to, told to the system by the bytes at its front.

use rejoin_datagram::{Pattern, SteeringRules};
use rejoin_protocol::handshake::{JOIN, RESUME};
use rejoin_protocol::packet::{LABELLED_BITS, LABELLED_MASK, SHARD_AT};

/// A packet with a connection id goes to the shard that the id names. A hello goes to any, and when it is sent
/// again to the same one. What is left is nothing of ours.
pub(crate) const STEERING_RULES: SteeringRules = SteeringRules {
    numbered: Pattern {
        mask: LABELLED_MASK,
        value: LABELLED_BITS,
    },
    number_at: SHARD_AT,
    spread: Pattern {
        mask: !(JOIN ^ RESUME),
        value: JOIN & RESUME,
    },
};
const _: () = assert!((JOIN ^ RESUME).is_power_of_two(), "one mask takes both");

#[cfg(test)]
mod tests {
    use rejoin_protocol::handshake::is_hello;
    use rejoin_protocol::packet::label;

    use super::*;

    const SHARD: u8 = 200;

    /// True if the first byte of a datagram is like `pattern`.
    fn fits(pattern: Pattern, datagram: &[u8]) -> bool {
        datagram[0] & pattern.mask == pattern.value
    }

    #[test]
    fn the_rules_see_in_a_datagram_what_the_shard_sees() {
        let Pattern { mask, .. } = STEERING_RULES.numbered;
        for flags in 0..=u8::MAX {
            let mut datagram = [flags; 40];
            datagram[usize::from(STEERING_RULES.number_at)] = SHARD;
            match label(&datagram) {
                Some(id) => {
                    assert!(fits(STEERING_RULES.numbered, &datagram), "{flags:#x}");
                    assert_eq!(id.shard(), SHARD);
                }
                // The two lowest bits set are a length that no packet has.
                None => assert!(
                    flags & mask != LABELLED_BITS || flags & 3 == 3,
                    "{flags:#x}"
                ),
            }
            assert_eq!(fits(STEERING_RULES.spread, &datagram), is_hello(&datagram));
        }
    }
}
