//! What a run tells: its outcome, its hash, and how much it tried.

use std::fmt;
use std::time::Duration;

use rejoin_protocol::Timestamp;

use crate::coverage::Coverage;

/// The outcome of one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed that decided everything.
    pub seed: u64,
    /// What was drawn from it, in one line.
    pub options: String,
    /// Hash over every datagram delivered and every event told.
    pub hash: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Whether every property held.
    pub outcome: Result<(), Failure>,
    /// Faults tried, by the state they met.
    pub coverage: Coverage,
    /// How much happened.
    pub counters: Counters,
    /// The last events, as many as [`Settings::log`](crate::Settings::log) asked for.
    pub log: Vec<String>,
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The run's seed.
    pub seed: u64,
    /// The run's length in seconds.
    pub seconds: u64,
    /// Simulated time since the run's start.
    pub at: Duration,
    /// The property, as a claim.
    pub property: &'static str,
    /// What was seen instead.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            seconds,
            at,
            property,
            detail,
        } = self;
        write!(
            f,
            "seed {seed} at {:.3} s: {property}: {detail} (again: rejoin simulate --seed {seed} --seconds {seconds})",
            at.as_secs_f64()
        )
    }
}

impl std::error::Error for Failure {}

/// How much happened in a run, or in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams sent to the server.
    pub to_server: u64,
    /// Datagrams sent to clients.
    pub to_client: u64,
    /// Datagrams lost, cut off by a partition included.
    pub lost: u64,
    /// Clients started.
    pub clients: u64,
    /// Sessions opened, as clients saw it.
    pub connects: u64,
    /// Seats taken or found again.
    pub seats: u64,
    /// Rooms opened.
    pub rooms: u64,
    /// Reliable inputs sent.
    pub inputs: u64,
    /// Latest inputs sent.
    pub latest: u64,
    /// Inputs that a full queue refused.
    pub backpressure: u64,
    /// Views told.
    pub views: u64,
    /// Views that came as deltas.
    pub deltas: u64,
    /// Room events told.
    pub events: u64,
    /// Of these, told to an earlier client of the player too.
    pub events_again: u64,
    /// Room events that clients were told they will never get.
    pub events_missed: u64,
    /// Clients that met the detached state of their server.
    pub detached: u64,
    /// Clients that another one of the same player replaced.
    pub replaced: u64,
    /// Seats in private rooms asked for by their code.
    pub by_code: u64,
    /// Wrong room codes and ids tried.
    pub guesses: u64,
    /// Of these, refused for the guesser's budget.
    pub guesses_over: u64,
    /// Loads announced.
    pub loads: u64,
    /// Times that a member was told of another's load.
    pub loads_shown: u64,
    /// Members for whom it was proven that they are shown a load.
    pub loads_proven: u64,
    /// Servers started anew.
    pub restarts: u64,
    /// Of these, after a loss of power.
    pub power_losses: u64,
    /// Rooms seen paused after a turn.
    pub paused: u64,
    /// Servers that found what bits had flipped.
    pub rots: u64,
    /// Rooms that lost something by that.
    pub rooms_rotten: u64,
    /// Acknowledged inputs that clients were told are gone.
    pub inputs_lost: u64,
    /// Connections that the server lost on purpose.
    pub lost_connections: u64,
    /// Times that a client lost its connection and went to come back.
    pub away: u64,
    /// Times that one was back.
    pub back: u64,
    /// Connections that a ticket opened.
    pub by_ticket: u64,
    /// Seats that were found again after a loss.
    pub resumed: u64,
    /// Clients for whom it was proven that they are back soon after the server.
    pub returns_proven: u64,
}

