//! Weights laid out for the kernels: tiles of 32 output columns, each a sequence of blocks of 32 inputs, so that one
//! aligned load brings four inputs of sixteen columns.
//!
//! A block of a tile holds, for each half of 16 columns, the low bits in the order `[group of 4 inputs][column]
//! [input]` (two groups share a byte where they are nibbles), then the high bits (one byte holds those of eight or
//! four groups), then the scales of the 32 columns. The numbers are those of the file, unchanged.

use std::sync::atomic::{AtomicBool, Ordering};

use half::f16;

use super::{
    KernelError, Processor,
    format::{BLOCK, Format, SUPER, Scales, TILE},
    ggml_block::Block,
    storage::Bytes,
};

const HALF: usize = TILE / 2;

/// Changes whenever the packed bytes of the same weights do, so that files of packed weights can be told apart. The
/// layout is the same for every tier.
pub const PACKED_LAYOUT: u32 = 1;

/// A weight matrix of a linear layer, shape (`outputs`, `inputs`), packed.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    format: Format,
    outputs: usize,
    inputs: usize,
    data: Bytes,
}

impl PackedMatrix {
    /// Packs `outputs` rows of `inputs` weights in ggml's layout. No weight changes.
    ///
    /// Errors: sizes that are not whole blocks or do not match `data`, and scales that are not numbers.
    pub fn from_ggml(format: Format, outputs: usize, inputs: usize, data: &[u8]) -> Result<Self, KernelError> {
        let (block_bytes, block_inputs) = format.ggml_block();
        if outputs == 0 || inputs == 0 || !inputs.is_multiple_of(block_inputs) {
            return Err(KernelError::Shape(format!("{outputs} x {inputs} is not made of blocks of {block_inputs}")));
        }
        let row_bytes = inputs / block_inputs * block_bytes;
        if data.len() != outputs * row_bytes {
            return Err(KernelError::Shape(format!(
                "{outputs} x {inputs} takes {} bytes, not {}",
                outputs * row_bytes,
                data.len()
            )));
        }
        let tile_bytes = format.tile_bytes(inputs);
        let mut packed = Bytes::zeroed(outputs.div_ceil(TILE) * tile_bytes);
        let has_foreign_number = AtomicBool::new(false);
        let tiles = packed.as_mut_slice().chunks_exact_mut(tile_bytes).zip(data.chunks(TILE * row_bytes));
        Processor::shared().pool().for_each(tiles, |(tile, rows)| {
            for (column, row) in rows.chunks_exact(row_bytes).enumerate() {
                for index in 0..inputs / BLOCK {
                    let block = Block::read(format, row, index);
                    if block.halves.iter().any(|half| !half.is_finite()) {
                        has_foreign_number.store(true, Ordering::Relaxed);
                    }
                    write_block(format, tile, column, index, &block);
                }
            }
        });
        if has_foreign_number.into_inner() {
            return Err(KernelError::NotANumber);
        }
        Ok(Self { format, outputs, inputs, data: packed })
    }

