//! What customers did, as rankings: what is popular now, what comes next, what is bought together, what is bought again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    counts::{CountsConfig, DirectedCounts},
    index::{Catalogue, Item},
};
use crate::catalog::{EventKind, ShopEvent};

/// What customers did.
#[derive(Debug, Default)]
pub struct Habits {
    /// What comes after what.
    pub counts: DirectedCounts,
    popularity: HashMap<String, f32>,
    /// Pairs of SKUs (smaller first) -> customers who bought both.
    together: HashMap<(String, String), u32>,
    /// Categories that customers buy again.
    consumable: HashSet<String>,
}

/// Days after which an event counts half.
const HALF_LIFE_DAYS: f32 = 30.0;
/// So many customers must have bought both before this is said to be done often.
const TOGETHER_MIN: u32 = 2;

impl Habits {
    /// Reads events in any order.
    pub fn build(events: &[ShopEvent], catalogue: &Catalogue) -> Self {
        let mut ordered: Vec<&ShopEvent> = events.iter().collect();
        ordered.sort_by_key(|event| event.at);
        let Some(now) = ordered.last().map(|event| event.at) else { return Self::default() };
        let mut habits = Self { counts: DirectedCounts::new(CountsConfig::default()), ..Self::default() };
        let mut bought: BTreeMap<&str, BTreeMap<&str, BTreeSet<i64>>> = BTreeMap::new();
        for event in ordered {
            habits.counts.add_event(&event.customer_id, &event.sku);
            let weight = match event.kind {
                EventKind::View | EventKind::Click => 0.1,
                EventKind::Cart => 0.4,
                EventKind::Purchase => 1.0,
            };
            let age_days = (now - event.at).num_hours() as f32 / 24.0;
            *habits.popularity.entry(event.sku.clone()).or_default() += weight * 0.5f32.powf(age_days / HALF_LIFE_DAYS);
            if event.kind == EventKind::Purchase {
                let day = event.at.timestamp() / 86_400;
                bought.entry(&event.customer_id).or_default().entry(&event.sku).or_default().insert(day);
            }
        }
        habits.count_purchases(&bought, catalogue);
        habits
    }

    fn count_purchases(&mut self, bought: &BTreeMap<&str, BTreeMap<&str, BTreeSet<i64>>>, catalogue: &Catalogue) {
        let mut again: HashMap<&str, u32> = HashMap::new();
        for skus in bought.values() {
            let names: Vec<&str> = skus.keys().copied().take(100).collect();
            for (at, first) in names.iter().enumerate() {
                for second in &names[at + 1..] {
                    *self.together.entry(((*first).to_owned(), (*second).to_owned())).or_default() += 1;
                }
            }
            for (sku, days) in skus {
                if days.len() >= 2
                    && let Some(item) = catalogue.item(sku)
                {
                    *again.entry(item.product.category.as_str()).or_default() += 1;
                }
            }
        }
        self.consumable = again.into_iter().filter(|(_, n)| *n >= 2).map(|(category, _)| category.to_owned()).collect();
    }

    /// How much a product is in demand now, 0 when nobody touched it.
    pub fn popularity(&self, sku: &str) -> f32 {
        self.popularity.get(sku).copied().unwrap_or(0.0)
    }

    /// Whether the product is among the most wanted quarter of those anybody touched.
    pub fn is_popular(&self, sku: &str) -> bool {
        let own = self.popularity(sku);
        let above = self.popularity.values().filter(|value| **value > own).count();
        own > 0.0 && above * 4 < self.popularity.len()
    }

    /// Customers who bought both; 0 below the number at which this may be said.
    pub fn bought_together(&self, left: &str, right: &str) -> u32 {
        let (first, second) = if left < right { (left, right) } else { (right, left) };
        let count = self.together.get(&(first.to_owned(), second.to_owned())).copied().unwrap_or(0);
        if count >= TOGETHER_MIN { count } else { 0 }
    }

    /// Whether customers buy such products again and again.
    pub fn is_consumable(&self, item: &Item) -> bool {
        self.consumable.contains(&item.product.category)
    }
}

/// Dot product of two unit vectors; 0 where one is missing or of another length.
pub fn cosine(left: &[f32], right: &[f32]) -> f32 {
    if left.len() != right.len() {
        return 0.0;
    }
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// How far each product's similarity to the query stands above the catalogue's mean, in standard deviations. Cosines of
/// one encoder all lie close together; their order and distance within the catalogue carry the meaning.
pub fn z_scores(query: &[f32], items: &[Item]) -> Vec<f32> {
    let cosines: Vec<f32> = items.iter().map(|item| cosine(query, &item.embedding)).collect();
    let count = cosines.len().max(1) as f32;
    let mean = cosines.iter().sum::<f32>() / count;
    let deviation = (cosines.iter().map(|c| (c - mean).powi(2)).sum::<f32>() / count).sqrt();
    cosines.iter().map(|c| if deviation > 1e-6 { (c - mean) / deviation } else { 0.0 }).collect()
}
