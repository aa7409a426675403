//! Figures of merit, each tested against values worked out by hand.

pub mod classification;
pub mod forecasting;
pub mod ranking;

/// Mean of `values`; not a number without any.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values {
        sum += value;
        count += 1;
    }
    sum / count as f64
}

/// Ranks from 1, equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let end = start + order[start..].iter().take_while(|&&at| values[at].total_cmp(&value).is_eq()).count();
        let shared = (start + 1 + end) as f64 / 2.0;
        for &at in &order[start..end] {
            ranks[at] = shared;
        }
        start = end;
    }
    ranks
}

/// Rank correlation (Spearman 1904) of two lists of equal length; not a number when one of them is constant.
pub fn spearman(left: &[f64], right: &[f64]) -> f64 {
    let (left, right) = (ranks(left), ranks(right));
    let (left_mean, right_mean) = (mean(left.iter().copied()), mean(right.iter().copied()));
    let (mut covariance, mut left_spread, mut right_spread) = (0.0, 0.0, 0.0);
    for (a, b) in left.iter().zip(&right) {
        covariance += (a - left_mean) * (b - right_mean);
        left_spread += (a - left_mean).powi(2);
        right_spread += (b - right_mean).powi(2);
    }
    covariance / (left_spread * right_spread).sqrt()
}

/// Area under the ROC curve: how probably a positive scores above a negative, ties counting half (Mann-Whitney).
/// Not a number unless there are both.
pub fn auroc(scores: &[f64], positive: &[bool]) -> f64 {
    let ranks = ranks(scores);
    let positives = positive.iter().filter(|is| **is).count() as f64;
    let negatives = positive.len() as f64 - positives;
    let sum: f64 = ranks.iter().zip(positive).filter(|(_, is)| **is).map(|(rank, _)| rank).sum();
    (sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(&[10.0, 30.0, 10.0, 20.0]), [1.5, 4.0, 1.5, 3.0]);
    }

    #[test]
    fn spearman_by_hand() {
        // d = (0, 1, -1), so rho = 1 - 6 * 2 / (3 * 8).
        assert!((spearman(&[1.0, 2.0, 3.0], &[10.0, 30.0, 20.0]) - 0.5).abs() < 1e-12);
        assert!((spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert!(spearman(&[1.0, 1.0], &[1.0, 2.0]).is_nan());
    }

    #[test]
    fn auroc_by_hand() {
        // Pairs (positive, negative): .9>.8, .9>.1, .4<.8, .4>.1: three of four.
        assert!((auroc(&[0.9, 0.8, 0.4, 0.1], &[true, false, true, false]) - 0.75).abs() < 1e-12);
        assert!((auroc(&[0.5, 0.5], &[true, false]) - 0.5).abs() < 1e-12);
        assert!(auroc(&[0.5], &[true]).is_nan());
    }
}
