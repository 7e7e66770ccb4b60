//! ServerConfig: one plain struct, checked once before a socket is opened.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_coordinator::budgets::OutOfBounds;
use rejoin_coordinator::{Auth, Budgets, Config};
use rejoin_protocol::handshake::PermitKeys;

use crate::identity::Identity;

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
    /// How much of everything.
    pub limits: Limits,
}

/// Bounds of one server. What exceeds them is refused with a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most sessions, 1 to 1,000,000; about 8 KiB each. Default 4,096.
    pub sessions_max: usize,
    /// Most rooms, 1 to 1,000,000. Default 1,024.
    pub rooms_max: usize,
    /// Most joins under way, 1 to 1,000,000; about 1 KiB each. Default 1,024.
    pub pending_joins_max: usize,
    /// How long a detached player's seat is held, at most a week. Default 120 s.
    pub seat_hold: Duration,
    /// How long a room without members stays open, at most a week. Default 10 s.
    pub empty_room_hold: Duration,
    /// How long a session without a seat may stay, 1 s to a week. Default 10 min.
    pub idle_session_hold: Duration,
    /// How much one connection, session, room or address may do.
    pub budgets: Budgets,
}

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
    /// A number out of its bounds.
    #[error("{name} must be {bounds}")]
    OutOfBounds {
        /// The field.
        name: &'static str,
        /// What it may be.
        bounds: &'static str,
    },
    /// A budget out of its bounds.
    #[error(transparent)]
    Budget(#[from] OutOfBounds),
}

/// Most sessions, rooms or joins of one shard: what its 24-bit slots hold with room to spare.
const COUNT_MAX: usize = 1_000_000;
/// Longest hold.
const HOLD_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// A session takes its first seat a round trip after its join; less than this would race it.
const IDLE_HOLD_MIN: Duration = Duration::from_secs(1);

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 4_096,
            rooms_max: 1_024,
            pending_joins_max: 1_024,
            seat_hold: rejoin_protocol::limits::SEAT_HOLD,
            empty_room_hold: Duration::from_secs(10),
            idle_session_hold: Duration::from_secs(600),
            budgets: Budgets::default(),
        }
    }
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
            limits: Limits::default(),
        }
    }

    /// The shard's settings, once everything here was found good.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn check(self) -> Result<Config, ConfigError> {
        if self.auth == Auth::Dev && !self.bind.ip().to_canonical().is_loopback() {
            return Err(ConfigError::PublicDev(self.bind));
        }
        if let Some(admin) = self.admin
            && !admin.ip().to_canonical().is_loopback()
        {
            return Err(ConfigError::PublicAdmin(admin));
        }
        self.limits.check()?;
        let mut config = Config::new(self.identity.keys, self.identity.session_secret);
        config.auth = self.auth;
        config.sessions_max = self.limits.sessions_max;
        config.rooms_max = self.limits.rooms_max;
        config.pending_joins_max = self.limits.pending_joins_max;
        config.seat_hold = self.limits.seat_hold;
        config.empty_room_hold = self.limits.empty_room_hold;
        config.idle_session_hold = self.limits.idle_session_hold;
        config.budgets = self.limits.budgets;
        Ok(config)
    }
}

impl Limits {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.budgets.check()?;
        let counts = [
            ("sessions_max", self.sessions_max),
            ("rooms_max", self.rooms_max),
            ("pending_joins_max", self.pending_joins_max),
        ];
        for (name, count) in counts {
            if !(1..=COUNT_MAX).contains(&count) {
                return Err(ConfigError::OutOfBounds {
                    name,
                    bounds: "1 to 1,000,000",
                });
            }
        }
        for (name, hold) in [
            ("seat_hold", self.seat_hold),
            ("empty_room_hold", self.empty_room_hold),
        ] {
            if hold > HOLD_MAX {
                return Err(ConfigError::OutOfBounds {
                    name,
                    bounds: "at most 168 h",
                });
            }
        }
        if !(IDLE_HOLD_MIN..=HOLD_MAX).contains(&self.idle_session_hold) {
            let bounds = "1 s to 168 h";
            return Err(ConfigError::OutOfBounds {
                name: "idle_session_hold",
                bounds,
            });
        }
        Ok(())
    }
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
    fn limits_out_of_their_bounds_are_named() {
        let mut none = settings("127.0.0.1:0");
        none.limits.rooms_max = 0;
        assert_eq!(
            none.check().unwrap_err().to_string(),
            "rooms_max must be 1 to 1,000,000"
        );
        let mut endless = settings("127.0.0.1:0");
        endless.limits.seat_hold = Duration::MAX;
        assert_eq!(
            endless.check().unwrap_err().to_string(),
            "seat_hold must be at most 168 h"
        );
        let mut hasty = settings("127.0.0.1:0");
        hasty.limits.idle_session_hold = Duration::ZERO;
        assert_eq!(
            hasty.check().unwrap_err().to_string(),
            "idle_session_hold must be 1 s to 168 h"
        );
    }
}
