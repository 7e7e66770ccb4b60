//! The doctor on the machine of the test: whatever it finds, its form and its code hold.

mod support;

use std::path::{Path, PathBuf};

use support::{Ended, Process};

const NAMES: [&str; 9] = [
    "receive_buffer",
    "send_buffer",
    "segmented_sends",
    "steering",
    "open_files",
    "monotonic_clock",
    "wall_clock",
    "cores",
    "data_folder",
];

fn doctor(flags: &[&str]) -> Ended {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    Process::of(program, &[], &[&["doctor"], flags].concat()).end()
}

/// Asserts that the code is 1 exactly if there is a warning, and then with one line.
#[track_caller]
fn agrees(ended: &Ended, warnings: usize) {
    if warnings == 0 {
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{ended:?}"
        );
    } else {
        let line = format!("rejoin: {warnings} of 9 findings would make a server serve badly\n");
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(1), line.as_str()),
            "{ended:?}"
        );
    }
}

#[test]
fn each_finding_is_a_line_and_each_warning_has_a_command() {
    let ended = doctor(&[]);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), NAMES.len(), "{ended:?}");
    for (line, name) in lines.iter().zip(NAMES) {
        let mut words = line.split_whitespace();
        let level = words.next();
        assert_eq!(words.next(), Some(name), "{line}");
        let has_command = line.contains("; run `");
        assert!(
            ["ok", "note", "warning"].map(Some).contains(&level),
            "{line}"
        );
        assert_eq!(level == Some("warning"), has_command, "{line}");
    }
    let warnings = lines.iter().filter(|line| line.starts_with("warning"));
    agrees(&ended, warnings.count());
}

#[test]
fn a_program_is_told_the_same_as_one_object() {
    let ended = doctor(&["--json"]);
    let object = ended.stdout.trim_end();
    assert_eq!(object.lines().count(), 1, "{ended:?}");
    for name in NAMES {
        assert!(
            object.contains(&format!(r#"{{"name":"{name}","level":""#)),
            "{object}"
        );
    }
    let warnings = object.matches(r#""level":"warning""#).count();
    assert!(
        object.starts_with(&format!(r#"{{"well":{},"#, warnings == 0)),
        "{object}"
    );
    agrees(&ended, warnings);
}

#[test]
fn a_folder_that_cannot_be_used_is_found_and_wrong_settings_are_no_finding() {
    let name = format!("rejoin-doctor-process-{}", std::process::id());
    let file: PathBuf = std::env::temp_dir().join(name);
    std::fs::write(&file, "").expect("a file of this test's own");
    let ended = doctor(&["--data", &file.display().to_string()]);
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stdout.lines().last();
    let told = last.is_some_and(|line| {
        line.starts_with("warning  data_folder") && line.contains("it is no folder")
    });
    assert!(told, "{ended:?}");
    let wrong = doctor(&["--bind", "0.0.0.0"]);
    assert_eq!(
        (wrong.code, wrong.stdout.as_str()),
        (Some(2), ""),
        "{wrong:?}"
    );
}
