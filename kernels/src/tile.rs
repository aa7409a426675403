//! The innermost product: one tile of 32 output columns with a few rows of activations. Everything stays in
//! registers until the inputs of the tile are through.

use std::marker::PhantomData;

use super::{
    activations::BlockScale,
    format::{BLOCK, Codec, Format, SUPER, Scales, TILE},
    lanes::{Kernel, Lanes},
};

/// Inputs that one `dot` step takes.
const GROUP: usize = 4;
/// How many blocks ahead of its use a weight is asked for where nothing has asked for it before.
const PREFETCH_BLOCKS: usize = 6;
/// Weights are asked for a window ahead of their use, alternating between as many places of that window, each a page
/// or more: a processor follows each place by itself, and so has more of them on the way than from one place.
const PLACES: usize = 4;
/// Blocks of a window for each place.
const PLACE_BLOCKS: usize = 8;
const WINDOW: usize = PLACES * PLACE_BLOCKS;

/// Where a kernel takes weights from, as a type, so that it is compiled for each.
pub(super) trait Weights {
    /// The format of the packed weights.
    const FORMAT: Format;
    /// Whether they were unpacked before: a byte for each `q`, floats for the scales.
    const IS_UNPACKED: bool;
}

/// Packed weights, taken apart anew for every few rows.
pub(super) struct Packed<C>(PhantomData<C>);

impl<C: Codec> Weights for Packed<C> {
    const FORMAT: Format = C::FORMAT;
    const IS_UNPACKED: bool = false;
}

/// Weights that `Unpack` has taken apart once for many rows.
pub(super) struct Unpacked<C>(PhantomData<C>);

impl<C: Codec> Weights for Unpacked<C> {
    const FORMAT: Format = C::FORMAT;
    const IS_UNPACKED: bool = true;
}

/// Bytes of an unpacked block: 32 x 32 bytes in the order of `Format::Q8_0`, and two floats a column (the scale and the
/// minimum, or the scales of both halves).
pub(super) const UNPACKED_BLOCK: usize = TILE * BLOCK + 2 * 4 * TILE;

/// What a tile is multiplied with, and where the result goes. The pointers are valid for the rows that are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// `Format::tile_bytes` packed bytes, or `UNPACKED_BLOCK` for each block.
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
    /// Set where the weights come from memory rather than from a cache.
    pub(super) ahead: Option<Ahead>,
}

/// The packed weights that a thread reads one behind the other, and where among them a tile is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    pub(super) begin: *const u8,
    /// Nothing from here on is asked for.
    pub(super) end: *const u8,
    /// Blocks before the tile.
    pub(super) blocks: usize,
}

impl Ahead {
    /// Asks for the block whose turn is a window after that of block `index` of the tile, more or less.
    ///
    /// # Safety
    /// The processor has the instructions of `L`.
    #[inline(always)]
    unsafe fn prefetch<L: Lanes, W: Weights>(self, index: usize, block: Block) {
        const { assert!(PLACES.is_power_of_two() && PLACE_BLOCKS.is_power_of_two()) };
        let at = self.blocks + index;
        if at < WINDOW {
            unsafe { block.prefetch::<L, W>(PREFETCH_BLOCKS * W::FORMAT.block_bytes()) };
        }
        let (window, at) = (at / WINDOW + 1, at % WINDOW);
        let next = window * WINDOW + at % PLACES * PLACE_BLOCKS + at / PLACES;
        // A superblock's head counts as an eighth for each of its blocks.
        let bits = self.begin.wrapping_add(next * (W::FORMAT.block_bytes() + W::FORMAT.head_bytes() / SUPER));
        if bits < self.end {
            unsafe { Block { bits, ..block }.prefetch::<L, W>(0) };
        }
    }
}

/// A `Tile` times `R` rows, `V` registers of columns at a time.
pub(super) struct Micro<W, const R: usize, const V: usize> {
    tile: Tile,
    weights: PhantomData<W>,
}

