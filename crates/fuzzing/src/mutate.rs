//! New inputs from known ones.

use rejoin_protocol::Rng;

/// Longest input that is made: a datagram and the start of another, but for inputs that were
/// longer to begin with.
const LEN_MAX: usize = 2_048;

/// Where lengths and numbers change their form, as varints and as MessagePack.
const EDGES: [&[u8]; 24] = [
    &[0x3f],
    &[0x40, 0x40],
    &[0x7f, 0xff],
    &[0x80, 0x00, 0x40, 0x00],
    &[0xbf, 0xff, 0xff, 0xff],
    &[0xc0, 0, 0, 0, 0x40, 0, 0, 0],
    &[0xff; 8],
    &[0; 8],
    &[0x91],
    &[0x81, 0xa1, b'x'],
    &[0x9f],
    &[0x8f],
    &[0xa0],
    &[0xc0],
    &[0xc1],
    &[0xc4, 0x10],
    &[0xc6, 0xff, 0xff, 0xff, 0xff],
    &[0xca, 0x7f, 0xc0, 0, 0],
    &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
    &[0xdb, 0, 0, 0, 1, 0xff],
    &[0xdc, 0x10, 0x00],
    &[0xdd, 0xff, 0xff, 0xff, 0xff],
    &[0xdf, 0x80, 0, 0, 0],
    &[0xd9, 0x20],
];

/// Makes the next input: a changed copy of one of `seeds`, or one of sixteen times bytes from
/// nowhere.
pub fn input(seeds: &[(String, Vec<u8>)], rng: &mut Rng, out: &mut Vec<u8>) {
    out.clear();
    let seed = pick(seeds, rng);
    let Some((_, seed)) = seed.filter(|_| rng.below(16) > 0) else {
        let most = 64 << rng.below(4);
        let len = below(rng, most);
        out.resize(len, 0);
        rng.fill(out);
        return;
    };
    out.extend_from_slice(seed);
    for _ in 0..1 << rng.below(4) {
        change(out, seeds, rng);
    }
    out.truncate(LEN_MAX.max(seed.len()));
}

/// One change.
fn change(out: &mut Vec<u8>, seeds: &[(String, Vec<u8>)], rng: &mut Rng) {
    let place = below(rng, out.len() + 1);
    let most = 1 << rng.below(8);
    let len = below(rng, most).min(out.len() - place);
    let noise = rng.next_u64().to_be_bytes();
    let [bit, byte, ..] = noise;
    match (rng.below(12), out.get_mut(place)) {
        (0 | 1, Some(there)) => *there ^= 1 << (bit % 8),
        (2, Some(there)) => *there = byte,
        (3, Some(there)) => *there = there.wrapping_add(if bit < 128 { 1 } else { 255 }),
        (4, _) => drop(out.drain(place..place + len)),
        (5, _) => out.truncate(place),
        (6, _) => {
            let copy = out.iter().skip(place).take(len).copied().collect();
            splice(out, below(rng, out.len() + 1), copy);
        }
        (7 | 8, _) => {
            let edge = pick(&EDGES, rng).map_or(&[][..], |edge| edge);
            splice(out, place, edge.to_vec());
        }
        (9, _) => {
            let edge = pick(&EDGES, rng).map_or(&[][..], |edge| edge);
            for (there, byte) in out.iter_mut().skip(place).zip(edge) {
                *there = *byte;
            }
        }
        (10, _) => {
            let (_, other) = pick(seeds, rng).expect("a seed was taken before");
            let from = below(rng, other.len() + 1);
            let part = other.iter().skip(from).take(64).copied().collect();
            splice(out, place, part);
        }
        _ => splice(out, place, noise.into_iter().take(1 + len % 8).collect()),
    }
}

fn splice(out: &mut Vec<u8>, place: usize, part: Vec<u8>) {
    out.splice(place..place, part);
}

fn pick<'a, T>(list: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    list.get(below(rng, list.len()))
}

/// Uniform in `0..bound`, 0 if that is empty.
fn below(rng: &mut Rng, bound: usize) -> usize {
    let bound = u64::try_from(bound).expect("a length in memory fits 64 bits");
    usize::try_from(rng.below(bound)).expect("it is less than a length in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_follow_from_the_number_alone_and_differ() {
        let seeds = [("seed".to_owned(), b"a seed of some length".to_vec())];
        let run = |number| {
            let (mut rng, mut out) = (Rng::from_number(number), Vec::new());
            let mut inputs = Vec::new();
            for _ in 0..1_000 {
                input(&seeds, &mut rng, &mut out);
                assert!(out.len() <= LEN_MAX);
                inputs.push(out.clone());
            }
            inputs
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let mut distinct = run(1);
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 900, "{} distinct", distinct.len());
    }

    #[test]
    fn an_empty_corpus_still_gives_inputs() {
        let (mut rng, mut out) = (Rng::from_number(1), Vec::new());
        let mut longest = 0;
        for _ in 0..100 {
            input(&[], &mut rng, &mut out);
            longest = longest.max(out.len());
        }
        assert!(longest > 64);
    }
}
