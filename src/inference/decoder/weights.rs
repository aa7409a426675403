//! A GGUF file's sizes and matrices, packed for the kernels: now, or when the file was loaded for the first time. The
//! table of word vectors stays in the file, from which rows are read as tokens need them.

use std::{
    fs::File,
    io::{BufReader, Cursor, Read, Seek, SeekFrom},
    path::Path,
    sync::Mutex,
};

use candle_core::{
    Device,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{Content, TensorInfo},
    },
};
use shoptalk_kernels::{Format, Linear, MappedFile, PackedMatrix, Screen};

use super::{
    super::InferenceError,
    packed_file::{self, Origin, PackedFile, Unusable},
    rope::Pairs,
};

pub(super) const WORD_TABLE: &str = "token_embd.weight";

/// Why a model file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelFileError {
    /// The file is cut short, or no GGUF at all.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// Another kind of network.
    #[error("the architecture {0:?} is not supported; qwen2 and llama are")]
    UnknownArchitecture(String),
    /// A tensor in a format without kernels.
    #[error("the tensor {tensor} is quantized as {quantization}, which is not supported")]
    UnknownQuantization {
        /// The tensor's name.
        tensor: String,
        /// The format's name.
        quantization: String,
    },
    /// A setting of the model that is missing or out of range.
    #[error("the model's {0} is missing or not supported")]
    Setting(String),
    /// A tensor whose shape or numbers do not fit.
    #[error("the tensor {tensor}: {problem}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
}

/// The model's dimensions.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    pub(super) head_size: usize,
    pub(super) context: usize,
    pub(super) epsilon: f32,
    pub(super) rope_base: f32,
    pub(super) pairs: Pairs,
}

/// One layer.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) attention_output: Linear,
    pub(super) output_norm: Vec<f32>,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

/// A whole model.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) sizes: Sizes,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Vec<f32>,
    pub(super) output: Linear,
    /// Where the output's weights take much more than four bits.
    pub(super) screen: Option<Screen>,
    pub(super) rope_factors: Option<Vec<f32>>,
    words: WordTable,
}

/// The table of word vectors, shape (vocabulary, width), in the open file.
#[derive(Debug)]
struct WordTable {
    file: Mutex<File>,
    begin: u64,
    row_bytes: usize,
    words: usize,
    width: usize,
    dtype: GgmlDType,
}

impl Weights {
    /// Reads the file at `path`, whose beginning `content` is. Packed weights are kept beside it where that is possible.
    pub(super) fn load(path: &Path, content: &Content, context_max: usize) -> Result<Self, ModelFileError> {
        let origin = Origin::of(path, content.tensor_data_offset).map_err(unreadable)?;
        let packed_path = packed_file::path_of(path);
        let packed = PackedFile::open(&packed_path, &origin).inspect_err(|reason| match reason {
            Unusable::Missing | Unusable::Outdated => tracing::debug!(%reason, "the chat model's weights are packed"),
            Unusable::Damaged(_) | Unusable::Io(_) => {
                let file = packed_path.display();
                tracing::warn!(%file, %reason, "the packed weights cannot be used and are made again");
            }
        });
        let mut tensors = Tensors::open(path, content, packed.ok())?;
        let weights = tensors.weights(path, context_max)?;
        if tensors.packed.is_some() {
            return Ok(weights);
        }
        let kept = PackedFile::write(&packed_path, &origin, &tensors.matrices)
            .map_err(Unusable::Io)
            .and_then(|()| PackedFile::open(&packed_path, &origin));
        match kept {
            Ok(packed) => {
                // The same weights from the file, which the system can share and take back, instead of from memory.
                drop((weights, tensors));
                Tensors::open(path, content, Some(packed))?.weights(path, context_max)
            }
            Err(reason) => {
                tracing::debug!(%reason, "the packed weights are not kept, so that the next start packs them again");
                Ok(weights)
            }
        }
    }

    /// Appends the vectors of `tokens`.
    pub(super) fn embed(&self, tokens: &[u32], to: &mut Vec<f32>) -> Result<(), InferenceError> {
        self.words.append(tokens, to).map_err(|problem| InferenceError::Failed(format!("word vectors: {problem}")))
    }
}

/// What a GGUF file says of itself before its tensors: settings, tokens, places.
pub fn read_head(path: &Path) -> Result<Content, ModelFileError> {
    // Mapped, because candle asks for its place in the file at every one of the tokens.
    let file = MappedFile::open(path).map_err(unreadable)?;
    Content::read(&mut Cursor::new(file.as_slice())).map_err(unreadable)
}

