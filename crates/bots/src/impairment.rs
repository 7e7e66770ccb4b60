//! How bad a network is, as one line of text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration::parse_duration;

/// What a [`Relay`](crate::Relay) does to each datagram, in both directions alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Delay of every datagram.
    pub delay: Duration,
    /// The delay varies by as much as this either way. Order is kept: see `reorder` for that.
    pub jitter: Duration,
    /// Probability that a datagram is lost, 0.0 to 1.0.
    pub loss: f64,
    /// Probability that it arrives twice.
    pub duplicate: f64,
    /// Probability that it is held back so that later ones overtake it.
    pub reorder: f64,
    /// Seeds the chance of all of this.
    pub seed: u64,
}

/// Text that does not describe a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} in a network: {why}")]
pub struct ImpairmentError {
    /// The part that cannot be read.
    pub part: String,
    /// What is expected.
    pub why: &'static str,
}

const KEYS: &str = "expected delay=50ms±10ms, loss=5%, duplicate=1%, reorder=2% or seed=7";

impl Impairment {
    /// Reads `delay=50ms±10ms,loss=5%,duplicate=1%,reorder=2%,seed=7`; every part may be left out.
    /// Without a unit the jitter is in milliseconds; `+-` stands for `±` on plain keyboards.
    ///
    /// # Errors
    /// Names the part that cannot be read.
    pub fn parse(text: &str) -> Result<Self, ImpairmentError> {
        let mut net = Self::default();
        let mut keys = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let key = part.split('=').next();
            let outcome = if keys.contains(&key) {
                Err("it was said before")
            } else {
                net.read(part)
            };
            outcome.map_err(|why| ImpairmentError {
                part: part.to_owned(),
                why,
            })?;
            keys.push(key);
        }
        Ok(net)
    }

    fn read(&mut self, part: &str) -> Result<(), &'static str> {
        let (key, value) = part.split_once('=').ok_or(KEYS)?;
        match key {
            "delay" => (self.delay, self.jitter) = delay(value)?,
            "loss" => self.loss = share(value)?,
            "duplicate" | "dup" => self.duplicate = share(value)?,
            "reorder" => self.reorder = share(value)?,
            "seed" => self.seed = value.parse().map_err(|_| "expected a whole number")?,
            _ => return Err(KEYS),
        }
        Ok(())
    }
}

impl fmt::Display for Impairment {
    /// As [`Impairment::parse`] reads it, with every part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            delay,
            jitter,
            loss,
            duplicate,
            reorder,
            seed,
        } = self;
        let [loss, duplicate, reorder] = [loss, duplicate, reorder].map(|share| share * 100.0);
        write!(
            f,
            "delay={}us±{}us,loss={loss}%,duplicate={duplicate}%,reorder={reorder}%,seed={seed}",
            delay.as_micros(),
            jitter.as_micros(),
        )
    }
}

impl FromStr for Impairment {
    type Err = ImpairmentError;

    fn from_str(text: &str) -> Result<Self, ImpairmentError> {
        Self::parse(text)
    }
}

fn delay(value: &str) -> Result<(Duration, Duration), &'static str> {
    const WHY: &str = "expected a delay like 50ms or 50ms±10ms";
    let (delay, jitter) = value
        .split_once('±')
        .or_else(|| value.split_once("+-"))
        .unwrap_or((value, "0ms"));
    let delay = parse_duration(delay).map_err(|_| WHY)?;
    let jitter = parse_duration(jitter).or_else(|_| parse_duration(&format!("{jitter}ms")));
    let jitter = jitter.map_err(|_| WHY)?;
    if jitter > delay {
        return Err("the jitter cannot exceed the delay");
    }
    Ok((delay, jitter))
}

fn share(value: &str) -> Result<f64, &'static str> {
    const WHY: &str = "expected a percentage like 5%";
    let percent: f64 = value
        .strip_suffix('%')
        .ok_or(WHY)?
        .parse()
        .map_err(|_| WHY)?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent / 100.0)
    } else {
        Err(WHY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_reads_as_it_is_shown() {
        for text in [
            "",
            "delay=50ms±10ms,loss=5%,duplicate=1%,reorder=2.5%,seed=7",
        ] {
            let net = Impairment::parse(text).unwrap();
            assert_eq!(Impairment::parse(&net.to_string()), Ok(net), "{net}");
        }
    }

    #[test]
    fn a_network_reads_in_one_line() {
        let net = Impairment::parse("delay=50ms±10, loss=5%,reorder=2%,dup=1%,seed=7").unwrap();
        assert_eq!(
            net,
            Impairment {
                delay: Duration::from_millis(50),
                jitter: Duration::from_millis(10),
                loss: 0.05,
                duplicate: 0.01,
                reorder: 0.02,
                seed: 7,
            }
        );
        assert_eq!(
            Impairment::parse("delay=50ms+-10ms,loss=5%")
                .unwrap()
                .jitter,
            net.jitter
        );
        assert_eq!(Impairment::parse(""), Ok(Impairment::default()));
    }

    #[test]
    fn the_part_that_cannot_be_read_is_named() {
        for part in [
            "loss=5",
            "loss=101%",
            "delay=5",
            "delay=5ms±9ms",
            "fog=1%",
            "seed=x",
            "loss",
            "reorder=2%",
        ] {
            let text = format!("reorder=1%,{part}");
            assert_eq!(
                Impairment::parse(&text).map_err(|e| e.part),
                Err(part.to_owned())
            );
        }
    }
}
