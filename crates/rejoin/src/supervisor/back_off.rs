//! How long a server that died stays down, and which ends are for good.

use std::time::Duration;

use crate::exit::Exit;

/// The pause before the third start; the second comes at once, and each later pause is twice the one before.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);
/// A server that served for so long was well: its next death is a first one again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Counts deaths in succession.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BackOff {
    deaths: u32,
}

impl BackOff {
    /// A server died after it had served for `served`: how long to wait before the next.
    pub(super) fn on_death(&mut self, served: Duration) -> Duration {
        if served >= WELL_AFTER {
            self.deaths = 0;
        }
        let pause = match self.deaths {
            0 => Duration::ZERO,
            // Seven doublings are beyond the longest.
            deaths => (FIRST * (1 << (deaths - 1).min(7))).min(LONGEST),
        };
        self.deaths = self.deaths.saturating_add(1);
        pause
    }
}

/// The code of a server that is not to be started again: it was asked to end, the same settings would end it the
/// same way, or a later process has its folder. A port that is busy is one of these until it was ours once.
pub(super) fn is_for_good(exit: Exit, has_served: bool) -> bool {
    match exit {
        Exit::Success | Exit::Usage | Exit::Fenced => true,
        Exit::CannotBind => !has_served,
        Exit::CheckFailed
        | Exit::Unreachable
        | Exit::Version
        | Exit::ConnectionLost
        | Exit::Refused
        | Exit::CheckMissed
        | Exit::Internal => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_is_at_once_and_pauses_double_up_to_a_bound() {
        let mut back_off = BackOff::default();
        let pauses: Vec<u128> = (0..10)
            .map(|_| back_off.on_death(Duration::from_secs(59)).as_millis())
            .collect();
        let expected = [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000];
        assert_eq!(pauses, expected);
        let mut long = BackOff { deaths: u32::MAX };
        assert_eq!(long.on_death(Duration::ZERO), LONGEST);
    }

    #[test]
    fn a_minute_of_service_makes_the_next_death_a_first_one() {
        let mut back_off = BackOff::default();
        for _ in 0..5 {
            back_off.on_death(Duration::ZERO);
        }
        assert_eq!(back_off.on_death(WELL_AFTER), Duration::ZERO);
        assert_eq!(back_off.on_death(Duration::ZERO), FIRST);
    }

    #[test]
    fn what_would_end_the_same_way_again_is_for_good() {
        for exit in [Exit::Success, Exit::Usage, Exit::Fenced] {
            assert!(is_for_good(exit, true) && is_for_good(exit, false));
        }
        assert!(is_for_good(Exit::CannotBind, false));
        assert!(!is_for_good(Exit::CannotBind, true));
        assert!(!is_for_good(Exit::Internal, false));
    }
}
