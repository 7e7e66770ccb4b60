//! `bots --kills`: the server that is killed, and when.

use std::time::Duration;

use rejoin_bots::{Observer, Options, Report};
use rejoin_client::ServerAddress;
use rejoin_room::Kinds;

use crate::app::App;
use crate::bots_args::BotsArgs;
use crate::exit::{Exit, Failure};
use crate::kills::{self, Moments, Plan, Shared, Supervisor, TemporaryFolder, Victim, Window};
use crate::server_child::{ServerChild, Start};

/// Between two kills, if nothing else is said.
const EVERY: Duration = Duration::from_secs(5);
/// How long a server may take to serve again in a run that is as long as its kills take.
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// How long a run plays on after its last kill, at least.
const PLAYED_AFTER: Duration = Duration::from_secs(1);

/// A run whose server is killed.
#[derive(Debug)]
pub(super) struct Killing {
    pub(super) plan: Plan,
    server: Target,
}

/// Whose server it is.
#[derive(Debug)]
enum Target {
    Own {
        server: Box<ServerChild>,
        /// Goes after the server.
        _folder: Option<TemporaryFolder>,
    },
    Other(Supervisor),
}

impl Killing {
    /// What the arguments ask for, with a server that runs; `None` if nobody is to be killed.
    ///
    /// # Errors
    /// The arguments contradict each other, or the server does not start.
    pub(super) fn of(args: &BotsArgs) -> Result<Option<Self>, Failure> {
        let Some(count) = args.kills else {
            return Ok(None);
        };
        let usage = |text: &str| Failure::new(Exit::Usage, text);
        let moments = match (args.kill_within, args.kill_every) {
            (Some(window), _) => Moments::Within(window),
            (None, every) => Moments::Every(every.unwrap_or(EVERY)),
        };
        let plan = Plan {
            count,
            moments,
            seed: seed(args)?,
            ends_play: args.duration.is_none(),
            is_for_show: false,
        };
        check_span(&plan, args.duration)?;
        if let Some(process) = args.kill_pid {
            let server = Target::Other(Supervisor::new(process)?);
            return Ok(Some(Self { plan, server }));
        }
        if args.address.is_some() {
            return Err(usage(
                "--kills starts a server of its own and takes no address; to kill that of a `serve --supervise`, \
                 add --kill-pid PID",
            ));
        }
        if args.permits.is_some() {
            return Err(usage(
                "--kills starts a server with dev auth, which takes no --permits",
            ));
        }
        if args.twins && !args.durability.unwrap_or_default().is_journalled() {
            return Err(usage(
                "--twins replays journals, which rooms have that are kept as exact or synced",
            ));
        }
        let server = own(args)?;
        Ok(Some(Self { plan, server }))
    }

    /// Where the server listens, if it is our own.
    pub(super) const fn address(&self) -> Option<&ServerAddress> {
        match &self.server {
            Target::Own { server, .. } => Some(server.address()),
            Target::Other(_) => None,
        }
    }

    /// How long the bots play if nobody says: longer than the kills should take, as the last one ends the play.
    pub(super) fn play_for(&self) -> Duration {
        let each = match self.plan.moments {
            Moments::Every(every) => every,
            Moments::Within(Window { to, .. }) => to + BACK_WITHIN,
            Moments::Asked => Duration::ZERO,
        };
        each.saturating_mul(self.plan.count) + BACK_WITHIN * 2
    }

    /// Plays a whole run.
    ///
    /// # Errors
    /// See [`kills::play`].
    pub(super) fn play(
        &mut self,
        run: (&App, &str, &Options),
        observer: &mut dyn Observer,
    ) -> Result<Report, Failure> {
        let mut victim = match &mut self.server {
            Target::Own { server, .. } => Victim::Own(server),
            Target::Other(supervisor) => Victim::Of(*supervisor),
        };
        let shared = Shared::new(0);
        kills::play(run, (&self.plan, &shared), &mut victim, observer)
    }

    /// Replays the rooms of a server of our own, if the run kept what its bots saw: the server is killed once more, and comes
    /// back. What came of it is in the report.
    ///
    /// # Errors
    /// Its rooms cannot be read, or it does not come back.
    pub(super) fn replay(&mut self, kinds: &Kinds, report: &mut Report) -> Result<(), Failure> {
        let (Target::Own { server, .. }, Some(marks)) = (&mut self.server, report.marks.take())
        else {
            return Ok(());
        };
        server.kill();
        let outcome = kills::replay_all(server.data(), kinds, &marks)?;
        report.twins = outcome.twins;
        let problems = outcome.problems.into_iter();
        problems.for_each(|problem| report.fail(problem));
        server.start_again()
    }

    /// Ends a server of our own.
    ///
    /// # Errors
    /// It does not end well.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.server {
            Target::Own { server, _folder } => server.end(),
            Target::Other(_) => Ok(()),
        }
    }
}

/// The seed of random moments: drawn if nobody says.
fn seed(args: &BotsArgs) -> Result<u64, Failure> {
    if let Some(seed) = args.kill_seed {
        return Ok(seed);
    }
    let rng = rejoin_server::entropy();
    let rng = rng.map_err(|error| Failure::new(Exit::Internal, format!("no entropy: {error}")));
    Ok(rng?.below(1 << 32))
}

/// # Errors
/// The last kill would come after the end of play.
fn check_span(plan: &Plan, span: Option<Duration>) -> Result<(), Failure> {
    let (Some(span), Moments::Every(every)) = (span, plan.moments) else {
        return Ok(());
    };
    let least = every.saturating_mul(plan.count) + PLAYED_AFTER;
    if span >= least {
        return Ok(());
    }
    let count = plan.count;
    let text = format!(
        "--for {span:?} leaves no time for {count} kills every {every:?}: {least:?} are needed, or no --for at all"
    );
    Err(Failure::new(Exit::Usage, text))
}

fn own(args: &BotsArgs) -> Result<Target, Failure> {
    let folder = match &args.data {
        Some(_) => None,
        None => Some(TemporaryFolder::make()?),
    };
    let path = folder.as_ref().map(TemporaryFolder::path);
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let start = Start {
        data: args
            .data
            .as_deref()
            .or(path)
            .unwrap_or("".as_ref())
            .to_owned(),
        // Sessions of bots that have left stay for a while.
        sessions: args.bots.map_or(0, count).saturating_mul(2),
        rooms: count(args.rooms),
        durability: args.durability,
        unsynced_in_memory: args.unsynced_in_memory,
        keep_all_records: args.twins,
    };
    let server = Box::new(ServerChild::start(start)?);
    Ok(Target::Own {
        server,
        _folder: folder,
    })
}
