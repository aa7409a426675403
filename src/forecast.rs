//! Demand of the coming weeks or days, by simple methods that are hard to beat: the same season a year ago, exponential
//! smoothing and the Theta method, and the median of the three.
//!
//! The interval comes from how wrong the same forecast would have been before (split conformal prediction over
//! earlier origins), so that it needs no assumption about the errors.

/// Origins in the past that the interval is taken from.
const ORIGINS: usize = 12;
/// Smoothing factors that are tried.
const ALPHAS: std::ops::RangeInclusive<u32> = 1..=19;

/// A forecast of one series; all lists have the length of the horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The most likely values.
    pub values: Vec<f64>,
    /// Lower ends of the interval.
    pub low: Vec<f64>,
    /// Upper ends of the interval.
    pub high: Vec<f64>,
}

/// The last season again; the last value again where there is no full season.
pub fn seasonal_naive(past: &[f64], horizon: usize, season: usize) -> Vec<f64> {
    let Some(last) = past.last() else { return vec![0.0; horizon] };
    let season = season.max(1);
    if past.len() < season {
        return vec![*last; horizon];
    }
    let tail = &past[past.len() - season..];
    (0..horizon).map(|step| tail[step % season]).collect()
}

/// Simple exponential smoothing with the factor that had the least squared one-step error.
pub fn exponential_smoothing(past: &[f64], horizon: usize) -> Vec<f64> {
    vec![smoothed(past).0; horizon]
}

/// The level after the last value, and the factor that led there.
fn smoothed(past: &[f64]) -> (f64, f64) {
    let Some(first) = past.first() else { return (0.0, 1.0) };
    let run = |alpha: f64| {
        past.iter().skip(1).fold((*first, 0.0), |(level, error), value| {
            let difference = value - level;
            (level + alpha * difference, error + difference * difference)
        })
    };
    let runs = ALPHAS.map(|step| f64::from(step) * 0.05).map(|alpha| (alpha, run(alpha)));
    runs.min_by(|a, b| a.1.1.total_cmp(&b.1.1)).map_or((*first, 1.0), |(alpha, (level, _))| (level, alpha))
}

/// The Theta method (Assimakopoulos and Nikolopoulos 2000) in the form of Hyndman and Billah (2003): exponential
/// smoothing with half of the linear trend. A season is taken out before and put back after, where there are two.
pub fn theta(past: &[f64], horizon: usize, season: usize) -> Vec<f64> {
    let indices = seasonal_indices(past, season);
    let season = indices.len();
    let plain: Vec<f64> = past.iter().enumerate().map(|(at, value)| value - indices[at % season]).collect();
    let slope = slope(&plain);
    let (level, alpha) = smoothed(&plain);
    let count = plain.len() as f64;
    (0..horizon)
        .map(|step| {
            let drift = slope / 2.0 * (step as f64 + (1.0 - (1.0 - alpha).powf(count)) / alpha);
            level + drift + indices[(past.len() + step) % season]
        })
        .collect()
}

/// Mean difference of each place in the season from the whole mean; a single zero without two full seasons.
fn seasonal_indices(past: &[f64], season: usize) -> Vec<f64> {
    if season < 2 || past.len() < 2 * season {
        return vec![0.0];
    }
    let mean = past.iter().sum::<f64>() / past.len() as f64;
    (0..season)
        .map(|place| {
            let own: Vec<f64> = past.iter().skip(place).step_by(season).copied().collect();
            own.iter().sum::<f64>() / own.len() as f64 - mean
        })
        .collect()
}

/// Least-squares slope per step.
fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let (mut covariance, mut spread) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        let distance = at as f64 - middle;
        covariance += distance * value;
        spread += distance * distance;
    }
    if spread > 0.0 { covariance / spread } else { 0.0 }
}

/// The median of the three methods at each step.
fn combined(past: &[f64], horizon: usize, season: usize) -> Vec<f64> {
    let methods =
        [seasonal_naive(past, horizon, season), exponential_smoothing(past, horizon), theta(past, horizon, season)];
    (0..horizon)
        .map(|step| {
            let mut values = [methods[0][step], methods[1][step], methods[2][step]];
            values.sort_by(f64::total_cmp);
            values[1]
        })
        .collect()
}

/// Forecasts `horizon` steps after `past` with an interval that holds `coverage` (0 to 1) of what comes. `season` is
/// the number of steps in a season; 1 for none.
pub fn forecast(past: &[f64], horizon: usize, season: usize, coverage: f64) -> Forecast {
    let values = combined(past, horizon, season);
    // A step further on is about as much more uncertain as the root of the distance (random walk).
    let growth = |step: usize| ((step + 1) as f64).sqrt();
    let shortest = (2 * season).max(8);
    let mut errors: Vec<f64> = (1..=ORIGINS)
        .filter_map(|back| past.len().checked_sub(back * horizon.max(1)).filter(|origin| *origin >= shortest))
        .flat_map(|origin| {
            let actual = &past[origin..(origin + horizon).min(past.len())];
            let forecast = combined(&past[..origin], actual.len(), season);
            let errors = actual.iter().zip(forecast).enumerate();
            errors.map(|(step, (actual, forecast))| (actual - forecast).abs() / growth(step)).collect::<Vec<_>>()
        })
        .collect();
    if errors.is_empty() {
        errors = past.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    }
    errors.sort_by(f64::total_cmp);
    let place = (coverage * errors.len() as f64).ceil() as usize;
    let width = errors.get(place.min(errors.len().saturating_sub(1))).copied().unwrap_or(0.0);
    let bound =
        |sign: f64| values.iter().enumerate().map(|(step, value)| value + sign * width * growth(step)).collect();
    Forecast { low: bound(-1.0), high: bound(1.0), values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_repeats() {
        assert_eq!(seasonal_naive(&[1.0, 2.0, 3.0], 4, 2), [2.0, 3.0, 2.0, 3.0]);
        assert_eq!(seasonal_naive(&[7.0], 2, 52), [7.0, 7.0]);
        let past: Vec<f64> = (0..40).map(|step| [10.0, 20.0, 30.0, 20.0][step % 4]).collect();
        let next = forecast(&past, 4, 4, 0.8);
        for (value, wanted) in next.values.iter().zip([10.0, 20.0, 30.0, 20.0]) {
            assert!((value - wanted).abs() < 1e-6, "{:?}", next.values);
        }
    }

    #[test]
    fn theta_follows_half_of_a_trend_and_smoothing_stays() {
        let past: Vec<f64> = (0..30).map(f64::from).collect();
        let next = theta(&past, 2, 1);
        assert!((next[1] - next[0] - 0.5).abs() < 1e-9);
        let flat = exponential_smoothing(&[5.0; 10], 3);
        assert_eq!(flat, [5.0, 5.0, 5.0]);
    }

    #[test]
    fn the_interval_holds_the_forecast_and_grows() {
        let past: Vec<f64> = (0..60).map(|step| f64::from(step * 37 % 11)).collect();
        let next = forecast(&past, 6, 1, 0.8);
        for step in 0..6 {
            assert!(next.low[step] <= next.values[step] && next.values[step] <= next.high[step]);
        }
        assert!(next.high[5] - next.low[5] > next.high[0] - next.low[0]);
        assert_eq!(forecast(&[], 2, 1, 0.8).values, [0.0, 0.0]);
    }
}
