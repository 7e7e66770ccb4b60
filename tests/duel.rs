//! The duel that the README shows: its room alone, and played by its bots on a real server.
//!
//! A part of `crates/rejoin/examples/duel.rs`, so that the example itself stays short.

#[allow(dead_code, reason = "not every test needs all of it")]
mod in_process;

use std::time::Duration;

use in_process::InProcess;
use rejoin::bots::{Unobserved, run};
use rejoin::room::Kinds;

use super::*;

#[test]
fn points_survive_a_crash() {
    let mut room = TestRoom::<Duel>::new();
    room.join(2)
        .input(0, Hit { points: 3 })
        .checkpoint()
        .input(1, Hit { points: 1 })
        .input(0, Hit { points: 2 })
        .crash_and_recover();
    assert_eq!(room.view().points.into_values().collect::<Vec<_>>(), [5, 1]);
}

#[test]
fn duelists_find_every_point_on_a_real_server() {
    let server = InProcess::serve(Kinds::new().with::<Duel>());
    let mut options = server.options();
    options.bots = 8;
    options.rooms = 4;
    options.play_for = Duration::from_secs(2);
    let report = run::<Duelist>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!(report.inputs.acknowledged, 8 * 2 * 30);
}

#[test]
fn the_readme_shows_this_very_room() {
    let (example, readme) = (
        include_str!("../crates/rejoin/examples/duel.rs"),
        include_str!("../README.md"),
    );
    let start = example.find("#[derive(Clone, Default").unwrap();
    let end = example.find("#[derive(Default)]\nstruct Duelist").unwrap();
    let room = example[start..end].trim_end();
    assert!(
        readme.contains(room),
        "README.md and examples/duel.rs differ"
    );
    let lines = room.lines().filter(|line| !line.is_empty()).count();
    assert!((15..=30).contains(&lines), "{lines} lines");
}

#[test]
fn the_page_about_bots_shows_this_very_behaviour() {
    let (example, page) = (
        include_str!("../crates/rejoin/examples/duel.rs"),
        include_str!("../docs/bots.md"),
    );
    let start = example.find("#[derive(Default)]\nstruct Duelist").unwrap();
    let end = example.find("#[cfg(test)]").unwrap();
    let behaviour = example[start..end].trim_end();
    assert!(
        page.contains(behaviour),
        "docs/bots.md and examples/duel.rs differ"
    );
}
