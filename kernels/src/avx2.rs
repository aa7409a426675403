//! 256-bit registers: AVX2 alone, and AVX2 with the dot products of AVX-VNNI. 8 lanes.

#[allow(clippy::wildcard_imports, reason = "an instruction set has hundreds of names")]
use std::arch::x86_64::*;

use super::{
    lanes::{Kernel, Lanes, ROUND},
    tile::{Micro, Tile, Weights},
};

/// The tier `Avx2`.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// The tier `AvxVnni`.
#[derive(Clone, Copy)]
pub(super) struct AvxVnni;

/// What both tiers do alike.
macro_rules! common {
    ($features:literal) => {
        const COUNT: usize = 8;
        type F = __m256;
        type I = __m256i;

        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn dispatch<K: Kernel>(kernel: K) -> K::Output {
            unsafe { kernel.run::<Self>() }
        }

        fn tile_rows(left: usize) -> usize {
            if left == 3 { 2 } else { left.min(4) }
        }

        unsafe fn tile<W: Weights>(rows: usize, tile: Tile) {
            unsafe {
                match rows {
                    1 => Self::dispatch(Micro::<W, 1, 4>::new(tile)),
                    2 => Self::dispatch(Micro::<W, 2, 2>::new(tile)),
                    _ => Self::dispatch(Micro::<W, 4, 1>::new(tile)),
                }
            }
        }

        #[inline(always)]
        unsafe fn prefetch(address: *const u8) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }

        #[inline(always)]
        unsafe fn zero() -> __m256 {
            unsafe { _mm256_setzero_ps() }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, values: __m256) {
            unsafe { _mm256_storeu_ps(to, values) }
        }

        #[inline(always)]
        unsafe fn load_f16(from: *const u16) -> __m256 {
            unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
        }

        #[inline(always)]
        unsafe fn load_u8(from: *const u8) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
        }

        #[inline(always)]
        unsafe fn load_i8(from: *const u8) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
        }

        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn inverse(values: __m256) -> __m256 {
            // One step of Newton's method doubles the 12 right bits.
            unsafe {
                let near = _mm256_rcp_ps(values);
                _mm256_mul_ps(near, _mm256_fnmadd_ps(values, near, _mm256_set1_ps(2.0)))
            }
        }

        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn min(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_min_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn largest(values: __m256) -> f32 {
            unsafe {
                let four = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps::<1>(values));
                let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
            }
        }

        #[inline(always)]
        unsafe fn store_rounded(to: *mut i8, values: __m256) -> __m256i {
            unsafe {
                let whole = _mm256_cvtps_epi32(values);
                let words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
                _mm_storel_epi64(to.cast(), _mm_packs_epi16(words, words));
                whole
            }
        }

        #[inline(always)]
        unsafe fn power_of_two(shifted: __m256) -> __m256 {
            unsafe {
                let bias = _mm256_set1_epi32(127 - ROUND.to_bits().cast_signed());
                let exponent = _mm256_add_epi32(_mm256_castps_si256(shifted), bias);
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            }
        }

        #[inline(always)]
        unsafe fn zero_i() -> __m256i {
            unsafe { _mm256_setzero_si256() }
        }

        #[inline(always)]
        unsafe fn splat_i(value: i32) -> __m256i {
            unsafe { _mm256_set1_epi32(value) }
        }

        #[inline(always)]
        unsafe fn add_i(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_add_epi32(a, b) }
        }

        #[inline(always)]
        unsafe fn sum_i(values: __m256i) -> i32 {
            unsafe {
                let four = _mm_add_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256::<1>(values));
                let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
                _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
            }
        }

        #[inline(always)]
        unsafe fn to_f(values: __m256i) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(values) }
        }

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> __m256i {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn store_bytes(to: *mut u8, bytes: __m256i) {
            unsafe { _mm256_storeu_si256(to.cast(), bytes) }
        }

        #[inline(always)]
        unsafe fn select_bits(bytes: __m256i, right: i32, left: i32, mask: u8) -> __m256i {
            // The shift counts are constants once this is inlined.
            unsafe {
                let right = _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(right));
                let both = _mm256_sll_epi16(right, _mm_cvtsi32_si128(left));
                _mm256_and_si256(both, _mm256_set1_epi8(mask.cast_signed()))
            }
        }

        #[inline(always)]
        unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_or_si256(a, b) }
        }
    };
}

// SAFETY of every block below: the trait's caller has checked for the instructions and for the memory behind pointers.
impl Lanes for Avx2 {
    const IS_SIGNED: bool = true;
    const IS_WIDE: bool = false;

    /// Absolute values, and the weights for their signs.
    type Signed = (__m256i, __m256i);

    common!("avx2,fma,f16c");

    /// Two products are added in 16 bits without a check, so as many steps fit as stay below 2^15.
    #[inline(always)]
    fn steps_before_flush(weight_max: i32) -> usize {
        match weight_max {
            ..=15 => 8,
            16..=31 => 4,
            32..=63 => 2,
            _ => 1,
        }
    }

    #[inline(always)]
    unsafe fn dot(part: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { _mm256_add_epi16(part, _mm256_maddubs_epi16(weights, activations)) }
    }

    #[inline(always)]
    unsafe fn to_signed(weights: __m256i) -> (__m256i, __m256i) {
        unsafe {
            let signed = _mm256_xor_si256(weights, _mm256_set1_epi8(-128));
            (_mm256_abs_epi8(signed), signed)
        }
    }

    #[inline(always)]
    unsafe fn dot_signed(part: __m256i, weights: (__m256i, __m256i), activations: __m256i) -> __m256i {
        unsafe { Self::dot(part, weights.0, _mm256_sign_epi8(activations, weights.1)) }
    }

    #[inline(always)]
    unsafe fn flush(part: __m256i) -> __m256i {
        unsafe { _mm256_madd_epi16(part, _mm256_set1_epi16(1)) }
    }
}

// SAFETY of every block below: as above.
impl Lanes for AvxVnni {
    const IS_SIGNED: bool = false;
    const IS_WIDE: bool = true;

    type Signed = __m256i;

    common!("avx2,fma,f16c,avxvnni");

    #[inline(always)]
    fn steps_before_flush(_weight_max: i32) -> usize {
        8
    }

    #[inline(always)]
    unsafe fn dot(part: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_avx_epi32(part, weights, activations) }
    }

    #[inline(always)]
    unsafe fn to_signed(weights: __m256i) -> __m256i {
        weights
    }

    #[inline(always)]
    unsafe fn dot_signed(part: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { Self::dot(part, weights, activations) }
    }

    #[inline(always)]
    unsafe fn flush(part: __m256i) -> __m256i {
        part
    }
}
