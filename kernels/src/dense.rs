//! Dense layers of an encoder, whose inputs are many rows of floats: on the matrix unit where there is one, else on the
//! quantized kernels.

use super::{Activations, KernelError, Linear, PackedMatrix, Processor, linear};
#[cfg(target_arch = "x86_64")]
use super::{
    Tier,
    amx::{self, AmxMatrix, AmxRows},
};

/// `y = W x + b` for many rows.
#[derive(Debug)]
pub struct Dense(Kind);

#[derive(Debug)]
enum Kind {
    Blocks(Linear),
    #[cfg(target_arch = "x86_64")]
    Unit(AmxMatrix),
}

/// The rows that dense layers are applied to, quantized as the layers need them; it grows as needed.
#[derive(Debug, Default)]
pub struct DenseInput {
    blocks: Activations,
    #[cfg(target_arch = "x86_64")]
    unit: AmxRows,
}

impl Dense {
    /// A layer of `matrix` for processors of this tier.
    ///
    /// Errors: another number of biases than outputs, and some that are not numbers.
    pub fn new(processor: &Processor, matrix: PackedMatrix, bias: &[f32]) -> Result<Self, KernelError> {
        #[cfg(target_arch = "x86_64")]
        if is_for_unit(processor, matrix.outputs(), matrix.inputs()) {
            let (outputs, inputs) = (matrix.outputs(), matrix.inputs());
            let mut weights = vec![0.0; outputs * inputs];
            weights.chunks_exact_mut(inputs).enumerate().for_each(|(row, to)| matrix.dequantize_row(row, to));
            return Ok(Self(Kind::Unit(AmxMatrix::new(outputs, inputs, &weights, bias)?)));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = processor;
        Ok(Self(Kind::Blocks(Linear::new(matrix, Some(bias))?)))
    }

    /// A layer of `outputs` rows of `inputs` weights: 16 bits of them on the matrix unit, else 8.
    ///
    /// Errors: as for `new` and `PackedMatrix::from_f32`.
    pub fn from_f32(
        processor: &Processor,
        outputs: usize,
        inputs: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self, KernelError> {
        #[cfg(target_arch = "x86_64")]
        if is_for_unit(processor, outputs, inputs) {
            return Ok(Self(Kind::Unit(AmxMatrix::new(outputs, inputs, weights, bias)?)));
        }
        Self::new(processor, PackedMatrix::from_f32(outputs, inputs, weights)?, bias)
    }

    /// Length of an input row.
    pub fn inputs(&self) -> usize {
        match &self.0 {
            Kind::Blocks(layer) => layer.inputs(),
            #[cfg(target_arch = "x86_64")]
            Kind::Unit(matrix) => matrix.inputs(),
        }
    }

    /// Length of an output row.
    pub fn outputs(&self) -> usize {
        match &self.0 {
            Kind::Blocks(layer) => layer.outputs(),
            #[cfg(target_arch = "x86_64")]
            Kind::Unit(matrix) => matrix.outputs(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn is_for_unit(processor: &Processor, outputs: usize, inputs: usize) -> bool {
    processor.tier() == Tier::Amx && amx::is_suited(outputs, inputs)
}

/// Applies several layers to the same rows of `values`; each writes its `rows * outputs` results.
///
/// # Panics
/// When sizes do not fit together, or layers were made for different kinds of processors.
pub fn dense<const N: usize>(
    processor: &Processor,
    input: &mut DenseInput,
    values: &[f32],
    layers: [(&Dense, &mut [f32]); N],
) {
    let inputs = layers[0].0.inputs();
    #[cfg(target_arch = "x86_64")]
    if matches!(layers[0].0.0, Kind::Unit(_)) {
        input.unit.quantize(processor, values, inputs);
        let mut layers = layers.map(|(layer, to)| match &layer.0 {
            Kind::Unit(matrix) => (matrix, to),
            Kind::Blocks(_) => panic!("layers for different processors"),
        });
        return amx::multiply(processor, &input.unit, &mut layers);
    }
    input.blocks.quantize(processor, values, inputs);
    let mut layers = layers.map(|(layer, to)| match &layer.0 {
        Kind::Blocks(layer) => (layer, to),
        #[cfg(target_arch = "x86_64")]
        Kind::Unit(_) => panic!("layers for different processors"),
    });
    linear(processor, &input.blocks, &mut layers);
}
