//! Small names for what one shard holds: indexes into its slabs, never seen outside.

use std::fmt;

/// An index that names one kind of thing.
pub(crate) trait Key: Copy + Ord + fmt::Debug {
    /// The key of a place.
    fn from_index(index: u32) -> Self;

    /// Its place.
    fn index(self) -> u32;
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl Key for $name {
            fn from_index(index: u32) -> Self {
                Self(index)
            }

            fn index(self) -> u32 {
                self.0
            }
        }
    };
}

key! {
    /// A connection's place in the shard.
    Slot
}
key! {
    /// A session's place in the shard.
    SessionKey
}
key! {
    /// A room's place in the shard.
    RoomKey
}
