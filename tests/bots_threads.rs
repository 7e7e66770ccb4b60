//! A fleet of bots in several threads: that it plays what one thread would, and sees as much.

#[allow(dead_code, reason = "not every test needs all of it")]
mod in_process;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use in_process::InProcess;
use rejoin::bots::{
    ArenaBot, Cause, Conduct, Control, Impairment, Observer, Options, Progress, Report, Unobserved,
    run,
};
use rejoin::prelude::*;
use rejoin::protocol::message::MetadataValue;
use rejoin::room::Kinds;
use rejoin::room::builtin::arena::Arena;

/// Bots in rooms and threads; a busy machine is no fault of theirs.
fn spread(server: &InProcess, bots: usize, rooms: usize, threads: usize) -> Options {
    let mut options = server.options();
    (options.bots, options.rooms, options.threads) = (bots, rooms, Some(threads));
    options.play_for = Duration::from_secs(1);
    options.lateness_max = Duration::from_secs(60);
    options
}

/// A room that adds up what each player sent. The second of a run takes nobody.
struct Ledger;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Book {
    sums: BTreeMap<PlayerId, u64>,
    is_closed: bool,
}

impl Room for Ledger {
    const KIND: &'static str = "ledger";
    type State = Book;
    type Input = u64;
    type View = Book;
    type Event = ();

    fn open(spec: &RoomSpec, _cx: &mut Cx<Self>) -> Book {
        let number = spec.metadata().get("room");
        Book {
            is_closed: number == Some(&MetadataValue::Int(1)),
            ..Book::default()
        }
    }

    fn admit(book: &mut Book, _who: &Applicant<'_>, _cx: &mut Cx<Self>) -> Result<(), Refusal> {
        if book.is_closed {
            return Err(Refusal::new(RefusalCode::NotAdmitted, "nobody may enter"));
        }
        Ok(())
    }

    fn input(book: &mut Book, from: PlayerId, input: u64, _cx: &mut Cx<Self>) {
        *book.sums.entry(from).or_default() += input;
    }

    fn view(book: &Book) -> Cow<'_, Book> {
        Cow::Borrowed(book)
    }
}

/// What bots sent, of those whose run was judged.
static SENT: Mutex<BTreeSet<(usize, Vec<u64>)>> = Mutex::new(BTreeSet::new());

/// Sends what chance says, and remembers it and who it is.
#[derive(Default)]
struct Gambler(Vec<u64>, usize);

impl Behaviour for Gambler {
    type Room = Ledger;

    fn step(&mut self, bot: &mut BotCx<'_, Ledger>) {
        let input = bot.rng().below(1_000_000);
        bot.send(input);
        if self.0.is_empty() {
            self.1 = bot.bot();
        }
        self.0.push(input);
    }

    fn check(&self, player: PlayerId, view: &Book) -> Result<(), String> {
        let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
        sent.insert((self.1, self.0.clone()));
        let (shown, sum) = (view.sums.get(&player), self.0.iter().sum());
        match shown == Some(&sum) {
            true => Ok(()),
            false => Err(format!("{shown:?} of {sum}")),
        }
    }
}

#[test]
fn bots_do_the_same_in_any_number_of_threads() {
    let server = InProcess::serve(Kinds::new().with::<Ledger>());
    let mut all = Vec::new();
    for threads in [1, 2, 5, 12] {
        SENT.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let report = run::<Gambler>(&spread(&server, 12, 1, threads), &mut Unobserved).unwrap();
        assert!(report.is_ok(), "{report:#?}");
        assert_eq!(report.threads, threads);
        assert_eq!(report.inputs.planned, 12 * 30);
        assert_eq!(report.inputs.acknowledged, 12 * 30);
        assert_eq!((report.probes.planned, report.rtt.count), (60, 60));
        assert_eq!(report.lateness.count, 12 * 30 + 60);
        assert_eq!((report.join.count, report.input.count), (12, 12 * 30));
        let windows = report.windows.iter();
        let in_windows: u64 = windows.map(|window| window.amounts.inputs).sum();
        assert_eq!(in_windows, 12 * 30, "{report:#?}");
        let rtts = report.windows.iter().map(|window| window.rtt.count);
        // What is answered after the end of play is in none.
        assert!(rtts.sum::<u64>() > 30, "{report:#?}");
        let sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(sent.iter().map(|(bot, _)| *bot).eq(0..12), "{sent:?}");
        all.push(sent.clone());
    }
    assert!(all.iter().all(|sent| *sent == all[0]));
}

