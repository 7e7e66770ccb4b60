//! Checkers that cannot fail prove nothing: each known defect is caught by the same generator
//! and the same checkers that pass without it, and by a property that speaks of it.

#![cfg(feature = "planted-bugs")]

use rejoin_protocol::crypto::witness;
use rejoin_protocol::planted::{Bug, plant};
use rejoin_simulation::{Failure, Load, Settings, run};

/// Seeds within which each defect must be caught.
const SEEDS: u64 = 200;

/// What each defect breaks.
fn broken_by(bug: Bug) -> &'static [&'static str] {
    match bug {
        Bug::ReplayAccepted => &["no datagram is taken twice"],
        Bug::LostNotResent => &[
            "every reliable input is applied",
            "all members see what all members did",
            "every request is answered",
            "every event arrives",
            "every player has its seats",
            "who is back is shown as back",
        ],
        Bug::LatestGoesBack => &["the newest latest input wins"],
        Bug::CursorIgnored => &[
            "a room applies each input once and in order",
            "the cursor counts what the view shows",
        ],
        Bug::DeltaAgainstUnacked => &["deltas build on what clients have"],
        Bug::RequestIdIgnored => &["one request id names one room"],
        Bug::AnyCodeOpens => &[
            "a wrong guess opens no room",
            "nobody enters a private room without its code",
        ],
        Bug::PrivateRoomListed => &["lists show no private room"],
        Bug::GuessesUncounted => &["wrong guesses are answered only within their budget"],
        Bug::LoadingIgnored => &["who loads is shown as loading"],
        Bug::LoadingNeverEnds => &["who is back is shown as back"],
        Bug::HomeIgnored => &[
            "one identity has one session",
            "the incarnation of a session only grows",
            "each client of a session has its own incarnation",
            // A room finds a member that is another shard's.
            "nothing panics",
        ],
        Bug::EventsSentAgain => &["events are told once and in order"],
        Bug::EventPassedOver => &["no event is passed over in silence"],
        Bug::LatenessShownAsLoading => &["a player is shown as loading only if it said so"],
        Bug::StayIgnored => &[
            // The client goes on with its old numbers.
            "a room applies each input once and in order",
            "an event keeps its number",
            "events are told once and in order",
            "a cursor never falls",
            // It takes one of the next process for the one it had.
            "each seat has its own name",
            "no seat outlives its room",
            // Of the new stay in place of the old one.
            "views never go back",
        ],
        Bug::SwitchedByHello => &["a hello alone changes no session"],
        Bug::OlderClientWins => &[
            "the incarnation of a session only grows",
            "each client of a session has its own incarnation",
        ],
        Bug::LivingReset => &["only connections that are no more are reset"],
        Bug::ResetUnproven => &["a forged reset moves nobody"],
        Bug::ExpiredTicketOpens => &["a ticket whose time is over opens nothing"],
        Bug::TicketSecretUnproven => &["a ticket opens nothing without its secret"],
        Bug::ReturnSkipsInput => &[
            // The server sees the gap.
            "no client ends without a cause",
            "every reliable input is applied",
        ],
        Bug::ReplacedComesBack => &["who was replaced stays away"],
        Bug::NumberUsedTwice => &["no key seals two texts under one nonce"],
        Bug::UnwrittenTold => &[
            "a cursor never falls",
            "views never go back",
            "what is acknowledged is lost by a loss of power alone",
            "what is on the medium is not lost",
            "a killed process loses no room and forgets none that is open",
            "rooms close only for cause",
            // What a client was shown is ahead of the room.
            "deltas build on what clients have",
        ],
        Bug::UnsyncedAcknowledged => &[
            "what is on the medium is not lost",
            "what is acknowledged is lost by a loss of power alone",
            "a cursor never falls",
        ],
        Bug::DurableIgnored => &["what is told once it is durable has happened"],
        Bug::FailedSyncPassedOver => &[
            // The log says that it was synced where nothing is.
            "a store opens again",
            "what is on the medium is not lost",
            "what is told once it is durable has happened",
            "rooms close only for cause",
            "no seat is lost without a cause",
        ],
        Bug::TailCutTooFar => &[
            // Segments that were cut away are missed by the manifest.
            "a store opens again",
            "a killed process loses no room and forgets none that is open",
            "a cursor never falls",
            "rooms close only for cause",
            "what is on the medium is not lost",
            "views never go back",
            "the newest latest input wins",
            "members are told the same events in the same order",
        ],
        Bug::CursorForgotten => &["a cursor never falls", "rooms close only for cause"],
        Bug::LossSkipped => &[
            "rooms close only for cause",
            "a cursor never falls",
            // It gave the seat up and is shown views all the same.
            "deltas build on what clients have",
        ],
        Bug::LossUncounted => &["a room applies each input once and in order"],
        Bug::LackIgnored => &[
            "views never go back",
            "rooms close only for cause",
            "deltas build on what clients have",
        ],
        Bug::ToldBeforeJournalled => &[
            "a cursor never falls",
            "what is acknowledged is lost by a loss of power alone",
            "a killed process loses no room and forgets none that is open",
            "rooms close only for cause",
            "views never go back",
            "deltas build on what clients have",
        ],
        Bug::EpochNotBegun => &[
            // There are segments and no manifest.
            "a store opens again",
            "a killed process loses no room and forgets none that is open",
        ],
        Bug::TakenUpTwice => &[
            "a killed process loses no room and forgets none that is open",
            "the directory lists all open rooms",
            "one request id names one room",
            // Each shard takes itself for the one that shows it.
            "nothing panics",
        ],
        Bug::FullPassedOver => &[
            "the directory lists all open rooms",
            // What comes after the turn that was not written does not follow.
            "rooms close only for cause",
            "a cursor never falls",
            "a killed process loses no room and forgets none that is open",
        ],
        Bug::PauseForgetsCalls => &[
            "each line of a player is told once and in order",
            "every reliable input is applied",
            "a room applies each input once and in order",
            "every request is answered",
        ],
        Bug::RotBelieved => &["nothing rots into something else"],
    }
}

