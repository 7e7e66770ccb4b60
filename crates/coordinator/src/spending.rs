//! What sessions and rooms spend of their budgets, and what is said when nothing is left.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_protocol::bucket::Spending;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{CloseReason, Limit, Refusal, Timestamp};
use tracing::debug;

use crate::house::House;
use crate::keys::{RoomKey, SessionKey};

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overspent {
    /// It is refused; the peer may go on.
    Refused(Refusal),
    /// The connection ends.
    Closed(CloseReason),
}

impl House {
    /// A session makes a request.
    pub(crate) fn spend_request(
        &mut self,
        session: SessionKey,
        now: Timestamp,
    ) -> Result<(), Overspent> {
        let rate = self.config.budgets.requests();
        let Some(session) = self.sessions.get_mut(session) else {
            return Ok(());
        };
        let bucket = &mut session.purse.requests;
        let spending = bucket.charge(1, rate, now);
        let wait = bucket.check(rate, now).err().unwrap_or_default();
        let count = self.config.budgets.requests_per_s;
        let bound = format!("{count} requests per second (requests_per_s)");
        self.outcome(spending, over_session(Limit::Requests, &bound, wait))
    }

    /// A session sends a reliable input.
    pub(crate) fn spend_input(
        &mut self,
        session: SessionKey,
        now: Timestamp,
    ) -> Result<(), Overspent> {
        let rate = self.config.budgets.inputs();
        if let Some(session) = self.sessions.get_mut(session) {
            let bucket = &mut session.purse.inputs;
            let spending = bucket.charge(1, rate, now);
            if spending != Spending::Within {
                let wait = bucket.check(rate, now).err().unwrap_or_default();
                let count = self.config.budgets.inputs_per_s;
                let bound = format!("{count} reliable inputs per second (inputs_per_s)");
                return self.outcome(spending, over_session(Limit::Inputs, &bound, wait));
            }
        }
        Ok(())
    }

    /// A room is given an input.
    pub(crate) fn spend_room_input(
        &mut self,
        room: RoomKey,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let budgets = self.config.budgets;
        let Some(room) = self.rooms.get_mut(room) else {
            return Ok(());
        };
        room.upkeep
            .inputs
            .take(budgets.room_inputs(), now)
            .map_err(|wait| {
                self.stats.over_budget += 1;
                let count = budgets.room_inputs_per_s;
                let text = format!("a room takes {count} inputs per second (room_inputs_per_s)");
                Refusal::over(Limit::RoomInputs, text, wait)
            })
    }

    /// A session opens a room. If it may not, neither it nor its address has spent anything.
    pub(crate) fn spend_create(
        &mut self,
        session: SessionKey,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let budgets = self.config.budgets;
        let Some(session) = self.sessions.get_mut(session) else {
            return Ok(());
        };
        let rate = budgets.room_creates();
        let checked = session.purse.creates.check(rate, now).map_err(|wait| {
            let count = budgets.room_creates_per_min;
            let bound = format!("{count} rooms per minute (room_creates_per_min)");
            over_session(Limit::RoomCreates, &bound, wait)
        });
        let address = session.address;
        let taken = checked.and_then(|()| self.addresses.spend_create(address, &budgets, now));
        match taken {
            Ok(()) => _ = session.purse.creates.charge(1, rate, now),
            Err(_) => self.stats.over_budget += 1,
        }
        taken
    }

    /// A session asks for a seat that it does not have, in a room that it did not open.
    pub(crate) fn spend_seat(
        &mut self,
        session: SessionKey,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let budgets = self.config.budgets;
        let Some(session) = self.sessions.get_mut(session) else {
            return Ok(());
        };
        let taken = session.purse.seats.take(budgets.seats(), now);
        taken.map_err(|wait| {
            self.stats.over_budget += 1;
            let count = budgets.seats_per_min;
            let bound = format!("{count} seats taken per minute (seats_per_min)");
            over_session(Limit::Seats, &bound, wait)
        })
    }

    /// An address that has shown a cookie asks for a handshake. False if it had enough of them.
    pub(crate) fn spend_join(&mut self, from: SocketAddr, now: Timestamp) -> bool {
        let rate = self.config.budgets.address_joins();
        let spent = self.addresses.spend_join(from, rate, now);
        self.stats.over_budget += u64::from(!spent);
        spent
    }

    /// Whether another client may have the session. One that nobody is heard of and that holds no seat
    /// may be taken over at any time; of all others some member is told.
    ///
    /// # Errors
    /// The refusal for a client that comes too soon after others.
    pub(crate) fn check_takeover(
        &self,
        session: SessionKey,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let budgets = self.config.budgets;
        let Some(known) = self
            .sessions
            .get(session)
            .filter(|known| self.is_connected(session) || !known.seats.is_empty())
        else {
            return Ok(());
        };
        let checked = known.purse.takeovers.check(budgets.takeovers(), now);
        checked.map_err(|wait| {
            let count = budgets.takeovers_per_min;
            let bound = format!("{count} changes of its client per minute (takeovers_per_min)");
            over_session(Limit::Takeovers, &bound, wait)
        })
    }

    /// Another client has the session.
    pub(crate) fn spend_takeover(&mut self, session: SessionKey, now: Timestamp) {
        let rate = self.config.budgets.takeovers();
        let connected = self.is_connected(session);
        if let Some(known) = self.sessions.get_mut(session)
            && (connected || !known.seats.is_empty())
        {
            known.purse.takeovers.charge(1, rate, now);
        }
    }

    /// Whether a session may try a room code, or the id of no listed room. The refusal is the same
    /// whether the code is right, or the id a private room's, so that it says nothing about either.
    pub(crate) fn check_guess(
        &mut self,
        session: SessionKey,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let budgets = self.config.budgets;
        let Some(session) = self.sessions.get(session) else {
            return Ok(());
        };
        let own = session.purse.guesses.check(budgets.room_guesses(), now);
        let own = own.map_err(|wait| {
            let count = budgets.room_guesses_per_min;
            let bound =
                format!("{count} wrong room codes or ids per minute (room_guesses_per_min)");
            over_session(Limit::RoomGuesses, &bound, wait)
        });
        let address = session.address;
        let checked = own.and_then(|()| self.addresses.check_guess(address, &budgets, now));
        self.stats.over_budget += u64::from(checked.is_err());
        checked
    }

    /// The code or id was wrong.
    pub(crate) fn on_wrong_guess(&mut self, session: SessionKey, now: Timestamp) {
        if planted::is(Bug::GuessesUncounted) {
            return;
        }
        let budgets = self.config.budgets;
        let Some(session) = self.sessions.get_mut(session) else {
            return;
        };
        session.purse.guesses.charge(1, budgets.room_guesses(), now);
        let address = session.address;
        self.addresses.on_wrong_guess(address, &budgets, now);
    }

    fn outcome(&mut self, spending: Spending, refusal: Refusal) -> Result<(), Overspent> {
        let limit = refusal.limit.unwrap_or(Limit::Other);
        match spending {
            Spending::Within => return Ok(()),
            Spending::Over => {}
            Spending::Out => return Err(Overspent::Closed(CloseReason::OverLimit(limit))),
        }
        debug!(%limit, "session goes over its budget");
        self.stats.over_budget += 1;
        Err(Overspent::Refused(refusal))
    }
}

fn over_session(limit: Limit, bound: &str, wait: Duration) -> Refusal {
    Refusal::over(limit, format!("a session has {bound}"), wait)
}
