//! Chooses the next token from logits: the likeliest at temperature 0, else one drawn from the likely ones.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::decoder::likeliest;

/// Tokens before the next one whose repetition is made less likely.
const RECENT_TOKENS: usize = 64;
/// Tokens less likely than this part of the likeliest one are never drawn: all of them together weigh nothing.
const LEAST_PART: f32 = 1e-7;

/// How tokens are drawn. A token has to be within each of the limits, which look at the probabilities of all tokens
/// after the temperature, so that their order does not matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token, whatever the limits.
    pub temperature: f32,
    /// Only so many of the likeliest tokens; 0 is no limit.
    pub top_k: usize,
    /// Only the smallest set of the likeliest tokens with this probability (Holtzman et al. 2019); 1 is no limit.
    pub top_p: f32,
    /// Only tokens with this part of the likeliest one's probability (Nguyen et al. 2024); 0 is no limit.
    pub min_p: f32,
    /// Divides the positive and multiplies the negative logits of the last 64 tokens (Keskar et al. 2019), before
    /// everything else; 1 changes nothing.
    pub repetition_penalty: f32,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Self = Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 };

    /// Draws at a temperature from the tokens that make up 95 % of the probability.
    pub fn at(temperature: f32) -> Self {
        Self { temperature, top_p: 0.95, ..Self::GREEDY }
    }
}

/// A sampler with its source of chance: the same seed and logits give the same tokens.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    random: StdRng,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, random: StdRng::seed_from_u64(seed) }
    }

    /// Whether it always takes the token with the largest logit.
    pub(crate) fn takes_likeliest(&self) -> bool {
        self.sampling.temperature <= 0.0 && !self.has_penalty()
    }

    fn has_penalty(&self) -> bool {
        (self.sampling.repetition_penalty - 1.0).abs() >= f32::EPSILON
    }

    /// The token that follows `context`. `logits` are finite and at least one.
    pub(crate) fn sample(&mut self, logits: &[f32], context: &[u32]) -> u32 {
        if !self.has_penalty() {
            return self.draw(logits);
        }
        let mut recent = context[context.len().saturating_sub(RECENT_TOKENS)..].to_vec();
        recent.sort_unstable();
        recent.dedup();
        let mut logits = logits.to_vec();
        for token in recent {
            if let Some(logit) = logits.get_mut(token as usize) {
                let penalty = self.sampling.repetition_penalty;
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
        self.draw(&logits)
    }

    fn draw(&mut self, logits: &[f32]) -> u32 {
        let best = likeliest(logits);
        if self.sampling.temperature <= 0.0 {
            return best;
        }
        let likely = self.likely(logits, logits[best as usize]);
        let mut rest = self.random.random::<f32>() * likely.iter().map(|(_, weight)| weight).sum::<f32>();
        let drawn = likely.iter().find(|(_, weight)| {
            rest -= weight;
            rest < 0.0
        });
        // Rounding may leave a little of the sum behind the last one.
        drawn.map_or(best, |(token, _)| *token)
    }

    /// The tokens within all limits, likeliest first, with their probabilities relative to that of the likeliest one.
    fn likely(&self, logits: &[f32], largest: f32) -> Vec<(u32, f32)> {
        let Sampling { temperature, top_k, top_p, min_p, .. } = self.sampling;
        let weight = |logit: f32| ((logit - largest) / temperature).exp();
        let weights: Vec<f32> = logits.iter().map(|&logit| weight(logit)).collect();
        let least = min_p.clamp(LEAST_PART, 1.0);
        let mut likely: Vec<(u32, f32)> = (0..).zip(weights.iter().copied()).filter(|(_, w)| *w >= least).collect();
        likely.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if top_k > 0 {
            likely.truncate(top_k);
        }
        let wanted = top_p * weights.iter().sum::<f32>();
        let mut sum = 0.0;
        let last = likely.iter().position(|(_, weight)| {
            sum += weight;
            sum >= wanted
        });
        likely.truncate(last.map_or(likely.len(), |last| last + 1));
        likely
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn draws(sampling: Sampling, logits: &[f32], context: &[u32], seed: u64, count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling, seed);
        (0..count).map(|_| sampler.sample(logits, context)).collect()
    }

    #[test]
    fn draws_have_the_frequencies_of_their_probabilities() {
        let logits = [0.0, 2.0_f32.ln(), 5.0_f32.ln()];
        let frequency = |sampling, token| {
            let drawn = draws(sampling, &logits, &[], 1, 8000);
            drawn.iter().filter(|drawn| **drawn == token).count() as f32 / 8000.0
        };
        let warm = Sampling { temperature: 1.0, ..Sampling::GREEDY };
        for (token, expected) in [(0, 1.0 / 8.0), (1, 2.0 / 8.0), (2, 5.0 / 8.0)] {
            assert!((frequency(warm, token) - expected).abs() < 0.02, "{token}");
        }
        // At half the temperature probabilities are squared.
        let cold = Sampling { temperature: 0.5, ..warm };
        assert!((frequency(cold, 2) - 25.0 / 30.0).abs() < 0.02);
        let two = Sampling { top_k: 2, ..warm };
        assert!((frequency(two, 2) - 5.0 / 7.0).abs() < 0.02);
    }

    #[test]
    fn what_was_said_lately_loses() {
        let sampling = Sampling { repetition_penalty: 1.5, ..Sampling::GREEDY };
        assert_eq!(draws(sampling, &[2.0, 2.5, -1.0], &[1], 0, 1), [0]);
        assert_eq!(draws(sampling, &[-1.0, -1.2], &[0], 0, 1), [1]);
        let long_ago = [&[1][..], &[2; RECENT_TOKENS]].concat();
        assert_eq!(draws(sampling, &[2.0, 2.5, -1.0], &long_ago, 0, 1), [1]);
    }

    proptest! {
        #[test]
        fn only_tokens_within_every_limit_are_drawn(
            logits in prop::collection::vec(-8.0..8.0_f32, 1..40), temperature in 0.1..3.0_f32, top_k in 0..6_usize,
            top_p in 0.05..1.0_f32, min_p in 0.0..0.5_f32, seed in any::<u64>(),
        ) {
            let sampling = Sampling { temperature, top_k, top_p, min_p, repetition_penalty: 1.0 };
            let drawn = draws(sampling, &logits, &[], seed, 30);
            prop_assert_eq!(&drawn, &draws(sampling, &logits, &[], seed, 30), "the same seed, the same tokens");
            let weights: Vec<f32> = logits.iter().map(|logit| (logit / temperature).exp()).collect();
            let (total, largest) = (weights.iter().sum::<f32>(), weights.iter().copied().fold(0.0, f32::max));
            let tokens: HashMap<u32, usize> = drawn.iter().map(|&token| (token, 1)).collect();
            for &token in tokens.keys() {
                let own = weights[token as usize];
                let above = || weights.iter().filter(|weight| **weight > own);
                prop_assert!(own >= min_p * largest * 0.999);
                prop_assert!(top_k == 0 || above().count() < top_k);
                prop_assert!(above().sum::<f32>() < top_p * total * 1.001);
            }
        }

        #[test]
        fn no_temperature_is_greedy_whatever_the_limits(
            logits in prop::collection::vec(-8.0..8.0_f32, 1..40), top_p in 0.0..1.0_f32, seed in any::<u64>(),
        ) {
            let sampling = Sampling { top_p, ..Sampling::GREEDY };
            prop_assert_eq!(draws(sampling, &logits, &[], seed, 1), [likeliest(&logits)]);
        }
    }
}
