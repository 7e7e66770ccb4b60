//! Bots for the arena: they run about, and prove that each input was applied once and in order.

use std::collections::VecDeque;

use rejoin_protocol::PlayerId;
use rejoin_protocol::limits::INPUTS_KEPT_MAX;
use rejoin_room::builtin::arena::{Arena, Field, Move, Runner, SIDE, chain};

use crate::behaviour::Behaviour;
use crate::bot_cx::BotCx;
use crate::options::Mode;

/// In reliable runs every so many steps also send a latest input, so that both lanes are proven.
const LATEST_EVERY: u64 = 4;
/// How near a goal counts as reached.
const REACHED: f32 = 4.0;
/// Margin between goals and the walls.
const MARGIN: f32 = 6.0;
/// Steps after which a goal is given up: others may stand in the way.
const PATIENCE: u64 = 150;

/// Runs from one random goal to the next. See the module page.
#[derive(Debug, Default)]
pub struct ArenaBot {
    count: u64,
    chain: u64,
    /// The chain after each of the newest inputs: one of them is where the room is.
    chains: VecDeque<u64>,
    goal: Option<Goal>,
    heading: (f32, f32),
}

#[derive(Clone, Copy, Debug)]
struct Goal {
    x: f32,
    y: f32,
    until: u64,
}

impl Behaviour for ArenaBot {
    type Room = Arena;

    fn step(&mut self, bot: &mut BotCx<'_, Arena>) {
        self.steer(bot);
        let (x, y) = self.heading;
        let number = bot.number();
        if bot.mode() == Mode::Reliable {
            let input = Move(x, y, number, true);
            if bot.send(input) {
                self.count += 1;
                self.remember();
                self.chain = chain(self.chain, &input);
            }
        }
        if bot.mode() == Mode::Latest || number.is_multiple_of(LATEST_EVERY) {
            bot.latest(Move(x, y, number, false));
        }
    }

    fn view(&mut self, before: Option<&Field>, now: &Field) -> Result<(), String> {
        before.map_or(Ok(()), |before| only_forwards(before, now))
    }

    fn shown(player: PlayerId, view: &Field) -> Option<u64> {
        row(player, view).map(|row| row.latest)
    }

    fn applied(player: PlayerId, view: &Field) -> Option<u64> {
        row(player, view).map(|row| row.count)
    }

    fn relaunched(&mut self, applied: u64) {
        while self.count > applied
            && let Some(chain) = self.chains.pop_back()
        {
            (self.count, self.chain) = (self.count - 1, chain);
        }
    }

    fn check(&self, player: PlayerId, view: &Field) -> Result<(), String> {
        let row = row(player, view).ok_or("the view shows no row of its own")?;
        if (row.count, row.chain) == (self.count, self.chain) {
            return Ok(());
        }
        Err(format!(
            "it sent {} reliable inputs with chain {:016x}, the room applied {} with chain {:016x}",
            self.count, self.chain, row.count, row.chain
        ))
    }
}

impl ArenaBot {
    /// Remembers the chain as it is. No client has more inputs on their way than are remembered.
    fn remember(&mut self) {
        if self.chains.len() > INPUTS_KEPT_MAX {
            self.chains.pop_front();
        }
        self.chains.push_back(self.chain);
    }

    /// Turns a little towards the goal at each step, so that paths are curves.
    fn steer(&mut self, bot: &mut BotCx<'_, Arena>) {
        let place = bot
            .view()
            .and_then(|view| row(bot.player(), view))
            .map(|row| (row.x, row.y));
        let (x, y) = place.unwrap_or((SIDE / 2.0, SIDE / 2.0));
        let near = |goal: Goal| (goal.x - x).hypot(goal.y - y) < REACHED;
        let goal = self
            .goal
            .filter(|goal| !near(*goal) && bot.number() < goal.until);
        let goal = goal.unwrap_or_else(|| new_goal(bot));
        self.goal = Some(goal);
        let wish = unit((goal.x - x, goal.y - y));
        let turned = (
            0.85 * self.heading.0 + 0.15 * wish.0,
            0.85 * self.heading.1 + 0.15 * wish.1,
        );
        self.heading = if turned.0.hypot(turned.1) > 0.05 {
            unit(turned)
        } else {
            wish
        };
    }
}

