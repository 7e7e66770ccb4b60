//! Limits: how much of everything, each with one definition that its parsing, checking and showing come from.
//!
//! The definitions are here and, for what one peer may do, in [`Budgets`].

use std::ops::RangeInclusive;
use std::time::Duration;

use rejoin_coordinator::Budgets;

use crate::durations::{self, NotASpan};
use crate::nearest::nearest;

/// Most sessions, rooms or joins of one shard: what its 24-bit slots hold with room to spare.
const COUNT: RangeInclusive<u32> = 1..=1_000_000;
/// Longest hold: a week.
const HOLD_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
const HOLD: RangeInclusive<Duration> = Duration::ZERO..=HOLD_MAX;
/// A session takes its first seat a round trip after its join; less than this would race it.
const IDLE_HOLD: RangeInclusive<Duration> = Duration::from_secs(1)..=HOLD_MAX;

/// What takes no time at all is within any budget, and clocks tell no less than this apart.
const CALL_BUDGET: RangeInclusive<Duration> = Duration::from_millis(1)..=HOLD_MAX;

/// One limit, with all that is said of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Limit<'a> {
    /// The field's name, in [`Limits`] or [`Budgets`].
    pub name: &'static str,
    /// What it bounds, in sentences.
    pub about: &'static str,
    /// What is counted, such as `inputs a second`; `time` for a hold.
    pub unit: &'static str,
    /// What it costs in memory, if it costs any.
    pub memory: Option<&'static str>,
    /// The value and what it may be.
    pub value: LimitValue<'a>,
}

/// The value of a limit in its place, and its bounds.
#[derive(Debug)]
#[non_exhaustive]
pub enum LimitValue<'a> {
    /// A whole number.
    Number(&'a mut u32, RangeInclusive<u32>),
    /// A span of time.
    Hold(&'a mut Duration, RangeInclusive<Duration>),
}

/// Why a limit could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Not `NAME=VALUE`.
    #[error("a limit is given as NAME=VALUE, such as {0}")]
    NoValue(String),
    /// No limit of that name.
    #[error("no limit is named `{name}`{}", meant(*nearest))]
    Unknown {
        /// What was given.
        name: String,
        /// The name that was meant, if one is close.
        nearest: Option<&'static str>,
    },
    /// Not a whole number.
    #[error("{name} takes a whole number, not `{value}`; no limit can be switched off")]
    NotANumber {
        /// The limit.
        name: &'static str,
        /// What was given.
        value: String,
    },
    /// Not a span of time.
    #[error("{name} takes {problem}")]
    NotASpan {
        /// The limit.
        name: &'static str,
        /// What was given.
        problem: NotASpan,
    },
    /// What the watchdog would end the process for is still within the budget.
    #[error("watchdog must be more than call_budget, which is {0}, or 0s")]
    Watchdog(String),
    /// A value out of the limit's bounds.
    #[error("{name} must be {bounds}")]
    OutOfBounds {
        /// The limit.
        name: &'static str,
        /// What it may be.
        bounds: String,
    },
}

/// Makes [`Limits`] of one definition for each: words, name, default, bounds, unit, cost.
macro_rules! limits {
    ($(
        $(#[doc = $about:literal])+
        $name:ident: $kind:ident($default:expr) in $bounds:ident, $unit:literal $(, $memory:literal)?;
    )+) => {
        /// Bounds of one server. What exceeds them is refused with a reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(
                $(#[doc = $about])+
                #[doc = concat!("\n\nDefault `", stringify!($default), "`", $("; ", $memory,)? ".")]
                pub $name: limits!(@type $kind),
            )+
            /// How much one connection, session, room or address may do.
            pub budgets: Budgets,
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ budgets: Budgets::default() }
            }
        }

        impl Limits {
            fn own(&mut self) -> (Vec<Limit<'_>>, &mut Budgets) {
                let own = vec![$(Limit {
                    name: stringify!($name),
                    about: concat!($($about),+).trim_ascii_start(),
                    unit: $unit,
                    memory: [$($memory,)? ""].first().copied().filter(|cost| !cost.is_empty()),
                    value: LimitValue::$kind(&mut self.$name, $bounds),
                },)+];
                (own, &mut self.budgets)
            }
        }
    };
    (@type Number) => { u32 };
    (@type Hold) => { Duration };
}

