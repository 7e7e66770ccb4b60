//! How much of a room outlives what, and when its players' inputs are acknowledged.

/// What is kept of a room, and when.
///
/// An input is *journalled* once it is written to the operating system, where a killed process loses nothing, and *synced*
/// once it is on the medium, where a loss of power takes nothing either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing: the room ends with its process, and its members are told so.
    None,
    /// A checkpoint every 5 s at most: after a crash the room is as it was then, and its members are told what is lost.
    /// Reliable inputs are acknowledged once they are received.
    Checkpoint,
    /// Every call, before anyone sees what comes of it: after a crash of the process the room is as its members saw it
    /// last, to the bit. Reliable inputs are acknowledged once they are journalled; a loss of power may take what was
    /// written within the last 20 ms and one sync.
    #[default]
    Exact,
    /// As [`Exact`](Self::Exact), but nothing is told before it is synced: to players a loss of power is what a crash of the
    /// process is.
    Synced,
}

impl Durability {
    /// Its name in settings: `none`, `checkpoint`, `exact` or `synced`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Checkpoint => "checkpoint",
            Self::Exact => "exact",
            Self::Synced => "synced",
        }
    }

    /// True if every call is written before anyone sees what comes of it.
    #[must_use]
    pub const fn is_journalled(self) -> bool {
        matches!(self, Self::Exact | Self::Synced)
    }
}

impl std::str::FromStr for Durability {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::None, Self::Checkpoint, Self::Exact, Self::Synced];
        let found = all.into_iter().find(|level| level.name() == name);
        found.ok_or_else(|| format!("{name:?} is none of none, checkpoint, exact, synced"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_reads_back_its_name_and_nothing_else() {
        for level in [
            Durability::None,
            Durability::Checkpoint,
            Durability::Exact,
            Durability::Synced,
        ] {
            assert_eq!(level.name().parse(), Ok(level));
        }
        let wrong = "Exact".parse::<Durability>().unwrap_err();
        assert_eq!(
            wrong,
            "\"Exact\" is none of none, checkpoint, exact, synced"
        );
    }
}
