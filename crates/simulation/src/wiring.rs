//! Server, clients and network, wired together: each datagram on its way, each wake on time.

use rejoin_protocol::{Timestamp, reset};

use crate::cast::{Body, Cast, address, client_at};
use crate::checkers;
use crate::coverage::{Coverage, Stage};
use crate::eavesdropper::{self, Eavesdropper};
use crate::faults::Act;
use crate::network::{Datagram, Direction, Network};
use crate::queue::Queue;
use crate::repeater::Repeater;
use crate::report::{Violation, ensure};
use crate::scene::{Phase, Scene};
use crate::server::{Arrived, Outcome, Post, Server};
use crate::trace::Mark;
use crate::workload;

/// See the module page.
pub(crate) struct Wiring {
    pub(crate) scene: Scene,
    pub(crate) cast: Cast,
    pub(crate) network: Network,
    pub(crate) coverage: Coverage,
    pub(crate) queue: Queue<Happening>,
    pub(crate) server: Server,
    pub(crate) repeater: Option<Repeater>,
    pub(crate) eavesdropper: Option<Eavesdropper>,
    /// The buffer that datagrams are polled into.
    pub(crate) out: Vec<u8>,
}

/// Something that happens at its time.
pub(crate) enum Happening {
    /// A datagram arrives at the server.
    ToServer {
        client: usize,
        port: u16,
        datagram: Datagram,
    },
    /// A datagram arrives at a client.
    ToClient {
        client: usize,
        port: u16,
        datagram: Datagram,
    },
    /// The turn of a shard.
    Turn { shard: usize },
    /// Letters arrive at a shard of that server process.
    Letters { epoch: u64, post: Post },
    /// A shard's store has done what may block.
    Chore { epoch: u64, shard: usize },
    /// Letters that waited for a shard to run are opened.
    OpenLetters { epoch: u64, to: usize },
    /// A client's timer.
    Wake { client: usize },
    /// A silent client runs again.
    Rouse { client: usize },
    /// A client has loaded.
    LoadOver { client: usize, says_done: bool },
    /// A player's turn.
    Play { player: usize },
    /// A partition ends.
    Mend {
        players: Vec<usize>,
        ways: Vec<Direction>,
    },
    /// The guest's turn.
    PlayGuest,
    /// The eavesdropper's turn.
    Strike,
    /// Something that was planned from the start.
    Act(Act),
}

impl Wiring {
    pub(crate) fn new(
        scene: Scene,
        cast: Cast,
        network: Network,
        (server, repeater, eavesdropper): (Server, Option<Repeater>, Option<Eavesdropper>),
    ) -> Self {
        Self {
            scene,
            cast,
            network,
            coverage: Coverage::default(),
            queue: Queue::new(),
            server,
            repeater,
            eavesdropper,
            out: Vec::new(),
        }
    }

    /// The server is told to stop.
    pub(crate) fn stop(&mut self) {
        self.server.stop();
        for shard in self.server.shards() {
            self.plan_turn(shard, self.scene.now);
        }
    }

    /// True once the server has nothing left to say.
    pub(crate) fn is_stopped(&self) -> bool {
        self.server.is_stopped()
    }

    pub(crate) fn reach_server(
        &mut self,
        (client, port): (usize, u16),
        datagram: Datagram,
    ) -> Result<(), Violation> {
        let now = self.scene.now;
        let is_over = || self.scene.phase == Phase::Stopping && self.server.is_stopped();
        if !self.server.runs() || is_over() {
            self.network.recycle(datagram);
            return Ok(());
        }
        let shard = self.server.steer(client, port, &datagram.bytes);
        let stalled = self.server.stalled(shard);
        if now < stalled {
            self.queue.push(
                stalled,
                Happening::ToServer {
                    client,
                    port,
                    datagram,
                },
            );
            return Ok(());
        }
        self.scene
            .trace
            .fold(Mark::ToServer, client, &datagram.bytes, now);
        let arrived = Arrived { client, datagram };
        let from = address(client, port);
        let (outcome, arrived) = self.server.handle_datagram(shard, from, arrived, now);
        if let Some(arrived) = arrived {
            self.on_arrived(outcome, arrived)?;
        }
        self.plan_turn(shard, now + self.scene.options.gather);
        ensure(
            !self.server.hello_changed(),
            "a hello alone changes no session",
            || format!("one of client {client} from port {port}"),
        )
    }

