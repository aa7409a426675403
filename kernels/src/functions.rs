//! Functions between the linear layers, on rows of a multiple of 32 floats.

use super::{
    Processor, Tier,
    format::BLOCK,
    lanes::{Kernel, Lanes, ROUND},
};

/// Fewer floats than this are not worth a second thread.
const FLOATS_A_PART: usize = 8192;

/// e^x, within 3e-6 of it; 0 and infinity come out as very small and very large numbers.
///
/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(x: L::F) -> L::F {
    // 2^n * 2^f with f from -0.5 to 0.5, where the powers of f come from the series of the exponential function.
    const LN_2: f32 = std::f32::consts::LN_2;
    const COEFFICIENTS: [f32; 5] = [0.009_618_13, 0.055_504_11, 0.240_226_5, LN_2, 1.0];
    // SAFETY: the caller has the instructions.
    unsafe {
        let limit = |value: f32| L::splat(value);
        let power = L::max(L::min(L::mul(x, L::splat(std::f32::consts::LOG2_E)), limit(126.0)), limit(-126.0));
        let shifted = L::add(power, L::splat(ROUND));
        let fraction = L::sub(power, L::sub(shifted, L::splat(ROUND)));
        let mut sum = L::splat(0.001_333_36);
        for coefficient in COEFFICIENTS {
            sum = L::mul_add(sum, fraction, L::splat(coefficient));
        }
        L::mul(sum, L::power_of_two(shifted))
    }
}

/// The sum of all lanes.
///
/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn sum<L: Lanes>(values: L::F) -> f32 {
    let mut lanes = [0.0_f32; 16];
    // SAFETY: no tier has more than 16 lanes.
    unsafe { L::store(lanes.as_mut_ptr(), values) };
    lanes.iter().sum()
}

/// Calls `work` with pieces of whole rows, on the threads of the processor.
fn for_rows(processor: &Processor, row: usize, values: &mut [f32], work: impl Fn(Tier, usize, &mut [f32]) + Sync) {
    assert!(row.is_multiple_of(BLOCK) && values.len().is_multiple_of(row), "rows of {row}");
    let piece = (FLOATS_A_PART / row).max(1) * row;
    let tier = processor.tier();
    let pieces = values.chunks_mut(piece).enumerate();
    processor.pool().for_each(pieces, |(index, values)| work(tier, index * piece, values));
}

/// Replaces each value by its GELU (Hendrycks and Gimpel 2016), with the error function of Abramowitz and Stegun 7.1.26.
///
/// # Panics
/// When the number of values is not a multiple of 32.
pub fn gelu(processor: &Processor, values: &mut [f32]) {
    for_rows(processor, BLOCK, values, |tier, _, values| tier.run(Gelu(values)));
}

struct Gelu<'a>(&'a mut [f32]);

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        const COEFFICIENTS: [f32; 4] = [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
        for values in self.0.chunks_exact_mut(L::COUNT) {
            // SAFETY: the chunk holds `COUNT` floats; the caller has the instructions.
            unsafe {
                let x = L::load(values.as_ptr());
                let size = L::max(x, L::sub(L::zero(), x));
                let z = L::mul(size, L::splat(std::f32::consts::FRAC_1_SQRT_2));
                let t = L::inverse(L::mul_add(z, L::splat(0.327_591_1), L::splat(1.0)));
                let mut sum = L::splat(1.061_405_4);
                for coefficient in COEFFICIENTS {
                    sum = L::mul_add(sum, t, L::splat(coefficient));
                }
                let rest = L::mul(L::mul(sum, t), exp::<L>(L::sub(L::zero(), L::mul(z, z))));
                let error_function = L::sub(L::splat(1.0), rest);
                let doubled = L::mul_add(size, error_function, x);
                L::store(values.as_mut_ptr(), L::mul(doubled, L::splat(0.5)));
            }
        }
    }
}

/// `gate = silu(gate) * up`, the gated unit of Shazeer 2020.
///
/// # Panics
/// When the lengths differ or are not a multiple of 32.
pub fn silu_times(processor: &Processor, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up");
    for_rows(processor, BLOCK, gate, |tier, begin, gate| {
        let up = &up[begin..begin + gate.len()];
        tier.run(SiluTimes { gate, up });
    });
}

struct SiluTimes<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Kernel for SiluTimes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for (gate, up) in self.gate.chunks_exact_mut(L::COUNT).zip(self.up.chunks_exact(L::COUNT)) {
            // SAFETY: both chunks hold `COUNT` floats; the caller has the instructions.
            unsafe {
                let x = L::load(gate.as_ptr());
                let below = L::add(L::splat(1.0), exp::<L>(L::sub(L::zero(), x)));
                let gated = L::mul(x, L::inverse(below));
                L::store(gate.as_mut_ptr(), L::mul(gated, L::load(up.as_ptr())));
            }
        }
    }
}

/// Normalizes each row of `values` after adding `residual` to it (Ba et al. 2016): mean 0 and variance 1, then times
/// `weight` plus `bias`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn layer_norm(
    processor: &Processor,
    values: &mut [f32],
    residual: Option<&[f32]>,
    [weight, bias]: [&[f32]; 2],
    epsilon: f32,
) {
    assert!(weight.len() == bias.len() && residual.is_none_or(|residual| residual.len() == values.len()));
    for_rows(processor, weight.len(), values, |tier, begin, values| {
        let residual = residual.map(|residual| &residual[begin..begin + values.len()]);
        tier.run(LayerNorm { values, residual, weight, bias, epsilon });
    });
}

