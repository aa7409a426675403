//! Which instruction set the kernels use. It is found once, when the program runs, so that one binary is fast on every
//! processor.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::{
    KernelError,
    lanes::{Kernel, Lanes},
    portable::Portable,
};
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx512};

/// The variable of the environment that names the tier to use instead of the fastest one, for measurements.
pub const TIER_VARIABLE: &str = "SHOPTALK_TIER";

/// An instruction set with its own kernels, fastest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// `Avx512Vnni`, and the matrix unit AMX for the dense layers of encoders.
    Amx,
    /// AVX-512 with VNNI: 512-bit dot products of bytes.
    Avx512Vnni,
    /// AVX2 with AVX-VNNI: 256-bit dot products of bytes.
    AvxVnni,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// 64-bit ARM with the dot product extension.
    NeonDot,
    /// Plain Rust for any processor; what the others are tested against.
    Scalar,
}

impl Tier {
    /// Every tier, fastest first.
    pub const ALL: [Self; 6] = [Self::Amx, Self::Avx512Vnni, Self::AvxVnni, Self::Avx2, Self::NeonDot, Self::Scalar];

    /// The fastest tier of this processor.
    pub fn best() -> Self {
        static BEST: OnceLock<Tier> = OnceLock::new();
        *BEST.get_or_init(|| {
            let supported = Self::ALL.into_iter().find(|tier| tier.is_supported());
            supported.unwrap_or(Self::Scalar)
        })
    }

    /// What the variable `TIER_VARIABLE` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512Vnni => "avx512-vnni",
            Self::AvxVnni => "avx-vnni",
            Self::Avx2 => "avx2",
            Self::NeonDot => "neon-dot",
            Self::Scalar => "scalar",
        }
    }

    /// The tier that is to be used: the one that the environment names, else the fastest.
    ///
    /// Errors: there is no tier of that name, or this processor lacks it.
    pub fn chosen() -> Result<Self, KernelError> {
        std::env::var(TIER_VARIABLE).map_or_else(|_| Ok(Self::best()), |name| Self::named(&name))
    }

    fn named(name: &str) -> Result<Self, KernelError> {
        let tier = Self::ALL.into_iter().find(|tier| tier.name() == name && tier.is_supported());
        tier.ok_or_else(|| KernelError::Tier(name.to_owned()))
    }

    /// Whether this processor has the instructions.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Self::Avx512Vnni.is_supported() && amx::is_supported(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                Self::Avx2.is_supported()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => Self::Avx2.is_supported() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            Self::Scalar => true,
            // Those of other processors.
            _ => false,
        }
    }

    /// Runs a kernel with this tier's instructions.
    ///
    /// # Panics
    /// When the processor lacks them.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(self.is_supported(), "this processor has no {self:?}");
        match self {
            // SAFETY: the line above found the instructions on this processor.
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Avx512Vnni => unsafe { avx512::Avx512::dispatch(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => unsafe { avx2::AvxVnni::dispatch(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::Avx2::dispatch(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => unsafe { neon::NeonDot::dispatch(kernel) },
            // SAFETY: this tier needs no special instructions; those of other processors were refused above.
            _ => unsafe { Portable::dispatch(kernel) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_of_this_processor_have_names() {
        for tier in Tier::ALL {
            let expected = if tier.is_supported() { Ok(tier) } else { Err(KernelError::Tier(tier.name().to_owned())) };
            assert_eq!(Tier::named(tier.name()), expected);
        }
        assert_eq!(Tier::named("scalar"), Ok(Tier::Scalar));
        assert!(Tier::named("AVX").unwrap_err().to_string().contains("\"AVX\""));
    }
}
