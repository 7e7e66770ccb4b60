//! The story of one player whose network was taken away: what the others were told of it, and when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rejoin_protocol::PlayerId;
use rejoin_protocol::message::SeatChange;

/// How long it is gone: for longer than the 5 s after which a player is detached.
pub(super) const SPAN: Duration = Duration::from_secs(8);

/// See the module page.
#[derive(Debug)]
pub(super) struct Cut {
    since: Instant,
    /// Who it is, once the others are told.
    player: Option<PlayerId>,
    suspect: Option<Duration>,
    detached: Option<Duration>,
    back: Option<Duration>,
}

impl Cut {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            player: None,
            suspect: None,
            detached: None,
            back: None,
        }
    }

    /// True once nothing more is to be told.
    pub(super) const fn is_over(&self) -> bool {
        self.back.is_some()
    }

    /// Takes what the room's members are told now.
    pub(super) fn take(&mut self, absent: &BTreeMap<PlayerId, SeatChange>, now: Instant) {
        let after = now.duration_since(self.since);
        let player = self.player.or_else(|| absent.keys().next().copied());
        let Some(player) = player else {
            return;
        };
        self.player = Some(player);
        match absent.get(&player) {
            Some(SeatChange::Suspect) => {
                self.suspect.get_or_insert(after);
            }
            Some(SeatChange::Detached) => {
                self.detached.get_or_insert(after);
            }
            Some(_) => {}
            None => {
                self.back.get_or_insert(after);
            }
        }
    }

    /// The story so far, short enough for the smallest picture.
    pub(super) fn words(&self) -> String {
        let steps = [
            ("suspect", self.suspect),
            ("detached", self.detached),
            ("back", self.back),
        ];
        let told = steps.iter().filter_map(|(name, after)| {
            let after = (*after)?.as_secs_f64();
            Some(format!(" · {name} {after:.1} s"))
        });
        "cut off".to_owned() + &told.collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_told_with_its_time_and_the_first_absent_player_is_the_one() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let (ana, ben) = (PlayerId(1), PlayerId(2));
        let mut cut = Cut::new(start);
        let told = |changes: &[(PlayerId, SeatChange)]| changes.iter().copied().collect();
        cut.take(&told(&[]), at(500));
        assert_eq!(cut.words(), "cut off");
        cut.take(&told(&[(ana, SeatChange::Suspect)]), at(1_000));
        cut.take(
            &told(&[(ana, SeatChange::Suspect), (ben, SeatChange::Suspect)]),
            at(2_000),
        );
        cut.take(&told(&[(ana, SeatChange::Detached)]), at(5_000));
        assert!(!cut.is_over());
        cut.take(&told(&[(ben, SeatChange::Suspect)]), at(8_100));
        cut.take(&told(&[]), at(9_000));
        assert!(cut.is_over());
        assert_eq!(
            cut.words(),
            "cut off · suspect 1.0 s · detached 5.0 s · back 8.1 s"
        );
    }
}
