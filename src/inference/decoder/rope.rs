//! Rotary positions (Su et al. 2021): pairs of a head's dimensions are turned by an angle that grows with the position.

use super::weights::Sizes;

/// Which two dimensions are a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    /// Neighbours, as Llama files are stored.
    Neighbours,
    /// One of the first half and its counterpart in the second.
    Halves,
}

/// Sines and cosines of the positions that were needed so far.
#[derive(Debug)]
pub(super) struct Rope {
    pairs: Pairs,
    head_size: usize,
    /// Angle of each pair at position 1.
    angles: Vec<f32>,
    /// For each position and pair: cosine and sine.
    turns: Vec<(f32, f32)>,
}

impl Rope {
    /// `factors` divide the angles, one a pair.
    pub(super) fn new(sizes: &Sizes, factors: Option<&[f32]>) -> Self {
        let half = sizes.head_size / 2;
        let angle = |pair: usize| {
            let angle = sizes.rope_base.powf(-(2.0 * pair as f32) / sizes.head_size as f32);
            angle / factors.and_then(|factors| factors.get(pair)).copied().unwrap_or(1.0)
        };
        Self {
            pairs: sizes.pairs,
            head_size: sizes.head_size,
            angles: (0..half).map(angle).collect(),
            turns: Vec::new(),
        }
    }

    /// Makes the tables reach `positions`.
    pub(super) fn grow(&mut self, positions: usize) {
        for position in self.turns.len() / self.angles.len()..positions {
            let turn = |angle: &f32| {
                let (sine, cosine) = (position as f32 * angle).sin_cos();
                (cosine, sine)
            };
            self.turns.extend(self.angles.iter().map(turn));
        }
    }

    /// Turns whole heads at `position`, which `grow` has reached.
    pub(super) fn turn(&self, position: usize, heads: &mut [f32]) {
        let half = self.angles.len();
        let turns = &self.turns[position * half..(position + 1) * half];
        for head in heads.chunks_exact_mut(self.head_size) {
            match self.pairs {
                Pairs::Halves => {
                    let (first, second) = head.split_at_mut(half);
                    for ((a, b), &turn) in first.iter_mut().zip(second).zip(turns) {
                        (*a, *b) = turned(*a, *b, turn);
                    }
                }
                Pairs::Neighbours => {
                    for ([a, b], &turn) in head.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
                        (*a, *b) = turned(*a, *b, turn);
                    }
                }
            }
        }
    }
}

fn turned(a: f32, b: f32, (cosine, sine): (f32, f32)) -> (f32, f32) {
    (a * cosine - b * sine, b * cosine + a * sine)
}
