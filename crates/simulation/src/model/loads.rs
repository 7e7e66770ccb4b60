//! Who said that it loads, and until when others may be told so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rejoin_protocol::{PlayerId, Timestamp};

/// All loads of late.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    by_player: BTreeMap<PlayerId, VecDeque<Load>>,
    watched: BTreeMap<usize, Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Load {
    from: Timestamp,
    until: Timestamp,
}

/// A load on a clean network, of which every member must be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pub(crate) client: usize,
    pub(crate) at: Timestamp,
}

/// Loads remembered per player: more than fit the time in which one explains anything.
const LOADS_MAX: usize = 64;

impl Loads {
    /// A player is about to say that it loads for `span`.
    pub(crate) fn announced(&mut self, player: PlayerId, span: Duration, now: Timestamp) {
        let loads = self.by_player.entry(player).or_default();
        loads.push_back(Load {
            from: now,
            until: now + span,
        });
        if loads.len() > LOADS_MAX {
            loads.pop_front();
        }
    }

    /// True if a load of the player lasts, or ended no longer than `within` ago.
    pub(crate) fn explains(&self, player: PlayerId, within: Duration, now: Timestamp) -> bool {
        let loads = self.by_player.get(&player);
        loads.is_some_and(|loads| {
            loads
                .iter()
                .any(|load| load.from <= now && now <= load.until + within)
        })
    }

    /// All who can be told of this load must be.
    pub(crate) fn watch(&mut self, player: usize, watched: Watched) {
        self.watched.insert(player, watched);
    }

    /// The load of the player that all must be told of.
    pub(crate) fn watched(&self, player: usize) -> Option<Watched> {
        self.watched.get(&player).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_explains_what_is_told_while_it_lasts_and_a_while_after() {
        let at = Timestamp::from_millis;
        let within = Duration::from_secs(2);
        let (ana, ben) = (PlayerId(1), PlayerId(2));
        let mut loads = Loads::default();
        loads.announced(ana, Duration::from_secs(5), at(1_000));
        let explains = |player, millis| loads.explains(player, within, at(millis));
        assert!(!explains(ana, 999), "not yet");
        assert!(explains(ana, 1_000) && explains(ana, 8_000));
        assert!(!explains(ana, 8_001), "long over");
        assert!(!explains(ben, 2_000), "another's");
    }
}
