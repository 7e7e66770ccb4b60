//! Programs and commands inside the repository's pages, so that they can be run as they stand.

/// The text under a heading, up to the next one of any level. Fences are passed over whole: a `#` in
/// a program is no heading.
pub(crate) fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let mut fenced = false;
    let mut start = None;
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        let next = at + line.len();
        fenced ^= line.starts_with("```");
        match start {
            Some(start) if !fenced && line.starts_with('#') => return page.get(start..at),
            None if !fenced && line.trim_end() == heading => start = Some(next),
            Some(_) | None => {}
        }
        at = next;
    }
    page.get(start?..)
}

/// What stands in the first fence of this language.
pub(crate) fn block(text: &str, language: &str) -> Option<String> {
    let fence = format!("```{language}");
    let mut lines = text.lines().skip_while(|line| line.trim_end() != fence);
    lines.next()?;
    let inside: Vec<_> = lines.take_while(|line| *line != "```").collect();
    Some(inside.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# A\n\nwords\n\n## B\n\n```sh\n# no heading\none\n\ntwo\n```\n\n### C\nend\n";

    #[test]
    fn a_section_ends_at_the_next_heading_outside_fences() {
        let found = section(PAGE, "## B").unwrap();
        assert!(found.contains("two\n```") && !found.contains("end"));
        assert_eq!(section(PAGE, "### C"), Some("end\n"));
        assert_eq!(section(PAGE, "# no heading"), None);
    }

    #[test]
    fn a_block_is_what_its_fence_holds() {
        assert_eq!(
            block(PAGE, "sh"),
            Some("# no heading\none\n\ntwo\n".to_owned())
        );
        assert_eq!(block(PAGE, "s"), None);
    }
}
