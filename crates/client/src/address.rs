//! Where a server is: `rejoin://KEY@host:port`, or without the key on loopback.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use rejoin_protocol::crypto::{PublicKey, StaticKeys};

/// A server's address as people write it.
///
/// `rejoin://` and the port may be left out. So may the key if the host is this machine: there the
/// well-known development key stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// The pinned key.
    pub key: PublicKey,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

/// Text that is not a server address: one sentence that names the bad part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(pub String);

/// UDP port if none is given.
pub const DEFAULT_PORT: u16 = 7777;

const SCHEME: &str = "rejoin://";

/// Longest host name (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;

impl ServerAddress {
    /// True if the host is this machine, by name or address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (key, place) = split_key(strip_scheme(text.trim())?);
        let (host, port) = split_port(place)?;
        check_host(host)?;
        let port = port.map_or(Ok(DEFAULT_PORT), parse_port)?;
        let key = match key {
            Some(key) => parse_key(key)?,
            None if is_loopback(host.name) => StaticKeys::development().public(),
            None => return Err(key_missing(host, port)),
        };
        Ok(Self {
            key,
            host: host.name.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        if !self.is_loopback() || self.key != StaticKeys::development().public() {
            write!(f, "{}@", self.key)?;
        }
        let host = Host {
            name: &self.host,
            bracketed: self.host.contains(':'),
        };
        write!(f, "{host}:{}", self.port)
    }
}

/// A host as it was written.
#[derive(Clone, Copy)]
struct Host<'a> {
    name: &'a str,
    bracketed: bool,
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bracketed {
            write!(f, "[{}]", self.name)
        } else {
            f.write_str(self.name)
        }
    }
}

fn strip_scheme(text: &str) -> Result<&str, AddressError> {
    match text.split_once("://") {
        None => Ok(text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("rejoin") => Ok(rest),
        Some((scheme, _)) => Err(AddressError(format!(
            "unknown scheme {scheme:?}: an address begins with {SCHEME}"
        ))),
    }
}

fn split_key(text: &str) -> (Option<&str>, &str) {
    // The last one: neither a key nor a host holds the sign.
    text.rsplit_once('@')
        .map_or((None, text), |(key, place)| (Some(key), place))
}

fn split_port(place: &str) -> Result<(Host<'_>, Option<&str>), AddressError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (name, after) = rest
            .split_once(']')
            .ok_or_else(|| AddressError(format!("the bracket in {place:?} is not closed")))?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => {
                return Err(AddressError(format!(
                    "{after:?} after the bracket is no port"
                )));
            }
        };
        return Ok((
            Host {
                name,
                bracketed: true,
            },
            port,
        ));
    }
    if place.parse::<Ipv6Addr>().is_ok() {
        return Err(AddressError(format!(
            "an IPv6 address needs brackets: [{place}]"
        )));
    }
    let (name, port) = place
        .split_once(':')
        .map_or((place, None), |(name, p)| (name, Some(p)));
    Ok((
        Host {
            name,
            bracketed: false,
        },
        port,
    ))
}

