//! A BERT encoder's weights on disk, from a safetensors file or from the quantized file of `e5_wheel`. Matrices are
//! read once; rows of the word table (a quarter of a million words) are read from the file as texts need them, which
//! keeps up to 400 MB out of the process.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    sync::{Mutex, PoisonError},
};

use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QStorage, QTensor},
};
use serde::Deserialize;
use shoptalk_kernels::{Dense, PackedMatrix, Processor};

use super::{InferenceError, e5_wheel};

/// A safetensors header beyond this is not one of ours.
const HEADER_BYTES_MAX: u64 = 16 << 20;

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    F32,
    F16,
    BF16,
    /// ggml's blocks of 32: one f16 scale, then 32 four-bit values.
    Q4_0,
}

impl Format {
    /// Bytes of `count` numbers; for `Q4_0` a multiple of 32.
    fn bytes(self, count: usize) -> usize {
        match self {
            Self::F32 => count * 4,
            Self::F16 | Self::BF16 => count * 2,
            Self::Q4_0 => count / 32 * 18,
        }
    }
}

/// Where a tensor lies in the file.
#[derive(Debug, Clone)]
pub(crate) struct TensorEntry {
    pub(crate) format: Format,
    pub(crate) shape: Vec<usize>,
    pub(crate) offset: u64,
}

/// An open weights file and its table of contents under the names that BERT checkpoints use.
#[derive(Debug)]
pub(crate) struct BertWeights {
    /// Locked, because reading moves its position.
    file: Mutex<File>,
    entries: BTreeMap<String, TensorEntry>,
    /// Epsilon of the layer norms, where the file says it.
    pub(crate) layer_norm_epsilon: Option<f32>,
    /// Number of attention heads, where the file says it.
    pub(crate) heads: Option<usize>,
}

impl BertWeights {
    /// Opens either kind of file, told apart by their first bytes.
    pub(crate) fn open(path: &Path) -> Result<Self, InferenceError> {
        let step = format!("cannot read {}", path.display());
        let mut file = File::open(path).map_err(|error| InferenceError::failed(&step, error))?;
        let mut magic = [0; 4];
        file.read_exact(&mut magic).map_err(|error| InferenceError::failed(&step, error))?;
        if &magic == e5_wheel::MAGIC {
            let header = e5_wheel::read_header(&mut file).map_err(|cause| InferenceError::failed(&step, cause))?;
            let (epsilon, heads) = (Some(header.layer_norm_epsilon), Some(header.heads));
            return Ok(Self { file: Mutex::new(file), entries: header.entries, layer_norm_epsilon: epsilon, heads });
        }
        let entries = read_safetensors_header(&mut file).map_err(|cause| InferenceError::failed(&step, cause))?;
        Ok(Self { file: Mutex::new(file), entries, layer_norm_epsilon: None, heads: None })
    }

    /// Shape of a tensor, if there is one of that name.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// A whole tensor as f32.
    pub(crate) fn tensor(&self, name: &str) -> Result<Tensor, InferenceError> {
        let entry = self.entry(name)?;
        let mut data = vec![0; entry.format.bytes(entry.shape.iter().product())];
        self.read_at(name, entry.offset, &mut data)?;
        to_f32(entry.format, &data, &entry.shape).map_err(|error| InferenceError::failed(name, error))
    }

    /// A whole tensor as f32, without its shape.
    pub(crate) fn values(&self, name: &str) -> Result<Vec<f32>, InferenceError> {
        floats(&self.tensor(name)?).map_err(|error| InferenceError::failed(name, error))
    }

