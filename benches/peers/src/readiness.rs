//! Which of many sockets has something to read, for players with a socket each.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Sockets told of by one look.
const EVENTS_MAX: usize = 256;

pub(crate) struct Readiness {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self {
            epoll: epoll::create(CreateFlags::CLOEXEC).expect("the system has epoll"),
            events: Vec::with_capacity(EVENTS_MAX),
        }
    }

    /// From now on `socket` is told of as `index`, as long as it is open and has something.
    pub(crate) fn watch(&self, socket: &impl AsFd, index: usize) {
        let data = EventData::new_u64(index as u64);
        epoll::add(&self.epoll, socket, data, EventFlags::IN).expect("an open socket");
    }

    /// Those that have something now.
    pub(crate) fn ready(&mut self) -> Vec<usize> {
        self.events.clear();
        let (events, now) = (
            rustix::buffer::spare_capacity(&mut self.events),
            Timespec::default(),
        );
        epoll::wait(&self.epoll, events, Some(&now)).expect("it was made here");
        let index = |event: &Event| usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        self.events.iter().map(index).collect()
    }
}
