//! Data folders in which a real server has kept rooms.

use std::fs;
use std::path::{Path, PathBuf};

use crate::signal::signal;
use crate::support::{Ended, Process};

/// A data folder, removed when its test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("rejoin-kept-rooms-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Its path as it is typed.
    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("a plain name")
    }

    /// A server at `bind` that listens, and its address.
    pub(crate) fn serve(&self, bind: &str, more: &[&str]) -> (Process, String) {
        let mut server = self.start(bind, more);
        let line = server.line();
        let address = line.strip_prefix("listening on ").expect("its address");
        (server, address.to_owned())
    }

    /// A server that may not come to listen.
    pub(crate) fn start(&self, bind: &str, more: &[&str]) -> Process {
        let serve = ["serve", "--bind", bind, "--print-address", "--data"];
        let arguments = [&serve[..], &[self.text()], more].concat();
        Process::of(program(), &[], &arguments)
    }

    /// Has rooms of both kinds kept, and the server ended by a signal.
    pub(crate) fn fill(&self, end: &str) {
        let (server, address) = self.serve("127.0.0.1:0", &[]);
        play(&address);
        signal(server.id(), end);
        server.end();
    }

    /// Names and contents of all files of the rooms.
    pub(crate) fn rooms(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.file("rooms")).expect("there are rooms");
        let mut files: Vec<(String, Vec<u8>)> = entries
            .map(|entry| {
                let entry = entry.expect("a file");
                let name = entry.file_name().into_string().expect("a plain name");
                (name, fs::read(entry.path()).expect("it can be read"))
            })
            .collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Bots play in an arena and in a chat.
pub(crate) fn play(address: &str) {
    for kind in ["arena", "chat"] {
        let bots = [
            "bots", address, "-n", "3", "--rooms", "1", "--for", "1500ms",
        ];
        let more = ["--kind", kind, "--lateness-max", "1m"];
        let ended = Process::of(program(), &[], &[&bots[..], &more].concat()).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

/// The command under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rejoin"))
}

/// Runs the command to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Process::of(program(), &[], arguments).end()
}

/// The one line with which a command ends that does nothing.
pub(crate) fn refusal(ended: &Ended, code: i32) -> String {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let line = ended.stderr.trim_end();
    assert_eq!(line.lines().count(), 1, "{ended:?}");
    line.strip_prefix("rejoin: ").expect("its name").to_owned()
}
