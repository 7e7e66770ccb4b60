//! What a sweep tried: each fault against each state of the client whose datagram it hit.
//!
//! A cell of zero means that something was never tried. Every cell can be hit: a client
//! that is lost still has datagrams on their way, and one that leaves says so in a datagram.

use std::fmt;

/// What may happen to a datagram, to a client, or to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It arrives later than at once.
    Delay,
    /// It never arrives.
    Loss,
    /// It arrives twice.
    Duplication,
    /// It is held back, so that later ones may overtake it.
    Reorder,
    /// It arrives changed or cut short.
    Corruption,
    /// It is sent into a partition and never arrives.
    Partition,
    /// The client's address changes.
    Move,
    /// The client dies, and its player starts another one with its ticket.
    Crash,
    /// The client dies, and its player starts another one with the permit alone.
    BareCrash,
    /// The server loses its connection.
    LostLink,
    /// The server loses all connections at once.
    Storm,
    /// Its player starts a second client.
    Rival,
    /// The server's process ends.
    Restart,
    /// The server's process ends and its wall clock jumps.
    ClockJump,
    /// The disk is full for a while.
    FullDisk,
    /// Bits flipped before the server's next process, which found it.
    Rot,
    /// Somebody sends the hello of a resume of its session again, from elsewhere.
    ReplayedResume,
    /// Somebody who saw its packets sends it a reset.
    ForgedReset,
}

/// Where the client stands that sent the datagram, or that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its hello is under way.
    Joining,
    /// It has a session and no seat.
    Seatless,
    /// It has a seat.
    Seated,
    /// It said that it loads.
    Loading,
    /// It suspects that the server is gone.
    Suspect,
    /// It believes that the server is gone, or does not run for a while.
    Lost,
    /// It lost its connection and is on its way back.
    Away,
    /// It gave a seat or the session back and waits for the answer, or has just ended.
    Leaving,
}

impl Fault {
    /// All faults, in the order of the table.
    pub const ALL: [Self; 18] = [
        Self::Delay,
        Self::Loss,
        Self::Duplication,
        Self::Reorder,
        Self::Corruption,
        Self::Partition,
        Self::Move,
        Self::Crash,
        Self::BareCrash,
        Self::LostLink,
        Self::Storm,
        Self::Rival,
        Self::Restart,
        Self::ClockJump,
        Self::FullDisk,
        Self::Rot,
        Self::ReplayedResume,
        Self::ForgedReset,
    ];

    /// True if one client has to be hit at a moment that few of them ever have: a whole sweep may miss it. A
    /// second client needs one whose session is open, and a reset one whose connection was seen.
    const fn rarely_meets(self, stage: Stage) -> bool {
        match self {
            Self::Rival | Self::ForgedReset => {
                !matches!(stage, Stage::Seatless | Stage::Seated | Stage::Away)
            }
            Self::Move | Self::Crash | Self::BareCrash | Self::LostLink => {
                !matches!(stage, Stage::Joining | Stage::Seated | Stage::Away)
            }
            Self::Storm | Self::Restart | Self::ClockJump | Self::ReplayedResume => {
                matches!(stage, Stage::Leaving)
            }
            Self::FullDisk | Self::Rot => !matches!(stage, Stage::Seated | Stage::Away),
            Self::Delay
            | Self::Loss
            | Self::Duplication
            | Self::Reorder
            | Self::Corruption
            | Self::Partition => false,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Reorder => "reorder",
            Self::Corruption => "corruption",
            Self::Partition => "partition",
            Self::Move => "move",
            Self::Crash => "crash",
            Self::BareCrash => "bare crash",
            Self::LostLink => "lost link",
            Self::Storm => "storm",
            Self::Rival => "rival",
            Self::Restart => "restart",
            Self::ClockJump => "clock jump",
            Self::FullDisk => "full disk",
            Self::Rot => "rot",
            Self::ReplayedResume => "replay",
            Self::ForgedReset => "forgery",
        }
    }
}

impl Stage {
    /// All stages, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Joining,
        Self::Seatless,
        Self::Seated,
        Self::Loading,
        Self::Suspect,
        Self::Lost,
        Self::Away,
        Self::Leaving,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Seatless => "seatless",
            Self::Seated => "seated",
            Self::Loading => "loading",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Away => "away",
            Self::Leaving => "leaving",
        }
    }
}

const CELLS: usize = Fault::ALL.len() * Stage::ALL.len();

/// How often each fault met each stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    hits: [u64; CELLS],
}

impl Default for Coverage {
    fn default() -> Self {
        Self { hits: [0; CELLS] }
    }
}

impl Coverage {
    /// Counts one datagram, unless nobody is there any more whom it could matter to.
    pub(crate) fn hit(&mut self, fault: Fault, stage: Option<Stage>) {
        let Some(stage) = stage else { return };
        *self
            .hits
            .get_mut(cell(fault, stage))
            .expect("the table has a cell for each pair") += 1;
    }

    /// How often `fault` met `stage`.
    #[must_use]
    pub fn hits(&self, fault: Fault, stage: Stage) -> u64 {
        *self
            .hits
            .get(cell(fault, stage))
            .expect("the table has a cell for each pair")
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.hits.iter_mut().zip(other.hits) {
            *mine += theirs;
        }
    }

    /// The pairs that were never tried, but for those that need a rare moment of one client.
    pub fn unhit(&self) -> impl Iterator<Item = (Fault, Stage)> + '_ {
        Fault::ALL
            .into_iter()
            .flat_map(|fault| Stage::ALL.map(|stage| (fault, stage)))
            .filter(|(fault, stage)| !fault.rarely_meets(*stage))
            .filter(|(fault, stage)| self.hits(*fault, *stage) == 0)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12}", "")?;
        for stage in Stage::ALL {
            write!(f, "{:>12}", stage.name())?;
        }
        for fault in Fault::ALL {
            write!(f, "\n{:<12}", fault.name())?;
            for stage in Stage::ALL {
                write!(f, "{:>12}", self.hits(fault, stage))?;
            }
        }
        Ok(())
    }
}

fn cell(fault: Fault, stage: Stage) -> usize {
    fault as usize * Stage::ALL.len() + stage as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_has_its_own_cell() {
        let mut coverage = Coverage::default();
        assert!(coverage.unhit().count() > CELLS / 2);
        for fault in Fault::ALL {
            for stage in Stage::ALL {
                coverage.hit(fault, Some(stage));
            }
        }
        assert_eq!(coverage.unhit().count(), 0);
        assert!(
            Fault::ALL
                .iter()
                .all(|f| Stage::ALL.iter().all(|s| coverage.hits(*f, *s) == 1))
        );
    }

    #[test]
    fn runs_add_up_and_print_as_a_table() {
        let mut one = Coverage::default();
        one.hit(Fault::Loss, Some(Stage::Suspect));
        one.hit(Fault::Loss, None);
        let mut both = one.clone();
        both.add(&one);
        assert_eq!(both.hits(Fault::Loss, Stage::Suspect), 2);
        let text = both.to_string();
        assert_eq!(text.lines().count(), 1 + Fault::ALL.len());
        assert!(text.lines().nth(2).unwrap().starts_with("loss"));
    }
}
