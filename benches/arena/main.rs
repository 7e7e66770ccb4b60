//! Rejoin beside the least that a UDP game server can be, under one load, in turns.
//!
//! ```sh
//! cargo bench -p rejoin-arena --bench arena -- --rooms 62 --rounds 5    # CPU, bytes and round trips beside raw2
//! cargo bench -p rejoin-arena --bench arena -- --lone                   # one player's round trip beside a plain echo
//! cargo bench -p rejoin-arena --bench arena -- --idle 1000              # memory and CPU of sessions that do nothing
//! cargo bench -p rejoin-arena --bench arena -- --joins 2000             # CPU of a join
//! cargo bench -p rejoin-arena --bench arena -- --resumes 2000           # CPU of a resume
//! cargo bench -p rejoin-arena --bench arena -- --refusals 20000         # CPU of refusing a hello, beside an echo
//! ```
//!
//! What is measured and what is not: `docs/benchmarks/README.md`.

use std::process::ExitCode;

use rejoin_arena::own;

fn main() -> ExitCode {
    rejoin_arena::run("arena", own::SUBJECTS)
}
