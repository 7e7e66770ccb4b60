use super::*;
use crate::content::Mark;
use crate::options::RoomKind;

const SITE: Site = Site {
    era: 1,
    room: RoomId([1; 16]),
};
const SEAT: (Site, PlayerId) = (SITE, PlayerId(5));
const FIRST: StayOf = (SITE, PlayerId(5), Stay(1));
const SECOND: StayOf = (SITE, PlayerId(5), Stay(2));

const NOW: Timestamp = Timestamp::ZERO;

fn at(cursor: u64) -> Standing {
    Standing {
        cursor,
        lost: 0,
        at: NOW,
        holds: true,
    }
}

fn input(number: u64) -> Input {
    RoomKind::Witness.input(
        Mark {
            counter: number,
            place: number,
        },
        true,
    )
}

fn seated_with(inputs: u64) -> Lives {
    let mut lives = Lives::default();
    lives.seated(FIRST, at(0), Arrival::New).unwrap();
    for number in 1..=inputs {
        lives.sent(FIRST, number, &input(number)).unwrap();
    }
    lives
}

fn chain(numbers: &[u64]) -> u64 {
    numbers
        .iter()
        .fold(0, |sum, number| input(*number).chain(sum))
}

#[test]
fn any_prefix_may_be_shown_and_nothing_else() {
    let lives = seated_with(3);
    assert_eq!(lives.place(SEAT, (0, 0), 0), Ok(None));
    assert_eq!(lives.place(SEAT, (2, chain(&[1, 2])), 0), Ok(Some(FIRST.2)));
    assert!(lives.place(SEAT, (2, chain(&[2, 1])), 0).is_err());
    assert!(lives.place(SEAT, (3, chain(&[1, 2, 2])), 0).is_err());
    assert!(lives.place(SEAT, (4, chain(&[1, 2, 3, 4])), 0).is_err());
}

#[test]
fn a_cursor_neither_falls_nor_runs_ahead() {
    let mut lives = seated_with(3);
    lives.covered(FIRST, 2, NOW).unwrap();
    assert!(lives.covered(FIRST, 4, NOW).is_err());
    assert!(lives.seated(FIRST, at(4), Arrival::Repeated).is_err());
    assert!(
        lives.seated(FIRST, at(1), Arrival::Repeated).is_ok(),
        "a late answer"
    );
    assert!(lives.seated(FIRST, at(1), Arrival::New).is_err());
}

#[test]
fn a_client_started_anew_goes_on_at_the_cursor() {
    let mut lives = seated_with(3);
    lives.covered(FIRST, 1, NOW).unwrap();
    lives.seated(FIRST, at(2), Arrival::New).unwrap();
    lives.sent(FIRST, 3, &input(9)).unwrap();
    assert_eq!(lives.total(SEAT.0, SEAT.1), (3, chain(&[1, 2, 9])));
    assert!(lives.place(SEAT, (3, chain(&[1, 2, 3])), 0).is_err());
}

#[test]
fn a_seat_starts_afresh_only_if_it_may_be_lost() {
    let mut lives = seated_with(2);
    lives.covered(FIRST, 2, NOW).unwrap();
    assert!(lives.seated(SECOND, at(0), Arrival::New).is_err());
    lives.may_end(SEAT.0, SEAT.1);
    lives.seated(SECOND, at(0), Arrival::New).unwrap();
    lives.sent(SECOND, 1, &input(7)).unwrap();
    assert_eq!(lives.place(SEAT, (1, chain(&[7])), 0), Ok(Some(SECOND.2)));
    assert_eq!(lives.place(SEAT, (2, chain(&[1, 2])), 0), Ok(Some(FIRST.2)));
    lives.ended(FIRST);
    assert!(
        lives.seated(SECOND, at(1), Arrival::New).is_ok(),
        "it goes on"
    );
}

#[test]
fn inputs_are_numbered_without_gaps() {
    assert!(seated_with(2).sent(FIRST, 4, &input(4)).is_err());
}

#[test]
fn after_a_loss_of_power_only_what_was_not_on_the_medium_may_be_gone() {
    let ms = Timestamp::from_millis;
    let told = |cursor, lost| Standing {
        cursor,
        lost,
        at: ms(30),
        holds: true,
    };
    let lost_power = |synced| {
        let mut lives = Lives::new(synced);
        lives.seated(FIRST, at(0), Arrival::New).unwrap();
        for number in 1..=6 {
            lives.sent(FIRST, number, &input(number)).unwrap();
        }
        lives.covered(FIRST, 3, ms(10)).unwrap();
        lives.covered(FIRST, 5, ms(20)).unwrap();
        assert!(lives.resumed(FIRST, told(5, 1), &[]).is_err(), "no loss");
        lives.on_power_lost(ms(15));
        lives
    };
    let kept = [(6, input(6))];
    assert!(lost_power(true).resumed(FIRST, told(5, 1), &kept).is_err());
    assert!(lost_power(true).resumed(FIRST, told(5, 0), &kept).is_ok());
    assert!(lost_power(false).resumed(FIRST, told(5, 3), &kept).is_err());
    let mut lives = lost_power(false);
    lives.resumed(FIRST, told(5, 2), &kept).unwrap();
    lives.sent(FIRST, 7, &input(7)).unwrap();
    assert_eq!(lives.total(SITE, SEAT.1), (5, chain(&[1, 2, 3, 6, 7])));
    assert_eq!(lives.newest(SITE, SEAT.1), 7);
    let before = (5, chain(&[1, 2, 3, 4, 5]));
    assert!(lives.place(SEAT, before, 0).is_ok(), "a late view");
    assert!(lives.place(SEAT, before, 1).is_err(), "it is lost");
    // A second loss takes the first jump back.
    lives.on_power_lost(ms(25));
    lives.resumed(FIRST, told(7, 4), &[]).unwrap();
    assert_eq!(lives.total(SITE, SEAT.1), (3, chain(&[1, 2, 3])));
    assert_eq!(lives.newest(SITE, SEAT.1), 7);
}