    /// Letters arrive at a shard.
    pub(crate) fn deliver(&mut self, epoch: u64, post: Post) -> Result<(), Violation> {
        if epoch != self.scene.operator.epoch() || !self.server.runs() {
            return Ok(());
        }
        let to = post.to;
        self.server.arrive(post);
        self.open_letters(epoch, to)
    }

    /// A shard reads the letters that have arrived, in their order, as soon as it runs.
    pub(crate) fn open_letters(&mut self, epoch: u64, to: usize) -> Result<(), Violation> {
        let now = self.scene.now;
        if epoch != self.scene.operator.epoch() {
            return Ok(());
        }
        let stalled = self.server.stalled(to);
        if now < stalled {
            let later = Happening::OpenLetters { epoch, to };
            self.queue.push(stalled, later);
            return Ok(());
        }
        while let Some(Post { from, to, letters }) = self.server.next_arrived(to) {
            for letter in letters {
                let arrived = self.server.handle_letter((from, to), letter, now);
                if let Some((outcome, arrived)) = arrived {
                    self.on_arrived(outcome, arrived)?;
                }
            }
        }
        self.plan_turn(to, now);
        Ok(())
    }

    fn on_arrived(&mut self, outcome: Outcome, arrived: Arrived) -> Result<(), Violation> {
        let Arrived { client, datagram } = arrived;
        if outcome == Outcome::Taken {
            self.check_taken(&datagram, "the server")?;
            let player = match (client, &mut self.cast.guest) {
                (GUEST, Some((player, _))) => player,
                _ => self.cast.player_mut(self.cast.client(client).player),
            };
            player.reached.touch(self.scene.now);
        }
        self.network.recycle(datagram);
        Ok(())
    }

    pub(crate) fn reach_client(
        &mut self,
        (client, port): (usize, u16),
        mut datagram: Datagram,
    ) -> Result<(), Violation> {
        let now = self.scene.now;
        if client == GUEST {
            return self.reach_guest(datagram);
        }
        let receiver = self.cast.client_mut(client);
        if receiver.port != port {
            return Ok(());
        }
        match receiver.body {
            Body::Running => {}
            Body::Silent => {
                if receiver.inbox.len() < INBOX_MAX {
                    receiver.inbox.push_back(datagram);
                }
                return Ok(());
            }
            Body::Dead => return Ok(()),
        }
        self.scene
            .trace
            .fold(Mark::ToClient, client, &datagram.bytes, now);
        receiver.was_reset |= reset::decode(&datagram.bytes).is_some();
        let before = receiver.core.link().received;
        receiver.core.handle_datagram(&mut datagram.bytes, now);
        if receiver.core.link().received > before {
            receiver.heard.touch(now);
            self.check_taken(&datagram, "a client")?;
        }
        self.network.recycle(datagram);
        self.drain(client)
    }

    /// No datagram is taken that was changed on its way, and none twice.
    pub(crate) fn check_taken(&mut self, datagram: &Datagram, by: &str) -> Result<(), Violation> {
        ensure(!datagram.changed, "no changed datagram is taken", || {
            format!("by {by}")
        })?;
        ensure(
            !self.network.was_taken(datagram),
            "no datagram is taken twice",
            || format!("by {by}"),
        )?;
        self.network.take(datagram);
        Ok(())
    }

