//! AVX-512 with VNNI: 16 lanes.

#[allow(clippy::wildcard_imports, reason = "an instruction set has hundreds of names")]
use std::arch::x86_64::*;

use super::{
    lanes::{Kernel, Lanes, ROUND},
    tile::{Micro, Tile, Weights},
};

/// The tier `Avx512Vnni`.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

// SAFETY of every block below: the trait's caller has checked for the instructions and for the memory behind pointers.
impl Lanes for Avx512 {
    const COUNT: usize = 16;
    const IS_SIGNED: bool = false;
    const IS_WIDE: bool = true;

    type F = __m512;
    type I = __m512i;
    type Signed = __m512i;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
    unsafe fn dispatch<K: Kernel>(kernel: K) -> K::Output {
        unsafe { kernel.run::<Self>() }
    }

    fn tile_rows(left: usize) -> usize {
        match left {
            0..=3 => left,
            4 | 7 | 8 => 4,
            5 | 9 | 10 => 5,
            _ => 6,
        }
    }

    unsafe fn tile<W: Weights>(rows: usize, tile: Tile) {
        unsafe {
            match rows {
                1 => Self::dispatch(Micro::<W, 1, 2>::new(tile)),
                2 => Self::dispatch(Micro::<W, 2, 2>::new(tile)),
                3 => Self::dispatch(Micro::<W, 3, 2>::new(tile)),
                4 => Self::dispatch(Micro::<W, 4, 2>::new(tile)),
                5 => Self::dispatch(Micro::<W, 5, 2>::new(tile)),
                _ => Self::dispatch(Micro::<W, 6, 2>::new(tile)),
            }
        }
    }

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, values: __m512) {
        unsafe { _mm512_storeu_ps(to, values) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> __m512 {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn inverse(values: __m512) -> __m512 {
        // One step of Newton's method doubles the 14 right bits.
        unsafe {
            let near = _mm512_rcp14_ps(values);
            _mm512_mul_ps(near, _mm512_fnmadd_ps(values, near, _mm512_set1_ps(2.0)))
        }
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn largest(values: __m512) -> f32 {
        unsafe { _mm512_reduce_max_ps(values) }
    }

    #[inline(always)]
    unsafe fn store_rounded(to: *mut i8, values: __m512) -> __m512i {
        unsafe {
            let whole = _mm512_cvtps_epi32(values);
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(whole));
            whole
        }
    }

    #[inline(always)]
    unsafe fn power_of_two(shifted: __m512) -> __m512 {
        unsafe {
            let bias = _mm512_set1_epi32(127 - ROUND.to_bits().cast_signed());
            let exponent = _mm512_add_epi32(_mm512_castps_si512(shifted), bias);
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }

    #[inline(always)]
    unsafe fn zero_i() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn splat_i(value: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn add_i(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn sum_i(values: __m512i) -> i32 {
        unsafe { _mm512_reduce_add_epi32(values) }
    }

    #[inline(always)]
    unsafe fn to_f(values: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(values) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, bytes: __m512i) {
        unsafe { _mm512_storeu_si512(to.cast(), bytes) }
    }

    #[inline(always)]
    unsafe fn select_bits(bytes: __m512i, right: i32, left: i32, mask: u8) -> __m512i {
        // The shift counts are constants once this is inlined.
        unsafe {
            let right = _mm512_srl_epi16(bytes, _mm_cvtsi32_si128(right));
            let both = _mm512_sll_epi16(right, _mm_cvtsi32_si128(left));
            _mm512_and_si512(both, _mm512_set1_epi8(mask.cast_signed()))
        }
    }

    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn steps_before_flush(_weight_max: i32) -> usize {
        8
    }

    #[inline(always)]
    unsafe fn dot(part: __m512i, weights: __m512i, activations: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(part, weights, activations) }
    }

    #[inline(always)]
    unsafe fn to_signed(weights: __m512i) -> __m512i {
        weights
    }

    #[inline(always)]
    unsafe fn dot_signed(part: __m512i, weights: __m512i, activations: __m512i) -> __m512i {
        unsafe { Self::dot(part, weights, activations) }
    }

    #[inline(always)]
    unsafe fn flush(part: __m512i) -> __m512i {
        part
    }
}
