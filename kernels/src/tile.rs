//! The innermost product: one tile of 32 output columns with a few rows of activations. Everything stays in
//! registers until the inputs of the tile are through.

use std::marker::PhantomData;

use super::{
    activations::BlockScale,
    format::{BLOCK, Codec, SUPER, Scales, TILE},
    lanes::{Kernel, Lanes},
};

/// Inputs that one `dot` step takes.
const GROUP: usize = 4;
/// How many blocks ahead of its use a weight is asked for; far enough to hide the latency of memory.
const PREFETCH_BLOCKS: usize = 6;

/// What a tile is multiplied with, and where the result goes. The pointers are valid for the rows that are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// `Format::tile_bytes` packed bytes.
    pub(super) weights: *const u8,
    /// 32 floats that the sums begin with, or null.
    pub(super) bias: *const f32,
    /// Blocks of 32 inputs.
    pub(super) blocks: usize,
    /// Rows of `blocks * 32` quantized activations.
    pub(super) quants: *const i8,
    /// Rows of `blocks` scales.
    pub(super) scales: *const BlockScale,
    /// Rows of 32 sums, `stride` floats apart.
    pub(super) to: *mut f32,
    pub(super) stride: usize,
    /// Whether the weights come from memory rather than from a cache.
    pub(super) is_first: bool,
}

/// A `Tile` times `R` rows, `V` registers of columns at a time.
pub(super) struct Micro<C, const R: usize, const V: usize> {
    tile: Tile,
    codec: PhantomData<C>,
}

impl<C: Codec, const R: usize, const V: usize> Micro<C, R, V> {
    pub(super) fn new(tile: Tile) -> Self {
        Self { tile, codec: PhantomData }
    }
}

impl<C: Codec, const R: usize, const V: usize> Kernel for Micro<C, R, V> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut first = 0;
        while first < TILE {
            // SAFETY: the tile's pointers are valid for `R` rows, and the caller has the instructions of `L`.
            unsafe { Columns::<L, C, R, V>::run(&self.tile, first) };
            first += V * L::COUNT;
        }
    }
}

/// Sums of `V` registers of columns, beginning at column `first`.
struct Columns<L: Lanes, C, const R: usize, const V: usize> {
    sums: [[L::F; V]; R],
    codec: PhantomData<C>,
}

