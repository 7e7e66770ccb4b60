//! The keys of tickets on disk: the server's own, so it rotates them itself.
//!
//! `DIR/ticket.keys` has the form of [`key_lists`], and says in a comment when its first key was made:
//!
//! ```text
//! # made 1795773600
//! ```
//!
//! in seconds since 1970. The moment stands in the file, and is not the file's own time of change, so that it is
//! written with the key at one stroke, and is what it was after a restore, a copy or an edit: by the time of
//! change, a folder that is unpacked with every start would never be rotated.
//!
//! A ticket is good for 24 hours and a key seals for as long, so one old key would do while clocks are right; the
//! second is for clocks that are set.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rejoin_coordinator::TICKET_LIFE;
use rejoin_protocol::handshake::TicketKeys;
use tokio::sync::watch;

use crate::clock;
use crate::key_lists::{self, KeyList, key_ids};
use crate::private_files::KeyFileError;

/// How long a key seals.
const KEY_LIFE: Duration = Duration::from_secs(24 * 3_600);
const _: () = assert!(
    TICKET_LIFE.as_secs() <= KEY_LIFE.as_secs(),
    "the first old key opens what was sealed last with it for as long as the next key seals"
);
/// Longest time between two looks at the file: a key that was due while the machine slept, or could not be
/// written, is late by no more.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// What begins the comment that says when the first key was made.
const MADE: &str = "# made ";

/// Reads the ticket keys in `folder` as [`load_ticket_keys`] does, and first makes one if there is no file.
///
/// # Errors
/// See [`KeyFileError`].
pub(crate) fn load_or_make_ticket_keys(
    folder: &Path,
    now: Duration,
) -> Result<TicketKeys, KeyFileError> {
    key_lists::make_if_missing(&path_in(folder), &comment(now))?;
    rotate_if_due(folder, now).map(|list| list.keys)
}

/// True if a server has kept ticket keys in `folder`.
pub(crate) fn has_ticket_keys(folder: &Path) -> bool {
    path_in(folder).exists()
}

/// Reads the ticket keys in `folder`, and first puts a new one before them if the newest is a day old. If that
/// cannot be written, the log says so at `warn`, and the old keys go on.
///
/// # Errors
/// See [`KeyFileError`].
pub fn load_ticket_keys(folder: &Path) -> Result<TicketKeys, KeyFileError> {
    rotate_if_due(folder, clock::since_1970()).map(|list| list.keys)
}

/// Rotates the keys in `folder` whenever the newest is a day old, and gives them to `keys`. Never ends.
///
/// A file that cannot be read or written changes nothing; the log says so at `warn`, once an hour.
pub async fn rotate_ticket_keys(folder: PathBuf, keys: watch::Sender<TicketKeys>) {
    rotate_by(clock::since_1970, &folder, &keys).await
}

async fn rotate_by(clock: impl Fn() -> Duration, folder: &Path, keys: &watch::Sender<TicketKeys>) {
    let mut wait = load(folder).map_or(LOOK_EVERY, |list| look_in(made(&list.text), clock()));
    loop {
        tokio::time::sleep(wait).await;
        wait = look(folder, keys, clock());
    }
}

/// Rotates if it is time, and tells of keys that are new. Gives how long to wait for the next look.
fn look(folder: &Path, keys: &watch::Sender<TicketKeys>, now: Duration) -> Duration {
    match rotate_if_due(folder, now) {
        Ok(list) => {
            keys.send_if_modified(|keys| {
                let new = *keys != list.keys;
                keys.clone_from(&list.keys);
                new
            });
            look_in(made(&list.text), now)
        }
        Err(problem) => {
            tracing::warn!(%problem, "ticket keys stay as they were");
            LOOK_EVERY
        }
    }
}

fn rotate_if_due(folder: &Path, now: Duration) -> Result<KeyList<TicketKeys>, KeyFileError> {
    let list = load(folder)?;
    if !due_in(made(&list.text), now).is_zero() {
        return Ok(list);
    }
    let rotated = key_lists::rotate(&path_in(folder), list.keys.iter(), &comment(now));
    match rotated.and_then(|()| load(folder)) {
        Ok(list) => {
            tracing::info!(keys = key_ids(list.keys.iter()), "ticket keys rotated");
            Ok(list)
        }
        Err(problem) => {
            tracing::warn!(%problem, "ticket keys are not rotated: the old ones go on");
            Ok(list)
        }
    }
}

fn load(folder: &Path) -> Result<KeyList<TicketKeys>, KeyFileError> {
    key_lists::load(&path_in(folder), TicketKeys::new)
}

