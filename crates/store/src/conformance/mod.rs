//! What every engine must do, as named cases: the contract in a form that can fail.
//!
//! Tests of each engine call [`check`] with a way to make an empty store. Bounds, files and
//! crashes differ by engine and are tested there.

mod cases;
mod history;
mod mismatch;
mod standings;

use std::fmt;

use self::cases::{
    all_or_nothing, amend_refuses, amend_replaces, checkpoint_covers, checkpoint_opens,
    checkpoint_outside, empty, forget, journal_bytes, out_of_order, records_load_in_order,
    rooms_are_kept_apart, several_of_one_room,
};
use self::history::random_history;
use self::mismatch::Mismatch;
use self::standings::{bodies_are_bounded, loads_are_counted, positions_grow, standings_are_kept};
use crate::contract::Store;

/// Runs every case on a store of its own.
///
/// # Panics
/// If a case fails; the text names each that did.
pub fn check<S: Store>(make: impl FnMut() -> S) {
    let failures = failures(make);
    let text: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(
        failures.is_empty(),
        "the store breaks its contract:\n{}",
        text.join("\n")
    );
}

/// As [`check`], but tells which cases fail.
pub fn failures<S: Store>(mut make: impl FnMut() -> S) -> Vec<Failure> {
    let run = |(case, test): &(&'static str, Case)| {
        let mismatch = test(&mut make()).err()?;
        Some(Failure {
            case,
            mismatch: mismatch.0,
        })
    };
    CASES.iter().filter_map(run).collect()
}

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub case: &'static str,
    /// What was found, and what was expected.
    pub mismatch: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.mismatch)
    }
}

type Case = fn(&mut dyn Store) -> Result<(), Mismatch>;

const CASES: &[(&str, Case)] = &[
    ("an empty store holds no room", empty),
    ("records load in order", records_load_in_order),
    ("records of many rooms are kept apart", rooms_are_kept_apart),
    (
        "a turn may hold several records of a room",
        several_of_one_room,
    ),
    ("a record out of order is refused", out_of_order),
    ("a refused turn leaves nothing behind", all_or_nothing),
    ("the newest record can be replaced", amend_replaces),
    ("no other record can be replaced", amend_refuses),
    (
        "a checkpoint covers the records up to it",
        checkpoint_covers,
    ),
    ("a checkpoint can open a room", checkpoint_opens),
    (
        "a checkpoint outside the history is refused",
        checkpoint_outside,
    ),
    ("journal bytes count since the checkpoint", journal_bytes),
    ("a forgotten room is gone and may begin again", forget),
    (
        "how a room stands is kept until it is forgotten",
        standings_are_kept,
    ),
    (
        "a room that is not loaded thrice is quarantined",
        loads_are_counted,
    ),
    (
        "positions grow with changes and syncs follow",
        positions_grow,
    ),
    ("a body beyond the bound is refused", bodies_are_bounded),
    (
        "a random history is what a plain list would be",
        random_history,
    ),
];
