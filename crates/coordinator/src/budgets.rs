//! How much one connection, session, room or address may do. Every number is a setting with bounds;
//! none can be switched off, but each can be raised until it does not matter.

use std::ops::RangeInclusive;

use rejoin_protocol::bucket::Rate;
use rejoin_protocol::connection;
use rejoin_protocol::limits::DATAGRAM_MAX;

/// What everyone may do. A budget is a rate and a burst: what may be done at once after a pause.
///
/// Per shard, like all of a shard's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Datagrams per second of one connection. A shooter at 128 Hz sends as many and its
    /// acknowledgements ride along; bots at 1,000 inputs per second still fit. Default 2,000.
    pub datagrams_per_s: u32,
    /// Datagrams at once: what a radio held back for two seconds, and the 16 seats' kept inputs
    /// after a pause. Default 4,000.
    pub datagrams_burst: u32,
    /// Bytes per second of one connection: 128 datagrams of 1,200 bytes, ten times over. Default
    /// 1,500,000.
    pub bytes_per_s: u32,
    /// Bytes at once: all that 16 seats keep (4 MiB) and a bit. Default 6,000,000.
    pub bytes_burst: u32,
    /// Reliable inputs per second of one session, over all its seats; more are refused, and far more
    /// close. Eight per frame at 128 Hz. Default 1,000.
    pub inputs_per_s: u32,
    /// Reliable inputs at once: four seats' kept inputs (1,024 each) after a pause. Default 4,096.
    pub inputs_burst: u32,
    /// Inputs per second of one room, over all members: 300 players at 128 Hz, or 1,024 at 39.
    /// Reliable ones beyond are refused, latest ones dropped. Default 40,000.
    pub room_inputs_per_s: u32,
    /// Inputs of one room at once: 78 members who each send all they kept. Default 80,000.
    pub room_inputs_burst: u32,
    /// Requests per second of one session; more are refused, and far more close. A client
    /// that lost every view asks five times a second for each of 16 seats. Default 100.
    pub requests_per_s: u32,
    /// Requests at once: two seconds of that. Default 200.
    pub requests_burst: u32,
    /// Rooms that one session may open per minute. A player opens one per match. Default 60.
    pub room_creates_per_min: u32,
    /// Rooms opened at once. Default 60.
    pub room_creates_burst: u32,
    /// Seats that one session may take in rooms of others per minute: every member of a room is told
    /// of whoever comes and goes. A player takes one per match. Default 60.
    pub seats_per_min: u32,
    /// Seats taken at once: as many as a session has. If all 64 sessions of an address come and go at
    /// once, that is 2,048 messages to a member, half of its send queue. Default 16.
    pub seats_burst: u32,
    /// Times per minute that a client may take over a session whose client is heard, or that holds seats:
    /// somebody changes the device, or starts the game again at once. All members are told. Default 10.
    pub takeovers_per_min: u32,
    /// The same at once. Default 10.
    pub takeovers_burst: u32,
    /// Wrong room codes and ids of one session per minute. A player mistypes a few. Default 20.
    pub room_guesses_per_min: u32,
    /// Wrong codes and ids at once. Default 20.
    pub room_guesses_burst: u32,
    /// Wrong room codes and ids of all sessions of one address per minute; an IPv6 /48 has four times as
    /// many. Default 100.
    pub address_guesses_per_min: u32,
    /// Wrong codes and ids of one address at once. Default 100.
    pub address_guesses_burst: u32,
    /// Handshakes per second for hellos of one address (IPv4 /32, IPv6 /64) that come with a good
    /// cookie; more get no answer. Each takes about 0.12 ms, so 20 are a quarter of a percent of a core.
    /// Loopback is exempt under `dev` auth. Default 20.
    pub address_joins_per_s: u32,
    /// Handshakes of one address at once: all sessions it may have. Default 64.
    pub address_joins_burst: u32,
    /// Sessions that one address (IPv4 /32, IPv6 /64) may have opened that are not over: a full
    /// dormitory behind one router. Loopback is exempt under `dev` auth. Default 64.
    pub address_sessions_max: u32,
    /// Rooms that all sessions of one address may open per minute; a session that is over and comes
    /// back has a whole budget of its own. Five sessions at theirs. Default 300.
    pub address_room_creates_per_min: u32,
    /// Rooms of one address opened at once. Default 300.
    pub address_room_creates_burst: u32,
    /// Rooms open at once that sessions of one address opened, whether these are over or not: two for
    /// each session that it may have, and an eighth of the rooms of a server. Default 128.
    pub address_rooms_max: u32,
}

/// A number out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be {min} to {max}")]
pub struct OutOfBounds {
    /// The setting.
    pub name: &'static str,
    /// The least it may be, at least 1.
    pub min: u32,
    /// The most it may be.
    pub max: u32,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            datagrams_per_s: 2_000,
            datagrams_burst: 4_000,
            bytes_per_s: 1_500_000,
            bytes_burst: 6_000_000,
            inputs_per_s: 1_000,
            inputs_burst: 4_096,
            room_inputs_per_s: 40_000,
            room_inputs_burst: 80_000,
            requests_per_s: 100,
            requests_burst: 200,
            room_creates_per_min: 60,
            room_creates_burst: 60,
            seats_per_min: 60,
            seats_burst: 16,
            takeovers_per_min: 10,
            takeovers_burst: 10,
            room_guesses_per_min: 20,
            room_guesses_burst: 20,
            address_guesses_per_min: 100,
            address_guesses_burst: 100,
            address_joins_per_s: 20,
            address_joins_burst: 64,
            address_sessions_max: 64,
            address_room_creates_per_min: 300,
            address_room_creates_burst: 300,
            address_rooms_max: 128,
        }
    }
}