    /// Quantizes f32 weights, row by row, to `Q8_0` and packs them: the largest of 32 becomes 127. The error of a
    /// weight is at most 1/254 of that largest one.
    ///
    /// Errors: `inputs` not a multiple of 32, sizes that do not match `weights`, and weights that are not numbers.
    pub fn from_f32(outputs: usize, inputs: usize, weights: &[f32]) -> Result<Self, KernelError> {
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err(KernelError::NotANumber);
        }
        let mut data = Vec::with_capacity(weights.len() / 32 * 34);
        for block in weights.chunks(BLOCK) {
            let largest = block.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
            let scale = f16::from_f32(largest / 127.0);
            let inverse = if scale == f16::ZERO { 0.0 } else { 1.0 / scale.to_f32() };
            data.extend_from_slice(&scale.to_le_bytes());
            let quantize = |weight: &f32| ((weight * inverse).round().clamp(-127.0, 127.0) as i8).cast_unsigned();
            data.extend(block.iter().map(quantize));
        }
        Self::from_ggml(Format::Q8_0, outputs, inputs, &data)
    }

    /// The same weights in `Q4_0`: the largest of 32 becomes -8 steps, and an error is at most half a step but for
    /// weights that come near it with the other sign, where it is one step at most.
    #[must_use]
    pub fn in_four_bits(&self) -> Self {
        let format = Format::Q4_0;
        let (tile_bytes, inputs) = (format.tile_bytes(self.inputs), self.inputs);
        let mut packed = Bytes::zeroed(self.tiles() * tile_bytes);
        let tiles = packed.as_mut_slice().chunks_exact_mut(tile_bytes).enumerate();
        Processor::shared().pool().for_each(tiles, |(index, to)| {
            let from = self.tile(index);
            for column in 0..TILE.min(self.outputs - index * TILE) {
                for index in 0..inputs / BLOCK {
                    let weights = read_block(self.format, from, column, index).weights(self.format);
                    let by_size = |a: &&f32, b: &&f32| a.abs().total_cmp(&b.abs());
                    let scale = f16::from_f32(weights.iter().max_by(by_size).map_or(0.0, |largest| largest / -8.0));
                    let inverse = if scale == f16::ZERO { 0.0 } else { 1.0 / scale.to_f32() };
                    let quants = weights.map(|weight| ((weight * inverse).round() + 8.0).clamp(0.0, 15.0) as u8);
                    write_block(
                        format,
                        to,
                        column,
                        index,
                        &Block { quants, halves: [scale, f16::ZERO], steps: [0; 2] },
                    );
                }
            }
        });
        Self { format, outputs: self.outputs, inputs, data: packed }
    }

    /// The largest absolute scale of the 32 columns of a tile in a block of inputs.
    ///
    /// # Panics
    /// When the format has scales of another kind than `Q4_0`.
    pub(super) fn largest_scale(&self, tile: usize, block: usize) -> f32 {
        assert_eq!(self.format.scales(), Scales::Half, "one half float a column");
        let begin = self.format.block_at(block).0 + self.format.scales_at();
        let scales = self.tile(tile)[begin..begin + 2 * TILE].as_chunks::<2>().0;
        scales.iter().fold(0.0, |largest: f32, &scale| largest.max(f16::from_le_bytes(scale).to_f32().abs()))
    }

    /// A matrix whose packed bytes are at hand, as `as_bytes` gives them.
    ///
    /// Errors: sizes that do not match `data`. The numbers are not looked at: they are those that were packed once.
    pub fn from_packed(format: Format, outputs: usize, inputs: usize, data: Bytes) -> Result<Self, KernelError> {
        let (expected, found) = (Self::packed_bytes(format, outputs, inputs), data.as_slice().len());
        if outputs == 0 || inputs == 0 || !inputs.is_multiple_of(format.ggml_block().1) || found != expected {
            return Err(KernelError::Shape(format!("{outputs} x {inputs} takes {expected} packed bytes, not {found}")));
        }
        Ok(Self { format, outputs, inputs, data })
    }

    /// Bytes of a packed matrix.
    pub fn packed_bytes(format: Format, outputs: usize, inputs: usize) -> usize {
        outputs.div_ceil(TILE) * format.tile_bytes(inputs)
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_slice()
    }

    /// The format of the weights.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows of the matrix: outputs of the layer.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the matrix: inputs of the layer.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Tiles of 32 outputs, the last one perhaps not full.
    pub(super) fn tiles(&self) -> usize {
        self.outputs.div_ceil(TILE)
    }

    pub(super) fn tile(&self, tile: usize) -> &[u8] {
        let bytes = self.format.tile_bytes(self.inputs);
        &self.data.as_slice()[tile * bytes..(tile + 1) * bytes]
    }

    /// Writes row `row`, `inputs` weights, as f32 into `to`.
    ///
    /// # Panics
    /// When there is no such row or `to` has another length.
    pub fn dequantize_row(&self, row: usize, to: &mut [f32]) {
        assert!(row < self.outputs && to.len() == self.inputs, "row {row} of {} x {}", self.outputs, self.inputs);
        let tile = self.tile(row / TILE);
        for (index, weights) in to.chunks_exact_mut(BLOCK).enumerate() {
            weights.copy_from_slice(&read_block(self.format, tile, row % TILE, index).weights(self.format));
        }
    }
}

