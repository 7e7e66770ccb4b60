//! A game with its own room and its own bots. `cargo run --example duel -- demo` plays it.

use rejoin::prelude::*;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Score {
    points: BTreeMap<PlayerId, u32>,
}

#[derive(Serialize, Deserialize)]
struct Hit {
    points: u32,
}

struct Duel;

impl Room for Duel {
    const KIND: &'static str = "duel";
    type State = Score;
    type Input = Hit;
    type View = Score;
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Score {
        Score::default()
    }

    fn input(state: &mut Score, from: PlayerId, hit: Hit, _cx: &mut Cx<Self>) {
        *state.points.entry(from).or_default() += hit.points;
    }

    fn view(state: &Score) -> Cow<'_, Score> {
        Cow::Borrowed(state)
    }
}

#[derive(Default)]
struct Duelist {
    points: u32,
}

impl Behaviour for Duelist {
    type Room = Duel;

    fn step(&mut self, bot: &mut BotCx<'_, Duel>) {
        let points = 1 + u32::from(bot.rng().chance(0.5));
        if bot.send(Hit { points }) {
            self.points += points;
        }
    }

    fn check(&self, player: PlayerId, view: &Score) -> Result<(), String> {
        match view.points.get(&player).copied().unwrap_or(0) {
            shown if shown == self.points => Ok(()),
            shown => Err(format!("it scored {}, the room shows {shown}", self.points)),
        }
    }
}

fn main() -> ExitCode {
    rejoin::serve(|server| server.room::<Duel>().bots::<Duelist>())
}

#[cfg(test)]
#[path = "../../../tests/duel.rs"]
mod tests;
