//! What comes next: each user's last item is held out and must be found among all items (leave-one-out, full ranking,
//! seen items removed).
//!
//! Lines are `user item item …` in time order, or one `user item` a line. The counting model is the product's own; of
//! its few presets the one is taken that finds the item before the held-out one best.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{
    EvaluationError, Report, Result,
    data::word_lines,
    embeddings::progress,
    metrics::{mean, ranking},
};
use crate::recommend::counts::{CountsConfig, DirectedCounts};

const DEPTH: usize = 10;
/// Users that choose the preset.
const CHOOSING_USERS: usize = 3_000;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Sequences.
    pub train: Vec<PathBuf>,
    /// Held-out items, `user item` a line; without any, each user's last item is held out.
    pub test: Vec<PathBuf>,
    /// With a test file: fit on everything in `train`, each user's last item included.
    pub refit: bool,
}

/// Items by user, oldest first; users in the order of the file.
type Sequences = Vec<(String, Vec<String>)>;

/// Runs the suite.
pub fn run(input: &Input) -> Result<Report> {
    let [train] = input.train.as_slice() else {
        return Err(EvaluationError::Argument("recommend needs one file of sequences: --train FILE".to_owned()));
    };
    let sequences = sequences(train)?;
    let (queries, hidden) = match input.test.as_slice() {
        [] => (last_held_out(&sequences), 2),
        tests => (with_test(&sequences, tests)?, usize::from(!input.refit)),
    };
    if queries.is_empty() {
        return Err(EvaluationError::data(train, "no user has three items: nothing can be held out"));
    }
    let preset = choose(&sequences, hidden);
    let model = fit(&sequences, hidden, &preset);
    let catalogue: HashSet<&String> = sequences.iter().flat_map(|(_, items)| items).collect();
    let mut shown: HashSet<String> = HashSet::new();
    let bar = progress(queries.len(), "recommending");
    let ranks: Vec<Option<usize>> = queries
        .iter()
        .map(|(history, target)| {
            let ranked = model.rank_next(history, DEPTH);
            let rank = ranked.iter().position(|(item, _)| item == target);
            shown.extend(ranked.into_iter().map(|(item, _)| item));
            bar.inc(1);
            rank
        })
        .collect();
    bar.finish_and_clear();
    Ok(Report::new("recommend")
        .figure("ndcg_at_10", mean(ranks.iter().map(|rank| ranking::ndcg_of_one(*rank, DEPTH))))
        .figure("hr_at_10", mean(ranks.iter().map(|rank| ranking::hit(*rank, DEPTH))))
        .figure("coverage_at_10", shown.len() as f64 / catalogue.len() as f64)
        .count("users", queries.len())
        .count("items", catalogue.len())
        .count("window", preset.window)
        .figure("from_power", f64::from(preset.from_power)))
}

fn sequences(path: &Path) -> Result<Sequences> {
    let lines = word_lines(path)?;
    if let Some((number, _)) = lines.iter().find(|(_, words)| words.len() < 2) {
        return Err(EvaluationError::data(path, format!("line {number} has no item: write a user, then items")));
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut sequences = Sequences::new();
    for (_, mut words) in lines {
        let items = words.split_off(1);
        let user = words.remove(0);
        let place = *places.entry(user.clone()).or_insert_with(|| {
            sequences.push((user, Vec::new()));
            sequences.len() - 1
        });
        sequences[place].1.extend(items);
    }
    Ok(sequences)
}

/// History and target of each user with three items at least.
fn last_held_out(sequences: &Sequences) -> Vec<(Vec<String>, String)> {
    let long = sequences.iter().filter(|(_, items)| items.len() >= 3);
    long.filter_map(|(_, items)| items.split_last().map(|(last, history)| (history.to_vec(), last.clone()))).collect()
}

fn with_test(sequences: &Sequences, paths: &[PathBuf]) -> Result<Vec<(Vec<String>, String)>> {
    let histories: HashMap<&str, &Vec<String>> = sequences.iter().map(|(user, items)| (user.as_str(), items)).collect();
    let mut queries = Vec::new();
    for path in paths {
        for (number, words) in word_lines(path)? {
            let [user, item] = words.as_slice() else {
                return Err(EvaluationError::data(path, format!("line {number} is not a user and an item")));
            };
            let history = histories.get(user.as_str()).ok_or_else(|| {
                EvaluationError::data(path, format!("line {number}: the user {user:?} is not in --train"))
            })?;
            queries.push(((*history).clone(), item.clone()));
        }
    }
    Ok(queries)
}

/// Everything but the last `hidden` items of each user.
fn fit(sequences: &Sequences, hidden: usize, preset: &CountsConfig) -> DirectedCounts {
    let mut model = DirectedCounts::new(preset.clone());
    for (user, items) in sequences {
        let kept = items.len().saturating_sub(hidden);
        model.add_sequence(user, items[..kept].iter().map(String::as_str));
    }
    model.finish();
    model
}

/// The preset that best finds the last item that fitting may not see and that is not the held-out one. Where fitting
/// sees everything, one more item is hidden for choosing.
fn choose(sequences: &Sequences, hidden: usize) -> CountsConfig {
    let default = CountsConfig::default();
    let presets = [
        default.clone(),
        CountsConfig { window: 10, from_power: 1.0, ..default.clone() },
        CountsConfig { from_power: 0.75, ..default.clone() },
    ];
    let hidden = hidden.max(1);
    let step = sequences.len().div_ceil(CHOOSING_USERS).max(1);
    let queries: BTreeMap<usize, (&[String], &String)> = sequences
        .iter()
        .enumerate()
        .step_by(step)
        .filter(|(_, (_, items))| items.len() > hidden)
        .map(|(at, (_, items))| {
            let end = items.len() - hidden;
            (at, (&items[..end], &items[end]))
        })
        .collect();
    let score = |preset: &CountsConfig| {
        let model = fit(sequences, hidden, preset);
        mean(queries.values().map(|(history, target)| {
            let ranked = model.rank_next(history, DEPTH);
            ranking::ndcg_of_one(ranked.iter().position(|(item, _)| item == *target), DEPTH)
        }))
    };
    let scored = presets.into_iter().map(|preset| (score(&preset), preset));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(default, |(_, preset)| preset)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn both_forms_of_sequences_are_the_same() {
        let whole = sequences(file("1 a b c\n2 b d\n").path()).unwrap();
        let pairs = sequences(file("1 a\n1 b\n2 b\n1 c\n2 d\n").path()).unwrap();
        assert_eq!(whole, pairs);
        assert!(sequences(file("1 a\n2\n").path()).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn the_held_out_item_is_never_fitted() {
        // Only the held-out steps ever lead from b to c, so c cannot be found.
        let train = file("1 x y a b c\n2 x y a b c\n3 x y a b c\n");
        let input = Input { train: vec![train.path().to_owned()], ..Input::default() };
        let report = run(&input).unwrap();
        assert!(report.get("hr_at_10").unwrap().abs() < 1e-12);
        let test = file("1 d\n");
        let unknown = Input { test: vec![test.path().to_owned()], ..input.clone() };
        assert!(run(&unknown).is_ok());
        let stranger = file("9 d\n");
        let error = run(&Input { test: vec![stranger.path().to_owned()], ..input }).unwrap_err().to_string();
        assert!(error.contains("\"9\""), "{error}");
    }
}
