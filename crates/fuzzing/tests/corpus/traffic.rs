//! What sound ends say to each other and keep: frames, replies, journals, checkpoints.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rejoin_client::{Core, Options, Permit};
use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_protocol::connection::{Connection, Role, Setup};
use rejoin_protocol::crypto::{StaticKeys, Suite, TrafficSecret};
use rejoin_protocol::message::RoomSettings;
use rejoin_protocol::packet::Header;
use rejoin_protocol::{Epoch, PlayerId, RequestId, Rng, RoomId, SeatId, Timestamp, messagepack};
use rejoin_room::builtin::arena::{Arena, Move};
use rejoin_room::builtin::chat::{Chat, Say};
use rejoin_room::{Call, Kinds, RoomSpec};
use rejoin_store::{Chore, Finished, MemoryStore, Record, Standing, Store, StoreError, Stored};

use crate::seeds::Seeds;

/// Seeds by parser.
pub(crate) fn all() -> BTreeMap<&'static str, Seeds> {
    let kept = played();
    let kept = kept.borrow();
    BTreeMap::from([
        ("frames", frames()),
        ("reply", numbered(&kept.replies, 2)),
        ("journal-record", numbered(&kept.records, 12)),
        ("room-checkpoint", numbered(&kept.checkpoints, 6)),
        ("room-instance", instances()),
    ])
}

fn numbered(list: &[Vec<u8>], max: usize) -> Seeds {
    let mut list = list.to_vec();
    list.sort_by_key(|bytes| std::cmp::Reverse(bytes.len()));
    list.dedup_by_key(|bytes| bytes.len());
    let numbered = list.into_iter().take(max).enumerate();
    numbered
        .map(|(index, bytes)| (index.to_string(), bytes))
        .collect()
}

fn secret(material: u8) -> TrafficSecret {
    TrafficSecret::new(Suite::Aes128Gcm, [material; 32])
}

/// The frames of each packet of a short talk.
fn frames() -> Seeds {
    let mut now = Timestamp::from_millis(1_000);
    let mut ends = [0, 1].map(|side| {
        let setup = Setup {
            seal: secret(side),
            open: secret(1 - side),
            send_id: None,
            labelled: false,
            epoch: Epoch(0),
            role: [Role::Client, Role::Server][usize::from(side)],
        };
        Connection::new(setup, None, now)
    });
    let mut seeds = Seeds::new();
    for round in 0..8 {
        now += Duration::from_millis(40);
        speak(&mut ends, round);
        for side in 0..2 {
            ends[side].handle_timeout(now);
            let mut packet = Vec::new();
            while ends[side].poll_transmit(&mut packet, now) {
                let (name, plain) = opened(&packet, side, ends[1 - side].next_expected());
                seeds.insert(name, plain);
                // One round is lost, so that ranges have a gap.
                if round != 2 || side != 0 {
                    ends[1 - side].handle_datagram(&mut packet, now).unwrap();
                }
                packet.clear();
            }
            while ends[1 - side].poll_event().is_some() {}
        }
    }
    seeds
}

fn speak([ana, ben]: &mut [Connection; 2], round: u8) {
    let long = Bytes::from(vec![round; 1_500]);
    let [control, ordered, ad] = ["control", "ordered", "latest"].map(Bytes::from);
    ana.send_control(control).unwrap();
    ana.send_ordered(ordered, None).unwrap();
    ana.send_latest(round.into(), b"head", ad, None).unwrap();
    if round == 3 {
        ben.send_latest(1, b"", long.clone(), None).unwrap();
        ben.send_ordered(long, None).unwrap();
    }
    if round == 7 {
        ana.close(rejoin_protocol::CloseReason::Left);
    }
}

/// A packet's name and frames.
fn opened(packet: &[u8], side: usize, expected: u64) -> (String, Vec<u8>) {
    let mut packet = packet.to_vec();
    let (header, len) = Header::decode(&packet).unwrap();
    let number = header.number.expand(expected).unwrap();
    let (clear, body) = packet.split_at_mut(len);
    let material = u8::try_from(side).unwrap();
    let plain = secret(material).key().open(number, clear, body).unwrap();
    (format!("{side}-{number:02}"), plain.to_vec())
}

fn instances() -> Seeds {
    let kinds = Kinds::new().with::<Arena>().with::<Chat>();
    let mut seeds = Seeds::new();
    for (index, kind) in kinds.names().enumerate() {
        let spec = RoomSpec {
            room: RoomId::of(kind, RequestId([1; 16])),
            owner: PlayerId(1),
            settings: RoomSettings::default(),
            code: None,
        };
        let mut effects = Vec::new();
        let kind_of = kinds.get(kind).unwrap();
        let mut room = kind_of.open(&spec, [2; 32], &mut effects).unwrap();
        for player in [PlayerId(1), PlayerId(2)] {
            let name = format!("player {player}");
            let admit = Call::Admit {
                player,
                name,
                claims: b"claims".to_vec(),
            };
            let at = Duration::from_secs(1);
            room.apply(at, &admit, &mut effects).unwrap();
            let payload = input(kind);
            let input = Call::Input { player, payload };
            room.apply(at, &input, &mut effects).unwrap();
        }
        let mut out = vec![u8::from(index > 0)];
        room.checkpoint(&mut out).unwrap();
        seeds.insert(kind.to_owned(), out);
    }
    seeds
}

