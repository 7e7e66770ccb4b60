//! What one session may still do.

use rejoin_protocol::bucket::Bucket;

/// The budgets of one session. They outlive its connections while it holds a seat. A session without
/// connection and seats is over with the turn, and when its player comes back the next one has a whole
/// purse; so wrong guesses and rooms opened are counted in [`crate::addresses`] too.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    pub(crate) inputs: Bucket,
    pub(crate) requests: Bucket,
    pub(crate) creates: Bucket,
    pub(crate) seats: Bucket,
    pub(crate) takeovers: Bucket,
    pub(crate) guesses: Bucket,
}
