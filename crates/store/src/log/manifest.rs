//! Who owns the store, and what of earlier owners' segments is believed.
//!
//! `manifest` is replaced whole when an epoch begins. An owner that finds a newer epoch here has been
//! fenced. Of each segment that was there, the length is kept that was read then: what an earlier
//! owner adds later is not believed.
//!
//! ```text
//! manifest  block, and the same block again: either serves
//! block     "RJMANIFS" | format 2 | shards 2 | segments 4 | epoch 8 | salt 8 | segment* | CRC-32 4
//! segment   epoch 8 | shard 2 | number 4 | seed 4 | length 8
//! ```

use rejoin_protocol::wire::{Malformed, Reader};

use super::format::{FORMAT, SegmentId};
use crate::disk::{Disk, DiskError, DiskFault};

/// The name of the file.
pub(crate) const MANIFEST: &str = "manifest";
/// The name of the one that is to replace it.
pub(crate) const MANIFEST_DRAFT: &str = "manifest.new";
/// More than any manifest is long, in bytes: a million segments.
const LEN_MAX: usize = 64 * 1024 * 1024;
const MAGIC: &[u8; 8] = b"RJMANIFS";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) epoch: u64,
    /// How many logs this epoch has.
    pub(crate) shards: u16,
    /// What the seeds of this epoch's segments come of.
    pub(crate) salt: u64,
    /// Segments of earlier epochs, oldest first.
    pub(crate) segments: Vec<Accepted>,
}

/// A segment of an earlier epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: SegmentId,
    pub(crate) seed: u32,
    /// Bytes that are believed.
    pub(crate) len: u64,
}

/// What was found in place of a manifest, or with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// One of the two blocks may be damaged.
    Manifest { manifest: Manifest, repaired: bool },
    /// There is none.
    Nothing,
    /// Neither block can be read.
    Damaged,
    /// It is of a format that is not known here.
    Newer(u16),
}

impl Manifest {
    /// Reads the manifest of a folder.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Found, DiskError> {
        let file = match disk.open(MANIFEST) {
            Err(error) if error.fault == DiskFault::Missing => return Ok(Found::Nothing),
            opened => opened?,
        };
        Ok(Self::decode(&file.read(0, LEN_MAX)?))
    }

    /// Puts it on the medium in place of the one that is there.
    pub(crate) fn replace(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let block = self.encode();
        match disk.remove(MANIFEST_DRAFT) {
            Err(error) if error.fault != DiskFault::Missing => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = disk.create(MANIFEST_DRAFT, 0)?;
        file.write(0, &[block.as_slice(), &block].concat())?;
        file.sync()?;
        disk.rename(MANIFEST_DRAFT, MANIFEST)?;
        disk.sync_folder()
    }

    fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.segments.len()).expect("segments are counted in 32 bits");
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&self.shards.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.salt.to_be_bytes());
        for accepted in &self.segments {
            out.extend_from_slice(&accepted.id.epoch.to_be_bytes());
            out.extend_from_slice(&accepted.id.shard.to_be_bytes());
            out.extend_from_slice(&accepted.id.number.to_be_bytes());
            out.extend_from_slice(&accepted.seed.to_be_bytes());
            out.extend_from_slice(&accepted.len.to_be_bytes());
        }
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Found {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let blocks = [Self::decode_block(first), Self::decode_block(second)];
        let repaired = !matches!(blocks, [Ok(_), Ok(_)]) || first != second;
        let newer = blocks.iter().all(|block| matches!(block, Err(Some(_))));
        let mut formats = blocks.iter().filter_map(|block| block.as_ref().err());
        let format = formats.next().copied().flatten();
        match blocks.into_iter().find_map(Result::ok) {
            Some(manifest) => Found::Manifest { manifest, repaired },
            // The blocks of a later format may be other halves; its first bytes are as ours.
            None => match format {
                Some(format) if newer || second.is_empty() => Found::Newer(format),
                Some(_) | None => Found::Damaged,
            },
        }
    }

    /// Tells a later format from damage.
    fn decode_block(bytes: &[u8]) -> Result<Self, Option<u16>> {
        let Some((front, sum)) = bytes.split_last_chunk::<4>() else {
            return Err(None);
        };
        let sound = crc32fast::hash(front) == u32::from_be_bytes(*sum);
        match Self::read_block(front) {
            Ok((FORMAT, manifest)) if sound => Ok(manifest),
            _ => Err(Self::format(front).filter(|format| *format > FORMAT)),
        }
    }

    fn format(bytes: &[u8]) -> Option<u16> {
        let rest = bytes.strip_prefix(MAGIC)?;
        Some(u16::from_be_bytes(*rest.first_chunk()?))
    }

    fn read_block(bytes: &[u8]) -> Result<(u16, Self), Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != *MAGIC {
            return Err(Malformed);
        }
        let format = u16::from_be_bytes(reader.array()?);
        let shards = u16::from_be_bytes(reader.array()?);
        let count = u32::from_be_bytes(reader.array()?);
        let epoch = u64::from_be_bytes(reader.array()?);
        let salt = u64::from_be_bytes(reader.array()?);
        let mut segments = Vec::new();
        for _ in 0..count {
            let epoch = u64::from_be_bytes(reader.array()?);
            let shard = u16::from_be_bytes(reader.array()?);
            let number = u32::from_be_bytes(reader.array()?);
            segments.push(Accepted {
                id: SegmentId {
                    epoch,
                    shard,
                    number,
                },
                seed: u32::from_be_bytes(reader.array()?),
                len: u64::from_be_bytes(reader.array()?),
            });
        }
        if !reader.is_empty() {
            return Err(Malformed);
        }
        let manifest = Self {
            epoch,
            shards,
            salt,
            segments,
        };
        Ok((format, manifest))
    }
}

