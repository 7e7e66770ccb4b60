//! From one phase of a client to the next.

use std::time::Duration;

use rejoin_protocol::handshake::{Established, HandshakeError};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{CloseReason, Timestamp};

use super::{Core, Phase};
use crate::active::Active;
use crate::away::Away;
use crate::end::End;
use crate::event::{Ended, Event, Loss};
use crate::joining::Joining;
use crate::state::State;

impl Core {
    pub(super) fn on_answer(
        &mut self,
        answer: Result<Option<(Established, Option<Duration>)>, HandshakeError>,
        now: Timestamp,
    ) {
        if self.entry.take_refused() {
            self.unread.push(Event::TicketRefused);
        }
        match answer {
            Ok(Some((established, rtt))) => self.on_welcome(established, rtt, now),
            // Only a step of the way: the wait goes on.
            Ok(None) => {}
            Err(error) => self.on_handshake_error(error),
        }
    }

    pub(super) fn on_welcome(
        &mut self,
        established: Established,
        rtt: Option<Duration>,
        now: Timestamp,
    ) {
        let session = established.welcome.session;
        self.epoch = Some(established.welcome.epoch);
        let mut active = Active::new(established, rtt, now);
        match std::mem::replace(&mut self.phase, Phase::Ended(None)) {
            Phase::Away(away) if self.session == Some(session) => {
                let kept = away.kept;
                let away = now.since(kept.since);
                self.unread.push(Event::Back { away });
                let result = active.take_over(kept, now);
                self.phase = Phase::Active(Box::new(active));
                self.on_active(result, now);
            }
            // The server has lost the session, and a permit led to another one: what was kept is not its.
            Phase::Away(away) => {
                self.phase = Phase::Active(Box::new(active));
                let reason = away.loss.reason();
                self.end(Ended::Closed(reason), Some(CloseReason::Left));
            }
            Phase::Joining(_) | Phase::Active(_) | Phase::Ended(_) => {
                self.session = Some(session);
                self.state = State::Active(active.liveness());
                self.phase = Phase::Active(Box::new(active));
                self.unread.push(Event::Connected { session });
            }
        }
    }

    pub(super) fn on_handshake_error(&mut self, error: HandshakeError) {
        match error {
            // A common version was spoken before; and nobody's keys vouch for this word.
            HandshakeError::Version { .. } if matches!(self.phase, Phase::Away(_)) => {
                self.dropped += 1;
            }
            HandshakeError::Version { .. } => self.end(Ended::Version(error.to_string()), None),
            HandshakeError::Refused(refusal) => self.end(Ended::Refused(refusal), None),
            HandshakeError::Broken => {
                self.end(Ended::Closed(CloseReason::ProtocolViolation), None);
            }
            // Garbage, or someone else's: the wait goes on. A cookie was taken before it came here.
            HandshakeError::NotForUs | HandshakeError::Cookie | HandshakeError::TicketRefused => {
                self.dropped += 1;
            }
            _ => self.dropped += 1,
        }
    }

    pub(super) fn on_active(&mut self, result: Result<(), End>, now: Timestamp) {
        if let Phase::Active(active) = &mut self.phase {
            self.state = State::Active(active.liveness());
            if let Some(ticket) = active.take_ticket() {
                self.entry.set_ticket(ticket);
                self.unread.push(Event::Ticket);
            }
        }
        match result {
            Ok(()) => {}
            Err(End::Close(reason)) => self.close(reason),
            Err(End::Lost(loss)) => self.go_away(loss, Duration::ZERO, now),
            Err(End::Closed(reason)) => match reason.retry_after() {
                Some(wait) => self.go_away(Loss::Closed(reason), wait, now),
                None if reason == CloseReason::Replaced && planted::is(Bug::ReplacedComesBack) => {
                    self.go_away(Loss::Closed(reason), Duration::ZERO, now);
                }
                None => self.end(Ended::Closed(reason), None),
            },
        }
    }

    /// The connection is lost. The session is not, unless the caller wants it so: the client comes back.
    pub(super) fn go_away(&mut self, loss: Loss, wait: Duration, now: Timestamp) {
        let over = Ended::Closed(loss.reason());
        if self.resume_for.is_zero() {
            return self.end(over, None);
        }
        let deadline = (self.resume_for < Duration::MAX).then(|| now + self.resume_for);
        let Ok(joining) = Joining::again(&mut self.entry, wait, deadline, now) else {
            return self.end(over, None);
        };
        match std::mem::replace(&mut self.phase, Phase::Ended(None)) {
            Phase::Active(active) => {
                let link = active.link();
                let kept = active.into_kept(now);
                self.phase = Phase::Away(Box::new(Away {
                    joining,
                    kept,
                    loss,
                    link,
                }));
                self.state = State::Away;
                self.unread.push(Event::Away(loss));
            }
            other @ (Phase::Joining(_) | Phase::Away(_) | Phase::Ended(_)) => self.phase = other,
        }
    }

    /// The one way out of every phase. `word` is what the server is told, if anything.
    pub(super) fn end(&mut self, ended: Ended, word: Option<CloseReason>) {
        let farewell = match std::mem::replace(&mut self.phase, Phase::Ended(None)) {
            Phase::Joining(_) => None,
            Phase::Away(away) => {
                self.last_link = away.link;
                None
            }
            Phase::Active(active) => {
                self.last_link = active.link();
                let mut connection = active.into_connection();
                if let Some(word) = word {
                    connection.close(word);
                }
                (ended != Ended::Closed(CloseReason::TimedOut)).then(|| Box::new(connection))
            }
            Phase::Ended(farewell) => {
                self.phase = Phase::Ended(farewell);
                return;
            }
        };
        self.phase = Phase::Ended(farewell);
        self.tell_end(ended);
    }

    pub(super) fn tell_end(&mut self, ended: Ended) {
        self.state = State::Ended(ended.clone());
        self.unread.push_last(Event::Ended(ended));
    }
}