impl Counters {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.to_server, other.to_server),
            (&mut self.to_client, other.to_client),
            (&mut self.lost, other.lost),
            (&mut self.clients, other.clients),
            (&mut self.connects, other.connects),
            (&mut self.seats, other.seats),
            (&mut self.rooms, other.rooms),
            (&mut self.inputs, other.inputs),
            (&mut self.latest, other.latest),
            (&mut self.backpressure, other.backpressure),
            (&mut self.views, other.views),
            (&mut self.deltas, other.deltas),
            (&mut self.events, other.events),
            (&mut self.events_again, other.events_again),
            (&mut self.events_missed, other.events_missed),
            (&mut self.detached, other.detached),
            (&mut self.replaced, other.replaced),
            (&mut self.by_code, other.by_code),
            (&mut self.guesses, other.guesses),
            (&mut self.guesses_over, other.guesses_over),
            (&mut self.loads, other.loads),
            (&mut self.loads_shown, other.loads_shown),
            (&mut self.loads_proven, other.loads_proven),
            (&mut self.restarts, other.restarts),
            (&mut self.power_losses, other.power_losses),
            (&mut self.paused, other.paused),
            (&mut self.rots, other.rots),
            (&mut self.rooms_rotten, other.rooms_rotten),
            (&mut self.inputs_lost, other.inputs_lost),
            (&mut self.lost_connections, other.lost_connections),
            (&mut self.away, other.away),
            (&mut self.back, other.back),
            (&mut self.by_ticket, other.by_ticket),
            (&mut self.resumed, other.resumed),
            (&mut self.returns_proven, other.returns_proven),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "datagrams {} up, {} down, {} lost; clients {}, connects {}, replaced {}, detached {}; \
             rooms {}, seats {}; inputs {} reliable, {} latest, {} pushed back; views {} ({} deltas), events {} ({} again, {} missed); \
             codes {}, guesses {} ({} over budget); loads {}, shown {}, proven {}; \
             restarts {} ({} after a loss of power, {} inputs gone), paused {}, rot {} ({} rooms), \
              connections lost {}, away {}, back {}, by ticket {}, resumed {}, proven {}",
            self.to_server,
            self.to_client,
            self.lost,
            self.clients,
            self.connects,
            self.replaced,
            self.detached,
            self.rooms,
            self.seats,
            self.inputs,
            self.latest,
            self.backpressure,
            self.views,
            self.deltas,
            self.events,
            self.events_again,
            self.events_missed,
            self.by_code,
            self.guesses,
            self.guesses_over,
            self.loads,
            self.loads_shown,
            self.loads_proven,
            self.restarts,
            self.power_losses,
            self.inputs_lost,
            self.paused,
            self.rots,
            self.rooms_rotten,
            self.lost_connections,
            self.away,
            self.back,
            self.by_ticket,
            self.resumed,
            self.returns_proven,
        )
    }
}

/// A property that does not hold, before the run adds seed and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) property: &'static str,
    pub(crate) detail: String,
}

impl Violation {
    pub(crate) fn new(property: &'static str, detail: impl Into<String>) -> Self {
        Self {
            property,
            detail: detail.into(),
        }
    }

    pub(crate) fn into_failure(self, seed: u64, seconds: u64, now: Timestamp) -> Failure {
        let Self { property, detail } = self;
        Failure {
            seed,
            seconds,
            at: now.since(Timestamp::ZERO),
            property,
            detail,
        }
    }
}

/// `Ok` if `holds`, else the property with what was seen.
pub(crate) fn ensure(
    holds: bool,
    property: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation::new(property, detail()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_how_to_run_it_again() {
        let violation = Violation::new("views never go back", "4 after 5");
        let failure = violation.into_failure(9, 60, Timestamp::from_millis(1_500));
        assert_eq!(
            failure.to_string(),
            "seed 9 at 1.500 s: views never go back: 4 after 5 (again: rejoin simulate --seed 9 --seconds 60)"
        );
    }

    #[test]
    fn counters_add_up_field_by_field() {
        let one = Counters {
            to_server: 1,
            replaced: 2,
            views: 3,
            ..Counters::default()
        };
        let mut sum = one;
        sum.add(&one);
        assert_eq!(
            sum,
            Counters {
                to_server: 2,
                replaced: 4,
                views: 6,
                ..Counters::default()
            }
        );
    }
}
