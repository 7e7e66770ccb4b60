//! `config`: what a server with these flags, this environment and this file would be told.

use crate::exit::Failure;
use crate::output;
use crate::server_args::ConfigCommand;
use crate::settings::{self, Loaded};

/// Runs the command. Nothing is made, opened or bound; only the name to bind is looked up.
///
/// # Errors
/// `check`: the settings make no sense together.
pub(crate) fn run(command: &ConfigCommand, loaded: &Loaded) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(_) => {
            // A server without a place for its keys does not start either.
            loaded.check()?.folder()?;
            output::line("ok");
        }
        ConfigCommand::Show(args) => {
            output::line(settings::show(loaded, args.origin).trim_end());
        }
        ConfigCommand::Example => output::line(settings::example().trim_end()),
    }
    Ok(())
}
