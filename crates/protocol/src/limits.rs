//! Every bound of the protocol in one place, each with its rule when it is reached.

use std::time::Duration;

/// The protocol version this build speaks best.
pub const VERSION_MAX: u8 = 1;
/// The oldest version this build still speaks.
pub const VERSION_MIN: u8 = 1;

/// Largest datagram sent before path discovery: fits every path that IPv6 allows, less headers.
pub const DATAGRAM_MAX: usize = 1200;
/// Bytes of AEAD tag (AES-GCM and ChaCha20-Poly1305 alike).
pub const TAG_LEN: usize = 16;
/// Header bytes to the server at most: flags, connection id, 4-byte packet number.
pub const HEADER_MAX: usize = 9;
/// Bytes of frames that fit one datagram in the worst case.
pub const FRAMES_MAX: usize = DATAGRAM_MAX - HEADER_MAX - TAG_LEN;

/// Bytes of one fragment of a message: leaves room for its frame header.
pub const FRAGMENT_MAX: usize = FRAMES_MAX - 24;
/// Fragments of an unreliable message; a longer one is refused to the sender.
pub const LATEST_FRAGMENTS_MAX: usize = 8;
/// Longest unreliable message.
pub const LATEST_MAX: usize = FRAGMENT_MAX * LATEST_FRAGMENTS_MAX;
/// Fragmented unreliable messages a receiver keeps incomplete; the oldest is given up for a new
/// one. Two for each seat, so that reordering alone loses none.
pub const LATEST_PARTIALS_MAX: usize = 32;
/// How long a receiver keeps an unreliable message incomplete: a sender sends all of it in one
/// burst, so what is missing then is lost.
pub const LATEST_PARTIAL_LIFE: Duration = Duration::from_secs(2);
/// Longest reliable message; a longer one is refused to the sender, and closes from a peer.
pub const RELIABLE_MAX: usize = 64 * 1024;
/// Keys on the latest lane of a connection that may wait at once; one more is refused to the
/// sender. A receiver remembers as many and forgets the one unused for longest.
pub const LATEST_KEYS_MAX: usize = 64;
/// Ordered streams of a connection. A seat has one of them, so that what one room's packet lost, or
/// its long view, does not hold up another room.
pub const ORDERED_STREAMS: usize = 4;
/// Reliable messages a sender may have unacknowledged per stream, and a receiver buffers;
/// beyond it messages wait in the send queue, and from a peer close the connection.
pub const STREAM_WINDOW: u64 = 256;
/// What a held message costs its receiver besides its bytes: its place, and rounding by the
/// allocator.
pub const MESSAGE_COST: usize = 128;
/// What each held fragment costs besides, alike.
pub const FRAGMENT_COST: usize = 64;
/// Longest request of a client, in bytes: options, metadata and filters at their bounds.
pub const CONTROL_TO_SERVER_MAX: usize = 12 * 1024;
/// Longest reliable message of a client in a room: an input with its head.
pub const RELIABLE_TO_SERVER_MAX: usize = INPUT_MAX + 16;
/// What a server holds of a client's control stream, costs included. As with all windows, a sender
/// keeps to it and the rest waits in its queue; more from a peer closes the connection.
pub const WINDOW_CONTROL_TO_SERVER: usize = 16 * 1024;
/// The same of each of its ordered streams.
pub const WINDOW_ORDERED_TO_SERVER: usize = 10 * 1024;
/// The same of its incomplete latest inputs; beyond it the oldest is given up.
pub const WINDOW_LATEST_TO_SERVER: usize = 8 * 1024;
/// All that a client can make a server hold before it can be delivered. Besides it a connection has
/// tables of fixed size: the replay window, acknowledgement ranges, latest keys.
pub const HELD_BY_SERVER_MAX: usize =
    WINDOW_CONTROL_TO_SERVER + ORDERED_STREAMS * WINDOW_ORDERED_TO_SERVER + WINDOW_LATEST_TO_SERVER;
/// What a client holds of each stream of its server: two messages of the longest kind, so that
/// the next is under way while one is acknowledged.
pub const WINDOW_STREAM_TO_CLIENT: usize = 144 * 1024;
/// What a client holds of incomplete latest messages: as many as it may of the longest kind.
pub const WINDOW_LATEST_TO_CLIENT: usize =
    LATEST_PARTIALS_MAX * (MESSAGE_COST + LATEST_FRAGMENTS_MAX * FRAGMENT_COST + LATEST_MAX);
