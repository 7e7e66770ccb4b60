//! Where a datagram came from, as far as a connection cares.

/// Whether a datagram came over the path in use. The owner knows the addresses; a connection
/// does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the address that our packets go to.
    Path,
    /// From any other address. It may be the peer on a new path, or a stranger: forgeries from here
    /// do not count towards [`AEAD_FAILURES_MAX`](crate::limits::AEAD_FAILURES_MAX), else anyone
    /// who learns the label of a connection could end it.
    Elsewhere,
}
