//! Binary logistic regression for a handful of features: weighted examples, an L2 penalty on standardised features, Newton's
//! method.

/// Steps; a handful is mostly enough.
const STEPS_MAX: usize = 50;
/// Smaller steps change no figure.
const STEP_MIN: f64 = 1e-9;

/// A row of features with its label and how much it counts.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Features; all examples have as many.
    pub features: &'a [f32],
    /// The label.
    pub is_positive: bool,
    /// How much it counts, beside the others.
    pub weight: f32,
}

/// Mean and standard deviation of each feature.
#[derive(Debug, Clone)]
pub struct Standard {
    pub(super) mean: Vec<f64>,
    /// One over the standard deviation.
    scale: Vec<f64>,
}

impl Standard {
    /// Of these examples.
    ///
    /// # Errors
    /// Examples of only one label, or of different lengths.
    pub fn of(examples: &[Example<'_>]) -> anyhow::Result<Self> {
        let width = examples.first().map_or(0, |example| example.features.len());
        let both = [true, false].iter().all(|label| examples.iter().any(|example| example.is_positive == *label));
        anyhow::ensure!(both, "passages that answer and such that do not are needed to tell them apart");
        anyhow::ensure!(examples.iter().all(|example| example.features.len() == width), "rows of different lengths");
        let count = examples.len() as f64;
        let (mut mean, mut scale) = (vec![0.0; width], vec![0.0; width]);
        for example in examples {
            mean.iter_mut().zip(example.features).for_each(|(sum, value)| *sum += f64::from(*value) / count);
        }
        for example in examples {
            let values = example.features.iter().zip(&mean);
            scale.iter_mut().zip(values).for_each(|(sum, (value, mean))| {
                *sum += (f64::from(*value) - mean).powi(2) / count;
            });
        }
        for variance in &mut scale {
            *variance = 1.0 / (variance.sqrt() + 1e-6);
        }
        Ok(Self { mean, scale })
    }

    /// A row with mean nought and standard deviation one.
    pub fn of_row<'a>(&'a self, features: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let scales = self.mean.iter().zip(&self.scale);
        features.iter().zip(scales).map(|(value, (mean, scale))| ((f64::from(*value) - mean) * scale) as f32)
    }

    /// Weights and bias for features as they are, from those for standardised ones.
    pub fn fold(&self, weights: &mut [f32], bias: &mut f32) {
        let mut shift = 0.0;
        for ((weight, mean), scale) in weights.iter_mut().zip(&self.mean).zip(&self.scale) {
            let raw = f64::from(*weight) * scale;
            shift += raw * mean;
            *weight = raw as f32;
        }
        *bias = (f64::from(*bias) - shift) as f32;
    }
}

/// Log odds are `bias + weights . features`.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    /// Log odds of a row of noughts.
    pub bias: f32,
    /// One a feature.
    pub weights: Vec<f32>,
}

