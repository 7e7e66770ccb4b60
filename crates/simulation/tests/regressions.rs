//! Seeds that once failed, each with its story.

use rejoin_simulation::{Settings, run};

/// A seed, its length in seconds, and what it found.
const REGRESSIONS: &[(u64, u64, &str)] = &[
    (
        2,
        60,
        "A player who joined was first sent the view that was made before it joined. Where views \
         are private, that showed it what the room hides from it.",
    ),
    (
        1057,
        60,
        "A client that found its seat again was first sent a view older than the answer. It told \
         a lower cursor than the answer had told.",
    ),
    (
        1078,
        60,
        "With many unread events a newer view took the place of the oldest unread view, not of \
         the newest. The game was then shown an older view after a newer one.",
    ),
    (
        1794,
        60,
        "A client whose first packets were lost until the server forgot the join believed itself \
         connected. It noticed after 20 s, since nobody had announced to speak sooner.",
    ),
    (
        255,
        60,
        "The eavesdropper changed a datagram that the network had changed before, and it became what \
         it was. The server took it, as it should; the simulator called it changed.",
    ),
    (
        590,
        60,
        "A copy of a hello arrived before the hello, and all that the session was told went to where the \
         copy came from until the client had answered a challenge.",
    ),
    (
        650,
        60,
        "The same, and the packet that confirmed the join did not even lead to a challenge.",
    ),
    (
        1562,
        60,
        "A player was silent, came back with a new client that could not ask for the seat, and lost it when \
         its time was over. The simulator counted that time from the new client alone.",
    ),
    (
        268,
        60,
        "A shard stalled again before its stall was over, and letters of the first stall were given to it \
         after those of the second. An input came after the next one, and was lost.",
    ),
];

#[test]
fn seeds_that_failed_once_pass() {
    for (seed, seconds, story) in REGRESSIONS {
        let settings = Settings {
            seconds: *seconds,
            ..Settings::default()
        };
        let report = run(*seed, &settings);
        if let Err(failure) = report.outcome {
            panic!(
                "{failure}\nit once failed because: {story}\n{}",
                report.options
            );
        }
    }
}
