//! Whose process is killed.

use crate::exit::{Exit, Failure};
use crate::server_child::ServerChild;

/// A server that can be killed, and comes back.
#[derive(Debug)]
pub(crate) enum Victim<'a> {
    /// One of our own, which is started again at once.
    Own(&'a mut ServerChild),
    /// The child of another supervisor, which starts the next one.
    Of(Supervisor),
}

/// Somebody else's `serve --supervise`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supervisor {
    process: u32,
}

impl Victim<'_> {
    /// Why it is gone although nobody killed it, if it is.
    pub(super) fn is_gone(&mut self) -> Option<String> {
        match self {
            Self::Own(server) => server.has_ended(),
            Self::Of(supervisor) => supervisor.check().err().map(|failure| failure.text),
        }
    }

    /// Kills it, and brings the next one up if that is for us to do.
    ///
    /// # Errors
    /// There is nothing to kill, or the next one does not start.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        match self {
            Self::Own(server) => {
                server.kill();
                server.start_again()
            }
            Self::Of(supervisor) => supervisor.kill_child(),
        }
    }

    /// True if the next one serves once [`Victim::kill`] has returned.
    pub(super) const fn is_back_at_once(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// The process that serves.
    pub(super) fn process(&self) -> u32 {
        match self {
            Self::Own(server) => server.process(),
            Self::Of(supervisor) => supervisor.process,
        }
    }
}

#[cfg(target_os = "linux")]
impl Supervisor {
    /// The process of this id.
    ///
    /// # Errors
    /// It has no child that could be killed.
    pub(crate) fn new(process: u32) -> Result<Self, Failure> {
        let supervisor = Self { process };
        supervisor.children().map(|_| supervisor)
    }

    fn check(self) -> Result<(), Failure> {
        let path = format!("/proc/{}/task", self.process);
        let there = std::fs::exists(path).unwrap_or(false);
        there.then_some(()).ok_or_else(|| self.without("is gone"))
    }

    /// Between two children there may be none.
    fn children(self) -> Result<Option<i32>, Failure> {
        self.check()?;
        let id = self.process;
        let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let listed = listed.map_err(|_| self.without("does not show its children"))?;
        let children: Vec<i32> = listed
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .collect();
        match children[..] {
            [] => Ok(None),
            [child] => Ok(Some(child)),
            _ => Err(self.without("has more than one child")),
        }
    }

    fn kill_child(self) -> Result<(), Failure> {
        use rustix::process::{Pid, Signal, kill_process};
        let patience = std::time::Instant::now() + CHILD_WITHIN;
        let child = loop {
            match self.children()?.and_then(Pid::from_raw) {
                Some(child) => break child,
                None if std::time::Instant::now() > patience => {
                    return Err(self.without("has started no server"));
                }
                None => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        };
        let killed = kill_process(child, Signal::KILL);
        killed.map_err(|error| {
            let child = child.as_raw_nonzero();
            Failure::new(
                Exit::Usage,
                format!("process {child} cannot be killed: {error}"),
            )
        })
    }

    fn without(self, what: &str) -> Failure {
        let id = self.process;
        let text = format!("process {id} {what}: --kill-pid takes that of a `serve --supervise`");
        Failure::new(Exit::Usage, text)
    }
}

/// The longest pause of a supervisor between two children, and a bit.
#[cfg(target_os = "linux")]
const CHILD_WITHIN: std::time::Duration = std::time::Duration::from_secs(15);

/// Elsewhere nobody tells whose child is whose.
#[cfg(not(target_os = "linux"))]
impl Supervisor {
    pub(crate) fn new(_process: u32) -> Result<Self, Failure> {
        Err(Failure::new(Exit::Usage, "--kill-pid works on Linux alone"))
    }

    fn check(self) -> Result<(), Failure> {
        Self::new(self.process).map(drop)
    }

    fn kill_child(self) -> Result<(), Failure> {
        self.check()
    }
}
