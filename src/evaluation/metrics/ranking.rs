//! Ordered results against ratings.

/// What a rating is worth at rank 0, 1, 2 …: `(2^rating - 1) / log2(rank + 2)`.
fn gain(rating: f64, rank: usize) -> f64 {
    (rating.exp2() - 1.0) / (rank as f64 + 2.0).log2()
}

/// Normalized discounted cumulative gain (Järvelin and Kekäläinen 2002) of the first `depth` results, with exponential
/// gains. `ranked` holds the rating of each result, best result first; `all` every rating there is for the query.
/// `None` when no rating is above 0.
pub fn ndcg(ranked: &[f64], all: &[f64], depth: usize) -> Option<f64> {
    let sum = |ratings: &mut dyn Iterator<Item = f64>| -> f64 {
        ratings.take(depth).enumerate().map(|(rank, rating)| gain(rating, rank)).sum()
    };
    let mut ideal = all.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = sum(&mut ideal.into_iter());
    (best > 0.0).then(|| sum(&mut ranked.iter().copied()) / best)
}

/// Share of the `wanted` results that lie among the first `depth`; `None` when none is wanted.
pub fn recall<T: PartialEq>(ranked: &[T], wanted: &[T], depth: usize) -> Option<f64> {
    let top = &ranked[..depth.min(ranked.len())];
    let found = wanted.iter().filter(|item| top.contains(item)).count();
    (!wanted.is_empty()).then(|| found as f64 / wanted.len() as f64)
}

/// nDCG of a single right result at `rank` (from 0): `1 / log2(rank + 2)`, or 0 beyond `depth` or when not found.
pub fn ndcg_of_one(rank: Option<usize>, depth: usize) -> f64 {
    rank.filter(|rank| *rank < depth).map_or(0.0, |rank| 1.0 / (rank as f64 + 2.0).log2())
}

/// 1 when the right result is among the first `depth`.
pub fn hit(rank: Option<usize>, depth: usize) -> f64 {
    f64::from(u8::from(rank.is_some_and(|rank| rank < depth)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndcg_by_hand() {
        // Gains 3 and 1 in the wrong order: (1 + 3 / log2(3)) / (3 + 1 / log2(3)).
        let log = 3_f64.log2();
        let value = ndcg(&[1.0, 2.0], &[2.0, 1.0], 10).unwrap();
        assert!((value - (1.0 + 3.0 / log) / (3.0 + 1.0 / log)).abs() < 1e-12);
        assert_eq!(ndcg(&[2.0, 0.0, 1.0], &[1.0, 2.0], 1), Some(1.0));
        assert_eq!(ndcg(&[0.0], &[0.0], 10), None);
    }

    #[test]
    fn recall_by_hand() {
        assert_eq!(recall(&["a", "b", "c"], &["a", "c", "x", "y"], 2), Some(0.25));
        assert_eq!(recall(&["a"], &[], 2), None);
    }

    #[test]
    fn one_result_by_hand() {
        assert!((ndcg_of_one(Some(1), 10) - 1.0 / 3_f64.log2()).abs() < 1e-12);
        assert!(ndcg_of_one(Some(10), 10).abs() < 1e-12 && ndcg_of_one(None, 10).abs() < 1e-12);
        assert!((hit(Some(9), 10) - 1.0).abs() < 1e-12 && hit(Some(10), 10).abs() < 1e-12);
    }
}
