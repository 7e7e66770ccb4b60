//! What the driver's task and the handles of one client share: the core behind a short lock.
//!
//! The lock is never held across an await, and nothing under it blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rejoin_protocol::connection::SendError;
use rejoin_protocol::message::{Answer, CallId, Seated};
use rejoin_protocol::{CloseReason, Refusal, Rng, SeatId};
use tokio::sync::{Notify, oneshot};

use crate::core::Core;
use crate::error::RequestError;
use crate::event::{Ended, Event};
use crate::inbox::{Inbox, Item};
use crate::state::State;
use crate::system::Start;
use crate::ticket_keeper::TicketKeeper;

/// A client's core with all who wait for it.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Wakes the task: there may be something to send.
    wake: Notify,
    /// Wakes those who wait for the end.
    finished: Notify,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) core: Core,
    /// For request ids.
    pub(crate) rng: Rng,
    /// Bounded by the core, which refuses more open requests.
    waiting: BTreeMap<CallId, oneshot::Sender<Reply>>,
    /// Bounded by the core, which refuses more seats.
    inboxes: BTreeMap<SeatId, Arc<Inbox>>,
    /// Seats to give back once a request may be made again. Bounded as the seats are.
    unreturned: BTreeSet<SeatId>,
    /// True until the task has gone on with another socket.
    pub(crate) moved: bool,
    /// Of the ticket file, if there is one. The task takes it at the end.
    pub(crate) keeper: Option<TicketKeeper>,
    /// True once a ticket was not taken.
    pub(crate) ticket_refused: bool,
    /// Set once the task is done.
    ended: Option<Ended>,
}

/// An answer, with the inbox if it brought a seat.
type Reply = Result<(Answer, Option<Arc<Inbox>>), Refusal>;

impl Shared {
    pub(crate) fn new(Start { core, rng, keeper }: Start) -> Self {
        let inner = Inner {
            core,
            rng,
            waiting: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            unreturned: BTreeSet::new(),
            moved: false,
            keeper,
            ticket_refused: false,
            ended: None,
        };
        Self {
            inner: Mutex::new(inner),
            wake: Notify::new(),
            finished: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // The core does not panic; if it does, that is a defect to show and not to hide behind
        // a second panic in everyone else.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the task that there may be something to send.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Why the session ended, once the task has said so to the server.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.lock().ended.clone()
    }

    /// Waits for the end.
    pub(crate) async fn wait_ended(&self) -> Ended {
        loop {
            let mut finished = std::pin::pin!(self.finished.notified());
            // Listening before looking: an end in between is not missed.
            finished.as_mut().enable();
            if let Some(ended) = self.ended() {
                return ended;
            }
            finished.await;
        }
    }

    /// The task is done: nobody waits in vain.
    pub(crate) fn finish(&self) {
        let mut inner = self.lock();
        let ended = match inner.core.state() {
            State::Ended(ended) => ended.clone(),
            // The runtime dropped the task.
            State::Joining | State::Active(_) | State::Away => {
                Ended::Closed(CloseReason::InternalError)
            }
        };
        inner.on_ended(&ended);
        inner.ended = Some(ended);
        drop(inner);
        self.finished.notify_waiters();
    }

    /// Makes a request and waits for its answer.
    pub(crate) async fn request(
        &self,
        make: impl FnOnce(&mut Inner) -> Result<CallId, SendError>,
    ) -> Result<(Answer, Option<Arc<Inbox>>), RequestError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut inner = self.lock();
            // Also when the runtime dropped the task, whatever the core then believes.
            if let Some(ended) = &inner.ended {
                return Err(ended.clone().into());
            }
            if let State::Ended(ended) = inner.core.state() {
                return Err(ended.clone().into());
            }
            let call = make(&mut inner)?;
            inner.waiting.insert(call, sender);
        }
        self.wake();
        match (Waiting {
            shared: self,
            receiver,
        })
        .answer()
        .await
        {
            Some(Ok(granted)) => Ok(granted),
            Some(Err(refusal)) => Err(RequestError::Refused(refusal)),
            None => Err(self.wait_ended().await.into()),
        }
    }

    /// A handle is gone; the last one of a seat gives the seat back.
    pub(crate) fn release(&self, seat: SeatId, inbox: &Arc<Inbox>) {
        let mut inner = self.lock();
        if inbox.remove_handle() {
            inner.give_back(seat, inbox);
        }
        drop(inner);
        self.wake();
    }
}

/// Someone who waits for an answer. If that one is dropped, a seat that was granted meanwhile is
/// given back.
struct Waiting<'a> {
    shared: &'a Shared,
    receiver: oneshot::Receiver<Reply>,
}

impl Waiting<'_> {
    async fn answer(mut self) -> Option<Reply> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(Ok((Answer::Seated(seated), Some(inbox)))) = self.receiver.try_recv() {
            self.shared.release(seated.seat, &inbox);
        }
    }
}

