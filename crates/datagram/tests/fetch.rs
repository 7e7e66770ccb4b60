//! Asking for memory ahead: a hint, whatever the address.

use std::ptr;

#[test]
fn memory_can_be_asked_for_that_is_not_there() {
    let here = [7_u8; 300];
    let places = [
        here.as_ptr(),
        ptr::null(),
        ptr::without_provenance(usize::MAX - 5),
    ];
    for place in places {
        for len in [0, 1, 64, 300] {
            rejoin_datagram::fetch(place, len);
        }
    }
    assert_eq!(here, [7; 300]);
}
