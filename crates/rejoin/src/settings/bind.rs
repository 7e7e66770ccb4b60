//! The address to listen on: checked when it is read, looked up when it is used.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use rejoin_client::address::DEFAULT_PORT;

use super::problem::{Problem, plain};

/// An address as it was written.
enum Written<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

/// Whether `text` can be an address: no name server is asked.
///
/// # Errors
/// It is none.
pub(crate) fn check(text: &str) -> Result<(), Problem> {
    read(text).map(drop)
}

/// The first address of `text`: an address or host name, with or without a port.
///
/// # Errors
/// It is none, or the name has no address.
pub(crate) fn resolve(text: &str) -> Result<SocketAddr, Problem> {
    match read(text)? {
        Written::Address(address) => Ok(address),
        Written::Name(host, port) => (host, port)
            .to_socket_addrs()
            .map_err(|error| wrong(text, &error.to_string()))?
            .next()
            .ok_or_else(|| wrong(text, "the name has no address")),
    }
}

fn read(text: &str) -> Result<Written<'_>, Problem> {
    if let Ok(address) = text.parse() {
        return Ok(Written::Address(address));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Written::Address(SocketAddr::new(ip, DEFAULT_PORT)));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (
            host,
            port.parse()
                .map_err(|_| wrong(text, "a port is a number from 0 to 65535"))?,
        ),
        None => (text, DEFAULT_PORT),
    };
    // Checked here, so that no name server is ever asked about a slip of the pen.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.chars().all(is_plain) {
        return Err(wrong(
            text,
            "expected an address such as 127.0.0.1:7777 or [::1]:7777",
        ));
    }
    Ok(Written::Name(host, port))
}

fn wrong(text: &str, reason: &str) -> Problem {
    Problem::Address {
        text: plain(text),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_bind_read_in_every_usual_form() {
        let read = |text: &str| resolve(text).map(|address| address.to_string());
        assert_eq!(read("127.0.0.1:0").unwrap(), "127.0.0.1:0");
        assert_eq!(read("127.0.0.1").unwrap(), "127.0.0.1:7777");
        assert_eq!(read("::1").unwrap(), "[::1]:7777");
        assert_eq!(read("[::1]").unwrap(), "[::1]:7777");
        assert_eq!(read("[::1]:9").unwrap(), "[::1]:9");
        assert!(resolve("localhost:7777").unwrap().ip().is_loopback());
    }

    #[test]
    fn what_is_no_address_is_a_wrong_value() {
        for text in [
            "",
            "127.0.0.1:99999",
            "no host:1",
            ":",
            ":1",
            "[::1",
            "::1]:5",
            "1:2:x",
        ] {
            let problem = check(text).unwrap_err().to_string();
            assert!(problem.contains(text), "{text}: {problem}");
        }
    }
}
