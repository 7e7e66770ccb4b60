//! A seat that is given up and taken again is another one.

use rejoin_client::Event;
use rejoin_protocol::message::{Answer, ClientMessage};
use rejoin_protocol::{RefusalCode, Stay};

use crate::stage::{Stage, held, numbers, stages};

/// Ben has a seat, gives it up, and takes it again: by clients of his, one after the other.
fn taken_twice(stage: &mut Stage) -> [Stay; 2] {
    let (_, first) = stage.back(None);
    let mut client = stage.client();
    let seat = client.ask(stage, None).seat;
    let left = client.request(stage, |call| ClientMessage::Leave { call, seat });
    assert_eq!(left, Ok(Answer::Left));
    let second = client.ask(stage, None);
    assert!(first.stay != second.stay && !second.found);
    [first.stay, second.stay]
}

#[test]
fn a_client_that_was_away_while_its_seat_was_given_up_is_not_given_the_next_one() {
    for mut stage in stages("yard") {
        let [first, second] = taken_twice(&mut stage);
        let mut late = stage.client();
        stage.run(100);
        let told = stage.world.events(stage.ana).len();
        let refused = late.return_to(&mut stage, first).unwrap_err();
        assert_eq!(refused.code, RefusalCode::UnknownSeat);
        let told = stage.world.events(stage.ana)[told..].iter();
        let changes = told.filter(|event| matches!(event, Event::Seat { .. }));
        assert_eq!(changes.count(), 0, "nobody hears of a return");

        let Ok(Answer::Seated(seated)) = late.return_to(&mut stage, second) else {
            panic!("the seat is held");
        };
        assert!(seated.found && seated.stay == second);
    }
}

#[test]
fn what_a_client_holds_of_an_earlier_stay_acknowledges_nothing_in_the_next() {
    for mut stage in stages("yard") {
        let [first, second] = taken_twice(&mut stage);
        stage.say(1..=3, None);
        stage.stay = first;
        let (client, seated) = stage.back(held(2));
        assert_eq!(seated.stay, second);
        assert_eq!((seated.event, client.heard()), (0, numbers(1..=3)));
    }
}
