//! What can go wrong for the callers of both drivers, one enum per kind of operation.

use std::io;

use rejoin_protocol::Refusal;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::messagepack::{DecodeError, EncodeError};

use crate::address::AddressError;
use crate::event::Ended;
use crate::ticket_file::TicketFileError;

/// Why a client could not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The host name has no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// No socket.
    #[error("cannot open a UDP socket: {0}")]
    Socket(io::Error),
    /// The ticket file cannot be used.
    #[error(transparent)]
    TicketFile(#[from] TicketFileError),
    /// No thread to write the ticket file.
    #[error("cannot start the thread that writes the ticket file: {0}")]
    Thread(io::Error),
    /// The system gives no random numbers, so there can be no keys.
    #[error("no entropy: {0}")]
    Entropy(getrandom::Error),
    /// The join failed.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why a request about rooms was not granted. What is too large does not even leave: then it is
/// `Send(SendError::Size(_))`, with what was given and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused: the refusal says why, and when to try again.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The request did not leave.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The session ended before the answer came.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The room is of another kind than the caller's type.
    #[error("the room is of kind {found}, not {expected}")]
    WrongKind {
        /// What the caller's type stands for.
        expected: &'static str,
        /// What the room is.
        found: String,
    },
    /// The server granted something that was not asked for: it is broken.
    #[error("the answer does not fit the request")]
    WrongAnswer,
}

/// Why an input was not sent. Nothing is queued then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The input cannot be written: its own `Serialize` failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The room would not read it: it is nested deeper than 16.
    #[error("the room cannot read the input: {0}")]
    Unreadable(DecodeError),
    /// It is too long, too much waits, or the seat is no longer ours.
    #[error(transparent)]
    Send(#[from] SendError),
}
