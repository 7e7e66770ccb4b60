//! Breaks sessions as planned: takes connections away, starts second clients, ends the server and starts it anew.

use std::collections::VecDeque;
use std::time::Duration;

use rejoin_client::Loss;
use rejoin_protocol::limits::{HEARTBEAT_SEATED, HELLO_RETRY_MAX};
use rejoin_protocol::{CloseReason, Timestamp};
use rejoin_store::Store;

use crate::breaks::{KeysFate, Restart};
use crate::cast::{Body, Cast};
use crate::coverage::{Coverage, Fault};
use crate::faults::{Act, CheckBack};
use crate::machine::rooms_of;
use crate::model::Site;
use crate::network::OVERTAKEN_BY;
use crate::queue::Queue;
use crate::report::{Violation, ensure};
use crate::scene::{Phase, Scene};
use crate::server::Server;
use crate::wiring::{Happening, Wiring};

/// The server loses a player's connection.
pub(crate) fn lose(wiring: &mut Wiring, player: usize, fault: Fault, word: Option<CloseReason>) {
    let Wiring {
        scene,
        cast,
        server,
        coverage,
        ..
    } = wiring;
    let (now, own) = (scene.now, cast.player_mut(player));
    let Some(id) = own.id.filter(|_| server.runs()) else {
        return;
    };
    (own.lost_at, own.harmed_at) = (Some(now), now);
    own.lost_words.extend(word);
    if let (Some(player), Some(client)) = (own.id, own.client) {
        let client = cast.client(client);
        for (_, room) in client.seats_asked_for() {
            let era = client.era;
            scene.lives.lost_unheard(Site { era, room }, player);
        }
    }
    let stage = cast.living_client(player);
    coverage.hit(fault, stage.and_then(|client| cast.client(client).stage()));
    if let Some(shard) = server.lose(id, word, now) {
        scene.counters.lost_connections += 1;
        wiring.plan_turn(shard, now);
    }
}

/// The server loses all connections at once.
pub(crate) fn storm(wiring: &mut Wiring, word: Option<CloseReason>) {
    for player in 0..wiring.cast.players.len() {
        lose(wiring, player, Fault::Storm, word);
    }
}

/// The server loses the connection of a player who plays, and another client comes before the first may be back.
pub(crate) fn rival(
    wiring: &mut Wiring,
    player: usize,
    (wait, silent): (Duration, Option<Duration>),
    ticket: bool,
) {
    lose(wiring, player, Fault::Rival, None);
    let act = match ticket {
        true => Act::Relaunch {
            player,
            alone: false,
        },
        false => Act::TakeOver { player },
    };
    let at = wiring.scene.now + wait;
    wiring.queue.push(at, Happening::Act(act));
    if let Some(lasts) = silent {
        let back_after = Duration::ZERO;
        let leave = Act::Leave { player, back_after };
        // Late enough for the second client to have the seat.
        let at = at + (lasts - wait) / 2;
        wiring.queue.push(at, Happening::Act(leave));
    }
}

/// A player's client dies; its ticket may be left.
pub(crate) fn kill(wiring: &mut Wiring, player: usize, back_after: Duration, ticket: bool) {
    let Wiring {
        scene,
        cast,
        queue,
        coverage,
        ..
    } = wiring;
    let Some(client) = cast.living_client(player) else {
        return;
    };
    let fault = match ticket {
        true => Fault::Crash,
        false => Fault::BareCrash,
    };
    coverage.hit(fault, cast.client(client).stage());
    cast.client_mut(client).body = Body::Dead;
    let act = match ticket {
        true => Act::Relaunch {
            player,
            alone: true,
        },
        false => Act::Start { player },
    };
    queue.push(scene.now + back_after, Happening::Act(act));
}

/// It meets every client, wherever that stands.
fn hit_all(coverage: &mut Coverage, cast: &Cast, fault: Fault) {
    let clients = cast.clients.iter().filter(|client| client.ended.is_none());
    clients.for_each(|client| coverage.hit(fault, client.stage()));
}

