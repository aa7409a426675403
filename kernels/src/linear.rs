//! Linear layers: quantized rows times packed matrices, split among threads by tiles of 32 outputs.

use std::{cell::RefCell, marker::PhantomData, ops::Range};

use super::{
    Activations, KernelError, PackedMatrix, Processor,
    format::{
        BLOCK, Codec, CodecQ4K, CodecQ5K, CodecQ6K, CodecQ40, CodecQ41, CodecQ50, CodecQ51, CodecQ80, Format, TILE,
    },
    lanes::{Kernel, Lanes},
    tile::{Ahead, Packed, Tile, UNPACKED_BLOCK, Unpack, Unpacked, Weights},
};

/// Activations of this size stay in a core's second-level cache while the weights stream by.
const ROWS_BYTES_MAX: usize = 384 << 10;
/// More rows than any `Lanes::tile_rows`.
const TILE_ROWS_MAX: usize = 8;
/// Parts for each thread: a thread that was interrupted leaves the rest to others.
const PARTS_A_THREAD: usize = 4;

/// From so many rows on it pays to take packed weights apart once for all of them.
const ROWS_TO_UNPACK: usize = 16;

/// Calls `work` with `bytes` of this thread's own memory, aligned to cache lines and kept for the next time.
fn with_room(bytes: usize, work: impl FnOnce(*mut u8)) {
    #[derive(Clone, Copy)]
    #[repr(C, align(64))]
    struct Line {
        _bytes: [u8; 64],
    }
    thread_local! {
        static ROOM: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    }
    ROOM.with_borrow_mut(|room| {
        let lines = bytes.div_ceil(size_of::<Line>());
        if room.len() < lines {
            room.resize(lines, Line { _bytes: [0; 64] });
        }
        work(room.as_mut_ptr().cast());
    });
}

/// `y = W x + b` with a packed matrix.
#[derive(Debug, Clone)]
pub struct Linear {
    pub(super) matrix: PackedMatrix,
    /// As long as the padded outputs, or empty.
    pub(super) bias: Vec<f32>,
}

impl Linear {
    /// A layer with `matrix.outputs()` biases, or without.
    ///
    /// Errors: another number of biases, or some that are not numbers.
    pub fn new(matrix: PackedMatrix, bias: Option<&[f32]>) -> Result<Self, KernelError> {
        let Some(bias) = bias else { return Ok(Self { matrix, bias: Vec::new() }) };
        if bias.len() != matrix.outputs() {
            return Err(KernelError::Shape(format!("{} biases for {} outputs", bias.len(), matrix.outputs())));
        }
        if bias.iter().any(|bias| !bias.is_finite()) {
            return Err(KernelError::NotANumber);
        }
        let mut bias = bias.to_vec();
        bias.resize(matrix.tiles() * TILE, 0.0);
        Ok(Self { matrix, bias })
    }

    /// The weights.
    pub fn matrix(&self) -> &PackedMatrix {
        &self.matrix
    }

    /// Length of an input row.
    pub fn inputs(&self) -> usize {
        self.matrix.inputs()
    }

    /// Length of an output row.
    pub fn outputs(&self) -> usize {
        self.matrix.outputs()
    }
}

/// Applies several layers to the same `input` rows; each writes its `rows * outputs` results.
///
/// # Panics
/// When an output has another size or a layer other inputs.
pub fn linear(processor: &Processor, input: &Activations, layers: &mut [(&Linear, &mut [f32])]) {
    let mut jobs = Vec::with_capacity(layers.len());
    for (layer, to) in layers {
        assert_eq!(layer.inputs(), input.inputs(), "inputs of a linear layer");
        assert_eq!(to.len(), input.rows() * layer.outputs(), "outputs of a linear layer");
        jobs.push(Job { layer, input, to: to.as_mut_ptr(), is_alone: processor.pool().threads() == 1 });
    }
    let tiles: usize = jobs.iter().map(|job| job.layer.matrix.tiles()).sum();
    let parts = tiles.min(processor.pool().threads() * PARTS_A_THREAD);
    processor.pool().run(parts, &|part| {
        let (mut begin, end) = (tiles * part / parts, tiles * (part + 1) / parts);
        let mut offset = 0;
        for job in &jobs {
            let own = job.layer.matrix.tiles();
            if begin < offset + own && begin < end {
                let tiles = begin - offset..(end - offset).min(own);
                begin = offset + tiles.end;
                processor.tier().run(Tiles { job, tiles });
            }
            offset += own;
        }
    });
}

/// The same for `tiles` of one layer, each 32 outputs; the others stay as they are in `to`.
pub(super) fn linear_tiles(
    processor: &Processor,
    input: &Activations,
    layer: &Linear,
    tiles: &[usize],
    to: &mut [f32],
) {
    assert_eq!(layer.inputs(), input.inputs(), "inputs of a linear layer");
    assert_eq!(to.len(), input.rows() * layer.outputs(), "outputs of a linear layer");
    assert!(tiles.iter().all(|&tile| tile < layer.matrix.tiles()), "tiles of a linear layer");
    let job = Job { layer, input, to: to.as_mut_ptr(), is_alone: false };
    let job = &job;
    let parts = tiles.len().min(processor.pool().threads() * PARTS_A_THREAD);
    processor.pool().run(parts, &|part| {
        for &tile in &tiles[tiles.len() * part / parts..tiles.len() * (part + 1) / parts] {
            processor.tier().run(Tiles { job, tiles: tile..tile + 1 });
        }
    });
}

struct Job<'a> {
    layer: &'a Linear,
    input: &'a Activations,
    /// `rows * outputs` floats.
    to: *mut f32,
    /// Whether one thread goes through everything.
    is_alone: bool,
}

