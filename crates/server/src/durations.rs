//! Spans of time in settings: a whole number and its unit, such as `90s`.

use std::time::Duration;

/// Text that is no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a span of time such as 90s, 250ms, 10m or 1h, not `{0}`")]
pub struct NotASpan(pub String);

/// Reads a whole number with one of the units `ms`, `s`, `m`, `h`. One too large to count is the longest
/// there is, so that a bound refuses it.
pub(crate) fn parse(text: &str) -> Result<Duration, NotASpan> {
    let bad = || NotASpan(text.to_owned());
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(split);
    if number.is_empty() {
        return Err(bad());
    }
    let number: u64 = number.parse().unwrap_or(u64::MAX);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3_600))),
        _ => Err(bad()),
    }
}

/// Text that [`parse`] reads as the same span; what is finer than a millisecond is left out.
pub(crate) fn text(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{}s", span.as_secs())
    } else {
        format!("{}ms", span.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (given, span, written) in [
            ("0s", Duration::ZERO, "0s"),
            ("250ms", Duration::from_millis(250), "250ms"),
            ("2000ms", Duration::from_secs(2), "2s"),
            ("2m", Duration::from_secs(120), "120s"),
            ("168h", Duration::from_secs(604_800), "604800s"),
        ] {
            assert_eq!(parse(given), Ok(span));
            assert_eq!(text(span), written);
            assert_eq!(parse(written), Ok(span));
        }
        assert_eq!(
            parse("99999999999999999999999h"),
            Ok(Duration::from_secs(u64::MAX))
        );
    }

    #[test]
    fn anything_else_is_no_span() {
        for wrong in ["", "30", "s", "1.5m", "-3s", "3 s", "3S", "1d", "³s"] {
            assert_eq!(parse(wrong), Err(NotASpan(wrong.to_owned())));
        }
    }
}
