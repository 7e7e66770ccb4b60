//! The loop: takes the earliest thing that happens, lets it happen, checks what must hold.

use std::time::Duration;

use rejoin_protocol::crypto::{PublicKey, Suite};
use rejoin_protocol::handshake::{HandshakeOptions, Permit, Ticket};
use rejoin_protocol::{Rng, SeatId, Timestamp};

use crate::breaking;
use crate::cast::{Body, Cast, Client, Player};
use crate::casting::draw_cast;
use crate::checkers;
use crate::coverage::{Coverage, Fault};
use crate::eavesdropper::Eavesdropper;
use crate::faults::{Act, plan};
use crate::loading;
use crate::machine::Machine;
use crate::model::{Hearings, Lives, Loads, Rooms, Sessions, Tickets};
use crate::network::{Direction, Network};
use crate::operator::Operator;
use crate::options::Options;
use crate::private;
use crate::records::RoomRecords;
use crate::repeater::{self, Repeater};
use crate::report::{Counters, Violation, ensure};
use crate::scene::{Phase, Scene};
use crate::settings::Settings;
use crate::trace::Trace;
use crate::wiring::{Happening, Wiring};
use crate::workload;

/// A whole run.
pub(crate) struct World {
    wiring: Wiring,
    /// Happenings at the present moment.
    crowd: u32,
    over: bool,
}

impl World {
    pub(crate) fn new(seed: u64, settings: &Settings) -> Self {
        let root = Rng::from_number(seed);
        let mut options = Options::draw(settings.load, &mut root.fork("options"));
        options.sharding.shards = settings.shards.unwrap_or(options.sharding.shards);
        let operator = Operator::new(&root);
        let server_key = operator.server_key();
        let rooms = Rooms::default();
        let mut machine = Machine::new(options.breaks.disk, &root);
        let stores = machine.begin(operator.epoch(), options.sharding.shards);
        let stores = stores.expect("an empty disk makes a store");
        let server = operator.start(&options, &rooms, stores, Timestamp::ZERO);
        let cast = draw_cast(&options, &mut root.fork("cast"));
        let network = Network::new(options.up, options.down, root.fork("network"));
        let lives = Lives::new(options.breaks.is_synced());
        let scene = Scene {
            options,
            chance: root.fork("players"),
            trace: Trace::new(settings.log),
            counters: Counters::default(),
            rooms,
            lives,
            hearings: Hearings::default(),
            loads: Loads::default(),
            sessions: Sessions::default(),
            tickets: Tickets::default(),
            operator,
            machine,
            records: RoomRecords::default(),
            phase: Phase::Faults,
            healed_at: Timestamp::ZERO,
            now: Timestamp::ZERO,
        };
        let repeater = cast.guest.as_ref();
        let repeater = repeater.map(|(guest, _)| start_guest(guest, &cast, server_key, &root));
        let eavesdropper = scene.options.eavesdropper;
        let eavesdropper =
            eavesdropper.then(|| Eavesdropper::new(server_key, root.fork("eavesdropper")));
        let mut wiring = Wiring::new(scene, cast, network, (server, repeater, eavesdropper));
        wiring.queue.push(Timestamp::ZERO, Happening::Strike);
        wiring.queue.push(Timestamp::ZERO, Happening::PlayGuest);
        for (at, act) in plan(
            &wiring.scene.options,
            settings.seconds,
            &mut root.fork("plan"),
        ) {
            wiring.queue.push(at, Happening::Act(act));
        }
        for player in 0..wiring.cast.players.len() {
            wiring
                .queue
                .push(Timestamp::ZERO, Happening::Play { player });
        }
        Self {
            wiring,
            crowd: 0,
            over: false,
        }
    }

