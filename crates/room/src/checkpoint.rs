//! The envelope of a checkpoint: a room's context and encoded state, as one MessagePack map.
//!
//! Written and read by `Hosted`, kept by a store that does not look inside. Fields have names,
//! so that later versions may add some. The state is bytes of its own: it is read only once
//! kind and version are known.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rejoin_protocol::limits::{MESSAGEPACK_DEPTH_MAX, TIMERS_MAX};
use rejoin_protocol::limits::{METADATA_ENTRIES_MAX, ROOM_MEMBERS_MAX, STATE_DEPTH_MAX, STATE_MAX};
use rejoin_protocol::message::Metadata;
use rejoin_protocol::messagepack::{self, Bounds, DecodeError, EncodeError};
use rejoin_protocol::{PlayerId, Rng};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::context::{Context, Seated};
use crate::spec::RoomSpec;

/// Version of the envelope itself.
const FORMAT: u32 = 1;

/// Values in an envelope: few per timer, member and fact, and under 64 others.
const ENVELOPE: Bounds = Bounds {
    depth: MESSAGEPACK_DEPTH_MAX,
    items: 8 * (TIMERS_MAX + ROOM_MEMBERS_MAX as usize + METADATA_ENTRIES_MAX * 2) + 64,
    ..Bounds::PEER
};

/// Bounds of a state. Each value takes a byte, so its length bounds their number.
pub(crate) const STATE: Bounds = Bounds {
    depth: STATE_DEPTH_MAX,
    items: STATE_MAX,
    ..Bounds::PEER
};

/// Reads a state.
///
/// # Errors
/// A sentence that says what is wrong, and in which field.
pub(crate) fn read_state<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, String> {
    messagepack::decode(bytes, STATE).map_err(|error| {
        if let DecodeError::Content(text) = error {
            // Read again for the field alone: it is asked for only once something is wrong.
            return place_of::<S>(bytes).unwrap_or(text);
        }
        error.to_string()
    })
}

/// What is wrong and where, if it is a field.
fn place_of<S: DeserializeOwned>(bytes: &[u8]) -> Option<String> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    let problem = serde_path_to_error::deserialize::<_, S>(&mut reader).err()?;
    let has_path = problem.path().iter().len() > 0;
    has_path.then(|| format!("{}: {}", problem.path(), problem.inner()))
}

/// All that makes a room again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope<'a> {
    format: u32,
    pub(crate) kind: Cow<'a, str>,
    pub(crate) version: u32,
    pub(crate) spec: Cow<'a, RoomSpec>,
    pub(crate) now_nanos: u64,
    pub(crate) tick: u64,
    pub(crate) rng_seed: ByteArray<32>,
    /// Words drawn so far, big-endian: MessagePack has no 128-bit numbers.
    pub(crate) rng_words: ByteArray<16>,
    /// Due time in nanoseconds, and token.
    pub(crate) timers: Vec<(u64, u64)>,
    pub(crate) members: Cow<'a, BTreeMap<PlayerId, Seated>>,
    pub(crate) metadata: Cow<'a, Metadata>,
    pub(crate) state: ByteBuf,
}

impl<'a> Envelope<'a> {
    /// Gathers what a room of `kind` is now.
    pub(crate) fn of(
        kind: (&'a str, u32),
        spec: &'a RoomSpec,
        context: &'a Context,
        state: Vec<u8>,
    ) -> Self {
        let (seed, words) = context.rng.position();
        Self {
            format: FORMAT,
            kind: Cow::Borrowed(kind.0),
            version: kind.1,
            spec: Cow::Borrowed(spec),
            now_nanos: nanos(context.now),
            tick: context.tick,
            rng_seed: ByteArray::new(seed),
            rng_words: ByteArray::new(words.to_be_bytes()),
            timers: context
                .timers
                .waiting()
                .map(|(due, token)| (nanos(due), token))
                .collect(),
            members: Cow::Borrowed(&context.members),
            metadata: Cow::Borrowed(&context.metadata),
            state: ByteBuf::from(state),
        }
    }

    /// Appends the bytes to keep.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        messagepack::encode_into(self, out)
    }

