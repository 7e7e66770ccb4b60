//! `rejoin store` on folders in which a real server has kept rooms.

#![cfg(unix)]
#![expect(
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails"
)]

#[allow(dead_code, reason = "each test file uses its own part of it")]
mod kept_rooms;
mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kept_rooms::{Folder, play, refusal, run};
use rejoin::room::Room;
use rejoin::room::builtin::chat::Chat;
use serde_json::Value;
use signal::signal;

fn json(arguments: &[&str]) -> Value {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// What `ls` says of the rooms of a kind.
fn listed(folder: &Folder, kind: &str) -> Vec<Value> {
    let mut all = json(&["store", "ls", folder.text(), "--json"]);
    let rooms = all["rooms"].take();
    let Value::Array(rooms) = rooms else {
        panic!("{rooms}");
    };
    rooms
        .into_iter()
        .filter(|room| room["kind"] == kind)
        .collect()
}

fn id_of(folder: &Folder, kind: &str) -> String {
    let rooms = listed(folder, kind);
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    rooms[0]["room"].as_str().expect("an id").to_owned()
}

#[test]
fn a_live_folder_is_looked_at_and_nothing_in_it_changes() {
    let folder = Folder::new("live");
    let (server, address) = folder.serve("127.0.0.1:0", &[]);
    play(&address);
    signal(server.id(), "STOP");
    let before = folder.rooms();
    let listed = json(&["store", "ls", folder.text(), "--json"]);
    #[cfg(target_os = "linux")]
    assert_eq!(listed["process"], server.id());
    assert_eq!(
        (&listed["epoch"], &listed["sound"]),
        (&1.into(), &true.into())
    );
    let chat = id_of(&folder, "chat");
    let checked = run(&["store", "check", folder.text()]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.ends_with("sound\n"), "{checked:?}");
    let shown = json(&["store", "show", folder.text(), &chat, "--journal"]);
    let journal = shown["journal"].as_array().expect("calls");
    assert!(journal.len() > 5, "{}", journal.len());
    assert!(folder.rooms() == before, "who only looks changed something");
    signal(server.id(), "CONT");
    let refused = run(&["store", "drop", folder.text(), &chat, "--yes"]);
    let told = refusal(&refused, 2);
    let holder = format!("locked by process {}; stop it first", server.id());
    assert!(told.ends_with(&holder), "{told}");
    assert_eq!(
        fs::read_to_string(folder.file("epoch")).expect("it is there"),
        "1\n"
    );
}

#[test]
fn a_room_is_listed_shown_and_exported_as_it_was_stopped() {
    let folder = Folder::new("stopped");
    folder.fill("TERM");
    let rooms = listed(&folder, "chat");
    let facts = &rooms[0];
    assert_eq!(facts["version"], Chat::VERSION);
    assert!(facts["sequence"].as_u64() > Some(1), "{facts}");
    assert!(facts["checkpoint_bytes"].as_u64() > Some(50), "{facts}");
    assert!(facts["clock_s"].as_f64() > Some(0.5), "{facts}");
    assert_eq!(
        (&facts["loss"], &facts["quarantined"]),
        (&Value::Null, &false.into())
    );
    let table = run(&["store", "ls", folder.text()]);
    assert_eq!(table.stdout.lines().count(), 3, "{table:?}");

    let id = id_of(&folder, "chat");
    let shown = json(&[
        "store",
        "show",
        folder.file("rooms").to_str().expect("plain"),
        &id,
    ]);
    let checkpoint = &shown["checkpoint"];
    assert_eq!(checkpoint["spec"]["room"], *id);
    let seats = checkpoint["seats"].as_array().map_or(0, Vec::len);
    assert_eq!(facts["seats"], seats);
    let state = checkpoint["state"]
        .as_object()
        .expect("a chat's state has names");
    assert!(!state.is_empty());
    assert_eq!(checkpoint["sequence"], facts["sequence"]);
    assert!(checkpoint["offset"].as_u64() >= Some(64));

    // One file says the same, but for where it stood.
    let file = folder.file("one.room");
    let path = file.to_str().expect("plain");
    let export = ["store", "export", folder.text(), &id, "--out", path];
    assert_eq!(run(&export).code, Some(0));
    let mode = fs::metadata(&file)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut shown = json(&["store", "show", folder.text(), &id, "--journal"]);
    let inside = shown["checkpoint"].as_object_mut().expect("a checkpoint");
    inside.remove("segment");
    inside.remove("offset");
    assert_eq!(json(&["store", "show", path, "--journal", "--json"]), shown);

    // Never over another.
    fs::write(&file, "mine").expect("it is ours");
    let told = refusal(&run(&export), 2);
    assert_eq!(
        told,
        format!("{path} is there already: --force writes over it")
    );
    let told = refusal(&run(&["store", "show", path]), 2);
    assert!(told.contains("is no exported room"), "{told}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "mine");
    let state = [&export[..], &["--force", "--state"]].concat();
    assert_eq!(run(&state).code, Some(0));
    let bytes = fs::read(&file).expect("it is there");
    assert_eq!(checkpoint["state_bytes"], bytes.len());
    let read: Result<<Chat as Room>::State, _> = Chat::migrate(Chat::VERSION, &bytes);
    let known = rejoin::protocol::messagepack::decode::<<Chat as Room>::State>(
        &bytes,
        rejoin::protocol::messagepack::Bounds::PEER,
    );
    assert!(known.is_ok(), "{:?}", read.err());
}

#[test]
fn damage_is_named_with_its_place_and_ends_with_1() {
    let folder = Folder::new("damage");
    folder.fill("KILL");
    let id = id_of(&folder, "arena");
    let (name, mut bytes) = folder
        .rooms()
        .into_iter()
        .find(|(name, _)| name.ends_with(".log"))
        .expect("a segment");
    let at = bytes.windows(16).position(|it| {
        let hex: String = it.iter().map(|byte| format!("{byte:02x}")).collect();
        hex == id
    });
    // The head of its first entry has its id at 24.
    let at = at.expect("its first entry") - 24;
    bytes[at + 61] ^= 1;
    fs::write(folder.file("rooms").join(&name), &bytes).expect("it is ours");
    let checked = run(&["store", "check", folder.text()]);
    let told = refusal(&checked, 1);
    assert!(told.contains("is damaged"), "{told}");
    let place = format!("{name}: entry 1 of room {id} at {at} cannot be read\n");
    assert!(checked.stdout.contains(&place), "{checked:?}");
    let lost = format!("room {id}: records 1 to ");
    assert!(checked.stdout.contains(&lost), "{checked:?}");

    // A server starts all the same, and a segment that is gone is told alike.
    fs::remove_file(folder.file("rooms").join(&name)).expect("it is ours");
    let told = run(&["store", "check", folder.text()]);
    let missing = format!("{name} is missing\n");
    assert!(
        told.code == Some(1) && told.stdout.contains(&missing),
        "{told:?}"
    );
    let (server, _) = folder.serve("127.0.0.1:0", &[]);
    signal(server.id(), "TERM");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn what_is_no_store_or_no_room_is_told_in_one_line() {
    let folder = Folder::new("none");
    let told = refusal(&run(&["store", "check", folder.text()]), 2);
    assert!(told.contains("No such file"), "{told}");
    fs::create_dir(folder.file("")).expect("a folder");
    let told = refusal(&run(&["store", "ls", folder.text()]), 2);
    assert!(told.starts_with("no rooms are kept in "), "{told}");
    folder.fill("TERM");
    let nobody = "00".repeat(16);
    let told = refusal(&run(&["store", "show", folder.text(), &nobody]), 2);
    assert!(
        told.starts_with(&format!("no room {nobody} is kept in ")),
        "{told}"
    );
    let told = refusal(&run(&["store", "show", folder.text()]), 2);
    assert!(told.starts_with("which room?"), "{told}");
    let told = refusal(&run(&["store", "show", folder.text(), "nobody"]), 2);
    assert!(told.contains("32 hexadecimal digits"), "{told}");
}

#[test]
fn dropped_rooms_are_gone_for_the_next_server_and_the_others_are_there() {
    let folder = Folder::new("drop");
    folder.fill("KILL");
    let (chat, arena) = (id_of(&folder, "chat"), id_of(&folder, "arena"));
    let before = folder.rooms();
    let asked = ["store", "drop", folder.text(), &chat];
    let named = run(&asked);
    assert!(refusal(&named, 2).contains("--yes"), "{named:?}");
    assert_eq!(named.stdout, format!("{chat}  chat\n"));
    assert!(folder.rooms() == before, "nothing is changed without --yes");
    let dropped = run(&[&asked[..], &["--yes"]].concat());
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    assert!(
        dropped.stdout.ends_with("forgotten: 1, in epoch 2\n"),
        "{dropped:?}"
    );
    assert_eq!(
        fs::read_to_string(folder.file("epoch")).expect("it is there"),
        "2\n"
    );
    assert!(listed(&folder, "chat").is_empty());
    let (server, _) = folder.serve("127.0.0.1:0", &[]);
    assert_eq!(id_of(&folder, "arena"), arena);
    signal(server.id(), "KILL");
    server.end();
    let none = run(&["store", "drop", folder.text(), "--quarantined", "--yes"]);
    assert!(
        refusal(&none, 2).starts_with("no room is meant"),
        "{none:?}"
    );
    let dropped = run(&["store", "drop", folder.text(), "--kind", "arena", "--yes"]);
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    assert!(listed(&folder, "arena").is_empty());
    assert_eq!(run(&["store", "check", folder.text()]).code, Some(0));
}
