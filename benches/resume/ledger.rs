//! A room that counts its members' inputs and does nothing else, and bots that hold it to that. It has no
//! clock, so that thousands of members are little work.

use rejoin::prelude::*;

/// The room.
pub(crate) struct Ledger;

/// How many inputs of each member were applied.
pub(crate) type Counts = BTreeMap<PlayerId, u64>;

impl Room for Ledger {
    const KIND: &'static str = "ledger";
    type State = Counts;
    type Input = u64;
    type View = Counts;
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Counts {
        Counts::new()
    }

    fn input(counts: &mut Counts, from: PlayerId, number: u64, _cx: &mut Cx<Self>) {
        // One that comes twice or out of order shows at the end.
        let count = counts.entry(from).or_default();
        if number == *count + 1 {
            *count = number;
        } else {
            *count += 1_000_000;
        }
    }

    fn view(counts: &Counts) -> Cow<'_, Counts> {
        Cow::Borrowed(counts)
    }
}

/// Counts along.
#[derive(Default)]
pub(crate) struct Clerk {
    sent: u64,
}

impl Behaviour for Clerk {
    type Room = Ledger;

    fn step(&mut self, bot: &mut BotCx<'_, Ledger>) {
        if bot.send(self.sent + 1) {
            self.sent += 1;
        }
    }

    fn applied(player: PlayerId, view: &Counts) -> Option<u64> {
        view.get(&player).copied()
    }

    fn relaunched(&mut self, applied: u64) {
        self.sent = applied;
    }

    fn check(&self, player: PlayerId, view: &Counts) -> Result<(), String> {
        let applied = view.get(&player).copied().unwrap_or(0);
        if applied == self.sent {
            return Ok(());
        }
        Err(format!(
            "it sent {} inputs, the room applied {applied}",
            self.sent
        ))
    }
}
