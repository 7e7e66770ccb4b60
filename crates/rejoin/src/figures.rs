//! Numbers as people read them.

/// A count of things in memory, as all other counts are.
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A count with its thousands apart: `12,345`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of things: `1 room`, `1,200 rooms`.
pub(crate) fn counted<N: TryInto<u64>>(number: N, thing: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {thing}"),
        number => format!("{} {thing}s", thousands(number)),
    }
}

/// A latency in milliseconds with as many digits as mean something: `0.42 ms`, `4.2 ms`, `42 ms`.
pub(crate) fn millis(micros: u64) -> String {
    let digits = match micros {
        0..1_000 => 2,
        1_000..10_000 => 1,
        _ => 0,
    };
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let ms = micros as f64 / 1_000.0;
    format!("{ms:.digits$} ms")
}

/// Bytes in the largest unit that leaves a number before the point: `1.2 MB`.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let count = count as f64;
    let (scaled, unit) = match count {
        c if c < 1e3 => return format!("{c:.0} B"),
        c if c < 1e6 => (c / 1e3, "kB"),
        c if c < 1e9 => (c / 1e6, "MB"),
        c => (c / 1e9, "GB"),
    };
    let digits = usize::from(scaled < 100.0);
    format!("{scaled:.digits$} {unit}")
}

/// `part` of `whole` in percent; 100 if there is no whole.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "one digit after the point is shown"
    )]
    let share = |part: u64, whole: u64| part as f64 / whole as f64;
    if whole == 0 {
        100.0
    } else {
        100.0 * share(part, whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1_000, 12_345, 1_234_567].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(counted(1_u64, "room"), "1 room");
        assert_eq!(counted(1_200_u64, "room"), "1,200 rooms");
    }

    #[test]
    fn figures_keep_the_digits_that_mean_something() {
        assert_eq!(
            [420, 4_240, 42_400].map(millis),
            ["0.42 ms", "4.2 ms", "42 ms"]
        );
        let texts = [512, 1_500, 250_000, 1_200_000, 3_000_000_000].map(bytes);
        assert_eq!(texts, ["512 B", "1.5 kB", "250 kB", "1.2 MB", "3.0 GB"]);
        assert!((percent(1, 4) - 25.0).abs() < 1e-9);
        assert!((percent(0, 0) - 100.0).abs() < 1e-9);
    }
}
