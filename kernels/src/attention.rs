//! Softmax attention (Vaswani et al. 2017) of a few queries at a time to the keys of one head, which may lie in
//! several runs of positions: a shared beginning and a continuation.

use super::{
    KeyValues, Processor, Tier,
    functions::{exp, sum},
    key_values::KEYS,
    lanes::{Kernel, Lanes},
};

/// Parts for each thread: a thread that was interrupted leaves the rest to others.
const PARTS_A_THREAD: usize = 4;

/// Queries that share the keys they read.
const QUERIES_MAX: usize = 8;

/// `count` vectors of one head's size, `stride` floats apart, that begin at `begin`.
#[derive(Debug, Clone, Copy)]
pub struct Queries {
    /// The first vector's first float.
    pub begin: usize,
    /// From one vector to the next.
    pub stride: usize,
    /// Number of vectors.
    pub count: usize,
}

/// Some queries and what they read: the first positions, as many as are given, of each of two runs, at head `head`.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Where the queries lie, and the results in the output.
    pub queries: Queries,
    /// Keys and values; 0 positions of one of them are allowed.
    pub runs: [(&'a KeyValues, usize); 2],
    /// Head of the keys and values.
    pub head: usize,
}

/// Softmax attention for each of `tasks`, from `queries` to the same places of `to`. Scores are multiplied with `scale`.
///
/// # Panics
/// When two tasks name the same place, a place lies outside of a slice or is not a whole vector, a run is shorter than
/// asked for, or a task reads no position at all.
pub fn attend(processor: &Processor, queries: &[f32], to: &mut [f32], tasks: &[Attention], scale: f32) {
    assert_eq!(queries.len(), to.len(), "queries and results");
    check(tasks, to.len());
    let output = Output(to.as_mut_ptr());
    let parts = tasks.len().min(processor.pool().threads() * PARTS_A_THREAD);
    processor.pool().run(parts, &|part| {
        let mut scores = Vec::new();
        for task in &tasks[tasks.len() * part / parts..tasks.len() * (part + 1) / parts] {
            // SAFETY: `check` has seen that all places lie within both slices and that no other task has them.
            unsafe { run_task(processor.tier(), queries, &output, task, scale, &mut scores) };
        }
    });
}

struct Output(*mut f32);

// SAFETY: the pointer is into a slice borrowed mutably for the whole operation, and tasks write places of their own.
unsafe impl Sync for Output {}

fn check(tasks: &[Attention], floats: usize) {
    let Some(size) = tasks.first().map(|task| task.runs[0].0.head_size()) else { return };
    let mut is_taken = vec![false; floats / size];
    for Attention { queries, runs, head } in tasks {
        assert!(queries.begin.is_multiple_of(size) && queries.stride.is_multiple_of(size), "places of attention");
        assert!(runs.iter().any(|&(_, len)| len > 0), "attention to nothing");
        for (run, len) in runs {
            assert!(*len <= run.len() && run.head_size() == size && *head < run.heads(), "runs of attention");
        }
        for index in 0..queries.count {
            let place = &mut is_taken[(queries.begin + index * queries.stride) / size];
            assert!(!std::mem::replace(place, true), "two tasks at one place");
        }
    }
}

/// # Safety
/// Every vector that the task names lies within `from`, which is as long as the output, and nobody else uses it there.
unsafe fn run_task(tier: Tier, from: &[f32], to: &Output, task: &Attention, scale: f32, scores: &mut Vec<f32>) {
    let Attention { queries, ref runs, head } = *task;
    let width = runs.iter().map(|(_, len)| len.next_multiple_of(KEYS)).sum::<usize>();
    scores.resize(scores.len().max(width * QUERIES_MAX), 0.0);
    let mut done = 0;
    while done < queries.count {
        let begin = queries.begin + done * queries.stride;
        // SAFETY: the caller vouches for the place.
        let (from, to) = unsafe { (from.as_ptr().add(begin), to.0.add(begin)) };
        let group = Group { from, to, stride: queries.stride, runs, head, scale, width, scores };
        done += match queries.count - done {
            1 => run::<1>(tier, group),
            2 => run::<2>(tier, group),
            3 | 6 => run::<3>(tier, group),
            7 => run::<7>(tier, group),
            // Two sums a query: wide registers are many enough for eight of them.
            8.. if matches!(tier, Tier::Amx | Tier::Avx512Vnni) => run::<8>(tier, group),
            _ => run::<4>(tier, group),
        };
    }
}

fn run<const R: usize>(tier: Tier, queries: Group<'_>) -> usize {
    tier.run(Attend::<R>(queries));
    R
}

/// Some queries; pointers are valid for all of them.
struct Group<'a> {
    from: *const f32,
    to: *mut f32,
    stride: usize,
    runs: &'a [(&'a KeyValues, usize); 2],
    head: usize,
    scale: f32,
    /// Scores of a query, with padding.
    width: usize,
    scores: &'a mut [f32],
}

struct Attend<'a, const R: usize>(Group<'a>);

