//! What the eavesdropper hears, and what it does to server and clients.

use crate::cast::Body;
use crate::coverage::Fault;
use crate::eavesdropper::{self, Eavesdropper, Strike, is_resume};
use crate::network::{Datagram, Direction};
use crate::report::{Violation, ensure};
use crate::wiring::{Happening, Wiring};

impl Wiring {
    /// Somebody on the path may copy what a client sends. The copies that it makes are not copied.
    pub(crate) fn overhear(
        &mut self,
        (client, direction): (usize, Direction),
        datagram: &mut Datagram,
    ) {
        if direction == Direction::Up
            && let Some(eavesdropper) = &mut self.eavesdropper
            && (eavesdropper.listens() || is_resume(&datagram.bytes))
        {
            let copy = self.network.copy(datagram);
            eavesdropper.hear(client, copy);
        }
    }

    /// The eavesdropper's turn: what it sends arrives at once.
    pub(crate) fn strike(&mut self) -> Result<(), Violation> {
        let strike = self.eavesdropper.as_mut().and_then(Eavesdropper::strike);
        let (client, datagram) = match strike {
            None => return Ok(()),
            Some(Strike::Copy { from, datagram }) => (from, datagram),
            Some(Strike::Resume { of, from, datagram }) => {
                let stage = self.cast.client(of).stage();
                self.coverage.hit(Fault::ReplayedResume, stage);
                (from, datagram)
            }
            Some(Strike::Reset { to, bytes }) => return self.forge(to, bytes),
        };
        let arrival = Happening::ToServer {
            client,
            port: eavesdropper::PORT,
            datagram,
        };
        self.queue.push(self.scene.now, arrival);
        Ok(())
    }

    /// A client is sent a reset that is none: nothing may change.
    pub(crate) fn forge(&mut self, number: usize, mut bytes: Vec<u8>) -> Result<(), Violation> {
        let Some(client) = self.cast.clients.get_mut(number) else {
            return Ok(());
        };
        if client.body != Body::Running {
            return Ok(());
        }
        self.coverage.hit(Fault::ForgedReset, client.stage());
        let before = client.core.state().clone();
        client.core.handle_datagram(&mut bytes, self.scene.now);
        let after = client.core.state().clone();
        ensure(before == after, "a forged reset moves nobody", || {
            format!("client {number}: {before:?}, then {after:?}")
        })?;
        self.drain(number)
    }
}
