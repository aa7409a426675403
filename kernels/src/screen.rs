//! The largest outputs of a large layer for half of its memory: a copy of the weights in four bits tells which outputs
//! can be the largest, and only those are computed from the weights themselves.

use super::{
    Activations, Linear, PackedMatrix, Processor,
    format::{BLOCK, Format, TILE},
    linear::{linear, linear_tiles},
};

/// Standard deviations of the rough outputs that are allowed for. Rounding errors of hundreds of weights add up to a
/// normal distribution, which reaches eight of them once in 10^15; where one input outweighs all others, its error is
/// at most half a step, which is less than two.
const DEVIATIONS: f32 = 8.0;
/// Variance of a rounding error, in squared steps, and an eighth more for the rounding of the inputs: a block's largest
/// input is 127 steps and the block's norm at least that, while its largest weight is 8 steps.
const VARIANCE: f32 = 1.13 / 12.0;
/// A copy pays where the weights themselves take more than this many times its memory.
const WORTH_IT: f64 = 1.4;

/// A copy of a layer's weights in four bits.
#[derive(Debug)]
pub struct Screen {
    rough: Linear,
    /// Variance of the error of an output for inputs of norm 1 in a block, the largest of a tile; shape (blocks, tiles).
    variances: Vec<f32>,
}

impl Screen {
    /// Whether a copy of `matrix` saves memory traffic worth speaking of.
    pub fn is_worth_it(matrix: &PackedMatrix) -> bool {
        let rough = PackedMatrix::packed_bytes(Self::FORMAT, matrix.outputs(), matrix.inputs());
        matrix.as_bytes().len() as f64 > WORTH_IT * rough as f64
    }

    /// The format of the copy.
    pub const FORMAT: Format = Format::Q4_0;

    /// A copy that `PackedMatrix::in_four_bits` made.
    ///
    /// # Panics
    /// When it has another format.
    pub fn new(rough: PackedMatrix) -> Self {
        let (blocks, tiles) = (rough.inputs() / BLOCK, rough.tiles());
        let mut variances = vec![0.0; blocks * tiles];
        for (block, variances) in variances.chunks_exact_mut(tiles).enumerate() {
            for (tile, variance) in variances.iter_mut().enumerate() {
                let step = rough.largest_scale(tile, block);
                *variance = VARIANCE * step * step;
            }
        }
        Self { rough: Linear { matrix: rough, bias: Vec::new() }, variances }
    }

    /// Applies `layer`, whose weights were copied, to the rows of `values`. The largest output of each row and all that
    /// come near it are those of `layer` with refined inputs; the others are rough, and smaller than the largest one.
    /// `to` holds `2 * rows * outputs` floats, the results in its first half. Returns how many outputs of all rows
    /// were not left rough.
    ///
    /// # Panics
    /// When sizes do not fit, or the layer has biases.
    pub fn largest(
        &self,
        processor: &Processor,
        layer: &Linear,
        values: &[f32],
        input: &mut Activations,
        to: &mut [f32],
    ) -> usize {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        assert!((self.rough.inputs(), self.rough.outputs()) == (inputs, outputs) && layer.bias.is_empty());
        let rows = values.len() / inputs;
        let (rough, rest) = to.split_at_mut(rows * outputs);
        input.quantize(processor, values, inputs);
        linear(processor, input, &mut [(&self.rough, rough)]);
        let mut near = vec![false; layer.matrix().tiles()];
        for (values, rough) in values.chunks_exact(inputs).zip(rough.chunks_exact(outputs)) {
            self.mark(values, rough, &mut near);
        }
        let tiles: Vec<usize> = (0..near.len()).filter(|&tile| near[tile]).collect();
        debug_assert_eq!(rest.len(), rows * outputs, "room for refined rows");
        input.refine(processor, values);
        linear_tiles(processor, input, layer, &tiles, to);
        let (exact, rest) = to.split_at_mut(rows * outputs);
        for (exact, rest) in exact.chunks_exact_mut(outputs).zip(rest.chunks_exact(outputs)) {
            for tile in &tiles {
                let columns = tile * TILE..outputs.min((tile + 1) * TILE);
                exact[columns.clone()].iter_mut().zip(&rest[columns]).for_each(|(exact, rest)| *exact += rest);
            }
        }
        tiles.len() * TILE * rows
    }

    /// Marks the tiles whose outputs may be the largest of a row.
    fn mark(&self, values: &[f32], rough: &[f32], near: &mut [bool]) {
        let mut margins = vec![0.0_f32; near.len()];
        for (values, variances) in values.chunks_exact(BLOCK).zip(self.variances.chunks_exact(near.len())) {
            let square: f32 = values.iter().map(|value| value * value).sum();
            margins.iter_mut().zip(variances).for_each(|(margin, variance)| *margin += variance * square);
        }
        for margin in &mut margins {
            *margin = DEVIATIONS * margin.sqrt();
        }
        let largest = rough.chunks(TILE).map(|rough| rough.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let largest: Vec<f32> = largest.collect();
        let least = largest.iter().zip(&margins).map(|(largest, margin)| largest - margin).fold(f32::MIN, f32::max);
        for ((near, largest), margin) in near.iter_mut().zip(&largest).zip(&margins) {
            // What is not a number is looked at again, too.
            let is_less = largest + margin < least;
            *near |= !is_less;
        }
    }
}