    /// The context inside.
    ///
    /// # Errors
    /// It breaks a bound: the bytes were not written by [`Envelope::encode`].
    pub(crate) fn context(&self) -> Result<Context, String> {
        if self.members.len() > usize::from(ROOM_MEMBERS_MAX) {
            return Err(format!(
                "{} members, at most {ROOM_MEMBERS_MAX}",
                self.members.len()
            ));
        }
        let tokens: BTreeSet<u64> = self.timers.iter().map(|(_, token)| *token).collect();
        if tokens.len() != self.timers.len() {
            return Err("a timer stands in it twice".into());
        }
        let words = u128::from_be_bytes(self.rng_words.into_array());
        let rng = Rng::resume(self.rng_seed.into_array(), words);
        let mut context = Context::new(rng, self.metadata.clone().into_owned());
        context.now = Duration::from_nanos(self.now_nanos);
        context.tick = self.tick;
        context.members = self.members.clone().into_owned();
        for (due, token) in &self.timers {
            let due = Duration::from_nanos(*due);
            context
                .timers
                .set(*token, due)
                .map_err(|full| full.to_string())?;
        }
        Ok(context)
    }
}

impl Envelope<'static> {
    /// Reads what [`Envelope::encode`] wrote.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let envelope: Self =
            messagepack::decode(bytes, ENVELOPE).map_err(|error| error.to_string())?;
        if envelope.format != FORMAT {
            let found = envelope.format;
            return Err(format!("its format is {found}, this build reads {FORMAT}"));
        }
        Ok(envelope)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("the context keeps room time within 64 bits")
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::message::RoomSettings;
    use rejoin_protocol::{RequestId, RoomId};

    use super::*;

    fn read_back(change: impl FnOnce(&mut Envelope<'static>)) -> Result<Context, String> {
        let room = RoomId::of("duel", RequestId([1; 16]));
        let spec = RoomSpec {
            room,
            owner: PlayerId(1),
            settings: RoomSettings::default(),
            code: None,
        };
        let context = Context::new(Rng::from_number(1), Metadata::new());
        let mut bytes = Vec::new();
        Envelope::of(("duel", 1), &spec, &context, vec![0xc0])
            .encode(&mut bytes)
            .unwrap();
        let mut envelope = Envelope::decode(&bytes).unwrap();
        change(&mut envelope);
        bytes.clear();
        envelope.encode(&mut bytes).unwrap();
        Envelope::decode(&bytes)?.context()
    }

    #[test]
    fn an_envelope_beyond_a_bound_is_an_error() {
        assert!(read_back(|_| {}).is_ok());
        let seated = Seated {
            name: "ana".into(),
            present: true,
        };
        let seats = |count| {
            (0..count)
                .map(|player| (PlayerId(player), seated.clone()))
                .collect()
        };
        assert!(read_back(|it| it.members = Cow::Owned(seats(1024))).is_ok());
        let many = read_back(|it| it.members = Cow::Owned(seats(1025)));
        assert_eq!(many.unwrap_err(), "1025 members, at most 1024");

        let timers = |count| (0..count).map(|token| (5, token)).collect();
        assert!(read_back(|it| it.timers = timers(1024)).is_ok());
        let many = read_back(|it| it.timers = timers(1025));
        assert_eq!(many.unwrap_err(), "at most 1024 timers wait");
        let twice = read_back(|it| it.timers = vec![(1, 5), (2, 5)]);
        assert_eq!(twice.unwrap_err(), "a timer stands in it twice");
    }

    #[test]
    fn another_format_is_an_error_that_names_both() {
        let other = read_back(|it| it.format = 2);
        assert_eq!(other.unwrap_err(), "its format is 2, this build reads 1");
    }
}
