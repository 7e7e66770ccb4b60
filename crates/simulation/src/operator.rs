//! Whoever runs the server: keeps its keys and secrets from one process to the next, and sets its clock.

use std::collections::VecDeque;
use std::time::Duration;

use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_protocol::crypto::{PublicKey, StaticKeys};
use rejoin_protocol::handshake::{SealingKey, TicketKeys};
use rejoin_protocol::reset::{ResetKey, ResetToken};
use rejoin_protocol::{ConnectionId, Epoch, Rng, Timestamp};
use rejoin_room::builtin::arena::Arena;
use rejoin_room::builtin::chat::Chat;
use rejoin_room::{Durability, Kinds};
use rejoin_store::{MemoryStore, Store};

use crate::breaks::{KeysFate, Restart};
use crate::model::Rooms;
use crate::options::Options;
use crate::server::Server;
use crate::witness::Witness;

/// See the module page.
pub(crate) struct Operator {
    keys: StaticKeys,
    ticket_keys: Vec<SealingKey>,
    epoch: u64,
    /// Of the present process, and of those before it.
    starts: Vec<Start>,
    /// The first process after each loss of power, or of what rotted.
    after_losses: Vec<u64>,
    /// The store may lack something that it cannot tell of.
    may_lack: bool,
    root: Rng,
}

/// What a process began with.
struct Start {
    epoch: u64,
    /// The first process of those that hand their rooms on to this one.
    era: u64,
    /// The wall clock when the run began, in seconds since 1970, as the process has it.
    unix_s: u64,
}

/// Keys that open beside the one that seals.
const OLD_KEYS_MAX: usize = 2;
/// The wall clock of every run at its begin: far enough from 1970 to be set back.
pub(crate) const UNIX_START_S: u64 = 1_000_000_000;

impl Operator {
    pub(crate) fn new(root: &Rng) -> Self {
        Self {
            keys: StaticKeys::generate(&mut root.fork("server key")),
            ticket_keys: vec![SealingKey::generate(&mut root.fork("ticket key 1"))],
            epoch: 1,
            starts: vec![Start {
                epoch: 1,
                era: 1,
                unix_s: UNIX_START_S,
            }],
            after_losses: Vec::new(),
            may_lack: false,
            root: root.clone(),
        }
    }

    pub(crate) fn server_key(&self) -> PublicKey {
        self.keys.public()
    }

    /// The number of the present process.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The first process of those that hand their rooms on to the present one.
    pub(crate) fn era(&self) -> u64 {
        self.era_of(self.epoch)
    }

    /// The first process of those that handed their rooms on to that one.
    pub(crate) fn era_of(&self, process: u64) -> u64 {
        self.start_of(process).era
    }

    /// Seconds since 1970, as that process has them.
    pub(crate) fn unix_s(&self, process: u64, now: Timestamp) -> u64 {
        self.start_of(process).unix_s + now.since(Timestamp::ZERO).as_secs()
    }

    fn start_of(&self, process: u64) -> &Start {
        let mut starts = self.starts.iter().rev();
        let start = starts.find(|start| start.epoch <= process);
        start.expect("the first process is 1")
    }

    /// What would reset a connection of the present process.
    pub(crate) fn reset_token(&self, connection: ConnectionId) -> ResetToken {
        ResetKey::of(&self.session_secret()).token(Epoch(self.epoch), connection)
    }

    fn session_secret(&self) -> [u8; 32] {
        self.root.fork("session secret").bytes()
    }

    /// The next process: what it finds of the one before.
    pub(crate) fn succeed(&mut self, restart: Restart) {
        self.epoch += 1;
        let before = self.start_of(self.epoch);
        self.starts.push(Start {
            epoch: self.epoch,
            era: match restart.keeps_rooms {
                true => before.era,
                false => self.epoch,
            },
            unix_s: before.unix_s.saturating_add_signed(restart.jump_s),
        });
        if restart.keys == KeysFate::Kept {
            return;
        }
        let label = format!("ticket key {}", self.epoch);
        let fresh = SealingKey::generate(&mut self.root.fork(&label));
        if restart.keys == KeysFate::Lost {
            self.ticket_keys.clear();
        }
        self.ticket_keys.insert(0, fresh);
        self.ticket_keys.truncate(1 + OLD_KEYS_MAX);
    }

    /// Another process ended before it served.
    pub(crate) fn raise_epoch(&mut self) {
        self.epoch += 1;
    }

    /// The present process has opened the store, which may lack something that it cannot tell of.
    pub(crate) fn on_opened(&mut self, may_lack: bool) {
        self.may_lack = may_lack;
    }

    /// The present process finds what a loss of power or rot has left.
    pub(crate) fn on_lost(&mut self) {
        self.after_losses.push(self.epoch);
    }

    /// How often something was lost before that process.
    pub(crate) fn generation(&self, process: u64) -> u64 {
        let losses = self.after_losses.iter();
        let before = losses.filter(|first| **first <= process).count();
        u64::try_from(before).expect("losses are few")
    }

    /// True if something was lost after that many losses.
    pub(crate) fn is_past(&self, generation: u64) -> bool {
        generation < self.generation(self.epoch)
    }

    /// True if something was lost since that process: its word says nothing of the rooms of this one.
    pub(crate) fn has_lost_since(&self, process: u64) -> bool {
        self.is_past(self.generation(process))
    }

    /// Starts the present process: shards of one kind, each with the rooms that are stored there.
    pub(crate) fn start(
        &self,
        options: &Options,
        rooms: &Rooms,
        mut stores: VecDeque<Box<dyn Store>>,
        now: Timestamp,
    ) -> Server {
        let root = match self.epoch {
            1 => self.root.clone(),
            epoch => self.root.fork(&format!("process {epoch}")),
        };
        let config = Config {
            seat_hold: options.seat_hold,
            empty_room_hold: options.empty_room_hold,
            ticket_keys: TicketKeys::new(self.ticket_keys.clone()).expect("few keys, each its own"),
            epoch: Epoch(self.epoch),
            unix_start: Duration::from_secs(self.start_of(self.epoch).unix_s),
            store_may_lack: self.may_lack,
            ..Config::new(self.keys.clone(), self.session_secret())
        };
        let kinds = Kinds::new()
            .with::<Arena>()
            .with::<Chat>()
            .with::<Witness>();
        let kinds = match options.breaks.is_synced() {
            true => kinds.kept_as(Durability::Synced),
            false => kinds,
        };
        let directory = rooms.watch(MemoryDirectory::default());
        let sharding = options.sharding;
        let shard = |number| {
            let chance = match number {
                0 => root.fork("server"),
                _ => root.fork(&format!("shard {number}")),
            };
            let mut config = config.clone();
            (config.shard, config.shards) = (number, sharding.shards);
            if sharding.shards > 1 {
                config.cookie_secret = Some(root.fork("cookies").bytes());
            }
            let (kinds, directory) = (kinds.clone(), directory.clone());
            let store = stores.pop_front();
            let store = store.unwrap_or_else(|| Box::new(MemoryStore::default()));
            Shard::new(config, kinds, store, directory, chance, now)
        };
        let shards = (0..sharding.shards).map(shard).collect();
        let disk = options.breaks.disk;
        let longest_sync = disk.map_or(Duration::ZERO, |disk| disk.sync);
        Server::new(shards, (sharding, longest_sync), root.fork("sharding"))
    }
}
