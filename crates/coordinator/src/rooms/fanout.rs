//! Step 4 of a turn for one room: its view is encoded once, and each member is sent what it
//! lacks: the whole view, a delta against one it has, or only the news of its cursor.

use bytes::Bytes;
use rejoin_protocol::limits::{LATEST_MAX, VIEW_MAX};
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::{PlayerId, Timestamp};
use rejoin_room::RoomFault;

use super::delivery::{Lane, Wanted};
use super::ring::Ring;
use super::room::{HostedRoom, Member};
use crate::connections::Connections;
use crate::limits::PRIVATE_RING;
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
    let Some(durable) = &room.durable else {
        return Ok(());
    };
    let (sequence, tick) = (room.sequence, durable.instance.tick());
    scratch.clear();
    durable.instance.view(scratch)?;
    check_len(room.kind.name, scratch)?;
    room.ring.show(sequence, tick, scratch);
    for (player, member) in &mut room.members {
        scratch.clear();
        let private = durable.instance.private_view(*player, scratch)?;
        if private {
            check_len(room.kind.name, scratch)?;
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
        member.shown_cursor = durable.seats.get(player).map_or(0, |seat| seat.cursor);
    }
    room.on_shown(now);
    Ok(())
}

fn check_len(kind: &'static str, view: &[u8]) -> Result<(), RoomFault> {
    if view.len() <= VIEW_MAX {
        return Ok(());
    }
    let message = format!("{} bytes, at most {VIEW_MAX} can be sent", view.len());
    Err(RoomFault::Encode {
        kind,
        what: "view",
        message,
    })
}

/// Sends every member who is there what it lacks.
pub(crate) fn send(room: &mut HostedRoom, connections: &mut Connections, stats: &mut ShardStats) {
    let here: Vec<PlayerId> = room
        .members
        .keys()
        .copied()
        .filter(|player| room.is_here(*player))
        .collect();
    for player in here {
        if let Some(member) = room.members.get_mut(&player) {
            send_to(member, &mut room.ring, connections, stats);
        }
    }
}

fn send_to(
    member: &mut Member,
    shared: &mut Ring,
    connections: &mut Connections,
    stats: &mut ShardStats,
) {
    let Some(slot) = member.slot else { return };
    let ring = member.private.as_deref_mut().unwrap_or(shared);
    let Some(newest) = ring.newest() else { return };
    let (sequence, content, cursor) = (newest.sequence, newest.content, member.shown_cursor);
    let wanted = Wanted {
        sequence,
        content,
        cursor,
    };
    if !member.delivery.is_due(wanted) {
        return;
    }
    let (tick, check, whole) = (newest.tick, newest.check, newest.bytes.clone());
    let base = member.delivery.base().filter(|base| *base < sequence);
    let delta = base.and_then(|base| ring.delta_from(base));
    let base = base.filter(|_| delta.is_some());
    let head = SnapshotHead {
        sequence,
        base,
        tick,
        cursor,
        check,
        private: member.delivery.is_private(),
    };
    match base {
        Some(_) => stats.snapshots_delta += 1,
        None => stats.snapshots_full += 1,
    }
    let body = delta.unwrap_or(whole);
    let mut bytes = Vec::with_capacity(HEAD_LEN);
    head.encode(&mut bytes);
    let tag = Some(member.tag(sequence));
    if bytes.len() + body.len() <= LATEST_MAX {
        connections.send_latest(slot, member.seat, (&bytes, body), tag);
        member.delivery.on_sent(wanted, Lane::Latest);
    } else {
        bytes.extend_from_slice(&body);
        let message = RoomMessage::Snapshot {
            seat: member.seat,
            payload: Bytes::from(bytes),
        };
        connections.send_ordered(slot, message.encode(), tag);
        member.delivery.on_sent(wanted, Lane::Ordered);
    }
}

/// Room for a usual head: four varints and the check.
const HEAD_LEN: usize = 24;
