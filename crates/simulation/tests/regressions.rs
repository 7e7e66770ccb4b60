//! Seeds that once failed, each with its story.

use rejoin_simulation::{Settings, run};

/// A seed, its length in seconds, and what it found.
const REGRESSIONS: &[(u64, u64, &str)] = &[];

#[test]
fn seeds_that_failed_once_pass() {
    for (seed, seconds, story) in REGRESSIONS {
        let report = run(
            *seed,
            &Settings {
                seconds: *seconds,
                ..Settings::default()
            },
        );
        if let Err(failure) = report.outcome {
            panic!(
                "{failure}\nit once failed because: {story}\n{}",
                report.options
            );
        }
    }
}