/// Anything per period or at once: at most more than a machine takes in.
const COUNT: RangeInclusive<u32> = 1..=100_000_000;
/// Bytes: at most 34 Gbit/s.
const BYTES: RangeInclusive<u32> = 1..=u32::MAX;
/// Bytes at once: with less than a full datagram everyone would be closed who sends one.
const BURST_BYTES: RangeInclusive<u32> = 1_200..=u32::MAX;
const _: () = assert!(*BURST_BYTES.start() as usize >= DATAGRAM_MAX);
/// Sessions of one address: at most as many as a server may have.
const SESSIONS: RangeInclusive<u32> = 1..=1_000_000;
/// Rooms of one address: at most as many as a server may have.
const ROOMS: RangeInclusive<u32> = 1..=1_000_000;

/// All fields of a [`Budgets`] by name, each with its bounds; the compiler refuses to leave one out.
macro_rules! settings {
    ($budgets:expr, { $($field:ident: $bounds:expr,)* }) => {{
        let Budgets { $($field),* } = $budgets;
        [$((stringify!($field), $bounds, $field)),*]
    }};
}

impl Budgets {
    /// Every setting by name, with what it may be.
    pub fn settings(&mut self) -> [(&'static str, RangeInclusive<u32>, &mut u32); 26] {
        settings!(self, {
            datagrams_per_s: COUNT,
            datagrams_burst: COUNT,
            bytes_per_s: BYTES,
            bytes_burst: BURST_BYTES,
            inputs_per_s: COUNT,
            inputs_burst: COUNT,
            room_inputs_per_s: COUNT,
            room_inputs_burst: COUNT,
            requests_per_s: COUNT,
            requests_burst: COUNT,
            room_creates_per_min: COUNT,
            room_creates_burst: COUNT,
            seats_per_min: COUNT,
            seats_burst: COUNT,
            takeovers_per_min: COUNT,
            takeovers_burst: COUNT,
            room_guesses_per_min: COUNT,
            room_guesses_burst: COUNT,
            address_guesses_per_min: COUNT,
            address_guesses_burst: COUNT,
            address_joins_per_s: COUNT,
            address_joins_burst: COUNT,
            address_sessions_max: SESSIONS,
            address_room_creates_per_min: COUNT,
            address_room_creates_burst: COUNT,
            address_rooms_max: ROOMS,
        })
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// Names the first that is out of its bounds. Zero always is: it would mean "nobody".
    pub fn check(mut self) -> Result<(), OutOfBounds> {
        for (name, bounds, value) in self.settings() {
            if !bounds.contains(value) {
                let (min, max) = bounds.into_inner();
                return Err(OutOfBounds { name, min, max });
            }
        }
        Ok(())
    }

    pub(crate) fn connection(&self) -> connection::Budget {
        connection::Budget::new(
            Rate::per_second(self.datagrams_per_s, self.datagrams_burst),
            Rate::per_second(self.bytes_per_s, self.bytes_burst),
        )
    }

    pub(crate) const fn inputs(&self) -> Rate {
        Rate::per_second(self.inputs_per_s, self.inputs_burst)
    }

    pub(crate) const fn room_inputs(&self) -> Rate {
        Rate::per_second(self.room_inputs_per_s, self.room_inputs_burst)
    }

    pub(crate) const fn requests(&self) -> Rate {
        Rate::per_second(self.requests_per_s, self.requests_burst)
    }

    pub(crate) const fn room_creates(&self) -> Rate {
        Rate::per_minute(self.room_creates_per_min, self.room_creates_burst)
    }

    pub(crate) const fn seats(&self) -> Rate {
        Rate::per_minute(self.seats_per_min, self.seats_burst)
    }

    pub(crate) const fn takeovers(&self) -> Rate {
        Rate::per_minute(self.takeovers_per_min, self.takeovers_burst)
    }

    pub(crate) const fn room_guesses(&self) -> Rate {
        Rate::per_minute(self.room_guesses_per_min, self.room_guesses_burst)
    }

    pub(crate) const fn address_joins(&self) -> Rate {
        Rate::per_second(self.address_joins_per_s, self.address_joins_burst)
    }

    pub(crate) const fn address_room_creates(&self) -> Rate {
        Rate::per_minute(
            self.address_room_creates_per_min,
            self.address_room_creates_burst,
        )
    }

    /// For an IPv6 /48: as much as four of its addresses have.
    pub(crate) const fn site_guesses(&self) -> Rate {
        Rate::per_minute(
            self.address_guesses_per_min.saturating_mul(4),
            self.address_guesses_burst.saturating_mul(4),
        )
    }

    pub(crate) const fn address_guesses(&self) -> Rate {
        Rate::per_minute(self.address_guesses_per_min, self.address_guesses_burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_bounds_on_both_sides() {
        assert_eq!(Budgets::default().check(), Ok(()));
        for index in 0..Budgets::default().settings().len() {
            for beyond in [false, true] {
                let mut budgets = Budgets::default();
                let mut settings = budgets.settings();
                let (name, bounds, value) = &mut settings[index];
                let (name, min, max) = (*name, *bounds.start(), *bounds.end());
                assert!(min > 0, "{name}");
                let Some(wrong) = (if beyond {
                    max.checked_add(1)
                } else {
                    Some(min - 1)
                }) else {
                    continue;
                };
                **value = wrong;
                let expected = OutOfBounds { name, min, max };
                assert_eq!(budgets.check(), Err(expected));
            }
        }
    }
}
