//! How large the parts of a request may be. A client checks before it sends, a server again.

use crate::limits::{
    KIND_MAX, METADATA_ENTRIES_MAX, METADATA_TEXT_MAX, OPTIONS_MAX, ROOM_MEMBERS_MAX,
};
use crate::message::{Filter, Metadata, MetadataValue, RoomSettings};
use crate::size::SizeError;

impl Filter {
    /// Checks the bounds of what a peer may ask for: a room has no more facts to match.
    ///
    /// # Errors
    /// Names the bound that is exceeded.
    pub fn check_all(filters: &[Self]) -> Result<(), SizeError> {
        SizeError::check("filters", filters.len(), METADATA_ENTRIES_MAX)?;
        filters
            .iter()
            .try_for_each(|filter| check_fact(&filter.key, &filter.value))
    }
}

impl RoomSettings {
    /// Checks the bounds of what a peer may ask for, in a room of `kind`.
    ///
    /// # Errors
    /// Names the bound that is exceeded.
    pub fn check(&self, kind: &str) -> Result<(), SizeError> {
        let members = usize::from(self.members_max);
        check_kind(kind)?;
        SizeError::check("members", members, usize::from(ROOM_MEMBERS_MAX))?;
        SizeError::check("bytes of options", self.options.len(), OPTIONS_MAX)?;
        check_metadata(&self.metadata)
    }
}

/// Checks the name of a kind.
///
/// # Errors
/// It is empty or too long.
pub fn check_kind(kind: &str) -> Result<(), SizeError> {
    SizeError::check_between("bytes of a kind", kind.len(), 1, KIND_MAX)
}

/// Checks the facts about a room.
///
/// # Errors
/// Names the bound that is exceeded.
pub fn check_metadata(metadata: &Metadata) -> Result<(), SizeError> {
    SizeError::check("metadata entries", metadata.len(), METADATA_ENTRIES_MAX)?;
    metadata
        .iter()
        .try_for_each(|(key, value)| check_fact(key, value))
}

fn check_fact(key: &str, value: &MetadataValue) -> Result<(), SizeError> {
    SizeError::check_between("bytes of a metadata key", key.len(), 1, METADATA_TEXT_MAX)?;
    match value {
        MetadataValue::Bool(_) | MetadataValue::Int(_) => Ok(()),
        MetadataValue::Text(text) => {
            SizeError::check("bytes of a metadata text", text.len(), METADATA_TEXT_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Comparison;

    type Change<'a> = &'a dyn Fn(&mut RoomSettings);

    #[test]
    fn settings_at_their_bounds_pass_and_beyond_one_are_named() {
        let text = |len| MetadataValue::Text("x".repeat(len));
        let fact = |key: usize, value: usize| Metadata::from([("k".repeat(key), text(value))]);
        let facts = |count: i64| {
            (0..count)
                .map(|n| (n.to_string(), MetadataValue::Int(n)))
                .collect::<Metadata>()
        };
        let error = |kind: usize, change: Change<'_>| {
            let mut settings = RoomSettings::default();
            change(&mut settings);
            let checked = settings.check(&"k".repeat(kind));
            checked.err().map(|error| error.to_string())
        };
        let none = |_: &mut RoomSettings| {};
        assert_eq!((error(1, &none), error(32, &none)), (None, None));
        assert_eq!(
            error(32, &|it| {
                it.members_max = 1024;
                it.options = vec![0; 4096];
                it.metadata = fact(64, 64);
            }),
            None
        );
        assert_eq!(error(4, &|it| it.metadata = facts(16)), None);
        let table: [(usize, Change<'_>, &str); 8] = [
            (0, &none, "0 bytes of a kind, 1 to 32 allowed"),
            (33, &none, "33 bytes of a kind, 1 to 32 allowed"),
            (
                4,
                &|it| it.members_max = 1025,
                "1025 members, at most 1024 allowed",
            ),
            (
                4,
                &|it| it.options = vec![0; 4097],
                "4097 bytes of options, at most 4096 allowed",
            ),
            (
                4,
                &|it| it.metadata = facts(17),
                "17 metadata entries, at most 16 allowed",
            ),
            (
                4,
                &|it| it.metadata = fact(0, 1),
                "0 bytes of a metadata key, 1 to 64 allowed",
            ),
            (
                4,
                &|it| it.metadata = fact(65, 1),
                "65 bytes of a metadata key, 1 to 64 allowed",
            ),
            (
                4,
                &|it| it.metadata = fact(1, 65),
                "65 bytes of a metadata text, at most 64 allowed",
            ),
        ];
        for (kind, change, text) in table {
            assert_eq!(error(kind, change).as_deref(), Some(text));
        }
    }

    #[test]
    fn filters_are_as_many_and_as_long_as_facts_at_most() {
        let filter = |key: usize| Filter {
            key: "k".repeat(key),
            comparison: Comparison::Equal,
            value: MetadataValue::Bool(true),
        };
        assert_eq!(Filter::check_all(&vec![filter(64); 16]), Ok(()));
        let error = |filters: &[Filter]| Filter::check_all(filters).unwrap_err().to_string();
        assert_eq!(
            error(&vec![filter(1); 17]),
            "17 filters, at most 16 allowed"
        );
        assert_eq!(
            error(&[filter(65)]),
            "65 bytes of a metadata key, 1 to 64 allowed"
        );
    }
}
