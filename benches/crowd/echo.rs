//! The plainest server, and pings to it: what a round trip costs here without Rejoin.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Time between two pings.
const EVERY: Duration = Duration::from_millis(10);
/// An answer that takes longer counts as long as this.
const WAIT: Duration = Duration::from_secs(1);

/// A process that echoes, on core 0.
pub(crate) struct Echo {
    child: Child,
    address: String,
}

/// Round trips from the time when each ping was planned.
#[derive(Clone, Copy)]
pub(crate) struct Pings {
    pub(crate) count: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

/// Echoes until standard input closes.
pub(crate) fn serve() -> ExitCode {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    println!("{}", socket.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    thread::spawn(|| {
        std::io::stdin().lock().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    let mut buffer = [0; 2_048];
    loop {
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let datagram = buffer.get(..len).unwrap_or_default();
            // What cannot be sent is lost, as with any datagram.
            socket.send_to(datagram, from).ok();
        }
    }
}

impl Echo {
    pub(crate) fn start() -> Self {
        let own = std::env::current_exe().expect("this process has a program");
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(own)
            .arg("echo")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset and the echo start");
        let mut address = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut address).unwrap();
        Self {
            child,
            address: address.trim().to_owned(),
        }
    }

    /// Pings it until told to stop.
    pub(crate) fn ping(&self, over: &AtomicBool) -> Pings {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&self.address).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        let mut times = Histogram::<u64>::new(3).unwrap();
        let mut buffer = [0; 16];
        let mut planned = Instant::now();
        while !over.load(Ordering::Relaxed) {
            planned += EVERY;
            thread::sleep(planned.saturating_duration_since(Instant::now()));
            socket.send(&times.len().to_be_bytes()).unwrap();
            socket.recv(&mut buffer).ok();
            let took = u64::try_from(planned.elapsed().as_micros()).unwrap();
            times.saturating_record(took);
        }
        Pings {
            count: times.len(),
            p50_us: times.value_at_quantile(0.5),
            p99_us: times.value_at_quantile(0.99),
            max_us: times.max(),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}