/// The newest epoch of a folder; 0 if it has had none. Of one that cannot be read nothing is known.
pub(crate) fn newest_epoch(disk: &dyn Disk) -> Result<u64, DiskError> {
    match Manifest::read(disk)? {
        Found::Manifest { manifest, .. } => Ok(manifest.epoch),
        Found::Nothing => Ok(0),
        // A later version owns it, and its epoch is later too.
        Found::Newer(_) => Ok(u64::MAX),
        Found::Damaged => Err(DiskError {
            what: "read",
            name: MANIFEST.to_owned(),
            fault: DiskFault::Other,
            reason: "it is damaged".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;

    use super::*;
    use crate::disk::SimulatedDisk;

    fn manifest() -> Manifest {
        let accepted = |number| Accepted {
            id: SegmentId {
                epoch: 3,
                shard: 1,
                number,
            },
            seed: 9,
            len: 700,
        };
        Manifest {
            epoch: 5,
            shards: 2,
            salt: 77,
            segments: vec![accepted(0), accepted(1)],
        }
    }

    #[test]
    fn either_block_serves_and_with_neither_it_is_damaged() {
        let disk = SimulatedDisk::new(Rng::from_number(1));
        let process = disk.process();
        assert_eq!(Manifest::read(&*process), Ok(Found::Nothing));
        manifest().replace(&*process).unwrap();
        manifest().replace(&*process).unwrap();
        let bytes = disk.contents(MANIFEST).unwrap();
        for offset in 0..bytes.len() {
            for mask in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[offset] ^= mask;
                let repaired = Found::Manifest {
                    manifest: manifest(),
                    repaired: true,
                };
                assert_eq!(Manifest::decode(&changed), repaired, "byte {offset}");
                changed[(offset + bytes.len() / 2) % bytes.len()] ^= mask;
                let found = Manifest::decode(&changed);
                let format = [8, 9].contains(&(offset % (bytes.len() / 2)));
                assert!(
                    found == Found::Damaged || format,
                    "byte {offset}: {found:?}"
                );
            }
        }
        for len in 0..bytes.len() {
            let found = Manifest::decode(&bytes[..len]);
            assert!(!matches!(found, Found::Newer(_)), "{len}: {found:?}");
        }
    }

    #[test]
    fn a_later_format_is_told_whatever_follows() {
        let mut bytes = manifest().encode();
        bytes[9] = 2;
        bytes.extend_from_slice(b"more");
        let twice = [bytes.clone(), bytes].concat();
        assert_eq!(Manifest::decode(&twice), Found::Newer(2));
    }
}
