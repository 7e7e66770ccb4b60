//! Settings that were found good together: what a server is started with.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;

use rejoin_room::Durability;
use rejoin_server::{KeyFileError, Limits, ServerConfig};

use super::{Problem, Settings, bind};
use crate::server_args::AuthMode;

/// Made by [`Loaded::check`](super::Loaded::check) alone.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    bind: SocketAddr,
    auth: AuthMode,
    data: Option<PathBuf>,
    admin: Option<SocketAddr>,
    shards: NonZeroU8,
    durability: Option<Durability>,
    check_determinism: bool,
    limits: Limits,
}

impl Checked {
    pub(super) fn new(settings: &Settings) -> Result<Self, Problem> {
        let bind = bind::resolve(&settings.bind)?;
        if settings.auth == AuthMode::Dev {
            ServerConfig::check_dev(bind)?;
        }
        settings.limits.check()?;
        Ok(Self {
            bind,
            auth: settings.auth,
            data: settings.data.clone(),
            admin: settings.admin,
            shards: settings.shards,
            durability: settings.durability,
            check_determinism: settings.check_determinism,
            limits: settings.limits,
        })
    }

    /// Where to listen.
    pub(crate) fn bind(&self) -> SocketAddr {
        self.bind
    }

    /// Who may open a session.
    pub(crate) fn auth(&self) -> AuthMode {
        self.auth
    }

    /// Where operators ask.
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// How many threads serve.
    pub(crate) fn shards(&self) -> NonZeroU8 {
        self.shards
    }

    /// How rooms of all kinds are kept, if not as these say.
    pub(crate) fn durability(&self) -> Option<Durability> {
        self.durability
    }

    /// Whether rooms are replayed at each checkpoint.
    pub(crate) fn check_determinism(&self) -> bool {
        self.check_determinism
    }

    /// How much of everything.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Where the server's keys are; none for the development key alone.
    ///
    /// # Errors
    /// Nothing names a folder, and one is needed.
    pub(crate) fn folder(&self) -> Result<Option<PathBuf>, KeyFileError> {
        match (&self.data, self.auth) {
            (Some(folder), _) => Ok(Some(folder.clone())),
            (None, AuthMode::Dev) => Ok(None),
            (None, AuthMode::Token) => rejoin_server::default_folder().map(Some),
        }
    }
}
