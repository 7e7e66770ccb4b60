//! What a party carries, by name: entries come and go in the middle of a sorted map.

use std::collections::BTreeMap;

use rejoin_protocol::Rng;
use serde::Serialize;

use super::{Game, between};

const AT_FIRST: usize = 50;
const MATERIALS: [&str; 12] = [
    "iron", "oak", "silver", "bone", "glass", "amber", "leather", "copper", "moon", "ash", "stone",
    "silk",
];
const THINGS: [&str; 16] = [
    "sword", "helmet", "arrow", "potion", "ring", "boots", "shield", "rope", "lamp", "key", "map",
    "axe", "bow", "cloak", "gem", "scroll",
];

#[derive(Serialize)]
pub(super) struct Inventory {
    coins: u64,
    items: BTreeMap<String, Item>,
    selected: Option<String>,
}

#[derive(Serialize)]
struct Item {
    count: u32,
    wear: u8,
    level: u8,
    tags: Vec<&'static str>,
}

impl Inventory {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut inventory = Self {
            coins: 1_000,
            items: BTreeMap::new(),
            selected: None,
        };
        while inventory.items.len() < AT_FIRST {
            inventory.find(rng);
        }
        inventory
    }

    fn find(&mut self, rng: &mut Rng) {
        let name =
            |words: &[&str], index: usize| words.get(index).copied().unwrap_or_default().to_owned();
        let material = name(&MATERIALS, rng.index(MATERIALS.len()));
        let thing = name(&THINGS, rng.index(THINGS.len()));
        let maker = between(rng, 1, 9);
        let item = Item {
            count: 1,
            wear: 0,
            level: u8::try_from(between(rng, 1, 60)).unwrap_or(1),
            tags: if rng.chance(0.3) {
                vec!["rare", "bound"]
            } else {
                vec![]
            },
        };
        let found = self
            .items
            .entry(format!("{material} {thing} of the {maker}"))
            .or_insert(item);
        found.count += 1;
    }

    fn any(&self, rng: &mut Rng) -> Option<String> {
        self.items
            .keys()
            .nth(rng.index(self.items.len().max(1)))
            .cloned()
    }
}

impl Game for Inventory {
    fn tick(&mut self, rng: &mut Rng) {
        if rng.chance(0.3) {
            self.coins += rng.below(40);
        }
        if rng.chance(0.4) {
            self.find(rng);
        }
        if rng.chance(0.05)
            && let Some(name) = self.any(rng)
        {
            self.items.remove(&name);
        }
        if let Some(name) = self.any(rng) {
            if let Some(item) = self.items.get_mut(&name) {
                item.wear = item.wear.saturating_add(1);
            }
            if rng.chance(0.1) {
                self.selected = Some(name);
            }
        }
    }
}
