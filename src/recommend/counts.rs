//! Which product comes next: directed, decayed counts of what customers did after what. Fits in one pass, learns from
//! each event at once.
//!
//! For items at distance `gap <= window` in one customer's sequence, `C[i -> j] += gap_decay^(gap - 1)`; a candidate `j`
//! scores the sum over the latest items `i` of `age_decay^age * C[i, j] / (n_i^from_power * n_j^to_power)`.

use std::collections::{HashMap, HashSet, VecDeque};

/// How counts are made and read.
#[derive(Debug, Clone, PartialEq)]
pub struct CountsConfig {
    /// How far apart two items may stand in a sequence.
    pub window: usize,
    /// Weight lost with each step of distance.
    pub gap_decay: f32,
    /// Weight lost with each step back in the history that is completed.
    pub age_decay: f32,
    /// Exponent of the earlier item's count.
    pub from_power: f32,
    /// Exponent of the candidate's count; larger prefers rare products.
    pub to_power: f32,
    /// How many of the latest items are looked at.
    pub history: usize,
}

impl Default for CountsConfig {
    fn default() -> Self {
        Self { window: 20, gap_decay: 0.8, age_decay: 0.7, from_power: 0.5, to_power: 0.25, history: 20 }
    }
}

/// The counting model.
#[derive(Debug, Clone, Default)]
pub struct DirectedCounts {
    config: CountsConfig,
    ids: HashMap<String, u32>,
    names: Vec<String>,
    occurrences: Vec<f32>,
    /// `after[i][j]` is `C[i -> j]`.
    after: Vec<HashMap<u32, f32>>,
    /// Each customer's latest items, newest last.
    latest: HashMap<String, VecDeque<u32>>,
}

impl DirectedCounts {
    /// An empty model.
    pub fn new(config: CountsConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Learns that a customer came to an item. Events of one customer must come in time order; an item that repeats the
    /// one before it (view, cart, purchase) is one step.
    pub fn add_event(&mut self, customer: &str, item: &str) {
        let item = self.id(item);
        let latest = self.latest.entry(customer.to_owned()).or_default();
        if latest.back() == Some(&item) {
            return;
        }
        self.occurrences[item as usize] += 1.0;
        let mut weight = 1.0;
        for &earlier in latest.iter().rev() {
            if earlier != item {
                *self.after[earlier as usize].entry(item).or_default() += weight;
            }
            weight *= self.config.gap_decay;
        }
        latest.push_back(item);
        if latest.len() > self.config.window {
            latest.pop_front();
        }
    }

    /// Learns a whole sequence, oldest item first.
    pub fn add_sequence<'a>(&mut self, customer: &str, items: impl IntoIterator<Item = &'a str>) {
        for item in items {
            self.add_event(customer, item);
        }
    }

    /// Forgets which customer did what and keeps the counts.
    pub fn finish(&mut self) {
        self.latest = HashMap::new();
    }

    /// What comes after `history` (oldest first), best first, without items of the history.
    pub fn rank_next<T: AsRef<str>>(&self, history: &[T], limit: usize) -> Vec<(String, f32)> {
        let mut scores: HashMap<u32, f32> = HashMap::new();
        let mut weight = 1.0f32;
        for item in history.iter().rev().take(self.config.history) {
            if let Some(&from) = self.ids.get(item.as_ref()) {
                let from_count = self.occurrences[from as usize].max(1.0).powf(self.config.from_power);
                for (&to, &count) in &self.after[from as usize] {
                    let to_count = self.occurrences[to as usize].max(1.0).powf(self.config.to_power);
                    *scores.entry(to).or_default() += weight * count / (from_count * to_count);
                }
            }
            weight *= self.config.age_decay;
        }
        let seen: HashSet<u32> = history.iter().filter_map(|item| self.ids.get(item.as_ref()).copied()).collect();
        let mut ranked: Vec<(u32, f32)> = scores.into_iter().filter(|(item, _)| !seen.contains(item)).collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(limit);
        ranked.into_iter().map(|(item, score)| (self.names[item as usize].clone(), score)).collect()
    }

    /// Every item seen so far with its number of occurrences.
    pub fn occurrences(&self) -> impl Iterator<Item = (&str, f32)> {
        self.names.iter().map(String::as_str).zip(self.occurrences.iter().copied())
    }

    fn id(&mut self, item: &str) -> u32 {
        if let Some(&id) = self.ids.get(item) {
            return id;
        }
        let id = self.names.len() as u32;
        self.ids.insert(item.to_owned(), id);
        self.names.push(item.to_owned());
        self.occurrences.push(0.0);
        self.after.push(HashMap::new());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> DirectedCounts {
        let mut counts = DirectedCounts::new(CountsConfig::default());
        for customer in ["a", "b", "c"] {
            counts.add_sequence(customer, ["camera", "camera", "lens", "tripod"]);
        }
        counts
    }

    #[test]
    fn what_follows_directly_comes_first_and_direction_counts() {
        let counts = model();
        let next: Vec<String> = counts.rank_next(&["camera"], 5).into_iter().map(|(item, _)| item).collect();
        assert_eq!(next, ["lens", "tripod"]);
        assert!(counts.rank_next(&["tripod"], 5).is_empty(), "nothing was ever done after the tripod");
    }

    #[test]
    fn one_more_event_changes_the_ranking_at_once() {
        let mut counts = model();
        for customer in 0..9 {
            counts.add_sequence(&format!("new {customer}"), ["camera", "bag"]);
        }
        assert_eq!(counts.rank_next(&["camera"], 1)[0].0, "bag");
    }

    #[test]
    fn what_was_seen_is_not_suggested_and_strangers_are_harmless() {
        let counts = model();
        assert!(counts.rank_next(&["camera", "lens"], 5).iter().all(|(item, _)| item == "tripod"));
        assert!(counts.rank_next(&["unheard of"], 5).is_empty());
    }
}
