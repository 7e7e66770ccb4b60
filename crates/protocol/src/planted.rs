//! Known defects that the simulator switches on to prove that its checkers see them.
//!
//! Without the feature `planted-bugs` [`is`] is the constant `false`, so a shipped
//! build holds none of them.

/// A defect, named after what it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The replay window accepts a packet number it has seen.
    ReplayAccepted,
    /// A lost reliable fragment is not sent again.
    LostNotResent,
    /// The latest lane delivers a message older than the newest one.
    LatestGoesBack,
    /// A room applies a reliable input whose number its cursor already covers.
    CursorIgnored,
    /// A delta is made against the newest snapshot sent, not the newest acknowledged.
    DeltaAgainstUnacked,
    /// A repeated join-or-create makes a second room.
    RequestIdIgnored,
    /// A code that no room has opens some private room.
    AnyCodeOpens,
    /// A private room is listed like any other.
    PrivateRoomListed,
    /// Wrong guesses of codes and ids cost nothing.
    GuessesUncounted,
    /// A notice that a peer loads has no effect.
    LoadingIgnored,
    /// Loading ends only if the peer says so.
    LoadingNeverEnds,
    /// A late peer is shown as loading.
    LatenessShownAsLoading,
    /// Each shard takes itself for the home of every session.
    HomeIgnored,
    /// A seat asked for twice is sent its events twice, and the client tells them twice.
    EventsSentAgain,
    /// Whoever takes a seat again misses the first event that it lacks.
    EventPassedOver,
    /// A client that comes back for one stay is given the next.
    StayIgnored,
    /// The hello of a resume changes its session before any packet under the new keys.
    SwitchedByHello,
    /// A join that is confirmed takes its session over, however old it is.
    OlderClientWins,
    /// A connection that is there is reset for whoever sends what does not open.
    LivingReset,
    /// A client believes a reset that does not prove itself.
    ResetUnproven,
    /// A ticket opens its session when its time is over.
    ExpiredTicketOpens,
    /// Whoever has seen a ticket can use it.
    TicketSecretUnproven,
    /// Who is back hands its inputs over from one too late.
    ReturnSkipsInput,
    /// A client that another one has replaced comes back.
    ReplacedComesBack,
    /// Now and then two packets are sealed under one number.
    NumberUsedTwice,
    /// A turn that the store could not write is applied and told all the same.
    UnwrittenTold,
    /// A synced room acknowledges what it has applied.
    UnsyncedAcknowledged,
    /// An event that is to wait for the medium does not.
    DurableIgnored,
    /// A sync that failed is taken for one that did not.
    FailedSyncPassedOver,
    /// A log is opened without the newest record of a segment.
    TailCutTooFar,
    /// A checkpoint is read without how far the inputs of its seats have come.
    CursorForgotten,
    /// A room that lost something does not go on after the numbers of its clients.
    LossSkipped,
    /// How many inputs a room has lost is not told.
    LossUncounted,
    /// After a loss of power rooms are believed to be complete.
    LackIgnored,
    /// What came of a turn is told before its calls are journalled, which is done with the next one.
    ToldBeforeJournalled,
    /// A process takes a store over and does not write down that its epoch has begun.
    EpochNotBegun,
    /// Two shards take the same room up.
    TakenUpTwice,
    /// A turn for which the disk has no place is applied and told all the same.
    FullPassedOver,
    /// A room that is paused forgets all calls that it could not store but the first.
    PauseForgetsCalls,
    /// What is read from the disk is taken for what was written.
    RotBelieved,
}

impl Bug {
    /// All defects, for the test that catches each.
    pub const ALL: [Self; 40] = [
        Self::ReplayAccepted,
        Self::LostNotResent,
        Self::LatestGoesBack,
        Self::CursorIgnored,
        Self::DeltaAgainstUnacked,
        Self::RequestIdIgnored,
        Self::AnyCodeOpens,
        Self::PrivateRoomListed,
        Self::GuessesUncounted,
        Self::LoadingIgnored,
        Self::LoadingNeverEnds,
        Self::LatenessShownAsLoading,
        Self::HomeIgnored,
        Self::EventsSentAgain,
        Self::EventPassedOver,
        Self::StayIgnored,
        Self::SwitchedByHello,
        Self::OlderClientWins,
        Self::LivingReset,
        Self::ResetUnproven,
        Self::ExpiredTicketOpens,
        Self::TicketSecretUnproven,
        Self::ReturnSkipsInput,
        Self::ReplacedComesBack,
        Self::NumberUsedTwice,
        Self::UnwrittenTold,
        Self::UnsyncedAcknowledged,
        Self::DurableIgnored,
        Self::FailedSyncPassedOver,
        Self::TailCutTooFar,
        Self::CursorForgotten,
        Self::LossSkipped,
        Self::LossUncounted,
        Self::LackIgnored,
        Self::ToldBeforeJournalled,
        Self::EpochNotBegun,
        Self::TakenUpTwice,
        Self::FullPassedOver,
        Self::PauseForgetsCalls,
        Self::RotBelieved,
    ];
}

/// True if `bug` is switched on in this thread.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use switched::{is, plant};

#[cfg(feature = "planted-bugs")]
mod switched {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Switches one defect on in this thread, or all off.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// True if `bug` is switched on in this thread.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}