    /// Runs to the end, or to the first violation.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        while !self.over {
            let Some((at, happening)) = self.wiring.queue.pop() else {
                return Err(Violation::new("time goes on", "nothing is planned"));
            };
            self.crowd = if at > self.wiring.scene.now {
                0
            } else {
                self.crowd + 1
            };
            ensure(self.crowd < CROWD_MAX, "time goes on", || {
                format!("{CROWD_MAX} things happen at one moment")
            })?;
            ensure(
                self.wiring.queue.len() < QUEUE_MAX,
                "no queue grows without bound",
                || format!("{QUEUE_MAX} datagrams and timers wait"),
            )?;
            self.wiring.scene.now = at;
            self.happen(happening)?;
        }
        Ok(())
    }

    pub(crate) fn scene(&mut self) -> &mut Scene {
        &mut self.wiring.scene
    }

    pub(crate) fn coverage(&self) -> &Coverage {
        &self.wiring.coverage
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::ToServer {
                client,
                port,
                datagram,
            } => self.wiring.reach_server((client, port), datagram),
            Happening::ToClient {
                client,
                port,
                datagram,
            } => self.wiring.reach_client((client, port), datagram),
            Happening::Turn { shard } => self.wiring.turn(shard),
            Happening::Letters { epoch, post } => self.wiring.deliver(epoch, post),
            Happening::Chore { epoch, shard } => self.wiring.end_chore(epoch, shard),
            Happening::OpenLetters { epoch, to } => self.wiring.open_letters(epoch, to),
            Happening::Wake { client } => self.wiring.wake(client),
            Happening::Rouse { client } => self.rouse(client),
            Happening::LoadOver { client, says_done } => {
                loading::end(&mut self.wiring, client, says_done)
            }
            Happening::Play { player } => self.play(player),
            Happening::PlayGuest => self.play_guest(),
            Happening::Strike => self.strike(),
            Happening::Mend { players, ways } => {
                // Healing mends all at once; what was planned before then has no effect.
                for (player, way) in pairs(&players, &ways) {
                    self.wiring.network.mend(player, way);
                }
                Ok(())
            }
            Happening::Act(act) => self.act(act),
        }
    }

    fn act(&mut self, act: Act) -> Result<(), Violation> {
        let Wiring {
            scene,
            cast,
            queue,
            network,
            ..
        } = &mut self.wiring;
        scene.trace.note(scene.now, || format!("{act:?}"));
        match act {
            Act::Start { player } => self.start(player),
            Act::Cut {
                players,
                ways,
                lasts,
            } => {
                for (player, way) in pairs(&players, &ways) {
                    network.cut(player, way);
                }
                queue.push(scene.now + lasts, Happening::Mend { players, ways });
                Ok(())
            }
            Act::Stall { shard, lasts } => {
                let until = scene.now + lasts;
                self.wiring.server.stall(shard, until);
                Ok(())
            }
            Act::Silence { player, lasts } => self.silence(player, lasts),
            act @ (Act::Kill { .. }
            | Act::TakeOver { .. }
            | Act::Relaunch { .. }
            | Act::Lose { .. }
            | Act::Storm { .. }
            | Act::Rival { .. }
            | Act::Restart(_)
            | Act::Fail
            | Act::Up(_)
            | Act::Fill { .. }
            | Act::Empty
            | Act::CheckBack(_)) => self.break_something(act),
            Act::Move { player } => self.change_address(player),
            Act::Leave { player, back_after } => {
                workload::leave(cast, scene, player, back_after);
                self.wiring.drain_player(player)
            }
            Act::Disconnect { player, back_after } => {
                if workload::disconnect(cast, player) {
                    self.start_later(player, back_after);
                }
                self.wiring.drain_player(player)
            }
            Act::Close { group } => match workload::close(cast, scene, group) {
                Some(client) => self.wiring.drain(client),
                None => Ok(()),
            },
            Act::Guess { player, times } => match private::guess(cast, scene, player, times) {
                Some(client) => self.wiring.drain(client),
                None => Ok(()),
            },
            Act::Load { player, load } => loading::begin(&mut self.wiring, player, load),
            Act::CheckLoad { player } => checkers::check_load(cast, scene, player),
            Act::Heal => self.heal(),
            Act::LastWord => self.last_word(),
            Act::Judge => self.judge(),
            Act::End => self.end(),
        }
    }

    fn change_address(&mut self, player: usize) -> Result<(), Violation> {
        let wiring = &mut self.wiring;
        if let Some(client) = wiring.cast.living_client(player) {
            let stage = wiring.cast.client(client).stage();
            wiring.coverage.hit(Fault::Move, stage);
            wiring.cast.client_mut(client).port += 1;
            wiring.cast.player_mut(player).harmed_at = wiring.scene.now;
        }
        Ok(())
    }

    /// What breaks sessions, and what must be true after it.
    fn break_something(&mut self, act: Act) -> Result<(), Violation> {
        let wiring = &mut self.wiring;
        match act {
            Act::TakeOver { player } => {
                return match wiring.cast.playing(player) {
                    Some(_) => self.start_client(player, None),
                    None => Ok(()),
                };
            }
            Act::Relaunch { player, alone } => return self.relaunch(player, alone),
            Act::CheckBack(check) => return breaking::check_back(wiring, check),
            Act::Kill {
                player,
                back_after,
                ticket,
            } => breaking::kill(wiring, player, back_after, ticket),
            Act::Lose { player, word } => breaking::lose(wiring, player, Fault::LostLink, word),
            Act::Storm { word } => breaking::storm(wiring, word),
            Act::Rival {
                player,
                wait,
                ticket,
                silent,
            } => {
                if wiring.cast.playing(player).is_none() {
                    return Ok(());
                }
                if let Some(lasts) = silent {
                    self.silence(player, lasts)?;
                }
                breaking::rival(&mut self.wiring, player, (wait, silent), ticket);
            }
            Act::Restart(restart) => breaking::restart(wiring, restart),
            Act::Fail => return breaking::fail(wiring),
            Act::Up(restart) => return breaking::up(wiring, restart),
            Act::Fill { lasts } => breaking::fill(wiring, lasts),
            Act::Empty => wiring.scene.machine.empty(wiring.scene.now),
            Act::Start { .. }
            | Act::Cut { .. }
            | Act::Silence { .. }
            | Act::Stall { .. }
            | Act::Move { .. }
            | Act::Leave { .. }
            | Act::Disconnect { .. }
            | Act::Close { .. }
            | Act::Guess { .. }
            | Act::Load { .. }
            | Act::CheckLoad { .. }
            | Act::Heal
            | Act::LastWord
            | Act::Judge
            | Act::End => unreachable!("the others are handled where these come from"),
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<(), Violation> {
        let Wiring { scene, cast, .. } = &mut self.wiring;
        checkers::judge(cast, scene)?;
        scene.phase = Phase::Stopping;
        self.wiring.stop();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Violation> {
        self.over = true;
        checkers::judge_end(&self.wiring.cast)?;
        ensure(self.wiring.is_stopped(), "an orderly stop ends", || {
            "it did not".into()
        })
    }

    fn start(&mut self, player: usize) -> Result<(), Violation> {
        let Wiring { scene, cast, .. } = &self.wiring;
        if scene.phase == Phase::Stopping || cast.living_client(player).is_some() {
            return Ok(());
        }
        self.start_client(player, None)
    }

    fn start_client(&mut self, player: usize, ticket: Option<Ticket>) -> Result<(), Violation> {
        let Wiring { scene, cast, .. } = &mut self.wiring;
        let client = workload::start(cast, scene, player, ticket);
        self.wiring.drain(client)
    }

    /// A player starts a client with a ticket: with the newest one if the client before is dead, else with any.
    fn relaunch(&mut self, player: usize, alone: bool) -> Result<(), Violation> {
        let Wiring { scene, cast, .. } = &mut self.wiring;
        let living = cast.living_client(player).is_some();
        if scene.phase != Phase::Faults || living == alone {
            return Ok(());
        }
        let tickets = &cast.player(player).tickets;
        let ticket = match alone || tickets.is_empty() {
            true => tickets.back(),
            false => tickets.get(scene.chance.index(tickets.len())),
        };
        let ticket = ticket.cloned();
        self.start_client(player, ticket)
    }

    fn start_later(&mut self, player: usize, wait: Duration) {
        let Wiring { scene, queue, .. } = &mut self.wiring;
        queue.push(scene.now + wait, Happening::Act(Act::Start { player }));
    }

    fn silence(&mut self, player: usize, lasts: Duration) -> Result<(), Violation> {
        let Wiring {
            scene, cast, queue, ..
        } = &mut self.wiring;
        let Some(client) = cast.living_client(player) else {
            return Ok(());
        };
        if cast.client(client).body == Body::Running {
            let until = scene.now + lasts;
            cast.client_mut(client).body = Body::Silent;
            queue.push(until, Happening::Rouse { client });
        }
        Ok(())
    }

    /// A silent client runs again. Its machine may show it the datagrams or the time first.
    fn rouse(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.wiring.scene.now;
        let time_first = self.wiring.scene.chance.chance(0.5);
        let client = self.wiring.cast.client_mut(number);
        if client.body != Body::Silent {
            return Ok(());
        }
        client.body = Body::Running;
        let (port, player) = (client.port, client.player);
        // What it should have done meanwhile it does now.
        self.wiring.cast.player_mut(player).harmed_at = now;
        let client = self.wiring.cast.client_mut(number);
        if time_first {
            client.core.handle_timeout(now);
            self.wiring.drain(number)?;
        }
        while let Some(datagram) = self.wiring.cast.client_mut(number).inbox.pop_front() {
            self.wiring.reach_client((number, port), datagram)?;
        }
        self.wiring.cast.client_mut(number).core.handle_timeout(now);
        self.wiring.drain(number)
    }

    fn heal(&mut self) -> Result<(), Violation> {
        let now = self.wiring.scene.now;
        self.wiring.scene.phase = Phase::Healing;
        self.wiring.scene.healed_at = self.wiring.scene.now;
        self.wiring.network.heal();
        self.wiring.scene.machine.heal(now);
        for client in 0..self.wiring.cast.clients.len() {
            self.rouse(client)?;
        }
        for player in 0..self.wiring.cast.players.len() {
            for wish in &mut self.wiring.cast.player_mut(player).wishes {
                wish.not_before = now;
            }
            self.start(player)?;
        }
        Ok(())
    }

    fn last_word(&mut self) -> Result<(), Violation> {
        for player in 0..self.wiring.cast.players.len() {
            let Wiring { scene, cast, .. } = &mut self.wiring;
            let Some(client) = cast.playing(player) else {
                continue;
            };
            let seats: Vec<SeatId> = cast.client(client).seats.keys().copied().collect();
            for seat in seats {
                workload::send(cast, scene, (client, seat), true)?;
                workload::send(cast, scene, (client, seat), false)?;
            }
            self.wiring.drain(client)?;
        }
        Ok(())
    }

    fn strike(&mut self) -> Result<(), Violation> {
        if self.wiring.scene.phase != Phase::Stopping {
            self.wiring.strike()?;
            let next = self.wiring.scene.now + STRIKE_PERIOD;
            self.wiring.queue.push(next, Happening::Strike);
        }
        Ok(())
    }

    fn play_guest(&mut self) -> Result<(), Violation> {
        if self.wiring.scene.phase == Phase::Faults {
            self.wiring.play_guest()?;
            let next = self.wiring.scene.now + repeater::PERIOD;
            self.wiring.queue.push(next, Happening::PlayGuest);
        }
        Ok(())
    }

    fn play(&mut self, player: usize) -> Result<(), Violation> {
        let Wiring { scene, cast, .. } = &mut self.wiring;
        if scene.phase == Phase::Stopping {
            return Ok(());
        }
        let ended = |client: &Client| client.ended.is_some() && !client.leaving;
        if let Some(client) = cast.living_client(player) {
            workload::play(cast, scene, client)?;
            self.wiring.drain(client)?;
        } else if cast
            .player(player)
            .client
            .is_some_and(|client| ended(cast.client(client)))
        {
            // Not by its own will, so it tries again; who left comes back as planned.
            self.start(player)?;
        }
        let Wiring { scene, queue, .. } = &mut self.wiring;
        let hz = u32::try_from(scene.options.input_hz).expect("rates are small");
        queue.push(
            scene.now + Duration::from_secs(1) / hz,
            Happening::Play { player },
        );
        Ok(())
    }
}

/// The pace of the eavesdropper.
const STRIKE_PERIOD: Duration = Duration::from_millis(20);

fn start_guest(guest: &Player, cast: &Cast, server: PublicKey, root: &Rng) -> Repeater {
    let options = HandshakeOptions {
        server,
        identity: guest.identity.clone(),
        permit: Permit::dev(guest.name.clone()),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 1,
    };
    Repeater::new(&options, cast.group(0).kind, root.fork("repeater"))
}

fn pairs(players: &[usize], ways: &[Direction]) -> Vec<(usize, Direction)> {
    let each = players
        .iter()
        .flat_map(|player| ways.iter().map(|way| (*player, *way)));
    each.collect()
}

/// Things that may happen at one moment before time must go on.
const CROWD_MAX: u32 = 10_000;
/// Datagrams and timers that may wait: 16 clients at 30 Hz with copies stay far below.
const QUEUE_MAX: usize = 50_000;
