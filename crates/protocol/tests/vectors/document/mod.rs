//! `docs/protocol.md` against the code: its examples are golden bytes, its tables the code's own numbers.

mod codes;
mod constants;
mod examples;
mod frame_types;
mod notation;
mod page;
