//! The system's clock and entropy: the only place in the client where time and chance enter.

use std::time::{Duration, Instant, SystemTime};

use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::{Rng, Timestamp};

use crate::address::ServerAddress;
use crate::connect_options::ConnectOptions;
use crate::core::Core;
use crate::credentials::Credentials;
use crate::error::ConnectError;
use crate::options::Options;
use crate::ticket_file::TicketFile;
use crate::ticket_keeper::TicketKeeper;

/// Moments since the client started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the driver is where time enters")]
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }

    /// Time left until `moment`; the longest sleep if there is none.
    pub(crate) fn until(self, moment: Option<Timestamp>) -> Duration {
        moment.map_or(LONGEST_SLEEP, |moment| {
            moment.since(self.now()).min(LONGEST_SLEEP)
        })
    }
}

/// Longest sleep of a driver: far below what timers can hold, and waking up costs nothing.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What a driver starts with.
#[derive(Debug)]
pub(crate) struct Start {
    /// A joining client of the address's server.
    pub(crate) core: Core,
    /// For request ids.
    pub(crate) rng: Rng,
    /// If there is a ticket file.
    pub(crate) keeper: Option<TicketKeeper>,
}

pub(crate) fn start(
    address: &ServerAddress,
    credentials: Credentials,
    given: ConnectOptions,
    clock: Clock,
) -> Result<Start, ConnectError> {
    let file = given
        .ticket_file
        .map(|path| TicketFile::new(path, address.key));
    let ticket = match &file {
        Some(file) => file.read()?,
        None => None,
    };
    let keeper = file.map(TicketKeeper::start).transpose();
    let keeper = keeper.map_err(ConnectError::Thread)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(ConnectError::Entropy)?;
    let rng = Rng::from_seed(seed);
    let Credentials { permit, identity } = credentials;
    let identity = identity.unwrap_or_else(|| StaticKeys::generate(&mut rng.fork("identity")));
    let mut options = Options::new(address.key, identity, permit, moment());
    options.suites = suites_of_this_processor();
    options.resume_for = given.resume_for;
    options.ticket = ticket;
    Ok(Start {
        core: Core::new(options, rng.fork("core"), clock.now()),
        rng: rng.fork("requests"),
        keeper,
    })
}

/// All data suites, first the one that is faster here: without AES in the processor, AES in software
/// costs several times `ChaCha20`.
#[must_use]
pub fn suites_of_this_processor() -> Vec<Suite> {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    let has_aes = std::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let has_aes = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    let has_aes = false;
    let mut suites = Suite::ALL.to_vec();
    if !has_aes {
        suites.reverse();
    }
    suites
}

/// Wall clock in microseconds.
fn moment() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the driver is where time enters")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 orders nothing: with a fresh identity any number will do.
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}