fn input(kind: &str) -> Bytes {
    let bytes = if kind == "arena" {
        messagepack::encode(&Move(0.5, -1.0, 1, true))
    } else {
        messagepack::encode(&Say {
            text: "hello".into(),
        })
    };
    bytes.unwrap().into()
}

/// What a shard sent in answer to hellos, and what it gave its store.
#[derive(Default, Debug)]
struct Kept {
    replies: Vec<Vec<u8>>,
    records: Vec<Vec<u8>>,
    checkpoints: Vec<Vec<u8>>,
}

/// A few seconds of play in an arena and a chat.
fn played() -> Rc<RefCell<Kept>> {
    let kept = Rc::new(RefCell::new(Kept::default()));
    let recorder = Recorder {
        store: MemoryStore::default(),
        kept: kept.clone(),
    };
    let mut now = Timestamp::from_millis(1_000);
    let config = Config::new(StaticKeys::development(), [7; 32]);
    let kinds = Kinds::new().with::<Arena>().with::<Chat>();
    let rng = Rng::from_number(1);
    let mut shard = Shard::new(
        config,
        kinds,
        recorder,
        MemoryDirectory::default(),
        rng,
        now,
    );
    let mut cores = [0, 1].map(|number| core(number, now));
    for step in 0..1_200 {
        now += Duration::from_millis(10);
        for (index, core) in cores.iter_mut().enumerate() {
            act(core, index, step);
            core.handle_timeout(now);
            let mut datagram = Vec::new();
            while core.poll_transmit(&mut datagram, now) {
                shard.handle_datagram(address(index), &mut datagram, now);
                datagram.clear();
            }
            while core.poll_event().is_some() {}
        }
        shard.turn(now);
        let mut datagram = Vec::new();
        while let Some(to) = shard.poll_transmit(&mut datagram, now) {
            if rejoin_protocol::handshake::ClientHandshake::is_reply(&datagram) {
                kept.borrow_mut().replies.push(datagram.clone());
            }
            let index = usize::from(to.port() - 1);
            cores[index].handle_datagram(&mut datagram, now);
            datagram.clear();
        }
    }
    kept
}

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1 + u16::try_from(index).unwrap()))
}

fn core(number: u64, now: Timestamp) -> Core {
    let mut rng = Rng::from_number(number);
    let identity = StaticKeys::generate(&mut rng);
    let server = StaticKeys::development().public();
    let permit = Permit::dev(format!("player {number}"));
    Core::new(Options::new(server, identity, permit, 1), rng, now)
}

fn act(core: &mut Core, index: usize, step: u32) {
    let request = RequestId([1; 16]);
    for (at, kind) in [(10, "arena"), (20, "chat")] {
        if step == at && index == 0 {
            let opened = core.create(request, kind, RoomSettings::default());
            opened.unwrap();
        } else if step == at + 5 && index == 1 {
            core.join(RoomId::of(kind, request)).unwrap();
        }
    }
    if step > 50 && step.is_multiple_of(40) {
        core.send(SeatId(0), input("arena")).unwrap();
        core.send(SeatId(1), input("chat")).unwrap();
        core.latest(SeatId(0), input("arena")).unwrap();
    }
}

/// A memory store that copies what it is given.
#[derive(Debug)]
struct Recorder {
    store: MemoryStore,
    kept: Rc<RefCell<Kept>>,
}

impl Store for Recorder {
    fn append(&mut self, records: &[Record<'_>]) -> Result<(), StoreError> {
        let bodies = records.iter().map(|record| record.body.to_vec());
        self.kept.borrow_mut().records.extend(bodies);
        self.store.append(records)
    }

    fn amend(&mut self, record: Record<'_>) -> Result<(), StoreError> {
        self.store.amend(record)
    }

    fn checkpoint(&mut self, room: RoomId, sequence: u64, body: Bytes) -> Result<(), StoreError> {
        self.kept.borrow_mut().checkpoints.push(body.to_vec());
        self.store.checkpoint(room, sequence, body)
    }

    fn journal_bytes(&self, room: RoomId) -> usize {
        self.store.journal_bytes(room)
    }

    fn load(&self, room: RoomId) -> Result<Option<Stored>, StoreError> {
        self.store.load(room)
    }

    fn rooms(&self) -> Vec<RoomId> {
        self.store.rooms()
    }

    fn forget(&mut self, room: RoomId) -> Result<(), StoreError> {
        self.store.forget(room)
    }

    fn journalled(&self) -> u64 {
        self.store.journalled()
    }

    fn synced(&self) -> u64 {
        self.store.synced()
    }

    fn chore(&mut self) -> Option<Chore> {
        self.store.chore()
    }

    fn on_chore(&mut self, finished: Finished) -> Result<(), StoreError> {
        self.store.on_chore(finished)
    }

    fn standing(&self, room: RoomId) -> Standing {
        self.store.standing(room)
    }

    fn set_standing(&mut self, room: RoomId, standing: Standing) -> Result<(), StoreError> {
        self.store.set_standing(room, standing)
    }
}
