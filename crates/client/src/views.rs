//! Views of one seat: patches deltas, shows only newer ones, asks for a whole one when lost.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::Timestamp;
use rejoin_protocol::limits::{RESYNC_INTERVAL, SNAPSHOT_RING, VIEW_MAX};
use rejoin_protocol::message::HeldSnapshot;
use rejoin_protocol::room_message::SnapshotHead;
use rejoin_protocol::snapshot;

/// The views that deltas may build on, and how far the game has seen.
#[derive(Debug, Default)]
pub(crate) struct Views {
    /// The newest that was shown.
    newest: Option<u64>,
    /// Views that all members share, and this player's own: deltas never cross between them.
    shared: Ring,
    private: Ring,
    resync: Resync,
}

/// What came of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It is newer than all before: show this view.
    Newer(Bytes),
    /// The game has seen it, or a newer one.
    Known,
    /// It builds on a view we do not have, or is damaged: a resync is due.
    Unusable,
}

impl Views {
    /// Takes a snapshot: its head, and the view or delta behind it.
    pub(crate) fn handle_snapshot(&mut self, head: &SnapshotHead, body: &Bytes) -> Received {
        let is_newer = self.newest.is_none_or(|newest| head.sequence > newest);
        let ring = if head.private {
            &mut self.private
        } else {
            &mut self.shared
        };
        if ring.get(head.sequence).is_some() {
            return Received::Known;
        }
        let Some(view) = restore(ring, head, body) else {
            if !is_newer {
                return Received::Known;
            }
            self.resync.lost = self.resync.lost.max(Some(head.sequence));
            return Received::Unusable;
        };
        // An older one is kept too: the server may have seen its packet acknowledged.
        ring.insert(head.sequence, view.clone());
        if !is_newer {
            return Received::Known;
        }
        self.newest = Some(head.sequence);
        self.resync.lost = self.resync.lost.filter(|lost| *lost > head.sequence);
        Received::Newer(view)
    }

    /// The connection is lost: what was asked for on it does not come. What is held serves on the next one.
    pub(crate) fn on_connection_lost(&mut self) {
        self.resync = Resync::default();
    }

    /// The newest view that others share and that deltas may build on.
    pub(crate) fn newest_shared(&self) -> Option<HeldSnapshot> {
        let (sequence, view) = self.shared.0.last_key_value()?;
        Some(HeldSnapshot {
            sequence: *sequence,
            check: snapshot::check(view),
        })
    }

    /// When to ask for a whole view; `None` while all is well. `rtt` spaces repeated requests, since
    /// an answer takes so long.
    pub(crate) fn resync_due(&self, rtt: Option<Duration>) -> Option<Timestamp> {
        self.resync.lost?;
        let wait = RESYNC_INTERVAL.max(rtt.unwrap_or_default() * 2);
        Some(
            self.resync
                .asked
                .map_or(Timestamp::ZERO, |asked| asked + wait),
        )
    }

    /// A whole view was asked for.
    pub(crate) fn resync_asked(&mut self, now: Timestamp) {
        self.resync.asked = Some(now);
    }
}

/// The view that a snapshot stands for, if it can be had and is what the server meant.
fn restore(ring: &Ring, head: &SnapshotHead, body: &Bytes) -> Option<Bytes> {
    let Some(base) = head.base else {
        return (body.len() <= VIEW_MAX).then(|| body.clone());
    };
    let view = snapshot::apply(ring.get(base.sequence)?, body, VIEW_MAX).ok()?;
    (snapshot::check(&view) == base.check).then(|| view.into())
}

/// A lost view, and when a whole one was last asked for.
#[derive(Debug, Default)]
struct Resync {
    /// The newest snapshot that could not be used; none once a newer one could.
    lost: Option<u64>,
    asked: Option<Timestamp>,
}

/// The newest [`SNAPSHOT_RING`] views by sequence; the oldest is dropped first.
#[derive(Debug, Default)]
struct Ring(BTreeMap<u64, Bytes>);

impl Ring {
    fn get(&self, sequence: u64) -> Option<&Bytes> {
        self.0.get(&sequence)
    }

