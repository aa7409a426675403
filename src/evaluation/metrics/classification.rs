//! Classes against classes. Classes are indices below `classes`.

use super::mean;

/// `counts[truth][prediction]`.
fn confusion(truth: &[usize], predicted: &[usize], classes: usize) -> Vec<Vec<f64>> {
    let mut counts = vec![vec![0.0; classes]; classes];
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        counts[truth][predicted] += 1.0;
    }
    counts
}

/// Share of equal entries.
pub fn accuracy(truth: &[usize], predicted: &[usize]) -> f64 {
    mean(truth.iter().zip(predicted).map(|(truth, predicted)| f64::from(u8::from(truth == predicted))))
}

/// Matthews correlation for many classes (Gorodkin 2004, `R_K`). 0 when all predictions, or all truths, are one class.
pub fn matthews(truth: &[usize], predicted: &[usize], classes: usize) -> f64 {
    let counts = confusion(truth, predicted, classes);
    let total = truth.len() as f64;
    let right: f64 = (0..classes).map(|class| counts[class][class]).sum();
    let truths: Vec<f64> = counts.iter().map(|row| row.iter().sum()).collect();
    let guesses: Vec<f64> = (0..classes).map(|class| counts.iter().map(|row| row[class]).sum()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let covariance = right * total - dot(&truths, &guesses);
    let spread = (total * total - dot(&guesses, &guesses)) * (total * total - dot(&truths, &truths));
    if spread > 0.0 { covariance / spread.sqrt() } else { 0.0 }
}

/// F1 of each class that occurs among the truths or the predictions; `None` for the others.
pub fn f1_by_class(truth: &[usize], predicted: &[usize], classes: usize) -> Vec<Option<f64>> {
    let counts = confusion(truth, predicted, classes);
    (0..classes)
        .map(|class| {
            let hits = counts[class][class];
            let truths: f64 = counts[class].iter().sum();
            let guesses: f64 = counts.iter().map(|row| row[class]).sum();
            (truths + guesses > 0.0).then(|| 2.0 * hits / (truths + guesses))
        })
        .collect()
}

/// Mean F1 over the classes that occur.
pub fn macro_f1(truth: &[usize], predicted: &[usize], classes: usize) -> f64 {
    mean(f1_by_class(truth, predicted, classes).into_iter().flatten())
}

/// Mean negative log probability of the truth, in nats; probabilities are kept from 0.
pub fn log_loss(truth: &[usize], probabilities: &[Vec<f32>]) -> f64 {
    mean(truth.iter().zip(probabilities).map(|(truth, row)| -f64::from(row[*truth]).max(1e-9).ln()))
}

/// F with recall counting `beta` times as much as precision. 0 without a hit.
pub fn f_beta(hits: f64, found: f64, wanted: f64, beta: f64) -> f64 {
    let squared = beta * beta;
    let total = squared * wanted + found;
    if total > 0.0 { (1.0 + squared) * hits / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn two_classes_by_hand() {
        // 6 true positives, 3 true negatives, 1 false positive, 2 false negatives.
        let truth = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1];
        let predicted = [1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0];
        near(accuracy(&truth, &predicted), 9.0 / 12.0);
        near(matthews(&truth, &predicted, 2), (6.0 * 3.0 - 1.0 * 2.0) / f64::sqrt(7.0 * 8.0 * 4.0 * 5.0));
        near(f1_by_class(&truth, &predicted, 2)[1].unwrap(), 12.0 / 15.0);
        near(macro_f1(&truth, &predicted, 2), f64::midpoint(12.0 / 15.0, 6.0 / 9.0));
    }

    #[test]
    fn three_classes_by_hand() {
        let (truth, predicted) = ([0, 1, 2, 2], [0, 2, 2, 2]);
        // right 3 of 4; truths 1 1 2, guesses 1 0 3: (12 - 7) / sqrt((16 - 10) (16 - 6)).
        near(matthews(&truth, &predicted, 3), 5.0 / f64::sqrt(60.0));
        near(matthews(&truth, &truth, 3), 1.0);
        near(matthews(&truth, &[1; 4], 3), 0.0);
        // A class that never occurs does not count.
        near(macro_f1(&truth, &truth, 9), 1.0);
    }

    #[test]
    fn log_loss_by_hand() {
        near(log_loss(&[0, 1], &[vec![0.5, 0.5], vec![0.75, 0.25]]), f64::midpoint(2_f64.ln(), 4_f64.ln()));
        assert!(log_loss(&[0], &[vec![0.0, 1.0]]).is_finite());
    }

    #[test]
    fn f_beta_by_hand() {
        // Precision 1/2, recall 1/4: F1 = 1/3, F2 = 5 * 1 / (4 * 4 + 2).
        near(f_beta(1.0, 2.0, 4.0, 1.0), 1.0 / 3.0);
        near(f_beta(1.0, 2.0, 4.0, 2.0), 5.0 / 18.0);
        near(f_beta(0.0, 0.0, 0.0, 1.0), 0.0);
    }
}
