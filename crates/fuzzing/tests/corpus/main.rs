//! Every file of the corpus, once: what failed before must not fail again.
//!
//! `REJOIN_BLESS=1 cargo test -p rejoin-fuzzing --test corpus` writes the seeds anew, from golden
//! vectors and sound traffic; files that it does not know stay. Seeds of a wire that is no more lead nowhere, so they
//! must be those of now.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails"
)]

mod seeds;
mod traffic;

use std::{env, fs};

use rejoin_fuzzing::{MACHINES, check, corpus, parsers};

#[test]
fn every_file_of_the_corpus_passes() {
    let blessed = env::var_os("REJOIN_BLESS").is_some_and(|value| value == "1");
    for (target, seeds) in seeds::all() {
        let folder = corpus::folder(target);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (name, bytes) in seeds {
            let file = folder.join(name.replace(' ', "-"));
            if blessed {
                fs::write(&file, &bytes).expect("a seed can be written");
            }
            let is_there = fs::read(&file).is_ok_and(|written| written == bytes);
            assert!(
                is_there,
                "{} is not what it would be written as now",
                file.display()
            );
        }
    }
    let parsers = parsers();
    let names = parsers.iter().map(|parser| parser.name);
    let machines = MACHINES.iter().map(|machine| machine.name);
    for name in names.chain(machines) {
        let inputs = corpus::inputs(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for (file, input) in inputs {
            let outcome = std::panic::catch_unwind(|| check(name, &input));
            assert!(outcome.is_ok(), "{name}/{file} fails");
        }
    }
}
