//! A fleet of bots on a real server: what it proves, and that it can fail.

#[allow(dead_code, reason = "not every test needs all of it")]
mod in_process;

use std::net::UdpSocket;
use std::time::Duration;

use in_process::InProcess;
use rejoin::bots::{
    ArenaBot, Behaviours, Cause, ChatBot, Conduct, Control, Mode, Observer, Options, Progress,
    Report, Unobserved, run,
};
use rejoin::prelude::*;
use rejoin::room::Kinds;
use rejoin::room::builtin::arena::Arena;
use rejoin::room::builtin::chat::Chat;

fn sixteen_in_two_rooms(server: &InProcess) -> Options {
    let mut options = server.options();
    options.bots = 16;
    options.rooms = 2;
    options.play_for = Duration::from_secs(3);
    options
}

#[test]
fn every_reliable_input_is_applied_exactly_once() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let options = sixteen_in_two_rooms(&server);
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!((report.joined, report.rooms), (16, 2));
    assert_eq!(report.inputs.planned, 16 * 3 * 30);
    assert_eq!(report.inputs.acknowledged, report.inputs.planned);
    assert_eq!((report.inputs.lost, report.inputs.duplicated), (0, 0));
    assert!(
        report.snapshots.delta > report.snapshots.full,
        "{report:#?}"
    );
    assert!(report.snapshots.compared > 0, "{report:#?}");
}

/// Clients killed once a second, in the three seconds before the last.
fn killed_each_second(server: &InProcess) -> Options {
    let mut options = sixteen_in_two_rooms(server);
    options.play_for = Duration::from_secs(4);
    options.client_crash_every = Some(Duration::from_secs(1));
    // What is checked here takes as long as it takes.
    options.lateness_max = Duration::from_secs(60);
    options
}

#[test]
fn bots_whose_clients_are_killed_are_back_and_nothing_is_lost_or_doubled() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let folder = std::env::temp_dir().join(format!("rejoin-bots-{}", std::process::id()));
    for folder in [None, Some(folder)] {
        let mut options = killed_each_second(&server);
        options.ticket_dir = folder;
        let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
        assert!(report.is_ok(), "{report:#?}");
        let counts = report.resumes.counts;
        assert_eq!((counts.killed, counts.failed), (16 * 3, 0), "{counts:?}");
        assert_eq!((counts.ok, report.resumes.resume.count), (48, 48));
        let inputs = report.inputs;
        assert_eq!(inputs.acknowledged + counts.died, inputs.reliable);
        assert_eq!((inputs.lost, inputs.duplicated), (0, 0));
        if let Some(folder) = &options.ticket_dir {
            let left = std::fs::read_dir(folder).unwrap().count();
            assert_eq!(left, 0, "who leaves takes the ticket away");
            std::fs::remove_dir(folder).unwrap();
        }
    }
}

#[test]
fn latest_inputs_are_seen_and_never_fall_back() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut options = sixteen_in_two_rooms(&server);
    options.mode = Mode::Latest;
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!(
        (report.inputs.latest, report.inputs.reliable),
        (16 * 3 * 30, 0)
    );
    // How many of them are overtaken is a matter of how busy the machine is.
    assert!(report.input.count > 0, "{report:#?}");
}

#[test]
fn every_member_hears_every_line_in_order() {
    let server = InProcess::serve(Kinds::new().with::<Chat>());
    let mut options = sixteen_in_two_rooms(&server);
    options.input_hz = 5;
    let report = run::<ChatBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    // Each line of the 16 is heard by the 8 of its room.
    assert_eq!(report.events, 16 * 3 * 5 * 8, "{report:#?}");
}

/// A room that applies every tenth input so many times: none forgets it, twice stutters.
struct Faulty<const TIMES: u64>;

impl<const TIMES: u64> Room for Faulty<TIMES> {
    const KIND: &'static str = "faulty";
    type State = BTreeMap<PlayerId, u64>;
    type Input = u64;
    type View = BTreeMap<PlayerId, u64>;
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Self::State {
        BTreeMap::new()
    }

    fn input(state: &mut Self::State, from: PlayerId, input: u64, _cx: &mut Cx<Self>) {
        let times = if input.is_multiple_of(10) { TIMES } else { 1 };
        *state.entry(from).or_default() += times;
    }

    fn view(state: &Self::State) -> Cow<'_, Self::View> {
        Cow::Borrowed(state)
    }
}

/// Sends its steps, and knows how many the room must have applied.
#[derive(Default)]
struct Counter<const TIMES: u64> {
    sent: u64,
}

impl<const TIMES: u64> Behaviour for Counter<TIMES> {
    type Room = Faulty<TIMES>;

    fn step(&mut self, bot: &mut BotCx<'_, Faulty<TIMES>>) {
        self.sent += u64::from(bot.send(bot.number()));
    }

    fn applied(player: PlayerId, view: &BTreeMap<PlayerId, u64>) -> Option<u64> {
        Some(view.get(&player).copied().unwrap_or(0))
    }

    fn check(&self, player: PlayerId, view: &BTreeMap<PlayerId, u64>) -> Result<(), String> {
        let shown = view.get(&player).copied().unwrap_or(0);
        if shown == self.sent {
            Ok(())
        } else {
            Err(format!("{shown} of {}", self.sent))
        }
    }
}