/// Reliable messages that may wait in a send queue, unacknowledged ones included; more are refused
/// to the caller. The ordered streams share one such queue. One hiccup of a full room tells each
/// member twice of every other: they fall silent and they return.
pub const SEND_QUEUE_MAX: usize = 4096;
/// Bytes that may wait in a send queue, counted alike; more are refused to the caller.
pub const SEND_QUEUE_BYTES_MAX: usize = 512 * 1024;

/// Packet numbers a receiver remembers behind the newest; older ones are dropped.
pub const REPLAY_WINDOW: u64 = 1024;
/// Ranges an acknowledgement carries; older ones are forgotten.
pub const ACK_RANGES_MAX: usize = 32;
/// Sent packets remembered for acknowledgement; beyond it the oldest count as lost.
pub const SENT_PACKETS_MAX: usize = 1024;
/// Longest wait before an acknowledgement leaves without other data: one tick at 30 Hz and a bit,
/// so that in play it always rides along.
pub const ACK_DELAY_MAX: Duration = Duration::from_millis(40);
/// Packets that wait for an acknowledgement after which it leaves at once, so that a burst of
/// reliable data is not held up by the delay. In play a tick brings fewer.
pub const ACK_EVERY: u32 = 8;
/// Authentication failures of datagrams on the path in use, under one key of the peer, after which a
/// connection closes (far below the AEAD's own limit).
pub const AEAD_FAILURES_MAX: u64 = 1 << 20;
/// Packets under one key after which its sender changes it: AES-128-GCM is trusted with 2^24.5
/// of full size (RFC 9001, section 6.6).
pub const REKEY_AFTER_PACKETS: u64 = 1 << 24;
/// Age of a key after which its sender changes it: what leaks later opens an hour at most.
pub const REKEY_AFTER: Duration = Duration::from_secs(3_600);
/// Packets under one key that no acknowledgement lets change: the sender closes.
pub const KEY_PACKETS_MAX: u64 = (1 << 24) + (1 << 23);
/// Longest time that a receiver keeps the old key after a change; else three probe timeouts.
/// Until then it follows no further change.
pub const OLD_KEY_HELD_MAX: Duration = Duration::from_secs(60);

/// Longest silence a side may announce and keep while it has a seat in an awake room.
pub const HEARTBEAT_SEATED: Duration = Duration::from_millis(500);
/// The same without a seat.
pub const HEARTBEAT_IDLE: Duration = Duration::from_secs(15);
/// Shortest silence a side may announce: below it heartbeats would be the traffic.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// Longest silence a side may announce; more from a peer counts as this. A server bears less of its
/// clients: [`HEARTBEAT_SEATED`] or [`HEARTBEAT_IDLE`]. Whoever loads says so: see [`LOADING_MAX`].
pub const HEARTBEAT_ANNOUNCED_MAX: Duration = Duration::from_secs(60);
/// Shortest silence beyond the announced interval that makes a peer suspect.
pub const SUSPECT_AFTER_MIN: Duration = Duration::from_millis(750);
/// Longest silence beyond the announced interval that a slow link may need before suspicion.
pub const SUSPECT_AFTER_MAX: Duration = Duration::from_millis(1_500);
/// Silence beyond the announced interval that detaches a peer.
pub const DETACH_AFTER: Duration = Duration::from_secs(5);
/// Longest silence that a loading peer is granted, counted from its first notice. After it ended as
/// much time must pass as it took before another notice counts anew.
pub const LOADING_MAX: Duration = Duration::from_secs(60);
/// Shortest time between two loadings of a peer that are told to others; one that begins sooner is
/// granted and not told. A room of 1,024 who load as often as they can makes 2,048 messages a second
/// for each member, which the send queue bears for two seconds and a link of 100 ms for good.
pub const LOADING_TOLD_INTERVAL: Duration = Duration::from_secs(1);
/// Time between probes of a suspect peer.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(200);
/// Time between probes of a detached peer.
pub const PROBE_INTERVAL_DETACHED: Duration = Duration::from_secs(1);
/// How long a detached player's seat is held: longer than a reboot of a phone.
pub const SEAT_HOLD: Duration = Duration::from_secs(120);

