//! The system's clock and entropy: the only place in the client where time and chance enter.

use std::time::{Duration, Instant, SystemTime};

use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::Permit;
use rejoin_protocol::{Rng, Timestamp};

use crate::address::ServerAddress;
use crate::core::Core;
use crate::error::ConnectError;
use crate::options::Options;

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

/// A joining client of the address's server, with keys of its own, and a generator for more.
pub(crate) fn start(
    address: &ServerAddress,
    permit: Permit,
    clock: Clock,
) -> Result<(Core, Rng), ConnectError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(ConnectError::Entropy)?;
    let rng = Rng::from_seed(seed);
    let identity = StaticKeys::generate(&mut rng.fork("identity"));
    let options = Options::new(address.key, identity, permit, moment());
    let core = Core::new(options, rng.fork("core"), clock.now());
    Ok((core, rng.fork("requests")))
}

/// Wall clock in microseconds.
fn moment() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the driver is where time enters")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 orders nothing; the identity is fresh, so any number will do.
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}
