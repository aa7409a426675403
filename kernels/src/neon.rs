//! 64-bit ARM with the dot product extension: 4 lanes.

#[allow(clippy::wildcard_imports, reason = "an instruction set has hundreds of names")]
use std::arch::aarch64::*;

use super::{
    lanes::{Kernel, Lanes, ROUND},
    tile::{Micro, Tile, Weights},
};

/// The tier `NeonDot`.
#[derive(Clone, Copy)]
pub(super) struct NeonDot;

// SAFETY of every block below: the trait's caller has checked for the instructions and for the memory behind pointers.
impl Lanes for NeonDot {
    const COUNT: usize = 4;
    const IS_SIGNED: bool = true;
    const IS_WIDE: bool = true;

    type F = float32x4_t;
    type I = int32x4_t;
    type Signed = int32x4_t;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dispatch<K: Kernel>(kernel: K) -> K::Output {
        unsafe { kernel.run::<Self>() }
    }

    fn tile_rows(left: usize) -> usize {
        left.min(4)
    }

    unsafe fn tile<W: Weights>(rows: usize, tile: Tile) {
        unsafe {
            match rows {
                1 => Self::dispatch(Micro::<W, 1, 4>::new(tile)),
                2 => Self::dispatch(Micro::<W, 2, 4>::new(tile)),
                3 => Self::dispatch(Micro::<W, 3, 2>::new(tile)),
                _ => Self::dispatch(Micro::<W, 4, 2>::new(tile)),
            }
        }
    }

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        // The intrinsic is not stable yet; the instruction changes nothing and allows any address.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{address}]", address = in(reg) address,
                options(nostack, preserves_flags, readonly));
        }
    }

    #[inline(always)]
    unsafe fn zero() -> float32x4_t {
        unsafe { vdupq_n_f32(0.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, values: float32x4_t) {
        unsafe { vst1q_f32(to, values) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> float32x4_t {
        unsafe {
            // Exponent and fraction move into place, and a product corrects the exponent's offset, which also turns the
            // smallest numbers right. Infinities do not occur: weights are checked when they are packed, and logits of
            // infinite keys and values would be refused.
            let bits = vmovl_u16(vld1_u16(from));
            let sign = vshlq_n_u32::<16>(vandq_u32(bits, vdupq_n_u32(0x8000)));
            let rest = vshlq_n_u32::<13>(vandq_u32(bits, vdupq_n_u32(0x7FFF)));
            let value = vmulq_n_f32(vreinterpretq_f32_u32(rest), f32::from_bits(0x7780_0000));
            vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(value), sign))
        }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> float32x4_t {
        unsafe {
            let bytes = from.cast::<[u8; 4]>().read_unaligned().map(f32::from);
            vld1q_f32(bytes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> float32x4_t {
        unsafe {
            let bytes = from.cast::<[i8; 4]>().read_unaligned().map(f32::from);
            vld1q_f32(bytes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn inverse(values: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(vdupq_n_f32(1.0), values) }
    }

    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn largest(values: float32x4_t) -> f32 {
        unsafe { vmaxvq_f32(values) }
    }

    #[inline(always)]
    unsafe fn store_rounded(to: *mut i8, values: float32x4_t) -> int32x4_t {
        unsafe {
            let whole = vcvtnq_s32_f32(values);
            let words = vqmovn_s32(whole);
            let bytes = vreinterpret_s32_s8(vqmovn_s16(vcombine_s16(words, words)));
            to.cast::<i32>().write_unaligned(vget_lane_s32::<0>(bytes));
            whole
        }
    }

    #[inline(always)]
    unsafe fn power_of_two(shifted: float32x4_t) -> float32x4_t {
        unsafe {
            let bias = vdupq_n_s32(127 - ROUND.to_bits().cast_signed());
            let exponent = vaddq_s32(vreinterpretq_s32_f32(shifted), bias);
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }
    }

    #[inline(always)]
    unsafe fn zero_i() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn splat_i(value: i32) -> int32x4_t {
        unsafe { vdupq_n_s32(value) }
    }

    #[inline(always)]
    unsafe fn add_i(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn sum_i(values: int32x4_t) -> i32 {
        unsafe { vaddvq_s32(values) }
    }

    #[inline(always)]
    unsafe fn to_f(values: int32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(values) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> int32x4_t {
        unsafe { vreinterpretq_s32_u8(vld1q_u8(from)) }
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, bytes: int32x4_t) {
        unsafe { vst1q_u8(to, vreinterpretq_u8_s32(bytes)) }
    }

    #[inline(always)]
    unsafe fn select_bits(bytes: int32x4_t, right: i32, left: i32, mask: u8) -> int32x4_t {
        unsafe {
            // A shift to the left by a negative number is one to the right.
            let shifted = vshlq_u8(vreinterpretq_u8_s32(bytes), vdupq_n_s8((left - right) as i8));
            vreinterpretq_s32_u8(vandq_u8(shifted, vdupq_n_u8(mask)))
        }
    }

    #[inline(always)]
    unsafe fn or(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vorrq_s32(a, b) }
    }

    #[inline(always)]
    fn steps_before_flush(_weight_max: i32) -> usize {
        8
    }

    #[inline(always)]
    unsafe fn dot(part: int32x4_t, weights: int32x4_t, activations: int32x4_t) -> int32x4_t {
        let mut sums = part;
        // The intrinsic is not stable yet; the instruction touches nothing but its registers.
        unsafe {
            std::arch::asm!(
                ".arch_extension dotprod",
                "sdot {sums:v}.4s, {weights:v}.16b, {activations:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                activations = in(vreg) activations,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }

    #[inline(always)]
    unsafe fn to_signed(weights: int32x4_t) -> int32x4_t {
        unsafe { veorq_s32(weights, vdupq_n_s32(0x8080_8080_u32.cast_signed())) }
    }

    #[inline(always)]
    unsafe fn dot_signed(part: int32x4_t, weights: int32x4_t, activations: int32x4_t) -> int32x4_t {
        unsafe { Self::dot(part, weights, activations) }
    }

    #[inline(always)]
    unsafe fn flush(part: int32x4_t) -> int32x4_t {
        part
    }
}