/// The server's process ends: nobody hears it any more.
pub(crate) fn restart(wiring: &mut Wiring, restart: Restart) {
    let Wiring {
        scene,
        cast,
        server,
        queue,
        coverage,
        ..
    } = wiring;
    if !server.runs() || scene.phase != Phase::Faults {
        return;
    }
    let fault = match restart.jump_s {
        0 => Fault::Restart,
        _ => Fault::ClockJump,
    };
    hit_all(coverage, cast, fault);
    if scene.machine.plan_end(restart) {
        end(scene, server, queue, restart);
    }
}

/// The process ended since the store took nothing any more: as planned, or something else is wrong.
pub(crate) fn fail(wiring: &mut Wiring) -> Result<(), Violation> {
    let Wiring {
        scene,
        server,
        queue,
        ..
    } = wiring;
    let restart = scene.machine.take_armed();
    let restart = restart
        .ok_or_else(|| Violation::new("a store fails only if its disk does", String::new()))?;
    end(scene, server, queue, restart);
    Ok(())
}

/// The disk is full for a while.
pub(crate) fn fill(wiring: &mut Wiring, lasts: Duration) {
    let Wiring {
        scene,
        cast,
        queue,
        coverage,
        ..
    } = wiring;
    if scene.phase != Phase::Faults {
        return;
    }
    hit_all(coverage, cast, Fault::FullDisk);
    let until = scene.now + lasts;
    scene.machine.fill(until);
    queue.push(until, Happening::Act(Act::Empty));
}

fn end(scene: &mut Scene, server: &mut Server, queue: &mut Queue<Happening>, restart: Restart) {
    let durable = server.durable_until(scene.now);
    scene.trace.note(scene.now, || {
        format!(
            "the process ends: {:?}, durable until {durable:?}",
            restart.ending
        )
    });
    server.end();
    scene.machine.end(restart.ending, durable);
    let up = scene.now + restart.down;
    queue.push(up, Happening::Act(Act::Up(restart)));
}

/// The next process begins.
pub(crate) fn up(wiring: &mut Wiring, restart: Restart) -> Result<(), Violation> {
    let now = wiring.scene.now;
    let Wiring {
        scene,
        cast,
        coverage,
        ..
    } = wiring;
    scene.counters.restarts += 1;
    scene.operator.succeed(restart);
    if restart.keys == KeysFate::Lost {
        scene.tickets.on_keys_lost(scene.operator.epoch());
    }
    let stores = if scene.machine.has_disk() {
        open(scene, cast, coverage)?
    } else if restart.keeps_rooms {
        scene.rooms.on_handed_on(scene.operator.epoch());
        wiring.server.take_stores()
    } else {
        scene.rooms.on_restart();
        VecDeque::new()
    };
    scene.sessions.on_restart();
    let server = scene
        .operator
        .start(&scene.options, &scene.rooms, stores, now);
    wiring.server = server;
    for player in &mut cast.players {
        player.lost_at = Some(now);
    }
    if let Some((_, room)) = &mut cast.guest {
        *room = None;
    }
    wiring.end_guest();
    plan_checks(wiring, now);
    Ok(())
}

/// What the disk has of the processes before.
fn open(
    scene: &mut Scene,
    cast: &Cast,
    coverage: &mut Coverage,
) -> Result<VecDeque<Box<dyn Store>>, Violation> {
    let rots = scene.options.breaks.disk.map_or(0.0, |disk| disk.rot);
    let rot = scene.machine.rot(rots)?;
    let shards = scene.options.sharding.shards;
    let now = scene.now;
    let found = scene.machine.open(&mut scene.operator, shards, now)?;
    if rot.told {
        hit_all(coverage, cast, Fault::Rot);
        scene.counters.rots += 1;
        scene.counters.rooms_rotten += u64::try_from(rot.rooms.len()).unwrap_or(u64::MAX);
    }
    scene
        .trace
        .note(now, || format!("{rot:?}; lost since {:?}", found.durable));
    let rooms = rooms_of(&found.stores);
    let lost_power = found.durable.is_some();
    let process = scene.operator.epoch();
    scene
        .rooms
        .on_found(process, &rooms, lost_power, &rot.rooms)?;
    scene.operator.on_opened(found.may_lack);
    if lost_power || rot.told {
        scene.counters.power_losses += u64::from(lost_power);
        scene.operator.on_lost();
        // What bits took is of those rooms alone.
        scene.lives.on_power_lost(found.durable.unwrap_or(now));
        scene.lives.on_rotten(rot.rooms);
    }
    Ok(found.stores)
}

