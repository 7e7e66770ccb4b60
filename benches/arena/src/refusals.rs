//! What it costs to refuse: a hello without a cookie while many ask to join, beside an echo of as many bytes.

use std::time::Duration;

use rejoin::protocol::Rng;
use rejoin::protocol::crypto::{PublicKey, StaticKeys, Suite};
use rejoin::protocol::handshake::{ClientHandshake, HandshakeOptions, Permit};
use serde::Serialize;

use crate::figures::Spread;
use crate::net::Net;
use crate::options::Options;
use crate::own::{ECHO, REJOIN};
use crate::players::Clock;
use crate::server::Server;
use crate::subject::{Size, Subject};

/// Different hellos, all sent once before the count: of the first some become joins, until as many wait to be
/// confirmed as a server bears of addresses that it does not know. They wait for five seconds.
const HELLOS: usize = 512;
const PER_SECOND: u64 = 10_000;
const SETTLED: Duration = Duration::from_millis(50);

/// One server in one round.
#[derive(Serialize)]
struct Refusals {
    round: u16,
    server: &'static str,
    cpu_us_per_hello: f64,
    answered: u64,
    bytes_per_answer: f64,
}

/// Runs all rounds. True if every server ended well and answered all.
pub(crate) fn run(options: &Options, count: usize) -> bool {
    println!(
        "{count} hellos a turn, {PER_SECOND} a second, {} rounds",
        options.rounds
    );
    let subjects = options.subjects(&[&ECHO, &REJOIN]);
    let (mut all, mut good) = (Vec::new(), true);
    for round in 1..=options.rounds {
        for subject in &subjects {
            let (refusals, ended_well) = measure(round, subject, count);
            println!(
                "round {round:>2} {:<9} {:.2} us of CPU a hello, {} answered with {:.0} bytes",
                refusals.server,
                refusals.cpu_us_per_hello,
                refusals.answered,
                refusals.bytes_per_answer
            );
            good &= ended_well && refusals.answered == count as u64;
            all.push(refusals);
        }
    }
    println!("\n| server | CPU us per hello |\n|---|---|");
    for subject in subjects {
        let own = all.iter().filter(|turn| turn.server == subject.name);
        let cpu = Spread::of(own.map(|turn| turn.cpu_us_per_hello)).expect("a round each");
        println!("| {} | {cpu:.2} |", subject.name);
    }
    options.write_json(&all);
    good
}

fn measure(round: u16, subject: &'static Subject, count: usize) -> (Refusals, bool) {
    let size = Size {
        players: 1,
        shape: None,
    };
    let server = Server::start(subject, size);
    let target = server.target();
    let key = target.key.unwrap_or(StaticKeys::development().public());
    let hellos: Vec<_> = (0..HELLOS).map(|number| hello(number, key)).collect();
    let (mut net, clock) = (Net::open(target.address, 1), Clock::start());
    send(&mut net, &hellos, HELLOS, clock);
    let (cpu, traffic) = (server.cpu(), net.traffic);
    send(&mut net, &hellos, count, clock);
    let (ran, traffic) = (server.cpu().since(cpu).ran, net.traffic.since(traffic));
    let refusals = Refusals {
        round,
        server: subject.name,
        cpu_us_per_hello: ran as f64 / count as f64 / 1e3,
        answered: traffic.down,
        bytes_per_answer: traffic.down_bytes as f64 / traffic.down.max(1) as f64,
    };
    (refusals, server.stop())
}

fn hello(number: usize, server: PublicKey) -> Vec<u8> {
    let mut rng = Rng::from_number(number as u64);
    let options = HandshakeOptions {
        server,
        identity: StaticKeys::generate(&mut rng),
        permit: Permit::dev(format!("player-{number}")),
        receive_id: None,
        moment: 1,
        suites: Suite::ALL.to_vec(),
    };
    let handshake = ClientHandshake::new(&options, &mut rng).expect("the options are sound");
    handshake.hello().to_vec()
}

/// Sends so many hellos at a steady pace, and takes in what comes of them.
fn send(net: &mut Net, hellos: &[Vec<u8>], count: usize, clock: Clock) {
    let from = clock.now();
    let planned = |number: usize| from + Duration::from_secs(1) * number as u32 / PER_SECOND as u32;
    let mut waiting = (0..count).zip(hellos.iter().cycle()).peekable();
    let end = planned(count) + SETTLED;
    while waiting.peek().is_some() || clock.now() < end {
        while let Some((_, hello)) = waiting.next_if(|(number, _)| planned(*number) <= clock.now())
        {
            net.send(0, hello);
        }
        if !net.receive(|_, _| {}) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