fn new_goal(bot: &mut BotCx<'_, Arena>) -> Goal {
    let until = bot.number() + PATIENCE;
    let mut along = || {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a place needs no more digits"
        )]
        let unit = bot.rng().unit() as f32;
        MARGIN + unit * (SIDE - 2.0 * MARGIN)
    };
    Goal {
        x: along(),
        y: along(),
        until,
    }
}

fn unit((x, y): (f32, f32)) -> (f32, f32) {
    let length = x.hypot(y);
    if length > 0.0 {
        ((x / length).clamp(-1.0, 1.0), (y / length).clamp(-1.0, 1.0))
    } else {
        (0.0, 0.0)
    }
}

fn row(player: PlayerId, view: &Field) -> Option<&Runner> {
    view.players.iter().find(|row| row.player == player)
}

/// No counter of anybody ever falls between two views.
fn only_forwards(before: &Field, now: &Field) -> Result<(), String> {
    if now.tick < before.tick {
        return Err(format!(
            "the field's tick fell from {} to {}",
            before.tick, now.tick
        ));
    }
    // Both lists are in order of player: one pass through the two.
    let mut then = before.players.iter().peekable();
    for row in &now.players {
        while then.next_if(|old| old.player < row.player).is_some() {}
        let Some(old) = then.next_if(|old| old.player == row.player) else {
            continue;
        };
        if row.latest < old.latest {
            let (player, old, new) = (row.player, old.latest, row.latest);
            return Err(format!(
                "latest of player {player} fell from {old} to {new}"
            ));
        }
        if row.count < old.count {
            let (player, old, new) = (row.player, old.count, row.count);
            return Err(format!("count of player {player} fell from {old} to {new}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(tick: u64, rows: &[(u64, u64, u64)]) -> Field {
        let row = |&(player, count, latest): &(u64, u64, u64)| Runner {
            player: PlayerId(player),
            x: 0.0,
            y: 0.0,
            count,
            chain: 0,
            latest,
        };
        Field {
            tick,
            players: rows.iter().map(row).collect(),
        }
    }

    #[test]
    fn a_counter_that_falls_is_found() {
        let before = field(5, &[(1, 3, 7), (2, 4, 8), (9, 1, 1)]);
        assert_eq!(
            only_forwards(&before, &field(5, &[(1, 3, 7), (5, 0, 0), (9, 2, 2)])),
            Ok(())
        );
        assert!(only_forwards(&before, &field(4, &[])).is_err());
        assert!(only_forwards(&before, &field(6, &[(2, 4, 7)])).is_err());
        assert!(only_forwards(&before, &field(6, &[(1, 4, 9), (9, 0, 1)])).is_err());
    }

    #[test]
    fn a_bot_goes_back_to_what_the_room_had_of_its_dead_client() {
        let mut bot = ArenaBot::default();
        let mut chains = Vec::new();
        let send = |bot: &mut ArenaBot, number: u64| {
            let input = Move(0.5, 0.5, number, true);
            bot.count += 1;
            bot.remember();
            bot.chain = chain(bot.chain, &input);
            bot.chain
        };
        for number in 1..=5_000 {
            chains.push(send(&mut bot, number));
        }
        assert!(bot.chains.len() <= INPUTS_KEPT_MAX + 1);
        bot.relaunched(5_000);
        assert_eq!((bot.count, bot.chain), (5_000, chains[4_999]));
        bot.relaunched(4_990);
        assert_eq!((bot.count, bot.chain), (4_990, chains[4_989]));
        // What takes the place of the lost ones is another chain.
        assert_ne!(send(&mut bot, 6_000), chains[4_990]);
    }

    #[test]
    fn a_chain_that_differs_is_found() {
        let bot = ArenaBot {
            count: 2,
            chain: 77,
            ..ArenaBot::default()
        };
        let view = |count, chain| {
            let mut view = field(1, &[(1, count, 0)]);
            view.players[0].chain = chain;
            view
        };
        assert_eq!(bot.check(PlayerId(1), &view(2, 77)), Ok(()));
        assert!(bot.check(PlayerId(1), &view(2, 78)).is_err());
        assert!(bot.check(PlayerId(1), &view(1, 77)).is_err());
        assert!(bot.check(PlayerId(2), &view(2, 77)).is_err());
    }
}
