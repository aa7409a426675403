//! Keys and values of attention, as half floats, laid out for the kernels.
//!
//! Keys of a head lie in blocks of 32 positions: `[block][dimension][position]`, so that a register holds one
//! dimension of neighbouring positions. Values lie row by row: `[position][dimension]`.

use half::{
    f16,
    slice::{HalfBitsSliceExt, HalfFloatSliceExt},
};

/// Dimensions that are converted together; a head has a multiple of them.
const DIMENSIONS: usize = 32;
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
        assert!(head_size.is_multiple_of(DIMENSIONS) && head_size > 0, "heads of {head_size}");
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

    /// Appends positions, one behind the other: `heads * head_size` floats of each kind for each.
    ///
    /// # Panics
    /// When there is no room or the sizes are others.
    pub fn extend(&mut self, keys: &[f32], values: &[f32]) {
        let row = self.heads * self.head_size;
        let count = keys.len() / row;
        assert!(keys.len() == count * row && values.len() == keys.len(), "sizes of positions");
        assert!(self.len + count <= self.capacity, "no room for {count} positions after {}", self.len);
        for head in 0..self.heads {
            let (begin, own) = (self.at(head), head * self.head_size..(head + 1) * self.head_size);
            let rows = values.chunks_exact(row).map(|row| &row[own.clone()]);
            let to = self.values[begin + self.len * self.head_size..].chunks_exact_mut(self.head_size);
            for (to, values) in to.zip(rows) {
                let to: &mut [f16] = to.reinterpret_cast_mut();
                to.convert_from_f32_slice(values);
            }
            let rows: Vec<&[f32]> = keys.chunks_exact(row).map(|row| &row[own.clone()]).collect();
            let mut done = 0;
            while done < count {
                let position = self.len + done;
                let block = &mut self.keys[begin + position / KEYS * KEYS * self.head_size..][..KEYS * self.head_size];
                // Four positions of one dimension are neighbours.
                let place = position % KEYS;
                if place.is_multiple_of(4) && count - done >= 4 {
                    write_keys::<4>(block, place, &rows[done..]);
                    done += 4;
                } else {
                    write_keys::<1>(block, place, &rows[done..]);
                    done += 1;
                }
            }
        }
        self.len += count;
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

/// Writes the keys of the first `N` of `rows` to the positions from `place` on of a block.
fn write_keys<const N: usize>(block: &mut [u16], place: usize, rows: &[&[f32]]) {
    let places = block.chunks_exact_mut(KEYS * DIMENSIONS);
    for (index, places) in places.enumerate() {
        let mut halves = [[f16::ZERO; DIMENSIONS]; N];
        for (halves, row) in halves.iter_mut().zip(rows) {
            halves.convert_from_f32_slice(&row[index * DIMENSIONS..(index + 1) * DIMENSIONS]);
        }
        for (dimension, places) in places.chunks_exact_mut(KEYS).enumerate() {
            let keys: [u16; N] = std::array::from_fn(|row| halves[row][dimension].to_bits());
            places[place..place + N].copy_from_slice(&keys);
        }
    }
}