/// Runs a seed and watches what is sealed in it.
fn watched(seed: u64, seconds: u64) -> Result<(), Failure> {
    witness::watch();
    let settings = Settings {
        seconds,
        load: Load::Drawn,
        shards: None,
        log: 0,
    };
    run(seed, &settings).outcome
}

#[test]
fn each_planted_bug_is_caught_for_what_it_is_and_its_seed_passes_without_it() {
    let (others, _) = Bug::ALL.split_at(OF_THE_DISK);
    catch_all(others, 30);
}

#[test]
fn so_is_each_of_the_disk_and_what_is_kept_on_it() {
    let (_, bugs) = Bug::ALL.split_at(OF_THE_DISK);
    // Some show only once a second process has ended.
    catch_all(bugs, 60);
}

/// The first of all defects that has to do with the disk.
const OF_THE_DISK: usize = 25;

/// All are tried before any that is not caught as it should be ends the test.
fn catch_all(bugs: &[Bug], seconds: u64) {
    let wrong = bugs.iter().filter_map(|bug| catch(*bug, seconds).err());
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[expect(
    clippy::print_stdout,
    reason = "how soon each is caught is worth a line"
)]
fn catch(bug: Bug, seconds: u64) -> Result<(), String> {
    plant(Some(bug));
    let caught = (0..SEEDS).find_map(|seed| watched(seed, seconds).err());
    plant(None);
    let failure = caught.ok_or_else(|| format!("{bug:?} is not caught in {SEEDS} seeds"))?;
    println!("{bug:?}: {failure}");
    if !broken_by(bug).contains(&failure.property) {
        return Err(format!("{bug:?} is caught for something else: {failure}"));
    }
    watched(failure.seed, seconds)
        .map_err(|other| format!("the seed that caught {bug:?} fails without it: {other}"))
}
