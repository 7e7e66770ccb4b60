//! Both drivers and their ticket file: the newest ticket is in it, and none once the client has left.

use std::time::Duration;

use rejoin_protocol::message::ServerMessage;
use rejoin_protocol::{CloseReason, crypto::StaticKeys};

use super::driving::block_on;
use super::folder::{Folder, sealed};
use super::loopback::Server;
use crate::{
    Client, ConnectError, ConnectOptions, Ended, Event, Permit, PollClient, TicketFile,
    TicketFileError,
};

fn give_ticket(server: &mut Server, seed: u8) {
    let ticket = sealed(seed).as_bytes().to_vec();
    server.tell(&ServerMessage::Ticket { ticket, life_s: 60 });
}

fn file(folder: &Folder) -> TicketFile {
    let server = StaticKeys::development().public();
    TicketFile::new(folder.file("ana.ticket"), server)
}

fn options(folder: &Folder) -> ConnectOptions {
    ConnectOptions::new().ticket_file(folder.file("ana.ticket"))
}

/// True once the file holds what the server sealed last.
fn holds(file: &TicketFile, seed: u8) -> bool {
    let read = file.read().unwrap();
    read.is_some_and(|ticket| ticket.sealed == sealed(seed))
}

async fn connect(server: &mut Server, options: ConnectOptions) -> Result<Client, ConnectError> {
    let address = server.address();
    let connecting = Client::connect_with(&address, Permit::dev("ana"), options);
    server.during(connecting).await
}

#[test]
fn the_async_client_keeps_every_new_ticket_until_it_leaves() {
    block_on(async {
        let folder = Folder::new("async");
        let (file, mut server) = (file(&folder), Server::open());
        let client = connect(&mut server, options(&folder)).await.unwrap();
        for seed in [1, 2] {
            give_ticket(&mut server, seed);
            server.until(|_| holds(&file, seed).then_some(())).await;
        }
        assert!(client.ticket_file_problem().is_none() && !client.ticket_refused());
        server.during(client.disconnect()).await;
        assert_eq!(folder.names(), [""; 0], "removed before it returns");
    });
}

#[test]
fn the_poll_client_keeps_every_new_ticket_until_it_leaves() {
    block_on(async {
        let folder = Folder::new("poll");
        let (file, mut server) = (file(&folder), Server::open());
        let permit = Permit::dev("ana");
        let mut client =
            PollClient::connect_with(&server.address(), permit, options(&folder)).unwrap();
        let frame = |client: &mut PollClient| {
            client.poll();
            std::iter::from_fn(|| client.next_event()).any(|event| event == Event::Ticket)
        };
        let is_connected = |client: &PollClient| client.core().session().is_some();
        server
            .until(|_| {
                frame(&mut client);
                is_connected(&client).then_some(())
            })
            .await;
        for seed in [1, 2] {
            give_ticket(&mut server, seed);
            server.until(|_| frame(&mut client).then_some(())).await;
            server.until(|_| holds(&file, seed).then_some(())).await;
        }
        drop(client);
        assert_eq!(folder.names(), [""; 0], "removed once it is dropped");
    });
}

#[test]
fn a_ticket_stays_when_the_server_ends_the_session_or_the_process_ends() {
    block_on(async {
        let folder = Folder::new("stays");
        let (file, mut server) = (file(&folder), Server::open());
        let client = connect(&mut server, options(&folder)).await.unwrap();
        give_ticket(&mut server, 3);
        server.until(|_| holds(&file, 3).then_some(())).await;
        // Another client of the session: what is in the file may be its own by now.
        server.connection().close(CloseReason::Replaced);
        let ended = server.during(client.ended()).await;
        assert_eq!(ended, Ended::Closed(CloseReason::Replaced));
        drop(client);
        assert!(holds(&file, 3));
    });
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_before_anything_is_sent() {
    block_on(async {
        let folder = Folder::new("unusable");
        let mut server = Server::open();
        std::fs::write(folder.file("ana.ticket"), "something else\n").unwrap();
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.file("ana.ticket"), closed).unwrap();
        let refused = connect(&mut server, options(&folder)).await.err();
        let is_damaged = matches!(
            refused,
            Some(ConnectError::TicketFile(TicketFileError::Damaged(_)))
        );
        assert!(is_damaged, "{refused:?}");
        let permit = Permit::dev("ana");
        let refused = PollClient::connect_with(&server.address(), permit, options(&folder));
        assert!(matches!(refused, Err(ConnectError::TicketFile(_))));
    });
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_ends_nothing() {
    block_on(async {
        let folder = Folder::new("unwritable");
        let mut server = Server::open();
        let options = ConnectOptions::new().ticket_file(folder.file("none/ana.ticket"));
        let client = connect(&mut server, options).await.unwrap();
        give_ticket(&mut server, 1);
        let told = server
            .until(|_| {
                client
                    .ticket_file_problem()
                    .map(|problem| problem.to_string())
            })
            .await;
        assert!(told.contains("none/ana.ticket"), "{told}");
        let gone = tokio::time::timeout(Duration::from_millis(20), client.ended());
        assert!(server.during(gone).await.is_err(), "the session goes on");
    });
}
