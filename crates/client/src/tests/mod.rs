//! The client against a hand-driven server end: the real protocol, in virtual time.

#[cfg(feature = "driver")]
mod away;
mod driving;
mod duet;
#[cfg(feature = "driver")]
pub(crate) mod folder;
mod inputs;
mod joining;
#[cfg(all(feature = "driver", unix))]
mod keeping;
mod leaving;
#[cfg(feature = "driver")]
mod loopback;
#[cfg(feature = "driver")]
mod moving;
mod private;
mod returning;
mod rooms;
mod senseless;
mod sizes;
mod views;
