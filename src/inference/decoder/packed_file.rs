//! A model's packed weights in a file beside it. They are written when a model is loaded for the first time; later
//! starts map the file, so that nothing is packed again and processes share the memory.
//!
//! The file begins with the magic number, then the length and the checksum of a header (JSON: what was packed, and
//! where each matrix begins), two little-endian `u64`; matrices begin at whole pages. Everything is held against its
//! checksum before it is used: a file that is cut short, damaged or made from another one is packed anew.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use shoptalk_kernels::{Format, MappedFile, PACKED_LAYOUT, PackedMatrix, Processor, checksum};

/// Changes with the header or the order of the file.
const VERSION: u32 = 2;
const MAGIC: &[u8; 16] = b"shoptalk-packed\n";
/// Bytes before the header.
const PREAMBLE: usize = MAGIC.len() + 16;
/// Matrices begin at multiples of this.
const PAGE: usize = 4096;
/// A draft of this age was left by a process that ended while it wrote.
const DRAFT_AGE_MAX: Duration = Duration::from_mins(10);

/// What was packed: another file, or the same one after a change, has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    version: u32,
    layout: u32,
    bytes: u64,
    changed_ns: u128,
    /// Checksum of what lies before the tensors: sizes, names, tokens.
    head: u64,
}

/// Why there are no packed weights to use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// None were written yet.
    #[error("there are none")]
    Missing,
    /// They were made from another file or by another version of this program.
    #[error("they were made from another file or by another version")]
    Outdated,
    /// The file is not what was written.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// The file system's error.
    #[error(transparent)]
    Io(io::Error),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    origin: Origin,
    matrices: HashMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    format: String,
    outputs: usize,
    inputs: usize,
    /// From the beginning of the first matrix.
    begin: usize,
    checksum: u64,
}

/// Packed weights, mapped and checked.
#[derive(Debug)]
pub(super) struct PackedFile {
    file: MappedFile,
    /// Where the first matrix begins.
    begin: usize,
    matrices: HashMap<String, Entry>,
}

impl Origin {
    /// What `path` holds now; its first `head_bytes` are read.
    pub(super) fn of(path: &Path, head_bytes: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(head_bytes).read_to_end(&mut head)?;
        Ok(Self {
            version: VERSION,
            layout: PACKED_LAYOUT,
            bytes: metadata.len(),
            changed_ns: changed.map_or(0, |since| since.as_nanos()),
            head: checksum(Processor::shared(), &head),
        })
    }
}

/// Where the packed weights of `weights` lie.
pub(super) fn path_of(weights: &Path) -> PathBuf {
    with_ending(weights, ".packed-v1")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

impl PackedFile {
    /// Maps the file and compares every checksum.
    pub(super) fn open(path: &Path, origin: &Origin) -> Result<Self, Unusable> {
        let file = MappedFile::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Missing,
            _ => Unusable::Io(error),
        })?;
        let (header, begin) = Header::read(file.as_slice())?;
        if header.origin != *origin {
            return Err(Unusable::Outdated);
        }
        let packed = Self { file, begin, matrices: header.matrices };
        for entry in packed.matrices.values() {
            let matrix = packed.read(entry).ok_or(Unusable::Damaged("it ends before its last matrix"))?;
            if checksum(Processor::shared(), matrix.as_bytes()) != entry.checksum {
                return Err(Unusable::Damaged("a matrix has another checksum"));
            }
        }
        Ok(packed)
    }

    /// The matrix of that name, where it has this format and shape.
    pub(super) fn matrix(&self, name: &str, format: Format, outputs: usize, inputs: usize) -> Option<PackedMatrix> {
        let matrix = self.read(self.matrices.get(name)?)?;
        ((matrix.format(), matrix.outputs(), matrix.inputs()) == (format, outputs, inputs)).then_some(matrix)
    }

    fn read(&self, entry: &Entry) -> Option<PackedMatrix> {
        let format = Format::ALL.into_iter().find(|format| format!("{format:?}") == entry.format)?;
        let rows = entry.outputs.checked_mul(entry.inputs).filter(|weights| *weights <= 1 << 40)?;
        let bytes = (rows > 0).then(|| PackedMatrix::packed_bytes(format, entry.outputs, entry.inputs))?;
        let begin = self.begin.checked_add(entry.begin)?;
        let data = self.file.bytes(begin..begin.checked_add(bytes)?)?;
        PackedMatrix::from_packed(format, entry.outputs, entry.inputs, data).ok()
    }

    /// Writes `matrices` under a name of their own and then gives the file its name, so that nobody sees half of it.
    ///
    /// Errors: those of the file system, also where another process is writing the same file.
    pub(super) fn write(path: &Path, origin: &Origin, matrices: &[(String, PackedMatrix)]) -> io::Result<()> {
        let draft = with_ending(path, ".part");
        let is_left_over = fs::metadata(&draft)
            .and_then(|draft| draft.modified())
            .is_ok_and(|written| written.elapsed().is_ok_and(|age| age > DRAFT_AGE_MAX));
        if is_left_over {
            fs::remove_file(&draft)?;
        }
        let file = File::create_new(&draft)?;
        // No `sync`: what a crash of the machine leaves undone has a wrong checksum and is packed anew.
        write_all(&file, origin, matrices).and_then(|()| fs::rename(&draft, path)).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = fs::remove_file(&draft);
        })
    }
}

