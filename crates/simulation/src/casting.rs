//! Draws who plays in a run, and in which groups.

use std::collections::VecDeque;

use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::{Rng, Timestamp};

use crate::cast::{Cast, Group, Player, Wish};
use crate::contact::Contact;
use crate::draws::millis;
use crate::options::Options;

/// Draws all players and groups.
pub(crate) fn draw_cast(options: &Options, rng: &mut Rng) -> Cast {
    let groups = options.groups.iter().zip(&options.private);
    let groups = groups.map(|(kind, private)| Group {
        kind: *kind,
        private: *private,
        generation: 0,
    });
    let mut cast = Cast {
        groups: groups.collect(),
        ..Cast::default()
    };
    for number in 0..options.players {
        let first = number % options.groups.len();
        let mut wishes = vec![Wish {
            group: first,
            not_before: Timestamp::ZERO,
        }];
        if options.groups.len() > 1 && rng.chance(options.second_group) {
            let group = (first + 1) % options.groups.len();
            wishes.push(Wish {
                group,
                not_before: Timestamp::ZERO + millis(rng, 0, 5_000),
            });
        }
        cast.players
            .push(draw_player(format!("player-{number}"), wishes, rng));
    }
    if options.repeater {
        cast.guest = Some((draw_player("repeater".to_owned(), Vec::new(), rng), None));
    }
    cast
}

fn draw_player(name: String, wishes: Vec<Wish>, rng: &mut Rng) -> Player {
    Player {
        identity: StaticKeys::generate(rng),
        name,
        id: None,
        client: None,
        wishes,
        inputs: 0,
        reached: Contact::default(),
        holder: None,
        tickets: VecDeque::new(),
        lost_at: None,
        lost_words: Vec::new(),
        gone_at: None,
        harmed_at: Timestamp::ZERO,
        guesses: 0,
        changes: VecDeque::new(),
        has_left: false,
    }
}
