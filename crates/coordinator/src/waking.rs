//! A request for a room that is in the store alone waits until the room is up.

use rejoin_protocol::message::ClientMessage;
use rejoin_protocol::{Refusal, RoomId};

use crate::directory::Directory;
use crate::dormant::{Waiting, Wake};
use crate::lobby::{Lobby, busy, unrestored};
use crate::request::Request;

impl<D: Directory> Lobby<'_, D> {
    /// Gives the request back if the rooms that it may lead to are up.
    pub(crate) fn unless_dormant(&mut self, request: Request) -> Option<Request> {
        let (call, rooms) = match &request.message {
            ClientMessage::Create {
                call,
                request,
                kind,
                ..
            } => (*call, [Some(RoomId::of(kind, *request)), None]),
            ClientMessage::JoinOrCreate {
                call,
                request,
                kind,
                ..
            } => {
                let room = RoomId::of(kind, *request);
                (*call, [Some(room), self.directory.placed(room)])
            }
            ClientMessage::Join { call, room, .. } | ClientMessage::Return { call, room, .. } => {
                (*call, [Some(*room), None])
            }
            ClientMessage::JoinByCode { call, code } => {
                (*call, [self.directory.by_code(*code), None])
            }
            ClientMessage::Leave { .. }
            | ClientMessage::List { .. }
            | ClientMessage::Close { .. }
            | ClientMessage::Resync { .. } => return Some(request),
            // A request of a newer protocol crate.
            _ => return Some(request),
        };
        for room in rooms.into_iter().flatten() {
            match self.house.dormant.want(room) {
                Wake::Up => {}
                Wake::Soon => {
                    self.settle(&request);
                    self.house.dormant.wait(room, Waiting::Request(request));
                    return None;
                }
                Wake::Never => return self.refuse(&request, call, unrestored()),
                Wake::Busy => return self.refuse(&request, call, busy()),
            }
        }
        Some(request)
    }

    fn refuse(&mut self, request: &Request, call: u32, refusal: Refusal) -> Option<Request> {
        self.settle(request);
        self.house.reply(request.session, call, Err(refusal));
        None
    }

    /// The session's requests of this turn are being handled.
    fn settle(&mut self, request: &Request) {
        if let Some(asker) = self.house.sessions.get_mut(request.session) {
            asker.requests = 0;
        }
    }
}
