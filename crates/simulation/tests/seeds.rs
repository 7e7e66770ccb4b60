//! Fixed seeds pass, and one seed is one run.

use rejoin_simulation::{Counters, Coverage, Fault, Report, Settings, Stage, run};

/// Runs seeds on two threads and gives the reports in order.
fn sweep(seeds: std::ops::Range<u64>, settings: &Settings) -> Vec<Report> {
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    let (first, second) = (seeds.start..middle, middle..seeds.end);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| second.map(|seed| run(seed, settings)).collect::<Vec<_>>());
        let mut reports: Vec<_> = first.map(|seed| run(seed, settings)).collect();
        reports.extend(other.join().expect("a run does not panic"));
        reports
    })
}

#[test]
fn a_minute_of_each_fixed_seed_passes() {
    let reports = sweep(0..24, &Settings::default());
    let failures: Vec<_> = reports
        .iter()
        .filter_map(|report| {
            report
                .outcome
                .as_ref()
                .err()
                .map(|failure| (failure, &report.options))
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let mut coverage = Coverage::default();
    for report in &reports {
        coverage.add(&report.coverage);
        assert!(
            report.counters.connects > 0 && report.counters.views > 0,
            "{report:?}"
        );
    }
    let mut counters = Counters::default();
    reports
        .iter()
        .for_each(|report| counters.add(&report.counters));
    for (what, count) in [
        ("seats by code", counters.by_code),
        ("guesses", counters.guesses),
        ("guesses over their budget", counters.guesses_over),
        ("events told to two clients", counters.events_again),
        ("loads shown", counters.loads_shown),
        ("loads proven to be shown", counters.loads_proven),
        ("clients that came back", counters.back),
        ("connections by ticket", counters.by_ticket),
        ("seats found again", counters.resumed),
        ("returns proven to be soon", counters.returns_proven),
    ] {
        assert!(count > 0, "{what}: {counters}");
    }
    // Rare pairs need more seeds; the common ones must not.
    let tried = |faults: &[Fault], stage| {
        let mut faults = faults.iter();
        assert!(
            faults.all(|fault| coverage.hits(*fault, stage) > 0),
            "{coverage}"
        );
    };
    let common: Vec<_> = { Fault::ALL.into_iter() }
        .filter(|fault| *fault != Fault::Rot)
        .collect();
    tried(&common, Stage::Seated);
    for stage in [Stage::Joining, Stage::Seatless, Stage::Away] {
        tried(&[Fault::Delay, Fault::Loss, Fault::Duplication], stage);
    }
}

#[test]
fn the_same_seed_gives_the_same_hash() {
    let settings = Settings {
        seconds: 22,
        ..Settings::default()
    };
    let hashes = || {
        let reports = sweep(100..120, &settings);
        reports
            .into_iter()
            .map(|report| (report.hash, report.counters))
            .collect::<Vec<_>>()
    };
    let (first, second) = (hashes(), hashes());
    assert_eq!(first, second);
    let distinct: std::collections::BTreeSet<_> = first.iter().map(|(hash, _)| hash).collect();
    assert_eq!(distinct.len(), first.len());
}