impl<W: Weights, const R: usize, const V: usize> Micro<W, R, V> {
    pub(super) fn new(tile: Tile) -> Self {
        Self { tile, weights: PhantomData }
    }
}

impl<W: Weights, const R: usize, const V: usize> Kernel for Micro<W, R, V> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut first = 0;
        while first < TILE {
            // SAFETY: the tile's pointers are valid for `R` rows, and the caller has the instructions of `L`.
            unsafe { Columns::<L, W, R, V>::run(&self.tile, first) };
            first += V * L::COUNT;
        }
    }
}

/// One block of a tile's weights.
#[derive(Clone, Copy)]
struct Block {
    /// The bits of `q`.
    bits: *const u8,
    /// Its scales.
    scales: *const u8,
    /// The half floats of its superblock.
    head: *const u8,
}

// SAFETY of every block below: the pointers are into a tile of weights, and offsets stay within its block.
impl Block {
    #[inline(always)]
    unsafe fn of<W: Weights>(weights: *const u8, block: usize) -> Self {
        unsafe {
            if W::IS_UNPACKED {
                let bits = weights.add(block * UNPACKED_BLOCK);
                return Self { bits, scales: bits.add(TILE * BLOCK), head: bits };
            }
            let (at, head) = W::FORMAT.block_at(block);
            let bits = weights.add(at);
            Self { bits, scales: bits.add(W::FORMAT.scales_at()), head: weights.add(head) }
        }
    }

    /// The first or the second scale (0 or 1; the minimum where there is one) of the columns from `column` on.
    #[inline(always)]
    unsafe fn scale<L: Lanes, W: Weights>(self, which: usize, column: usize) -> L::F {
        unsafe {
            let at = which * TILE + column;
            if W::IS_UNPACKED {
                return L::load(self.scales.add(4 * at).cast());
            }
            let half = |from: *const u8, at: usize| L::load_f16(from.add(2 * at).cast());
            match W::FORMAT.scales() {
                Scales::Half | Scales::HalfAndMin => half(self.scales, at),
                Scales::SuperAndMin => L::mul(half(self.head, at), L::load_u8(self.scales.add(at))),
                Scales::SuperSigned => L::mul(half(self.head, column), L::load_i8(self.scales.add(at))),
            }
        }
    }

    /// `q` of group `G`, for the columns from `column` on.
    #[inline(always)]
    unsafe fn decode<L: Lanes, W: Weights, const G: usize>(self, column: usize) -> L::I {
        unsafe {
            let (half, lane) = (column / (TILE / 2), column % (TILE / 2) * GROUP);
            if W::IS_UNPACKED || W::FORMAT.is_bytes() {
                return L::load_bytes(self.bits.add(byte_at(G, column)));
            }
            let low = self.bits.add(half * W::FORMAT.low_bytes() / 2 + lane);
            let low = L::select_bits(L::load_bytes(low.add(G / 2 * 64)), (G % 2 * 4) as i32, 0, 15);
            let bits = W::FORMAT.high_bits();
            if bits == 0 {
                return low;
            }
            let groups = 8 / bits;
            let high = self.bits.add(W::FORMAT.low_bytes() + half * 64 * bits + G / groups * 64 + lane);
            let shift = (G % groups * bits) as i32 - 4;
            let mask = ((1 << bits) - 1) << 4;
            L::or(low, L::select_bits(L::load_bytes(high), shift.max(0), (-shift).max(0), mask))
        }
    }

    /// Asks for as many bytes as a block has, `ahead` of this one.
    #[inline(always)]
    unsafe fn prefetch<L: Lanes, W: Weights>(self, ahead: usize) {
        let mut line = 0;
        while line < W::FORMAT.block_bytes() + W::FORMAT.head_bytes() / SUPER {
            // The address may lie behind the weights: it is never read, only asked for.
            unsafe { L::prefetch(self.bits.wrapping_add(ahead + line)) };
            line += 64;
        }
    }
}

