//! The machines see known defects: a check that cannot fail proves nothing.
//!
//! `cargo test --release -p rejoin-fuzzing --features planted-bugs --test planted`

#![cfg(feature = "planted-bugs")]

use rejoin_fuzzing::{MACHINES, corpus, generate};
use rejoin_protocol::planted::{Bug, plant};

/// Steps within which a defect must show: as many as the gate plays.
const STEPS: u64 = 200_000;

#[test]
fn each_planted_bug_of_a_connection_is_caught_for_what_it_is() {
    let cases = [
        (Bug::ReplayAccepted, "a packet is taken once"),
        (Bug::LostNotResent, "a reliable message is lost"),
        (Bug::LatestGoesBack, "the latest lane goes back"),
    ];
    let machine = MACHINES.into_iter().find(|it| it.name == "connection");
    let machine = machine.expect("it is one of the machines");
    let seeds = corpus::inputs(machine.name).expect("the corpus can be read");
    for (bug, words) in cases {
        plant(Some(bug));
        let failure = generate::play(&machine, &seeds, 1, STEPS).unwrap_err();
        assert!(failure.words.contains(words), "{bug:?}: {}", failure.words);
        plant(None);
        (machine.play)(&failure.input);
    }
}
