//! Step 4 of a turn for one room: its view is encoded once, and each member is sent what it
//! lacks: the whole view, a delta against one it has, or only the news of its cursor.

use bytes::Bytes;
use rejoin_protocol::Timestamp;
use rejoin_protocol::room_message::{Base, SnapshotHead};
use rejoin_room::RoomFault;

use super::delivery::Wanted;
use super::member::Member;
use super::ring::Ring;
use super::room::HostedRoom;
use crate::keys::RoomKey;
use crate::limits::PRIVATE_RING;
use crate::news::Lines;
use crate::stats::ShardStats;

/// Brings the room's views up to date.
///
/// # Errors
/// Room logic failed, or a view is too long: the room cannot go on.
pub(crate) fn encode(
    room: &mut HostedRoom,
    scratch: &mut Vec<u8>,
    now: Timestamp,
) -> Result<(), RoomFault> {
    let sequence = room.view_name();
    let Some(durable) = &room.durable else {
        return Ok(());
    };
    let tick = durable.instance.tick();
    scratch.clear();
    durable.instance.view(scratch)?;
    room.ring.show(sequence, tick, scratch);
    for (player, member, seat) in room.members.iter_mut_with(&durable.seats) {
        scratch.clear();
        let private = durable.instance.private_view(player, scratch)?;
        if private {
            let ring = member
                .private
                .get_or_insert_with(|| Box::new(Ring::new(PRIVATE_RING)));
            ring.show(sequence, tick, scratch);
        } else {
            member.private = None;
        }
        if private != member.delivery.is_private() {
            member.restart_view();
            member.delivery.show_private(private);
        }
        member.shown_cursor = Some(seat.cursor);
    }
    room.on_shown(now);
    Ok(())
}

/// Sends every member who is there what it lacks. False if for some there is no room now.
pub(crate) fn send(
    room: &mut HostedRoom,
    here: (u8, RoomKey),
    lines: &mut Lines<'_>,
    scratch: &mut Vec<u8>,
    stats: &mut ShardStats,
) -> bool {
    let (mut all, mut oldest) = (true, u64::MAX);
    let Some(durable) = &room.durable else {
        return all;
    };
    for (_, member, seat) in room.members.iter_mut_with(&durable.seats) {
        let line = member.line.filter(|_| seat.is_here());
        if line.is_some_and(|line| !lines.takes_snapshots(line)) {
            all = false;
        } else if let Some(line) = line
            && let Some((head, body, wanted)) = next_snapshot(member, &mut room.ring)
        {
            match head.base {
                Some(_) => stats.snapshots_delta += 1,
                None => stats.snapshots_full += 1,
            }
            let abroad = member.room_abroad(here, room.id);
            let snapshot = (head, body);
            let lane = lines.show((line, abroad), snapshot, member.generation, scratch);
            member.delivery.on_sent(wanted, lane);
        }
        // Who is away may come back with any of them.
        let from = member.delivery.oldest().filter(|_| line.is_some());
        match &mut member.private {
            Some(ring) => ring.keep_from(from.unwrap_or(0)),
            None => oldest = oldest.min(from.unwrap_or(0)),
        }
    }
    room.ring.keep_from(oldest);
    all
}

/// What the member lacks, if anything: the whole view, or the delta that the head's base needs.
fn next_snapshot(member: &mut Member, shared: &mut Ring) -> Option<(SnapshotHead, Bytes, Wanted)> {
    let cursor = member.shown_cursor?;
    let ring = member.private.as_deref_mut().unwrap_or(shared);
    let newest = ring.newest()?;
    let wanted = Wanted {
        sequence: newest.sequence,
        content: newest.content,
        cursor,
    };
    if !member.delivery.is_due(wanted) {
        return None;
    }
    let (whole, check) = (newest.bytes.clone(), newest.check);
    let mut head = SnapshotHead {
        sequence: newest.sequence,
        base: None,
        tick: newest.tick,
        cursor,
        private: member.delivery.is_private(),
    };
    let base = member.delivery.base().filter(|base| *base < head.sequence);
    let body = match base.and_then(|base| ring.delta_from(base)) {
        Some(delta) => {
            head.base = base.map(|sequence| Base { sequence, check });
            delta
        }
        None => whole,
    };
    Some((head, body, wanted))
}