/// Where the byte of the first of the four inputs of a group lies in a block of bytes.
#[inline(always)]
fn byte_at(group: usize, column: usize) -> usize {
    column / (TILE / 2) * (TILE * BLOCK / 2) + group * 64 + column % (TILE / 2) * GROUP
}

/// Takes a tile of packed weights apart, `UNPACKED_BLOCK` bytes for each of its blocks.
pub(super) struct Unpack<C> {
    /// The packed tile.
    pub(super) from: *const u8,
    pub(super) blocks: usize,
    pub(super) to: *mut u8,
    pub(super) codec: PhantomData<C>,
}

impl<C: Codec> Kernel for Unpack<C> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for index in 0..self.blocks {
            // SAFETY: whoever made this value vouches for `blocks` blocks behind both pointers; offsets stay within one.
            unsafe {
                let block = Block::of::<Packed<C>>(self.from, index);
                block.prefetch::<L, Packed<C>>(PREFETCH_BLOCKS * C::FORMAT.block_bytes());
                let to = self.to.add(index * UNPACKED_BLOCK);
                let mut column = 0;
                while column < TILE {
                    Self::group::<L, 0>(block, to, column);
                    Self::group::<L, 1>(block, to, column);
                    Self::group::<L, 2>(block, to, column);
                    Self::group::<L, 3>(block, to, column);
                    Self::group::<L, 4>(block, to, column);
                    Self::group::<L, 5>(block, to, column);
                    Self::group::<L, 6>(block, to, column);
                    Self::group::<L, 7>(block, to, column);
                    let scales: *mut f32 = to.add(TILE * BLOCK).cast();
                    L::store(scales.add(column), block.scale::<L, Packed<C>>(0, column));
                    if C::FORMAT.has_two_scales() {
                        L::store(scales.add(TILE + column), block.scale::<L, Packed<C>>(1, column));
                    }
                    column += L::COUNT;
                }
            }
        }
    }
}

impl<C: Codec> Unpack<C> {
    /// # Safety
    /// As for the whole: both blocks exist.
    #[inline(always)]
    unsafe fn group<L: Lanes, const G: usize>(block: Block, to: *mut u8, column: usize) {
        unsafe { L::store_bytes(to.add(byte_at(G, column)), block.decode::<L, Packed<C>, G>(column)) }
    }
}

/// Sums of `V` registers of columns, beginning at column `first`.
struct Columns<L: Lanes, W, const R: usize, const V: usize> {
    sums: [[L::F; V]; R],
    weights: PhantomData<W>,
}

