//! Keys and values of attention, as half floats, laid out for the kernels.
//!
//! Keys of a head lie in blocks of 32 positions: `[block][dimension][position]`, so that a register holds one
//! dimension of neighbouring positions. Values lie row by row: `[position][dimension]`.

use half::{
    f16,
    slice::{HalfBitsSliceExt, HalfFloatSliceExt},
};

/// Positions of a block of keys.
pub(super) const KEYS: usize = 32;

/// The keys and values of one layer for a run of positions.
#[derive(Debug, Clone)]
pub struct KeyValues {
    heads: usize,
    head_size: usize,
    /// Positions that fit, a multiple of 32.
    capacity: usize,
    len: usize,
    /// Bits of half floats: the system gives zeroed memory of plain integers only as it is written.
    keys: Vec<u16>,
    values: Vec<u16>,
}

impl KeyValues {
    /// Room for `positions` of `heads` heads. The memory is taken from the system as it is written.
    ///
    /// # Panics
    /// When `head_size` is not a multiple of 32.
    pub fn new(heads: usize, head_size: usize, positions: usize) -> Self {
        assert!(head_size.is_multiple_of(32) && head_size > 0, "heads of {head_size}");
        let capacity = positions.next_multiple_of(KEYS);
        let floats = heads * head_size * capacity;
        Self { heads, head_size, capacity, len: 0, keys: vec![0; floats], values: vec![0; floats] }
    }

    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position is filled.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Dimensions of a head.
    pub fn head_size(&self) -> usize {
        self.head_size
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        2 * (self.keys.len() + self.values.len())
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// A copy that takes no more memory than its positions need.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        self.fork(self.len, self.len)
    }

    /// A copy of the first `len` positions with room for `positions`.
    ///
    /// # Panics
    /// When there are not so many positions or no room for them.
    #[must_use]
    pub fn fork(&self, len: usize, positions: usize) -> Self {
        assert!(len <= self.len && len <= positions, "{len} of {} positions into {positions}", self.len);
        let mut copy = Self::new(self.heads, self.head_size, positions);
        for head in 0..self.heads {
            let (from, to) = (self.at(head), copy.at(head));
            // Keys lie in whole blocks.
            let floats = len.next_multiple_of(KEYS) * self.head_size;
            copy.keys[to..to + floats].copy_from_slice(&self.keys[from..from + floats]);
            copy.values[to..to + floats].copy_from_slice(&self.values[from..from + floats]);
        }
        copy.len = len;
        copy
    }

    /// Appends a position: `heads * head_size` floats of each kind.
    ///
    /// # Panics
    /// When there is no room or the sizes are others.
    pub fn push(&mut self, keys: &[f32], values: &[f32]) {
        assert!(self.len < self.capacity, "no room for position {}", self.len);
        assert!(keys.len() == self.heads * self.head_size && values.len() == keys.len(), "sizes of a position");
        let position = self.len;
        let rows = keys.chunks_exact(self.head_size).zip(values.chunks_exact(self.head_size));
        for (head, (keys, values)) in rows.enumerate() {
            let begin = self.at(head);
            let value = begin + position * self.head_size;
            let to: &mut [f16] = self.values[value..value + self.head_size].reinterpret_cast_mut();
            to.convert_from_f32_slice(values);
            let block = begin + position / KEYS * KEYS * self.head_size + position % KEYS;
            for (index, keys) in keys.chunks_exact(32).enumerate() {
                let mut halves = [f16::ZERO; 32];
                halves.convert_from_f32_slice(keys);
                let places = self.keys[block + index * 32 * KEYS..].iter_mut().step_by(KEYS);
                for (place, key) in places.zip(halves) {
                    *place = key.to_bits();
                }
            }
        }
        self.len += 1;
    }

    fn at(&self, head: usize) -> usize {
        head * self.capacity * self.head_size
    }

    /// Blocks of keys of a head; what lies behind `len` is anything finite.
    pub(super) fn head_keys(&self, head: usize) -> &[u16] {
        &self.keys[self.at(head)..][..self.capacity * self.head_size]
    }

    /// Rows of values of a head.
    pub(super) fn head_values(&self, head: usize) -> &[u16] {
        &self.values[self.at(head)..][..self.capacity * self.head_size]
    }
}