    pub(crate) fn wake(&mut self, client: usize) -> Result<(), Violation> {
        let now = self.scene.now;
        if client == GUEST {
            return self.wake_guest();
        }
        let woken = self.cast.client_mut(client);
        if woken.wake != Some(now) {
            return Ok(());
        }
        woken.wake = None;
        if woken.body != Body::Running {
            return Ok(());
        }
        woken.core.handle_timeout(now);
        self.drain(client)
    }

    pub(crate) fn drain_player(&mut self, player: usize) -> Result<(), Violation> {
        match self.cast.player(player).client {
            Some(client) => self.drain(client),
            None => Ok(()),
        }
    }

    /// Takes what a client has to tell and to send, and plans its next wake.
    pub(crate) fn drain(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.scene.now;
        if self.cast.client(number).body != Body::Running {
            return Ok(());
        }
        while let Some(event) = self.cast.client_mut(number).core.poll_event() {
            checkers::told(&mut self.cast, &mut self.scene, number, event)?;
        }
        for burst in 0.. {
            ensure(burst < BURST_MAX, "no client sends without end", || {
                format!("client {number}")
            })?;
            self.out.clear();
            let client = self.cast.client_mut(number);
            let (stage, port) = (client.stage(), client.port);
            if !client.core.poll_transmit(&mut self.out, now) {
                break;
            }
            self.carry((number, port, Direction::Up), stage);
        }
        // Sending may end a session that was asked to end.
        while let Some(event) = self.cast.client_mut(number).core.poll_event() {
            checkers::told(&mut self.cast, &mut self.scene, number, event)?;
        }
        checkers::check_cursors(&mut self.cast, number)?;
        let client = self.cast.client_mut(number);
        if let Some(due) = client.core.poll_timeout() {
            let due = due.max(now);
            if client
                .wake
                .is_none_or(|planned| due < planned || planned < now)
            {
                client.wake = Some(due);
                self.queue.push(due, Happening::Wake { client: number });
            }
        }
        Ok(())
    }

    /// Gives the polled datagram to the network and plans its arrivals.
    pub(crate) fn carry(
        &mut self,
        (client, port, direction): (usize, u16, Direction),
        stage: Option<Stage>,
    ) {
        let player = match client {
            GUEST => self.cast.players.len(),
            _ => self.cast.client(client).player,
        };
        let cell = (stage, &mut self.coverage);
        let arrivals = self
            .network
            .send((player, direction), &self.out, cell, self.scene.now);
        let lost = arrivals.iter().all(Option::is_none);
        self.scene.counters.lost += u64::from(lost);
        let mut arrived = arrivals.iter().flatten();
        if (lost || arrived.any(|(_, datagram)| datagram.changed)) && client != GUEST {
            self.cast.player_mut(player).harmed_at = self.scene.now;
        }
        let sent = match direction {
            Direction::Up => &mut self.scene.counters.to_server,
            Direction::Down => &mut self.scene.counters.to_client,
        };
        *sent += 1;
        for (at, mut datagram) in arrivals.into_iter().flatten() {
            self.overhear((client, direction), &mut datagram);
            let arrival = match direction {
                Direction::Up => Happening::ToServer {
                    client,
                    port,
                    datagram,
                },
                Direction::Down => Happening::ToClient {
                    client,
                    port,
                    datagram,
                },
            };
            self.queue.push(at, arrival);
        }
    }

    pub(crate) fn plan_turn(&mut self, shard: usize, at: Timestamp) {
        if let Some(at) = self.server.plan_turn(shard, at) {
            self.queue.push(at, Happening::Turn { shard });
        }
    }