limits! {
    /// Sessions that are not over, seated or not; a join beyond is refused with a time to retry.
    sessions_max: Number(4_096) in COUNT, "sessions", "about 8 KiB each";
    /// Rooms that are open; a create beyond is refused with a time to retry.
    rooms_max: Number(1_024) in COUNT, "rooms", "state and views of each, and up to 128 KiB that its journal keeps spare";
    /// Joins that no packet has confirmed; a hello beyond gets no answer.
    pending_joins_max: Number(1_024) in COUNT, "joins", "about 1 KiB each";
    /// How long a detached player's seat is held.
    seat_hold: Hold(rejoin_protocol::limits::SEAT_HOLD) in HOLD, "time";
    /// How long, by the wall clock, a room in which nobody is present is kept in the data folder with its seats, once
    /// `seat_hold` is over; 0s: seats are given up then. For rooms whose kind says nothing of it.
    hibernate_for: Hold(Duration::ZERO) in HOLD, "time", "about 600 bytes for each such room";
    /// How long a room without members stays open.
    empty_room_hold: Hold(Duration::from_secs(10)) in HOLD, "time";
    /// How long a session without a seat may stay.
    idle_session_hold: Hold(Duration::from_secs(600)) in IDLE_HOLD, "time";
    /// How long one call of room logic may take before it is counted and named in the log; ticks that keep taking
    /// longer have their room slowed.
    call_budget: Hold(Duration::from_millis(10)) in CALL_BUDGET, "time";
    /// How long room logic may take to return before the process aborts with the room's name in the log; 0s is
    /// for ever. It must be more than `call_budget`.
    watchdog: Hold(Duration::from_secs(5)) in HOLD, "time";
}

impl Limits {
    /// Every limit, those of [`Budgets`] last.
    pub fn all(&mut self) -> Vec<Limit<'_>> {
        let (mut all, budgets) = self.own();
        all.extend(budgets.settings().into_iter().map(|setting| Limit {
            name: setting.name,
            about: setting.about,
            unit: setting.unit,
            memory: None,
            value: LimitValue::Number(setting.value, setting.bounds),
        }));
        all
    }

    /// Sets one limit from `NAME=VALUE`.
    ///
    /// # Errors
    /// See [`LimitError`]; nothing is changed then.
    pub fn set(&mut self, assignment: &str) -> Result<(), LimitError> {
        let (given, value) = match assignment.split_once('=') {
            Some((given, value)) => (given, Some(value)),
            None => (assignment, None),
        };
        let mut all = self.all();
        let Some(limit) = all.iter_mut().find(|limit| limit.name == given) else {
            return Err(LimitError::Unknown {
                name: given.to_owned(),
                nearest: nearest(given, all.iter().map(|limit| limit.name)),
            });
        };
        match value {
            Some(value) => limit.set(value),
            None => Err(LimitError::NoValue(format!("{given}={}", limit.text()))),
        }
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// Names the first that is out of its bounds, or does not go with another.
    pub fn check(mut self) -> Result<(), LimitError> {
        self.all().iter().try_for_each(Limit::check)?;
        if self.watchdog <= self.call_budget && !self.watchdog.is_zero() {
            return Err(LimitError::Watchdog(durations::text(self.call_budget)));
        }
        Ok(())
    }
}

impl Limit<'_> {
    /// Reads a value: a whole number, or a span of time such as `90s`.
    ///
    /// # Errors
    /// See [`LimitError`]; nothing is changed then.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let name = self.name;
        let out = LimitError::OutOfBounds {
            name,
            bounds: self.bounds(),
        };
        match &mut self.value {
            LimitValue::Number(place, bounds) => {
                let number = whole_number(text).ok_or_else(|| LimitError::NotANumber {
                    name,
                    value: text.to_owned(),
                })?;
                let number = u32::try_from(number).ok();
                **place = number.filter(|it| bounds.contains(it)).ok_or(out)?;
            }
            LimitValue::Hold(place, bounds) => {
                let hold = durations::parse(text)
                    .map_err(|problem| LimitError::NotASpan { name, problem })?;
                **place = Some(hold).filter(|it| bounds.contains(it)).ok_or(out)?;
            }
        }
        Ok(())
    }

    /// The value as [`set`](Self::set) reads it.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.value {
            LimitValue::Number(place, _) => place.to_string(),
            LimitValue::Hold(place, _) => durations::text(**place),
        }
    }

    /// What the value may be, such as `1 to 1,000,000`.
    #[must_use]
    pub fn bounds(&self) -> String {
        match &self.value {
            LimitValue::Number(_, bounds) => {
                let (least, most) = (grouped(*bounds.start()), grouped(*bounds.end()));
                format!("{least} to {most}")
            }
            LimitValue::Hold(_, bounds) => {
                let (least, most) = (*bounds.start(), *bounds.end());
                format!("{} to {}h", durations::text(least), most.as_secs() / 3_600)
            }
        }
    }

    fn check(&self) -> Result<(), LimitError> {
        let inside = match &self.value {
            LimitValue::Number(place, bounds) => bounds.contains(place),
            LimitValue::Hold(place, bounds) => bounds.contains(place),
        };
        if inside {
            return Ok(());
        }
        Err(LimitError::OutOfBounds {
            name: self.name,
            bounds: self.bounds(),
        })
    }
}

/// A number however large: one beyond `u64` is as far out of bounds as its end, one below zero as zero.
fn whole_number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(if digits.len() < text.len() {
        0
    } else {
        digits.parse().unwrap_or(u64::MAX)
    })
}

