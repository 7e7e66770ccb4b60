//! From arguments to exit code: the five steps of every command.

use std::any::Any;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use crate::app::App;
use crate::cli::{self, Cli, Command, Parsed};
use crate::exit::{Exit, Failure};
use crate::{
    bots_command, config_command, demo, doctor, key_command, logging, output, serve_command,
    settings, simulate_command, store_command, token_command,
};

/// Runs the command line with the rooms and bots that `add` adds to those that come with Rejoin.
///
/// A game's `main` is this one call. It reads the process's arguments, and returns the code
/// that `docs/exit-codes.md` explains.
pub fn serve(add: impl FnOnce(App) -> App) -> ExitCode {
    let mut arguments = std::env::args_os().peekable();
    let program = program_name(arguments.peek());
    // The state behind these boundaries is never looked at again: the process ends either way.
    let app = catch_unwind(AssertUnwindSafe(|| add(App::builtin())));
    let app = match app {
        Ok(app) => app,
        Err(panic) => return fail(&program, &defect(panic.as_ref())),
    };
    let parsed = match cli::parse(&program, &app, arguments) {
        Ok(parsed) => parsed,
        Err(failure) => return fail(&program, &failure),
    };
    let cli = match parsed {
        Parsed::Run(cli) => cli,
        Parsed::Answer(text) => {
            output::line(text);
            return Exit::Success.into();
        }
        Parsed::Nothing(help) => {
            output::help(help);
            return Exit::Usage.into();
        }
    };
    let run = catch_unwind(AssertUnwindSafe(|| execute(&app, &cli)));
    match run.unwrap_or_else(|panic| Err(defect(panic.as_ref()))) {
        Ok(()) => match output::lost() {
            None => Exit::Success.into(),
            Some(why) => {
                let text = format!("standard output cannot be written: {why}");
                fail(&program, &Failure::new(Exit::Internal, text))
            }
        },
        Err(failure) => fail(&program, &failure),
    }
}

fn execute(app: &App, cli: &Cli) -> Result<(), Failure> {
    // A server's settings come first: they say what is logged.
    let flags = cli.command.settings();
    let loaded = flags.map(|flags| settings::load(flags, cli.log, std::env::vars_os()));
    let loaded = loaded.transpose()?.unwrap_or_default();
    let level = loaded.settings().log.or(cli.log);
    logging::start(level, cli.command.log_level());
    match &cli.command {
        Command::Serve(args) => serve_command::run(app, args, &loaded.check()?),
        Command::Config(command) => config_command::run(command, &loaded),
        Command::Doctor(args) => doctor::run(&loaded.check()?, args.json),
        Command::Bots(args) => bots_command::run(app, args),
        Command::Demo(args) => demo::run(app, args),
        Command::Key(args) => key_command::run(args),
        Command::Store(command) => store_command::run(command),
        Command::Simulate(args) => simulate_command::run(args),
        Command::Token(command) => token_command::run(command),
    }
}

fn fail(program: &str, failure: &Failure) -> ExitCode {
    if !failure.text.is_empty() {
        output::failure(program, &failure.text);
    }
    failure.exit.into()
}

/// The name under which the binary was started, without folder and `.exe`.
fn program_name(argument: Option<&OsString>) -> String {
    argument
        .and_then(|name| Path::new(name).file_stem())
        .map_or_else(
            || "rejoin".to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        )
}

fn defect(panic: &(dyn Any + Send)) -> Failure {
    let message = logging::panic_text(panic).replace('\n', " ");
    Failure::new(Exit::Internal, format!("internal error: {message}"))
}