/// How long until the next look at the file. A rotation that is still due has just failed.
fn look_in(made: Option<Duration>, now: Duration) -> Duration {
    match due_in(made, now) {
        Duration::ZERO => LOOK_EVERY,
        wait => wait.min(LOOK_EVERY),
    }
}

/// The rotation rule: how long a key that was made at `made` seals from `now` on, both since 1970. One without a
/// moment is due, and so is one that is a day ahead: it was made by a clock that was wrong.
fn due_in(made: Option<Duration>, now: Duration) -> Duration {
    made.map_or(Duration::ZERO, |made| {
        KEY_LIFE.saturating_sub(now.abs_diff(made))
    })
}

/// When the first key of a file was made, if the file says so.
fn made(text: &str) -> Option<Duration> {
    let moment = text.lines().find_map(|line| line.strip_prefix(MADE))?;
    moment.trim().parse().ok().map(Duration::from_secs)
}

fn comment(made: Duration) -> String {
    format!("{MADE}{}\n", made.as_secs())
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("ticket.keys")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::private_files::replace;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    /// Some moment.
    const NOW: Duration = Duration::from_secs(1_795_773_600);

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-ticket-files-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn start(&self, now: Duration) -> Vec<String> {
            ids(&load_or_make_ticket_keys(&self.0, now).unwrap())
        }

        fn text(&self) -> String {
            fs::read_to_string(path_in(&self.0)).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn ids(keys: &TicketKeys) -> Vec<String> {
        keys.iter().map(|key| key.id.to_string()).collect()
    }

    #[test]
    fn a_key_is_due_a_day_after_it_was_made() {
        let second = Duration::from_secs(1);
        assert_eq!(due_in(Some(NOW), NOW), DAY);
        assert_eq!(due_in(Some(NOW), NOW + DAY - second), second);
        assert_eq!(due_in(Some(NOW), NOW + DAY), Duration::ZERO);
        assert_eq!(due_in(Some(NOW), NOW + 400 * DAY), Duration::ZERO);
        assert_eq!(due_in(None, NOW), Duration::ZERO);
    }

    #[test]
    fn a_look_is_an_hour_away_at_most_and_a_rotation_that_failed_does_not_hurry_it() {
        let minute = Duration::from_secs(60);
        assert_eq!(look_in(Some(NOW), NOW), LOOK_EVERY);
        assert_eq!(look_in(Some(NOW), NOW + DAY - minute), minute);
        assert_eq!(look_in(Some(NOW), NOW + DAY), LOOK_EVERY);
        assert_eq!(look_in(None, NOW), LOOK_EVERY);
    }

    #[test]
    fn a_moment_ahead_is_believed_for_less_than_a_day() {
        let second = Duration::from_secs(1);
        assert_eq!(due_in(Some(NOW + second), NOW), DAY - second);
        assert_eq!(due_in(Some(NOW + DAY - second), NOW), second);
        assert_eq!(due_in(Some(NOW + DAY), NOW), Duration::ZERO);
    }

    #[test]
    fn the_moment_is_read_from_the_file_and_nothing_else_is_taken_for_one() {
        assert_eq!(made(&comment(NOW)), Some(NOW));
        assert_eq!(made("# ours\n\n# made 7\r\n"), Some(Duration::from_secs(7)));
        for none in ["", "# made\n", "# made -7\n", "# made today\n", "made 7\n"] {
            assert_eq!(made(none), None, "{none}");
        }
    }

    #[test]
    fn starts_within_a_day_find_the_same_keys_and_later_ones_put_one_before_them() {
        let folder = Folder::new("starts");
        let mut seen = folder.start(NOW);
        assert_eq!(seen.len(), 1);
        let text = folder.text();
        assert_eq!(folder.start(NOW + DAY / 2), seen);
        assert_eq!(folder.text(), text, "the age is not counted from a start");
        for days in 1..=5 {
            let keys = folder.start(NOW + DAY * days);
            assert!(!seen.contains(&keys[0]), "a new key seals");
            seen.insert(0, keys[0].clone());
            assert_eq!(keys, seen[..seen.len().min(3)]);
            assert_eq!(folder.start(NOW + DAY * days), keys, "once a day");
        }
    }

    #[test]
    fn a_ticket_opens_for_its_whole_life_over_rotations() {
        use rejoin_protocol::handshake::Bearer;
        use rejoin_protocol::{Epoch, Incarnation, SessionId};
        let folder = Folder::new("life");
        let start = |now| load_or_make_ticket_keys(&folder.0, now).unwrap();
        start(NOW);
        let sealed_at = NOW + DAY - Duration::from_secs(1);
        let expires = sealed_at + DAY;
        let ticket = start(sealed_at).seal(&Bearer {
            session: SessionId([9; 16]),
            incarnation: Incarnation(3),
            epoch: Epoch(7),
            psk: [5; 32],
            expires_unix_s: expires.as_secs(),
            name: "ana".into(),
            claims: Vec::new(),
        });
        let mut now = sealed_at;
        while now <= expires {
            let opened = start(now).open(&ticket, now.as_secs());
            assert!(opened.is_ok(), "{:?} after: {opened:?}", now - sealed_at);
            now += DAY / 7;
        }
    }

    #[test]
    fn keys_without_a_moment_are_kept_behind_a_new_one() {
        let folder = Folder::new("undated");
        let first = folder.start(NOW);
        let undated = folder.text().lines().next().unwrap().to_owned() + "\n";
        replace(&path_in(&folder.0), &undated).unwrap();
        let keys = folder.start(NOW);
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[1..], first);
    }

    #[test]
    fn a_look_gives_keys_that_are_new_and_only_those() {
        let folder = Folder::new("look");
        let first = load_or_make_ticket_keys(&folder.0, NOW).unwrap();
        let sender = watch::Sender::new(first);
        let mut receiver = sender.subscribe();
        let minute = Duration::from_secs(60);
        assert_eq!(look(&folder.0, &sender, NOW + minute), LOOK_EVERY);
        assert_eq!(look(&folder.0, &sender, NOW + DAY - minute), minute);
        assert!(!receiver.has_changed().unwrap());
        assert_eq!(look(&folder.0, &sender, NOW + DAY), LOOK_EVERY);
        assert!(receiver.has_changed().unwrap());
        let told = receiver.borrow_and_update().clone();
        assert_eq!(told, load(&folder.0).unwrap().keys);
        assert_eq!(told.iter().count(), 2);
    }

    /// Rights do not stop root, who may run this; a path that the system finds too long stops everyone.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_start_that_cannot_write_a_new_key_goes_on_with_the_old_ones() {
        const PATH_MAX: usize = 4_095;
        let folder = Folder::new("unwritable");
        let keys = folder.start(NOW);
        let mut deep = folder.0.clone();
        // The file fits, and its draft, whose name is longer, does not.
        let len = PATH_MAX - "/ticket.keys".len();
        while deep.as_os_str().len() < len - 256 {
            deep.push("d".repeat(200));
        }
        let rest = len - deep.as_os_str().len() - 1;
        deep.push("d".repeat(rest / 2));
        deep.push("d".repeat(rest - rest / 2 - 1));
        fs::create_dir_all(&deep).unwrap();
        fs::rename(path_in(&folder.0), path_in(&deep)).unwrap();
        let kept = load_or_make_ticket_keys(&deep, NOW + DAY).unwrap();
        assert_eq!(ids(&kept), keys);
        let error = key_lists::rotate(&path_in(&deep), kept.iter(), "").unwrap_err();
        assert!(error.to_string().contains("name too long"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_runs_for_days_rotates_each_day() {
        let folder = Folder::new("days");
        let start = tokio::time::Instant::now();
        let clock = || NOW + start.elapsed();
        let sender = watch::Sender::new(load_or_make_ticket_keys(&folder.0, NOW).unwrap());
        let mut receiver = sender.subscribe();
        let changes = async {
            let mut seen = ids(&receiver.borrow_and_update());
            for days in 1..=4 {
                receiver.changed().await.unwrap();
                let keys = ids(&receiver.borrow_and_update());
                seen.insert(0, keys[0].clone());
                assert_eq!(keys, seen[..seen.len().min(3)]);
                // The runtime's timers are a millisecond fine.
                let late = start.elapsed().saturating_sub(DAY * days);
                assert!(late < Duration::from_secs(1), "day {days}: {late:?}");
                assert!(start.elapsed() >= DAY * days, "day {days}");
            }
        };
        tokio::select! {
            () = rotate_by(clock, &folder.0, &sender) => {}
            () = changes => {}
            () = tokio::time::sleep(DAY * 5) => panic!("a day went by without a new key"),
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_leaves_the_keys_as_they_are() {
        let folder = Folder::new("unusable");
        let sender = watch::Sender::new(load_or_make_ticket_keys(&folder.0, NOW).unwrap());
        let receiver = sender.subscribe();
        for text in ["", "nonsense\n", "# made 1\n"] {
            replace(&path_in(&folder.0), text).unwrap();
            assert_eq!(look(&folder.0, &sender, NOW + DAY), LOOK_EVERY);
            assert_eq!(folder.text(), text, "it is not written over");
            let error = load_or_make_ticket_keys(&folder.0, NOW).unwrap_err();
            assert!(error.to_string().contains("ticket.keys: "), "{error}");
        }
        assert!(!receiver.has_changed().unwrap());
    }
}
