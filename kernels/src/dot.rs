//! Dot products of single vectors: the search through the vectors of a shop's passages.

use super::{
    Processor,
    functions::sum,
    lanes::{Kernel, Lanes},
};

/// Sums side by side, so that no addition waits for the one before.
const SUMS: usize = 4;

/// The sum of the products of two vectors.
///
/// # Panics
/// When their lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths of vectors");
    Processor::shared().tier().run(Dot { a, b })
}

/// The same where one of them has eight bits a number.
///
/// # Panics
/// As for `dot`.
pub fn dot_bytes(a: &[i8], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths of vectors");
    Processor::shared().tier().run(Dot { a, b })
}

/// Numbers that a kernel reads as floats.
pub(super) trait Number: Copy {
    /// # Safety
    /// The processor has the instructions of `L`, and `COUNT` numbers lie at `from`.
    unsafe fn load<L: Lanes>(from: *const Self) -> L::F;
    fn float(self) -> f32;
}

impl Number for f32 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L::F {
        unsafe { L::load(from) }
    }

    #[inline(always)]
    fn float(self) -> f32 {
        self
    }
}

impl Number for i8 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L::F {
        unsafe { L::load_i8(from.cast()) }
    }

    #[inline(always)]
    fn float(self) -> f32 {
        f32::from(self)
    }
}

/// Both vectors have the same length.
pub(super) struct Dot<'a, N> {
    pub(super) a: &'a [N],
    pub(super) b: &'a [f32],
}

impl<N: Number> Kernel for Dot<'_, N> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        let step = SUMS * L::COUNT;
        let (a, b) = (self.a.chunks_exact(step), self.b.chunks_exact(step));
        let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a.float() * b).sum();
        // SAFETY: chunks hold `SUMS` registers; the caller has the instructions.
        unsafe {
            let mut sums = [L::zero(); SUMS];
            for (a, b) in a.zip(b) {
                for (index, sum) in sums.iter_mut().enumerate() {
                    let (a, b) = (a.as_ptr().add(index * L::COUNT), b.as_ptr().add(index * L::COUNT));
                    *sum = L::mul_add(N::load::<L>(a), L::load(b), *sum);
                }
            }
            sum::<L>(L::add(L::add(sums[0], sums[1]), L::add(sums[2], sums[3]))) + rest
        }
    }
}
