//! A game client that finds its seat again, however its process ended.
//!
//! ```sh
//! cargo run -- serve                   # a server
//! cargo run --example rejoin -- ana    # kill it, and start it again: it goes on where it was
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a game shows something"
)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use rejoin::prelude::*;
use rejoin::room::builtin::arena::{Arena, Move};

/// A step ten times a second: any pace would do.
const STEP_EVERY: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_else(|| "ana".to_owned());
    let file = format!("{name}.ticket");
    match play("rejoin://127.0.0.1:7777", &name, &file).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Walks to and fro until the room closes.
pub(crate) async fn play(address: &str, name: &str, file: &str) -> Result<(), Box<dyn Error>> {
    // Without the file it would be a new player after a restart: its keys are fresh each time.
    let options = ConnectOptions::new().ticket_file(file);
    let client = Client::connect_with(address, Permit::dev(name), options).await?;
    // The seat that the player holds, if there is one.
    let mut arena = client.join_or_create::<Arena>(JoinSpec::any()).await?;
    println!("{} in room {}", arena.player(), arena.room());
    if let Some(problem) = client.ticket_file_problem() {
        println!("started again, it will be a new player: {problem}");
    }
    let mut pace = tokio::time::interval(STEP_EVERY);
    loop {
        tokio::select! {
            _ = pace.tick() => {
                arena.send(Move(1.0, 0.0, 0, true))?;
            }
            event = arena.next() => match event {
                Some(RoomEvent::View(view)) => {
                    let own = view.players.iter().find(|row| row.player == arena.player());
                    println!("{} steps", own.map_or(0, |row| row.count));
                }
                Some(RoomEvent::Resumed(receipt)) => println!("back after {:?}", receipt.away),
                Some(RoomEvent::Closed(reason)) => {
                    println!("the room is over: {reason:?}");
                    return Ok(());
                }
                Some(RoomEvent::Ended(ended)) => return Err(ended.into()),
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}
