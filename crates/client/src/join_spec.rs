//! What a player wishes for in a room.

use rejoin_protocol::message::{Filter, RoomSettings};
use rejoin_protocol::{RequestId, Rng};

/// Which room to join or create.
#[derive(Clone, Debug, Default)]
pub struct JoinSpec {
    /// Names the room; `None`: a fresh random one per call.
    pub request: Option<RequestId>,
    /// What an open room must match.
    pub filters: Vec<Filter>,
    /// How a new room is set up.
    pub settings: RoomSettings,
}

impl JoinSpec {
    /// Any open room will do, and a new one has no wishes.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// The room that `request` names: a party that shares one meets in one room.
    #[must_use]
    pub fn request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// One more demand on an open room.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// How a new room is set up.
    #[must_use]
    pub fn settings(mut self, settings: RoomSettings) -> Self {
        self.settings = settings;
        self
    }

    /// The room's name.
    pub(crate) fn request_id(&self, rng: &mut Rng) -> RequestId {
        self.request.unwrap_or_else(|| RequestId(rng.bytes()))
    }
}
