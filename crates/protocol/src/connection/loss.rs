//! The share of recent packets that were lost.

/// The fates of the last 256 packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LossHistory {
    /// A ring of bits, set for lost packets.
    lost: [u64; 4],
    next: u8,
    known: u16,
}

impl LossHistory {
    const SPAN: u16 = 256;

    pub(crate) fn push(&mut self, lost: bool) {
        let bit = 1 << (self.next % 64);
        if let Some(word) = self.lost.get_mut(usize::from(self.next / 64)) {
            *word = if lost { *word | bit } else { *word & !bit };
        }
        self.next = self.next.wrapping_add(1);
        self.known = (self.known + 1).min(Self::SPAN);
    }

    /// From 0.0 to 1.0; 0.0 before any fate is known.
    pub(crate) fn share(&self) -> f32 {
        let lost: u32 = self.lost.iter().map(|word| word.count_ones()).sum();
        let lost = u16::try_from(lost).expect("the ring has 256 bits");
        f32::from(lost) / f32::from(self.known.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_covers_the_recent_past_only() {
        let mut history = LossHistory::default();
        assert_eq!(history.share(), 0.0);
        (0..10).for_each(|index| history.push(index % 2 == 0));
        assert_eq!(history.share(), 0.5);
        (0..256).for_each(|_| history.push(false));
        assert_eq!(history.share(), 0.0);
        (0..300).for_each(|_| history.push(true));
        assert_eq!(history.share(), 1.0);
    }
}
