//! Plain Rust: 8 lanes that the compiler maps to whatever the processor's baseline offers.

use std::array;

use half::f16;

use super::{
    lanes::{Kernel, Lanes, ROUND},
    tile::{Micro, Tile, Weights},
};

/// The tier `Scalar`.
#[derive(Clone, Copy)]
pub(super) struct Portable;

const COUNT: usize = 8;

// SAFETY of every block below: the trait's caller has checked the memory behind the pointers.
impl Lanes for Portable {
    const COUNT: usize = COUNT;
    const IS_SIGNED: bool = true;
    const IS_WIDE: bool = true;

    type F = [f32; COUNT];
    type I = [u32; COUNT];
    type Signed = [u32; COUNT];

    #[inline]
    unsafe fn dispatch<K: Kernel>(kernel: K) -> K::Output {
        unsafe { kernel.run::<Self>() }
    }

    fn tile_rows(left: usize) -> usize {
        if left < 4 { 1 } else { 4 }
    }

    unsafe fn tile<W: Weights>(rows: usize, tile: Tile) {
        unsafe {
            match rows {
                1 => Self::dispatch(Micro::<W, 1, 1>::new(tile)),
                _ => Self::dispatch(Micro::<W, 4, 1>::new(tile)),
            }
        }
    }

    #[inline(always)]
    unsafe fn prefetch(_address: *const u8) {}

    #[inline(always)]
    unsafe fn zero() -> [f32; COUNT] {
        [0.0; COUNT]
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; COUNT] {
        [value; COUNT]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; COUNT] {
        unsafe { from.cast::<[f32; COUNT]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, values: [f32; COUNT]) {
        unsafe { to.cast::<[f32; COUNT]>().write_unaligned(values) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> [f32; COUNT] {
        let bits = unsafe { from.cast::<[u16; COUNT]>().read_unaligned() };
        bits.map(|bits| f16::from_bits(bits).to_f32())
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> [f32; COUNT] {
        let bytes = unsafe { from.cast::<[u8; COUNT]>().read_unaligned() };
        bytes.map(f32::from)
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> [f32; COUNT] {
        let bytes = unsafe { from.cast::<[i8; COUNT]>().read_unaligned() };
        bytes.map(f32::from)
    }

    #[inline(always)]
    unsafe fn add(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    unsafe fn sub(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    unsafe fn mul_add(a: [f32; COUNT], b: [f32; COUNT], c: [f32; COUNT]) -> [f32; COUNT] {
        // Rounded twice: a fused product without the instruction is a slow library call.
        array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    unsafe fn inverse(values: [f32; COUNT]) -> [f32; COUNT] {
        values.map(f32::recip)
    }

    #[inline(always)]
    unsafe fn max(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    unsafe fn min(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        array::from_fn(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    unsafe fn largest(values: [f32; COUNT]) -> f32 {
        values.into_iter().fold(f32::MIN, |largest, value| if value > largest { value } else { largest })
    }

    #[inline(always)]
    unsafe fn store_rounded(to: *mut i8, values: [f32; COUNT]) -> [u32; COUNT] {
        // Adding 1.5 * 2^23 leaves no bits for a fraction.
        let whole = values.map(|value| (value + ROUND).to_bits().wrapping_sub(ROUND.to_bits()));
        unsafe { to.cast::<[i8; COUNT]>().write_unaligned(whole.map(|whole| whole.cast_signed() as i8)) };
        whole
    }

    #[inline(always)]
    unsafe fn power_of_two(shifted: [f32; COUNT]) -> [f32; COUNT] {
        let bias = 127_u32.wrapping_sub(ROUND.to_bits());
        shifted.map(|shifted| f32::from_bits(shifted.to_bits().wrapping_add(bias) << 23))
    }

    #[inline(always)]
    unsafe fn zero_i() -> [u32; COUNT] {
        [0; COUNT]
    }

    #[inline(always)]
    unsafe fn splat_i(value: i32) -> [u32; COUNT] {
        [value.cast_unsigned(); COUNT]
    }

    #[inline(always)]
    unsafe fn add_i(a: [u32; COUNT], b: [u32; COUNT]) -> [u32; COUNT] {
        array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    unsafe fn sum_i(values: [u32; COUNT]) -> i32 {
        values.into_iter().fold(0, u32::wrapping_add).cast_signed()
    }

    #[inline(always)]
    unsafe fn to_f(values: [u32; COUNT]) -> [f32; COUNT] {
        values.map(|value| value.cast_signed() as f32)
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> [u32; COUNT] {
        let lanes = unsafe { from.cast::<[[u8; 4]; COUNT]>().read_unaligned() };
        lanes.map(u32::from_le_bytes)
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, bytes: [u32; COUNT]) {
        unsafe { to.cast::<[[u8; 4]; COUNT]>().write_unaligned(bytes.map(u32::to_le_bytes)) }
    }

    #[inline(always)]
    unsafe fn select_bits(bytes: [u32; COUNT], right: i32, left: i32, mask: u8) -> [u32; COUNT] {
        let mask = u32::from_le_bytes([mask; 4]);
        bytes.map(|lane| (lane >> right << left) & mask)
    }

    #[inline(always)]
    unsafe fn or(a: [u32; COUNT], b: [u32; COUNT]) -> [u32; COUNT] {
        array::from_fn(|lane| a[lane] | b[lane])
    }

    #[inline(always)]
    fn steps_before_flush(_weight_max: i32) -> usize {
        8
    }

    #[inline(always)]
    unsafe fn dot(part: [u32; COUNT], weights: [u32; COUNT], activations: [u32; COUNT]) -> [u32; COUNT] {
        array::from_fn(|lane| {
            let (weights, activations) = (weights[lane].to_le_bytes(), activations[lane].to_le_bytes());
            let product = |at: usize| i32::from(weights[at].cast_signed()) * i32::from(activations[at].cast_signed());
            let sum = product(0) + product(1) + product(2) + product(3);
            part[lane].wrapping_add(sum.cast_unsigned())
        })
    }

    #[inline(always)]
    unsafe fn to_signed(weights: [u32; COUNT]) -> [u32; COUNT] {
        weights.map(|lane| lane ^ 0x8080_8080)
    }

    #[inline(always)]
    unsafe fn dot_signed(part: [u32; COUNT], weights: [u32; COUNT], activations: [u32; COUNT]) -> [u32; COUNT] {
        unsafe { Self::dot(part, weights, activations) }
    }

    #[inline(always)]
    unsafe fn flush(part: [u32; COUNT]) -> [u32; COUNT] {
        part
    }
}
