//! Which bots wait for the answer to a hello with which they come back, by their sockets.
//!
//! When a server is back thousands wait at once, and each answer has to find its bot: so they are looked
//! through by a list of their own, and not by the bots.

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Returning {
    list: Vec<Waiting>,
    /// True if one in the list may not wait any more.
    is_stale: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    socket: usize,
    index: usize,
}

impl Returning {
    /// A bot is on its way back.
    pub(crate) fn add(&mut self, socket: usize, index: usize) {
        self.list.push(Waiting { socket, index });
    }

    /// It goes on from another socket.
    pub(crate) fn on_moved(&mut self, index: usize, socket: usize) {
        let own = self
            .list
            .iter_mut()
            .filter(|waiting| waiting.index == index);
        own.for_each(|waiting| waiting.socket = socket);
    }

    /// Those who wait at a socket.
    pub(crate) fn at(&self, socket: usize) -> impl Iterator<Item = &usize> {
        let here = self.list.iter().filter(move |it| it.socket == socket);
        here.map(|waiting| &waiting.index)
    }

    /// One of them may have its answer.
    pub(crate) fn on_answered(&mut self) {
        self.is_stale = true;
    }

    /// Takes out those who do not wait any more.
    pub(crate) fn tidy(&mut self, waits: impl Fn(usize) -> bool) {
        if std::mem::take(&mut self.is_stale) {
            self.list.retain(|waiting| waits(waiting.index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_at_its_own_socket_until_it_is_back() {
        let mut returning = Returning::default();
        for index in 0..6 {
            returning.add(index % 2, index);
        }
        let at = |returning: &Returning, socket| returning.at(socket).copied().collect::<Vec<_>>();
        assert_eq!(at(&returning, 1), [1, 3, 5]);
        returning.on_moved(3, 0);
        assert_eq!(
            (at(&returning, 0), at(&returning, 1)),
            (vec![0, 2, 3, 4], vec![1, 5])
        );
        returning.tidy(|_| false);
        assert_eq!(at(&returning, 1), [1, 5], "nobody had an answer");
        returning.on_answered();
        returning.tidy(|index| index != 2);
        assert_eq!(at(&returning, 0), [0, 3, 4]);
    }
}
