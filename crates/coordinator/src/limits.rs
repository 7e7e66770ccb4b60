//! Bounds that only a shard needs, each with its rule when it is reached. Those that clients
//! must know too are in [`rejoin_protocol::limits`].

use std::time::Duration;

use rejoin_protocol::bucket::Rate;
use rejoin_protocol::limits::{
    EARLY_MAX, EVENT_MAX, HEARTBEAT_SEATED, INPUTS_KEPT_MAX, PENDING_JOIN_LIFE, RELIABLE_MAX,
    ROOM_MEMBERS_MAX, SEATS_MAX, SEND_QUEUE_BYTES_MAX, SNAPSHOT_RING, STREAM_WINDOW,
};

/// Calls that wait for one room in one turn; one more request for a seat is refused. Inputs are
/// bounded by sender, so that nobody pays for another: one with more than a stream's window of
/// them in one turn is closed as over its limit.
pub(crate) const ROOM_CALLS_MAX: usize = 4_096;
/// Calls in one record of a journal; a record with more is not ours. Room for what all members of
/// the largest room can ask of it in one turn: inputs, requests to leave, and changes of their
/// seats, which cannot be refused.
pub(crate) const ROOM_ENTRIES_MAX: usize = 1 << 20;
/// Requests of one session in one turn; one more closes it as over its limit.
pub(crate) const REQUESTS_MAX: u16 = 64;
/// Members named in one answer; the others are told one by one after it, because an answer
/// with all 1,024 would pass the client's bound on MessagePack values.
pub(crate) const SEATED_MEMBERS_MAX: usize = 512;
/// Bytes of cards in one list; the list is cut before it exceeds them.
pub(crate) const LIST_BYTES_MAX: usize = 48 * 1024;
/// MessagePack values in one list; cut as above.
pub(crate) const LIST_VALUES_MAX: usize = 3_500;

/// When to ask again a server that is shutting down.
pub(crate) const STOPPING_RETRY: Duration = Duration::from_secs(1);
/// How long a ticket is good. Half of it passes before a client has the next one, so that a session can be taken
/// up 12 hours after its client was last there.
pub const TICKET_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Resets a second: all 4,000 clients of a server that was restarted can be told within 100 ms. Beyond that the
/// datagram is dropped; its client sends more.
pub(crate) const RESETS_PER_S: u32 = 40_000;
/// See [`RESETS_PER_S`].
pub(crate) const RESETS_BURST: u32 = 4_096;
/// Rounds of epoch bits before the last one whose clients are told too: with it 16 starts of a server.
pub(crate) const RESET_OLDER_ROUNDS: u8 = 3;
/// Until a server is that old it answers for the last round alone: twice as long as members are silent.
pub(crate) const RESET_OLDER_AFTER: Duration = HEARTBEAT_SEATED.saturating_mul(2);
/// Closed rooms remembered, so that a late retry of their request does not open a twin; the
/// oldest is forgotten.
pub(crate) const TOMBSTONES_MAX: usize = 1_024;
/// Requests remembered that were placed in an open room; the oldest is forgotten.
pub(crate) const PLACED_MAX: usize = 4_096;
/// Addresses without a session or room that are remembered until their budgets have come back; the one
/// closest to that is forgotten first. Some 150 bytes each.
pub(crate) const IDLE_ADDRESSES_MAX: usize = 4_096;
/// IPv6 /48s that are remembered until their wrong guesses have come back; the one closest to that is
/// forgotten first. Some 60 bytes each.
pub(crate) const SITES_MAX: usize = 4_096;
/// Tries to draw a room code that no room has; then the create is refused for the moment. With a
/// million private rooms all would fail once in 2^80.
pub(crate) const CODE_DRAWS_MAX: usize = 8;
/// How long a closed room is remembered.
pub(crate) const TOMBSTONE_LIFE: Duration = Duration::from_secs(600);

/// Shortest time between two views of a room without a clock: 30 per second, as in play.
pub(crate) const VIEW_INTERVAL: Duration = Duration::from_millis(33);
/// Private views kept per member: enough for deltas at 30 Hz over a round trip of 200 ms.
pub(crate) const PRIVATE_RING: usize = 8;
/// Snapshots of one member whose fate is open; the oldest is forgotten and cannot become a base.
pub(crate) const IN_FLIGHT_MAX: usize = 64;

