//! The client against a hand-driven server end: the real protocol, in virtual time.

mod driving;
mod duet;
mod inputs;
mod joining;
mod leaving;
mod rooms;
mod senseless;
mod views;
