//! Requests that wait for their answers. Each is kept as it was made, and made again on the next connection if this
//! one is lost: none does more when it is made twice.

use std::collections::BTreeMap;

use rejoin_protocol::SeatId;
use rejoin_protocol::limits::{CALLS_MAX, SEATS_MAX};
use rejoin_protocol::message::{CallId, ClientMessage};

/// What a request will change when it is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// It takes a seat.
    TakeSeat,
    /// It gives this seat back.
    Leave(SeatId),
    /// It asks for this seat again, on a new connection. Nobody but us waits for the answer.
    Return(SeatId),
    /// Nothing here.
    Other,
}

/// The open requests, by number. Bounded: the caller is refused beyond [`CALLS_MAX`], and there is one return at most
/// for each seat.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: CallId,
    open: BTreeMap<CallId, (Call, ClientMessage)>,
}

impl Calls {
    /// The number for one more request, or `None` if too many wait already.
    pub(crate) fn next(&self) -> Option<CallId> {
        (self.open.len() < CALLS_MAX).then_some(self.next)
    }

    /// The number for a return.
    pub(crate) fn next_return(&self) -> Option<CallId> {
        (self.open.len() < CALLS_MAX + SEATS_MAX).then_some(self.next)
    }

    /// Opens the request that got its number from [`Calls::next`].
    pub(crate) fn open(&mut self, id: CallId, call: Call, message: ClientMessage) {
        self.open.insert(id, (call, message));
        // Four thousand million requests of one connection are out of reach; should they come, the
        // numbers of those long answered serve again.
        self.next = id.wrapping_add(1);
    }

    /// Closes a request as its answer arrives. `None`: nothing waits for that answer.
    pub(crate) fn close(&mut self, id: CallId) -> Option<Call> {
        let (call, _) = self.open.remove(&id)?;
        Some(call)
    }

    /// The connection is lost: returns are asked for anew, everything else is made again as it was.
    pub(crate) fn on_connection_lost(&mut self) {
        self.open
            .retain(|_, (call, _)| !matches!(call, Call::Return(_)));
    }

    /// The game's open requests that name that seat, or none, as they were made.
    pub(crate) fn naming(
        &self,
        seat: Option<SeatId>,
    ) -> impl Iterator<Item = (CallId, &ClientMessage)> {
        let open = self.open.iter();
        let own = open.filter(|(_, (call, _))| !matches!(call, Call::Return(_)));
        own.map(|(id, (_, message))| (*id, message))
            .filter(move |(_, message)| seat_of(message) == seat)
    }

    /// True while a seat is asked for again.
    pub(crate) fn is_returning(&self) -> bool {
        let mut open = self.open.values();
        open.any(|(call, _)| matches!(call, Call::Return(_)))
    }

    /// True while an answer may name a new seat.
    pub(crate) fn may_take_seat(&self) -> bool {
        self.open
            .values()
            .any(|(call, _)| matches!(call, Call::TakeSeat | Call::Return(_)))
    }
}

/// The seat that a request names. Its number means nothing on another connection before the room has confirmed it.
pub(crate) const fn seat_of(message: &ClientMessage) -> Option<SeatId> {
    match message {
        ClientMessage::Leave { seat, .. } | ClientMessage::Close { seat, .. } => Some(*seat),
        ClientMessage::Create { .. }
        | ClientMessage::Join { .. }
        | ClientMessage::Return { .. }
        | ClientMessage::JoinByCode { .. }
        | ClientMessage::JoinOrCreate { .. }
        | ClientMessage::List { .. }
        | ClientMessage::Resync { .. }
        | _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rejoin_protocol::Rng;

    use super::*;

    fn resync() -> ClientMessage {
        ClientMessage::Resync { seat: SeatId(0) }
    }

    #[test]
    fn the_request_beyond_the_bound_is_refused_until_one_is_answered() {
        let mut calls = Calls::default();
        for _ in 0..CALLS_MAX {
            let id = calls.next().unwrap();
            calls.open(id, Call::Other, resync());
        }
        assert_eq!(calls.next(), None);
        assert_eq!(calls.close(3), Some(Call::Other));
        assert_eq!(calls.close(3), None);
        assert!(calls.next().is_some());
    }

    #[test]
    fn only_requests_for_seats_announce_seats() {
        let mut calls = Calls::default();
        calls.open(0, Call::Leave(SeatId(1)), resync());
        assert!(!calls.may_take_seat());
        calls.open(1, Call::TakeSeat, resync());
        assert!(calls.may_take_seat());
        calls.close(1);
        assert!(!calls.may_take_seat());
    }

    #[test]
    fn whatever_a_server_answers_few_requests_are_open() {
        for seed in 0..24 {
            let mut rng = Rng::from_number(seed);
            let mut calls = Calls::default();
            let (mut open, mut refused) = (BTreeSet::new(), 0);
            for _ in 0..1_000 {
                match calls.next() {
                    Some(id) => {
                        calls.open(id, Call::Other, resync());
                        open.insert(id);
                    }
                    None => {
                        assert_eq!(open.len(), CALLS_MAX);
                        refused += 1;
                    }
                }
                if rng.chance(0.5) {
                    // An answer to some request, or to none.
                    let id = u32::try_from(rng.below(u64::from(calls.next) + 40)).unwrap();
                    assert_eq!(calls.close(id).is_some(), open.remove(&id));
                }
                assert!(calls.open.len() == open.len() && open.len() <= CALLS_MAX);
            }
            assert!(refused > 0, "it was filled");
        }
    }
}
