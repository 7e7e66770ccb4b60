//! The tables of constants: values and units as the code has them, and none left out.

use std::collections::BTreeSet;
use std::time::Duration;

use rejoin_protocol::limits;

use super::page::{file, page, table};

/// A constant in the unit that the page gives.
trait Constant {
    fn show(&self, unit: &str) -> String;
}

impl Constant for Duration {
    fn show(&self, unit: &str) -> String {
        match unit {
            "ms" => self.as_millis().to_string(),
            "s" => self.as_secs_f64().to_string(),
            _ => panic!("{unit:?} is no unit of time"),
        }
    }
}

macro_rules! counts {
    ($($count:ty)*) => {
        $(impl Constant for $count {
            fn show(&self, unit: &str) -> String {
                assert!(!["ms", "s"].contains(&unit), "not a time");
                self.to_string()
            }
        })*
    };
}
counts!(u8 u16 u32 u64 usize);

macro_rules! constants {
    ($($name:ident)*) => {
        [$((stringify!($name), &limits::$name as &dyn Constant)),*]
    };
}

/// Those of `limits.rs` that both ends have to know, or that bound what a peer sends.
fn of_the_wire() -> impl IntoIterator<Item = (&'static str, &'static dyn Constant)> {
    constants! {
        VERSION_MIN VERSION_MAX DATAGRAM_MAX TAG_LEN HEADER_MAX FRAMES_MAX FRAGMENT_MAX
        LATEST_FRAGMENTS_MAX LATEST_MAX LATEST_PARTIALS_MAX LATEST_PARTIAL_LIFE LATEST_KEYS_MAX
        RELIABLE_MAX ORDERED_STREAMS STREAM_WINDOW MESSAGE_COST FRAGMENT_COST
        CONTROL_TO_SERVER_MAX RELIABLE_TO_SERVER_MAX WINDOW_CONTROL_TO_SERVER
        WINDOW_ORDERED_TO_SERVER WINDOW_LATEST_TO_SERVER WINDOW_STREAM_TO_CLIENT
        WINDOW_LATEST_TO_CLIENT REPLAY_WINDOW ACK_RANGES_MAX SENT_PACKETS_MAX ACK_DELAY_MAX
        ACK_EVERY AEAD_FAILURES_MAX REKEY_AFTER_PACKETS REKEY_AFTER KEY_PACKETS_MAX
        OLD_KEY_HELD_MAX HEARTBEAT_SEATED HEARTBEAT_IDLE HEARTBEAT_MIN HEARTBEAT_ANNOUNCED_MAX
        SUSPECT_AFTER_MIN SUSPECT_AFTER_MAX DETACH_AFTER LOADING_MAX LOADING_TOLD_INTERVAL
        PROBE_INTERVAL PROBE_INTERVAL_DETACHED SEAT_HOLD HELLO_RETRY HELLO_RETRY_MAX JOIN_TIMEOUT
        RESUME_RETRY PENDING_JOIN_LIFE PERMIT_MAX CLAIMS_MAX COOKIES_AT_ONCE_MAX OLD_HELLOS_MAX TICKET_MAX
        REFUSAL_TEXT_MAX MESSAGEPACK_DEPTH_MAX MESSAGEPACK_ITEMS_MAX CONTROL_TEXT_MAX SEATS_MAX
        NAME_MAX KIND_MAX METADATA_ENTRIES_MAX METADATA_TEXT_MAX OPTIONS_MAX LIST_MAX
        SNAPSHOT_RING VIEW_MAX INPUT_MAX INPUTS_KEPT_MAX INPUTS_KEPT_BYTES_MAX CALLS_MAX EARLY_MAX
        EARLY_BYTES_MAX RESYNC_INTERVAL ROOM_MEMBERS_MAX EVENT_MAX
    }
}

/// The others: what one side keeps for itself.
const OF_ONE_SIDE: [&str; 12] = [
    "HELD_BY_SERVER_MAX",
    "SEND_QUEUE_MAX",
    "SEND_QUEUE_BYTES_MAX",
    "SEALING_KEYS_MAX",
    "EVENTS_UNREAD_MAX",
    "EVENTS_UNREAD_BYTES_MAX",
    "ROOM_EVENTS_UNREAD_MAX",
    "ROOM_EVENTS_UNREAD_BYTES_MAX",
    "TIMERS_MAX",
    "EVENTS_PER_CALL_MAX",
    "STATE_MAX",
    "STATE_DEPTH_MAX",
];

