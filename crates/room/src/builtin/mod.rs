//! Rooms that come with Rejoin.

pub mod arena;
pub mod chat;
