//! Forecasts of many series: the last steps of each are hidden, or come from a test file.
//!
//! Wide files have one series a row (its name, then its values); long files have a date column, the columns before it
//! name the series and the one after it is the value. A season counts in the MASE only with `--season`.

use std::path::{Path, PathBuf};

use super::{
    EvaluationError, Report, Result,
    data::Table,
    embeddings::progress,
    metrics::{forecasting, mean},
};
use crate::forecast::{self, Forecast};

const COVERAGE: f64 = 0.8;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The past.
    pub train: Vec<PathBuf>,
    /// What came, wide, in the order of `train`; without it the last steps of `train` are hidden.
    pub test: Vec<PathBuf>,
    /// Steps to forecast.
    pub horizon: Option<usize>,
    /// Steps in a season.
    pub season: Option<usize>,
}

/// A named list of values, oldest first.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    values: Vec<f64>,
}

/// Runs the suite.
pub fn run(input: &Input) -> Result<Report> {
    let [train] = input.train.as_slice() else {
        return Err(EvaluationError::Argument("forecast needs one file of series: --train FILE".to_owned()));
    };
    let Some(horizon) = input.horizon.filter(|horizon| *horizon > 0) else {
        return Err(EvaluationError::Argument("say how many steps to forecast: --horizon 13".to_owned()));
    };
    let season = input.season.unwrap_or(1).max(1);
    let pairs = pairs(train, &input.test, horizon)?;
    let bar = progress(pairs.len(), "forecasting");
    let forecasts: Vec<Forecast> = pairs
        .iter()
        .map(|(past, actual)| {
            bar.inc(1);
            forecast::forecast(past, actual.len(), season, COVERAGE)
        })
        .collect();
    bar.finish_and_clear();
    let figures = |values: &dyn Fn(usize) -> Vec<f64>| {
        let (mut mase, mut smape, mut error, mut total) = (Vec::new(), Vec::new(), 0.0, 0.0);
        for (at, (past, actual)) in pairs.iter().enumerate() {
            let values = values(at);
            mase.extend(forecasting::mase(past, actual, &values, season));
            smape.push(forecasting::smape(actual, &values));
            error += actual.iter().zip(&values).map(|(actual, value)| (actual - value).abs()).sum::<f64>();
            total += actual.iter().map(|actual| actual.abs()).sum::<f64>();
        }
        (mean(mase), mean(smape), error / total)
    };
    let (mase, smape, wape) = figures(&|at| forecasts[at].values.clone());
    let naive = figures(&|at| forecast::seasonal_naive(&pairs[at].0, pairs[at].1.len(), season));
    let smoothing = figures(&|at| forecast::exponential_smoothing(&pairs[at].0, pairs[at].1.len()));
    let theta = figures(&|at| forecast::theta(&pairs[at].0, pairs[at].1.len(), season));
    let inside = pairs.iter().zip(&forecasts).flat_map(|((_, actual), forecast)| {
        let bounds = forecast.low.iter().zip(&forecast.high);
        actual.iter().zip(bounds).map(|(actual, (low, high))| f64::from(u8::from(low <= actual && actual <= high)))
    });
    Ok(Report::new("forecast")
        .figure("mase", mase)
        .figure("smape", smape)
        .figure("wape", wape)
        .figure("coverage_80", mean(inside))
        .count("series", pairs.len())
        .figure("seasonal_naive_mase", naive.0)
        .figure("seasonal_naive_wape", naive.2)
        .figure("smoothing_mase", smoothing.0)
        .figure("smoothing_wape", smoothing.2)
        .figure("theta_mase", theta.0)
        .figure("theta_wape", theta.2))
}

/// Past and future of each series that is long enough.
fn pairs(train: &Path, tests: &[PathBuf], horizon: usize) -> Result<Vec<(Vec<f64>, Vec<f64>)>> {
    let all = series(train)?;
    let pairs: Vec<(Vec<f64>, Vec<f64>)> = match tests {
        [] => {
            let long = all.into_iter().filter(|series| series.values.len() >= 2 * horizon);
            long.map(|Series { mut values, .. }| {
                let future = values.split_off(values.len() - horizon);
                (values, future)
            })
            .collect()
        }
        [test, ..] => {
            let future = series(test)?;
            if future.len() != all.len() {
                let problem = format!("has {} series and {} has {}", future.len(), train.display(), all.len());
                return Err(EvaluationError::data(test, problem));
            }
            all.into_iter()
                .zip(future)
                .map(|(past, mut future)| {
                    future.values.truncate(horizon);
                    (past.values, future.values)
                })
                .collect()
        }
    };
    if pairs.is_empty() {
        return Err(EvaluationError::data(
            train,
            format!("no series has {} values: choose a smaller --horizon", 2 * horizon),
        ));
    }
    Ok(pairs)
}

fn series(path: &Path) -> Result<Vec<Series>> {
    let table = Table::read(path)?;
    match table.headers().iter().position(|name| name.eq_ignore_ascii_case("date")) {
        Some(date) => long(path, &table, date),
        None => wide(path, &table),
    }
}

fn wide(path: &Path, table: &Table) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for (at, row) in table.rows().iter().enumerate() {
        let filled = row.iter().rposition(|cell| !cell.trim().is_empty()).unwrap_or(0);
        let values = (1..=filled).map(|column| table.number(at, column)).collect::<Result<Vec<f64>>>()?;
        if values.is_empty() {
            return Err(EvaluationError::data(path, format!("row {} has no values", at + 1)));
        }
        all.push(Series { name: row[0].clone(), values });
    }
    Ok(all)
}

/// Rows of one series may stand apart; each series is in the order of its dates.
fn long(path: &Path, table: &Table, date: usize) -> Result<Vec<Series>> {
    let value = date + 1;
    if value >= table.headers().len() {
        return Err(EvaluationError::data(path, "has no column after the date: put the value there"));
    }
    let mut rows: Vec<(String, &str, f64)> = Vec::with_capacity(table.rows().len());
    for (at, row) in table.rows().iter().enumerate() {
        rows.push((row[..date].join(","), row[date].as_str(), table.number(at, value)?));
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)));
    let mut all: Vec<Series> = Vec::new();
    for (name, _, value) in rows {
        match all.last_mut() {
            Some(series) if series.name == name => series.values.push(value),
            _ => all.push(Series { name, values: vec![value] }),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> Result<Vec<Series>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        series(file.path())
    }

    #[test]
    fn long_and_wide_files_say_the_same() {
        let expected = vec![Series { name: "a,1".to_owned(), values: vec![1.0, 2.5] }];
        assert_eq!(read("shop,part,Date,sold\na,1,2010-02-12,2.5\na,1,2010-02-05,1\n").unwrap(), expected);
        assert_eq!(read("name,V1,V2,V3\n\"a,1\",1,2.5,\n").unwrap(), expected);
        assert!(read("name,V1\na,x\n").unwrap_err().to_string().contains("\"x\""));
        assert!(read("shop,date\na,2010-02-12\n").unwrap_err().to_string().contains("after the date"));
    }
}
