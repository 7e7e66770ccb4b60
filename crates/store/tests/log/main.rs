//! The log engine on a disk that tears, loses and fails, and on the system's files.

mod crashes;
mod model;
mod support;
mod whole;
