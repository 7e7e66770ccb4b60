//! What a behaviour may use while it plays.

use bytes::Bytes;
use rejoin_client::Core;
use rejoin_protocol::{PlayerId, Rng, SeatId, Timestamp, messagepack};
use rejoin_room::Room;

use crate::options::Mode;
use crate::sends::Sends;

/// A bot's view of its room, its chance, and its ways to send.
#[derive(Debug)]
pub struct BotCx<'a, R: Room> {
    pub(crate) bot: usize,
    pub(crate) seat: SeatId,
    pub(crate) player: PlayerId,
    pub(crate) mode: Mode,
    pub(crate) number: u64,
    pub(crate) planned: Timestamp,
    pub(crate) view: Option<&'a R::View>,
    pub(crate) rng: &'a mut Rng,
    pub(crate) core: &'a mut Core,
    pub(crate) sends: &'a mut Sends,
}

impl<R: Room> BotCx<'_, R> {
    /// Which of the run's bots it is, from 0: the same in each run, whatever its threads. For parts that
    /// only some of them play.
    #[must_use]
    pub const fn bot(&self) -> usize {
        self.bot
    }

    /// The bot as the room sees it.
    #[must_use]
    pub const fn player(&self) -> PlayerId {
        self.player
    }

    /// How this run wants inputs to travel.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Which step this is, from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When this step was planned, from the start of the run.
    #[must_use]
    pub const fn planned(&self) -> Timestamp {
        self.planned
    }

    /// The newest view, once one came.
    #[must_use]
    pub const fn view(&self) -> Option<&R::View> {
        self.view
    }

    /// The bot's own chance: the same in each run of one seed.
    pub const fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// Sends a reliable input. False if the send queue is full: nothing was sent, and the
    /// report counts it.
    pub fn send(&mut self, input: R::Input) -> bool {
        let sent =
            encode::<R>(&input).and_then(|payload| self.core.send(self.seat, payload.into()).ok());
        match sent {
            Some(number) => self.sends.on_reliable(number, self.planned),
            None => self.sends.on_refused(),
        }
        sent.is_some()
    }

    /// Sends a latest input: the newest wins, an older one may be lost. False as in [`BotCx::send`].
    pub fn latest(&mut self, input: R::Input) -> bool {
        let sent = encode::<R>(&input).map(Bytes::from).filter(|payload| {
            let taken = self.core.latest(self.seat, payload.clone());
            taken.is_ok()
        });
        let is_sent = sent.is_some();
        match sent {
            Some(payload) => self.sends.on_latest(self.number, self.planned, payload),
            None => self.sends.on_refused(),
        }
        is_sent
    }

    /// Sends an input as the run's [`Mode`] says.
    pub fn act(&mut self, input: R::Input) -> bool {
        match self.mode {
            Mode::Latest => self.latest(input),
            Mode::Reliable => self.send(input),
        }
    }
}

fn encode<R: Room>(input: &R::Input) -> Option<Vec<u8>> {
    messagepack::encode(input).ok()
}