    fn insert(&mut self, sequence: u64, view: Bytes) {
        self.0.insert(sequence, view);
        if self.0.len() > SNAPSHOT_RING {
            self.0.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;
    use rejoin_protocol::room_message::Base;

    use super::*;

    fn head(sequence: u64, base: Option<u64>, view: &[u8]) -> SnapshotHead {
        let check = snapshot::check(view);
        SnapshotHead {
            sequence,
            base: base.map(|sequence| Base { sequence, check }),
            tick: 0,
            cursor: 0,
            private: false,
        }
    }

    fn view(fill: u8) -> Bytes {
        let mut view = vec![7; 200];
        view[100] = fill;
        view.into()
    }

    fn full(views: &mut Views, sequence: u64, fill: u8) -> Received {
        views.handle_snapshot(&head(sequence, None, &view(fill)), &view(fill))
    }

    fn delta(views: &mut Views, sequence: u64, base: (u64, u8), fill: u8) -> Received {
        let body = snapshot::delta(&view(base.1), &view(fill)).unwrap();
        views.handle_snapshot(&head(sequence, Some(base.0), &view(fill)), &body)
    }

    #[test]
    fn a_delta_is_patched_onto_the_view_it_names() {
        let mut views = Views::default();
        assert_eq!(full(&mut views, 1, 1), Received::Newer(view(1)));
        assert_eq!(delta(&mut views, 2, (1, 1), 2), Received::Newer(view(2)));
        assert_eq!(delta(&mut views, 5, (1, 1), 5), Received::Newer(view(5)));
        assert_eq!(views.resync_due(None), None);
    }

    #[test]
    fn an_older_view_is_never_shown_after_a_newer_but_serves_as_a_base() {
        let mut views = Views::default();
        full(&mut views, 4, 4);
        assert_eq!(full(&mut views, 3, 3), Received::Known);
        assert_eq!(full(&mut views, 4, 4), Received::Known);
        assert_eq!(delta(&mut views, 6, (3, 3), 6), Received::Newer(view(6)));
    }

    #[test]
    fn a_missing_base_asks_for_a_whole_view_until_one_comes() {
        let mut views = Views::default();
        full(&mut views, 1, 1);
        assert_eq!(delta(&mut views, 3, (2, 2), 3), Received::Unusable);
        assert_eq!(views.resync_due(None), Some(Timestamp::ZERO));
        let now = Timestamp::from_millis(50);
        views.resync_asked(now);
        assert_eq!(views.resync_due(None), Some(now + RESYNC_INTERVAL));
        let slow = Some(Duration::from_secs(1));
        assert_eq!(views.resync_due(slow), Some(now + Duration::from_secs(2)));
        assert_eq!(full(&mut views, 4, 4), Received::Newer(view(4)));
        assert_eq!(views.resync_due(None), None);
    }

    #[test]
    fn a_delta_on_another_base_of_the_same_name_is_noticed() {
        let mut views = Views::default();
        full(&mut views, 1, 1);
        assert_eq!(delta(&mut views, 2, (1, 9), 2), Received::Unusable);
    }

    #[test]
    fn senseless_bodies_are_unusable_and_nothing_more() {
        let mut views = Views::default();
        full(&mut views, 1, 1);
        let garbage = Bytes::from_static(&[0xff; 40]);
        let result = views.handle_snapshot(&head(2, Some(1), &view(2)), &garbage);
        assert_eq!(result, Received::Unusable);
        let huge = Bytes::from(vec![0; VIEW_MAX + 1]);
        assert_eq!(
            views.handle_snapshot(&head(3, None, &huge), &huge),
            Received::Unusable
        );
        let largest = Bytes::from(vec![0; VIEW_MAX]);
        let result = views.handle_snapshot(&head(4, None, &largest), &largest);
        assert_eq!(result, Received::Newer(largest));
    }

    #[test]
    fn private_and_shared_views_are_no_bases_for_each_other() {
        let mut views = Views::default();
        full(&mut views, 1, 1);
        let body = snapshot::delta(&view(1), &view(2)).unwrap();
        let private = SnapshotHead {
            private: true,
            ..head(2, Some(1), &view(2))
        };
        assert_eq!(views.handle_snapshot(&private, &body), Received::Unusable);
        let whole = SnapshotHead {
            base: None,
            ..private
        };
        assert_eq!(
            views.handle_snapshot(&whole, &view(2)),
            Received::Newer(view(2))
        );
        assert_eq!(delta(&mut views, 3, (1, 1), 3), Received::Newer(view(3)));
    }

    #[test]
    fn the_ring_holds_as_many_views_as_the_server_may_build_on() {
        let mut views = Views::default();
        let ring = u64::try_from(SNAPSHOT_RING).unwrap();
        for sequence in 1..=ring {
            full(&mut views, sequence, 1);
        }
        assert_eq!(
            delta(&mut views, ring + 1, (1, 1), 2),
            Received::Newer(view(2))
        );
        assert_eq!(delta(&mut views, ring + 2, (1, 1), 3), Received::Unusable);
    }

    #[test]
    fn whatever_snapshots_come_few_views_are_kept_and_none_too_long() {
        let mut filled = false;
        for seed in 0..12 {
            let mut rng = Rng::from_number(seed);
            let mut views = Views::default();
            for step in 0..2_000 {
                let sequence = rng.below(step + 2) + rng.below(2) * step;
                let body = Bytes::from(vec![0; VIEW_MAX - 20 + rng.index(40)]);
                let base = (sequence > 0 && rng.chance(0.3)).then(|| rng.below(sequence));
                let mut head = head(sequence, base, &body);
                head.private = rng.chance(0.3);
                let body = match head.base {
                    // What makes the longest view there can be of any base.
                    Some(_) => snapshot::delta(&body, &body).unwrap(),
                    None => body,
                };
                let before = views.newest;
                let received = views.handle_snapshot(&head, &body);
                let is_newer = before.is_none_or(|before| sequence > before);
                assert_eq!(
                    views.newest == Some(sequence) && is_newer,
                    matches!(received, Received::Newer(_))
                );
                for ring in [&views.shared, &views.private] {
                    assert!(ring.0.len() <= SNAPSHOT_RING);
                    assert!(ring.0.values().all(|view| view.len() <= VIEW_MAX));
                    filled |= ring.0.len() == SNAPSHOT_RING;
                }
            }
        }
        assert!(filled);
    }
}
