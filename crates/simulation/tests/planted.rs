//! Checkers that cannot fail prove nothing: each known defect is caught by the same generator
//! and the same checkers that pass without it.

#![cfg(feature = "planted-bugs")]

use rejoin_protocol::planted::{Bug, plant};
use rejoin_simulation::{Settings, run};

/// Seeds within which each defect must be caught.
const SEEDS: u64 = 200;

const SETTINGS: Settings = Settings {
    seconds: 30,
    load: rejoin_simulation::Load::Drawn,
    log: 0,
};

#[test]
fn each_planted_bug_is_caught_and_its_seed_passes_without_it() {
    for bug in Bug::ALL {
        plant(Some(bug));
        let caught = (0..SEEDS).find_map(|seed| run(seed, &SETTINGS).outcome.err());
        plant(None);
        let failure = caught.unwrap_or_else(|| panic!("{bug:?} is not caught in {SEEDS} seeds"));
        let without = run(failure.seed, &SETTINGS).outcome;
        assert_eq!(
            without,
            Ok(()),
            "the seed that caught {bug:?} fails without it"
        );
    }
}