/// First wait before an unanswered hello goes out again; doubles up to [`HELLO_RETRY_MAX`].
pub const HELLO_RETRY: Duration = Duration::from_millis(250);
/// Longest wait between hellos: at 20 % loss each way, eleven tries in [`JOIN_TIMEOUT`] all fail for
/// one join in 70,000.
pub const HELLO_RETRY_MAX: Duration = Duration::from_secs(1);
/// First wait before an unanswered hello that resumes goes out again; doubles up to [`HELLO_RETRY_MAX`], each less
/// by up to a quarter. It is a hello of many when a server comes back, and of a player who waits.
pub const RESUME_RETRY: Duration = Duration::from_millis(100);
/// How long a client tries to join before it gives up, unless told otherwise.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server keeps the keys of a join that no packet has confirmed, counted from the newest
/// arrival of its hello.
pub const PENDING_JOIN_LIFE: Duration = Duration::from_secs(5);
/// Longest permit.
pub const PERMIT_MAX: usize = 512;
/// Longest claims of a permit, in bytes: they are kept with every seat and travel in tickets.
pub const CLAIMS_MAX: usize = 128;
/// Keys of permits, or of tickets, in use at once: one that seals, and those before it whose work may still
/// be good.
pub const SEALING_KEYS_MAX: usize = 8;
/// Cookies that a joining client answers at once; later ones wait for its next hello, so that
/// nobody can make it send in a loop.
pub const COOKIES_AT_ONCE_MAX: u32 = 4;
/// Times that a joining client starts anew because its hello was older than another of its identity;
/// then the server's refusal is its end.
pub const OLD_HELLOS_MAX: u32 = 3;
/// Longest ticket: the longest name and claims, and 103 bytes.
pub const TICKET_MAX: usize = CLAIMS_MAX + NAME_MAX + 103;

/// Longest text of a refusal, in bytes; longer ones are cut.
pub const REFUSAL_TEXT_MAX: usize = 256;
/// Nesting depth of MessagePack from a peer.
pub const MESSAGEPACK_DEPTH_MAX: usize = 16;
/// Values in one MessagePack message from a peer.
pub const MESSAGEPACK_ITEMS_MAX: usize = 4096;
/// Longest text in a control message that may be unprintable, in bytes: twice the longest refusal.
pub const CONTROL_TEXT_MAX: usize = 2 * REFUSAL_TEXT_MAX;
/// Seats one session may hold.
pub const SEATS_MAX: usize = 16;
/// Longest name of a player, in bytes; a longer one from a server ends the session.
pub const NAME_MAX: usize = 32;
/// Longest name of a room kind, in bytes.
pub const KIND_MAX: usize = 32;
/// Entries of a room's metadata.
pub const METADATA_ENTRIES_MAX: usize = 16;
/// Longest metadata key or text value, in bytes.
pub const METADATA_TEXT_MAX: usize = 64;
/// Longest options of a room's kind, in bytes; longer ones are refused.
pub const OPTIONS_MAX: usize = INPUT_MAX;
/// Rooms in one answer to a list request.
pub const LIST_MAX: usize = 64;
/// Snapshots a room keeps to make deltas against, and a client keeps to apply them to.
pub const SNAPSHOT_RING: usize = 32;
/// Largest encoded view, in bytes: travels as one reliable message when it exceeds [`LATEST_MAX`].
pub const VIEW_MAX: usize = RELIABLE_MAX - 64;
/// Largest reliable or latest input, in bytes.
pub const INPUT_MAX: usize = 4 * 1024;

/// Reliable inputs a client keeps per seat until the room's cursor covers them; more are refused
/// to the caller.
pub const INPUTS_KEPT_MAX: usize = 1024;
/// Their payload bytes; more are refused to the caller.
pub const INPUTS_KEPT_BYTES_MAX: usize = 256 * 1024;
/// Requests of a client that wait for their answers; more are refused to the caller. With a resync
/// for every seat they stay below what a server takes from one session at once.
pub const CALLS_MAX: usize = 32;
/// Room messages that overtook the answer which names their seat, as a client keeps them. When full,
/// a snapshot is dropped (a resync heals that) and an event ends the session. What the seats of a session
/// are sent again while a round trip passes, twice.
pub const EARLY_MAX: usize = 1024;
/// Their bytes; the same rule.
pub const EARLY_BYTES_MAX: usize = 512 * 1024;
/// Shortest time between two resync requests for one seat.
pub const RESYNC_INTERVAL: Duration = Duration::from_millis(200);
/// Events a client machine holds for a caller that does not take them; one more ends the session.
pub const EVENTS_UNREAD_MAX: usize = 4096;
/// Bytes of their payloads and texts; the same rule. Room for the longest views that may wait, two
/// full send queues of a server and as many answers.
pub const EVENTS_UNREAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a room handle holds for a game that does not take it, views (newest wins) not counted; one
/// more ends the session.
pub const ROOM_EVENTS_UNREAD_MAX: usize = 1024;
/// Bytes of their payloads and texts; the same rule. Two full send queues of a server.
pub const ROOM_EVENTS_UNREAD_BYTES_MAX: usize = 1024 * 1024;

