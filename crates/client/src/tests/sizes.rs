//! What a caller makes too large is an error at the call; nothing of it reaches the server.

use std::time::Duration;

use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::{CONTROL_TO_SERVER_MAX, LOADING_MAX};
use rejoin_protocol::message::{
    CallId, ClientMessage, Comparison, Filter, Metadata, MetadataValue, RoomSettings,
};
use rejoin_protocol::{Liveness, RequestId, messagepack};

use super::duet::Duet;
use crate::Core;

const REQUEST: RequestId = RequestId([4; 16]);

fn filter(key: usize) -> Filter {
    Filter {
        key: "k".repeat(key),
        comparison: Comparison::Equal,
        value: MetadataValue::Text("x".repeat(64)),
    }
}

fn facts(count: usize) -> Metadata {
    let fact = |n: usize| (format!("{n:064}"), MetadataValue::Text("x".repeat(64)));
    (0..count).map(fact).collect()
}

fn settings(options: usize, facts_count: usize) -> RoomSettings {
    RoomSettings {
        members_max: 1_024,
        metadata: facts(facts_count),
        options: vec![0; options],
        ..RoomSettings::default()
    }
}

type Ask = Box<dyn Fn(&mut Core) -> Result<CallId, SendError>>;

fn create(kind: usize, settings: RoomSettings) -> Ask {
    Box::new(move |core| core.create(REQUEST, &"k".repeat(kind), settings.clone()))
}

fn join_or_create(filters: Vec<Filter>, settings: RoomSettings) -> Ask {
    Box::new(move |core| core.join_or_create(REQUEST, "duel", filters.clone(), settings.clone()))
}

fn list(kind: usize, filters: Vec<Filter>) -> Ask {
    Box::new(move |core| core.list(Some(&"k".repeat(kind)), filters.clone(), 1))
}

#[test]
fn requests_with_every_part_at_its_bound_leave() {
    let asks = [
        create(32, settings(4_096, 16)),
        join_or_create(vec![filter(64); 16], settings(4_096, 16)),
        list(32, vec![filter(64); 16]),
    ];
    let mut duet = Duet::connected();
    for ask in &asks {
        ask(&mut duet.core).unwrap();
        // Pacing spreads them.
        duet.advance(Duration::from_secs(1));
    }
    let requests = duet.take_requests();
    assert_eq!(requests.len(), asks.len());
    for request in requests {
        let len = messagepack::encode::<ClientMessage>(&request)
            .unwrap()
            .len();
        assert!(len <= CONTROL_TO_SERVER_MAX, "{len}");
    }
}

#[test]
fn a_request_with_a_part_beyond_its_bound_names_it_and_stays() {
    let many = RoomSettings {
        members_max: 1_025,
        ..RoomSettings::default()
    };
    let table = [
        (
            create(0, settings(0, 0)),
            "0 bytes of a kind, 1 to 32 allowed",
        ),
        (
            create(33, settings(0, 0)),
            "33 bytes of a kind, 1 to 32 allowed",
        ),
        (create(4, many), "1025 members, at most 1024 allowed"),
        (
            create(4, settings(4_097, 0)),
            "4097 bytes of options, at most 4096 allowed",
        ),
        (
            create(4, settings(0, 17)),
            "17 metadata entries, at most 16 allowed",
        ),
        (
            join_or_create(Vec::new(), settings(4_097, 0)),
            "4097 bytes of options, at most 4096 allowed",
        ),
        (
            join_or_create(vec![filter(1); 17], settings(0, 0)),
            "17 filters, at most 16 allowed",
        ),
        (list(33, Vec::new()), "33 bytes of a kind, 1 to 32 allowed"),
        (
            list(4, vec![filter(65)]),
            "65 bytes of a metadata key, 1 to 64 allowed",
        ),
    ];
    let mut duet = Duet::connected();
    for (ask, text) in table {
        let error = ask(&mut duet.core).unwrap_err();
        assert!(matches!(error, SendError::Size(_)), "{error:?}");
        assert_eq!(error.to_string(), text);
    }
    duet.exchange();
    assert_eq!(duet.take_requests(), []);
    assert_eq!(duet.take_events(), [], "the session goes on");
}

#[test]
fn a_load_longer_than_is_granted_is_an_error_and_not_announced() {
    let mut duet = Duet::seated();
    let error = duet.core.loading(LOADING_MAX + Duration::from_nanos(1));
    assert_eq!(
        error.unwrap_err().to_string(),
        "60001 milliseconds of loading, at most 60000 allowed"
    );
    assert!(duet.core.loading(Duration::MAX).is_err());
    duet.exchange();
    assert_eq!(duet.server().liveness(), Liveness::Live);
    duet.core.loading(LOADING_MAX).unwrap();
    duet.exchange();
    assert_eq!(duet.server().liveness(), Liveness::Loading);
}
