//! A strategy map of 5,000 units, of whom a fifth walk at any time.

use rejoin_protocol::Rng;
use serde::Serialize;

use super::{Game, between};

const UNITS: usize = 5_000;
const SIZE: i32 = 4_096;

#[derive(Serialize)]
pub(super) struct Map {
    units: Vec<Unit>,
    gold: [u32; 4],
    #[serde(skip)]
    orders: Vec<Option<Order>>,
}

/// A tuple: place, health, what it does.
#[derive(Serialize)]
struct Unit(i32, i32, u8, u8);

#[derive(Clone)]
struct Order {
    step: (i32, i32),
    ticks: i32,
}

impl Map {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let unit = |_| Unit(between(rng, 0, SIZE), between(rng, 0, SIZE), 100, 0);
        Self {
            units: (0..UNITS).map(unit).collect(),
            gold: [500; 4],
            orders: vec![None; UNITS],
        }
    }
}

impl Game for Map {
    fn tick(&mut self, rng: &mut Rng) {
        for gold in &mut self.gold {
            *gold += u32::from(rng.chance(0.2)) * 5;
        }
        for (unit, order) in self.units.iter_mut().zip(&mut self.orders) {
            let Some(Order { step, ticks }) = order else {
                // As many set out as arrive, when a fifth are under way.
                if rng.chance(0.25 / 60.0) {
                    unit.3 = 1;
                    *order = Some(Order {
                        step: (between(rng, -6, 6), between(rng, -6, 6)),
                        ticks: between(rng, 30, 90),
                    });
                }
                continue;
            };
            unit.0 = (unit.0 + step.0).clamp(0, SIZE);
            unit.1 = (unit.1 + step.1).clamp(0, SIZE);
            *ticks -= 1;
            if rng.chance(0.02) {
                unit.2 = unit.2.saturating_sub(7).max(1);
            }
            if *ticks == 0 {
                unit.3 = 0;
                *order = None;
            }
        }
    }
}
