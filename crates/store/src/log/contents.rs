//! What a folder holds, room by room, and what there is to tell of it. Nothing is changed here.

use std::collections::BTreeMap;

use rejoin_protocol::RoomId;

use super::index::Extent;
use super::merge::{History, merge};
use super::report::{OpenError, Recovery};
use super::survey::{FIRST_LEN_MAX, Survey, survey};
use crate::disk::Disk;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) survey: Survey,
    pub(crate) rooms: BTreeMap<RoomId, History>,
    pub(crate) recovery: Recovery,
}

impl Contents {
    /// Reads a folder: for an owner that begins `epoch`, or for who only looks.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(crate) fn read(
        disk: &dyn Disk,
        epoch: Option<u64>,
        extent: Extent,
    ) -> Result<Self, OpenError> {
        let mut survey = survey(disk, epoch)?;
        let bytes = survey.segments.iter().map(|segment| segment.believed);
        let mut recovery = Recovery {
            epoch: epoch.unwrap_or(survey.epoch),
            segments: survey.segments.len(),
            bytes: bytes.sum(),
            cuts: survey.cuts.clone(),
            late: survey.late.clone(),
            damages: survey.damages.clone(),
            manifest_repaired: survey.manifest_repaired,
            ..Recovery::default()
        };
        let rooms = merge(&mut survey, extent);
        for (id, history) in &rooms {
            tell(&mut recovery, *id, history);
        }
        let begun = FIRST_LEN_MAX + recovery.losses.len() * LOSS_LEN_MAX;
        if let Some((segment, bytes)) = survey.later.iter().find(|(_, bytes)| *bytes > begun) {
            return Err(OpenError::ManifestStale {
                epoch: survey.epoch,
                segment: segment.clone(),
                bytes: *bytes,
            });
        }
        Ok(Self {
            survey,
            rooms,
            recovery,
        })
    }
}

/// Bytes of the entry that says what a room has lost, at most.
const LOSS_LEN_MAX: usize = 128;

/// Tells of a room that was found.
fn tell(recovery: &mut Recovery, id: RoomId, history: &History) {
    recovery.rooms += 1;
    recovery.losses.extend(history.loss.map(|loss| (id, loss)));
    let fallback = history.fallback.map(|sequence| (id, sequence));
    recovery.fallbacks.extend(fallback);
    let quarantined = history.room.standing.quarantined;
    recovery.quarantined.extend(quarantined.then_some(id));
}