/// What a second of such a room comes to.
fn faulty<const TIMES: u64>() -> Report {
    let server = InProcess::serve(Kinds::new().with::<Faulty<TIMES>>());
    let mut options = sixteen_in_two_rooms(&server);
    options.play_for = Duration::from_secs(1);
    run::<Counter<TIMES>>(&options, &mut Unobserved).expect("the bots can start")
}

#[test]
fn a_room_that_forgets_inputs_is_found_out() {
    let report = faulty::<0>();
    assert!(!report.is_ok());
    let found: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    // A busy machine may add that members agreed late.
    assert!(found.contains(&"16 bots: 27 of 30".to_owned()), "{found:?}");
    assert_eq!(report.inputs.acknowledged, 16 * 30);
    assert_eq!((report.inputs.lost, report.inputs.duplicated), (16 * 3, 0));
    assert_eq!(
        report.root_failure().map(|failure| failure.cause),
        Some(Cause::Check)
    );
}

#[test]
fn inputs_that_a_room_applies_twice_are_counted() {
    let report = faulty::<2>();
    let found: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    assert!(found.contains(&"16 bots: 33 of 30".to_owned()), "{found:?}");
    assert_eq!(report.inputs.acknowledged, 16 * 30, "{report:#?}");
    assert_eq!((report.inputs.lost, report.inputs.duplicated), (0, 16 * 3));
}

#[test]
fn idle_bots_hold_their_sessions_and_take_no_seat() {
    let server = InProcess::serve(Kinds::new());
    let mut options = sixteen_in_two_rooms(&server);
    options.bots = 500;
    options.conduct = Conduct::Idle;
    options.ramp_hz = Some(500);
    let start = std::time::Instant::now();
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!(
        (report.joined, report.connected, report.rooms),
        (500, 500, 0)
    );
    assert_eq!((report.joins.ok, report.joins.failed), (500, 0));
    assert_eq!(report.join.count, 500);
    // The last of them joins no sooner than planned.
    assert!(start.elapsed() > Duration::from_millis(998) + options.play_for);
    assert_eq!(report.inputs.planned, 0);
    assert_eq!(report.snapshots.full + report.snapshots.delta, 0);
    // They are asked no more often than all of them together may be.
    assert_eq!((report.probes.planned, report.probes.answered), (300, 300));
}

/// Sends latest inputs that a room which forgets takes for nothing.
#[derive(Default)]
struct Unseen;

impl Behaviour for Unseen {
    type Room = Faulty<0>;

    fn step(&mut self, bot: &mut BotCx<'_, Faulty<0>>) {
        bot.latest(10 * bot.number());
    }

    fn shown(player: PlayerId, view: &BTreeMap<PlayerId, u64>) -> Option<u64> {
        Some(view.get(&player).copied().unwrap_or(0))
    }
}

#[test]
fn a_room_that_never_shows_the_newest_latest_input_is_found_out() {
    let server = InProcess::serve(Kinds::new().with::<Faulty<0>>());
    let mut options = sixteen_in_two_rooms(&server);
    options.mode = Mode::Latest;
    options.play_for = Duration::from_secs(1);
    let report = run::<Unseen>(&options, &mut Unobserved).unwrap();
    let found: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    let expected = "16 bots: its newest latest input is 30, the room shows 0";
    assert!(found.contains(&expected.to_owned()), "{found:?}");
}

#[test]
fn a_run_that_sends_nothing_proves_nothing() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    for mode in [Mode::Latest, Mode::Reliable] {
        let mut options = sixteen_in_two_rooms(&server);
        options.mode = mode;
        options.play_for = Duration::ZERO;
        let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
        assert_eq!(report.joined, 16, "{report:#?}");
        assert!(!report.is_ok(), "{report:#?}");
    }
}

#[test]
fn a_kind_that_the_server_does_not_know_is_refused() {
    let server = InProcess::serve(Kinds::new().with::<Chat>());
    let report = run::<ArenaBot>(&sixteen_in_two_rooms(&server), &mut Unobserved).unwrap();
    assert_eq!((report.joined, report.joins.ok), (0, 0));
    assert_eq!(report.joins.failed, 16);
    assert_eq!(
        report.root_failure().map(|failure| failure.cause),
        Some(Cause::Refused)
    );
}

#[test]
fn a_server_that_is_not_there_is_told_after_one_wait() {
    // The port stays ours, and silent.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = InProcess::serve(Kinds::new());
    let mut options = server.options();
    options.server = silent.local_addr().unwrap();
    options.bots = 200;
    let start = std::time::Instant::now();
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert_eq!(
        report.root_failure().map(|failure| failure.cause),
        Some(Cause::Unreachable)
    );
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn bots_for_an_unknown_kind_are_named_as_missing() {
    let server = InProcess::serve(Kinds::new());
    let error = Behaviours::builtin()
        .run("chess", &server.options(), &mut Unobserved)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no bots know how to play \"chess\": there are bots for arena, chat"
    );
}

/// Stops the run at its first look.
struct Impatient;

impl Observer for Impatient {
    fn interval(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        if progress.inputs.reliable > 0 {
            Control::Stop
        } else {
            Control::Continue
        }
    }
}

#[test]
fn a_run_that_is_stopped_early_is_still_checked() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut options = sixteen_in_two_rooms(&server);
    options.play_for = Duration::from_secs(3_600);
    let report = run::<ArenaBot>(&options, &mut Impatient).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert!(report.inputs.planned < 16 * 30 * 10, "{report:#?}");
    assert_eq!(report.inputs.acknowledged, report.inputs.planned);
}
