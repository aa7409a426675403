//! Activations as signed bytes: each 32 of a row share a scale, the largest of them becomes 127.

use super::{
    Processor,
    format::BLOCK,
    lanes::{Kernel, Lanes},
};

/// Fewer blocks than this are not worth a second thread.
const BLOCKS_A_PART: usize = 256;
const HALF: usize = BLOCK / 2;

/// Rows of quantized inputs of a linear layer. One value serves any number of steps; it grows as needed.
#[derive(Debug, Default, Clone)]
pub struct Activations {
    rows: usize,
    inputs: usize,
    pub(super) quants: Vec<i8>,
    pub(super) scales: Vec<BlockScale>,
}

/// What belongs to a block of 32 activations.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct BlockScale {
    pub(super) scale: f32,
    /// Minus the sum of the quants; what the zero of unsigned weights has to be multiplied with.
    pub(super) minus_sum: i32,
    /// The same for each 16 inputs.
    pub(super) minus_half_sums: [i32; 2],
    /// Minus the sum of the values; what a minimum has to be multiplied with.
    pub(super) minus_value_sum: f32,
}

impl Activations {
    /// Quantizes the rows of `values`, `inputs` each.
    ///
    /// # Panics
    /// When `inputs` is not a multiple of 32 or `values` does not hold whole rows.
    pub fn quantize(&mut self, processor: &Processor, values: &[f32], inputs: usize) {
        assert!(inputs > 0 && inputs.is_multiple_of(BLOCK), "{inputs} inputs are not blocks of {BLOCK}");
        assert!(values.len().is_multiple_of(inputs), "{} values are not rows of {inputs}", values.len());
        let blocks = values.len() / BLOCK;
        (self.rows, self.inputs) = (values.len() / inputs, inputs);
        self.quants.resize(values.len(), 0);
        self.scales.resize(blocks, BlockScale::default());
        let tier = processor.tier();
        let parts = self.quants.chunks_mut(BLOCKS_A_PART * BLOCK).zip(self.scales.chunks_mut(BLOCKS_A_PART));
        let parts = values.chunks(BLOCKS_A_PART * BLOCK).zip(parts);
        processor.pool().for_each(parts, |(values, (quants, scales))| tier.run(Quantize { values, quants, scales }));
    }

    /// Appends to each row what quantizing has left out of it, as a row of its own behind all others: a linear layer's sums
    /// of both are those of activations with about fifteen bits.
    ///
    /// # Panics
    /// When `values` are not those that were quantized.
    pub fn refine(&mut self, processor: &Processor, values: &[f32]) {
        assert_eq!(values.len(), self.rows * self.inputs, "the rows that were quantized");
        let mut rows = values.to_vec();
        let blocks = values.chunks_exact(BLOCK).zip(self.quants.chunks_exact(BLOCK)).zip(&self.scales);
        for ((values, quants), scale) in blocks {
            rows.extend(values.iter().zip(quants).map(|(value, &q)| value - f32::from(q) * scale.scale));
        }
        self.quantize(processor, &rows, self.inputs);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

struct Quantize<'a> {
    values: &'a [f32],
    quants: &'a mut [i8],
    scales: &'a mut [BlockScale],
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let blocks = self.values.as_chunks::<BLOCK>().0.iter().zip(self.quants.as_chunks_mut::<BLOCK>().0);
        for ((values, quants), to) in blocks.zip(self.scales) {
            let mut sums = [0; 2];
            // SAFETY: both blocks hold 32 numbers, a multiple of `COUNT`, as each half is; the caller has the instructions.
            let largest = unsafe {
                let mut largest = L::zero();
                for at in (0..BLOCK).step_by(L::COUNT) {
                    let value = L::load(values.as_ptr().add(at));
                    largest = L::max(largest, L::max(value, L::sub(L::zero(), value)));
                }
                let largest = L::largest(largest);
                let inverse = L::splat(if largest > 0.0 { 127.0 / largest } else { 0.0 });
                for (half, sum) in sums.iter_mut().enumerate() {
                    let mut whole = L::zero_i();
                    for at in (half * HALF..(half + 1) * HALF).step_by(L::COUNT) {
                        let value = L::mul(L::load(values.as_ptr().add(at)), inverse);
                        whole = L::add_i(whole, L::store_rounded(quants.as_mut_ptr().add(at), value));
                    }
                    *sum = L::sum_i(whole);
                }
                largest
            };
            let (scale, sum) = (largest / 127.0, sums[0] + sums[1]);
            *to = BlockScale {
                scale,
                minus_sum: -sum,
                minus_half_sums: [-sums[0], -sums[1]],
                minus_value_sum: -(sum as f32) * scale,
            };
        }
    }
}