    pub(crate) fn turn(&mut self, shard: usize) -> Result<(), Violation> {
        let now = self.scene.now;
        if !self.server.runs() || !self.server.take_turn(shard, now) {
            return Ok(());
        }
        if now < self.server.stalled(shard) {
            self.plan_turn(shard, now);
            return Ok(());
        }
        self.server.shard(shard).turn(now);
        if self.server.shard(shard).store_failure().is_some() {
            self.on_store_failed();
            return Ok(());
        }
        for burst in 0.. {
            ensure(
                burst < BURST_MAX,
                "the server comes to the end of a burst",
                String::new,
            )?;
            self.out.clear();
            let out = &mut self.out;
            let Some(to) = self.server.shard(shard).poll_transmit(out, now) else {
                break;
            };
            if let Some((id, token)) = reset::decode(&self.out) {
                let mut cards = self.server.sessions();
                let living = cards.any(|card| card.connection.is_some_and(|(of, _)| of == id))
                    && self.scene.operator.reset_token(id) == token;
                ensure(
                    !living,
                    "only connections that are no more are reset",
                    || format!("{id:?} to {to}"),
                )?;
            }
            let client = client_at(to)
                .filter(|client| *client < self.cast.clients.len() || *client == GUEST);
            let client = client.ok_or_else(|| {
                Violation::new("the server answers whom it heard", to.to_string())
            })?;
            if to.port() == eavesdropper::PORT
                && let Some(eavesdropper) = &mut self.eavesdropper
            {
                eavesdropper.on_answer(&self.out)?;
                continue;
            }
            let stage = match client {
                GUEST => self.repeater.as_ref().and_then(Repeater::stage),
                _ => self.cast.client(client).stage(),
            };
            self.carry((client, to.port(), Direction::Down), stage);
        }
        let epoch = self.scene.operator.epoch();
        for (at, post) in self.server.take_post(shard, now) {
            self.queue.push(at, Happening::Letters { epoch, post });
        }
        if let Some(at) = self.server.begin_chore(shard, now) {
            self.queue.push(at, Happening::Chore { epoch, shard });
        }
        self.check_server()?;
        workload::move_on(&mut self.cast, &self.scene);
        if let Some(due) = self.server.chore_due(shard) {
            self.plan_turn(shard, due.max(now));
        }
        if let Some(due) = self.server.shard(shard).poll_timeout() {
            self.plan_turn(shard, due.max(now));
        }
        Ok(())
    }

    /// The process ends at once: nothing leaves that its store has not written.
    fn on_store_failed(&mut self) {
        self.server.end();
        self.queue.push(self.scene.now, Happening::Act(Act::Fail));
    }

    /// A shard takes in what its store has done, as soon as it runs.
    pub(crate) fn end_chore(&mut self, epoch: u64, shard: usize) -> Result<(), Violation> {
        let now = self.scene.now;
        if epoch != self.scene.operator.epoch() || !self.server.runs() {
            return Ok(());
        }
        let stalled = self.server.stalled(shard);
        if now < stalled {
            let later = Happening::Chore { epoch, shard };
            self.queue.push(stalled, later);
            return Ok(());
        }
        if self.server.end_chore(shard, now).is_err() {
            self.on_store_failed();
            return Ok(());
        }
        self.plan_turn(shard, now);
        Ok(())
    }

    fn check_server(&mut self) -> Result<(), Violation> {
        checkers::look_at_sessions(&mut self.cast, &mut self.scene, &self.server)?;
        let stats = self.server.check();
        self.scene.rooms.check(stats.rooms)?;
        self.scene.counters.paused += u64::try_from(stats.paused).unwrap_or(u64::MAX);
        let players = self.cast.everyone().count();
        ensure(
            stats.sessions <= players,
            "one identity has one session",
            || format!("{} sessions of {players} players", stats.sessions),
        )?;
        ensure(
            stats.resyncs == 0,
            "deltas build on what clients have",
            || "a client asked for a whole view".into(),
        )
    }
}

/// The guest's number among the clients: far beyond all others.
pub(crate) const GUEST: usize = 1 << 20;
/// Datagrams that one drain may give.
pub(crate) const BURST_MAX: u32 = 2_000;
/// Datagrams that a machine keeps for a process that does not run.
const INBOX_MAX: usize = 128;
