//! The guest among the players: what reaches the [`Repeater`](crate::repeater::Repeater), and what it sends.

use crate::cast::FIRST_PORT;
use crate::network::{Datagram, Direction};
use crate::repeater::Goal;
use crate::report::{Violation, ensure};
use crate::trace::Mark;
use crate::wiring::{BURST_MAX, GUEST, Happening, Wiring};

impl Wiring {
    pub(crate) fn reach_guest(&mut self, mut datagram: Datagram) -> Result<(), Violation> {
        let Some(repeater) = &mut self.repeater else {
            return Ok(());
        };
        self.scene
            .trace
            .fold(Mark::ToClient, GUEST, &datagram.bytes, self.scene.now);
        if repeater.handle_datagram(&mut datagram.bytes, &mut self.scene)? {
            self.check_taken(&datagram, "a peer")?;
        }
        self.network.recycle(datagram);
        self.drain_guest()
    }

    pub(crate) fn wake_guest(&mut self) -> Result<(), Violation> {
        let now = self.scene.now;
        let Some(repeater) = self
            .repeater
            .as_mut()
            .filter(|guest| guest.wake == Some(now))
        else {
            return Ok(());
        };
        repeater.wake = None;
        repeater.handle_timeout(&mut self.scene)?;
        self.drain_guest()
    }

    /// The guest's turn.
    pub(crate) fn play_guest(&mut self) -> Result<(), Violation> {
        let Some(repeater) = &mut self.repeater else {
            return Ok(());
        };
        let group = self.cast.group(0);
        let request = group.request(0);
        let room = group.room(0);
        repeater.play(Goal { request, room }, &mut self.scene)?;
        self.drain_guest()
    }

    /// Sends what the guest has to send, and plans its next wake.
    pub(crate) fn drain_guest(&mut self) -> Result<(), Violation> {
        let now = self.scene.now;
        for burst in 0.. {
            ensure(burst < BURST_MAX, "no client sends without end", || {
                "the guest".into()
            })?;
            self.out.clear();
            let Some(repeater) = &mut self.repeater else {
                return Ok(());
            };
            let stage = repeater.stage();
            if !repeater.poll_transmit(&mut self.out, now) {
                break;
            }
            self.carry((GUEST, FIRST_PORT, Direction::Up), stage);
        }
        let (Some(repeater), Some((player, room))) = (&mut self.repeater, &mut self.cast.guest)
        else {
            return Ok(());
        };
        (player.id, *room) = (repeater.id(), repeater.room());
        if let Some(due) = repeater.poll_timeout() {
            let due = due.max(now);
            if repeater
                .wake
                .is_none_or(|planned| due < planned || planned < now)
            {
                repeater.wake = Some(due);
                self.queue.push(due, Happening::Wake { client: GUEST });
            }
        }
        Ok(())
    }

    /// The guest knows no way back to another server process.
    pub(crate) fn end_guest(&mut self) {
        if let Some(repeater) = &mut self.repeater {
            repeater.end();
        }
    }
}