/// `1000000` as `1,000,000`.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => "; docs/limits.md names them all".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(assignment: &str) -> String {
        let mut limits = Limits::default();
        let problem = limits.set(assignment).unwrap_err().to_string();
        assert_eq!(limits, Limits::default(), "nothing is changed");
        problem
    }

    #[test]
    fn every_limit_can_be_set_by_its_name_and_shows_what_was_set() {
        let mut limits = Limits::default();
        assert_eq!(limits.all().len(), 35);
        let names: Vec<_> = limits.all().iter().map(|limit| limit.name).collect();
        for (index, name) in names.into_iter().enumerate() {
            let mut limits = Limits::default();
            let value = match &limits.all()[index].value {
                LimitValue::Number(..) => "7777",
                LimitValue::Hold(..) => "7777s",
            };
            assert_eq!(limits.set(&format!("{name}={value}")), Ok(()));
            assert_ne!(limits, Limits::default(), "{name}");
            assert_eq!(limits.all()[index].text(), value);
        }
        let mut limits = Limits::default();
        limits.set("inputs_per_s=5000").unwrap();
        assert_eq!(limits.budgets.inputs_per_s, 5_000);
    }

    #[test]
    fn every_limit_has_words_and_bounds_on_both_sides() {
        assert_eq!(Limits::default().check(), Ok(()));
        let mut limits = Limits::default();
        for index in 0..limits.all().len() {
            let Limit { name, about, .. } = limits.all()[index];
            assert!(
                about.starts_with(|c: char| c.is_ascii_uppercase()),
                "{name}"
            );
            assert!(about.ends_with('.'), "{name}");
            for beyond in [false, true] {
                let mut limits = Limits::default();
                let mut all = limits.all();
                let bounds = all[index].bounds();
                match &mut all[index].value {
                    LimitValue::Number(place, bounds) => {
                        assert!(*bounds.start() > 0, "{name}");
                        let wrong = [bounds.start().checked_sub(1), bounds.end().checked_add(1)];
                        let Some(wrong) = wrong[usize::from(beyond)] else {
                            continue;
                        };
                        **place = wrong;
                    }
                    LimitValue::Hold(place, bounds) => {
                        let step = Duration::from_millis(1);
                        let wrong = [bounds.start().checked_sub(step), Some(*bounds.end() + step)];
                        let Some(wrong) = wrong[usize::from(beyond)] else {
                            continue;
                        };
                        **place = wrong;
                    }
                }
                assert_eq!(
                    limits.check(),
                    Err(LimitError::OutOfBounds { name, bounds })
                );
            }
        }
    }

    #[test]
    fn the_watchdog_is_more_patient_than_the_budget_or_off() {
        let checked = |settings: [&str; 2]| {
            let mut limits = Limits::default();
            for setting in settings {
                limits.set(setting).unwrap();
            }
            limits.check()
        };
        let words = "watchdog must be more than call_budget, which is 7s, or 0s";
        for watchdog in ["watchdog=7s", "watchdog=6999ms", "watchdog=1ms"] {
            let error = checked(["call_budget=7s", watchdog]).unwrap_err();
            assert_eq!(error.to_string(), words);
        }
        assert_eq!(checked(["call_budget=7s", "watchdog=7001ms"]), Ok(()));
        assert_eq!(checked(["call_budget=7s", "watchdog=0s"]), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let cases = [
            (
                "input_per_s=5",
                "no limit is named `input_per_s`; did you mean `inputs_per_s`?",
            ),
            (
                "INPUTS_PER_S=5",
                "no limit is named `INPUTS_PER_S`; did you mean `inputs_per_s`?",
            ),
            (
                "x=5",
                "no limit is named `x`; docs/limits.md names them all",
            ),
            (
                "inputs_per_s",
                "a limit is given as NAME=VALUE, such as inputs_per_s=1000",
            ),
            (
                "seat_hold",
                "a limit is given as NAME=VALUE, such as seat_hold=120s",
            ),
            (
                "requests_per_s=0",
                "requests_per_s must be 1 to 100,000,000",
            ),
            (
                "requests_per_s=-1",
                "requests_per_s must be 1 to 100,000,000",
            ),
            (
                "bytes_burst=1199",
                "bytes_burst must be 1,200 to 4,294,967,295",
            ),
            (
                "bytes_burst=4294967296",
                "bytes_burst must be 1,200 to 4,294,967,295",
            ),
            (
                "bytes_burst=99999999999999999999999",
                "bytes_burst must be 1,200 to 4,294,967,295",
            ),
            ("rooms_max=0", "rooms_max must be 1 to 1,000,000"),
            ("seat_hold=169h", "seat_hold must be 0s to 168h"),
            (
                "idle_session_hold=999ms",
                "idle_session_hold must be 1s to 168h",
            ),
            (
                "seat_hold=120",
                "seat_hold takes a span of time such as 90s, 250ms, 10m or 1h, not `120`",
            ),
        ];
        for (assignment, text) in cases {
            assert_eq!(problem(assignment), text);
        }
        for endless in ["unlimited", "", "-", "1e9", "1.5", "+5", " 5"] {
            let text = problem(&format!("bytes_per_s={endless}"));
            assert!(
                text.starts_with("bytes_per_s takes a whole number"),
                "{text}"
            );
        }
    }
}