#[test]
fn the_table_of_limits_has_the_codes_own_values() {
    let mut listed = BTreeSet::new();
    let rows = table(&page(), &["limit", "value", "unit", "meaning"]);
    for (name, constant) in of_the_wire() {
        let row = rows.iter().find(|row| row[0] == name);
        let row = row.unwrap_or_else(|| panic!("docs/protocol.md lacks {name}"));
        assert_eq!(row[1].replace(',', ""), constant.show(&row[2]), "{name}");
        listed.insert(name);
    }
    assert_eq!(
        rows.len(),
        listed.len(),
        "no row has an unknown name, or comes twice"
    );
    let source = file("crates/protocol/src/limits.rs");
    let names = source.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("pub const ")?.split_once(':')?;
        Some(name)
    });
    for name in names {
        let known = listed.contains(name) || OF_ONE_SIDE.contains(&name);
        assert!(
            known,
            "{name} belongs into docs/protocol.md, or to one side alone"
        );
    }
}

/// The value of a constant in its source, as the page writes it.
fn in_source(source: &str, name: &str) -> Option<String> {
    let mut lines = source.lines().map(str::trim);
    let line = lines.find(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let line = line.strip_prefix("pub(super) ").unwrap_or(line);
        let after = line
            .strip_prefix("const ")
            .and_then(|line| line.strip_prefix(name));
        after.is_some_and(|after| after.starts_with(':'))
    })?;
    let (_, value) = line.trim_end_matches(';').split_once(" = ")?;
    let inside = |function: &str| {
        let (_, after) = value.split_once(function)?;
        after.split(')').next()
    };
    let text = if let Some(millis) = inside("from_millis(") {
        format!("{millis} ms")
    } else if let Some(seconds) = inside("from_secs(") {
        format!("{seconds} s")
    } else if let Some((rate, at_once)) = inside("per_second(").and_then(|it| it.split_once(", ")) {
        format!("{rate} a second and {at_once} at once")
    } else {
        value.to_owned()
    };
    let is_name = text.contains(char::is_uppercase);
    Some(if is_name { text } else { text.replace('_', "") })
}

#[test]
fn constants_inside_the_code_have_the_values_of_its_source() {
    for row in table(&page(), &["constant", "value", "where", "meaning"]) {
        let (name, value, place) = (&row[0], row[1].replace(',', ""), &row[2]);
        let source = file(&format!("crates/{place}"));
        assert_eq!(in_source(&source, name), Some(value), "{name} in {place}");
    }
}

/// Values inside sentences: `40 ms` or `1,151 bytes` right before a constant's name in brackets.
#[test]
fn values_in_the_text_are_those_of_the_constants_they_name() {
    let (page, mut seen) = (page(), 0);
    let text = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, constant) in of_the_wire() {
        for (number, unit) in before(&text, name) {
            assert_eq!(number, constant.show(&unit), "{name} after {unit}");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} values were found");
    for row in table(&page, &["constant", "value", "where", "meaning"]) {
        let value = row[1].replace(',', "");
        // A product, or two numbers, is no one number in a sentence.
        if value.contains('*') || value.contains(" and ") {
            continue;
        }
        let number = value.split(' ').next();
        for (said, unit) in before(&text, &row[0]) {
            assert_eq!(Some(said.as_str()), number, "{} after {unit}", row[0]);
        }
    }
}

/// The numbers that stand right before a constant's name in brackets, each with its unit.
fn before(text: &str, name: &str) -> Vec<(String, String)> {
    let named = format!(" (`{name}`)");
    let numbers = text.match_indices(&named).filter_map(|(at, _)| {
        let mut before = text[..at].rsplit([' ', '(', '|']);
        let (last, number) = (before.next().unwrap(), before.next().unwrap());
        let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
        match (is_number(last), is_number(number)) {
            (true, _) => Some((last, "bytes")),
            (false, true) => Some((number, last)),
            (false, false) => None,
        }
    });
    numbers
        .map(|(number, unit)| (number.replace(',', ""), unit.to_owned()))
        .collect()
}
