//! When a server is killed.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rejoin_bots::parse_duration;
use rejoin_protocol::Rng;

/// When the next kill comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moments {
    /// At even distances from the beginning of play on.
    Every(Duration),
    /// At a random moment of this span after the server serves again.
    Within(Window),
    /// When somebody asks for it.
    Asked,
}

/// A span of time after the server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Moments {
    /// When kill `number` (from 1) of a play is due that began at `began`, on a server that serves since `served`.
    pub(crate) fn due(
        self,
        number: u32,
        (began, served): (Instant, Instant),
        rng: &mut Rng,
    ) -> Option<Instant> {
        match self {
            Self::Every(every) => Some(began + every * number),
            Self::Within(Window { from, to }) => {
                let span = to.saturating_sub(from).as_micros();
                let span = u64::try_from(span).unwrap_or(u64::MAX - 1);
                Some(served + from + Duration::from_micros(rng.below(span + 1)))
            }
            Self::Asked => None,
        }
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected two times A..B with A < B, as in 0..3s".to_owned();
        let span = |text: &str| match text {
            "0" => Ok(Duration::ZERO),
            text => parse_duration(text).map_err(|_| wrong()),
        };
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let (from, to) = (span(from)?, span(to)?);
        if from < to {
            Ok(Self { from, to })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Moments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => write!(f, "every {every:?}"),
            Self::Within(Window { from, to }) => {
                write!(f, "{from:?} to {to:?} after it serves again")
            }
            Self::Asked => f.write_str("when asked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_two_times_of_which_the_first_is_earlier() {
        let window = |from, to| Window {
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
        };
        assert_eq!("0..3s".parse(), Ok(window(0, 3_000)));
        assert_eq!("250ms..1s".parse(), Ok(window(250, 1_000)));
        for wrong in ["3s", "0..0", "2s..1s", "..1s", "0..", "0..3"] {
            let told = wrong.parse::<Window>().unwrap_err();
            assert!(told.contains("A..B"), "{wrong}: {told}");
        }
    }

    #[test]
    fn random_moments_fill_their_window_and_are_the_same_for_the_same_seed() {
        let now = Instant::now();
        let moments = Moments::Within("1s..3s".parse().unwrap());
        let drawn = || {
            let mut rng = Rng::from_number(7);
            let due = |number| moments.due(number, (now, now), &mut rng).unwrap() - now;
            (1..=1_000).map(due).collect::<Vec<Duration>>()
        };
        let all = drawn();
        assert_eq!(all, drawn());
        let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
        let seconds = Duration::from_secs_f64;
        assert!(
            *least >= seconds(1.0) && *least < seconds(1.05),
            "{least:?}"
        );
        assert!(*most <= seconds(3.0) && *most > seconds(2.95), "{most:?}");
    }
}