#[test]
fn members_of_one_room_in_several_threads_are_compared() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    // Nobody has another member in its own thread.
    let report = run::<ArenaBot>(&spread(&server, 4, 1, 4), &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert!(report.snapshots.compared > 0, "{report:#?}");
    assert!(report.agreed_after_us.is_some(), "{report:#?}");
}

#[test]
fn a_thread_whose_first_bots_are_refused_goes_on_while_others_play() {
    let server = InProcess::serve(Kinds::new().with::<Ledger>());
    // The second thread has the members of the closed room alone, and may start 32 at a time.
    let report = run::<Gambler>(&spread(&server, 160, 2, 2), &mut Unobserved).unwrap();
    assert_eq!((report.joins.ok, report.joins.failed), (80, 80));
    assert_eq!(report.joined, 80);
    let root = report.root_failure().expect("half of them were refused");
    assert_eq!((root.cause, root.times), (Cause::Refused, 80), "{root}");
}

#[test]
fn a_server_that_is_not_there_is_told_after_one_wait_of_all_threads() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = InProcess::serve(Kinds::new());
    let mut options = spread(&server, 200, 4, 3);
    options.server = silent.local_addr().unwrap();
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert_eq!((report.joins.ok, report.joins.failed), (0, 64));
    let root = report.root_failure().map(|failure| failure.cause);
    assert_eq!(root, Some(Cause::Unreachable));
}

#[test]
fn a_ramp_and_idle_bots_are_one_in_all_threads() {
    let server = InProcess::serve(Kinds::new());
    let mut options = spread(&server, 300, 1, 4);
    options.conduct = Conduct::Idle;
    options.ramp_hz = Some(300);
    let start = std::time::Instant::now();
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!((report.joined, report.connected), (300, 300));
    // The last of them joins no sooner than planned.
    assert!(start.elapsed() > Duration::from_millis(996) + options.play_for);
    // They are asked no more often than all of them together may be.
    assert_eq!((report.probes.planned, report.probes.answered), (100, 100));
}

#[test]
fn a_bad_network_is_one_for_all_threads() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut options = spread(&server, 16, 3, 4);
    let net = "delay=50ms±10,loss=5%,reorder=2%,seed=7";
    options.net = Some(Impairment::parse(net).unwrap());
    options.play_for = Duration::from_secs(3);
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!(report.inputs.acknowledged, 16 * 30 * 3);
    // Two delays of 40 ms at least.
    assert!(report.rtt.p50_us > 80_000, "{report:#?}");
    assert!(report.traffic.lost_up > 0, "{report:#?}");
}

/// Keeps what it is shown.
#[derive(Default)]
struct Watcher(Vec<Progress>);

impl Observer for Watcher {
    fn interval(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        self.0.push(progress.clone());
        Control::Continue
    }
}

#[test]
fn an_observer_is_shown_the_sum_of_all_threads() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut watcher = Watcher::default();
    let report: Report = run::<ArenaBot>(&spread(&server, 12, 3, 3), &mut watcher).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    let most = |of: fn(&Progress) -> u64| watcher.0.iter().map(of).max();
    // More than any one of them has; what came after its last look it did not see.
    assert!(most(|progress| progress.inputs.planned) > Some(12 * 30 / 2));
    assert_eq!(most(|p| u64::try_from(p.playing).unwrap()), Some(12));
    assert!(watcher.0.iter().any(|progress| progress.rtt.count > 12));
    assert!(watcher.0.iter().any(|progress| progress.glimpse.is_some()));
    assert!(
        watcher
            .0
            .is_sorted_by_key(|progress| progress.inputs.acknowledged)
    );
}

/// Cannot play.
#[derive(Default)]
struct Broken;

impl Behaviour for Broken {
    type Room = Ledger;

    fn step(&mut self, bot: &mut BotCx<'_, Ledger>) {
        // In one thread alone: the others must be told.
        if bot.bot() == 5 && bot.number() == 3 {
            panic!("this bot is broken");
        }
    }
}

#[test]
#[should_panic(expected = "this bot is broken")]
fn a_behaviour_that_panics_ends_the_run_with_its_own_words() {
    let server = InProcess::serve(Kinds::new().with::<Ledger>());
    drop(run::<Broken>(&spread(&server, 12, 1, 3), &mut Unobserved));
}
