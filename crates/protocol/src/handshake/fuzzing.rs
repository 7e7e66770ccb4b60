//! The handshake's parsers over any bytes (see [`crate::fuzzing`]).

use std::sync::LazyLock;

use super::grant::Grant;
use super::hello::{self, Hello, MAC1_LEN, Mac1Key, Purpose};
use super::permit::Permit;
use super::reply::{self, Answer, Offer, VERSION_REFUSAL, Verdict, put_reply_head};
use super::server::{HelloError, OpenHello, ReceivedHello};
use super::ticket::{Bearer, SealedTicket, Ticket};
use crate::crypto::StaticKeys;
use crate::fuzzing::{Decoder, Sender, decoder, message};
use crate::limits::{CLAIMS_MAX, DATAGRAM_MAX, PERMIT_MAX, TICKET_MAX, VERSION_MAX, VERSION_MIN};
use crate::random::Rng;
use crate::refusal::{Refusal, RefusalCode};

/// What a client seals into its hello.
pub(crate) const OFFER: Decoder = decoder::<Offer>("offer", Sender::Client);
/// What a server seals into its reply.
pub(crate) const VERDICT: Decoder = decoder::<Verdict>("verdict", Sender::Server);

/// The server's keys: anybody may know the public one, so anybody can make MAC1 pass.
static SERVER: LazyLock<StaticKeys> = LazyLock::new(StaticKeys::development);

/// What the ticket of a fuzzed resume is taken to hold.
pub(crate) const PSK: [u8; 32] = [7; 32];

/// What everybody can derive from the public one.
static MAC1: LazyLock<Mac1Key> = LazyLock::new(|| Mac1Key::of(&SERVER.public()));

/// A hello as it came, and once more with a MAC1 that lets it through to the later gates.
pub(crate) fn hello(bytes: &[u8]) {
    if let Ok(hello) = Hello::decode(bytes) {
        assert_eq!(bytes.len(), DATAGRAM_MAX, "a hello has one length");
        check_form(&hello);
        let wrong_key = matches!(open(bytes), Err(HelloError::WrongKey));
        assert_eq!(hello.is_for(&MAC1), !wrong_key, "MAC1 is the first gate");
    }
    let mut datagram = bytes.to_vec();
    datagram.resize(DATAGRAM_MAX, 0);
    hello::remake_mac1(&mut datagram, &SERVER.public());
    check_answers(&datagram);
}

fn check_form(hello: &Hello<'_>) {
    let body = hello.body;
    let mut written = hello::encode(&SERVER.public(), &hello.head, body);
    hello::put_cookie(&mut written, &hello.cookie);
    let again = Hello::decode(&written).expect("what was written can be read");
    assert!(again.is_for(&MAC1), "MAC1 leaves the cookie out");
    assert!(again.is_padded(), "zeros follow what was written");
    assert_eq!(again.head, hello.head, "reads back as another head");
    assert_eq!(again.cookie, hello.cookie, "reads back another cookie");
    let parts = (again.body.credential, again.body.noise);
    let ours = (body.credential, body.noise);
    assert_eq!(parts, ours, "reads back other parts");
}

fn check_answers(datagram: &[u8]) {
    let mut answer = Vec::new();
    match open(datagram) {
        Ok(open) => {
            assert!((VERSION_MIN..=VERSION_MAX).contains(&open.version));
            let text = "x".repeat(2 * DATAGRAM_MAX);
            open.refuse(&Refusal::new(RefusalCode::Other, text), &mut answer);
        }
        Err(HelloError::Version { answer: bytes, .. }) => answer = bytes,
        Err(_) => {}
    }
    assert!(answer.len() < datagram.len(), "no answer is an amplifier");
}

