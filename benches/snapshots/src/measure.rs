//! What one codec makes of one game.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;

use crate::codec::{Way, ways};
use crate::games::Story;

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Plan {
    pub(crate) rounds: u16,
    pub(crate) views: usize,
    pub(crate) behind: usize,
    pub(crate) seed: u64,
}

/// One game.
#[derive(Serialize)]
pub(crate) struct Told {
    pub(crate) game: &'static str,
    pub(crate) about: &'static str,
    /// Of a whole view, at the median.
    pub(crate) bytes: usize,
    pub(crate) codecs: Vec<Figures>,
}

/// One codec. A view that it does not make shorter counts whole.
#[derive(Serialize)]
pub(crate) struct Figures {
    pub(crate) codec: &'static str,
    pub(crate) bytes_median: usize,
    pub(crate) bytes_mean: usize,
    pub(crate) bytes_p99: usize,
    /// Views that it made no shorter.
    pub(crate) whole: usize,
    /// To make one, at the median of the rounds' means.
    pub(crate) make_ns: u64,
    pub(crate) apply_ns: u64,
}

impl Told {
    pub(crate) fn new(story: &Story, plan: Plan) -> Self {
        let views = story.views(plan.seed, plan.views + plan.behind);
        let mut ways = ways();
        let mut lens: Vec<Vec<usize>> = Vec::new();
        let mut times: Vec<Vec<(u64, u64)>> = ways.iter().map(|_| Vec::new()).collect();
        let mut whole = Vec::new();
        for way in &mut ways {
            let (len, kept) = lengths(way.as_mut(), &views, plan.behind);
            lens.push(len);
            whole.push(kept);
        }
        for _ in 0..plan.rounds {
            for (way, times) in ways.iter_mut().zip(&mut times) {
                times.push(time(way.as_mut(), &views, plan.behind));
            }
        }
        let mut codecs = Vec::new();
        for (((way, mut lens), whole), times) in ways.iter().zip(lens).zip(whole).zip(times) {
            lens.sort_unstable();
            codecs.push(Figures {
                codec: way.name(),
                bytes_median: at(&lens, 50),
                bytes_mean: lens.iter().sum::<usize>() / lens.len().max(1),
                bytes_p99: at(&lens, 99),
                whole,
                make_ns: median(times.iter().map(|(make, _)| *make)),
                apply_ns: median(times.iter().map(|(_, apply)| *apply)),
            });
        }
        let mut bytes: Vec<usize> = views.iter().map(Vec::len).collect();
        bytes.sort_unstable();
        Self {
            game: story.name,
            about: story.about,
            bytes: at(&bytes, 50),
            codecs,
        }
    }
}

/// Bytes of each delta, and how many are none. Each must make its view again.
fn lengths(way: &mut dyn Way, views: &[Vec<u8>], behind: usize) -> (Vec<usize>, usize) {
    let mut whole = 0;
    let mut len = |(base, view): (&Vec<u8>, &Vec<u8>)| match way.delta(base, view) {
        Some(delta) => {
            let made = way.apply(base, &delta, view.len());
            assert_eq!(&made, view, "{} makes another view", way.name());
            delta.len()
        }
        None => {
            whole += 1;
            view.len()
        }
    };
    let lens = pairs(views, behind).map(&mut len).collect();
    (lens, whole)
}

/// Nanoseconds to make one delta and to apply one.
fn time(way: &mut dyn Way, views: &[Vec<u8>], behind: usize) -> (u64, u64) {
    let start = Instant::now();
    let deltas: Vec<_> = pairs(views, behind)
        .map(|(base, view)| black_box(way.delta(black_box(base), view)))
        .collect();
    let make = each(start, deltas.len());
    let made: Vec<_> = pairs(views, behind)
        .zip(&deltas)
        .filter_map(|((base, view), delta)| Some((base, view, delta.as_ref()?)))
        .collect();
    let start = Instant::now();
    for (base, view, delta) in &made {
        black_box(way.apply(black_box(base), delta, view.len()));
    }
    (make, each(start, made.len()))
}

fn pairs(views: &[Vec<u8>], behind: usize) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
    views.iter().zip(views.iter().skip(behind))
}

fn each(since: Instant, count: usize) -> u64 {
    let count = u128::try_from(count.max(1)).unwrap_or(1);
    u64::try_from(since.elapsed().as_nanos() / count).unwrap_or(u64::MAX)
}

/// Of sorted values, that below which so many hundredths are.
fn at(sorted: &[usize], hundredths: usize) -> usize {
    let index = sorted.len().saturating_sub(1) * hundredths / 100;
    sorted.get(index).copied().unwrap_or_default()
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
