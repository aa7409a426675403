//! Dense layers on the matrix unit of newer server processors (Intel AMX): tiles of 16 rows times 32 columns, 64 inputs a
//! step, of bytes with signs.
//!
//! Sums run over all inputs of a row before anything is scaled, so weights have one scale a column and activations one
//! a row. To lose nothing by that, both are numbers of 16 bits, given to the unit as two bytes; of the four products of
//! bytes that of both lower ones is left out, which is 2^-16 of the largest.

#[allow(clippy::wildcard_imports, reason = "an instruction set has hundreds of names")]
use std::arch::x86_64::*;
use std::{arch::asm, sync::OnceLock};

use super::{KernelError, Processor};

/// Rows of a tile.
const ROWS: usize = 16;
/// Columns of a tile; two tiles are worked side by side.
const COLUMNS: usize = 16;
const PAIR: usize = 2 * COLUMNS;
/// Inputs of a step: a tile row is 64 bytes.
const STEP: usize = 64;
const TILE_BYTES: usize = ROWS * STEP;
/// Tiles of weights of a step.
const WEIGHT_TILES: usize = 4;
/// The largest number of a row becomes this, and its upper byte 127.
const LARGEST: f32 = 127.0 * 256.0;

/// Weights of a dense layer, two bytes each, and a scale for every output.
#[derive(Debug)]
pub(super) struct AmxMatrix {
    outputs: usize,
    inputs: usize,
    /// For each 32 columns and 64 inputs four tiles of `[group of 4 inputs][column][input]`: the upper bytes of both
    /// halves of the columns, then the lower ones.
    bytes: Vec<Line>,
    /// One a column, padded to whole pairs.
    scales: Vec<f32>,
    bias: Vec<f32>,
}

/// A row of a tile, aligned as the unit reads it fastest.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([i8; STEP]);

/// Activations as two bytes each and a scale a row: tiles of 16 rows and 64 inputs, first the upper bytes of all 64
/// inputs, then the lower ones.
#[derive(Debug, Default)]
pub(super) struct AmxRows {
    rows: usize,
    inputs: usize,
    lines: Vec<Line>,
    scales: Vec<f32>,
}

/// Whether the processor has the unit and the system lets this process use it.
pub(super) fn is_supported() -> bool {
    static IS_SUPPORTED: OnceLock<bool> = OnceLock::new();
    *IS_SUPPORTED.get_or_init(|| {
        let features = __cpuid_count(7, 0).edx;
        features >> 24 & 3 == 3 && is_allowed()
    })
}

/// Linux gives the unit's registers, eight kilobytes, to processes that ask.
#[cfg(target_os = "linux")]
fn is_allowed() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: the call only sets what this process may use; the kernel keeps all registers but those named.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_allowed() -> bool {
    false
}

/// Whether layers of this shape can be worked.
pub(super) fn is_suited(outputs: usize, inputs: usize) -> bool {
    outputs.is_multiple_of(PAIR) && inputs.is_multiple_of(STEP) && inputs > 0
}

impl AmxMatrix {
    /// Rounds `outputs` rows of `inputs` weights: the upper byte of the largest of a row becomes 127.
    ///
    /// Errors: shapes that are not suited, and weights or biases that are not numbers.
    pub(super) fn new(outputs: usize, inputs: usize, weights: &[f32], bias: &[f32]) -> Result<Self, KernelError> {
        if !is_suited(outputs, inputs) || weights.len() != outputs * inputs || bias.len() != outputs {
            return Err(KernelError::Shape(format!("{outputs} x {inputs} is not made of 32 columns and 64 inputs")));
        }
        if weights.iter().chain(bias).any(|value| !value.is_finite()) {
            return Err(KernelError::NotANumber);
        }
        let mut scales = vec![0.0; outputs];
        let mut bytes = vec![Line([0; STEP]); 2 * outputs * inputs / STEP];
        for (column, row) in weights.chunks_exact(inputs).enumerate() {
            let largest = row.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
            scales[column] = largest / 127.0;
            let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
            for (input, weight) in row.iter().enumerate() {
                let whole = (weight * inverse).round() as i32;
                let upper = (whole + 128) >> 8;
                let tile = (column / PAIR * (inputs / STEP) + input / STEP) * WEIGHT_TILES + column % PAIR / COLUMNS;
                for (tile, byte) in [(tile, upper), (tile + 2, whole - (upper << 8))] {
                    let line = &mut bytes[tile * ROWS + input % STEP / 4];
                    line.0[column % COLUMNS * 4 + input % 4] = byte as i8;
                }
            }
        }
        Ok(Self { outputs, inputs, bytes, scales, bias: bias.to_vec() })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }
}

