//! How much either side takes in before it can be delivered, by role: a server holds little for
//! each of its many clients, a client more for its one server.
//!
//! What is held is counted with what holding it costs, so that messages of one byte do not
//! multiply. A sender counts its own messages by the same rule and so never exceeds the window.

use super::frame::Fragment;
use super::setup::Role;
use crate::limits::{
    CONTROL_TO_SERVER_MAX, FRAGMENT_COST, INPUT_MAX, LATEST_MAX, MESSAGE_COST, RELIABLE_MAX,
    RELIABLE_TO_SERVER_MAX, WINDOW_CONTROL_TO_SERVER, WINDOW_LATEST_TO_CLIENT,
    WINDOW_LATEST_TO_SERVER, WINDOW_ORDERED_TO_SERVER, WINDOW_STREAM_TO_CLIENT,
};

/// What one lane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The longest message, in bytes.
    pub(crate) message_max: usize,
    /// All that is held, in bytes, costs included.
    pub(crate) bytes: usize,
}

/// What all lanes in one direction hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) control: Window,
    /// Of each ordered stream.
    pub(crate) ordered: Window,
    pub(crate) latest: Window,
}

impl Windows {
    /// What `receiver` takes in.
    pub(crate) const fn of(receiver: Role) -> Self {
        let (control, ordered, latest) = match receiver {
            Role::Server => (
                (CONTROL_TO_SERVER_MAX, WINDOW_CONTROL_TO_SERVER),
                (RELIABLE_TO_SERVER_MAX, WINDOW_ORDERED_TO_SERVER),
                (INPUT_MAX, WINDOW_LATEST_TO_SERVER),
            ),
            Role::Client => (
                (RELIABLE_MAX, WINDOW_STREAM_TO_CLIENT),
                (RELIABLE_MAX, WINDOW_STREAM_TO_CLIENT),
                (LATEST_MAX, WINDOW_LATEST_TO_CLIENT),
            ),
        };
        Self {
            control: Window::new(control),
            ordered: Window::new(ordered),
            latest: Window::new(latest),
        }
    }
}

impl Window {
    const fn new((message_max, bytes): (usize, usize)) -> Self {
        Self { message_max, bytes }
    }

    /// True if the message that a fragment with `len` bytes is part of may be short enough.
    pub(crate) fn takes(self, fragment: Fragment, len: usize) -> bool {
        fragment.least(len) <= self.message_max
    }
}

/// The most that holding a message of `len` bytes costs while it comes in.
pub(crate) fn cost(len: usize) -> usize {
    let count = Fragment::count_of(len);
    let fragments = if count == 1 { 0 } else { usize::from(count) };
    MESSAGE_COST + fragments * FRAGMENT_COST + len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_holds_the_longest_message_of_its_lane() {
        for role in [Role::Server, Role::Client] {
            let Windows {
                control,
                ordered,
                latest,
            } = Windows::of(role);
            for window in [control, ordered, latest] {
                assert!(cost(window.message_max) <= window.bytes, "{window:?}");
            }
        }
    }
}
