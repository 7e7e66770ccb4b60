//! Judges what private rooms promise: nobody enters without the code, and nobody may try without end.

use std::time::Duration;

use rejoin_coordinator::Budgets;
use rejoin_protocol::message::Answer;
use rejoin_protocol::{Limit, Refusal, RefusalCode};

use crate::cast::{Cast, Player};
use crate::report::{Violation, ensure};
use crate::scene::{Phase, Scene};

/// Judges the answer to a guess that was wrong.
pub(super) fn guessed(
    cast: &mut Cast,
    scene: &mut Scene,
    client: usize,
    result: &Result<Answer, Refusal>,
) -> Result<(), Violation> {
    let told = || format!("client {client}: {result:?}");
    let Err(refusal) = result else {
        return Err(Violation::new("a wrong guess opens no room", told()));
    };
    if refusal.code == RefusalCode::UnknownRoom {
        let guesser = cast.client_mut(client);
        guesser.wrong += 1;
        // A session that is over and opened again has a whole budget.
        let budgets = u64::from(guesser.returns) + 1;
        let granted = granted(scene.now.since(guesser.started)) * budgets;
        return ensure(
            guesser.wrong <= granted,
            "wrong guesses are answered only within their budget",
            || format!("client {client}: {} of {granted}", guesser.wrong),
        );
    }
    scene.counters.guesses_over += 1;
    let fits = is_over_budget(cast, client, refusal);
    let stops = scene.phase == Phase::Stopping && refusal.code == RefusalCode::Stopping;
    ensure(fits || stops, "requests are refused only for cause", told)
}

/// A member of a private room's group is the only one who can have been told its code.
pub(super) fn invited(cast: &Cast, group: usize, member: &str) -> Result<(), Violation> {
    let wants = |player: &Player| player.wishes.iter().any(|wish| wish.group == group);
    let invited = cast.everyone().find(|player| player.name == member);
    let fits = !cast.group(group).private || invited.is_some_and(wants);
    ensure(
        fits,
        "nobody enters a private room without its code",
        || format!("{member} in a room of group {group}"),
    )
}

/// True if a client may be refused so for its wrong guesses, and is told how long to wait.
pub(super) fn is_over_budget(cast: &Cast, client: usize, refusal: &Refusal) -> bool {
    let player = cast.player(cast.client(client).player);
    let budgets = Budgets::default();
    let wait = refusal.retry_after_ms.unwrap_or(0);
    refusal.code == RefusalCode::LimitReached
        && refusal.limit == Some(Limit::RoomGuesses)
        && player.guesses >= u64::from(budgets.room_guesses_burst)
        && (1..=60_000).contains(&wait)
}

/// How many wrong guesses a client has after `span`: a burst, and what comes back.
fn granted(span: Duration) -> u64 {
    let budgets = Budgets::default();
    let per_minute = u128::from(budgets.room_guesses_per_min);
    let back = span.as_millis() * per_minute / 60_000 + 1;
    u64::from(budgets.room_guesses_burst) + u64::try_from(back).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_granted_at_once_and_more_with_time() {
        assert_eq!(granted(Duration::ZERO), 21);
        assert_eq!(granted(Duration::from_secs(60)), 41);
    }
}
