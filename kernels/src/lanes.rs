//! One register of an instruction set, and what the kernels do with it. A kernel is written once over `Lanes`; each
//! tier implements the trait with its own instructions and compiles the kernel with them switched on.

use super::tile::{Tile, Weights};

/// Adding this to a float of moderate size leaves a whole number in its low bits.
pub(super) const ROUND: f32 = 12_582_912.0;

/// Work that a tier runs.
pub(super) trait Kernel {
    type Output;

    /// Must be `#[inline(always)]`, so that it is compiled into the tier's function, with the tier's instructions.
    ///
    /// # Safety
    /// The processor has the instructions of `L`.
    unsafe fn run<L: Lanes>(self) -> Self::Output;
}

/// A register of `COUNT` 32-bit lanes, or of four times as many bytes.
///
/// # Safety
/// Every function may be called only where the processor has the tier's instructions; those that take pointers read
/// or write as many values as their description says, without any alignment.
pub(super) trait Lanes: Copy + 'static {
    /// 32-bit lanes of a register.
    const COUNT: usize;
    /// Whether `dot_signed` takes 8-bit weights with their sign; else all weights are unsigned.
    const IS_SIGNED: bool;
    /// Whether a `part` of `dot` is already made of 32-bit sums, so that `flush` changes nothing.
    const IS_WIDE: bool;

    /// `COUNT` floats.
    type F: Copy;
    /// `COUNT` integers, or `4 * COUNT` bytes.
    type I: Copy;
    /// Signed weights prepared for `dot_signed`.
    type Signed: Copy;

    /// Runs a kernel compiled for this tier.
    unsafe fn dispatch<K: Kernel>(kernel: K) -> K::Output;
    /// How many of `left` activation rows the next `tile` takes.
    fn tile_rows(left: usize) -> usize;
    /// Multiplies a tile of weights with `rows` activation rows, a number that `tile_rows` gave.
    unsafe fn tile<W: Weights>(rows: usize, tile: Tile);
    /// Asks for a cache line that will be read soon; any address is allowed.
    unsafe fn prefetch(address: *const u8);

    unsafe fn zero() -> Self::F;
    unsafe fn splat(value: f32) -> Self::F;
    /// Reads `COUNT` floats.
    unsafe fn load(from: *const f32) -> Self::F;
    /// Writes `COUNT` floats.
    unsafe fn store(to: *mut f32, values: Self::F);
    /// Reads `COUNT` half floats.
    unsafe fn load_f16(from: *const u16) -> Self::F;
    /// Reads `COUNT` unsigned bytes as floats.
    unsafe fn load_u8(from: *const u8) -> Self::F;
    /// Reads `COUNT` signed bytes as floats.
    unsafe fn load_i8(from: *const u8) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the tier can.
    unsafe fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;

    /// 1 / x of numbers from 1 to 2^126, within 2^-22 of it, of the largest perhaps 0.
    unsafe fn inverse(values: Self::F) -> Self::F;
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// The largest lane.
    unsafe fn largest(values: Self::F) -> f32;
    /// Rounds to the nearest whole numbers, to even in the middle, writes them as `COUNT` signed bytes and returns them.
    /// None may be beyond 127 or -127.
    unsafe fn store_rounded(to: *mut i8, values: Self::F) -> Self::I;
    /// 2 to the power n, where `shifted` is n + 1.5 * 2^23 for whole numbers n from -126 to 127.
    unsafe fn power_of_two(shifted: Self::F) -> Self::F;

    unsafe fn zero_i() -> Self::I;
    unsafe fn splat_i(value: i32) -> Self::I;
    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I;
    /// The sum of all lanes.
    unsafe fn sum_i(values: Self::I) -> i32;
    unsafe fn to_f(values: Self::I) -> Self::F;
    /// Reads `4 * COUNT` bytes.
    unsafe fn load_bytes(from: *const u8) -> Self::I;
    /// Writes `4 * COUNT` bytes.
    unsafe fn store_bytes(to: *mut u8, bytes: Self::I);
    /// `(bytes >> right << left) & mask` in each byte; one of the shifts is 0, and the mask keeps no bit that came
    /// from a neighbour.
    unsafe fn select_bits(bytes: Self::I, right: i32, left: i32, mask: u8) -> Self::I;
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I;

    /// How many `dot` steps `part` can take before `flush`, for weights up to `weight_max`.
    fn steps_before_flush(weight_max: i32) -> usize;
    /// Adds to each lane of `part` the sum of four products, of unsigned weights (at most 127 where the tier is
    /// signed) and signed activations.
    unsafe fn dot(part: Self::I, weights: Self::I, activations: Self::I) -> Self::I;
    /// Turns weights with 128 added to each byte into signed ones.
    unsafe fn to_signed(weights: Self::I) -> Self::Signed;
    /// `dot` for 8-bit signed weights, in tiers that are signed.
    unsafe fn dot_signed(part: Self::I, weights: Self::Signed, activations: Self::I) -> Self::I;
    /// The 32-bit sums of a `part`.
    unsafe fn flush(part: Self::I) -> Self::I;
}
