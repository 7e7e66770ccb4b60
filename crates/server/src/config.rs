//! ServerConfig: one plain struct, checked once before a socket is opened.

use std::net::SocketAddr;
use std::num::NonZeroU8;

use rejoin_coordinator::{Auth, Config};
use rejoin_protocol::Fetch;
use rejoin_protocol::handshake::PermitKeys;
use rejoin_room::Durability;

use crate::identity::Identity;
use crate::limits::{LimitError, Limits};

/// Everything a server is told.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address to listen on. Port 0: any free one.
    pub bind: SocketAddr,
    /// Who may open a session. `Dev` demands a loopback address.
    pub auth: Auth,
    /// The server's secrets.
    pub identity: Identity,
    /// Where operators ask: a loopback address; `None`: nowhere. Port 0: any free one.
    pub admin: Option<SocketAddr>,
    /// How many threads serve, each with a part of the sessions and rooms. At most [`SHARDS_MAX`].
    pub shards: NonZeroU8,
    /// How rooms of all kinds are kept, if not as these say themselves. Without a data folder none is.
    pub durability: Option<Durability>,
    /// Whether rooms are replayed and compared with each checkpoint: for the development of room logic.
    pub check_determinism: bool,
    /// How much of everything.
    pub limits: Limits,
}

/// Most shards: more processors than a server for sessions has had use for.
pub const SHARDS_MAX: u8 = 64;

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Everyone may enter, and everyone can reach it.
    #[error(
        "dev auth lets everyone in, so it does not listen on the public {0}; run `rejoin serve \
         --bind {0} --auth token`, and let players in with `rejoin token mint --player NAME | \
         rejoin bots rejoin://KEY@HOST:{port} --permits -`", port = .0.port()
    )]
    PublicDev(SocketAddr),
    /// Whoever reaches the operators' port may read it.
    #[error(
        "the operators' port lets everyone read, so it does not listen on the public {0}; use a loopback \
         address, and a proxy that asks who it is"
    )]
    PublicAdmin(SocketAddr),
    /// More shards than there may be.
    #[error("shards must be 1 to {SHARDS_MAX}")]
    Shards,
    /// A limit out of its bounds.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl ServerConfig {
    /// `token` auth at `bind` with default limits: whoever holds a permit sealed with one of `keys`
    /// may open a session.
    #[must_use]
    pub fn token(bind: SocketAddr, identity: Identity, keys: PermitKeys) -> Self {
        Self {
            auth: Auth::Token(keys),
            ..Self::dev(bind, identity)
        }
    }

    /// `dev` auth at `bind` with default limits.
    #[must_use]
    pub fn dev(bind: SocketAddr, identity: Identity) -> Self {
        Self {
            bind,
            auth: Auth::Dev,
            identity,
            admin: None,
            shards: NonZeroU8::MIN,
            durability: None,
            check_determinism: false,
            limits: Limits::default(),
        }
    }

    /// Whether a server with `dev` auth may listen there.
    ///
    /// # Errors
    /// [`ConfigError::PublicDev`] if others than this machine can reach the address.
    pub fn check_dev(bind: SocketAddr) -> Result<(), ConfigError> {
        if bind.ip().to_canonical().is_loopback() {
            Ok(())
        } else {
            Err(ConfigError::PublicDev(bind))
        }
    }

    /// Whether operators may ask there.
    ///
    /// # Errors
    /// [`ConfigError::PublicAdmin`] if others than this machine can reach the address.
    pub fn check_admin(address: SocketAddr) -> Result<(), ConfigError> {
        if address.ip().to_canonical().is_loopback() {
            Ok(())
        } else {
            Err(ConfigError::PublicAdmin(address))
        }
    }

    /// The shard's settings, once everything here was found good.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn check(self) -> Result<Config, ConfigError> {
        if self.auth == Auth::Dev {
            Self::check_dev(self.bind)?;
        }
        self.admin.map_or(Ok(()), Self::check_admin)?;
        self.limits.check()?;
        if self.shards.get() > SHARDS_MAX {
            return Err(ConfigError::Shards);
        }
        let mut config = Config::new(self.identity.keys, self.identity.session_secret);
        config.auth = self.auth;
        let part = |number: u32| count(number.div_ceil(self.shards.get().into()));
        config.shards = self.shards.get();
        config.sessions_max = part(self.limits.sessions_max);
        config.rooms_max = part(self.limits.rooms_max);
        config.pending_joins_max = part(self.limits.pending_joins_max);
        config.seat_hold = self.limits.seat_hold;
        config.hibernate_for = self.limits.hibernate_for;
        config.empty_room_hold = self.limits.empty_room_hold;
        config.idle_session_hold = self.limits.idle_session_hold;
        config.call_budget = self.limits.call_budget;
        config.budgets = self.limits.budgets;
        config.check_determinism = self.check_determinism;
        config.fetch = Fetch::new(rejoin_datagram::fetch);
        Ok(config)
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(bind: &str) -> ServerConfig {
        ServerConfig::dev(bind.parse().unwrap(), Identity::development().unwrap())
    }

    #[test]
    fn dev_auth_listens_on_loopback_alone() {
        for loopback in [
            "127.0.0.1:7777",
            "127.8.8.8:0",
            "[::1]:7777",
            "[::ffff:127.0.0.1]:7777",
        ] {
            assert!(settings(loopback).check().is_ok(), "{loopback}");
        }
        for public in [
            "0.0.0.0:7777",
            "192.168.1.5:7777",
            "[::]:7777",
            "[2001:db8::1]:1",
        ] {
            let error = settings(public).check().unwrap_err();
            assert_eq!(error, ConfigError::PublicDev(public.parse().unwrap()));
        }
    }

    #[test]
    fn operators_ask_on_loopback_alone() {
        let mut server = settings("127.0.0.1:0");
        for (admin, fits) in [
            ("127.0.0.1:9", true),
            ("[::1]:0", true),
            ("0.0.0.0:9", false),
            ("192.168.1.5:9", false),
        ] {
            server.admin = Some(admin.parse().unwrap());
            assert_eq!(server.clone().check().is_ok(), fits, "{admin}");
        }
    }

    #[test]
    fn the_refusal_of_a_public_address_names_the_commands_that_work() {
        let text = settings("0.0.0.0:9000").check().unwrap_err().to_string();
        for command in [
            "`rejoin serve --bind 0.0.0.0:9000 --auth token`",
            "`rejoin token mint --player NAME | rejoin bots rejoin://KEY@HOST:9000 --permits -`",
        ] {
            assert!(text.contains(command), "{text}");
        }
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn the_shard_is_told_the_spans_that_were_set() {
        let mut server = settings("127.0.0.1:0");
        let span = std::time::Duration::from_secs;
        server.limits.call_budget = span(2);
        server.limits.seat_hold = span(3);
        server.limits.empty_room_hold = span(4);
        server.limits.idle_session_hold = span(6);
        let shard = server.check().unwrap();
        assert_eq!(
            [
                shard.call_budget,
                shard.seat_hold,
                shard.empty_room_hold,
                shard.idle_session_hold
            ],
            [span(2), span(3), span(4), span(6)]
        );
    }

    #[test]
    fn limits_out_of_their_bounds_are_named() {
        let mut none = settings("127.0.0.1:0");
        none.limits.rooms_max = 0;
        assert_eq!(
            none.check().unwrap_err().to_string(),
            "rooms_max must be 1 to 1,000,000"
        );
    }
}
