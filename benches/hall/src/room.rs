//! The workload as room logic of Rejoin.

use std::borrow::Cow;

use rejoin_protocol::PlayerId;
use rejoin_protocol::message::SeatChange;
use rejoin_room::{Cx, Room, RoomSpec};
use serde::{Deserialize, Serialize};

use crate::workload::{Field, Packed, SHAPES, Shape};

/// A room of shape number `SHAPE`.
pub struct Arena<const SHAPE: usize>;

impl<const SHAPE: usize> Arena<SHAPE> {
    const SHAPE: &Shape = &SHAPES[SHAPE];
}

/// The field, and whose row is which.
#[derive(Serialize, Deserialize)]
pub struct Ground {
    field: Field,
    seats: Vec<PlayerId>,
}

impl<const SHAPE: usize> Room for Arena<SHAPE> {
    const KIND: &'static str = Self::SHAPE.kind;
    const TICK_HZ: u32 = Self::SHAPE.hz;

    type State = Ground;
    type Input = Packed;
    type View = Field;
    type Event = Packed;

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Ground {
        Ground {
            field: Field::new(Self::SHAPE),
            seats: Vec::new(),
        }
    }

    fn seat(ground: &mut Ground, player: PlayerId, change: SeatChange, _cx: &mut Cx<Self>) {
        match change {
            SeatChange::Joined => ground.seats.push(player),
            SeatChange::Left => ground.seats.retain(|seated| *seated != player),
            SeatChange::Loading
            | SeatChange::Detached
            | SeatChange::Suspect
            | SeatChange::Returned => {}
        }
    }

    fn input(ground: &mut Ground, from: PlayerId, input: Packed, cx: &mut Cx<Self>) {
        match input {
            Packed::Input(input) => {
                let row = ground.seats.iter().position(|seated| *seated == from);
                let row = row.expect("only members act");
                ground.field.input(Self::SHAPE, row, &input);
            }
            Packed::Ping(_) => cx.send(from, &input),
        }
    }

    fn tick(ground: &mut Ground, _cx: &mut Cx<Self>) {
        ground.field.tick(Self::SHAPE);
    }

    fn view(ground: &Ground) -> Cow<'_, Field> {
        Cow::Borrowed(&ground.field)
    }
}