/// Where the low bits of an input lie, and their shift; then the same for the high bits.
fn places(format: Format, column: usize, input: usize) -> ((usize, usize), (usize, usize)) {
    let (group, lane) = (input / 4, column % HALF * 4 + input % 4);
    let half = column / HALF;
    let low = if format.is_bytes() {
        (half * format.low_bytes() / 2 + group * 64 + lane, 0)
    } else {
        (half * format.low_bytes() / 2 + group / 2 * 64 + lane, group % 2 * 4)
    };
    let bits = format.high_bits();
    let groups = 8usize.checked_div(bits).unwrap_or(8);
    let high = (format.low_bytes() + half * 64 * bits + group / groups * 64 + lane, group % groups * bits);
    (low, high)
}

/// Where the half floats and the integer steps of a column lie.
fn scale_places(format: Format, block: usize, head: usize, column: usize) -> ([usize; 2], [usize; 2]) {
    let scales = block + format.scales_at();
    match format.scales() {
        Scales::Half | Scales::HalfAndMin => ([scales + 2 * column, scales + 2 * (TILE + column)], [0; 2]),
        Scales::SuperAndMin | Scales::SuperSigned => {
            ([head + 2 * column, head + 2 * (TILE + column)], [scales + column, scales + TILE + column])
        }
    }
}

fn write_block(format: Format, tile: &mut [u8], column: usize, index: usize, block: &Block) {
    let (begin, head) = format.block_at(index);
    for (group, quants) in block.quants.as_chunks::<4>().0.iter().enumerate() {
        let ((low, shift), (high, high_shift)) = places(format, column, group * 4);
        let low = &mut tile[begin + low..][..4];
        if format.is_bytes() {
            low.copy_from_slice(quants);
            continue;
        }
        for (byte, q) in low.iter_mut().zip(quants) {
            *byte |= (q & 15) << shift;
        }
        if format.high_bits() > 0 {
            let high = &mut tile[begin + high..][..4];
            for (byte, q) in high.iter_mut().zip(quants) {
                *byte |= q >> 4 << high_shift;
            }
        }
    }
    let (halves, steps) = scale_places(format, begin, head, column);
    tile[halves[0]..halves[0] + 2].copy_from_slice(&block.halves[0].to_le_bytes());
    if format.has_min() {
        tile[halves[1]..halves[1] + 2].copy_from_slice(&block.halves[1].to_le_bytes());
    }
    if format.head_bytes() > 0 {
        tile[steps[0]] = block.steps[0];
        tile[steps[1]] = block.steps[1];
    }
}

fn read_block(format: Format, tile: &[u8], column: usize, index: usize) -> Block {
    let (begin, head) = format.block_at(index);
    let quants = std::array::from_fn(|input| {
        let ((low, shift), (high, high_shift)) = places(format, column, input);
        if format.is_bytes() {
            return tile[begin + low];
        }
        let q = tile[begin + low] >> shift & 15;
        match format.high_bits() {
            0 => q,
            bits => q | (tile[begin + high] >> high_shift & ((1 << bits) - 1)) << 4,
        }
    });
    let (halves, steps) = scale_places(format, begin, head, column);
    let half = |at: usize| f16::from_le_bytes([tile[at], tile[at + 1]]);
    let min = if format.has_min() { half(halves[1]) } else { f16::ZERO };
    let steps = if format.head_bytes() > 0 { steps.map(|at| tile[at]) } else { [0; 2] };
    Block { quants, halves: [half(halves[0]), min], steps }
}

const _: () = assert!(SUPER * BLOCK == 256);