// SAFETY of every block below: the pointers of a `Tile` are valid for `R` rows of `blocks` blocks; all offsets stay
// within a block of the tile, a row of activations or the 32 columns of a row of sums.
impl<L: Lanes, W: Weights, const R: usize, const V: usize> Columns<L, W, R, V> {
    #[inline(always)]
    unsafe fn run(tile: &Tile, first: usize) {
        unsafe {
            let start = std::array::from_fn(|v| {
                if tile.bias.is_null() { L::zero() } else { L::load(tile.bias.add(first + v * L::COUNT)) }
            });
            let mut columns = Self { sums: [start; R], weights: PhantomData };
            for index in 0..tile.blocks {
                let block = Block::of::<W>(tile.weights, index);
                if let Some(ahead) = tile.ahead.filter(|_| first == 0 && !W::IS_UNPACKED) {
                    ahead.prefetch::<L, W>(index, block);
                }
                columns.add_block(tile, block, index, first);
            }
            for (r, sums) in columns.sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    L::store(tile.to.add(r * tile.stride + first + v * L::COUNT), sum);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn add_block(&mut self, tile: &Tile, block: Block, index: usize, first: usize) {
        unsafe {
            let inputs = tile.quants.add(index * BLOCK);
            let scales: [&BlockScale; R] = std::array::from_fn(|r| &*tile.scales.add(r * tile.blocks + index));
            let row = tile.blocks * BLOCK;
            if W::FORMAT.scales() == Scales::SuperSigned {
                let mut dots = Dots::<L, W, R, V>::begin(scales.map(|scale| scale.minus_half_sums[0]));
                dots.first_half(block, inputs, row, first);
                self.add(dots.end(), scales, first, |at| block.scale::<L, W>(0, at));
                let mut dots = Dots::<L, W, R, V>::begin(scales.map(|scale| scale.minus_half_sums[1]));
                dots.second_half(block, inputs, row, first);
                self.add(dots.end(), scales, first, |at| block.scale::<L, W>(1, at));
                return;
            }
            let mut dots = Dots::<L, W, R, V>::begin(scales.map(|scale| scale.minus_sum));
            dots.first_half(block, inputs, row, first);
            dots.second_half(block, inputs, row, first);
            self.add(dots.end(), scales, first, |at| block.scale::<L, W>(0, at));
            if W::FORMAT.has_min() {
                self.subtract_min(scales, first, |at| block.scale::<L, W>(1, at));
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
struct Dots<L: Lanes, W, const R: usize, const V: usize> {
    part: [[L::I; V]; R],
    /// What was flushed, in tiers that are not wide.
    total: [[L::I; V]; R],
    weights: PhantomData<W>,
}

// SAFETY of every block below: as for `Columns`.
impl<L: Lanes, W: Weights, const R: usize, const V: usize> Dots<L, W, R, V> {
    /// Begins with the correction for the zero of unsigned weights.
    #[inline(always)]
    unsafe fn begin(minus_sums: [i32; R]) -> Self {
        unsafe {
            let zero = [[L::zero_i(); V]; R];
            let is_signed = W::FORMAT.is_bytes() && L::IS_SIGNED;
            let start = match W::FORMAT.zero_log2() {
                Some(log2) if !is_signed => minus_sums.map(|minus_sum| [L::splat_i(minus_sum << log2); V]),
                _ => zero,
            };
            let (part, total) = if L::IS_WIDE { (start, zero) } else { (zero, start) };
            Self { part, total, weights: PhantomData }
        }
    }

    #[inline(always)]
    unsafe fn end(self) -> [[L::I; V]; R] {
        if L::IS_WIDE { self.part } else { self.total }
    }

    #[inline(always)]
    unsafe fn first_half(&mut self, block: Block, inputs: *const i8, row: usize, first: usize) {
        unsafe {
            self.step::<0>(block, inputs, row, first);
            self.step::<1>(block, inputs, row, first);
            self.step::<2>(block, inputs, row, first);
            self.step::<3>(block, inputs, row, first);
        }
    }

    #[inline(always)]
    unsafe fn second_half(&mut self, block: Block, inputs: *const i8, row: usize, first: usize) {
        unsafe {
            self.step::<4>(block, inputs, row, first);
            self.step::<5>(block, inputs, row, first);
            self.step::<6>(block, inputs, row, first);
            self.step::<7>(block, inputs, row, first);
        }
    }

    /// Group `G` of four inputs.
    #[inline(always)]
    unsafe fn step<const G: usize>(&mut self, block: Block, inputs: *const i8, row: usize, first: usize) {
        unsafe {
            let activations: [L::I; R] =
                std::array::from_fn(|r| L::splat_i(inputs.add(r * row + G * GROUP).cast::<i32>().read_unaligned()));
            for v in 0..V {
                let weights = block.decode::<L, W, G>(first + v * L::COUNT);
                if W::FORMAT.is_bytes() && L::IS_SIGNED {
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
            if !L::IS_WIDE && (G + 1).is_multiple_of(L::steps_before_flush(W::FORMAT.q_max()).min(4)) {
                for r in 0..R {
                    for v in 0..V {
                        self.total[r][v] = L::add_i(self.total[r][v], L::flush(self.part[r][v]));
                        self.part[r][v] = L::zero_i();
                    }
                }
            }
        }
    }
}
