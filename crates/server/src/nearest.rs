//! The name that was meant: the closest of those there are, if it is close.

/// The name of `names` with the fewest changed letters from `given`, whatever the case and with `-` as `_`.
/// None if more than a third of its letters differ, and more than the two of a swap.
#[must_use]
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let given = plain(given);
    names
        .into_iter()
        .map(|name| (distance(&given, &plain(name)), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 2).min(2).max(name.len() / 3))
        .map(|(_, name)| name)
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

    #[test]
    fn distances_count_changed_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn case_and_dashes_do_not_count_and_what_is_far_is_not_offered() {
        let names = ["bytes_per_s", "inputs_per_s", "log"];
        assert_eq!(nearest("INPUTS_PER_S", names), Some("inputs_per_s"));
        assert_eq!(nearest("bytes-per-sec", names), Some("bytes_per_s"));
        assert_eq!(nearest("logs", names), Some("log"));
        assert_eq!(nearest("bidn", ["auth", "bind"]), Some("bind"));
        assert_eq!(nearest("x", names), None);
        assert_eq!(nearest("anything_else_at_all", names), None);
    }
}
