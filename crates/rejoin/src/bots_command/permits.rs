//! The permits that bots join with: read from a file, one for each bot.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use rejoin_bots::Options;
use rejoin_client::Credentials;

use crate::exit::{Exit, Failure};
use crate::token_command;

/// The permits in a file, one a line; `-` is standard input.
///
/// # Errors
/// It cannot be read, or holds something else than permits.
pub(super) fn permits(file: &Path) -> Result<Vec<Credentials>, Failure> {
    let text = if file == Path::new("-") {
        token_command::standard_input()?
    } else {
        std::fs::read_to_string(file).map_err(|error| wrong_permits(file, error))?
    };
    let mut permits: Vec<Credentials> = Vec::new();
    let mut lines = HashMap::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let number = index + 1;
        let credentials: Credentials = line
            .parse()
            .map_err(|error| wrong_permits(file, format_args!("line {number}: {error}")))?;
        if credentials.identity.is_none() {
            let text = format_args!("line {number}: the permit comes without its client's secret");
            return Err(wrong_permits(file, text));
        }
        if let Some(before) = lines.insert(line.trim(), number) {
            let text = format_args!("line {number}: the same permit as in line {before}");
            return Err(wrong_permits(file, text));
        }
        permits.push(credentials);
    }
    if permits.is_empty() {
        return Err(wrong_permits(file, "no permit in it"));
    }
    Ok(permits)
}

fn wrong_permits(file: &Path, problem: impl Display) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("--permits {}: {problem}", file.display()),
    )
}

/// Each bot needs a permit of its own, if any has one.
///
/// # Errors
/// There are too few.
pub(super) fn check_permits(options: &Options) -> Result<(), Failure> {
    let permits = options.credentials.len();
    if permits == 0 || permits >= options.bots {
        return Ok(());
    }
    let text = format!(
        "{} bots need as many permits, there are {permits}",
        options.bots
    );
    Err(Failure::new(Exit::Usage, text))
}