    /// The dense layer `name` for `processor`: its `weight`, shape (`outputs`, `inputs`), as quantized in the file or
    /// rounded to eight bits, and its `bias`.
    pub(crate) fn dense(
        &self,
        processor: &Processor,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Dense, InferenceError> {
        let weight = format!("{name}.weight");
        let entry = self.entry(&weight)?;
        if entry.shape != [outputs, inputs] {
            let problem = format!("has the shape {:?}, not {outputs} x {inputs}", entry.shape);
            return Err(InferenceError::failed(&weight, problem));
        }
        let bias = self.values(&format!("{name}.bias"))?;
        let layer = if entry.format == Format::Q4_0 {
            let mut data = vec![0; entry.format.bytes(outputs * inputs)];
            self.read_at(&weight, entry.offset, &mut data)?;
            PackedMatrix::from_ggml(shoptalk_kernels::Format::Q4_0, outputs, inputs, &data)
                .and_then(|matrix| Dense::new(processor, matrix, &bias))
        } else {
            Dense::from_f32(processor, outputs, inputs, &self.values(&weight)?, &bias)
        };
        layer.map_err(|error| InferenceError::failed(name, error))
    }

    /// Rows `ids` of the matrix `name` as f32, one behind the other.
    pub(crate) fn rows(&self, name: &str, ids: &[u32]) -> Result<Vec<f32>, InferenceError> {
        let entry = self.entry(name)?;
        let &[rows, columns] = entry.shape.as_slice() else {
            return Err(InferenceError::failed(name, "is not a matrix"));
        };
        let row_bytes = entry.format.bytes(columns);
        let mut data = vec![0; row_bytes * ids.len()];
        for (&id, row) in ids.iter().zip(data.chunks_exact_mut(row_bytes)) {
            if id as usize >= rows {
                return Err(InferenceError::failed(name, format!("has no row {id}")));
            }
            self.read_at(name, entry.offset + u64::from(id) * row_bytes as u64, row)?;
        }
        to_f32(entry.format, &data, &[ids.len(), columns])
            .and_then(|rows| floats(&rows))
            .map_err(|error| InferenceError::failed(name, error))
    }

    /// Writes every tensor as f32 into a safetensors file.
    pub(crate) fn export(&self, to: &Path) -> Result<(), InferenceError> {
        let tensors = self.entries.keys().map(|name| Ok((name.as_str(), self.tensor(name)?)));
        let tensors = tensors.collect::<Result<HashMap<_, _>, InferenceError>>()?;
        let step = format!("cannot write {}", to.display());
        candle_core::safetensors::save(&tensors, to).map_err(|error| InferenceError::failed(&step, error))
    }

    fn entry(&self, name: &str) -> Result<&TensorEntry, InferenceError> {
        self.entries.get(name).ok_or_else(|| InferenceError::failed(name, "is missing in the weights"))
    }

    fn read_at(&self, name: &str, offset: u64, data: &mut [u8]) -> Result<(), InferenceError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(data))
            .map_err(|error| InferenceError::failed(name, error))
    }
}

fn floats(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

fn to_f32(format: Format, data: &[u8], shape: &[usize]) -> candle_core::Result<Tensor> {
    let device = &Device::Cpu;
    let dtype = match format {
        Format::Q4_0 => {
            let storage = QStorage::from_data(Cow::Borrowed(data), device, GgmlDType::Q4_0)?;
            return QTensor::new(storage, shape)?.dequantize(device);
        }
        Format::F32 => DType::F32,
        Format::F16 => DType::F16,
        Format::BF16 => DType::BF16,
    };
    Tensor::from_raw_buffer(data, dtype, shape, device)?.to_dtype(DType::F32)
}

#[derive(Deserialize)]
struct SafetensorsEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// The table of contents of a safetensors file: its length, then JSON. Tensors of other types than floats (the
/// position ids of old checkpoints) are left out.
fn read_safetensors_header(file: &mut File) -> Result<BTreeMap<String, TensorEntry>, String> {
    let text = |error: std::io::Error| error.to_string();
    file.seek(SeekFrom::Start(0)).map_err(text)?;
    let file_bytes = file.metadata().map_err(text)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(text)?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_BYTES_MAX || length + 8 > file_bytes {
        return Err("this is not a safetensors file".to_owned());
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(text)?;
    let mut header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(|error| format!("bad safetensors header: {error}"))?;
    header.remove("__metadata__");
    let mut entries = BTreeMap::new();
    for (name, value) in header {
        let entry: SafetensorsEntry =
            serde_json::from_value(value).map_err(|error| format!("bad entry {name:?}: {error}"))?;
        let format = match entry.dtype.as_str() {
            "F32" => Format::F32,
            "F16" => Format::F16,
            "BF16" => Format::BF16,
            _ => continue,
        };
        let count = entry.shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
        let [begin, end] = entry.data_offsets;
        let fits = count.is_some_and(|count| end.checked_sub(begin) == Some(format.bytes(count) as u64))
            && end <= file_bytes - 8 - length;
        if !fits {
            return Err(format!("the tensor {name:?} does not fit into the file; download it again"));
        }
        let name = name.strip_prefix("bert.").unwrap_or(&name).to_owned();
        entries.insert(name, TensorEntry { format, shape: entry.shape, offset: 8 + length + begin });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_with(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn rows_and_tensors_are_read_as_f32() {
        let data: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let header = r#"{"bert.w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}"#;
        let weights = BertWeights::open(file_with(&safetensors(header, &data)).path()).unwrap();
        assert_eq!(weights.shape("w"), Some([3, 2].as_slice()));
        assert_eq!(weights.rows("w", &[2, 0]).unwrap(), [5.0, 6.0, 1.0, 2.0]);
        assert!(weights.dense(Processor::shared(), "w", 3, 2).is_err());
        assert_eq!(weights.tensor("w").unwrap().to_vec2::<f32>().unwrap()[1], [3.0, 4.0]);
        assert!(weights.rows("w", &[3]).unwrap_err().to_string().contains("no row 3"));
    }

    #[test]
    fn broken_files_are_refused() {
        let cut = safetensors(r#"{"w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}"#, &[0; 20]);
        for bytes in [cut, b"E5S1".to_vec(), b"no weights at all".to_vec(), vec![0xFF; 64]] {
            let error = BertWeights::open(file_with(&bytes).path()).unwrap_err().to_string();
            assert!(error.contains("cannot read"), "{error}");
        }
    }
}
