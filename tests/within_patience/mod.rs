//! Async parts of tests.

use crate::support::PATIENCE;

/// Runs a test's async part, and fails it if it hangs.
pub(crate) fn within_patience<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has what a runtime needs")
        .block_on(async {
            tokio::time::timeout(PATIENCE, test)
                .await
                .expect("it hangs")
        })
}
