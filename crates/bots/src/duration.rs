//! Spans of time as people write them: `30s`, `250ms`, `2m`.

use std::time::Duration;

/// Text that is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a span of time up to 24h: write it like 30s, 250ms or 2m")]
pub struct DurationError(pub String);

/// Longest span taken: a day. Longer ones are slips of the pen.
const SPAN_MAX: Duration = Duration::from_secs(86_400);

/// Reads a number with one of the units `us`, `ms`, `s`, `m`, `h`.
///
/// # Errors
/// The text has another form, or says more than a day.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let bad = || DurationError(text.to_owned());
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(bad)?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| bad())?;
    let unit_seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(number * unit_seconds)
        .ok()
        .filter(|span| *span <= SPAN_MAX)
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_with_their_units() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("20us"), Ok(Duration::from_micros(20)));
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in ["", "30", "s", "1.2.3s", "-3s", "99h", "3 s", "1e9s"] {
            assert_eq!(
                parse_duration(text),
                Err(DurationError(text.into())),
                "{text}"
            );
        }
    }
}
