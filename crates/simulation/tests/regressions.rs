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
        16,
        60,
        "A client was back, and an event of its room overtook the answer that confirms the seat. The client took \
         the numbers between for missing and ended with a violation.",
    ),
    (
        60,
        60,
        "The server was started anew and others opened the room again by the same request. A client that came back \
         to it found another seat there, and ended with a violation.",
    ),
    (
        286,
        60,
        "A client lost its connection while it asked to leave its seat. A second one opened the session again, with \
         a seat of the same number elsewhere; when the first was back, its request gave that one back.",
    ),
    (
        597,
        60,
        "After a restart a request of the game's own was given a seat under the name of one that waited. The refusal \
         of the latter then took the new one away.",
    ),
    (
        743,
        60,
        "A room was opened again after a restart and another client of the session played there. The first took its \
         seat for the old one, since the room had applied more than it knew of, and was shown nothing more.",
    ),
    (
        268,
        60,
        "A stall that began while letters waited for the end of another one let later letters overtake them. The \
         simulator did that, not the server: two inputs changed places.",
    ),
    (
        838,
        60,
        "A second client took a session over and left it in one turn. The simulator did not see that it had it.",
    ),
    (
        100,
        60,
        "A client came back, and a request of the game's own found its seat before the room answered its return. The \
         simulator counted inputs that another client of the player had sent meanwhile, and that had died with it.",
    ),
    (
        262,
        60,
        "A client was late after a restart, since an eavesdropper's copy of its resume was faster and it was asked for a \
         cookie. The simulator did not allow for that.",
    ),
    (
        378,
        60,
        "A client came back after another one of its player had played, and repeated inputs with smaller words than those \
         it was told of meanwhile. The simulator took that for whispers told twice.",
    ),
    (
        417,
        60,
        "A request made again found the player's seat in a room of another shard, and the connection was lost before the \
         answer. The seat was given up as if nobody had held it before.",
    ),
    (
        1036,
        60,
        "A request made again found the seat before the client asked for it itself. The simulator went on counting \
         its events as if the connection were the same.",
    ),
    (
        451,
        60,
        "A client was back, and died before its room had answered: the events that overtook the answer died with it. The          simulator took them for passed over in silence.",
    ),
    (
        6,
        60,
        "In a synced room a new client of a player was told how far inputs were acknowledged. Those of the client before \
         that were applied and not synced had the numbers that it gave to its own, which were ignored.",
    ),
    (54, 60, "The same."),
    (
        68,
        60,
        "The same, with a client that came back after another one had played: it gave numbers that were taken.",
    ),
    (
        97,
        60,
        "A session changed its client more than ten times in a minute, and the server refused the next. The simulator did \
         not allow for that.",
    ),
    (
        368,
        60,
        "At synced a client that came back to a seat which another one had had meanwhile was told less than that one \
         had sent. The room took its next inputs for those, and passed them over.",
    ),
    (
        485,
        60,
        "The same; and a seat was told before it was on the medium, so that a loss of power took it.",
    ),
    (
        598,
        60,
        "Power was lost twice within a second. The second process named its views as the first had, whose jump over \
         lost names was lost with them, and a client patched one onto the other.",
    ),
    (
        804,
        60,
        "How many inputs were lost was told once. The answer was lost, and the client's next one was told of none.",
    ),
    (
        467,
        60,
        "A room was closed while the disk was full. Its members were told, but not the store, and the next process had it.",
    ),
    (
        447,
        60,
        "Who had asked for a seat had another connection by the time the room had place for that, and was given views by the \
         name that the first one had for the seat.",
    ),
    (
        115,
        60,
        "A bit flipped in the record that said from where a room's views are numbered after a loss. After the next loss they \
         had the numbers of before, and clients took them for views that they knew.",
    ),
    (
        105,
        60,
        "A client asked for its seat while its room was being restored, and the room went on after its own numbers. As \
         the client asked once more, the room took events that it had said since for lost ones, and jumped over them.",
    ),
    (
        105,
        60,
        "All that was stored of a room had rotted, and it was never taken up. The simulator waited for it.",
    ),
    (
        763,
        60,
        "Bits that flipped took the jumps over lost names of two processes with them, and the third jumped less far than both. A client that \
         had seen the names of the second was shown nothing more.",
    ),
    (
        701,
        60,
        "Packets tell four epochs apart, and a server that began anew for the fourth time told its clients nothing: they waited for \
         silence.",
    ),
    (
        1_867,
        60,
        "Who left a room that was about to close was refused, since neither could be written while the disk was full.",
    ),
    (
        2_039,
        60,
        "A client took word of a process before the rot of its room for news. The simulator did.",
    ),
    (
        2_441,
        60,
        "A client that had its seat by a request of the game before the room answered its return counted inputs as sent again that the room \
         had applied meanwhile.",
    ),
    (
        1_451,
        60,
        "A receipt told an older cursor than views that had overtaken the room's answer.",
    ),
    (
        1_844,
        60,
        "An observer whose copies of a new connection's packets were faster kept the client's own address from being asked.",
    ),
    (
        2_753,
        60,
        "A short packet was answered for an older epoch alone, and the client of the last one waited for its next heartbeat.",
    ),
    (
        32,
        60,
        "A request asked once more after a restart opened its room anew, which had closed before: the server did not know of it any more. \
         The simulator took the views of both for those of one room.",
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
