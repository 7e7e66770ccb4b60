//! `--check 'rtt.p99<20ms'`: a bound that a figure of the run must keep.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rejoin_bots::{Report, parse_duration};
use rejoin_server::nearest;

use crate::metrics::{self, Metric, Unit, Value};

/// A bound of one figure.
#[derive(Clone)]
pub(crate) struct Check {
    metric: Metric,
    operator: Operator,
    bound: Bound,
    /// As it was asked for.
    text: String,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// True if the figure keeps the bound. What was not measured keeps none.
    pub(crate) holds: bool,
    /// The figure, for people.
    pub(crate) seen: String,
}

/// How a figure is compared with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Number(u64),
    /// Percent of a whole.
    Share(f64),
    Time(Duration),
}

/// Text that is no check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    /// Nothing is compared.
    #[error("expected a figure, an operator and a value, as in rtt.p99<20ms")]
    NoOperator,
    /// No figure of that name.
    #[error("no figure is named `{name}`; {}", hint(meant.as_deref()))]
    Metric { name: String, meant: Option<String> },
    /// No operator of that form.
    #[error("no operator is written `{given}`; did you mean `{meant}`?")]
    Operator { given: String, meant: &'static str },
    /// No value of that form.
    #[error("`{value}` is no value for {name}; did you mean {meant}?")]
    Value {
        value: String,
        name: String,
        meant: &'static str,
    },
}

const OPERATORS: [(&str, Operator); 5] = [
    ("<", Operator::Less),
    ("<=", Operator::AtMost),
    (">", Operator::More),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
];

/// What people write for them elsewhere.
const MEANT: [(&str, &str); 5] = [
    ("=", "=="),
    ("===", "=="),
    ("!=", "=="),
    ("=<", "<="),
    ("=>", ">="),
];

impl FromStr for Check {
    type Err = CheckError;

    fn from_str(text: &str) -> Result<Self, CheckError> {
        let is_sign = |c: char| "<>=!~≤≥".contains(c);
        let start = text.find(is_sign).ok_or(CheckError::NoOperator)?;
        let (name, rest) = text.split_at(start);
        let end = rest.find(|c| !is_sign(c)).unwrap_or(rest.len());
        let (operator, value) = rest.split_at(end);
        let metric = metric(name.trim())?;
        Ok(Self {
            metric,
            operator: read_operator(operator)?,
            bound: bound(&metric, value.trim())?,
            text: text.to_owned(),
        })
    }
}

fn metric(name: &str) -> Result<Metric, CheckError> {
    // As it is called in JSON too, or of a single rebind.
    let plain = name.replacen("_us.", ".", 1);
    let plain = match plain.strip_prefix("rebind.") {
        Some(figure) => format!("rebinds.{figure}"),
        None => plain,
    };
    let all = metrics::all();
    if let Some(metric) = all.iter().find(|metric| metric.name() == plain) {
        return Ok(*metric);
    }
    let names: Vec<String> = all.iter().map(Metric::name).collect();
    let meant = nearest(&plain, names.iter().map(String::as_str));
    Err(CheckError::Metric {
        name: name.to_owned(),
        meant: meant.map(str::to_owned),
    })
}

/// A question, or where all names are.
fn hint(meant: Option<&str>) -> String {
    match meant {
        Some(name) => format!("did you mean `{name}`?"),
        None => "docs/bots.md has them all".to_owned(),
    }
}

fn read_operator(given: &str) -> Result<Operator, CheckError> {
    if let Some((_, operator)) = OPERATORS.iter().find(|(sign, _)| *sign == given) {
        return Ok(*operator);
    }
    let known = MEANT.iter().find(|(wrong, _)| *wrong == given);
    let meant = known.map(|(_, meant)| *meant);
    let signs = OPERATORS.iter().map(|(sign, _)| *sign);
    Err(CheckError::Operator {
        given: given.to_owned(),
        meant: meant.or_else(|| nearest(given, signs)).unwrap_or("<"),
    })
}

fn bound(metric: &Metric, value: &str) -> Result<Bound, CheckError> {
    let wrong = |meant| CheckError::Value {
        value: value.to_owned(),
        name: metric.name(),
        meant,
    };
    match metric.unit() {
        Unit::Time => {
            let has_unit = ["us", "ms", "s"].iter().any(|unit| value.ends_with(unit));
            let span = parse_duration(value).ok().filter(|_| has_unit);
            let meant = "a time in us, ms or s, as in 20ms";
            span.map(Bound::Time).ok_or_else(|| wrong(meant))
        }
        Unit::Number => {
            let number = value.parse().map(Bound::Number);
            number.map_err(|_| wrong("a whole number without a unit, as in 1000"))
        }
        Unit::NumberOrShare => {
            let meant = "a whole number or a percentage, as in 0 or 1%";
            match value.strip_suffix('%') {
                Some(share) => {
                    let share = share.trim().parse::<f64>().ok();
                    let share = share.filter(|share| share.is_finite() && *share >= 0.0);
                    share.map(Bound::Share).ok_or_else(|| wrong(meant))
                }
                None => value.parse().map(Bound::Number).map_err(|_| wrong(meant)),
            }
        }
    }
}

