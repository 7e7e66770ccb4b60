//! `key`: shows the key that clients pin, and makes it at first use.

use rejoin_client::ServerAddress;
use rejoin_client::address::DEFAULT_PORT;

use crate::cli::KeyArgs;
use crate::exit::Failure;
use crate::output;

/// Runs the command. The key stands alone on the first line, for scripts.
///
/// # Errors
/// The key files cannot be read or made.
pub(crate) fn run(args: &KeyArgs) -> Result<(), Failure> {
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => rejoin_server::default_folder()?,
    };
    let key = rejoin_server::load_or_make(&folder)?.keys.public();
    let address = ServerAddress {
        key,
        host: "127.0.0.1".to_owned(),
        port: DEFAULT_PORT,
    };
    output::line(key);
    output::line(address);
    tracing::info!(folder = %folder.display(), "used by `serve --data` with this folder");
    Ok(())
}
