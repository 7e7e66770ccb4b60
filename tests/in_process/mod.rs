//! A real server in a thread of the test: real sockets, no second process.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use rejoin::bots::Options;
use rejoin::protocol::crypto::PublicKey;
use rejoin::room::Kinds;
use rejoin::server::{Identity, Server, ServerConfig};
use tokio::sync::oneshot;

/// A server that ends when it is dropped.
pub(crate) struct InProcess {
    address: SocketAddr,
    key: PublicKey,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl InProcess {
    /// Serves rooms of `kinds` on a free loopback port.
    pub(crate) fn serve(kinds: Kinds) -> Self {
        let identity = Identity::development().expect("the system has entropy");
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(ServerConfig::dev(bind, identity)).expect("a free port is free");
        let (address, key) = (server.address(), server.public_key());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("the system has what a runtime needs");
            let shutdown = async { drop(stopped.await) };
            runtime
                .block_on(server.run(kinds, shutdown))
                .expect("the server serves");
        });
        Self {
            address,
            key,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Bots that would play on it.
    pub(crate) fn options(&self) -> Options {
        Options::new(self.address, self.key)
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the server panicked");
        }
    }
}
