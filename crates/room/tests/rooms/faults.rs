//! Logic that fails, and peers that send rubbish: always a value, never a panic.

use rejoin_protocol::limits::STATE_MAX;
use rejoin_protocol::{Rng, messagepack};
use rejoin_room::{Call, Kind, Outcome, PlayerId, RefusalCode, RoomFault, RoomSettings};

use crate::puppet::{Host, Order, Puppet, refusal, spec};

#[test]
fn a_panic_in_open_is_a_fault() {
    let settings = RoomSettings {
        options: b"panic".into(),
        ..RoomSettings::default()
    };
    let mut effects = Vec::new();
    let fault = Kind::of::<Puppet>()
        .open(&spec(settings), [3; 32], &mut effects)
        .unwrap_err();
    assert_eq!(fault.to_string(), "puppet panicked in open: asked to fail");
    assert_eq!(effects, []);
}

#[test]
fn an_input_beyond_its_bound_is_refused_by_name() {
    let mut host = Host::new();
    host.admit(1);
    // The order's own head takes 9 bytes.
    assert_eq!(
        host.order(&Order::Note("x".repeat(4096 - 9))),
        Ok(Outcome::Done)
    );
    let refusal = refusal(host.order(&Order::Note("x".repeat(4096 - 8))).unwrap()).unwrap();
    assert_eq!(refusal.text, "4097 bytes of an input, at most 4096 allowed");
}

#[test]
fn an_unreadable_input_is_refused_and_harmless() {
    let mut host = Host::new();
    host.admit(1);
    let payloads: [&[u8]; 5] = [b"", &[0xc1], &[1], &[0x81, 0xa4], &[0xc0; 5000]];
    for payload in payloads {
        let call = Call::Input {
            player: PlayerId(1),
            payload: payload.to_vec().into(),
        };
        let refusal = refusal(host.call(&call).unwrap()).unwrap();
        assert_eq!(refusal.code, RefusalCode::BadRequest);
        assert!(refusal.text.len() <= 256);
    }
    assert_eq!(host.calls().len(), 2);
}

#[test]
fn one_event_beyond_a_bound_is_a_fault_that_names_it() {
    // A text of 2^16 bytes or less has a head of 3 bytes.
    let longest = 64 * 1024 - 32 - 3;
    let say = |len, count| Order::Say {
        to: None,
        durable: false,
        len,
        count,
    };
    let mut host = Host::new();
    host.admit(1);
    assert_eq!(host.order(&say(longest, 1)), Ok(Outcome::Done));
    assert_eq!(host.order(&say(1, 4096)), Ok(Outcome::Done));
    assert_eq!(host.effects.len(), 4096);
    let fault = host.order(&say(longest + 1, 1)).unwrap_err();
    let limit = "puppet went beyond a limit in input";
    let text = format!("{limit}: 65505 bytes of an event, at most 65504 allowed");
    assert_eq!(fault.to_string(), text);
    let fault = host.order(&say(1, 4097)).unwrap_err();
    let text = format!("{limit}: 4097 events of one call, at most 4096 allowed");
    assert_eq!(fault.to_string(), text);
    assert_eq!(host.effects, []);
}

#[test]
fn words_and_facts_beyond_their_bounds_are_faults_and_never_cut() {
    let table = [
        (
            Order::Close("x".repeat(257)),
            "257 bytes of a word, at most 256 allowed",
        ),
        (
            Order::Kick("x".repeat(300)),
            "300 bytes of a word, at most 256 allowed",
        ),
        (Order::Facts(17), "17 metadata entries, at most 16 allowed"),
    ];
    for (order, size) in table {
        let mut host = Host::new();
        host.admit(1);
        let fault = host.order(&order).unwrap_err();
        let text = format!("puppet went beyond a limit in input: {size}");
        assert_eq!(fault.to_string(), text);
        assert_eq!(host.effects, []);
    }
}

#[test]
fn a_state_at_its_bound_is_kept_and_a_byte_more_is_a_fault() {
    let mut host = Host::new();
    host.admit(1);
    let mut state_len = |pad: usize| {
        host.order(&Order::Grow(pad)).unwrap();
        host.state().map(|state| state.len())
    };
    let rest = state_len(100_000).unwrap() - 100_000;
    assert_eq!(state_len(STATE_MAX - rest), Ok(STATE_MAX));
    assert_eq!(
        state_len(STATE_MAX - rest + 1).unwrap_err().to_string(),
        "puppet went beyond a limit in checkpoint: 1048577 bytes of state, at most 1048576 allowed"
    );
}

#[test]
fn a_panic_in_logic_is_a_fault_with_its_words() {
    let mut host = Host::new();
    host.admit(1);
    let fault = host
        .order(&Order::Panic("no such card".into()))
        .unwrap_err();
    let (kind, call, message) = ("puppet", "input", "no such card".to_owned());
    assert_eq!(
        fault,
        RoomFault::Panicked {
            kind,
            call,
            message
        }
    );
    let fault = host.order(&Order::Panic("ü".repeat(2000))).unwrap_err();
    assert!(fault.to_string().len() < 1100);
}

#[test]
fn one_timer_too_many_is_a_fault() {
    let mut host = Host::new();
    host.admit(1);
    for token in 0..1024 {
        host.order(&Order::After(u64::MAX, token)).unwrap();
    }
    let fault = host.order(&Order::After(1, 1024)).unwrap_err();
    let text = "puppet went beyond a limit in input: at most 1024 timers wait";
    assert_eq!(fault.to_string(), text);
}

#[test]
fn views_are_appended_and_bounded() {
    let mut host = Host::new();
    host.admit(1);
    host.order(&Order::ViewLen(2)).unwrap();
    let mut out = vec![9];
    host.room.view(&mut out).unwrap();
    assert_eq!(out, [9, 0xa2, b'v', b'v']);
    out.clear();
    assert_eq!(host.room.private_view(PlayerId(1), &mut out), Ok(true));
    assert_eq!(out, messagepack::encode("calls: 2").unwrap());
    assert_eq!(host.room.private_view(PlayerId(2), &mut out), Ok(false));
    assert_eq!(out.len(), 9, "nothing was appended");
    host.order(&Order::ViewLen(64 * 1024)).unwrap();
    assert_eq!(
        host.room.view(&mut out).unwrap_err().to_string(),
        "puppet went beyond a limit in view: 65541 bytes of a view, at most 65472 allowed"
    );
    host.order(&Order::FailView).unwrap();
    assert!(matches!(
        host.room.view(&mut out),
        Err(RoomFault::Panicked { call: "view", .. })
    ));
    assert_eq!(out.len(), 9, "a failed view leaves nothing behind");
}

#[test]
fn random_bytes_are_never_a_fault() {
    let mut rng = Rng::from_number(11);
    let mut host = Host::new();
    host.admit(1);
    for _ in 0..2_000 {
        let mut payload = vec![0; usize::try_from(rng.below(40)).unwrap()];
        rng.fill(&mut payload);
        let call = Call::Input {
            player: PlayerId(1),
            payload: payload.into(),
        };
        assert!(host.call(&call).is_ok());
    }
}
