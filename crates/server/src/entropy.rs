//! The operating system's entropy: the only place where chance enters.

use rejoin_protocol::Rng;

/// A generator seeded by the operating system, fit for keys.
///
/// # Errors
/// The system has no entropy to give, which on the systems we run on means that it is broken.
pub fn rng() -> Result<Rng, getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(Rng::from_seed(seed))
}