impl AmxRows {
    /// Rounds the rows of `values`, `inputs` each.
    ///
    /// # Panics
    /// When `inputs` is not a multiple of 64, `values` does not hold whole rows, or the processor lacks the unit.
    pub(super) fn quantize(&mut self, processor: &Processor, values: &[f32], inputs: usize) {
        assert!(is_supported(), "this processor has no matrix unit");
        assert!(inputs > 0 && inputs.is_multiple_of(STEP) && values.len().is_multiple_of(inputs), "rows of {inputs}");
        (self.rows, self.inputs) = (values.len() / inputs, inputs);
        let blocks = self.rows.div_ceil(ROWS);
        self.lines.resize(blocks * ROWS * inputs / STEP * 2, Line([0; STEP]));
        self.scales.resize(blocks * ROWS, 0.0);
        let parts = self.lines.chunks_exact_mut(ROWS * inputs / STEP * 2).zip(self.scales.chunks_exact_mut(ROWS));
        processor.pool().for_each(values.chunks(ROWS * inputs).zip(parts), |(values, (lines, scales))| {
            for (row, values) in values.chunks_exact(inputs).enumerate() {
                // SAFETY: processors with the unit have these instructions; there are lines for 16 rows.
                scales[row] = unsafe { quantize_row(values, row, lines) };
            }
        });
    }
}

/// Writes one row into its lines of a block of 16 rows and returns its scale.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn quantize_row(values: &[f32], row: usize, lines: &mut [Line]) -> f32 {
    let mut largest = _mm512_setzero_ps();
    let (chunks, _) = values.as_chunks::<16>();
    for chunk in chunks {
        // SAFETY: a chunk holds 16 floats.
        largest = _mm512_max_ps(largest, _mm512_abs_ps(unsafe { _mm512_loadu_ps(chunk.as_ptr()) }));
    }
    let largest = _mm512_reduce_max_ps(largest);
    let inverse = _mm512_set1_ps(if largest > 0.0 { LARGEST / largest } else { 0.0 });
    for (index, chunk) in chunks.iter().enumerate() {
        let (step, at) = (index / 4, index % 4 * 16);
        // SAFETY: a chunk holds 16 floats, and a line has room for four times 16 bytes.
        unsafe {
            let whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(chunk.as_ptr()), inverse));
            let upper = _mm512_srai_epi32::<8>(_mm512_add_epi32(whole, _mm512_set1_epi32(128)));
            let lower = _mm512_sub_epi32(whole, _mm512_slli_epi32::<8>(upper));
            let upper_line = lines[step * 2 * ROWS + row].0.as_mut_ptr().add(at);
            _mm_storeu_si128(upper_line.cast(), _mm512_cvtepi32_epi8(upper));
            let lower_line = lines[(step * 2 + 1) * ROWS + row].0.as_mut_ptr().add(at);
            _mm_storeu_si128(lower_line.cast(), _mm512_cvtepi32_epi8(lower));
        }
    }
    largest / LARGEST
}

/// Applies several layers to the same rows; each writes its `rows * outputs` results.
///
/// # Panics
/// When an output has another size, a layer other inputs, or the processor lacks the unit.
pub(super) fn multiply(processor: &Processor, input: &AmxRows, layers: &mut [(&AmxMatrix, &mut [f32])]) {
    /// Parts for each thread: a thread that was interrupted leaves the rest to others.
    const PARTS_A_THREAD: usize = 4;
    assert!(is_supported(), "this processor has no matrix unit");
    let mut jobs = Vec::with_capacity(layers.len());
    for (matrix, to) in layers {
        assert_eq!(matrix.inputs, input.inputs, "inputs of a dense layer");
        assert_eq!(to.len(), input.rows * matrix.outputs, "outputs of a dense layer");
        jobs.push(Job { matrix, input, to: to.as_mut_ptr() });
    }
    let pairs: Vec<(&Job, usize)> =
        jobs.iter().flat_map(|job| (0..job.matrix.outputs / PAIR).map(move |pair| (job, pair))).collect();
    let parts = pairs.len().min(processor.pool().threads() * PARTS_A_THREAD);
    processor.pool().run(parts, &|part| {
        // SAFETY: the unit is there; each pair writes columns of its own.
        unsafe {
            configure();
            for (job, pair) in &pairs[pairs.len() * part / parts..pairs.len() * (part + 1) / parts] {
                job.run(*pair);
            }
            asm!("tilerelease", options(nostack));
        }
    });
}

struct Job<'a> {
    matrix: &'a AmxMatrix,
    input: &'a AmxRows,
    /// `rows * outputs` floats.
    to: *mut f32,
}

// SAFETY: `to` points into a slice borrowed mutably for the whole operation, and every pair of tiles writes columns of
// its own.
unsafe impl Sync for Job<'_> {}

