//! Limits by name, as a command line or a file of settings gives them.

use crate::config::{ConfigError, Limits};

/// Why a limit could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetLimitError {
    /// Not `NAME=VALUE`.
    #[error("a limit is given as NAME=VALUE, such as {0}=100")]
    NoValue(&'static str),
    /// No limit of that name.
    #[error("no limit is named `{name}`; did you mean `{nearest}`?")]
    Unknown {
        /// What was given.
        name: String,
        /// The name closest to it.
        nearest: &'static str,
    },
    /// Not a whole number.
    #[error("{name} takes a whole number, not `{value}`; no limit can be switched off")]
    NotANumber {
        /// The limit.
        name: &'static str,
        /// What was given.
        value: String,
    },
    /// A number out of the limit's bounds.
    #[error(transparent)]
    OutOfBounds(#[from] ConfigError),
}

impl Limits {
    /// Sets one limit from `NAME=VALUE`. Names are those of the fields here and of
    /// [`Budgets`](rejoin_coordinator::Budgets).
    ///
    /// # Errors
    /// See [`SetLimitError`]; nothing is changed then.
    pub fn set(&mut self, assignment: &str) -> Result<(), SetLimitError> {
        let mut changed = *self;
        let names: Vec<_> = changed.named().iter().map(|(name, _)| *name).collect();
        let (given, value) = assignment.split_once('=').unwrap_or((assignment, ""));
        let nearest = nearest(given, names).expect("there are limits");
        if nearest != given {
            let name = given.to_owned();
            return Err(SetLimitError::Unknown { name, nearest });
        }
        if !assignment.contains('=') {
            return Err(SetLimitError::NoValue(nearest));
        }
        let number: u32 = value.parse().map_err(|_| SetLimitError::NotANumber {
            name: nearest,
            value: value.to_owned(),
        })?;
        for (name, place) in changed.named() {
            if name == given {
                place.set(number);
            }
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    fn named(&mut self) -> Vec<(&'static str, Place<'_>)> {
        let own = [
            ("sessions_max", Place::Count(&mut self.sessions_max)),
            ("rooms_max", Place::Count(&mut self.rooms_max)),
            (
                "pending_joins_max",
                Place::Count(&mut self.pending_joins_max),
            ),
        ];
        let budgets = self.budgets.settings().into_iter();
        let budgets = budgets.map(|(name, _, value)| (name, Place::Budget(value)));
        own.into_iter().chain(budgets).collect()
    }
}

/// Where a limit's number is kept.
enum Place<'a> {
    Count(&'a mut usize),
    Budget(&'a mut u32),
}

impl Place<'_> {
    fn set(self, number: u32) {
        match self {
            Self::Count(place) => *place = usize::try_from(number).unwrap_or(usize::MAX),
            Self::Budget(place) => *place = number,
        }
    }
}

/// The name that was most likely meant by `given`: the one of which it takes the fewest changed letters.
#[must_use]
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names.into_iter().min_by_key(|name| distance(given, name))
}

/// How many single letters must change to make `a` of `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (line, of_a) in a.chars().enumerate() {
        let mut corner = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (above, of_b) in row.iter().skip(1).zip(b.chars()) {
            let change = corner + usize::from(of_a != of_b);
            left = change.min(left + 1).min(above + 1);
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
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
    fn every_limit_can_be_set_by_its_name() {
        let names: Vec<_> = Limits::default().named().iter().map(|n| n.0).collect();
        assert_eq!(names.len(), 29);
        for name in names {
            let mut limits = Limits::default();
            assert_eq!(limits.set(&format!("{name}=7777")), Ok(()));
            assert_ne!(limits, Limits::default(), "{name}");
        }
        let mut limits = Limits::default();
        limits.set("inputs_per_s=5000").unwrap();
        assert_eq!(limits.budgets.inputs_per_s, 5_000);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let cases = [
            (
                "input_per_s=5",
                "no limit is named `input_per_s`; did you mean `inputs_per_s`?",
            ),
            (
                "inputs_per_s",
                "a limit is given as NAME=VALUE, such as inputs_per_s=100",
            ),
            ("requests_per_s=0", "requests_per_s must be 1 to 100000000"),
            ("bytes_burst=1199", "bytes_burst must be 1200 to 4294967295"),
            ("rooms_max=0", "rooms_max must be 1 to 1,000,000"),
        ];
        for (assignment, text) in cases {
            assert_eq!(problem(assignment), text);
        }
        for endless in ["unlimited", "", "-1", "1e9", "99999999999"] {
            let text = problem(&format!("bytes_per_s={endless}"));
            assert!(
                text.starts_with("bytes_per_s takes a whole number"),
                "{text}"
            );
        }
    }

    #[test]
    fn distances_count_changed_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
