//! A refused request: a code for programs, a text for people, a hint when to retry.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limit::Limit;
use crate::limits::REFUSAL_TEXT_MAX;
use crate::text;

/// Why a request was refused, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The server has no room logic of that kind.
    UnknownKind,
    /// No room of that id is open.
    UnknownRoom,
    /// The session holds no such seat.
    UnknownSeat,
    /// Every seat of the room is taken.
    RoomFull,
    /// Room logic did not admit the player.
    NotAdmitted,
    /// The session holds a seat in that room already.
    AlreadySeated,
    /// Only the player who created the room may do this.
    NotOwner,
    /// A limit of the server or session was reached; [`Refusal::limit`] or the text names it.
    LimitReached,
    /// The request itself makes no sense.
    BadRequest,
    /// The permit does not open a session here.
    PermitRefused,
    /// The server is shutting down.
    Stopping,
    /// Room logic failed while it handled the request.
    RoomFailed,
    /// The hello is older than one that the server has seen of that identity, or far ahead of the
    /// server's clock. A client starts anew by itself; a caller hears of it only if that was in vain.
    OldHello,
    /// An unknown code of a newer peer.
    #[serde(other)]
    Other,
}

/// A typed refusal, as it travels and as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why, for programs.
    pub code: RefusalCode,
    /// Why, for people. At most [`REFUSAL_TEXT_MAX`] bytes.
    pub text: String,
    /// Milliseconds after which trying again may succeed; `None`: it will not.
    pub retry_after_ms: Option<u32>,
    /// The limit that was reached, if it is one that a peer's own doing reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// With [`RefusalCode::OldHello`]: the moment that the next hello must exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_moment: Option<u64>,
}

impl Refusal {
    /// A refusal that retrying will not change. A text beyond its bound is cut.
    #[must_use]
    pub fn new(code: RefusalCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text::cut(text.into(), REFUSAL_TEXT_MAX),
            retry_after_ms: None,
            limit: None,
            newest_moment: None,
        }
    }

    /// The refusal of a hello whose moment is not larger than `newest`, or far too large.
    #[must_use]
    pub fn old_hello(newest: u64) -> Self {
        let text = "the hello is older than one before it, or far ahead of the server's clock";
        Self {
            newest_moment: Some(newest),
            ..Self::new(RefusalCode::OldHello, text)
        }
    }

    /// The refusal of somebody who went over `limit`; `text` names the bound and its setting.
    #[must_use]
    pub fn over(limit: Limit, text: impl Into<String>, wait: Duration) -> Self {
        Self {
            limit: Some(limit),
            ..Self::new(RefusalCode::LimitReached, text).retry_after(wait)
        }
    }

    /// How long to wait before trying again; `None`: it will not help.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let millis = self.retry_after_ms?;
        Some(Duration::from_millis(millis.into()))
    }

    /// The same, with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_refusal_is_cut_between_characters() {
        let refusal = Refusal::new(RefusalCode::BadRequest, "é".repeat(500));
        assert_eq!(refusal.text, "é".repeat(REFUSAL_TEXT_MAX / 2));
    }
}