fn open(datagram: &[u8]) -> Result<OpenHello, HelloError> {
    let hello = ReceivedHello::read(datagram, &MAC1)?;
    let mut rng = Rng::from_number(1);
    match hello.purpose() {
        Purpose::Join => {
            let permit = hello.permit()?.encode();
            assert!(permit.is_ok(), "only a sound permit passes");
            hello.open(&SERVER, &mut rng)
        }
        Purpose::Resume => {
            hello.ticket()?;
            hello.open_resume(&PSK, &mut rng)
        }
    }
}

pub(crate) fn permit(bytes: &[u8]) {
    if let Ok(permit) = Permit::decode(bytes) {
        let written = permit.encode().expect("what was read can be written");
        assert!(written.len() <= PERMIT_MAX, "a permit is bounded");
        assert_eq!(written, bytes, "reads back as another permit");
        assert_eq!(permit.to_string().parse(), Ok(permit));
    }
}

pub(crate) fn grant(bytes: &[u8]) {
    if let Ok(grant) = Grant::decode(bytes) {
        assert!(grant.claims.len() <= CLAIMS_MAX, "claims are bounded");
        let mut written = Vec::new();
        let outcome = grant.encode(&mut written);
        assert_eq!(outcome, Ok(()), "what was read can be written");
        assert_eq!(written, bytes, "reads back as another grant");
    }
}

pub(crate) fn ticket(bytes: &[u8]) {
    if let Ok(ticket) = SealedTicket::from_bytes(bytes) {
        assert!(bytes.len() <= TICKET_MAX, "a ticket is bounded");
        assert_eq!(ticket.as_bytes(), bytes, "reads back as another ticket");
        let text = Ticket {
            sealed: ticket,
            psk: [7; 32],
        }
        .to_text();
        assert!(text.parse::<Ticket>().is_ok(), "reads back from its text");
    }
}

pub(crate) fn bearer(bytes: &[u8]) {
    if let Ok(bearer) = Bearer::decode(bytes) {
        assert!(bearer.claims.len() <= CLAIMS_MAX, "claims are bounded");
        let mut written = Vec::new();
        let outcome = bearer.encode(&mut written);
        assert_eq!(outcome, Ok(()), "what was read can be written");
        assert_eq!(written, bytes, "reads back as another bearer");
    }
}

pub(crate) fn offer(bytes: &[u8]) {
    if let Some(offer) = message::<Offer>(bytes)
        && let Some(suite) = offer.best_suite()
    {
        assert!(
            offer.suites.contains(&suite.number()),
            "only what was offered"
        );
    }
}

/// An answer to the hello whose MAC1 it repeats.
pub(crate) fn reply(bytes: &[u8]) {
    let mut mac1 = [0; MAC1_LEN];
    for (place, byte) in mac1.iter_mut().zip(bytes.iter().skip(1)) {
        *place = *byte;
    }
    let mut written = Vec::new();
    match Answer::decode(bytes, &mac1) {
        None => return,
        Some(Answer::Reply(noise)) => {
            put_reply_head(&mut written, &mac1);
            written.extend_from_slice(noise);
        }
        Some(Answer::TicketRefused) => written = reply::ticket_refusal(&mac1),
        Some(Answer::Cookie(cookie)) => {
            written = reply::cookie_demand(&mac1, &cookie);
        }
        Some(Answer::Version {
            server_min,
            server_max,
        }) => {
            written.push(VERSION_REFUSAL);
            written.extend_from_slice(&mac1);
            written.extend([server_min, server_max]);
        }
    }
    assert_eq!(written, bytes, "reads back as another answer");
    assert!(bytes.len() < DATAGRAM_MAX, "shorter than any hello");
    for index in 0..MAC1_LEN / 2 {
        let mut other = mac1;
        if let Some(byte) = other.get_mut(index) {
            *byte ^= 1;
        }
        assert_eq!(Answer::decode(bytes, &other), None, "for one hello only");
    }
}

pub(crate) fn verdict(bytes: &[u8]) {
    message::<Verdict>(bytes);
}
