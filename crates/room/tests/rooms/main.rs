//! Tests of rooms through the crate's public face, in one binary.

#[cfg(test)]
mod checkpoint;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hosted;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod puppet;
#[cfg(test)]
mod test_room;