impl Sizes {
    pub(super) fn read(content: &Content, context_max: usize) -> Result<Self, ModelFileError> {
        let setting = |key: &str| content.metadata.get(key);
        let architecture =
            setting("general.architecture").and_then(|value| value.to_string().ok().cloned()).unwrap_or_default();
        let pairs = match architecture.as_str() {
            "qwen2" => Pairs::Halves,
            "llama" => Pairs::Neighbours,
            _ => return Err(ModelFileError::UnknownArchitecture(architecture)),
        };
        let missing = |key: &str| ModelFileError::Setting(format!("{architecture}.{key}"));
        let find = |key: &str| setting(&format!("{architecture}.{key}"));
        let size = |key: &str| {
            let value = find(key).and_then(|value| value.to_u32().ok()).filter(|value| (1..1 << 24).contains(value));
            value.map(|value| value as usize).ok_or_else(|| missing(key))
        };
        let float = |key: &str, default: Option<f32>| {
            let value = find(key).and_then(|value| value.to_f32().ok()).or(default);
            value.filter(|value| value.is_finite() && *value > 0.0).ok_or_else(|| missing(key))
        };
        let (width, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let key_heads = size("attention.head_count_kv").unwrap_or(heads);
        let head_size = size("attention.key_length").unwrap_or(width / heads);
        let turned = size("rope.dimension_count").unwrap_or(head_size);
        if !head_size.is_multiple_of(32) || !heads.is_multiple_of(key_heads) || !width.is_multiple_of(32) {
            return Err(missing("attention.head_count"));
        }
        if turned != head_size {
            return Err(missing("rope.dimension_count"));
        }
        if size("expert_count").is_ok_and(|experts| experts > 1) {
            return Err(missing("expert_count"));
        }
        Ok(Self {
            layers: size("block_count")?,
            width,
            heads,
            key_heads,
            head_size,
            context: size("context_length").unwrap_or(2048).min(context_max),
            epsilon: float("attention.layer_norm_rms_epsilon", None)?,
            rope_base: float("rope.freq_base", Some(10_000.0))?,
            pairs,
        })
    }
}

/// An open file.
struct Tensors<'a> {
    content: &'a Content,
    reader: BufReader<File>,
    packed: Option<PackedFile>,
    /// The matrices read so far.
    matrices: Vec<(String, PackedMatrix)>,
}

impl<'a> Tensors<'a> {
    fn open(path: &Path, content: &'a Content, packed: Option<PackedFile>) -> Result<Self, ModelFileError> {
        let reader = BufReader::new(File::open(path).map_err(unreadable)?);
        Ok(Self { content, reader, packed, matrices: Vec::new() })
    }

    fn weights(&mut self, path: &Path, context_max: usize) -> Result<Weights, ModelFileError> {
        let sizes = Sizes::read(self.content, context_max)?;
        let layers = (0..sizes.layers).map(|layer| self.layer(layer, &sizes)).collect::<Result<_, _>>()?;
        let norm = self.vector("output_norm.weight", sizes.width)?;
        let words = WordTable::open(path, self.content, &sizes)?;
        let tied = if self.has("output.weight") { "output.weight" } else { WORD_TABLE };
        let output = self.linear(tied, None, words.words, sizes.width)?;
        let screen = Screen::is_worth_it(output.matrix()).then(|| self.screen(tied, output.matrix()));
        let factors = "rope_freqs.weight";
        let rope_factors = self.has(factors).then(|| self.vector(factors, sizes.head_size / 2)).transpose()?;
        Ok(Weights { sizes, layers, norm, output, screen, rope_factors, words })
    }

    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn layer(&mut self, layer: usize, sizes: &Sizes) -> Result<Layer, ModelFileError> {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let (width, queries) = (sizes.width, sizes.heads * sizes.head_size);
        let keys = sizes.key_heads * sizes.head_size;
        let wide = info(self.content, &name("ffn_up.weight"))?.shape.dims().first().copied().unwrap_or_default();
        let mut linear = |part: &str, outputs, inputs| {
            self.linear(&name(&format!("{part}.weight")), Some(&name(&format!("{part}.bias"))), outputs, inputs)
        };
        let (query, key, value) =
            (linear("attn_q", queries, width)?, linear("attn_k", keys, width)?, linear("attn_v", keys, width)?);
        let attention_output = linear("attn_output", width, queries)?;
        let (gate, up) = (linear("ffn_gate", wide, width)?, linear("ffn_up", wide, width)?);
        let down = linear("ffn_down", width, wide)?;
        let attention_norm = self.vector(&name("attn_norm.weight"), width)?;
        let output_norm = self.vector(&name("ffn_norm.weight"), width)?;
        Ok(Layer { attention_norm, query, key, value, attention_output, output_norm, gate, up, down })
    }

    fn tensor(&mut self, name: &str) -> Result<QTensor, ModelFileError> {
        info(self.content, name)?;
        let tensor = self.content.tensor(&mut self.reader, name, &Device::Cpu);
        tensor.map_err(|error| ModelFileError::Unreadable(format!("{name}: {error}")))
    }

    fn vector(&mut self, name: &str, size: usize) -> Result<Vec<f32>, ModelFileError> {
        let values = floats(&self.tensor(name)?).map_err(|error| bad(name, error))?;
        if values.len() != size || values.iter().any(|value| !value.is_finite()) {
            return Err(bad(name, format!("is not a list of {size} numbers")));
        }
        Ok(values)
    }

