//! A room that an older version kept is taken up by a newer one: its state goes through `Room::migrate`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::{PlayerId, Rng, Timestamp};
use rejoin_room::{Cx, Kinds, Receipt, Room, RoomSpec};
use rejoin_store::{MemoryStore, Record, Store, Stored};
use serde::{Deserialize, Serialize};

use super::vault::{Coins, ROOM, Vault, input, session};
use super::{coins, of_format, room};
use crate::lines::lines_of;
use crate::rooms::entry::Entry;
use crate::rooms::{journal, replay};
use crate::{Config, MemoryDirectory, Shard};

/// A field has another name and one is new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ledger {
    drawn: u64,
    coins: BTreeMap<PlayerId, u32>,
    resumed: Vec<(bool, bool)>,
}

struct VaultTwo;

impl Room for VaultTwo {
    const KIND: &'static str = Vault::KIND;
    const VERSION: u32 = 2;
    const TICK_HZ: u32 = Vault::TICK_HZ;

    type State = Ledger;
    type Input = u8;
    type View = Ledger;
    type Event = String;

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Ledger {
        unreachable!("the room is open")
    }

    /// A coin is worth two since.
    fn input(state: &mut Ledger, from: PlayerId, coins: u8, _cx: &mut Cx<Self>) {
        *state.coins.entry(from).or_default() += 2 * u32::from(coins);
    }

    fn resumed(state: &mut Ledger, receipt: Receipt, _cx: &mut Cx<Self>) {
        state.resumed.push((receipt.rolled_back, receipt.rebuilt));
    }

    fn view(state: &Ledger) -> Cow<'_, Ledger> {
        Cow::Borrowed(state)
    }

    fn migrate(version: u32, state: &[u8]) -> Result<Ledger, String> {
        assert_eq!(version, 1);
        let old: Coins = messagepack::decode(state, Bounds::PEER).map_err(|it| it.to_string())?;
        Ok(Ledger {
            drawn: old.drawn,
            coins: old.taken,
            resumed: Vec::new(),
        })
    }
}

/// The version was raised, and nobody taught it to read the older state.
struct VaultThree;

impl Room for VaultThree {
    const KIND: &'static str = Vault::KIND;
    const VERSION: u32 = 3;

    type State = u8;
    type Input = u8;
    type View = u8;
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> u8 {
        0
    }

    fn input(_state: &mut u8, _from: PlayerId, _coins: u8, _cx: &mut Cx<Self>) {}

    fn view(state: &u8) -> Cow<'_, u8> {
        Cow::Borrowed(state)
    }
}

/// A store that an older version left: a golden checkpoint, and what was called since.
fn left(format: u8, calls: &[Entry]) -> MemoryStore {
    let mut store = MemoryStore::default();
    store.checkpoint(ROOM, 0, of_format(format).into()).unwrap();
    for (sequence, call) in (1..).zip(calls) {
        let mut body = Vec::new();
        journal::encode(Duration::from_secs(2), [call].into_iter(), &mut body);
        let record = Record {
            room: ROOM,
            sequence,
            body: &body,
        };
        store.append(&[record]).unwrap();
    }
    store
}

/// A server starts on that store. Tells what it logged at warn and above, and what is stored then.
fn start<R: Room>(store: MemoryStore) -> (Vec<String>, Stored) {
    let config = Config::new(StaticKeys::development(), [7; 32]);
    let kinds = Kinds::new().with::<R>();
    let mut stored = None;
    let lines = lines_of(|| {
        let (rng, now) = (Rng::from_number(1), Timestamp::ZERO);
        let mut shard = Shard::new(config, kinds, store, MemoryDirectory::default(), rng, now);
        shard.turn(now);
        stored = shard.store().load(ROOM).unwrap();
    });
    (lines, stored.unwrap())
}

/// The room of the store, as the newer version has it.
fn ledger(stored: &Stored) -> Ledger {
    let kinds = Kinds::new().with::<VaultTwo>();
    let room = replay::rebuild(stored, &kinds, u64::MAX).unwrap().unwrap();
    let mut view = Vec::new();
    room.instance.view(&mut view).unwrap();
    messagepack::decode(&view, Bounds::PEER).unwrap()
}

#[test]
fn a_room_of_an_older_version_goes_on_with_its_migrated_state() {
    let before = coins(&room());
    for format in [1, 2] {
        let (lines, stored) = start::<VaultTwo>(left(format, &[]));
        let expected = Ledger {
            drawn: before.drawn,
            coins: before.taken.clone(),
            resumed: vec![(false, false)],
        };
        assert_eq!(ledger(&stored), expected, "format {format}");
        assert_eq!(lines, Vec::<String>::new(), "nothing was called again");
    }
}

#[test]
fn calls_that_another_version_makes_again_leave_a_room_that_is_told_as_rebuilt() {
    let ana = session(1).player();
    let before = coins(&room()).taken[&ana];
    for format in [1, 2] {
        let (lines, stored) = start::<VaultTwo>(left(format, &[input(1, Some(301), 3)]));
        let now = ledger(&stored);
        assert_eq!(now.coins[&ana], before + 6, "format {format}");
        assert_eq!(now.resumed, [(false, true)], "format {format}");
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        for word in ["rebuilt", "vault", "written_by=1", "version=2", "records=1"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
}

#[test]
fn a_room_whose_state_cannot_be_read_stays_and_the_log_says_what_to_do() {
    for format in [1, 2] {
        let store = left(format, &[input(1, Some(301), 3)]);
        let before = store.load(ROOM).unwrap();
        let (lines, stored) = start::<VaultThree>(store);
        assert_eq!(Some(stored), before, "it stays as it is");
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let said = [
            "vault of version 3 cannot read a state that version 1 wrote: vault cannot read a state of version 1",
            "`Room::migrate`",
            "`rejoin store drop`",
            "`rejoin serve --fresh`",
        ];
        for words in said {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
}
