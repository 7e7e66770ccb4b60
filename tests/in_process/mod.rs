//! A real server in a thread of the test: real sockets, no second process.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use rejoin::bots::Options;
use rejoin::client::ServerAddress;
use rejoin::protocol::crypto::PublicKey;
use rejoin::room::Kinds;
use rejoin::server::{Identity, Server, ServerConfig, ServerReport};
use tokio::sync::oneshot;

/// A server that ends when it is dropped.
pub(crate) struct InProcess {
    address: SocketAddr,
    key: PublicKey,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<ServerReport>>,
}

impl InProcess {
    /// Serves rooms of `kinds` on a free loopback port.
    pub(crate) fn serve(kinds: Kinds) -> Self {
        Self::serve_with(kinds, |_| {})
    }

    /// The same, with settings changed.
    pub(crate) fn serve_with(kinds: Kinds, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let identity = Identity::development().expect("the system has entropy");
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = ServerConfig::dev(bind, identity);
        change(&mut config);
        let server = Server::bind(config).expect("a free port is free");
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
                .expect("the server serves")
        });
        Self {
            address,
            key,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> ServerAddress {
        ServerAddress {
            key: self.key,
            host: self.address.ip().to_string(),
            port: self.address.port(),
        }
    }

    /// Ends it, and tells what it did.
    pub(crate) fn stop(mut self) -> ServerReport {
        drop(self.stop.take());
        let thread = self.thread.take().expect("it runs until now");
        thread.join().expect("the server does not panic")
    }

    /// Bots that would play on it.
    pub(crate) fn options(&self) -> Options {
        Options::new(self.address, self.key)
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                assert!(ended.is_ok(), "the server panicked");
            }
        }
    }
}
