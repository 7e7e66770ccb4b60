//! Room logic that takes too long is counted, named and slowed; its neighbours are not.

use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_coordinator::Stopwatch;
use rejoin_protocol::RoomId;

use crate::lines::lines_of;
use crate::rooms::{Act, Bomb};
use crate::world::World;

/// Room logic as slow as a test says, in no time.
#[derive(Default)]
pub(crate) struct Script {
    /// How long each call takes; none where nothing is said.
    pub(crate) takes: BTreeMap<RoomId, Duration>,
    /// Calls, and the time they took.
    pub(crate) told: BTreeMap<RoomId, (u64, Duration)>,
    under_way: Option<(RoomId, &'static str)>,
}

impl Stopwatch for Script {
    fn begin(&mut self, room: RoomId, kind: &'static str) {
        assert_eq!(self.under_way, None, "one call at a time");
        self.under_way = Some((room, kind));
    }

    fn end(&mut self) -> Duration {
        let (room, kind) = self.under_way.take().expect("a call began");
        assert!(["mill", "yard"].contains(&kind));
        let took = self.takes.get(&room).copied().unwrap_or_default();
        let told = self.told.entry(room).or_default();
        told.0 += 1;
        told.1 += took;
        took
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// The default.
const BUDGET: Duration = Duration::from_millis(10);

/// Ticks of both rooms in a second.
fn ticks_in_a_second(world: &mut World) -> u64 {
    let before = world.shard.stats().ticks;
    world.run(SECOND);
    world.shard.stats().ticks - before
}

#[test]
fn a_room_of_slow_ticks_has_at_most_half_of_the_time_and_its_neighbour_all_its_ticks() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let slow = world.create(ana, "mill", 1).room;
    let other = world.create(ben, "mill", 2);
    let usual = ticks_in_a_second(&mut world);

    let slow_call = Duration::from_millis(40);
    world.stopwatch.takes.insert(slow, slow_call);
    world.stopwatch.told.clear();
    let slowed = ticks_in_a_second(&mut world);
    assert!(slowed > usual / 2, "the neighbour has its own");
    world.run(SECOND * 9);
    let (calls, took) = world.stopwatch.told[&slow];
    // Two ticks pass unslowed, and each has a view; and two checkpoints are no part of a tick.
    let beside = slow_call * 6;
    assert!(took <= SECOND * 5 + beside, "{took:?}");
    assert!(took >= SECOND * 4, "it goes on: {took:?}");
    assert_eq!(took, slow_call * u32::try_from(calls).unwrap());
    let stats = world.shard.stats();
    assert_eq!(stats.calls_over_budget, calls);
    assert!(stats.ticks_slowed > 50 && stats.ticks_slowed < calls / 2);

    world.stopwatch.takes.clear();
    world.run(SECOND);
    assert_eq!(ticks_in_a_second(&mut world), usual, "as before");
    world.act(ben, other.seat, Act::Add(1));
    world.expect_view(ben, other.seat, |board| board.adds == 1);
}

#[test]
fn a_call_over_its_budget_is_counted_and_one_line_a_second_names_the_room() {
    let mut world = World::new();
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.run(SECOND);
    world.stopwatch.takes.insert(room.room, BUDGET);
    let inputs = |world: &mut World, count| {
        lines_of(|| {
            for _ in 0..count {
                world.act(ana, room.seat, Act::Add(1));
                world.run(SECOND / 10);
            }
        })
    };
    assert_eq!(inputs(&mut world, 3), [""; 0], "as long as it may take");
    assert_eq!(world.shard.stats().calls_over_budget, 0);

    let over = BUDGET + Duration::from_micros(1);
    world.stopwatch.takes.insert(room.room, over);
    let before = world.stopwatch.told[&room.room].0;
    let lines = inputs(&mut world, 15);
    let calls = world.stopwatch.told[&room.room].0 - before;
    let stats = world.shard.stats();
    assert_eq!((stats.calls_over_budget, stats.ticks_slowed), (calls, 0));
    assert_eq!(lines.len(), 2, "{lines:?}");
    let names = format!(" room={} kind=\"yard\" call=\"input\"", room.room);
    for line in &lines {
        assert!(
            line.starts_with("WARN") && line.contains("took=10.001ms"),
            "{line}"
        );
    }
    assert!(lines[0].contains(&names), "{lines:?}");
    assert!(lines[0].contains("left_out=0"), "{lines:?}");
    assert!(!lines[1].contains("left_out=0"), "{lines:?}");
}

#[test]
fn a_call_that_panics_is_measured_and_so_is_the_rebuild_of_its_room() {
    let mut world = World::new();
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.run(SECOND);
    world.stopwatch.takes.insert(room.room, BUDGET * 2);
    world.act(ana, room.seat, Act::Arm(Bomb::Now));
    world.run(SECOND / 2);
    let stats = world.shard.stats();
    // The input, the rebuild, what passes the cursor over the input, and a view of it.
    assert_eq!((stats.voids, stats.calls_over_budget), (1, 4));
}
