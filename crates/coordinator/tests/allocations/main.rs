//! What a shard allocates: for a session that is idle, and for each datagram of steady play.

#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails"
)]

mod counting;
mod players;

use std::time::Duration;

use counting::counts;
use players::{Play, Players, ROOM};

/// Allocations of a room's tick: its view, a delta to it with what its codec needs, and what shares both. Members share all
/// of it.
const PER_TICK: usize = 7;
/// Each of so many ticks all codecs are tried, which takes so many more.
const TRIAL_EVERY: usize = 32;
const PER_TRIAL: usize = 24;

/// The state of cipher keys is not in it: that is not of Rust's allocator.
#[test]
fn an_idle_session_takes_three_kibibytes() {
    const SESSIONS: usize = 500;
    let mut players = Players::new(None);
    players.join(SESSIONS);
    let before = counts().held;
    players.join(SESSIONS);
    players.run(Duration::from_secs(60));
    let each = (counts().held - before) / SESSIONS;
    assert!((2_000..3_072).contains(&each), "{each} bytes each");
}

#[test]
fn steady_play_allocates_for_ticks_and_turns_and_nothing_for_a_datagram() {
    for play in [Play::Latest, Play::Reliable] {
        let mut players = Players::new(Some(play));
        players.join(3 * ROOM);
        players.enter_rooms();
        players.run(Duration::from_secs(5));
        let (made, done) = (counts().made, players.done);
        players.run(Duration::from_secs(2));
        let (made, done) = (counts().made - made, players.done.since(done));
        let (datagrams, ticks) = (done.datagrams, 3 * 2 * 30);
        let trials = ticks / TRIAL_EVERY + 3;
        assert!(datagrams > 15 * ticks, "{datagrams} datagrams");
        assert!(
            made <= PER_TICK * ticks + PER_TRIAL * trials + done.turns,
            "{play:?}: {made} allocations in {} turns with {ticks} ticks and {datagrams} datagrams",
            done.turns
        );
    }
}
