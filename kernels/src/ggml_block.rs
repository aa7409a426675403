//! ggml's blocks, read number by number.

use half::f16;

use super::format::{BLOCK, Format};

/// 32 weights of one row as they stand in the file: `scale * (q - zero) - min`.
pub(super) struct Block {
    /// Without `zero`: from 0 to `Format::q_max`.
    pub(super) quants: [u8; BLOCK],
    /// Half floats of the block, or of the 256 inputs around it: scale and minimum.
    pub(super) halves: [f16; 2],
    /// K formats: the integers of scale and minimum, or of the scales of both parts (as two's complement).
    pub(super) steps: [u8; 2],
}

impl Block {
    /// Block `index` of a row in ggml's layout; `row` holds whole ggml blocks.
    pub(super) fn read(format: Format, row: &[u8], index: usize) -> Self {
        let (bytes, inputs) = format.ggml_block();
        let (ggml_index, part) = (index * BLOCK / inputs, index % (inputs / BLOCK));
        let data = &row[ggml_index * bytes..(ggml_index + 1) * bytes];
        let half = |at: usize| f16::from_le_bytes([data[at], data[at + 1]]);
        let mut block = Self { quants: [0; BLOCK], halves: [half(0), f16::ZERO], steps: [0; 2] };
        match format {
            Format::Q8_0 => copy(&mut block.quants, &data[2..], |q| q ^ 0x80),
            Format::Q4_0 => block.quants = nibbles(&data[2..]),
            Format::Q4_1 => {
                block.halves[1] = -half(2);
                block.quants = nibbles(&data[4..]);
            }
            Format::Q5_0 => block.quants = five_bits(&data[2..6], &data[6..]),
            Format::Q5_1 => {
                block.halves[1] = -half(2);
                block.quants = five_bits(&data[4..8], &data[8..]);
            }
            Format::Q4_K | Format::Q5_K => {
                block.halves[1] = half(2);
                block.steps = scale_and_min(&data[4..16], part);
                let low = if format == Format::Q4_K { &data[16..] } else { &data[48..] };
                copy(&mut block.quants, &low[part / 2 * 32..], |q| q >> (part % 2 * 4) & 15);
                if format == Format::Q5_K {
                    for (q, high) in block.quants.iter_mut().zip(&data[16..48]) {
                        *q |= (high >> part & 1) << 4;
                    }
                }
            }
            Format::Q6_K => {
                block.halves[0] = half(208);
                block.steps = [data[192 + 2 * part], data[193 + 2 * part]];
                block.quants = six_bits(data, part);
            }
        }
        block
    }

    /// The weights, computed as ggml computes them.
    pub(super) fn weights(&self, format: Format) -> [f32; BLOCK] {
        let [half, half_min] = self.halves.map(f16::to_f32);
        let zero = format.zero_log2().map_or(0, |log2| 1 << log2);
        let centred = self.quants.map(|q| (i32::from(q) - zero) as f32);
        match format {
            Format::Q8_0 | Format::Q5_0 | Format::Q4_0 => centred.map(|q| half * q),
            Format::Q5_1 | Format::Q4_1 => centred.map(|q| half * q - half_min),
            Format::Q5_K | Format::Q4_K => {
                let (scale, min) = (half * f32::from(self.steps[0]), half_min * f32::from(self.steps[1]));
                centred.map(|q| scale * q - min)
            }
            Format::Q6_K => {
                let scales = self.steps.map(|step| half * f32::from(step.cast_signed()));
                std::array::from_fn(|at| scales[at / 16] * centred[at])
            }
        }
    }
}

fn copy(quants: &mut [u8; BLOCK], from: &[u8], change: impl Fn(u8) -> u8) {
    for (q, &byte) in quants.iter_mut().zip(from) {
        *q = change(byte);
    }
}

/// 16 bytes whose low nibbles come first.
fn nibbles(from: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|at| if at < 16 { from[at] & 15 } else { from[at - 16] >> 4 })
}

fn five_bits(high: &[u8], low: &[u8]) -> [u8; BLOCK] {
    let low = nibbles(low);
    std::array::from_fn(|at| low[at] | (high[at / 8] >> (at % 8) & 1) << 4)
}

/// The packed six-bit pairs of the K formats with minimum.
fn scale_and_min(packed: &[u8], part: usize) -> [u8; 2] {
    if part < 4 {
        return [packed[part] & 63, packed[part + 4] & 63];
    }
    let low = packed[part + 4];
    [low & 15 | packed[part - 4] >> 6 << 4, low >> 4 | packed[part] >> 6 << 4]
}

fn six_bits(data: &[u8], part: usize) -> [u8; BLOCK] {
    // 128 inputs share 64 bytes of low bits and 32 bytes of high bits.
    let (low, high) = (&data[part / 4 * 64..], &data[128 + part / 4 * 32..]);
    let quarter = part % 4;
    std::array::from_fn(|at| {
        let low = low[quarter % 2 * 32 + at] >> (quarter / 2 * 4) & 15;
        low | (high[at] >> (quarter * 2) & 3) << 4
    })
}
