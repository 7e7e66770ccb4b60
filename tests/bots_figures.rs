//! The figures that bots tell: that a server's pauses show in them, and what is written about a run.

#[cfg(unix)]
mod signal;
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rejoin::bots::{ArenaBot, Options, Report, Unobserved};
use rejoin::client::ServerAddress;
use support::Process;

/// A server on a free loopback port, and its address.
fn serve() -> (Process, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let arguments = ["serve", "--bind", "127.0.0.1:0", "--print-address"];
    let mut server = Process::of(program, &[], &arguments);
    let line = server.line();
    let address = line.strip_prefix("listening on ");
    (
        server,
        address.unwrap_or_else(|| panic!("{line:?}")).to_owned(),
    )
}

/// What 16 bots see of the server in three seconds.
fn play(address: &str) -> Report {
    let address: ServerAddress = address.parse().expect("it is an address");
    let socket = (
        address
            .host
            .parse::<std::net::IpAddr>()
            .expect("it is an IP address"),
        address.port,
    )
        .into();
    let mut options = Options::new(socket, address.key);
    options.play_for = Duration::from_secs(3);
    rejoin::bots::run::<ArenaBot>(&options, &mut Unobserved).expect("the bots can start")
}

#[cfg(unix)]
mod pauses {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{self, Scope, ScopedJoinHandle};
    use std::time::Duration;

    use super::signal::signal;

    /// Each of them is this long, and so is the time between two, at least.
    pub(crate) const PAUSE: Duration = Duration::from_millis(200);

    /// Stops a process again and again until told to end.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        process: u32,
        over: &'scope AtomicBool,
    ) -> ScopedJoinHandle<'scope, ()> {
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                signal(process, "STOP");
                thread::sleep(PAUSE);
                signal(process, "CONT");
                thread::sleep(PAUSE);
            }
        })
    }
}

#[cfg(unix)]
#[test]
fn a_server_that_pauses_shows_in_the_percentiles() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let (server, address) = serve();
    let even = play(&address);
    let over = AtomicBool::new(false);
    let paused = std::thread::scope(|scope| {
        pauses::start(scope, server.id(), &over);
        let paused = play(&address);
        over.store(true, Ordering::Relaxed);
        paused
    });
    // Far more than one planned time in a hundred falls into the first half of a pause.
    let half = u64::try_from(pauses::PAUSE.as_micros()).unwrap() / 2;
    for (name, figures) in [
        ("round trip", paused.rtt),
        ("input", paused.input),
        ("view age", paused.snapshot_age),
    ] {
        assert!(figures.p99_us >= half, "{name}: {paused:#?}");
    }
    // A quarter of all probes does, which a smoothed estimate does not show.
    assert!(paused.rtt.p90_us >= half, "{paused:#?}");
    assert!(
        paused.rtt.p90_us > 2 * even.rtt.p50_us,
        "{even:#?} {paused:#?}"
    );
    // No pause made fewer samples of it.
    assert_eq!(even.probes.planned, 16 * 5 * 3, "{even:#?}");
    assert_eq!(paused.probes.planned, even.probes.planned, "{paused:#?}");
    assert_eq!(paused.rtt.count, paused.probes.planned, "{paused:#?}");
}

/// Runs bots of the command against a server; a busy machine is no fault of theirs.
fn bots(address: &str, more: &[&str]) -> support::Ended {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let usual = [
        "bots",
        address,
        "-n",
        "4",
        "--for",
        "1s",
        "--lateness-max",
        "1m",
    ];
    Process::of(program, &[], &[&usual[..], more].concat()).end()
}

/// The value of a field of the record's groups, as it is written.
fn field<'a>(record: &'a str, group: &str, field: &str) -> &'a str {
    let name = |name: &str| format!("\"{name}\": ");
    let (_, group) = record.split_once(&name(group)).expect(group);
    let (_, value) = group.split_once(&name(field)).expect(field);
    value.lines().next().expect("a value").trim_end_matches(',')
}

