//! Bots whose clients are killed and started again from their ticket files, against a real server; and two
//! real clients with one ticket.
//!
//! The time back is from the relaunch, which reads the file, to the first view applied after the room has
//! answered. Nothing may be lost or doubled: `docs/bots.md` says what that means for a dead client.

use std::path::Path;
use std::time::Duration;

use rejoin::bots::{ArenaBot, Options, Unobserved, run as play};
use rejoin::client::{Client, ConnectOptions, Ended, JoinSpec, Permit, State};
use rejoin::protocol::CloseReason;
use rejoin::room::builtin::arena::Arena;

use crate::server::{Server, claim};

/// A relaunched client is in its seat within this, at the 99th percentile.
const BACK_WITHIN: Duration = Duration::from_secs(1);
/// How long two clients with one ticket are watched.
const WATCHED: Duration = Duration::from_secs(5);

/// How much is played.
pub(crate) struct Size {
    pub(crate) bots: usize,
    pub(crate) seconds: u64,
    /// Seconds between two deaths of one bot's client.
    pub(crate) every: u64,
}

pub(crate) fn run(size: &Size) -> bool {
    let sessions = format!("sessions_max={}", size.bots + 64);
    let server = Server::start(&["--limit", &sessions, "--limit", "takeovers_burst=1000000"]);
    let folder = std::env::temp_dir().join(format!("rejoin-bench-{}", std::process::id()));
    let good = crowd(&server, size, &folder) & two_clients(&server, &folder);
    std::fs::remove_dir_all(&folder).ok();
    good & server.stop()
}

fn crowd(server: &Server, size: &Size, folder: &Path) -> bool {
    let mut options = Options::new(server.address, server.key);
    options.bots = size.bots;
    options.rooms = size.bots.div_ceil(16);
    options.play_for = Duration::from_secs(size.seconds);
    options.client_crash_every = Some(Duration::from_secs(size.every));
    options.ticket_dir = Some(folder.to_owned());
    let before = server.cpu();
    let report = play::<ArenaBot>(&options, &mut Unobserved).expect("the run starts");
    let cpu = server.cpu() - before;
    let (counts, back) = (report.resumes.counts, report.resumes.resume);
    println!(
        "{} of {} bots in {} rooms played {:.1} s; server {cpu:.1} s on its core",
        report.connected,
        report.bots,
        report.rooms,
        report.played.as_secs_f64()
    );
    println!(
        "  {} clients killed, {} back, {} not; back after p50 {} p90 {} p99 {} max {} us",
        counts.killed, counts.ok, counts.failed, back.p50_us, back.p90_us, back.p99_us, back.max_us
    );
    println!(
        "  inputs {} planned, {} sent, {} acknowledged, {} died with their clients, {} lost, {} doubled; \
         bots late p99 {} us",
        report.inputs.planned,
        report.inputs.reliable,
        report.inputs.acknowledged,
        counts.died,
        report.inputs.lost,
        report.inputs.duplicated,
        report.lateness.p99_us
    );
    let each = |all: u64| all as f64 / counts.ok.max(1) as f64;
    println!(
        "  each way back: {:.2} datagrams up and {:.2} down, from the hello to the first view",
        each(counts.datagrams_up),
        each(counts.datagrams_down)
    );
    for failure in report.failures.iter().take(5) {
        println!("  failure: {failure:?}");
    }
    let within = u64::try_from(BACK_WITHIN.as_micros()).unwrap();
    let whole = report.inputs.acknowledged + counts.died == report.inputs.reliable;
    claim(
        report.is_ok(),
        "every check held: chains, order, views of all members",
    ) & claim(
        counts.killed > 0 && counts.ok == counts.killed && counts.failed == 0,
        format!(
            "{} of {} relaunched clients were back",
            counts.ok, counts.killed
        ),
    ) & claim(
        back.p99_us <= within,
        format!("p99 {} us to the seat, at most {within}", back.p99_us),
    ) & claim(
        whole && report.inputs.lost == 0 && report.inputs.duplicated == 0,
        "nothing was lost or doubled",
    )
}

/// The newer of two has the session, and the older does not come back.
fn two_clients(server: &Server, folder: &Path) -> bool {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("two.ticket");
    let address = server.address.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let connect = || {
        let options = ConnectOptions::new().ticket_file(&file);
        Client::connect_with(&address, Permit::dev("ana"), options)
    };
    let (older, newer) = runtime.block_on(async {
        let older = connect().await.unwrap();
        let seat = older
            .join_or_create::<Arena>(JoinSpec::any())
            .await
            .unwrap();
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let newer = connect().await.unwrap();
        let again = newer
            .join_or_create::<Arena>(JoinSpec::any())
            .await
            .unwrap();
        assert_eq!(
            (newer.session(), again.room()),
            (older.session(), seat.room())
        );
        let ended = tokio::time::timeout(WATCHED, older.ended()).await;
        tokio::time::sleep(WATCHED).await;
        (ended.ok(), newer.state())
    });
    claim(
        older == Some(Ended::Closed(CloseReason::Replaced)) && matches!(newer, State::Active(_)),
        format!(
            "of two clients with one ticket the older ended ({older:?}), the newer is {newer:?}"
        ),
    )
}
