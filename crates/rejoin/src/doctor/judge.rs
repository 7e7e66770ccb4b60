//! Judges what was found: what a server needs, and the command that gives it.

use std::io;
use std::time::{Duration, SystemTime};

use rejoin_server::{Abilities, buffer_wanted};

use super::Level::{Note, Ok as Well, Warning};
use super::{Finding, Folder, FolderState, Level, Machine};

/// A server holds a dozen files open, whatever it serves; with fewer than this a shell was set up wrong.
const DESCRIPTORS_MIN: u64 = 256;
/// Rooms tick up to 128 times a second: a clock that steps in milliseconds makes them stumble.
const CLOCK_STEP_MAX: Duration = Duration::from_millis(1);
/// The first moment of 2020: a clock before it was never set.
const WALL_MIN: Duration = Duration::from_secs(1_577_836_800);
/// The keys are small; a disk with less room than this is as good as full.
const FREE_MIN: u64 = 16 * 1024 * 1024;

/// Every finding, in the order of the report.
pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &machine.sockets {
        Ok(sockets) => findings.extend(of_sockets(sockets)),
        Err(reason) => findings.push(finding("sockets", Warning, reason.clone())),
    }
    findings.push(of_descriptors(machine.descriptors));
    findings.extend(of_clocks(machine));
    findings.push(of_cores(machine.cores));
    findings.push(of_folder(machine.folder.as_ref()));
    findings
}

fn finding(name: &'static str, level: Level, found: impl Into<String>) -> Finding {
    let found = found.into();
    Finding {
        name,
        level,
        found,
        fix: None,
    }
}

impl Finding {
    fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix = Some(command.into());
        self
    }
}

fn of_sockets(sockets: &Abilities) -> [Finding; 4] {
    let buffers = sockets.buffers;
    [
        of_buffer("receive_buffer", buffers.receive, "net.core.rmem_max"),
        of_buffer("send_buffer", buffers.send, "net.core.wmem_max"),
        of_ability("segmented_sends", &sockets.segmented_sends),
        of_ability("steering", &sockets.steering),
    ]
}

fn of_buffer(name: &'static str, granted: usize, linux_setting: &str) -> Finding {
    let wanted = buffer_wanted();
    if granted >= wanted {
        return finding(name, Well, format!("{} KiB", granted / 1_024));
    }
    let found = format!(
        "{} KiB of the {} KiB that a server asks for: a burst beyond is lost",
        granted / 1_024,
        wanted / 1_024
    );
    let setting = if cfg!(target_os = "linux") {
        linux_setting
    } else {
        "kern.ipc.maxsockbuf"
    };
    finding(name, Warning, found).fix(format!("sysctl -w {setting}={wanted}"))
}

/// A server serves without: slower, where it would have used one.
fn of_ability(name: &'static str, outcome: &io::Result<()>) -> Finding {
    match outcome {
        Ok(()) => finding(name, Well, "can be had"),
        Err(error) => finding(name, Note, format!("cannot be had: {error}")),
    }
}

fn of_descriptors(most: Option<u64>) -> Finding {
    let name = "open_files";
    match most {
        None => finding(name, Note, "the system does not tell"),
        Some(u64::MAX) => finding(name, Well, "without bound"),
        Some(most) if most >= DESCRIPTORS_MIN => finding(name, Well, format!("at most {most}")),
        Some(most) => finding(name, Warning, format!("at most {most}")).fix("ulimit -n 1024"),
    }
}

fn of_clocks(machine: &Machine) -> [Finding; 2] {
    let step = machine.clock_step;
    let level = if step < CLOCK_STEP_MAX { Well } else { Warning };
    let monotonic = finding("monotonic_clock", level, format!("steps of {step:?}"));
    let monotonic = match level {
        Warning => {
            let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
            monotonic.fix(format!("echo tsc > {source}"))
        }
        Well | Note => monotonic,
    };
    let since_1970 = machine.wall.duration_since(SystemTime::UNIX_EPOCH);
    let wall = if since_1970.is_ok_and(|time| time >= WALL_MIN) {
        finding("wall_clock", Well, "set")
    } else {
        let found = "before 2020: it was never set, and permits would be judged by a wrong date";
        finding("wall_clock", Warning, found).fix("timedatectl set-ntp true")
    };
    [monotonic, wall]
}

fn of_cores(cores: Option<usize>) -> Finding {
    match cores {
        None => finding("cores", Note, "the system does not tell"),
        Some(1) => finding("cores", Note, "1: a server shares it with all else here"),
        Some(cores) => finding("cores", Well, cores.to_string()),
    }
}

fn of_folder(folder: Option<&Folder>) -> Finding {
    let name = "data_folder";
    let Some(Folder { path, state }) = folder else {
        return finding(name, Well, "none: the development key, and nothing on disk");
    };
    let path = path.display().to_string();
    let word = typed(&path);
    match state {
        FolderState::Missing => finding(name, Well, format!("{path} is made at the first start")),
        FolderState::Unusable(reason) => finding(name, Warning, format!("{path}: {reason}"))
            .fix(format!("install -d -m 700 -o \"$USER\" {word}")),
        FolderState::Usable { open: true, .. } => {
            let found = format!("{path}: other users may put keys there");
            finding(name, Warning, found).fix(format!("chmod 700 {word}"))
        }
        FolderState::Usable { exposed, .. } if !exposed.is_empty() => {
            let files: Vec<_> = exposed
                .iter()
                .map(|it| typed(&it.display().to_string()))
                .collect();
            let found = format!("{path}: other users may read keys there, so they are refused");
            finding(name, Warning, found).fix(format!("chmod 600 {}", files.join(" ")))
        }
        FolderState::Usable { free, .. } => of_free_space(&path, *free),
    }
}

