//! 901 cubes, as in Fiedler's "Snapshot Compression" (2015): one is moved, and pushes others, which come to rest.

use rejoin_protocol::Rng;
use serde::Serialize;

use super::{Game, between};

const ROWS: i32 = 30;
/// Millimetres.
const SPACE: i32 = 2_000;
const REACH: i32 = 3_000;

/// How a number is shown.
pub(super) trait Form {
    type Number: Serialize;
    fn length(millimetres: i32) -> Self::Number;
    fn turn(parts: i32) -> Self::Number;
}

/// Millimetres, and 512ths of a half turn.
pub(super) struct Whole;

impl Form for Whole {
    type Number = i32;

    fn length(millimetres: i32) -> i32 {
        millimetres
    }

    fn turn(parts: i32) -> i32 {
        parts
    }
}

/// Metres, and half turns.
pub(super) struct Float;

#[expect(
    clippy::cast_precision_loss,
    reason = "what a game without quantised state shows"
)]
impl Form for Float {
    type Number = f32;

    fn length(millimetres: i32) -> f32 {
        millimetres as f32 / 1_000.0
    }

    fn turn(parts: i32) -> f32 {
        parts as f32 / 512.0
    }
}

#[derive(Serialize)]
#[serde(bound = "")]
pub(super) struct Cubes<F: Form> {
    cubes: Vec<Shown<F>>,
    #[serde(skip)]
    bodies: Vec<Body>,
    #[serde(skip)]
    heading: (i32, i32),
}

#[derive(Serialize)]
#[serde(bound = "")]
struct Shown<F: Form> {
    at: [F::Number; 3],
    turn: [F::Number; 3],
    owner: u8,
}

#[derive(Clone)]
struct Body {
    at: [i32; 3],
    turn: [i32; 3],
    speed: [i32; 3],
    owner: u8,
}

impl Body {
    fn shown<F: Form>(&self) -> Shown<F> {
        Shown {
            at: self.at.map(F::length),
            turn: self.turn.map(F::turn),
            owner: self.owner,
        }
    }
}

impl<F: Form> Cubes<F> {
    pub(super) fn new() -> Self {
        let place = |index: i32| (index - ROWS / 2) * SPACE;
        let still = |at| Body {
            at,
            turn: [0; 3],
            speed: [0; 3],
            owner: 0,
        };
        let field =
            (0..ROWS * ROWS).map(|index| still([place(index % ROWS), place(index / ROWS), 400]));
        Self {
            cubes: Vec::new(),
            bodies: std::iter::once(still([0, 0, 1_000])).chain(field).collect(),
            heading: (120, 40),
        }
    }
}

impl<F: Form> Game for Cubes<F> {
    fn tick(&mut self, rng: &mut Rng) {
        if rng.chance(0.05) {
            self.heading = (between(rng, -150, 150), between(rng, -150, 150));
        }
        let Some((player, others)) = self.bodies.split_first_mut() else {
            return;
        };
        player.speed = [self.heading.0, self.heading.1, 0];
        player.owner = 1;
        let edge = ROWS * SPACE / 2;
        for (axis, heading) in [(0, &mut self.heading.0), (1, &mut self.heading.1)] {
            if player
                .at
                .get(axis)
                .is_some_and(|at| at.abs() > edge && at.signum() == heading.signum())
            {
                *heading = -*heading;
            }
        }
        let [x, y, _] = player.at;
        for cube in others {
            let [cx, cy, _] = cube.at;
            if (cx - x).abs() < REACH && (cy - y).abs() < REACH && rng.chance(0.5) {
                cube.speed = [
                    between(rng, -80, 80),
                    between(rng, -80, 80),
                    between(rng, 0, 60),
                ];
                cube.owner = 1;
            }
        }
        for body in &mut self.bodies {
            let [_, _, z] = body.speed;
            for (at, speed) in body.at.iter_mut().zip(body.speed) {
                *at += speed;
            }
            for (turn, speed) in body.turn.iter_mut().zip(body.speed) {
                *turn = (*turn + speed / 8 + 512).rem_euclid(1_024) - 512;
            }
            // Friction, and a fall to the ground.
            body.speed = body.speed.map(|speed| speed * 9 / 10);
            let [_, _, height] = &mut body.at;
            *height = (*height - if z > 0 { 0 } else { 30 }).max(400);
            if body.speed == [0; 3] {
                body.owner = 0;
            }
        }
        self.cubes = self.bodies.iter().map(Body::shown).collect();
    }
}
