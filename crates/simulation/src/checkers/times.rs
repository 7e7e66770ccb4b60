//! How late what clients are told may be.

use std::time::Duration;

/// How late the news of a silence may be: as long as the longest outages delay it.
pub(super) const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// How long a path must be cut at least before reliable messages to a client overflow.
pub(super) const OVERFLOWS_AFTER: Duration = Duration::from_secs(3);
