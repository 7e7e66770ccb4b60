//! What can go wrong with one bot.

use rejoin_client::Ended;
use rejoin_protocol::CloseReason;

use crate::report::Cause;

/// Something that must not happen to a bot.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) cause: Cause,
    pub(crate) text: String,
}

/// What a bot saw is wrong.
pub(crate) fn wrong(text: impl Into<String>) -> Fault {
    Fault {
        cause: Cause::Check,
        text: text.into(),
    }
}

/// Why a bot's connection ended.
pub(crate) fn cause_of(ended: &Ended) -> Cause {
    match ended {
        Ended::Unreachable(_) => Cause::Unreachable,
        Ended::Version(_) => Cause::Version,
        Ended::Refused(_) | Ended::Closed(CloseReason::OverLimit(_) | CloseReason::Overloaded) => {
            Cause::Refused
        }
        Ended::Left | Ended::Closed(_) | Ended::Start(_) => Cause::Lost,
        _ => Cause::Lost,
    }
}
