//! What is bought together: how often two products share a basket, over how often each is bought (cosine of their
//! basket lists). Learns from each basket at once.

use std::collections::{HashMap, HashSet};

/// Counts of products and of pairs.
#[derive(Debug, Clone, Default)]
pub struct BasketCounts {
    ids: HashMap<String, u32>,
    names: Vec<String>,
    baskets_with: Vec<f32>,
    with: Vec<HashMap<u32, f32>>,
}

impl BasketCounts {
    /// Learns one basket; a product counts once however many were bought.
    pub fn add_basket<'a>(&mut self, products: impl IntoIterator<Item = &'a str>) {
        let products: HashSet<u32> = products.into_iter().map(|product| self.id(product)).collect();
        for &product in &products {
            self.baskets_with[product as usize] += 1.0;
            let others = &mut self.with[product as usize];
            for &other in products.iter().filter(|other| **other != product) {
                *others.entry(other).or_default() += 1.0;
            }
        }
    }

    /// What goes with a basket, best first: the sum of cosines with its products, without these.
    pub fn complete<T: AsRef<str>>(&self, basket: &[T], limit: usize) -> Vec<(String, f32)> {
        let known: HashSet<u32> = basket.iter().filter_map(|product| self.ids.get(product.as_ref()).copied()).collect();
        let mut order: Vec<u32> = known.iter().copied().collect();
        // Sums of floats depend on their order; sets have none.
        order.sort_unstable();
        let mut scores: HashMap<u32, f32> = HashMap::new();
        for from in order {
            for (&to, &count) in &self.with[from as usize] {
                let norm = (self.baskets_with[from as usize] * self.baskets_with[to as usize]).sqrt();
                *scores.entry(to).or_default() += count / norm;
            }
        }
        let mut ranked: Vec<(u32, f32)> = scores.into_iter().filter(|(product, _)| !known.contains(product)).collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(limit);
        ranked.into_iter().map(|(product, score)| (self.names[product as usize].clone(), score)).collect()
    }

    fn id(&mut self, product: &str) -> u32 {
        if let Some(&id) = self.ids.get(product) {
            return id;
        }
        let id = self.names.len() as u32;
        self.ids.insert(product.to_owned(), id);
        self.names.push(product.to_owned());
        self.baskets_with.push(0.0);
        self.with.push(HashMap::new());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_always_bought_together_beats_what_everybody_buys() {
        let mut counts = BasketCounts::default();
        for basket in [["tea", "pot"], ["tea", "bag"], ["cup", "bag"], ["hat", "bag"], ["tea", "pot"]] {
            counts.add_basket(basket);
        }
        // pot: 2 of 3 tea baskets, cosine 2 / sqrt(3 * 2); bag: 1 / sqrt(3 * 3).
        let ranked = counts.complete(&["tea"], 5);
        assert_eq!(ranked[0].0, "pot");
        assert!((ranked[0].1 - 2.0 / 6_f32.sqrt()).abs() < 1e-6 && (ranked[1].1 - 1.0 / 3.0).abs() < 1e-6);
        assert!(counts.complete(&["unheard of"], 5).is_empty());
    }
}
