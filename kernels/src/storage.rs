//! Bytes of packed weights: in memory of their own, or in a file that is mapped into memory.

use std::{fs::File, io, ops::Range, path::Path, sync::Arc};

use memmap2::Mmap;

use super::Processor;

/// A cache line, so that a 64-byte load never crosses one.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes of a piece that one thread sums up.
const PIECE: usize = 4 << 20;

/// Bytes that begin at a cache line. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bytes(Source);

#[derive(Debug, Clone)]
enum Source {
    Owned { lines: Arc<[Line]>, len: usize },
    Mapped { file: MappedFile, range: Range<usize> },
}

impl Bytes {
    /// `len` zero bytes.
    pub(super) fn zeroed(len: usize) -> Self {
        Self(Source::Owned { lines: std::iter::repeat_n(Line([0; 64]), len.div_ceil(64)).collect(), len })
    }

    /// The bytes of a value that nobody else holds yet.
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        let Source::Owned { lines, len } = &mut self.0 else { unreachable!("a mapped file is never written") };
        let lines = Arc::get_mut(lines).expect("bytes are written only while they are new");
        // SAFETY: `Line` is 64 initialised bytes without padding, `len` is at most 64 times their number, and the
        // borrow of `lines` keeps everybody else away.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), *len) }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: `Line` is 64 initialised bytes without padding, and `len` is at most 64 times their number.
            Source::Owned { lines, len } => unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), *len) },
            Source::Mapped { file, range } => &file.as_slice()[range.clone()],
        }
    }
}

/// A file in the address space, read as its pages are touched; processes that map the same file share its memory.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct MappedFile(Arc<Mmap>);

impl MappedFile {
    /// Maps a whole file. Whoever writes such files must write them under another name and then rename them: a file
    /// that is cut short while it is mapped ends the process.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: a mapping is sound while nobody changes the file, which those who write it keep to, as said above.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(Arc::new(map)))
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes in `range`, which begins at a multiple of 64; `None` where it does not or the file ends before.
    pub fn bytes(&self, range: Range<usize>) -> Option<Bytes> {
        self.0.get(range.clone()).filter(|_| range.start.is_multiple_of(64))?;
        Some(Bytes(Source::Mapped { file: self.clone(), range }))
    }
}

/// A sum that tells changed bytes from the same ones, though not from those of a clever forger; as fast as memory is
/// read. FNV-1a (Fowler, Noll, Vo) over eight words side by side, for each piece, then over the pieces' sums.
pub fn checksum(processor: &Processor, bytes: &[u8]) -> u64 {
    let mut sums = vec![0; bytes.len().div_ceil(PIECE)];
    let pieces = sums.iter_mut().zip(bytes.chunks(PIECE));
    processor.pool().for_each(pieces, |(sum, piece)| *sum = piece_sum(piece));
    sums.into_iter().fold(bytes.len() as u64, add)
}

fn piece_sum(piece: &[u8]) -> u64 {
    let mut sums = [0xCBF2_9CE4_8422_2325_u64; 8];
    let (lines, rest) = piece.as_chunks::<64>();
    for line in lines {
        for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
            *sum = add(*sum, u64::from_le_bytes(*word));
        }
    }
    let rest = rest.iter().map(|&byte| u64::from(byte));
    sums.into_iter().chain(rest).fold(piece.len() as u64, add)
}

fn add(sum: u64, word: u64) -> u64 {
    // The rotation brings high bits down, which a product alone never does.
    (sum ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tier;

    #[test]
    fn every_changed_bit_and_length_changes_the_sum() {
        let processor = Processor::new(Tier::Scalar, 2);
        let mut bytes: Vec<u8> = (0..PIECE + 200).map(|at| (at * at / 7) as u8).collect();
        let sum = checksum(&processor, &bytes);
        assert_eq!(checksum(&Processor::new(Tier::Scalar, 1), &bytes), sum);
        for at in [0, 1, 63, 64, 4097, PIECE - 1, PIECE, PIECE + 127, PIECE + 128, PIECE + 199] {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert_ne!(checksum(&processor, &bytes), sum, "bit {bit} of byte {at}");
                bytes[at] ^= 1 << bit;
            }
        }
        bytes.swap(64, 128);
        assert_ne!(checksum(&processor, &bytes), sum);
        bytes.swap(64, 128);
        assert_ne!(checksum(&processor, &bytes[..PIECE + 199]), sum);
        bytes.push(0);
        assert_ne!(checksum(&processor, &bytes), sum);
    }

    #[test]
    fn a_mapped_file_gives_aligned_parts_within_it() {
        let file = std::env::temp_dir().join(format!("shoptalk-mapped-{}", std::process::id()));
        std::fs::write(&file, [7_u8; 200]).unwrap();
        let mapped = MappedFile::open(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(mapped.bytes(64..200).unwrap().as_slice(), [7; 136]);
        assert!(mapped.bytes(64..201).is_none() && mapped.bytes(8..64).is_none());
    }
}
