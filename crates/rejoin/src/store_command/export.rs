//! `store export`: a room in one file that stands for itself, and what reads it back.
//!
//! The file is one MessagePack map with names, drawn in `docs/durability.md`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rejoin_protocol::RoomId;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_store::{Loss, Standing, Stored};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::room::StoredRoom;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::store_args::ExportArgs;

/// The format of the file. A reader takes its own alone until there is another.
const FORMAT: u32 = 1;

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Exported {
    /// First, so that the file is known by its first bytes.
    rejoin_room: u32,
    /// Version of the program that wrote it.
    writer: String,
    room: ByteBuf,
    kind: Option<String>,
    kind_version: Option<u32>,
    load_attempts: u8,
    quarantined: bool,
    /// First and newest record that is lost.
    lost: Option<(u64, u64)>,
    /// What followed this record may be lost.
    lost_after: Option<u64>,
    checkpoint_sequence: u64,
    checkpoint: ByteBuf,
    /// Sequence and body of each record after it.
    records: Vec<(u64, ByteBuf)>,
}

/// Runs the command.
///
/// # Errors
/// There is no such room, or the file is there already, or cannot be written.
pub(super) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let room = super::one(&args.dir, args.room)?;
    let (bytes, what) = if args.state {
        (state(&room)?, "state")
    } else {
        (encode(&room)?, "room")
    };
    let default = || PathBuf::from(format!("{}.{what}", args.room));
    let path = args.out.clone().unwrap_or_else(default);
    let written = write(&path, &bytes, args.force);
    written.map_err(|error| {
        let path = path.display();
        let text = if error.kind() == io::ErrorKind::AlreadyExists {
            format!("{path} is there already: --force writes over it")
        } else {
            format!("cannot write {path}: {error}")
        };
        Failure::new(Exit::Usage, text)
    })?;
    output::line(format_args!("{}: {} bytes", path.display(), bytes.len()));
    Ok(())
}

fn state(room: &StoredRoom) -> Result<Vec<u8>, Failure> {
    match &room.checkpoint {
        Some(Ok(checkpoint)) => Ok(checkpoint.room.state.clone()),
        Some(Err(problem)) => Err(Failure::new(
            Exit::Usage,
            format!("its checkpoint: {problem}"),
        )),
        None => Err(Failure::new(
            Exit::Usage,
            "the room has no checkpoint yet, so there is no state",
        )),
    }
}

fn encode(room: &StoredRoom) -> Result<Vec<u8>, Failure> {
    let Stored {
        checkpoint_sequence,
        checkpoint,
        records,
        loss,
    } = &room.stored;
    let kind = room.kind();
    let (lost, lost_after) = match loss {
        Some(Loss::Records { from, to }) => (Some((*from, *to)), None),
        Some(Loss::Possible { after }) => (None, Some(*after)),
        None => (None, None),
    };
    let exported = Exported {
        rejoin_room: FORMAT,
        writer: env!("CARGO_PKG_VERSION").to_owned(),
        room: ByteBuf::from(room.id.0),
        kind_version: kind.as_ref().map(|(_, version)| *version),
        kind: kind.map(|(name, _)| name),
        load_attempts: room.standing.attempts,
        quarantined: room.standing.quarantined,
        lost,
        lost_after,
        checkpoint_sequence: *checkpoint_sequence,
        checkpoint: ByteBuf::from(checkpoint.to_vec()),
        records: records
            .iter()
            .map(|(sequence, body)| (*sequence, ByteBuf::from(body.to_vec())))
            .collect(),
    };
    messagepack::encode(&exported).map_err(|error| Failure::new(Exit::Internal, error))
}

/// Reads a file that was exported.
///
/// # Errors
/// It cannot be read, or holds something else.
pub(super) fn read(path: &Path) -> Result<StoredRoom, Failure> {
    let wrong = |problem: String| {
        let path = path.display();
        Failure::new(
            Exit::Usage,
            format!("{path} is no exported room: {problem}"),
        )
    };
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    file.map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read {}: {error}", path.display()),
        )
    })?;
    decode(&bytes).map_err(wrong)
}

fn decode(bytes: &[u8]) -> Result<StoredRoom, String> {
    let bounds = Bounds {
        depth: 4,
        // Each value takes a byte.
        items: bytes.len(),
        text: usize::MAX,
    };
    let read: Exported = messagepack::decode(bytes, bounds).map_err(|error| error.to_string())?;
    if read.rejoin_room != FORMAT {
        let found = read.rejoin_room;
        return Err(format!(
            "its format is {found}, this version reads {FORMAT}"
        ));
    }
    let id: [u8; 16] = read
        .room
        .into_vec()
        .try_into()
        .map_err(|_| "its room has no id")?;
    let records = read.records.into_iter();
    let loss = match (read.lost, read.lost_after) {
        (Some((from, to)), _) => Some(Loss::Records { from, to }),
        (None, after) => after.map(|after| Loss::Possible { after }),
    };
    let stored = Stored {
        checkpoint_sequence: read.checkpoint_sequence,
        checkpoint: read.checkpoint.into_vec().into(),
        records: records
            .map(|(sequence, body)| (sequence, body.into_vec().into()))
            .collect(),
        loss,
    };
    let standing = Standing {
        attempts: read.load_attempts,
        quarantined: read.quarantined,
    };
    Ok(StoredRoom::of(RoomId(id), stored, standing))
}

/// On the medium, under its name, whole or not at all, for its owner alone: it holds names and what players said.
fn write(path: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut draft = path.as_os_str().to_owned();
    if force {
        draft.push(format!(".{}", std::process::id()));
    }
    let mut file = options.open(&draft)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let named = written.and_then(|()| {
        if force {
            fs::rename(&draft, path)
        } else {
            Ok(())
        }
    });
    if named.is_err() {
        drop(fs::remove_file(&draft));
    }
    named
}

/// Longest file that is read, in bytes: more than a room's checkpoint and journal come to.
const FILE_MAX: u64 = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_room_reads_back_and_nothing_else_does() {
        for loss in [
            None,
            Some(Loss::Records { from: 4, to: 6 }),
            Some(Loss::Possible { after: 3 }),
        ] {
            let stored = Stored {
                checkpoint_sequence: 1,
                checkpoint: "no checkpoint of ours".into(),
                records: vec![(2, "two".into()), (3, "".into())],
                loss,
            };
            let standing = Standing {
                attempts: 3,
                quarantined: true,
            };
            let room = StoredRoom::of(RoomId([7; 16]), stored.clone(), standing);
            let bytes = encode(&room).expect("it can be written");
            assert_eq!(bytes.get(1..14), Some(&b"\xabrejoin_room\x01"[..]));
            let read = decode(&bytes).expect("it reads back");
            assert_eq!(
                (read.id, read.stored, read.standing),
                (room.id, stored, standing)
            );
            for len in 0..bytes.len() {
                assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
            }
            let mut later = bytes;
            later[13] = 2;
            let told = decode(&later).expect_err("of a later format");
            assert_eq!(told, "its format is 2, this version reads 1");
        }
    }
}
