//! What a checkpoint says of its room, read without the room's logic: for operators and developers.

use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::PlayerId;
use rejoin_protocol::message::Metadata;

use crate::checkpoint::Envelope;
use crate::context::Seated;
use crate::spec::RoomSpec;

/// All that a checkpoint of a room's logic holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the kind that wrote it.
    pub kind: String,
    /// Version of that kind's logic then.
    pub version: u32,
    /// How the room was asked for.
    pub spec: RoomSpec,
    /// Room time.
    pub now: Duration,
    /// Ticks so far.
    pub tick: u64,
    /// What feeds the room's chance.
    pub rng_seed: [u8; 32],
    /// Words drawn from it so far.
    pub rng_words: u128,
    /// Due time and token of each timer that waits.
    pub timers: Vec<(Duration, u64)>,
    /// The members, by player.
    pub members: BTreeMap<PlayerId, Seated>,
    /// The facts that lists show.
    pub metadata: Metadata,
    /// The state as MessagePack: what [`Room::migrate`](crate::Room::migrate) is given.
    pub state: Vec<u8>,
}

/// The bytes are no checkpoint that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Checkpoint {
    /// Reads what [`RoomInstance::checkpoint`](crate::RoomInstance::checkpoint) wrote, of any kind. Whether its logic can
    /// read the state is not asked.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let envelope = Envelope::decode(bytes).map_err(Unreadable)?;
        // Bounds are judged as for a room that goes on.
        envelope.context().map_err(Unreadable)?;
        let timers = envelope.timers.iter();
        Ok(Self {
            version: envelope.version,
            now: Duration::from_nanos(envelope.now_nanos),
            tick: envelope.tick,
            rng_seed: envelope.rng_seed.into_array(),
            rng_words: u128::from_be_bytes(envelope.rng_words.into_array()),
            timers: timers
                .map(|(due, token)| (Duration::from_nanos(*due), *token))
                .collect(),
            kind: envelope.kind.into_owned(),
            spec: envelope.spec.into_owned(),
            members: envelope.members.into_owned(),
            metadata: envelope.metadata.into_owned(),
            state: envelope.state.into_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::{RequestId, RoomId};

    use super::*;
    use crate::Kinds;
    use crate::builtin::chat::Chat;

    #[test]
    fn a_checkpoint_says_what_its_room_is() {
        let kinds = Kinds::new().with::<Chat>();
        let spec = RoomSpec {
            room: RoomId::of("chat", RequestId([1; 16])),
            owner: PlayerId(7),
            settings: crate::RoomSettings::default(),
            code: None,
        };
        let kind = kinds.get("chat").unwrap();
        let room = kind.open(&spec, [9; 32], &mut Vec::new()).unwrap();
        let mut bytes = Vec::new();
        room.checkpoint(&mut bytes).unwrap();
        let read = Checkpoint::read(&bytes).unwrap();
        assert_eq!((read.kind.as_str(), read.version), ("chat", kind.version));
        assert_eq!((&read.spec, read.rng_seed), (room.spec(), [9; 32]));
        assert_eq!((read.now, read.tick), (Duration::ZERO, 0));
        assert_eq!((read.members.len(), read.timers), (0, Vec::new()));
        assert_eq!(&read.metadata, room.metadata());
        assert!(!read.state.is_empty());
        for len in 0..bytes.len() {
            assert!(Checkpoint::read(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
