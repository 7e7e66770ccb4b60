//! How much one connection, session, room or address may do. Every number is a setting with bounds;
//! none can be switched off, but each can be raised until it does not matter.

use std::ops::RangeInclusive;

use rejoin_protocol::bucket::Rate;
use rejoin_protocol::connection;
use rejoin_protocol::limits::DATAGRAM_MAX;

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

/// One number of a [`Budgets`], with all that is said of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// The field's name.
    pub name: &'static str,
    /// What it bounds and why its default is what it is, in sentences.
    pub about: &'static str,
    /// What is counted, such as `inputs a second`.
    pub unit: &'static str,
    /// What it may be. Zero never is: it would mean "nobody".
    pub bounds: RangeInclusive<u32>,
    /// The number itself.
    pub value: &'a mut u32,
}

/// Makes a [`Budgets`] of one definition for each number: words, name, default, bounds, unit.
macro_rules! budgets {
    ($($(#[doc = $about:literal])+ $name:ident: $default:literal in $bounds:ident, $unit:literal;)+) => {
        /// What everyone may do. A budget is a rate and a burst: what may be done at once after a pause.
        ///
        /// Per shard, like all of a shard's bounds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Budgets {
            $(
                $(#[doc = $about])+
                #[doc = concat!("\n\nDefault ", stringify!($default), ", in ", $unit, ".")]
                pub $name: u32,
            )+
        }

        impl Default for Budgets {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Budgets {
            /// Every number by name, in the order of the fields.
            pub fn settings(&mut self) -> Vec<Setting<'_>> {
                vec![$(Setting {
                    name: stringify!($name),
                    about: concat!($($about),+).trim_ascii_start(),
                    unit: $unit,
                    bounds: $bounds,
                    value: &mut self.$name,
                },)+]
            }
        }
    };
}

budgets! {
    /// Datagrams per second of one connection. A shooter at 128 Hz sends as many and its
    /// acknowledgements ride along; bots at 1,000 inputs per second still fit.
    datagrams_per_s: 2_000 in COUNT, "datagrams a second";
    /// Datagrams at once: what a radio held back for two seconds, and the 16 seats' kept inputs after
    /// a pause.
    datagrams_burst: 4_000 in COUNT, "datagrams at once";
    /// Bytes per second of one connection: 128 datagrams of 1,200 bytes, ten times over.
    bytes_per_s: 1_500_000 in BYTES, "bytes a second";
    /// Bytes at once: all that 16 seats keep (4 MiB) and a bit.
    bytes_burst: 6_000_000 in BURST_BYTES, "bytes at once";
    /// Reliable inputs per second of one session, over all its seats; more are refused, and far more
    /// close. Eight per frame at 128 Hz.
    inputs_per_s: 1_000 in COUNT, "inputs a second";
    /// Reliable inputs at once: four seats' kept inputs (1,024 each) after a pause.
    inputs_burst: 4_096 in COUNT, "inputs at once";
    /// Inputs per second of one room, over all members: 300 players at 128 Hz, or 1,024 at 39.
    /// Reliable ones beyond are refused, latest ones dropped.
    room_inputs_per_s: 40_000 in COUNT, "inputs a second";
    /// Inputs of one room at once: 78 members who each send all they kept.
    room_inputs_burst: 80_000 in COUNT, "inputs at once";
    /// Requests per second of one session; more are refused, and far more close. A client that lost
    /// every view asks five times a second for each of 16 seats.
    requests_per_s: 100 in COUNT, "requests a second";
    /// Requests at once: two seconds of that.
    requests_burst: 200 in COUNT, "requests at once";
    /// Rooms that one session may open per minute. A player opens one per match.
    room_creates_per_min: 60 in COUNT, "rooms a minute";
    /// Rooms opened at once.
    room_creates_burst: 60 in COUNT, "rooms at once";
    /// Seats that one session may take in rooms of others per minute: every member of a room is told
    /// of whoever comes and goes. A player takes one per match.
    seats_per_min: 60 in COUNT, "seats a minute";
    /// Seats taken at once: as many as a session has. If all 64 sessions of an address come and go at
    /// once, that is 2,048 messages to a member, half of its send queue.
    seats_burst: 16 in COUNT, "seats at once";
    /// Times per minute that a client may take over a session whose client is heard, or that holds
    /// seats: somebody changes the device, or starts the game again at once. All members are told.
    takeovers_per_min: 10 in COUNT, "takeovers a minute";
    /// Takeovers at once.
    takeovers_burst: 10 in COUNT, "takeovers at once";
    /// Wrong room codes and ids of one session per minute. A player mistypes a few.
    room_guesses_per_min: 20 in COUNT, "guesses a minute";
    /// Wrong codes and ids at once.
    room_guesses_burst: 20 in COUNT, "guesses at once";
    /// Wrong room codes and ids of all sessions of one address per minute; an IPv6 /48 has four times
    /// as many.
    address_guesses_per_min: 100 in COUNT, "guesses a minute";
    /// Wrong codes and ids of one address at once.
    address_guesses_burst: 100 in COUNT, "guesses at once";
    /// Handshakes per second for hellos of one address (IPv4 /32, IPv6 /64) that come with a good
    /// cookie; more get no answer. Each takes about 0.12 ms, so 20 are a quarter of a percent of a
    /// core. Loopback is exempt under `dev` auth.
    address_joins_per_s: 20 in COUNT, "handshakes a second";
    /// Handshakes of one address at once: all sessions it may have.
    address_joins_burst: 64 in COUNT, "handshakes at once";
    /// Sessions that one address (IPv4 /32, IPv6 /64) may have opened that are not over: a full
    /// dormitory behind one router. Loopback is exempt under `dev` auth.
    address_sessions_max: 64 in SESSIONS, "sessions";
    /// Rooms that all sessions of one address may open per minute; a session that is over and comes
    /// back has a whole budget of its own. Five sessions at theirs.
    address_room_creates_per_min: 300 in COUNT, "rooms a minute";
    /// Rooms of one address opened at once.
    address_room_creates_burst: 300 in COUNT, "rooms at once";
    /// Rooms open at once that sessions of one address opened, whether these are over or not: two for
    /// each session that it may have, and an eighth of the rooms of a server.
    address_rooms_max: 128 in ROOMS, "rooms";
}

impl Budgets {
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
