//! What is drawn of a run at each width.

use rejoin_bots::{Cause, Failure, Inputs, Snapshots, Traffic};
use rejoin_protocol::crypto::PublicKey;

use super::*;

fn options() -> Options {
    let server = "127.0.0.1:7777".parse().unwrap();
    let mut options = Options::new(server, PublicKey([0; 32]));
    (options.bots, options.rooms) = (200, 13);
    options.play_for = Duration::from_secs(30);
    options
}

fn latencies(p50_us: u64, p99_us: u64) -> Percentiles {
    Percentiles {
        count: 9,
        p50_us,
        p99_us,
        ..Percentiles::default()
    }
}

/// A third of the way through a run.
fn progress() -> Progress {
    Progress {
        stage: Stage::Playing,
        in_stage: Duration::from_secs(10),
        playing: 198,
        away: 0,
        resumes: rejoin_bots::ResumeCounts::default(),
        recovery: rejoin_bots::RecoveryCounts::default(),
        newest: rejoin_bots::Newest::default(),
        pause: Percentiles::default(),
        failed: 2,
        failures_total: 1_002,
        newest_failure: Some(Failure {
            bot: Some(7),
            times: 1,
            cause: Cause::Lost,
            text: "the server\u{1b}[2J closed the connection: it stops".to_owned(),
        }),
        rooms: 13,
        inputs: Inputs::default(),
        snapshots: Snapshots::default(),
        traffic: Traffic::default(),
        rtt: latencies(420, 1_310),
        input: latencies(17_000, 34_000),
        lateness: latencies(90, 310),
        glimpse: None,
    }
}

/// The rows of a drawing, without the blanks at their ends.
fn rows(options: &Options, progress: &Progress, size: Size) -> Vec<String> {
    let mut rates = Rates::default();
    let start = Instant::now();
    rates.take(progress, start);
    let mut later = progress.clone();
    later.inputs.reliable += 5_990;
    later.snapshots.delta += 6_012;
    later.traffic.bytes_up += 312_000;
    later.traffic.bytes_down += 1_250_000;
    rates.take(&later, start + Duration::from_secs(1));
    let course = (1..=90).map(|second| second * 100).collect();
    let picture = Picture {
        options,
        progress,
        rates: &rates,
        course: &course,
        plain: true,
        ending: false,
    };
    let buffer = picture.draw(size);
    assert_eq!(buffer.area.width, size.width);
    let rows = buffer.content().chunks(usize::from(size.width.max(1)));
    let text = |row: &[ratatui::buffer::Cell]| {
        let symbols: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        symbols.trim_end().to_owned()
    };
    rows.map(text).collect()
}

fn at(width: u16) -> Vec<String> {
    let height = 24;
    rows(&options(), &progress(), Size { width, height })
}

#[test]
fn a_wide_terminal_shows_everything() {
    let shown = at(80);
    let expected = [
        "playing     ━━━━━━━━━━━━━━━━─────────────────────────────────  20 s of 30 s left",
        "bots        198 of 200 have a seat   2 failed   13 rooms",
        "inputs      5,990/s sent   6,012/s snapshots   312 kB/s up   1.2 MB/s down",
        "round trip  p50 0.42 ms   p99 1.3 ms   ▅▅▅▅▅▅▅▆▆▆▆▆▆▆▆▆▆▆▇▇▇▇▇▇▇▇▇▇▇████████████",
        "tester      p99 0.31 ms late",
        "failures    1,002  bot 7: the server[2J closed the connection: it stops",
    ];
    assert_eq!(shown, expected, "{}", shown.join("\n"));
}

#[test]
fn a_narrow_one_shows_what_fits_and_that_there_is_more() {
    let shown = at(40);
    let expected = [
        "playing     ━━━──────  20 s of 30 s left",
        "bots        198 of 200 have a seat",
        "inputs      5,990/s sent",
        "round trip  p50 0.42 ms   p99 1.3 ms",
        "tester      p99 0.31 ms late",
        "failures    1,002  bot 7: the server[2J…",
    ];
    assert_eq!(shown, expected, "{}", shown.join("\n"));
}

#[test]
fn no_terminal_is_too_small_and_none_is_overflown() {
    let mut early = progress();
    early.stage = Stage::Joining;
    early.newest_failure = None;
    for of in [progress(), early] {
        for width in 0..=200 {
            for height in [0, 1, 2, 6, 7, 50] {
                let rows = rows(&options(), &of, Size { width, height });
                assert!(rows.len() <= usize::from(height.saturating_sub(1)));
                let wide = |row: &String| Line::raw(row.as_str()).width() > usize::from(width);
                assert!(!rows.iter().any(wide), "{width}: {rows:?}");
            }
        }
    }
}

#[test]
fn idle_bots_and_early_moments_are_told_as_they_are() {
    let mut options = options();
    options.conduct = Conduct::Idle;
    let mut early = progress();
    (early.stage, early.failed, early.newest_failure) = (Stage::Joining, 0, None);
    (early.rtt, early.lateness) = (Percentiles::default(), Percentiles::default());
    let size = Size {
        width: 60,
        height: 24,
    };
    let shown = rows(&options, &early, size);
    let expected = [
        "joining     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━─  198 of 200 joined",
        "bots        198 of 200 have a session",
        "network     312 kB/s up   1.2 MB/s down",
        "round trip  p50 –   p99 –   ▆▆▆▆▆▆▆▆▆▇▇▇▇▇▇▇▇▇▇▇████████████",
        "tester      –",
        "failures    none",
    ];
    assert_eq!(shown, expected, "{}", shown.join("\n"));
}

#[test]
fn bots_that_are_late_themselves_are_told_so() {
    let mut late = progress();
    late.lateness = latencies(900, 10_001);
    let size = Size {
        width: 80,
        height: 24,
    };
    let shown = rows(&options(), &late, size);
    assert_eq!(shown[4], "tester      p99 10 ms late   too late to tell");
}

#[test]
fn the_course_has_one_bar_for_each_of_the_last_seconds_of_play() {
    let (mut seconds, start) = (Seconds::default(), Instant::now());
    let mut state = progress();
    for quarter in 0..4 * 100 {
        state.rtt.p99_us = u64::from(quarter) / 4;
        seconds.take(&state, start + Duration::from_millis(250) * quarter);
    }
    let expected: Vec<u64> = (40..100).collect();
    assert_eq!(seconds.p99_us, expected);
    // After play there is nothing to see.
    state.stage = Stage::Settling;
    seconds.take(&state, start + Duration::from_secs(200));
    assert_eq!(seconds.p99_us.back(), Some(&99));
}
