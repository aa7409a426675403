//! Forecasts against what came. Lists of one series have the length of the horizon.

use super::mean;

/// Mean absolute error over the mean absolute seasonal difference of the past (Hyndman and Koehler 2006, MASE).
/// `None` when the past is shorter than a season and a step, or never changes.
pub fn mase(past: &[f64], actual: &[f64], forecast: &[f64], season: usize) -> Option<f64> {
    let scale = mean(past.iter().zip(past.get(season..)?).map(|(before, now)| (now - before).abs()));
    let error = mean(actual.iter().zip(forecast).map(|(actual, forecast)| (actual - forecast).abs()));
    (scale > 0.0).then(|| error / scale)
}

/// Symmetric mean absolute percentage error as in the M competitions, 0 to 2; two zeros are no error.
pub fn smape(actual: &[f64], forecast: &[f64]) -> f64 {
    mean(actual.iter().zip(forecast).map(|(actual, forecast)| {
        let size = actual.abs() + forecast.abs();
        if size > 0.0 { 2.0 * (actual - forecast).abs() / size } else { 0.0 }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mase_by_hand() {
        // Naive errors of the past: 2, 1, 3 (mean 2); forecast errors: 1, 3 (mean 2).
        assert_eq!(mase(&[1.0, 3.0, 2.0, 5.0], &[6.0, 4.0], &[5.0, 7.0], 1), Some(1.0));
        // Season 2: differences 1 and 2.
        assert_eq!(mase(&[1.0, 3.0, 2.0, 5.0], &[6.0], &[3.0], 2), Some(2.0));
        assert_eq!(mase(&[4.0, 4.0, 4.0], &[6.0], &[3.0], 1), None);
        assert_eq!(mase(&[4.0], &[6.0], &[3.0], 2), None);
    }

    #[test]
    fn smape_by_hand() {
        // 2 * 1 / 3 and 0.
        assert!((smape(&[1.0, 0.0], &[2.0, 0.0]) - 1.0 / 3.0).abs() < 1e-12);
    }
}
