//! `doctor`: looks at what a server needs of this machine, and says how to get what is missing.
//!
//! `look.rs` asks the system and judges nothing; `judge.rs` judges and asks nothing.

mod judge;
mod look;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rejoin_server::Abilities;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::settings::{Checked, quoted};

/// What the system told of itself.
#[derive(Debug)]
struct Machine {
    /// Of sockets.
    sockets: Result<Abilities, String>,
    /// Files that a process may have open; none where the system does not tell.
    descriptors: Option<u64>,
    /// The smallest step that the monotonic clock was seen to take.
    clock_step: Duration,
    /// What the clock on the wall says.
    wall: SystemTime,
    /// Processors that this process may use; none where the system does not tell.
    cores: Option<usize>,
    /// Where the server's keys are, if they are on a disk.
    folder: Option<Folder>,
}

/// What there is to say of the folder with the keys.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    state: FolderState,
}

#[derive(Debug)]
enum FolderState {
    /// Not there yet.
    Missing,
    /// Something is there that cannot be used.
    Unusable(String),
    /// There.
    Usable {
        /// Users beside the owner may put files there.
        open: bool,
        /// Key files that other users may read.
        exposed: Vec<PathBuf>,
        /// Bytes that are free; none where the system does not tell.
        free: Option<u64>,
    },
}

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; a server serves well all the same.
    Note,
    /// A server would serve badly.
    Warning,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    name: &'static str,
    level: Level,
    found: String,
    /// A command to type, as root where the system asks for it.
    fix: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Something would make a server serve badly.
pub(crate) fn run(settings: &Checked, json: bool) -> Result<(), Failure> {
    let machine = look::machine(settings.folder()?);
    let findings = judge::findings(&machine);
    output::line(if json {
        as_json(&findings)
    } else {
        as_lines(&findings)
    });
    let bad = warnings(&findings);
    if bad == 0 {
        return Ok(());
    }
    let text = format!(
        "{bad} of {} findings would make a server serve badly",
        findings.len()
    );
    Err(Failure::new(Exit::CheckFailed, text))
}

fn warnings(findings: &[Finding]) -> usize {
    let is_bad = |finding: &&Finding| finding.level == Level::Warning;
    findings.iter().filter(is_bad).count()
}

fn as_lines(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let Finding {
            name, level, found, ..
        } = finding;
        let fix = finding.fix.as_ref();
        let fix = fix.map_or(String::new(), |fix| format!("; run `{fix}`"));
        // A folder's name may hold anything, and each finding is one line.
        let words = format!("{found}{fix}").replace(char::is_control, "?");
        format!("{:<8} {name:<16} {words}", level.word())
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn as_json(findings: &[Finding]) -> String {
    let object = |finding: &Finding| {
        let fix = finding.fix.as_ref();
        format!(
            r#"{{"name":{},"level":{},"found":{},"fix":{}}}"#,
            quoted(finding.name),
            quoted(finding.level.word()),
            quoted(&finding.found),
            fix.map_or("null".to_owned(), |fix| quoted(fix)),
        )
    };
    let objects: Vec<_> = findings.iter().map(object).collect();
    let well = warnings(findings) == 0;
    format!(r#"{{"well":{well},"findings":[{}]}}"#, objects.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [Finding; 2] {
        let good = Finding {
            name: "cores",
            level: Level::Ok,
            found: "2".to_owned(),
            fix: None,
        };
        let bad = Finding {
            name: "data_folder",
            level: Level::Warning,
            found: "a\n\"b\" is open".to_owned(),
            fix: Some("chmod 700 x".to_owned()),
        };
        [good, bad]
    }

    #[test]
    fn every_finding_is_one_line_with_its_fix_as_a_command() {
        assert_eq!(
            as_lines(&two()),
            "ok       cores            2\n\
             warning  data_folder      a?\"b\" is open; run `chmod 700 x`"
        );
    }

    #[test]
    fn the_same_is_one_object() {
        assert_eq!(
            as_json(&two()),
            concat!(
                r#"{"well":false,"findings":[{"name":"cores","level":"ok","found":"2","fix":null},"#,
                r#"{"name":"data_folder","level":"warning","found":"a\u000A\"b\" is open","#,
                r#""fix":"chmod 700 x"}]}"#
            )
        );
        assert!(as_json(&two()[..1]).starts_with(r#"{"well":true,"#));
    }
}
