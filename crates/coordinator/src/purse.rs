//! What one session may still do.

use rejoin_protocol::bucket::Bucket;

/// The budgets of one session. They outlive its connections, so that coming back renews nothing.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    pub(crate) inputs: Bucket,
    pub(crate) requests: Bucket,
    pub(crate) creates: Bucket,
    pub(crate) seats: Bucket,
    pub(crate) takeovers: Bucket,
    pub(crate) guesses: Bucket,
}