/// Events of one seat that are kept until its client acknowledges them; then the oldest is dropped and counted.
/// Four seconds of one a tick at 60 Hz: what a client misses while it makes a new connection. Who is away for longer
/// needs the view, not the history, and is told how many it missed.
pub(crate) const EVENTS_KEPT_MAX: usize = 256;
/// Their payload bytes; the same rule. What is said to all is held once for all members of a room.
pub(crate) const EVENTS_KEPT_BYTES_MAX: usize = 64 * 1024;
/// Events on their way to a client that catches up; more follow as it acknowledges them. So that the sixteen seats
/// of a session fit a send queue together, and a client's bound on what overtakes an answer.
pub(crate) const EVENTS_AGAIN_MAX: u64 = 32;
/// Their payload bytes; the same rule, but that one event of any length may be on its way.
pub(crate) const EVENTS_AGAIN_BYTES_MAX: usize = 16 * 1024;

/// Calls taken out of a room within [`VOID_WINDOW`] that close it.
pub(crate) const VOIDS_MAX: usize = 3;
/// See [`VOIDS_MAX`].
pub(crate) const VOID_WINDOW: Duration = Duration::from_secs(60);

/// Journal of a room that is worth a checkpoint in any case.
pub(crate) const CHECKPOINT_BYTES_MIN: usize = 64 * 1024;
/// The same of one that dies with its process: its checkpoints cost no disk, and its journal memory that is near.
pub(crate) const CHECKPOINT_BYTES_MIN_NONE: usize = 16 * 1024;
/// A journal this many times as long as the newest checkpoint is worth another.
pub(crate) const CHECKPOINT_GROWTH: usize = 4;
/// Longest age of a call that no checkpoint covers.
pub(crate) const CHECKPOINT_AFTER: Duration = Duration::from_secs(5);

/// Names of views that a room may give between two losses, or before what it knows of them is on the medium: a hundred days at
/// 30 a second. An epoch that is a time of day leaves place for them too.
pub(crate) const VIEWS_PER_EPOCH: u64 = 1 << 28;
/// Inputs or events of a seat that were told and lost; a client that claims more is not believed.
pub(crate) const NUMBERS_LOST_MAX: u64 = 1 << 20;
/// How soon a room that nobody is in looks again whether it may hibernate, if a connection is yet to be given up.
pub(crate) const DROWSY_RETRY: Duration = Duration::from_secs(1);
/// Rooms of the store that a turn takes up, at most.
pub(crate) const RECOVERED_PER_TURN: usize = 32;
/// The same in time, as far as it is measured: sessions are answered between two turns meanwhile.
pub(crate) const RECOVERY_PER_TURN: Duration = Duration::from_millis(2);
/// Calls that wait for rooms which are not up yet: all that the sessions of a shard ask at once after an outage, twice. One
/// more is refused for the moment.
pub(crate) const DORMANT_CALLS_MAX: usize = 8_192;

/// Ticks over the budget in succession after which their room is slowed.
pub(crate) const TICKS_OVER_BUDGET: u32 = 3;

