//! The quantized formats of ggml that the kernels multiply with, taken apart into what a tile stores.
//!
//! A weight is `scale * (q - zero) - min`: `q` has four low bits (or all eight) and up to two high bits, `scale` and
//! `min` belong to a block of 32 or 16 inputs and, in the formats of the K family, are products of a small integer and
//! a half float of the 256 inputs around it.

use candle_core::quantized::GgmlDType;

/// Inputs of a block.
pub(super) const BLOCK: usize = 32;
/// Blocks of a superblock of the K formats.
pub(super) const SUPER: usize = 8;
/// Output columns of a tile.
pub const TILE: usize = 32;

/// A quantized format, by its name in ggml.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "the names under which the formats are known")]
pub enum Format {
    /// Eight bits and a scale for 32 inputs.
    Q8_0,
    /// Five bits and a scale for 32 inputs.
    Q5_0,
    /// Four bits and a scale for 32 inputs.
    Q4_0,
    /// Five bits, a scale and a minimum for 32 inputs.
    Q5_1,
    /// Four bits, a scale and a minimum for 32 inputs.
    Q4_1,
    /// Five bits; scales and minima of 32 inputs are six bits of those of 256.
    Q5_K,
    /// Four bits; scales and minima of 32 inputs are six bits of those of 256.
    Q4_K,
    /// Six bits; scales of 16 inputs are eight bits of that of 256.
    Q6_K,
}

/// How a format stores its scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scales {
    /// A half float for 32 inputs.
    Half,
    /// A half float for 32 inputs, and one more for the minimum.
    HalfAndMin,
    /// Bytes for scale and minimum of 32 inputs, half floats for both of 256.
    SuperAndMin,
    /// Signed bytes for 16 inputs, a half float for 256.
    SuperSigned,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 8] =
        [Self::Q8_0, Self::Q5_0, Self::Q4_0, Self::Q5_1, Self::Q4_1, Self::Q5_K, Self::Q4_K, Self::Q6_K];

    /// The format that holds ggml's blocks of this type, if there is one.
    pub fn of_ggml(dtype: GgmlDType) -> Option<Self> {
        Some(match dtype {
            GgmlDType::Q8_0 => Self::Q8_0,
            GgmlDType::Q5_0 => Self::Q5_0,
            GgmlDType::Q4_0 => Self::Q4_0,
            GgmlDType::Q5_1 => Self::Q5_1,
            GgmlDType::Q4_1 => Self::Q4_1,
            GgmlDType::Q5K => Self::Q5_K,
            GgmlDType::Q4K => Self::Q4_K,
            GgmlDType::Q6K => Self::Q6_K,
            _ => return None,
        })
    }

    /// Bytes of one of ggml's blocks, and the inputs that it holds.
    pub fn ggml_block(self) -> (usize, usize) {
        match self {
            Self::Q8_0 => (34, 32),
            Self::Q5_0 => (22, 32),
            Self::Q4_0 => (18, 32),
            Self::Q5_1 => (24, 32),
            Self::Q4_1 => (20, 32),
            Self::Q5_K => (176, 256),
            Self::Q4_K => (144, 256),
            Self::Q6_K => (210, 256),
        }
    }

    /// Whether all eight bits of `q` lie in one byte.
    pub(super) const fn is_bytes(self) -> bool {
        matches!(self, Self::Q8_0)
    }

    /// Bits of `q` above the low four.
    pub(super) const fn high_bits(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q4_K => 0,
            Self::Q5_0 | Self::Q5_1 | Self::Q5_K => 1,
            Self::Q6_K => 2,
        }
    }

    /// Base-2 logarithm of `zero`, where `zero` is not 0.
    pub(super) const fn zero_log2(self) -> Option<u32> {
        match self {
            Self::Q8_0 => Some(7),
            Self::Q5_0 => Some(4),
            Self::Q4_0 => Some(3),
            Self::Q6_K => Some(5),
            Self::Q5_1 | Self::Q4_1 | Self::Q5_K | Self::Q4_K => None,
        }
    }

    /// Largest `q`.
    pub(super) const fn q_max(self) -> i32 {
        if self.is_bytes() { 255 } else { (16 << self.high_bits()) - 1 }
    }

    pub(super) const fn scales(self) -> Scales {
        match self {
            Self::Q8_0 | Self::Q5_0 | Self::Q4_0 => Scales::Half,
            Self::Q5_1 | Self::Q4_1 => Scales::HalfAndMin,
            Self::Q5_K | Self::Q4_K => Scales::SuperAndMin,
            Self::Q6_K => Scales::SuperSigned,
        }
    }

    pub(super) const fn has_min(self) -> bool {
        matches!(self.scales(), Scales::HalfAndMin | Scales::SuperAndMin)
    }

    /// Whether a block of a tile has two scales a column.
    pub(super) const fn has_two_scales(self) -> bool {
        !matches!(self.scales(), Scales::Half)
    }

    /// Bytes before every eight blocks of a tile: the half floats of 256 inputs.
    pub(super) const fn head_bytes(self) -> usize {
        match self.scales() {
            Scales::Half | Scales::HalfAndMin => 0,
            Scales::SuperAndMin => 4 * TILE,
            Scales::SuperSigned => 2 * TILE,
        }
    }

    /// Bytes of the low bits of a block of a tile.
    pub(super) const fn low_bytes(self) -> usize {
        if self.is_bytes() { TILE * BLOCK } else { TILE * BLOCK / 2 }
    }

    /// Where the scales of a block begin: behind the low and the high bits.
    pub(super) const fn scales_at(self) -> usize {
        self.low_bytes() + TILE * BLOCK * self.high_bits() / 8
    }

    /// Bytes of a block of a tile.
    pub(super) const fn block_bytes(self) -> usize {
        self.scales_at()
            + match self.scales() {
                Scales::HalfAndMin => 4 * TILE,
                Scales::Half | Scales::SuperAndMin | Scales::SuperSigned => 2 * TILE,
            }
    }

    /// Bytes of a tile over `inputs`.
    pub(super) const fn tile_bytes(self, inputs: usize) -> usize {
        let blocks = inputs / BLOCK;
        blocks * self.block_bytes() + blocks.div_ceil(SUPER) * self.head_bytes()
    }

    /// Where a block begins in its tile, and where the head of its superblock does.
    pub(super) const fn block_at(self, block: usize) -> (usize, usize) {
        let head = block / SUPER * (self.head_bytes() + SUPER * self.block_bytes());
        (head + self.head_bytes() + block % SUPER * self.block_bytes(), head)
    }
}

/// A format as a type, so that a kernel is compiled for each.
pub(super) trait Codec {
    const FORMAT: Format;
}

macro_rules! codecs {
    ($($name:ident $format:ident),*) => {$(
        pub(super) struct $name;
        impl Codec for $name {
            const FORMAT: Format = Format::$format;
        }
    )*};
}

codecs!(CodecQ80 Q8_0, CodecQ50 Q5_0, CodecQ40 Q4_0, CodecQ51 Q5_1, CodecQ41 Q4_1, CodecQ5K Q5_K, CodecQ4K Q4_K, CodecQ6K Q6_K);
