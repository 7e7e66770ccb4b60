//! Where the bots of a run keep their tickets.

use std::path::Path;

use rejoin_client::TicketFile;
use rejoin_protocol::crypto::PublicKey;

/// Where the tickets of a run's bots are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wallet<'a> {
    /// A file for each; `None`: in memory.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) server: PublicKey,
}

impl Wallet<'_> {
    /// The file of one bot.
    pub(crate) fn file(self, bot: usize) -> Option<TicketFile> {
        let folder = self.folder?;
        let path = folder.join(format!("bot-{bot}.ticket"));
        Some(TicketFile::new(path, self.server))
    }
}
