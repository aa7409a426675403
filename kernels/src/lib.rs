//! The arithmetic under Shoptalk's models: quantized linear layers, attention over half floats and the functions between
//! them, each written once and compiled for every instruction set (`Tier`), chosen when the program runs.
//!
//! This is the only part of the product with `unsafe` code. Pointers are made from slices whose lengths were checked,
//! in the same function or one above it; instructions run only after the processor was asked for them.

use std::sync::OnceLock;

mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dense;
mod dot;
mod format;
mod functions;
mod ggml_block;
mod key_values;
mod lanes;
mod linear;
#[cfg(target_arch = "aarch64")]
mod neon;
mod packed;
mod pool;
mod portable;
mod screen;
mod storage;
#[cfg(test)]
mod tests;
mod tier;
mod tile;

pub use activations::Activations;
pub use attention::{Attention, Queries, attend};
pub use dense::{Dense, DenseInput, dense};
pub use dot::{dot, dot_bytes};
pub use format::Format;
pub use functions::{gelu, layer_norm, log_sum_exp, rms_norm, silu_times};
pub use key_values::KeyValues;
pub use linear::{Linear, linear};
pub use packed::{PACKED_LAYOUT, PackedMatrix};
pub use pool::Pool;
pub use screen::Screen;
pub use storage::{Bytes, MappedFile, checksum};
pub use tier::{TIER_VARIABLE, Tier};

/// Why weights cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// Sizes that do not fit together.
    #[error("{0}")]
    Shape(String),
    /// A weight or a scale is infinite or not a number.
    #[error("the weights contain values that are not numbers")]
    NotANumber,
    /// `SHOPTALK_TIER` names instructions that there are not, or not on this processor.
    #[error("this processor has no instructions {0:?}")]
    Tier(String),
}

/// What computes: an instruction set and the threads that share the work.
#[derive(Debug)]
pub struct Processor {
    tier: Tier,
    pool: Pool,
}

impl Processor {
    /// A processor of its own, for tests and measurements.
    ///
    /// # Panics
    /// When this machine lacks the instructions of `tier`.
    pub fn new(tier: Tier, threads: usize) -> Self {
        assert!(tier.is_supported(), "this processor has no {tier:?}");
        Self { tier, pool: Pool::new(threads) }
    }

    /// The one that all models share: the tier that is chosen (the best where the environment names none of this
    /// processor), and as many threads as candle takes.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Processor> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::new(Tier::chosen().unwrap_or_else(|_| Tier::best()), candle_core::utils::get_num_threads())
        })
    }

    /// The instruction set.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