/// Who has a seat and a connection, or is on its way back, must have a connection soon.
fn plan_checks(wiring: &mut Wiring, up: Timestamp) {
    let Wiring {
        scene, cast, queue, ..
    } = wiring;
    for player in 0..cast.players.len() {
        let Some(number) = cast.playing(player) else {
            continue;
        };
        let client = cast.client(number);
        let due = match (client.away, client.seats.is_empty()) {
            (Some(Loss::Silence | Loss::Forgotten), _) => HELLO_RETRY_MAX,
            (None, false) => HEARTBEAT_SEATED,
            // Told to wait, or not in a hurry.
            (Some(_), _) | (None, true) => continue,
        };
        if !client.comes_back || client.loading {
            continue;
        }
        let (up_way, down_way) = (scene.options.up, scene.options.down);
        let ways = [up_way, down_way].map(|way| {
            let late = match way.reorder > 0.0 {
                true => OVERTAKEN_BY,
                false => Duration::ZERO,
            };
            way.delay + way.jitter + late
        });
        let rtt: Duration = ways.into_iter().sum();
        let check = CheckBack {
            client: number,
            up,
            epoch: scene.operator.epoch(),
        };
        // A ticket that is refused costs one more, and so does an eavesdropper whose copy of the hello is faster: the
        // client is asked for a cookie. If that copies a newer one of another client of the player, this one has to say
        // hello anew, and be asked again.
        let mut others = cast.clients.iter().enumerate();
        let has_others = others.any(|(other, of)| other != number && of.player == client.player);
        let more = [
            scene.options.breaks.tickets_may_fail(),
            scene.options.eavesdropper,
            scene.options.eavesdropper && has_others,
            scene.options.eavesdropper && has_others,
        ];
        let trips = 2 + more.map(u32::from).iter().sum::<u32>();
        let at = up + due + rtt * trips + CHECK_GRACE;
        queue.push(at, Happening::Act(Act::CheckBack(check)));
    }
}

/// The client must be back, unless something else kept it away.
pub(crate) fn check_back(wiring: &mut Wiring, check: CheckBack) -> Result<(), Violation> {
    let CheckBack {
        client: number,
        up,
        epoch,
    } = check;
    let Wiring {
        scene,
        cast,
        server,
        ..
    } = wiring;
    let client = cast.client(number);
    let player = cast.player(client.player);
    let calm = player.harmed_at < up
        && client.body == Body::Running
        && client.ended.is_none()
        && player.client == Some(number)
        && player.holder == Some(number)
        && server.runs()
        && scene.operator.epoch() == epoch
        // Who missed more is told by one of its later packets.
        && epoch - client.process <= 3
        && server
            .shards()
            .all(|shard| server.stalled_until(shard) < up);
    if !calm {
        return Ok(());
    }
    scene.counters.returns_proven += 1;
    let back = client.is_active() && client.process == scene.operator.epoch();
    ensure(
        back,
        "who was connected is back soon after the server",
        || {
            format!(
                "client {number}: {:?} of process {}; the server is back since {up:?}",
                client.core.state(),
                client.process
            )
        },
    )
}

/// Turns, letters and timers on the way.
const CHECK_GRACE: Duration = Duration::from_millis(60);
