//! A data folder for one run.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// A folder of the system's temporary one, for this user alone. Dropping it removes it, unless this process is killed.
#[derive(Debug)]
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn make() -> Result<Self, Failure> {
        let fail = |text: String| Failure::new(Exit::Internal, text);
        let mut rng = rejoin_server::entropy()
            .map_err(|error| fail(format!("no entropy from the system: {error}")))?;
        let name = format!("rejoin-{}-{:08x}", std::process::id(), rng.below(1 << 32));
        let path = std::env::temp_dir().join(name);
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // One that is there already is somebody else's.
        let made = builder.create(&path);
        made.map_err(|error| fail(format!("cannot make {}: {error}", path.display())))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a temporary folder stays");
        }
    }
}