struct LayerNorm<'a> {
    values: &'a mut [f32],
    residual: Option<&'a [f32]>,
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let size = self.weight.len();
        for (index, row) in self.values.chunks_exact_mut(size).enumerate() {
            let residual = self.residual.map(|residual| &residual[index * size..][..size]);
            // SAFETY: all slices have `size` floats, a multiple of `COUNT`; the caller has the instructions.
            unsafe {
                let mut total = L::zero();
                for at in (0..size).step_by(L::COUNT) {
                    let to = row.as_mut_ptr().add(at);
                    if let Some(residual) = residual {
                        L::store(to, L::add(L::load(to), L::load(residual.as_ptr().add(at))));
                    }
                    total = L::add(total, L::load(to));
                }
                let mean = L::splat(sum::<L>(total) / size as f32);
                let mut squares = L::zero();
                for at in (0..size).step_by(L::COUNT) {
                    let centred = L::sub(L::load(row.as_ptr().add(at)), mean);
                    squares = L::mul_add(centred, centred, squares);
                }
                let scale = L::splat(1.0 / (sum::<L>(squares) / size as f32 + self.epsilon).sqrt());
                for at in (0..size).step_by(L::COUNT) {
                    let to = row.as_mut_ptr().add(at);
                    let normal = L::mul(L::sub(L::load(to), mean), scale);
                    let bias = L::load(self.bias.as_ptr().add(at));
                    L::store(to, L::mul_add(normal, L::load(self.weight.as_ptr().add(at)), bias));
                }
            }
        }
    }
}

/// Adds `delta` to the rows of `values` and writes them, scaled to mean square 1 and times `weight`, into `to`
/// (Zhang and Sennrich 2019).
///
/// # Panics
/// When the lengths do not fit together.
pub fn rms_norm(
    processor: &Processor,
    values: &mut [f32],
    delta: Option<&[f32]>,
    weight: &[f32],
    epsilon: f32,
    to: &mut [f32],
) {
    let size = weight.len();
    assert!(size.is_multiple_of(BLOCK) && values.len().is_multiple_of(size), "rows of {size}");
    assert!(to.len() == values.len() && delta.is_none_or(|delta| delta.len() == values.len()));
    let piece = (FLOATS_A_PART / size).max(1) * size;
    let pieces = values.chunks_mut(piece).zip(to.chunks_mut(piece)).enumerate();
    processor.pool().for_each(pieces, |(index, (values, to))| {
        let delta = delta.map(|delta| &delta[index * piece..][..values.len()]);
        processor.tier().run(RmsNorm { values, delta, weight, epsilon, to });
    });
}

struct RmsNorm<'a> {
    values: &'a mut [f32],
    delta: Option<&'a [f32]>,
    weight: &'a [f32],
    epsilon: f32,
    to: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let size = self.weight.len();
        let rows = self.values.chunks_exact_mut(size).zip(self.to.chunks_exact_mut(size));
        for (index, (row, to)) in rows.enumerate() {
            let delta = self.delta.map(|delta| &delta[index * size..][..size]);
            // SAFETY: all slices have `size` floats, a multiple of `COUNT`; the caller has the instructions.
            unsafe {
                let mut squares = L::zero();
                for at in (0..size).step_by(L::COUNT) {
                    let mut x = L::load(row.as_ptr().add(at));
                    if let Some(delta) = delta {
                        x = L::add(x, L::load(delta.as_ptr().add(at)));
                        L::store(row.as_mut_ptr().add(at), x);
                    }
                    squares = L::mul_add(x, x, squares);
                }
                let scale = L::splat(1.0 / (sum::<L>(squares) / size as f32 + self.epsilon).sqrt());
                for at in (0..size).step_by(L::COUNT) {
                    let scaled = L::mul(L::load(row.as_ptr().add(at)), scale);
                    L::store(to.as_mut_ptr().add(at), L::mul(scaled, L::load(self.weight.as_ptr().add(at))));
                }
            }
        }
    }
}

/// The natural logarithm of the sum of e^x over each row of `size` floats.
///
/// # Panics
/// When `values` does not hold whole rows.
pub fn log_sum_exp(processor: &Processor, values: &[f32], size: usize) -> Vec<f32> {
    assert!(size > 0 && values.len().is_multiple_of(size), "rows of {size}");
    let mut sums = vec![0.0; values.len() / size];
    let rows = sums.iter_mut().zip(values.chunks_exact(size));
    processor.pool().for_each(rows, |(sum, row)| *sum = processor.tier().run(LogSumExp(row)));
    sums
}

struct LogSumExp<'a>(&'a [f32]);

impl Kernel for LogSumExp<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        let chunks = self.0.chunks_exact(L::COUNT);
        let rest = chunks.remainder();
        let mut lanes = [f32::MIN; 16];
        // SAFETY: chunks hold `COUNT` floats, and no tier has more than 16; the caller has the instructions.
        unsafe {
            let mut largest = L::splat(f32::MIN);
            for values in chunks.clone() {
                largest = L::max(L::load(values.as_ptr()), largest);
            }
            L::store(lanes.as_mut_ptr(), largest);
            let largest = lanes.iter().chain(rest).copied().fold(f32::MIN, f32::max);
            let mut total = L::zero();
            for values in chunks {
                total = L::add(total, exp::<L>(L::sub(L::load(values.as_ptr()), L::splat(largest))));
            }
            let rest: f32 = rest.iter().map(|value| (value - largest).exp()).sum();
            largest + (sum::<L>(total) + rest).ln()
        }
    }
}