/// Shortest time between two lines of a shard about faults of room logic, about its budget, and between two about its
/// store; those between are counted in the next one.
pub(crate) const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a connection that was closed may take to say so.
pub(crate) const CLOSING_LIFE: Duration = Duration::from_secs(1);
/// Challenges to the new addresses of one connection: ten a second, so that whoever relays its packets
/// makes us send little, and four at once, so that a lost one costs a client that moved no more than the
/// time to its next packet. Each answers a packet from there and is no longer than a client's shortest.
pub(crate) const CHALLENGE_RATE: Rate = Rate::per_second(10, 4);
/// How long an address that was challenged is waited for before another one is: a stranger whose copy
/// of a packet came first must not take that time from the client for longer.
pub(crate) const CANDIDATE_LIFE: Duration = Duration::from_millis(100);
/// Joins whose keys no packet has confirmed and whose sender has shown neither cookie nor ticket; with as many,
/// more hellos are asked for a cookie. About 2 KiB each: all the memory that strangers can hold.
pub(crate) const UNEARNED_JOINS_MAX: usize = 64;
/// Handshakes of strangers: 500 a second are about 6 % of a core at 124 us each, and 50 at once.
/// Beyond them hellos are asked for a cookie.
pub(crate) const UNEARNED_RATE: Rate = Rate::per_second(500, 50);
/// Handshakes of unproven senders with a good ticket: all the clients of a shard at once after an outage, and then 2,000 a
/// second, a sixth of a core at 80 us each. Beyond them they are asked for a cookie: who has recorded hellos on their way,
/// or plays and sends its own from false addresses, gets that much.
pub(crate) const TICKETED_RATE: Rate = Rate::per_second(2_000, 4_096);
/// How far a hello's moment may be ahead of the server's own clock; it is refused with a moment to use
/// instead. Were it remembered, a client whose clock was wrong once could find none that is larger.
pub(crate) const MOMENT_AHEAD_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Handshake replies that wait to be sent; more hellos get no answer.
pub(crate) const REPLIES_MAX: usize = 1_024;
/// Reliable inputs of a member abroad that wait for its room. More than a stream's window, as its own shard
/// acknowledges packets while the room's does not run.
pub(crate) const INPUTS_ABROAD_MAX: u64 = 2 * STREAM_WINDOW;
/// Reliable inputs of a member that wait for a paused room: all that its client keeps. One more closes it.
pub(crate) const INPUTS_WAITING_MAX: u64 = INPUTS_KEPT_MAX as u64;
/// Calls that wait for a paused room; with more it is closed, and what is stored of it stays. All inputs that 64 clients
/// keep. What is longer than a record may be has the same end.
pub(crate) const PAUSED_CALLS_MAX: usize = 65_536;
/// How soon a paused room tries again to store its calls, and when who asks for a seat there may ask again.
pub(crate) const PAUSE_RETRY: Duration = Duration::from_millis(500);
/// Rooms that a turn tries to store one by one when it cannot be written as a whole; the others are paused. Each costs some
/// system calls, which a full disk answers at once.
pub(crate) const STORED_ALONE_MAX: usize = 16;
/// Letters that wait for one other shard; see [`crate::mail`] for what is not written then. About 13 MiB, and
/// what 1,000 members abroad are sent in two seconds. More than all sessions of an address can write in a turn.
pub(crate) const LETTERS_MAX: usize = 65_536;
/// How soon a room tries again to show a member at another shard what did not go.
pub(crate) const OWED_RETRY: Duration = Duration::from_millis(2);
/// Close packets kept for peers that did not hear them, about 200 bytes each.
pub(crate) const GOODBYES_MAX: usize = 1_024;
/// Demands for a cookie or another version that wait to be sent: everyone who comes within some 50 ms
/// of a server's start. About 100 bytes each. More hellos get no answer.
pub(crate) const DEMANDS_MAX: usize = 4_096;
/// Demands sent in a turn. Sending is the dearest part of a refused hello, about 4 us of 7 on loopback;
/// a turn that has taken in its 512 datagrams spends 0.5 ms on them.
pub(crate) const DEMANDS_PER_TURN: usize = 128;

const _: () = assert!(EVENT_MAX <= EVENTS_KEPT_BYTES_MAX);
const _: () = assert!(SEATS_MAX * EVENTS_AGAIN_BYTES_MAX <= SEND_QUEUE_BYTES_MAX / 2);
const _: () = assert!(2 * SEATS_MAX as u64 * EVENTS_AGAIN_MAX <= EARLY_MAX as u64);
const _: () = assert!(LIST_BYTES_MAX < RELIABLE_MAX);
/// Changes of one seat in one turn: steps of the ladder, a connection that ends, a hold that is over.
const SEAT_CHANGES_MAX: u64 = 8;
const _: () = assert!(
    ROOM_ENTRIES_MAX as u64
        // A seat that is asked for again may be told as returned, and as loading.
        > 3 * ROOM_CALLS_MAX as u64
            + ROOM_MEMBERS_MAX as u64
                * (INPUTS_ABROAD_MAX + 1 + REQUESTS_MAX as u64 + SEAT_CHANGES_MAX)
);
const _: () = assert!(INPUTS_WAITING_MAX >= INPUTS_ABROAD_MAX);
const _: () = assert!(PAUSED_CALLS_MAX < ROOM_ENTRIES_MAX / 2);
const _: () = assert!(PRIVATE_RING <= SNAPSHOT_RING && SNAPSHOT_RING <= IN_FLIGHT_MAX);
const _: () = assert!(
    SEATS_MAX < REQUESTS_MAX as usize,
    "a client may take all its seats at once"
);
const _: () = assert!(CLOSING_LIFE.as_millis() < PENDING_JOIN_LIFE.as_millis());
