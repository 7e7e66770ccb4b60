//! `token`: mints permits, shows what one says, and changes the key that mints.
//!
//! A game's backend does the first by itself (`docs/permits.md`); here it serves operators, tests and bots.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rejoin_client::{Credentials, Permit};
use rejoin_protocol::Rng;
use rejoin_protocol::crypto::{PublicKey, StaticKeys};
use rejoin_protocol::handshake::{Grant, PermitError, PermitId, PermitKeys, SealingKeyId};
use rejoin_server::KeyFileError;

use crate::cli::{InspectArgs, MintArgs, RotateArgs, TokenCommand};
use crate::exit::{Exit, Failure};
use crate::output;

/// Runs the command.
///
/// # Errors
/// The key file cannot be used, or what was asked for makes no permit.
pub(crate) fn run(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Mint(args) => mint(args),
        TokenCommand::Inspect(args) => inspect(args),
        TokenCommand::Rotate(args) => rotate(args),
    }
}

/// Prints one permit a line: with the secret of the client key that was made for it, or alone if the
/// key was given.
fn mint(args: &MintArgs) -> Result<(), Failure> {
    if args.lifetime < Duration::from_secs(1) {
        let text = "--for is less than a second: nobody could use the permit";
        return Err(Failure::new(Exit::Usage, text));
    }
    let keys = rejoin_server::load_or_make_permit_keys(&folder(args.data.as_deref())?)?;
    let mut rng = entropy()?;
    let expires_unix_s = unix_now()?.saturating_add(args.lifetime.as_secs());
    for number in 1..=args.count {
        let name = match args.count {
            1 => args.player.clone(),
            _ => format!("{}-{number}", args.player),
        };
        let fresh = StaticKeys::generate(&mut rng);
        let grant = Grant {
            id: args.id.unwrap_or_else(|| PermitId(rng.bytes())),
            expires_unix_s,
            client: args.client.unwrap_or_else(|| fresh.public()),
            name,
            claims: args.claims.clone().into_bytes(),
        };
        let permit = keys.mint(&grant, &mut rng).map_err(wrong_grant)?;
        let identity = args.client.is_none().then_some(fresh);
        output::line(Credentials { permit, identity }.to_text());
    }
    Ok(())
}

fn wrong_grant(problem: PermitError) -> Failure {
    Failure::new(Exit::Usage, problem)
}

/// Prints what a permit says, for whom, and whether a server with these keys would take it.
fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let text = match args.permit.as_str() {
        "-" => standard_input()?,
        text => text.to_owned(),
    };
    let credentials: Credentials = text
        .parse()
        .map_err(|problem| Failure::new(Exit::Usage, problem))?;
    let permit = match credentials.permit {
        Permit::Sealed(permit) => permit,
        Permit::Dev { name } => {
            output::line(format_args!("a development permit for {name:?}"));
            return Ok(());
        }
        _ => return Err(Failure::new(Exit::Usage, "a permit of a newer version")),
    };
    let folder = folder(args.data.as_deref())?;
    let keys = rejoin_server::load_permit_keys(&folder)?;
    output::line(format_args!(
        "key      {}",
        key_line(permit.key_id(), &keys)
    ));
    let grant = keys
        .open(&permit)
        .map_err(|problem| Failure::new(Exit::CheckFailed, problem))?;
    let identity = credentials.identity.map(|keys| keys.public());
    let now = unix_now()?;
    output::line(format_args!("id       {}", grant.id));
    output::line(format_args!("player   {}", grant.name.escape_debug()));
    output::line(format_args!("client   {}", client_line(&grant, identity)));
    output::line(format_args!("claims   {}", grant.claims.escape_ascii()));
    output::line(format_args!("expires  {}", expiry_line(&grant, now)));
    let client = identity.unwrap_or(grant.client);
    grant
        .check(&client, now)
        .map_err(|problem| Failure::new(Exit::CheckFailed, problem))
}

fn key_line(id: SealingKeyId, keys: &PermitKeys) -> String {
    let note = match keys.iter().position(|key| key.id == id) {
        Some(0) => "mints here",
        Some(_) => "an older key, still opens here",
        None => "unknown here",
    };
    format!("{id}, {note}")
}

fn client_line(grant: &Grant, identity: Option<PublicKey>) -> String {
    let note = match identity {
        None => "its secret is not in this text",
        Some(key) if key == grant.client => "its secret is in this text",
        Some(_) => "the secret in this text is another one",
    };
    format!("{}, {note}", grant.client)
}

fn expiry_line(grant: &Grant, now: u64) -> String {
    let at = grant.expires_unix_s;
    match at.checked_sub(now) {
        Some(left) => format!("in {left} s, at {at} s since 1970"),
        None => format!("{} s ago, at {at} s since 1970", now.saturating_sub(at)),
    }
}

/// Puts a new key first and says what to do with it.
fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    let folder = folder(args.data.as_deref())?;
    let keys = rejoin_server::rotate_permit_keys(&folder)?;
    for (index, key) in keys.iter().enumerate() {
        let note = if index == 0 { "mints" } else { "opens" };
        output::line(format_args!("{}  {note}", key.id));
    }
    tracing::info!(
        folder = %folder.display(),
        "send SIGHUP to servers that use this folder, then give backends the first key"
    );
    Ok(())
}

fn folder(given: Option<&Path>) -> Result<PathBuf, Failure> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(rejoin_server::default_folder()?),
    }
}

fn entropy() -> Result<Rng, Failure> {
    let rng = rejoin_server::entropy().map_err(KeyFileError::from)?;
    Ok(rng)
}

fn unix_now() -> Result<u64, Failure> {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .as_ref()
        .map(Duration::as_secs)
        .map_err(|_| Failure::new(Exit::Internal, "the system's clock stands before 1970"))
}

/// Longer than any list of permits that this process can use.
const INPUT_MAX: u64 = 64 << 20;

/// All that stands on standard input.
pub(crate) fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().take(INPUT_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Usage, format!("standard input: {error}")))?;
    Ok(text)
}