/// Makes all eight tiles 16 rows of 64 bytes.
///
/// # Safety
/// The process may use the unit.
unsafe fn configure() {
    #[repr(C, align(64))]
    struct Configuration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }
    let mut configuration =
        Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    configuration.row_bytes[..8].fill(STEP as u16);
    configuration.rows[..8].fill(ROWS as u8);
    // SAFETY: the instruction reads these 64 bytes.
    unsafe { asm!("ldtilecfg [{0}]", in(reg) &raw const configuration, options(nostack, readonly)) };
}

impl Job<'_> {
    /// All rows times 32 columns.
    ///
    /// # Safety
    /// The tiles are configured, and nobody else writes these columns.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    unsafe fn run(&self, pair: usize) {
        let Self { matrix, input, to } = self;
        let steps = input.inputs / STEP;
        let weights = matrix.bytes[pair * steps * WEIGHT_TILES * ROWS..].as_ptr();
        let scales: [__m512; 2] = std::array::from_fn(|half| {
            // SAFETY: there are scales for whole pairs.
            unsafe { _mm512_loadu_ps(matrix.scales[pair * PAIR + half * COLUMNS..].as_ptr()) }
        });
        let bias: [__m512; 2] = std::array::from_fn(|half| {
            // SAFETY: as above.
            unsafe { _mm512_loadu_ps(matrix.bias[pair * PAIR + half * COLUMNS..].as_ptr()) }
        });
        // Sums of the upper bytes and of the others with the first 16 columns, then with the rest, of two blocks of rows:
        // those of the block before are scaled while the unit works, which has nothing to do with vectors.
        let mut sums = [[[[Line([0; STEP]); ROWS]; 2]; 2]; 2];
        let blocks = input.rows.div_ceil(ROWS);
        for block in 0..=blocks {
            if block < blocks {
                let rows = input.lines[block * steps * 2 * ROWS..].as_ptr();
                // SAFETY: the pointers have `steps` times two and four tiles behind them, there is one step at least, and the sums of
                // a block are four tiles. What lies ahead of the rows is only asked for.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "2:",
                        "tileloadd tmm4, [{rows} + {line} * 1]",
                        "tileloadd tmm6, [{weights} + {line} * 1]",
                        "tdpbssd tmm0, tmm4, tmm6",
                        "tileloadd tmm5, [{rows} + {line} * 1 + 1024]",
                        "tdpbssd tmm1, tmm5, tmm6",
                        "tileloadd tmm6, [{weights} + {line} * 1 + 1024]",
                        "tdpbssd tmm2, tmm4, tmm6",
                        "tdpbssd tmm3, tmm5, tmm6",
                        "tileloadd tmm7, [{weights} + {line} * 1 + 2048]",
                        "tdpbssd tmm1, tmm4, tmm7",
                        "tileloadd tmm7, [{weights} + {line} * 1 + 3072]",
                        "tdpbssd tmm3, tmm4, tmm7",
                        ".irp at, 0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960, 1024, 1088, 1152, 1216, 1280, 1344, 1408, 1472, 1536, 1600, 1664, 1728, 1792, 1856, 1920, 1984",
                        "prefetcht0 [{rows} + \\at + 4096]",
                        ".endr",
                        "add {rows}, 2048",
                        "add {weights}, 4096",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{sums} + {line} * 1], tmm0",
                        "tilestored [{sums} + {line} * 1 + 1024], tmm1",
                        "tilestored [{sums} + {line} * 1 + 2048], tmm2",
                        "tilestored [{sums} + {line} * 1 + 3072], tmm3",
                        rows = inout(reg) rows => _,
                        weights = inout(reg) weights => _,
                        steps = inout(reg) steps => _,
                        sums = in(reg) sums[block % 2].as_mut_ptr(),
                        line = in(reg) STEP,
                        options(nostack),
                    );
                }
            }
            let Some(done) = block.checked_sub(1) else { continue };
            let first = done * ROWS;
            for row in first..input.rows.min(first + ROWS) {
                let row_scale = _mm512_set1_ps(input.scales[row]);
                for half in 0..2 {
                    // SAFETY: a line holds 16 sums; the output has this row and these columns.
                    unsafe {
                        let whole = |plane: usize| {
                            let sums: *const Line = &raw const sums[done % 2][half][plane][row - first];
                            _mm512_cvtepi32_ps(_mm512_loadu_si512(sums.cast()))
                        };
                        let sum = _mm512_fmadd_ps(whole(0), _mm512_set1_ps(256.0), whole(1));
                        let value = _mm512_fmadd_ps(sum, _mm512_mul_ps(row_scale, scales[half]), bias[half]);
                        _mm512_storeu_ps(to.add(row * matrix.outputs + pair * PAIR + half * COLUMNS), value);
                    }
                }
            }
        }
    }
}

const _: () = assert!(TILE_BYTES == 1024, "the offsets in the instructions");
