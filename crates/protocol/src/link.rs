//! What a connection knows about its link.

use std::time::Duration;

/// Counters and estimates of one connection, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkStats {
    /// Smoothed round-trip time (RFC 9002, section 5), `None` before the first sample.
    pub rtt: Option<Duration>,
    /// Smallest round-trip time seen.
    pub rtt_min: Option<Duration>,
    /// Mean deviation of the round-trip time (RFC 9002's `rttvar`): the jitter.
    pub jitter: Duration,
    /// Share of sent packets declared lost, 0.0 to 1.0, over the last few hundred.
    pub loss: f32,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received and authenticated.
    pub received: u64,
    /// Bytes sent, without UDP and IP headers.
    pub sent_bytes: u64,
    /// Bytes received in authenticated datagrams.
    pub received_bytes: u64,
    /// Sent packets declared lost.
    pub lost: u64,
    /// Received datagrams dropped: duplicates and those that did not authenticate.
    pub dropped: u64,
}
