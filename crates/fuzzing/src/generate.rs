//! Many generated inputs for one parser or machine, from one number.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rejoin_protocol::Rng;

use crate::{Machine, Target, mutate};

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Inputs given.
    pub inputs: u64,
    /// Steps played: of a machine.
    pub steps: u64,
    /// Bytes given.
    pub bytes: u64,
}

/// An input that fails.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How many inputs came before it.
    pub index: u64,
    /// The input.
    pub input: Vec<u8>,
    /// What the panic said.
    pub words: String,
}

/// Gives a parser `inputs` inputs that follow from `seeds` and `number`.
///
/// # Errors
/// The first input for which something does not hold.
pub fn parse(
    target: &Target,
    seeds: &[(String, Vec<u8>)],
    number: u64,
    inputs: u64,
) -> Result<Tally, Box<Failure>> {
    let check = |bytes: &[u8]| {
        (target.check)(bytes);
        0
    };
    let enough = |tally: &Tally| tally.inputs >= inputs;
    run(target.name, check, seeds, number, enough)
}

/// Plays a machine for `steps` steps or a few more.
///
/// # Errors
/// As [`parse`].
pub fn play(
    machine: &Machine,
    seeds: &[(String, Vec<u8>)],
    number: u64,
    steps: u64,
) -> Result<Tally, Box<Failure>> {
    let enough = |tally: &Tally| tally.steps >= steps;
    run(machine.name, machine.play, seeds, number, enough)
}

fn run(
    name: &str,
    give: impl Fn(&[u8]) -> u64,
    seeds: &[(String, Vec<u8>)],
    number: u64,
    enough: impl Fn(&Tally) -> bool,
) -> Result<Tally, Box<Failure>> {
    let mut rng = Rng::from_number(number).fork(name);
    let mut tally = Tally::default();
    let mut input = Vec::new();
    while !enough(&tally) {
        mutate::input(seeds, &mut rng, &mut input);
        match catch_unwind(AssertUnwindSafe(|| give(&input))) {
            Ok(steps) => tally.steps += steps,
            Err(panic) => {
                return Err(Box::new(Failure {
                    index: tally.inputs,
                    input,
                    words: words(&*panic),
                }));
            }
        }
        tally.inputs += 1;
        tally.bytes += u64::try_from(input.len()).unwrap_or(u64::MAX);
    }
    Ok(tally)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_fails_is_found_and_told_with_its_input() {
        let target = Target {
            name: "picky",
            check: |bytes| assert!(bytes.first() != Some(&0x77), "no seven"),
        };
        let seeds = [("seed".to_owned(), vec![0; 4])];
        let failure = parse(&target, &seeds, 1, 1_000_000).unwrap_err();
        assert_eq!(failure.input.first(), Some(&0x77));
        assert_eq!(failure.words, "no seven");
        let again = parse(&target, &seeds, 1, 1_000_000).unwrap_err();
        assert_eq!((again.index, again.input), (failure.index, failure.input));
        let before = parse(&target, &seeds, 1, failure.index).unwrap();
        assert_eq!(before.inputs, failure.index);
    }

    #[test]
    fn a_machine_is_played_for_as_many_steps_as_asked() {
        let machine = Machine {
            name: "counter",
            play: |bytes| u64::try_from(bytes.len()).unwrap(),
        };
        let seeds = [("seed".to_owned(), vec![0; 40])];
        let tally = play(&machine, &seeds, 1, 1_000).unwrap();
        assert!(tally.steps >= 1_000 && tally.steps < 1_000 + 4_096);
        assert_eq!(tally.steps, tally.bytes);
    }
}
