//! The reference model: what must be true, kept apart from the product.
//!
//! It learns what players send, before the product can, and judges what the product shows.

mod hearing;
mod life;
mod lives;
mod loads;
mod order;
mod rooms;
mod sessions;
mod tickets;
mod views;

pub(crate) use hearing::Hearings;
pub(crate) use lives::{Arrival, Lives, Standing, StayOf};
pub(crate) use loads::{Loads, Watched};
pub(crate) use order::Order;
pub(crate) use rooms::{Rooms, Site, Witnessed};
pub(crate) use sessions::Sessions;
pub(crate) use tickets::Tickets;
pub(crate) use views::{Glimpse, Views};
