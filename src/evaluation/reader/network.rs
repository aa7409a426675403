//! Trains a reader's network by Adam with decoupled weight decay (Loshchilov and Hutter 2019) and dropout on its inputs
//! and units (Srivastava et al. 2014), the step rising first and falling to nought then (Smith and Topin 2018).
//! Deterministic.

use candle_core::{D, Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::logistic::{Example, Standard};
use crate::inference::Network;

/// Units of the hidden layer. The mean of several networks was no better.
const UNITS: usize = 64;
/// Passes over the examples.
const EPOCHS: usize = 8;
/// Examples a step.
const BATCH: usize = 256;
/// Largest step size, and the share of the steps until it is reached.
const LEARNING_RATE: f64 = 1e-3;
const RISING: f64 = 0.3;
/// The first step size is this part of the largest.
const FIRST: f64 = 1.0 / 25.0;
const WEIGHT_DECAY: f64 = 0.2;
/// Shares of inputs and units that are left out of a step.
const INPUTS_DROPPED: f32 = 0.2;
const UNITS_DROPPED: f32 = 0.3;
const SEED: u64 = 1;

/// Minimises the weighted mean of the log loss.
///
/// # Errors
/// No examples, examples of only one label, or of different lengths.
pub fn train(examples: &[Example<'_>]) -> anyhow::Result<Network> {
    anyhow::ensure!(!examples.is_empty(), "there are no questions with passages to learn from");
    let standard = Standard::of(examples)?;
    let (width, device) = (standard.mean.len(), &Device::Cpu);
    let mut random = StdRng::seed_from_u64(SEED);
    // Even around nought, as wide as the number of inputs allows (He et al. 2015).
    let mut start = |inputs: usize, shape: &[usize]| {
        let bound = 1.0 / (inputs as f32).sqrt();
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.random_range(-bound..bound)).collect();
        Var::from_tensor(&Tensor::from_vec(values, shape, device)?)
    };
    let (hidden, hidden_bias) = (start(width, &[width, UNITS])?, start(width, &[UNITS])?);
    let (output, bias) = (start(UNITS, &[UNITS, 1])?, start(UNITS, &[1])?);
    let parameters = vec![hidden.clone(), hidden_bias.clone(), output.clone(), bias.clone()];
    let mut optimizer = AdamW::new(parameters, ParamsAdamW { weight_decay: WEIGHT_DECAY, ..ParamsAdamW::default() })?;
    let batch = BATCH.min(examples.len());
    let steps = EPOCHS * (examples.len() / batch);
    let total: f32 = examples.iter().map(|example| example.weight).sum();
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut step = 0;
    for _ in 0..EPOCHS {
        order.shuffle(&mut random);
        for members in order.chunks_exact(batch) {
            let mut inputs = Vec::with_capacity(batch * width);
            for &member in members {
                let kept =
                    standard.of_row(examples[member].features).map(|value| value * kept(&mut random, INPUTS_DROPPED));
                inputs.extend(kept);
            }
            let labels = members.iter().map(|&member| f32::from(u8::from(examples[member].is_positive))).collect();
            let weights =
                members.iter().map(|&member| examples[member].weight * examples.len() as f32 / total).collect();
            let column = |values: Vec<f32>| Tensor::from_vec(values, (batch, 1), device);
            let (labels, weights) = (column(labels)?, column(weights)?);
            let mask: Vec<f32> = (0..batch * UNITS).map(|_| kept(&mut random, UNITS_DROPPED)).collect();
            let units =
                Tensor::from_vec(inputs, (batch, width), device)?.matmul(&hidden)?.broadcast_add(&hidden_bias)?;
            let units = (units.gelu()? * Tensor::from_vec(mask, (batch, UNITS), device)?)?;
            let logits = units.matmul(&output)?.broadcast_add(&bias)?;
            // ln(1 + e^z) - yz without overflow.
            let losses = ((logits.relu()? - (&logits * labels)?)? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
            optimizer.set_learning_rate(learning_rate(step, steps));
            optimizer.backward_step(&(losses * weights)?.mean_all()?)?;
            step += 1;
        }
    }
    // A unit's weights lie beside one another where they are used.
    let hidden: Vec<f32> = hidden.t()?.contiguous()?.flatten_all()?.to_vec1()?;
    let output = output.squeeze(D::Minus1)?.to_vec1()?;
    let mut network = Network { hidden, hidden_bias: hidden_bias.to_vec1()?, output, bias: bias.to_vec1::<f32>()?[0] };
    for (weights, bias) in network.hidden.chunks_exact_mut(width).zip(&mut network.hidden_bias) {
        standard.fold(weights, bias);
    }
    Ok(network)
}

/// What an input or a unit is multiplied by: nought, or so much that the mean stays.
fn kept(random: &mut StdRng, dropped: f32) -> f32 {
    if random.random::<f32>() < dropped { 0.0 } else { 1.0 / (1.0 - dropped) }
}

/// Rises and falls along half a cosine each.
fn learning_rate(step: usize, steps: usize) -> f64 {
    let done = step as f64 / steps.max(1) as f64;
    let (from, to, part) =
        if done < RISING { (FIRST, 1.0, done / RISING) } else { (1.0, 0.0, (done - RISING) / (1.0 - RISING)) };
    LEARNING_RATE * (to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * part).cos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_line_can_tell_apart_is_learned_and_twice_the_same() {
        let mut random = StdRng::seed_from_u64(7);
        let rows: Vec<[f32; 2]> =
            (0..6_000).map(|_| [random.random_range(4.0..6.0), random.random_range(-1.0..1.0)]).collect();
        // True where both lie on the same side of their means.
        let is_positive = |row: &[f32; 2]| (row[0] > 5.0) == (row[1] > 0.0);
        let examples: Vec<Example<'_>> =
            rows.iter().map(|row| Example { features: row, is_positive: is_positive(row), weight: 1.0 }).collect();
        let network = train(&examples).unwrap();
        let right = rows.iter().filter(|row| (network.log_odds(*row) > 0.0) == is_positive(row)).count();
        assert!(right as f32 > 0.8 * rows.len() as f32, "{right}");
        assert_eq!(train(&examples).unwrap(), network);
        assert!(train(&[]).is_err());
    }

    #[test]
    fn steps_rise_and_fall() {
        let rates: Vec<f64> = [0, 30, 99].map(|step| learning_rate(step, 100)).to_vec();
        assert!(rates[0] < rates[1] && rates[2] < rates[0], "{rates:?}");
    }
}