    fn linear(
        &mut self,
        weight: &str,
        bias: Option<&str>,
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear, ModelFileError> {
        let info = info(self.content, weight)?;
        if info.shape.dims() != [outputs, inputs] {
            return Err(bad(weight, format!("has the shape {:?}, not {outputs} x {inputs}", info.shape)));
        }
        let is_float = matches!(info.ggml_dtype, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16);
        let Some(format) = Format::of_ggml(info.ggml_dtype).or(is_float.then_some(Format::Q8_0)) else {
            let quantization = format!("{:?}", info.ggml_dtype);
            return Err(ModelFileError::UnknownQuantization { tensor: weight.to_owned(), quantization });
        };
        let packed = self.packed.as_ref().and_then(|packed| packed.matrix(weight, format, outputs, inputs));
        let matrix = match packed {
            Some(matrix) => matrix,
            None => self.pack(weight, outputs, inputs)?,
        };
        self.matrices.push((weight.to_owned(), matrix.clone()));
        let bias = match bias.filter(|name| self.has(name)) {
            Some(name) => Some(self.vector(name, outputs)?),
            None => None,
        };
        Linear::new(matrix, bias.as_deref()).map_err(|error| bad(weight, error))
    }

    /// A copy of `matrix` in four bits.
    fn screen(&mut self, name: &str, matrix: &PackedMatrix) -> Screen {
        let name = format!("{name} in four bits");
        let packed = self.packed.as_ref();
        let packed = packed.and_then(|it| it.matrix(&name, Screen::FORMAT, matrix.outputs(), matrix.inputs()));
        let rough = packed.unwrap_or_else(|| matrix.in_four_bits());
        self.matrices.push((name, rough.clone()));
        Screen::new(rough)
    }

    fn pack(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<PackedMatrix, ModelFileError> {
        // Whatever the packed file holds, it is not this model's.
        self.packed = None;
        let tensor = self.tensor(name)?;
        let packed = match Format::of_ggml(tensor.dtype()) {
            Some(format) => {
                let data = tensor.data().map_err(|error| bad(name, error))?;
                PackedMatrix::from_ggml(format, outputs, inputs, &data)
            }
            None => PackedMatrix::from_f32(outputs, inputs, &floats(&tensor).map_err(|error| bad(name, error))?),
        };
        packed.map_err(|error| bad(name, error))
    }
}

impl WordTable {
    fn open(path: &Path, content: &Content, sizes: &Sizes) -> Result<Self, ModelFileError> {
        let info = info(content, WORD_TABLE)?;
        let (&[words, width], dtype) = (info.shape.dims(), info.ggml_dtype) else {
            return Err(bad(WORD_TABLE, "is not a matrix"));
        };
        if width != sizes.width || !width.is_multiple_of(dtype.block_size()) {
            return Err(bad(WORD_TABLE, format!("has rows of {width}, not {}", sizes.width)));
        }
        let file = File::open(path).map_err(unreadable)?;
        let begin = content.tensor_data_offset + info.offset;
        let row_bytes = width / dtype.block_size() * dtype.type_size();
        // Its rows are read when their words come; that the file is cut short has to be found before.
        let there = file.metadata().map_err(unreadable)?.len();
        if there < begin + (words * row_bytes) as u64 {
            return Err(unreadable(format!("it ends at {there} bytes, inside the tensor {WORD_TABLE}")));
        }
        Ok(Self { file: Mutex::new(file), begin, row_bytes, words, width, dtype })
    }

    fn append(&self, tokens: &[u32], to: &mut Vec<f32>) -> Result<(), String> {
        let mut data = vec![0; tokens.len() * self.row_bytes];
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (&token, row) in tokens.iter().zip(data.chunks_exact_mut(self.row_bytes)) {
            if token as usize >= self.words {
                return Err(format!("there is no token {token}"));
            }
            file.seek(SeekFrom::Start(self.begin + u64::from(token) * self.row_bytes as u64))
                .and_then(|_| file.read_exact(row))
                .map_err(|error| error.to_string())?;
        }
        let info = TensorInfo { ggml_dtype: self.dtype, shape: (tokens.len(), self.width).into(), offset: 0 };
        let rows = info.read(&mut Cursor::new(data), 0, &Device::Cpu).and_then(|rows| floats(&rows));
        to.extend(rows.map_err(|error| error.to_string())?);
        Ok(())
    }
}

fn info<'a>(content: &'a Content, name: &str) -> Result<&'a TensorInfo, ModelFileError> {
    content.tensor_infos.get(name).ok_or_else(|| bad(name, "is missing"))
}

fn unreadable(error: impl std::fmt::Display) -> ModelFileError {
    ModelFileError::Unreadable(error.to_string())
}

fn floats(tensor: &QTensor) -> candle_core::Result<Vec<f32>> {
    tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()
}

fn bad(tensor: &str, problem: impl std::fmt::Display) -> ModelFileError {
    ModelFileError::Tensor { tensor: tensor.to_owned(), problem: problem.to_string() }
}