impl Header {
    /// The header, and where the first matrix begins.
    fn read(file: &[u8]) -> Result<(Self, usize), Unusable> {
        let damaged = Unusable::Damaged("its header cannot be read");
        let Some(preamble) = file.get(..PREAMBLE).filter(|file| file.starts_with(MAGIC)) else { return Err(damaged) };
        let words = preamble[MAGIC.len()..].as_chunks::<8>().0;
        let [bytes, sum] = [words[0], words[1]].map(u64::from_le_bytes);
        let end = usize::try_from(bytes).ok().and_then(|bytes| bytes.checked_add(PREAMBLE));
        let Some((end, text)) = end.and_then(|end| Some((end, file.get(PREAMBLE..end)?))) else { return Err(damaged) };
        if checksum(Processor::shared(), text) != sum {
            return Err(damaged);
        }
        // The checksum was right: what cannot be understood was written by another version.
        let header = serde_json::from_slice(text).map_err(|_| Unusable::Outdated)?;
        Ok((header, end.next_multiple_of(PAGE)))
    }
}

fn write_all(file: &File, origin: &Origin, matrices: &[(String, PackedMatrix)]) -> io::Result<()> {
    let mut header = Header { origin: origin.clone(), matrices: HashMap::new() };
    let mut begin = 0;
    for (name, matrix) in matrices {
        let entry = Entry {
            format: format!("{:?}", matrix.format()),
            outputs: matrix.outputs(),
            inputs: matrix.inputs(),
            begin,
            checksum: checksum(Processor::shared(), matrix.as_bytes()),
        };
        begin += matrix.as_bytes().len().next_multiple_of(PAGE);
        header.matrices.insert(name.clone(), entry);
    }
    let text = serde_json::to_vec(&header)?;
    let mut to = BufWriter::new(file);
    to.write_all(MAGIC)?;
    to.write_all(&(text.len() as u64).to_le_bytes())?;
    to.write_all(&checksum(Processor::shared(), &text).to_le_bytes())?;
    to.write_all(&text)?;
    to.write_all(&padding(PREAMBLE + text.len()))?;
    for (_, matrix) in matrices {
        to.write_all(matrix.as_bytes())?;
        to.write_all(&padding(matrix.as_bytes().len()))?;
    }
    to.flush()
}

/// Zeros up to a whole page.
fn padding(bytes: usize) -> Vec<u8> {
    vec![0; bytes.next_multiple_of(PAGE) - bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { version: VERSION, layout: PACKED_LAYOUT, bytes: 5, changed_ns: 7, head: 9 }
    }

    fn matrices() -> Vec<(String, PackedMatrix)> {
        let matrix = |outputs: usize, factor: f32| {
            let weights: Vec<f32> = (0..outputs * 64).map(|at| (at as f32 * factor).sin()).collect();
            PackedMatrix::from_f32(outputs, 64, &weights).unwrap()
        };
        vec![("first".to_owned(), matrix(40, 0.3)), ("second".to_owned(), matrix(3, 0.7))]
    }

    fn written() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(&dir.path().join("model.gguf"));
        PackedFile::write(&path, &origin(), &matrices()).unwrap();
        (dir, path)
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (dir, path) = written();
        let packed = PackedFile::open(&path, &origin()).unwrap();
        for (name, matrix) in matrices() {
            let read = packed.matrix(&name, Format::Q8_0, matrix.outputs(), 64).unwrap();
            assert_eq!(read.as_bytes(), matrix.as_bytes());
        }
        assert!(packed.matrix("first", Format::Q8_0, 41, 64).is_none());
        assert!(packed.matrix("first", Format::Q4_0, 40, 64).is_none());
        assert!(packed.matrix("third", Format::Q8_0, 40, 64).is_none());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn other_files_and_missing_ones_are_told_apart() {
        let (dir, path) = written();
        for other in [Origin { bytes: 6, ..origin() }, Origin { head: 8, ..origin() }, Origin { layout: 0, ..origin() }]
        {
            assert!(matches!(PackedFile::open(&path, &other), Err(Unusable::Outdated)));
        }
        assert!(matches!(PackedFile::open(&dir.path().join("none"), &origin()), Err(Unusable::Missing)));
    }

    #[test]
    fn a_file_that_is_cut_short_or_changed_anywhere_is_damaged() {
        let (_dir, path) = written();
        let whole = fs::read(&path).unwrap();
        let is_damaged = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            matches!(PackedFile::open(&path, &origin()), Err(Unusable::Damaged(_) | Unusable::Outdated))
        };
        // The last page is padding behind the last matrix, of which only the beginning is needed.
        for len in [1, 16, PREAMBLE, PREAMBLE + 50, PAGE, PAGE + 100, whole.len() - PAGE] {
            assert!(is_damaged(&whole[..len]), "{len} bytes");
        }
        for at in [0, 17, 25, PREAMBLE + 5, PAGE, PAGE + 2000, 2 * PAGE + 77] {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            assert!(is_damaged(&changed), "byte {at}");
        }
        assert!(!is_damaged(&whole));
    }

    #[test]
    fn one_process_writes_and_a_draft_that_was_left_is_replaced() {
        let (_dir, path) = written();
        let draft = with_ending(&path, ".part");
        let file = File::create(&draft).unwrap();
        let error = PackedFile::write(&path, &origin(), &matrices()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        file.set_modified(std::time::SystemTime::now() - 2 * DRAFT_AGE_MAX).unwrap();
        PackedFile::write(&path, &origin(), &matrices()).unwrap();
        assert!(!draft.exists() && PackedFile::open(&path, &origin()).is_ok());
    }
}
