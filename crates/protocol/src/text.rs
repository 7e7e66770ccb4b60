//! Bounds on texts that others made up.

/// `text`, cut to at most `max` bytes at the border of a character.
#[must_use]
pub fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max)
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("short".into(), 5), "short");
        assert_eq!(cut("grün".into(), 3), "gr");
        assert_eq!(cut("grün".into(), 4), "grü");
        assert_eq!(cut("ü".into(), 1), "");
    }
}
