//! Bots on a real server through a bad network, in both directions.

#[allow(dead_code, reason = "not every test needs all of it")]
mod in_process;

use std::time::Duration;

use in_process::InProcess;
use rejoin::bots::{ArenaBot, ChatBot, Impairment, Mode, Unobserved, run};
use rejoin::room::Kinds;
use rejoin::room::builtin::arena::Arena;
use rejoin::room::builtin::chat::Chat;

const BAD: &str = "loss=20%,reorder=10%,duplicate=5%,seed=";

#[test]
fn no_input_is_lost_or_doubled_by_a_bad_network() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    for seed in 1..=2 {
        let mut options = server.options();
        options.rooms = 2;
        options.seed = seed;
        options.play_for = Duration::from_secs(4);
        options.net = Some(Impairment::parse(&format!("{BAD}{seed}")).unwrap());
        let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
        assert!(report.is_ok(), "seed {seed}: {report:#?}");
        assert_eq!(report.inputs.acknowledged, 16 * 30 * 4, "seed {seed}");
        assert!(
            report.traffic.lost_up > 0,
            "seed {seed}: the network was too good"
        );
    }
}

#[test]
fn latest_inputs_never_fall_back_on_a_bad_network() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut options = server.options();
    options.mode = Mode::Latest;
    options.play_for = Duration::from_secs(4);
    options.net = Some(Impairment::parse(&format!("delay=30ms±15ms,{BAD}3")).unwrap());
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert!(report.rtt.p50_us > 30_000, "{report:#?}");
}

#[test]
fn events_arrive_once_and_in_order_on_a_bad_network() {
    let server = InProcess::serve(Kinds::new().with::<Chat>());
    let mut options = server.options();
    options.bots = 8;
    options.input_hz = 5;
    options.play_for = Duration::from_secs(4);
    options.net = Some(Impairment::parse(&format!("{BAD}4")).unwrap());
    let report = run::<ChatBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!(report.events, 8 * 4 * 5 * 8, "{report:#?}");
    assert!(report.traffic.lost_up > 0, "the network was too good");
}