// SAFETY of every block below: the pointers of a `Tile` are valid for `R` rows of `blocks` blocks; all offsets stay
// within a block of the tile, a row of activations or the 32 columns of a row of sums.
impl<L: Lanes, C: Codec, const R: usize, const V: usize> Columns<L, C, R, V> {
    #[inline(always)]
    unsafe fn run(tile: &Tile, first: usize) {
        unsafe {
            let start = std::array::from_fn(|v| {
                if tile.bias.is_null() { L::zero() } else { L::load(tile.bias.add(first + v * L::COUNT)) }
            });
            let mut columns = Self { sums: [start; R], codec: PhantomData };
            let (mut head, mut block) = (tile.weights, 0);
            while block < tile.blocks {
                let end = tile.blocks.min(block + SUPER);
                let mut weights = head.add(C::FORMAT.head_bytes());
                while block < end {
                    if tile.is_first {
                        Self::prefetch(weights);
                    }
                    columns.add_block(tile, head, weights, block, first);
                    weights = weights.add(C::FORMAT.block_bytes());
                    block += 1;
                }
                head = weights;
            }
            for (r, sums) in columns.sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    L::store(tile.to.add(r * tile.stride + first + v * L::COUNT), sum);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn prefetch(weights: *const u8) {
        let mut line = 0;
        while line < C::FORMAT.block_bytes() {
            // The address may lie behind the weights: it is never read, only asked for.
            unsafe { L::prefetch(weights.wrapping_add(PREFETCH_BLOCKS * C::FORMAT.block_bytes() + line)) };
            line += 64;
        }
    }

    #[inline(always)]
    unsafe fn add_block(&mut self, tile: &Tile, head: *const u8, weights: *const u8, block: usize, first: usize) {
        unsafe {
            let inputs = tile.quants.add(block * BLOCK);
            let scales: [&BlockScale; R] = std::array::from_fn(|r| &*tile.scales.add(r * tile.blocks + block));
            let row = tile.blocks * BLOCK;
            let steps = weights.add(C::FORMAT.scales_at());
            let half = |from: *const u8, at: usize| L::load_f16(from.add(2 * at).cast());
            match C::FORMAT.scales() {
                Scales::SuperSigned => {
                    let mut dots = Dots::<L, C, R, V>::begin(scales.map(|scale| scale.minus_half_sums[0]));
                    dots.first_half(weights, inputs, row, first);
                    self.add(dots.end(), scales, first, |at| L::mul(half(head, at), L::load_i8(steps.add(at))));
                    let mut dots = Dots::<L, C, R, V>::begin(scales.map(|scale| scale.minus_half_sums[1]));
                    dots.second_half(weights, inputs, row, first);
                    self.add(dots.end(), scales, first, |at| L::mul(half(head, at), L::load_i8(steps.add(TILE + at))));
                }
                kind => {
                    let mut dots = Dots::<L, C, R, V>::begin(scales.map(|scale| scale.minus_sum));
                    dots.first_half(weights, inputs, row, first);
                    dots.second_half(weights, inputs, row, first);
                    let dots = dots.end();
                    if kind == Scales::SuperAndMin {
                        self.add(dots, scales, first, |at| L::mul(half(head, at), L::load_u8(steps.add(at))));
                        let min = |at| L::mul(half(head, TILE + at), L::load_u8(steps.add(TILE + at)));
                        self.subtract_min(scales, first, min);
                    } else {
                        self.add(dots, scales, first, |at| half(steps, at));
                        if kind == Scales::HalfAndMin {
                            self.subtract_min(scales, first, |at| half(steps, TILE + at));
                        }
                    }
                }
            }
        }
    }

    /// Adds whole-number sums times both scales.
    #[inline(always)]
    unsafe fn add(
        &mut self,
        dots: [[L::I; V]; R],
        scales: [&BlockScale; R],
        first: usize,
        scale_at: impl Fn(usize) -> L::F,
    ) {
        unsafe {
            for v in 0..V {
                let weight_scale = scale_at(first + v * L::COUNT);
                for r in 0..R {
                    let scale = L::mul(weight_scale, L::splat(scales[r].scale));
                    self.sums[r][v] = L::mul_add(L::to_f(dots[r][v]), scale, self.sums[r][v]);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn subtract_min(&mut self, scales: [&BlockScale; R], first: usize, min_at: impl Fn(usize) -> L::F) {
        unsafe {
            for v in 0..V {
                let min = min_at(first + v * L::COUNT);
                for r in 0..R {
                    self.sums[r][v] = L::mul_add(min, L::splat(scales[r].minus_value_sum), self.sums[r][v]);
                }
            }
        }
    }
}

/// Whole-number sums of up to 32 products a lane.
struct Dots<L: Lanes, C, const R: usize, const V: usize> {
    part: [[L::I; V]; R],
    /// What was flushed, in tiers that are not wide.
    total: [[L::I; V]; R],
    codec: PhantomData<C>,
}

// SAFETY of every block below: as for `Columns`.
impl<L: Lanes, C: Codec, const R: usize, const V: usize> Dots<L, C, R, V> {
    /// Begins with the correction for the zero of unsigned weights.
    #[inline(always)]
    unsafe fn begin(minus_sums: [i32; R]) -> Self {
        unsafe {
            let zero = [[L::zero_i(); V]; R];
            let is_signed = C::FORMAT.is_bytes() && L::IS_SIGNED;
            let start = match C::FORMAT.zero_log2() {
                Some(log2) if !is_signed => minus_sums.map(|minus_sum| [L::splat_i(minus_sum << log2); V]),
                _ => zero,
            };
            let (part, total) = if L::IS_WIDE { (start, zero) } else { (zero, start) };
            Self { part, total, codec: PhantomData }
        }
    }

    #[inline(always)]
    unsafe fn end(self) -> [[L::I; V]; R] {
        if L::IS_WIDE { self.part } else { self.total }
    }

    #[inline(always)]
    unsafe fn first_half(&mut self, weights: *const u8, inputs: *const i8, row: usize, first: usize) {
        unsafe {
            self.step::<0>(weights, inputs, row, first);
            self.step::<1>(weights, inputs, row, first);
            self.step::<2>(weights, inputs, row, first);
            self.step::<3>(weights, inputs, row, first);
        }
    }

    #[inline(always)]
    unsafe fn second_half(&mut self, weights: *const u8, inputs: *const i8, row: usize, first: usize) {
        unsafe {
            self.step::<4>(weights, inputs, row, first);
            self.step::<5>(weights, inputs, row, first);
            self.step::<6>(weights, inputs, row, first);
            self.step::<7>(weights, inputs, row, first);
        }
    }

    /// Group `G` of four inputs.
    #[inline(always)]
    unsafe fn step<const G: usize>(&mut self, weights: *const u8, inputs: *const i8, row: usize, first: usize) {
        unsafe {
            let activations: [L::I; R] =
                std::array::from_fn(|r| L::splat_i(inputs.add(r * row + G * GROUP).cast::<i32>().read_unaligned()));
            for v in 0..V {
                let weights = Self::decode::<G>(weights, first + v * L::COUNT);
                if C::FORMAT.is_bytes() && L::IS_SIGNED {
                    let weights = L::to_signed(weights);
                    for r in 0..R {
                        self.part[r][v] = L::dot_signed(self.part[r][v], weights, activations[r]);
                    }
                } else {
                    for r in 0..R {
                        self.part[r][v] = L::dot(self.part[r][v], weights, activations[r]);
                    }
                }
            }
            // A half of a block may stand alone, so the fourth step always flushes.
            if !L::IS_WIDE && (G + 1).is_multiple_of(L::steps_before_flush(C::FORMAT.q_max()).min(4)) {
                for r in 0..R {
                    for v in 0..V {
                        self.total[r][v] = L::add_i(self.total[r][v], L::flush(self.part[r][v]));
                        self.part[r][v] = L::zero_i();
                    }
                }
            }
        }
    }

    /// The weights of group `G`, for the columns from `column` on.
    #[inline(always)]
    unsafe fn decode<const G: usize>(weights: *const u8, column: usize) -> L::I {
        unsafe {
            let (half, lane) = (column / (TILE / 2), column % (TILE / 2) * GROUP);
            let low = weights.add(half * C::FORMAT.low_bytes() / 2 + lane);
            if C::FORMAT.is_bytes() {
                return L::load_bytes(low.add(G * 64));
            }
            let low = L::select_bits(L::load_bytes(low.add(G / 2 * 64)), (G % 2 * 4) as i32, 0, 15);
            let bits = C::FORMAT.high_bits();
            if bits == 0 {
                return low;
            }
            let groups = 8 / bits;
            let high = weights.add(C::FORMAT.low_bytes() + half * 64 * bits + G / groups * 64 + lane);
            let shift = (G % groups * bits) as i32 - 4;
            let mask = ((1 << bits) - 1) << 4;
            L::or(low, L::select_bits(L::load_bytes(high), shift.max(0), (-shift).max(0), mask))
        }
    }
}