impl Check {
    /// Compares the figure of this run.
    pub(crate) fn judge(&self, report: &Report) -> Outcome {
        self.compare(self.metric.of(report))
    }

    fn compare(&self, value: Value) -> Outcome {
        match (value, self.bound) {
            (Value::Latency(Some(us)), Bound::Time(bound)) => {
                let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
                Outcome {
                    holds: self.operator.holds(&us, &bound),
                    seen: exact_millis(us),
                }
            }
            (Value::Count(count, _), Bound::Number(bound)) => Outcome {
                holds: self.operator.holds(&count, &bound),
                seen: count.to_string(),
            },
            (Value::Count(count, Some(whole)), Bound::Share(bound)) if whole > 0 => {
                #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
                let share = 100.0 * count as f64 / whole as f64;
                Outcome {
                    holds: self.operator.holds(&share, &bound),
                    seen: format!("{share:.4}% ({count} of {whole})"),
                }
            }
            // No share of nothing, no latency of nobody.
            (Value::Latency(_) | Value::Count(..), _) => Outcome {
                holds: false,
                seen: "nothing measured".to_owned(),
            },
        }
    }
}

impl Operator {
    fn holds<T: PartialOrd>(self, seen: &T, bound: &T) -> bool {
        match self {
            Self::Less => seen < bound,
            Self::AtMost => seen <= bound,
            Self::More => seen > bound,
            Self::AtLeast => seen >= bound,
            Self::Equal => seen == bound,
        }
    }
}

/// Milliseconds to the last digit: next to a bound every digit may matter.
fn exact_millis(us: u64) -> String {
    format!("{}.{:03}ms", us / 1_000, us % 1_000)
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Check {
        text.parse().unwrap()
    }

    fn told(text: &str) -> String {
        text.parse::<Check>().unwrap_err().to_string()
    }

    #[test]
    fn a_time_is_compared_to_the_microsecond() {
        let cases = [
            ("rtt.p99<20ms", 19_999, true),
            ("rtt.p99<20ms", 20_000, false),
            ("rtt.p999 <= 20000us", 20_000, true),
            ("input.max>=0.02s", 19_999, false),
            ("rtt_us.p50>1ms", 1_001, true),
            ("snapshot_age.p90==1ms", 1_000, true),
        ];
        for (text, seen, holds) in cases {
            let outcome = check(text).compare(Value::Latency(Some(seen)));
            assert_eq!(outcome.holds, holds, "{text} of {seen}: {outcome:?}");
        }
        let seen = check("rtt.p99<20ms")
            .compare(Value::Latency(Some(31_004)))
            .seen;
        assert_eq!(seen, "31.004ms");
    }

    #[test]
    fn a_count_is_compared_alone_or_with_its_whole() {
        let cases = [
            ("inputs.lost==0", 0, true),
            ("inputs.lost == 0", 1, false),
            ("inputs.lost<1%", 9, true),
            ("inputs.lost<1%", 10, false),
            ("joins.failed<=0.9%", 10, false),
            ("inputs.sent>100", 101, true),
        ];
        for (text, seen, holds) in cases {
            let outcome = check(text).compare(Value::Count(seen, Some(1_000)));
            assert_eq!(outcome.holds, holds, "{text} of {seen}: {outcome:?}");
        }
    }

    #[test]
    fn what_was_not_measured_keeps_no_bound() {
        assert!(!check("rtt.p99<20ms").compare(Value::Latency(None)).holds);
        assert!(
            !check("inputs.lost<1%")
                .compare(Value::Count(0, Some(0)))
                .holds
        );
    }

    #[test]
    fn a_wrong_check_is_told_what_was_meant() {
        let cases = [
            ("rtts.p99<20ms", "did you mean `rtt.p99`?"),
            ("foo<1", "`foo`; docs/bots.md has them all"),
            ("input.lost<1", "did you mean `inputs.lost`?"),
            ("join.failed==0", "did you mean `joins.failed`?"),
            ("rtt.p99=20ms", "did you mean `==`?"),
            ("rtt.p99=<20ms", "did you mean `<=`?"),
            ("rtt.p99!=20ms", "did you mean `==`?"),
            ("rtt.p99<20", "us, ms or s"),
            ("rtt.p99<20sec", "us, ms or s"),
            ("rtt.p99<1m", "us, ms or s"),
            ("rtt.p99<", "us, ms or s"),
            ("inputs.lost<1ms", "a percentage"),
            ("inputs.lost<NaN%", "a percentage"),
            ("inputs.sent>10%", "without a unit"),
            ("rtt.p99", "as in rtt.p99<20ms"),
            ("", "as in rtt.p99<20ms"),
        ];
        for (text, meant) in cases {
            assert!(
                told(text).ends_with(meant) || told(text).contains(meant),
                "{}",
                told(text)
            );
        }
    }
}