fn of_free_space(path: &str, free: Option<u64>) -> Finding {
    let name = "data_folder";
    match free {
        None => finding(name, Well, format!("{path} can be written")),
        Some(free) => {
            let found = format!("{path} can be written, {} MiB free", free / 1_048_576);
            if free >= FREE_MIN {
                finding(name, Well, found)
            } else {
                finding(name, Warning, found).fix(format!("df -h {}", typed(path)))
            }
        }
    }
}

/// A path as a shell takes it for one word.
fn typed(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const FINDINGS: usize = 9;

    /// A machine on which all is well.
    fn machine() -> Machine {
        let mut sockets = rejoin_server::abilities().unwrap();
        sockets.buffers.receive = buffer_wanted();
        sockets.buffers.send = buffer_wanted();
        sockets.segmented_sends = Ok(());
        sockets.steering = Ok(());
        Machine {
            sockets: Ok(sockets),
            descriptors: Some(1_024),
            clock_step: Duration::from_nanos(30),
            wall: SystemTime::UNIX_EPOCH + WALL_MIN,
            cores: Some(2),
            folder: None,
        }
    }

    /// The only finding that is not well.
    fn odd(machine: &Machine) -> Finding {
        let findings = findings(machine);
        assert_eq!(findings.len(), FINDINGS, "{findings:?}");
        let mut odd: Vec<_> = findings.into_iter().filter(|it| it.level != Well).collect();
        assert_eq!(odd.len(), 1, "{odd:?}");
        odd.remove(0)
    }

    fn folder(state: FolderState) -> Machine {
        let path = PathBuf::from("/d");
        Machine {
            folder: Some(Folder { path, state }),
            ..machine()
        }
    }

    fn usable(open: bool, exposed: &[&str], free: u64) -> Machine {
        folder(FolderState::Usable {
            open,
            exposed: exposed.iter().map(PathBuf::from).collect(),
            free: Some(free),
        })
    }

    #[test]
    fn a_machine_on_which_all_is_well_has_no_other_finding() {
        for good in [
            machine(),
            usable(false, &[], FREE_MIN),
            folder(FolderState::Missing),
        ] {
            let findings = findings(&good);
            assert!(findings.iter().all(|it| it.level == Well), "{findings:?}");
        }
    }

    #[test]
    fn what_serves_badly_is_a_warning_with_its_command() {
        let small = |change: fn(&mut Abilities)| {
            let mut machine = machine();
            change(machine.sockets.as_mut().unwrap());
            machine
        };
        let cases = [
            (
                small(|it| it.buffers.receive -= 1),
                "receive_buffer",
                "sysctl -w ",
            ),
            (small(|it| it.buffers.send = 0), "send_buffer", "sysctl -w "),
            (
                Machine {
                    descriptors: Some(255),
                    ..machine()
                },
                "open_files",
                "ulimit -n 1024",
            ),
            (
                Machine {
                    clock_step: CLOCK_STEP_MAX,
                    ..machine()
                },
                "monotonic_clock",
                "echo tsc > ",
            ),
            (
                Machine {
                    wall: SystemTime::UNIX_EPOCH + WALL_MIN - CLOCK_STEP_MAX,
                    ..machine()
                },
                "wall_clock",
                "timedatectl set-ntp true",
            ),
            (
                Machine {
                    wall: SystemTime::UNIX_EPOCH - WALL_MIN,
                    ..machine()
                },
                "wall_clock",
                "timedatectl set-ntp true",
            ),
            (
                folder(FolderState::Unusable("it is no folder".to_owned())),
                "data_folder",
                "install -d -m 700 ",
            ),
            (usable(true, &[], FREE_MIN), "data_folder", "chmod 700 '/d'"),
            (
                usable(false, &["/d/a", "/d/b"], FREE_MIN),
                "data_folder",
                "chmod 600 '/d/a' '/d/b'",
            ),
            (
                usable(false, &[], FREE_MIN - 1),
                "data_folder",
                "df -h '/d'",
            ),
        ];
        for (machine, name, command) in cases {
            let found = odd(&machine);
            assert_eq!((found.name, found.level), (name, Warning), "{found:?}");
            let fix = found.fix.unwrap();
            assert!(fix.starts_with(command), "{fix}");
        }
    }

    #[test]
    fn what_a_server_can_do_without_is_a_note() {
        let without = |change: fn(&mut Abilities)| {
            let mut machine = machine();
            change(machine.sockets.as_mut().unwrap());
            machine
        };
        for machine in [
            without(|it| it.segmented_sends = Err(io::ErrorKind::Unsupported.into())),
            without(|it| it.steering = Err(io::ErrorKind::Unsupported.into())),
            Machine {
                descriptors: None,
                ..machine()
            },
            Machine {
                cores: Some(1),
                ..machine()
            },
        ] {
            assert_eq!(odd(&machine).level, Note);
        }
    }

    #[test]
    fn a_folder_of_any_name_is_one_word_of_the_command() {
        assert_eq!(typed("/it's here"), r"'/it'\''s here'");
    }

    #[test]
    fn a_machine_without_sockets_is_told_in_the_systems_words() {
        let machine = Machine {
            sockets: Err("no".to_owned()),
            ..machine()
        };
        let first = findings(&machine).remove(0);
        assert_eq!(
            (first.name, first.level, first.found.as_str()),
            ("sockets", Warning, "no")
        );
    }
}