// SAFETY: `to` points into a slice borrowed mutably for the whole operation, and every part writes columns of its own.
unsafe impl Sync for Job<'_> {}

/// Some tiles of a layer, for all rows.
struct Tiles<'a> {
    job: &'a Job<'a>,
    tiles: Range<usize>,
}

impl Kernel for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller has the instructions of `L`.
        unsafe {
            match self.job.layer.matrix.format() {
                Format::Q8_0 => self.run_format::<L, CodecQ80>(),
                Format::Q5_0 => self.run_format::<L, CodecQ50>(),
                Format::Q4_0 => self.run_format::<L, CodecQ40>(),
                Format::Q5_1 => self.run_format::<L, CodecQ51>(),
                Format::Q4_1 => self.run_format::<L, CodecQ41>(),
                Format::Q5_K => self.run_format::<L, CodecQ5K>(),
                Format::Q4_K => self.run_format::<L, CodecQ4K>(),
                Format::Q6_K => self.run_format::<L, CodecQ6K>(),
            }
        }
    }
}

impl Tiles<'_> {
    /// # Safety
    /// The processor has the instructions of `L`.
    unsafe fn run_format<L: Lanes, C: Codec>(&self) {
        let rows = self.job.input.rows();
        let blocks = self.job.input.inputs() / BLOCK;
        let is_unpacked = rows >= ROWS_TO_UNPACK && !C::FORMAT.is_bytes();
        let matrix = &self.job.layer.matrix;
        let begin = matrix.tile(self.tiles.start).as_ptr();
        // A thread that is alone also reads what comes behind its part: the next one and, where a model's matrices lie
        // in a file in the order of their use, the next matrix. Asking for what there is not does no harm.
        let bytes = if self.job.is_alone { usize::MAX / 4 } else { self.tiles.len() * matrix.tile(0).len() };
        let ahead = Ahead { begin, end: begin.wrapping_add(bytes), blocks: 0 };
        let chunk = (ROWS_BYTES_MAX / self.job.input.inputs()).max(TILE_ROWS_MAX);
        let mut begin = 0;
        while begin < rows {
            // A short rest joins the last chunk.
            let end = if rows - begin <= chunk + chunk / 2 { rows } else { begin + chunk };
            for tile in self.tiles.clone() {
                let packed = matrix.tile(tile).as_ptr();
                let ahead = Ahead { begin: ahead.begin, end: ahead.end, blocks: (tile - self.tiles.start) * blocks };
                if is_unpacked {
                    with_room(blocks * UNPACKED_BLOCK, |to| {
                        let unpack = Unpack::<C> { from: packed, blocks, to, codec: PhantomData };
                        // SAFETY: as for this function; the tile has as many blocks as the rows, and there is room.
                        unsafe {
                            L::dispatch(unpack);
                            self.rows::<L, Unpacked<C>>(tile, to, begin..end, None);
                        }
                    });
                } else {
                    // SAFETY: as for this function.
                    unsafe { self.rows::<L, Packed<C>>(tile, packed, begin..end, Some(ahead)) };
                }
            }
            begin = end;
        }
    }

    /// # Safety
    /// As for `run_format`; the rows exist, and `weights` are those of the tile.
    unsafe fn rows<L: Lanes, W: Weights>(
        &self,
        tile: usize,
        weights: *const u8,
        rows: Range<usize>,
        mut ahead: Option<Ahead>,
    ) {
        let mut row = rows.start;
        while row < rows.end {
            let count = L::tile_rows(rows.end - row);
            // SAFETY: as for this function.
            unsafe { self.tile::<L, W>(tile, weights, row, count, ahead.take()) };
            row += count;
        }
    }

    /// # Safety
    /// As for `rows`; `row + count` is at most the number of rows.
    unsafe fn tile<L: Lanes, W: Weights>(
        &self,
        tile: usize,
        weights: *const u8,
        row: usize,
        count: usize,
        ahead: Option<Ahead>,
    ) {
        let Job { layer, input, to, .. } = self.job;
        let (outputs, blocks) = (layer.outputs(), input.inputs() / BLOCK);
        let bias = layer.bias.get(tile * TILE..(tile + 1) * TILE).map_or(std::ptr::null(), <[f32]>::as_ptr);
        // SAFETY: `row` is one of `outputs` floats, and the tile's first column is one of them.
        let to = unsafe { to.add(row * outputs + tile * TILE) };
        let mut job = Tile {
            weights,
            bias,
            blocks,
            quants: input.quants[row * input.inputs()..].as_ptr(),
            scales: input.scales[row * blocks..].as_ptr(),
            to,
            stride: outputs,
            ahead,
        };
        let columns = TILE.min(outputs - tile * TILE);
        if columns == TILE {
            // SAFETY: the pointers hold `count` rows, and the result's rows hold 32 columns from here.
            unsafe { L::tile::<W>(count, job) };
            return;
        }
        // The last tile is padded: its sums go through a buffer that has room for the padding.
        let mut buffer = [0.0_f32; TILE_ROWS_MAX * TILE];
        (job.to, job.stride) = (buffer.as_mut_ptr(), TILE);
        // SAFETY: as above, with `count` at most `TILE_ROWS_MAX`; the copies go to `columns` columns of own rows.
        unsafe {
            L::tile::<W>(count, job);
            for (index, sums) in buffer.chunks_exact(TILE).take(count).enumerate() {
                std::ptr::copy_nonoverlapping(sums.as_ptr(), to.add(index * outputs), columns);
            }
        }
    }
}
