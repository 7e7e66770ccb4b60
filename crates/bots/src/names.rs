//! Names of bots: short, and apart from those of any other run.

use std::time::SystemTime;

/// First names, so that a person can follow one on the screen.
const FIRST: [&str; 32] = [
    "ada", "bo", "cleo", "dov", "eli", "fay", "gus", "hana", "ivo", "june", "kai", "lena", "max",
    "nia", "otto", "pia", "quin", "rosa", "sam", "tess", "uma", "vik", "wren", "xena", "yan",
    "zoe", "arlo", "bea", "cy", "dana", "emil", "flo",
];

/// The name of a bot in the run that `tag` names.
pub(crate) fn of_bot(bot: usize, tag: &str) -> String {
    let first = FIRST.get(bot % FIRST.len()).copied().unwrap_or("bot");
    match bot / FIRST.len() {
        0 => format!("{first}-{tag}"),
        round => format!("{first}{round}-{tag}"),
    }
}

/// Orders the hellos of one identity.
pub(crate) fn moment() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_bots_of_a_run_share_a_name() {
        let names: std::collections::BTreeSet<_> = (0..10_000)
            .map(|bot| of_bot(bot, "0123456789abcdef"))
            .collect();
        assert_eq!(names.len(), 10_000);
        let longest = names.iter().map(String::len).max().unwrap();
        assert!(longest <= rejoin_protocol::limits::NAME_MAX, "{longest}");
    }
}
