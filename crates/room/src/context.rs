//! A room's context without types: clock, chance, timers, members, facts, and an outbox.
//!
//! [`Cx`](crate::Cx) is its typed face for room logic, `Hosted` its owner. What leaves the
//! room waits in the outbox until the call has succeeded.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::limits::{EVENT_MAX, EVENTS_PER_CALL_MAX, REFUSAL_TEXT_MAX, ROOM_MEMBERS_MAX};
use rejoin_protocol::message::Metadata;
use rejoin_protocol::message_bounds::check_metadata;
use rejoin_protocol::messagepack::EncodeError;
use rejoin_protocol::{PlayerId, Rng, SizeError};
use serde::{Deserialize, Serialize};

use crate::effect::{Audience, Effect};
use crate::timers::Timers;

/// A member, as room logic sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seated {
    /// The player's name.
    pub name: String,
    /// False while the seat is only held for a player who is gone.
    pub present: bool,
}

/// The latest room time: what a checkpoint can hold, 584 years.
const TIME_MAX: Duration = Duration::from_nanos(u64::MAX);

/// What room logic may use besides its state. All but the outbox is checkpointed.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) now: Duration,
    pub(crate) tick: u64,
    pub(crate) rng: Rng,
    pub(crate) timers: Timers,
    pub(crate) members: BTreeMap<PlayerId, Seated>,
    pub(crate) metadata: Metadata,
    outbox: Outbox,
}

/// What one call has asked for so far.
#[derive(Debug, Default)]
struct Outbox {
    effects: Vec<Effect>,
    events: usize,
    misuse: Option<Misuse>,
}

/// A wish of room logic that cannot be met. `Cx` has no results to return it by, so it is
/// kept until the call is over and then becomes a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// An event cannot be sent.
    Event(String),
    /// A bound was reached.
    Limit(String),
    /// Something is too long, or too many.
    Size(SizeError),
}

impl Context {
    /// A context at time zero.
    pub(crate) fn new(rng: Rng, metadata: Metadata) -> Self {
        Self {
            now: Duration::ZERO,
            tick: 0,
            rng,
            timers: Timers::default(),
            members: BTreeMap::new(),
            metadata,
            outbox: Outbox::default(),
        }
    }

    /// Moves the clock to `at`, never back.
    pub(crate) fn advance_to(&mut self, at: Duration) {
        self.now = self.now.max(at.min(TIME_MAX));
    }

    /// Sets a timer `wait` from now.
    pub(crate) fn set_timer(&mut self, wait: Duration, token: u64) {
        let due = self.now.saturating_add(wait).min(TIME_MAX);
        if let Err(full) = self.timers.set(token, due) {
            self.misuse(Misuse::Limit(full.to_string()));
        }
    }

    /// Puts an encoded event into the outbox, or notes why it cannot be sent.
    pub(crate) fn send(
        &mut self,
        to: Audience,
        encoded: Result<Vec<u8>, EncodeError>,
        when_durable: bool,
    ) {
        let event = match encoded {
            Ok(event) => event,
            Err(error) => return self.misuse(Misuse::Event(error.to_string())),
        };
        let fits = SizeError::check("bytes of an event", event.len(), EVENT_MAX);
        let events = self.outbox.events + 1;
        let few = SizeError::check("events of one call", events, EVENTS_PER_CALL_MAX);
        if let Err(size) = fits.and(few) {
            return self.misuse(Misuse::Size(size));
        }
        self.outbox.events = events;
        let payload = Bytes::from(event);
        self.outbox.effects.push(Effect::Event {
            to,
            payload,
            when_durable,
        });
    }

    /// Asks for a seat to be taken away. Once per call and member.
    pub(crate) fn remove(&mut self, player: PlayerId, word: String) {
        let asked =
            |effect: &Effect| matches!(effect, Effect::Remove { player: p, .. } if *p == player);
        if !self.is_word_allowed(&word) {
            return;
        }
        if self.members.contains_key(&player) && !self.outbox.effects.iter().any(asked) {
            self.outbox.effects.push(Effect::Remove { player, word });
        }
    }

    /// Asks for the room to be closed. The first word stands.
    pub(crate) fn close(&mut self, word: String) {
        let asked = |effect: &Effect| matches!(effect, Effect::Close { .. });
        if self.is_word_allowed(&word) && !self.outbox.effects.iter().any(asked) {
            self.outbox.effects.push(Effect::Close { word });
        }
    }

    /// Asks for other facts to be shown. The last ones stand.
    pub(crate) fn set_metadata(&mut self, metadata: Metadata) {
        if let Err(size) = check_metadata(&metadata) {
            return self.misuse(Misuse::Size(size));
        }
        self.outbox
            .effects
            .retain(|effect| !matches!(effect, Effect::Metadata(_)));
        self.outbox.effects.push(Effect::Metadata(metadata));
    }

    /// The first wish since the last asking that could not be met.
    pub(crate) fn take_misuse(&mut self) -> Option<Misuse> {
        self.outbox.misuse.take()
    }

    /// The call succeeded: what it asked for leaves the room.
    pub(crate) fn commit(&mut self, effects: &mut Vec<Effect>) {
        for effect in self.outbox.effects.drain(..) {
            if let Effect::Metadata(metadata) = &effect {
                self.metadata.clone_from(metadata);
            }
            effects.push(effect);
        }
        self.outbox.events = 0;
    }

    /// The call was refused: nothing leaves the room.
    pub(crate) fn discard(&mut self) {
        self.outbox = Outbox::default();
    }

    /// Notes a word that is too long: a player would see half of it.
    fn is_word_allowed(&mut self, word: &str) -> bool {
        let fits = SizeError::check("bytes of a word", word.len(), REFUSAL_TEXT_MAX);
        fits.map_err(|size| self.misuse(Misuse::Size(size))).is_ok()
    }

    fn misuse(&mut self, misuse: Misuse) {
        self.outbox.misuse.get_or_insert(misuse);
    }
}

/// Seats of a room whose creator asked for `wanted` of a kind with `default` seats.
pub(crate) fn members_max(wanted: u16, default: u16) -> u16 {
    let wanted = if wanted == 0 { default } else { wanted };
    wanted.min(ROOM_MEMBERS_MAX)
}
