//! Sites: how many wrong room codes each IPv6 /48 tried. One subscriber may have all of its 65,536
//! addresses, each with a budget of its own (RFC 6177, section 2).
//!
//! Owned by [`Addresses`](crate::addresses::Addresses). Bounded: a site is kept until its budget has
//! come back, and of sites at most [`SITES_MAX`]: the one closest to a whole budget is forgotten first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use rejoin_protocol::Timestamp;
use rejoin_protocol::bucket::{Bucket, Rate};

use crate::limits::SITES_MAX;

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    guesses: BTreeMap<Site, Bucket>,
    /// The same, by when they may be forgotten.
    by_whole: BTreeSet<(Timestamp, Site)>,
}

/// The first 48 bits.
type Site = [u8; 6];

impl Sites {
    /// Whether somebody at an address may try another room code or id.
    ///
    /// # Errors
    /// After so long it may.
    pub(crate) fn check_guess(
        &self,
        address: [u8; 16],
        rate: Rate,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let guesses = site(address).and_then(|site| self.guesses.get(&site));
        guesses.map_or(Ok(()), |guesses| guesses.check(rate, now))
    }

    /// Somebody at an address tried a wrong room code or id.
    pub(crate) fn on_wrong_guess(&mut self, address: [u8; 16], rate: Rate, now: Timestamp) {
        let Some(site) = site(address) else { return };
        let guesses = self.guesses.entry(site).or_default();
        self.by_whole.remove(&(guesses.whole_at(), site));
        guesses.charge(1, rate, now);
        self.by_whole.insert((guesses.whole_at(), site));
        while let Some((whole_at, first)) = self.by_whole.first().copied()
            && (whole_at <= now || self.by_whole.len() > SITES_MAX)
        {
            self.by_whole.pop_first();
            self.guesses.remove(&first);
        }
    }

    /// Checks that the bound holds and the index agrees.
    pub(crate) fn check(&self) {
        let listed = self.by_whole.iter().map(|(_, site)| site);
        assert!(listed.clone().all(|site| self.guesses.contains_key(site)));
        assert_eq!(listed.count(), self.guesses.len(), "sites are listed once");
        assert!(self.guesses.len() <= SITES_MAX, "sites are bounded");
    }
}

/// The site of an address; an IPv4 address has none.
fn site(address: [u8; 16]) -> Option<Site> {
    let of_ipv4 = Ipv6Addr::from(address).to_ipv4_mapped().is_some();
    address.first_chunk().copied().filter(|_| !of_ipv4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::per_minute(60, 2);

    fn address(text: &str) -> [u8; 16] {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    #[test]
    fn all_addresses_of_a_site_share_its_budget_and_no_others_do() {
        let mut sites = Sites::default();
        let at = Timestamp::from_millis;
        for text in [
            "2001:db8:1::",
            "2001:db8:1:ffff::",
            "::ffff:203.0.113.1",
            "::ffff:203.0.113.2",
        ] {
            assert_eq!(
                sites.check_guess(address(text), RATE, at(0)),
                Ok(()),
                "{text}"
            );
            sites.on_wrong_guess(address(text), RATE, at(0));
            sites.check();
        }
        let again = sites.check_guess(address("2001:db8:1:7::"), RATE, at(400));
        assert_eq!(again, Err(Duration::from_millis(600)));
        for text in ["2001:db8:2::", "::ffff:203.0.113.1", "::ffff:203.0.113.3"] {
            assert_eq!(
                sites.check_guess(address(text), RATE, at(400)),
                Ok(()),
                "{text}"
            );
        }
    }

    #[test]
    fn sites_are_bounded_and_forgotten_once_whole() {
        let mut sites = Sites::default();
        let most = u16::try_from(SITES_MAX).unwrap();
        let numbered = |number: u16| Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0).octets();
        let at = Timestamp::from_millis;
        for _ in 0..2 {
            sites.on_wrong_guess(numbered(0), RATE, at(0));
        }
        for number in 1..most + 10 {
            sites.on_wrong_guess(numbered(number), RATE, at(0));
            sites.check();
        }
        assert_eq!(sites.guesses.len(), SITES_MAX);
        let spent = sites.check_guess(numbered(0), RATE, at(0));
        assert!(spent.is_err(), "the least whole is kept");
        sites.on_wrong_guess(numbered(1), RATE, at(5_000));
        assert_eq!(sites.guesses.len(), 1);
        sites.check();
    }
}