impl<const R: usize> Kernel for Attend<'_, R> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let queries = self.0;
        // SAFETY: the caller has the instructions, `queries` are `R` at least, and `scores` has `R * width` floats.
        unsafe {
            let mut offset = 0;
            for &(run, len) in queries.runs {
                let scores = queries.scores.as_mut_ptr().add(offset);
                score::<L, R>(&queries, run.head_keys(queries.head), run.head_size(), len, scores);
                offset += len.next_multiple_of(KEYS);
            }
            let mut inverse = [0.0; R];
            for (r, inverse) in inverse.iter_mut().enumerate() {
                let scores = &mut queries.scores[r * queries.width..][..queries.width];
                *inverse = softmax::<L>(scores, queries.scale);
            }
            mix::<L, R>(&queries, inverse);
        }
    }
}

/// Dot products of the queries with `len` keys; the padding of the last block gets the lowest score.
///
/// # Safety
/// As for `Attend::run`; `to` has room for the rounded length, every `width` floats.
#[inline(always)]
unsafe fn score<L: Lanes, const R: usize>(queries: &Group<'_>, keys: &[u16], size: usize, len: usize, to: *mut f32) {
    for block in 0..len.div_ceil(KEYS) {
        let keys = keys[block * KEYS * size..(block + 1) * KEYS * size].as_ptr();
        let mut first = 0;
        while first < KEYS {
            // SAFETY: the block holds `size` rows of 32 keys; a query has `size` floats.
            unsafe {
                let mut sums = [[L::zero(); 2]; R];
                for dimension in 0..size {
                    let row = keys.add(dimension * KEYS + first);
                    let (low, high) = (L::load_f16(row), L::load_f16(row.add(L::COUNT)));
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let query = L::splat(*queries.from.add(r * queries.stride + dimension));
                        sums[0] = L::mul_add(query, low, sums[0]);
                        sums[1] = L::mul_add(query, high, sums[1]);
                    }
                }
                for (r, sums) in sums.iter().enumerate() {
                    let to = to.add(r * queries.width + block * KEYS + first);
                    L::store(to, sums[0]);
                    L::store(to.add(L::COUNT), sums[1]);
                }
            }
            first += 2 * L::COUNT;
        }
    }
    for r in 0..R {
        for padding in len..len.next_multiple_of(KEYS) {
            // SAFETY: there is room for the rounded length.
            unsafe { *to.add(r * queries.width + padding) = f32::MIN };
        }
    }
}

/// Replaces scores by e^(scale * (score - the largest)) and returns one over their sum.
///
/// # Safety
/// The processor has the instructions of `L`; the length is a multiple of 32.
#[inline(always)]
unsafe fn softmax<L: Lanes>(scores: &mut [f32], scale: f32) -> f32 {
    // SAFETY: chunks hold `COUNT` floats.
    unsafe {
        let mut lanes = [f32::MIN; 16];
        let mut largest = L::splat(f32::MIN);
        for scores in scores.chunks_exact(L::COUNT) {
            largest = L::max(largest, L::load(scores.as_ptr()));
        }
        L::store(lanes.as_mut_ptr(), largest);
        let largest = L::splat(lanes.iter().copied().fold(f32::MIN, f32::max));
        let (scale, mut total) = (L::splat(scale), L::zero());
        for scores in scores.chunks_exact_mut(L::COUNT) {
            let value = exp::<L>(L::mul(L::sub(L::load(scores.as_ptr()), largest), scale));
            L::store(scores.as_mut_ptr(), value);
            total = L::add(total, value);
        }
        1.0 / sum::<L>(total)
    }
}

/// Sums of values, weighted with the scores times `inverse`.
///
/// # Safety
/// As for `Attend::run`.
#[inline(always)]
unsafe fn mix<L: Lanes, const R: usize>(queries: &Group<'_>, inverse: [f32; R]) {
    let size = queries.runs[0].0.head_size();
    let mut first = 0;
    while first < size {
        // SAFETY: a row of values has `size` floats, a multiple of 32 and so of two registers; scores have `width`.
        unsafe {
            let mut sums = [[L::zero(); 2]; R];
            let mut scores = queries.scores.as_ptr();
            for &(run, len) in queries.runs {
                let mut row = run.head_values(queries.head).as_ptr().add(first);
                for position in 0..len {
                    let (low, high) = (L::load_f16(row), L::load_f16(row.add(L::COUNT)));
                    row = row.wrapping_add(size);
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let weight = L::splat(*scores.add(r * queries.width + position));
                        sums[0] = L::mul_add(weight, low, sums[0]);
                        sums[1] = L::mul_add(weight, high, sums[1]);
                    }
                }
                scores = scores.add(len.next_multiple_of(KEYS));
            }
            for (r, sums) in sums.iter().enumerate() {
                let (to, scale) = (queries.to.add(r * queries.stride + first), L::splat(inverse[r]));
                L::store(to, L::mul(sums[0], scale));
                L::store(to.add(L::COUNT), L::mul(sums[1], scale));
            }
        }
        first += 2 * L::COUNT;
    }
}