/// Members of one room; a creator who asks for more is refused. A client whose server tells of more
/// ends the session.
pub const ROOM_MEMBERS_MAX: u16 = 1024;
/// Timers that wait in one room; one more is a fault of its logic.
pub const TIMERS_MAX: usize = 1024;
/// Events that one call of room logic may send; one more is a fault of its logic.
pub const EVENTS_PER_CALL_MAX: usize = 4096;
/// Longest encoded event: a reliable message less the room message's own head.
pub const EVENT_MAX: usize = RELIABLE_MAX - 32;
/// Largest encoded state of a room: what can be written within a tick.
pub const STATE_MAX: usize = 1024 * 1024;
/// Nesting depth of a room's state: deeper than a peer's messages, still safe to recurse into.
pub const STATE_DEPTH_MAX: usize = 64;

const _: () = assert!(VERSION_MIN <= VERSION_MAX);
const _: () = assert!(
    LATEST_FRAGMENTS_MAX <= 16,
    "a fragment's index and count share one byte"
);
const _: () = assert!(LATEST_MAX < VIEW_MAX && VIEW_MAX < RELIABLE_MAX);
const _: () = assert!(
    HELD_BY_SERVER_MAX <= 64 * 1024,
    "a hundred thousand clients fit 6.4 GiB"
);
const _: () = assert!(
    INPUT_MAX <= LATEST_MAX,
    "an input may travel on either lane"
);
const _: () = assert!(SUSPECT_AFTER_MIN.as_millis() <= SUSPECT_AFTER_MAX.as_millis());
const _: () = assert!(SUSPECT_AFTER_MAX.as_millis() < DETACH_AFTER.as_millis());
const _: () = assert!(DETACH_AFTER.as_millis() < SEAT_HOLD.as_millis());
const _: () = assert!(PROBE_INTERVAL.as_millis() * 3 < SUSPECT_AFTER_MIN.as_millis());
const _: () = assert!(ACK_DELAY_MAX.as_millis() * 4 < SUSPECT_AFTER_MIN.as_millis());
const _: () = assert!(HEARTBEAT_SEATED.as_millis() <= HEARTBEAT_IDLE.as_millis());
const _: () = assert!(HEARTBEAT_MIN.as_millis() <= HEARTBEAT_SEATED.as_millis());
const _: () = assert!(HEARTBEAT_IDLE.as_millis() <= HEARTBEAT_ANNOUNCED_MAX.as_millis());
const _: () = assert!(SEATS_MAX * 2 <= LATEST_KEYS_MAX);
const _: () = assert!(SEATS_MAX * 2 <= LATEST_PARTIALS_MAX);
const _: () = assert!(SEND_QUEUE_MAX > 2 * ROOM_MEMBERS_MAX as usize);
const _: () = assert!(
    INPUTS_KEPT_MAX <= SEND_QUEUE_MAX,
    "one seat's inputs fit the send queue"
);
const _: () = assert!(INPUTS_KEPT_BYTES_MAX < SEND_QUEUE_BYTES_MAX);
const _: () = assert!(REKEY_AFTER_PACKETS < KEY_PACKETS_MAX);
const _: () = assert!(OLD_KEY_HELD_MAX.as_secs() * 10 < REKEY_AFTER.as_secs());
const _: () = assert!(EARLY_BYTES_MAX >= RELIABLE_MAX);
const _: () = assert!(ROOM_EVENTS_UNREAD_BYTES_MAX >= 2 * SEND_QUEUE_BYTES_MAX);
const _: () = assert!(
    PERMIT_MAX + 256 < DATAGRAM_MAX && TICKET_MAX + 256 < DATAGRAM_MAX,
    "a hello is one datagram"
);