impl Inner {
    /// Hands what the core has to tell to those who wait for it.
    pub(crate) fn deliver(&mut self) {
        while let Some(event) = self.core.poll_event() {
            // A reader who is too far behind must not miss an event unknowingly, so the session
            // ends, which every handle is told.
            if let Err(reason) = self.on_event(event) {
                self.core.close(reason);
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Result<(), CloseReason> {
        match event {
            Event::Answer { call, result } => self.on_answer(call, result),
            Event::View { seat, view, .. } => return self.push(seat, Item::View(view)),
            Event::Room { seat, payload, .. } => return self.push(seat, Item::Event(payload)),
            Event::EventsMissed { seat, count } => return self.push(seat, Item::Missed(count)),
            Event::Seat {
                seat,
                player,
                name,
                change,
            } => {
                let inbox = self.inboxes.get(&seat);
                return inbox.map_or(Ok(()), |inbox| inbox.on_seat(player, name, change));
            }
            Event::InputRefused {
                seat,
                number,
                refusal,
            } => {
                return self.push(seat, Item::InputRefused(number, refusal));
            }
            Event::RoomClosed { seat, reason } => {
                if let Some(inbox) = self.inboxes.remove(&seat) {
                    inbox.end(Some(Item::Closed(reason)));
                }
            }
            Event::Away(loss) => {
                for inbox in self.inboxes.values() {
                    inbox.push(Item::Away(loss))?;
                }
            }
            Event::Resumed {
                seat,
                receipt,
                members,
            } => {
                if let Some(inbox) = self.inboxes.get(&seat) {
                    inbox.set_members(&members);
                    return inbox.push(Item::Resumed(receipt));
                }
            }
            Event::Ended(ended) => self.on_ended(&ended),
            Event::Ticket => {
                if let (Some(keeper), Some(ticket)) = (&self.keeper, self.core.ticket()) {
                    keeper.keep(ticket.clone());
                }
            }
            Event::TicketRefused => self.ticket_refused = true,
            // The state says the same to those who ask.
            Event::Connected { .. } | Event::Link(_) | Event::Back { .. } => {}
        }
        Ok(())
    }

    fn on_answer(&mut self, call: CallId, result: Result<Answer, Refusal>) {
        self.return_seats();
        let waiting = self.waiting.remove(&call);
        let reply = result.map(|answer| {
            let inbox = if let Answer::Seated(seated) = &answer {
                Some(self.on_seated(seated))
            } else {
                None
            };
            (answer, inbox)
        });
        if let Some(waiting) = waiting
            && let Err(Ok((Answer::Seated(seated), Some(inbox)))) = waiting.send(reply)
        {
            // Nobody waits any more.
            if inbox.remove_handle() {
                self.give_back(seated.seat, &inbox);
            }
        }
    }

    /// The inbox of a seat, for one handle more: a seat found again keeps the one it has.
    fn on_seated(&mut self, seated: &Seated) -> Arc<Inbox> {
        let held = self
            .inboxes
            .get(&seated.seat)
            .filter(|inbox| inbox.room() == seated.room);
        let inbox = held
            .cloned()
            .unwrap_or_else(|| Arc::new(Inbox::new(seated)));
        inbox.set_members(&seated.members);
        inbox.add_handle();
        self.inboxes.insert(seated.seat, Arc::clone(&inbox));
        inbox
    }

    /// Ends the inbox of a seat that was given back.
    pub(crate) fn on_left(&mut self, seat: SeatId, inbox: &Arc<Inbox>) {
        if self.holds(seat, inbox) {
            self.inboxes.remove(&seat);
        }
        inbox.end(None);
    }

    fn give_back(&mut self, seat: SeatId, inbox: &Arc<Inbox>) {
        if self.holds(seat, inbox) {
            self.inboxes.remove(&seat);
            self.unreturned.insert(seat);
            self.return_seats();
        }
    }

    /// Asks to leave what nobody wants any more. What cannot be asked now, for too many requests are
    /// open, waits for the next answer.
    fn return_seats(&mut self) {
        let core = &mut self.core;
        self.unreturned
            .retain(|seat| core.leave(*seat) == Err(SendError::QueueFull));
    }

    /// True if the seat's number still means the seat of this inbox.
    pub(crate) fn holds(&self, seat: SeatId, inbox: &Arc<Inbox>) -> bool {
        self.inboxes
            .get(&seat)
            .is_some_and(|held| Arc::ptr_eq(held, inbox))
    }

    fn push(&self, seat: SeatId, item: Item) -> Result<(), CloseReason> {
        self.inboxes
            .get(&seat)
            .map_or(Ok(()), |inbox| inbox.push(item))
    }

    fn on_ended(&mut self, ended: &Ended) {
        if let (Ended::Left, Some(keeper)) = (ended, &self.keeper) {
            keeper.forget();
        }
        self.waiting.clear();
        for inbox in std::mem::take(&mut self.inboxes).into_values() {
            inbox.end(Some(Item::Ended(ended.clone())));
        }
    }
}

/// Held by every handle: the session ends when the last one is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.lock().core.disconnect();
        self.shared.wake();
    }
}