/// A folder that is removed when its test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("rejoin-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder of our own");
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("it is UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_record_holds_what_was_asked_and_what_came_of_it() {
    let (_server, address) = serve();
    let folder = Folder::new("record");
    let file = folder.path("run.json");
    let check = ["--check", "inputs.lost==0", "--check", "rtt.max>=1us"];
    let ended = bots(
        &address,
        &[&["--json", &file, "--net", "loss=2%"], &check[..]].concat(),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("check       inputs.lost==0 holds: 0"),
        "{ended:?}"
    );
    let record = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        std::fs::read_dir(&folder.0).unwrap().count(),
        1,
        "no draft is left"
    );
    for (group, name, value) in [
        ("run", "bots", "4"),
        ("run", "kind", "\"arena\""),
        ("run", "mode", "\"reliable\""),
        ("run", "rate_hz", "30"),
        ("run", "duration_us", "1000000"),
        ("run", "behaviour", "\"play\""),
        ("run", "ramp_hz", "null"),
        ("bots", "connected", "4"),
        ("joins", "ok", "4"),
        ("joins", "failed", "0"),
        ("inputs", "planned", "120"),
        ("inputs", "reliable", "120"),
        ("inputs", "acked", "120"),
        ("inputs", "lost", "0"),
        ("inputs", "duplicated", "0"),
        ("probes", "planned", "20"),
    ] {
        assert_eq!(
            field(&record, group, name),
            value,
            "{group}.{name} in {record}"
        );
    }
    assert!(
        record.starts_with("{\n  \"schema\": 1,\n  \"ok\": true,\n  \"valid\": true,"),
        "{record}"
    );
    assert!(field(&record, "run", "net").contains("loss=2%"), "{record}");
    for (group, name) in [
        ("snapshots", "bytes"),
        ("wire", "bytes_up"),
        ("wire", "datagrams_down"),
        ("rtt_us", "p999"),
        ("snapshot_age_us", "p50"),
        ("join_us", "max"),
    ] {
        let value: u64 = field(&record, group, name).parse().unwrap();
        assert!(value > 0, "{group}.{name} in {record}");
    }
}

#[test]
fn a_figure_that_does_not_keep_its_bound_ends_with_99_and_the_figure() {
    let (_server, address) = serve();
    let checks = ["--check", "inputs.acked>=100%", "--check", "inputs.acked<7"];
    let ended = bots(&address, &[&checks[..], &["--json", "-"]].concat());
    assert_eq!(ended.code, Some(99), "{ended:?}");
    assert_eq!(ended.stderr, "rejoin: inputs.acked<7 does not hold: 120\n");
    // Standard output is the record and nothing else.
    assert!(
        ended
            .stdout
            .starts_with("{\n  \"schema\": 1,\n  \"ok\": false,"),
        "{ended:?}"
    );
    assert!(ended.stdout.ends_with("\n}\n"), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("\"seen\": \"100.0000% (120 of 120)\""),
        "{ended:?}"
    );
}

#[cfg(unix)]
#[test]
fn bots_that_are_late_themselves_make_no_valid_run() {
    let (_server, address) = serve();
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let usual = ["bots", &address, "-n", "4", "--for", "2s"];
    let mut bots = Process::of(program, &[], &usual);
    while !bots.line().starts_with("playing") {}
    // A fifth of all that they plan falls into this.
    signal::signal(bots.id(), "STOP");
    std::thread::sleep(Duration::from_millis(400));
    signal::signal(bots.id(), "CONT");
    let ended = bots.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .starts_with("rejoin: the run is not valid: the bots were late: "),
        "{ended:?}"
    );
    assert!(
        ended.stdout.contains("not valid   the bots were late"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("checks      all held"), "{ended:?}");
}

#[test]
fn a_server_that_nobody_reaches_leaves_a_record_of_it() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let ended = bots(&address, &["--json", "-", "--check", "rtt.p99<1s"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let record = &ended.stdout;
    assert_eq!(field(record, "joins", "failed"), "4", "{record}");
    assert_eq!(field(record, "rtt_us", "p99"), "null", "{record}");
    assert!(
        field(record, "errors", "no answer from the server within 10s").starts_with('4'),
        "{record}"
    );
}

#[test]
fn a_page_needs_nothing_from_elsewhere_and_shows_what_the_record_holds() {
    let (_server, address) = serve();
    let folder = Folder::new("page");
    let file = folder.path("run.html");
    let more = ["--html", &file, "--json", "-", "--check", "inputs.acked<7"];
    let ended = bots(&address, &more);
    assert_eq!(ended.code, Some(99), "{ended:?}");
    let page = std::fs::read_to_string(&file).unwrap();
    for part in [
        "<script", "http:", "https:", "src=", "url(", "@import", "NaN", "inf\"",
    ] {
        assert!(!page.contains(part), "{part} in {page}");
    }
    assert!(
        page.contains("<p class=\"bad\">inputs.acked&lt;7 does not hold: 120</p>"),
        "{page}"
    );
    assert!(
        page.contains("<tr><th>inputs.acked</th><td>120</td></tr>"),
        "{page}"
    );
    assert!(page.contains("prefers-color-scheme: dark"), "{page}");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    // Two lines in each of four charts, and bars, all of something.
    assert_eq!(page.matches(" line\" d=\"M").count(), 8, "{page}");
    assert!(page.contains("<rect class=\"c0 bar\""), "{page}");
    let bytes = field(&ended.stdout, "snapshots", "bytes")
        .parse::<usize>()
        .unwrap();
    let digits: String = page
        .split_once("<tr><th>snapshots.bytes</th><td>")
        .and_then(|(_, rest)| rest.split_once('<'))
        .map(|(number, _)| number.replace(',', ""))
        .unwrap();
    assert_eq!(digits, bytes.to_string());
}
