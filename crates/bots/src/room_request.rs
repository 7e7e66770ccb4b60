//! How the bots of one room ask for it.

use rejoin_protocol::message::{Comparison, Filter, Metadata, MetadataValue, RoomSettings};
use rejoin_protocol::{RequestId, Rng};

/// How the bots of one room ask for it.
#[derive(Clone, Debug)]
pub(crate) struct RoomRequest {
    /// The same for all of them, so that they reach one room.
    pub(crate) request: RequestId,
    /// The run and the room's number in it: no other room has both.
    pub(crate) metadata: Metadata,
    /// Seats.
    pub(crate) members_max: u16,
}

impl RoomRequest {
    /// The request for room number `room` of the run that `rng` and `tag` are of.
    pub(crate) fn new(room: usize, members_max: u16, rng: &Rng, tag: &str) -> Self {
        let metadata = Metadata::from([
            ("run".to_owned(), MetadataValue::Text(tag.to_owned())),
            (
                "room".to_owned(),
                MetadataValue::Int(i64::try_from(room).unwrap_or(i64::MAX)),
            ),
        ]);
        let request = RequestId(rng.fork(&format!("room {room}")).bytes());
        Self {
            request,
            metadata,
            members_max,
        }
    }

    /// Matches this room alone.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        let equal = |(key, value): (&String, &MetadataValue)| Filter {
            key: key.clone(),
            comparison: Comparison::Equal,
            value: value.clone(),
        };
        self.metadata.iter().map(equal).collect()
    }

    pub(crate) fn settings(&self) -> RoomSettings {
        RoomSettings {
            members_max: self.members_max,
            metadata: self.metadata.clone(),
            options: Vec::new(),
            private: false,
        }
    }
}