fn check_host(host: Host<'_>) -> Result<(), AddressError> {
    let Host { name, bracketed } = host;
    if name.is_empty() {
        return Err(AddressError("the host is missing".into()));
    }
    if bracketed {
        // A link-local address may name its interface: fe80::1%eth0.
        let (address, _) = name.split_once('%').unwrap_or((name, ""));
        let parsed = address.parse::<Ipv6Addr>();
        return parsed
            .map(drop)
            .map_err(|_| AddressError(format!("{name:?} is no IPv6 address")));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.len() > HOST_MAX || !name.chars().all(is_plain) {
        return Err(AddressError(format!("{name:?} is no host name")));
    }
    Ok(())
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits { text.parse().unwrap_or(0) } else { 0 };
    if port == 0 {
        return Err(AddressError(format!(
            "{text:?} is no port: expected 1 to 65535"
        )));
    }
    Ok(port)
}

fn parse_key(text: &str) -> Result<PublicKey, AddressError> {
    text.parse()
        .map_err(|error| AddressError(format!("{text:?} before the @ is no key: {error}")))
}

fn key_missing(host: Host<'_>, port: u16) -> AddressError {
    AddressError(format!(
        "the key of {host} is missing: write {SCHEME}KEY@{host}:{port}, \
         with the key that `rejoin key` prints on the server"
    ))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
        || host
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

    fn pinned(host: &str, port: u16) -> ServerAddress {
        ServerAddress {
            key: PublicKey([1; 32]),
            host: host.into(),
            port,
        }
    }

    fn local(host: &str, port: u16) -> ServerAddress {
        ServerAddress {
            key: StaticKeys::development().public(),
            ..pinned(host, port)
        }
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            (
                format!("rejoin://{KEY}@play.example.org:9000"),
                pinned("play.example.org", 9000),
            ),
            (
                format!("REJOIN://{KEY}@play.example.org"),
                pinned("play.example.org", 7777),
            ),
            (format!("{KEY}@10.0.0.7:80"), pinned("10.0.0.7", 80)),
            (
                format!("rejoin://{KEY}@[2001:db8::7]:1"),
                pinned("2001:db8::7", 1),
            ),
            (
                format!("rejoin://{KEY}@[fe80::1%eth0]"),
                pinned("fe80::1%eth0", 7777),
            ),
            (
                format!("rejoin://{KEY}@localhost:65535"),
                pinned("localhost", 65535),
            ),
            ("rejoin://localhost:7000".into(), local("localhost", 7000)),
            ("LocalHost".into(), local("LocalHost", 7777)),
            (" 127.9.9.9:7000\n".into(), local("127.9.9.9", 7000)),
            ("[::1]".into(), local("::1", 7777)),
            ("rejoin://[::1]:7000".into(), local("::1", 7000)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_prints_parses_to_the_same() {
        for address in [
            pinned("play.example.org", 9000),
            pinned("2001:db8::7", 1),
            pinned("localhost", 7777),
            local("localhost", 7777),
            local("::1", 1),
            ServerAddress {
                host: "10.0.0.7".into(),
                ..local("", 5)
            },
        ] {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        assert_eq!(local("::1", 1).to_string(), "rejoin://[::1]:1");
        assert_eq!(
            pinned("::1", 1).to_string(),
            format!("rejoin://{KEY}@[::1]:1")
        );
    }

    #[test]
    fn errors_name_the_bad_part() {
        for (text, expected) in [
            (
                "http://localhost",
                "unknown scheme \"http\": an address begins with rejoin://",
            ),
            ("", "the host is missing"),
            ("rejoin://:7777", "the host is missing"),
            ("localhost:", "\"\" is no port: expected 1 to 65535"),
            ("localhost:0", "\"0\" is no port: expected 1 to 65535"),
            ("localhost:+5", "\"+5\" is no port: expected 1 to 65535"),
            (
                "localhost:65536",
                "\"65536\" is no port: expected 1 to 65535",
            ),
            (
                "localhost:7777/arena",
                "\"7777/arena\" is no port: expected 1 to 65535",
            ),
            ("localhost/arena", "\"localhost/arena\" is no host name"),
            ("::1", "an IPv6 address needs brackets: [::1]"),
            ("[::1", "the bracket in \"[::1\" is not closed"),
            ("[::1]7777", "\"7777\" after the bracket is no port"),
            ("[localhost]", "\"localhost\" is no IPv6 address"),
            (
                "short@localhost",
                "\"short\" before the @ is no key: expected a key of 43 base64url characters",
            ),
            (
                "play.example.org",
                "the key of play.example.org is missing: write \
                 rejoin://KEY@play.example.org:7777, with the key that `rejoin key` prints on the \
                 server",
            ),
            (
                "[2001:db8::7]:5",
                "the key of [2001:db8::7] is missing: write rejoin://KEY@[2001:db8::7]:5, with the \
                 key that `rejoin key` prints on the server",
            ),
        ] {
            assert_eq!(
                text.parse::<ServerAddress>(),
                Err(AddressError(expected.into())),
                "{text}"
            );
        }
    }
}