impl Logistic {
    /// Minimises the weighted sum of the log loss plus `l2` times the squared weights of the standardised features.
    ///
    /// # Errors
    /// Examples of only one label, or of different lengths.
    pub fn fit(examples: &[Example<'_>], l2: f64) -> anyhow::Result<Self> {
        let standard = Standard::of(examples)?;
        let width = standard.mean.len();
        let rows: Vec<Vec<f64>> = examples
            .iter()
            .map(|example| standard.of_row(example.features).map(f64::from).chain([1.0]).collect())
            .collect();
        let mut parameters = vec![0.0; width + 1];
        for _ in 0..STEPS_MAX {
            let mut gradient: Vec<f64> = parameters.iter().map(|weight| 2.0 * l2 * weight).collect();
            gradient[width] = 0.0;
            let mut curvature = vec![vec![0.0; width + 1]; width + 1];
            for (at, row) in curvature.iter_mut().enumerate().take(width) {
                row[at] = 2.0 * l2;
            }
            for (row, example) in rows.iter().zip(examples) {
                let log_odds: f64 = row.iter().zip(&parameters).map(|(value, weight)| value * weight).sum();
                let probability = 1.0 / (1.0 + (-log_odds).exp());
                let (weight, label) = (f64::from(example.weight), f64::from(u8::from(example.is_positive)));
                // Never quite flat, so that a step is never endless.
                let bend = weight * (probability * (1.0 - probability)).max(1e-6);
                for (at, value) in row.iter().enumerate() {
                    gradient[at] += weight * (probability - label) * value;
                    curvature[at].iter_mut().zip(row).for_each(|(sum, other)| *sum += bend * value * other);
                }
            }
            let step = solve(curvature, gradient);
            parameters.iter_mut().zip(&step).for_each(|(weight, step)| *weight -= step);
            if step.iter().all(|step| step.abs() < STEP_MIN) {
                break;
            }
        }
        let mut weights: Vec<f32> = parameters.iter().map(|weight| *weight as f32).collect();
        let mut bias = weights.pop().unwrap_or(0.0);
        standard.fold(&mut weights, &mut bias);
        Ok(Self { bias, weights })
    }

    /// Log odds of a row.
    pub fn log_odds(&self, features: &[f32]) -> f32 {
        self.bias + self.weights.iter().zip(features).map(|(weight, value)| weight * value).sum::<f32>()
    }
}

/// Solves `matrix x = right` for a symmetric positive definite matrix by elimination.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for at in 0..size {
        let (above, below) = matrix.split_at_mut(at + 1);
        for (offset, row) in below.iter_mut().enumerate() {
            let factor = row[at] / above[at][at];
            row.iter_mut().zip(&above[at]).for_each(|(value, other)| *value -= factor * other);
            right[at + 1 + offset] -= factor * right[at];
        }
    }
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|other| matrix[at][other] * right[other]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(rows: &[([f32; 2], bool)]) -> Vec<Example<'_>> {
        rows.iter()
            .map(|(features, is_positive)| Example { features, is_positive: *is_positive, weight: 1.0 })
            .collect()
    }

    #[test]
    fn equations_are_solved() {
        let solution = solve(vec![vec![4.0, 1.0], vec![1.0, 3.0]], vec![1.0, 2.0]);
        assert!((solution[0] - 1.0 / 11.0).abs() < 1e-12 && (solution[1] - 7.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn the_share_of_the_positive_ones_is_found() {
        let rows: Vec<([f32; 2], bool)> =
            (0_u16..400).map(|at| ([f32::from(at % 2) * 100.0, 5.0], at % 4 == 0 || at % 8 == 1)).collect();
        let fit = Logistic::fit(&examples(&rows), 1e-6).unwrap();
        let probability = |value: f32| 1.0 / (1.0 + (-fit.log_odds(&[value, 5.0])).exp());
        assert!((probability(0.0) - 0.5).abs() < 0.01, "{}", probability(0.0));
        assert!((probability(100.0) - 0.25).abs() < 0.01, "{}", probability(100.0));
    }

    #[test]
    fn the_penalty_shrinks_and_weights_count() {
        let rows = [([0.0, 0.0], false), ([1.0, 0.0], true), ([1.0, 0.0], true), ([0.0, 0.0], false)];
        let free = Logistic::fit(&examples(&rows), 0.01).unwrap();
        let held = Logistic::fit(&examples(&rows), 10.0).unwrap();
        assert!(free.weights[0] > held.weights[0] && held.weights[0] > 0.0);
        let rows = [([0.0, 0.0], true), ([0.0, 1.0], false)].repeat(2);
        let mut weighted = examples(&rows);
        weighted.iter_mut().step_by(2).for_each(|example| example.weight = 9.0);
        assert!(Logistic::fit(&weighted, 1e3).unwrap().log_odds(&[0.0, 0.5]) > 2.0);
        assert!(Logistic::fit(&examples(&[([0.0, 0.0], true)]), 1.0).is_err());
    }
}
