//! For tests: a chat model of one layer in a GGUF file, whole or with something wrong in it.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use candle_core::{
    Device, Shape, Tensor,
    quantized::{
        GgmlDType, QStorage, QTensor,
        gguf_file::{self, Value},
    },
};

const WIDTH: usize = 256;
const WORDS: usize = 4;

/// What will be written.
pub(crate) struct TinyModel {
    settings: BTreeMap<String, Value>,
    tensors: BTreeMap<String, QTensor>,
}

impl TinyModel {
    /// A model that loads and reads.
    pub(crate) fn new() -> Self {
        let text = |text: &str| Value::String(text.to_owned());
        let list = |texts: &[&str]| Value::Array(texts.iter().map(|part| text(part)).collect());
        let settings = [
            ("general.architecture", text("llama")),
            ("llama.embedding_length", Value::U32(WIDTH as u32)),
            ("llama.attention.head_count", Value::U32(8)),
            ("llama.block_count", Value::U32(1)),
            ("llama.context_length", Value::U32(64)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("tokenizer.ggml.model", text("gpt2")),
            ("tokenizer.ggml.tokens", list(&["a", "b", "ab", "<|im_end|>"])),
            ("tokenizer.ggml.merges", list(&["a b"])),
            ("tokenizer.chat_template", text("{% for message in messages %}{{ message.content }}{% endfor %}")),
        ];
        let matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_gate", "ffn_down"];
        let mut model =
            Self { settings: settings.map(|(name, value)| (name.to_owned(), value)).into(), tensors: BTreeMap::new() };
        for name in matrices {
            model.put(&format!("blk.0.{name}.weight"), &[WIDTH, WIDTH], GgmlDType::Q8_0, 0.1);
        }
        for name in ["blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"] {
            model.put(name, &[WIDTH], GgmlDType::F32, 1.0);
        }
        model.put("output.weight", &[WORDS, WIDTH], GgmlDType::Q8_0, 0.1);
        model.put("token_embd.weight", &[WORDS, WIDTH], GgmlDType::F32, 0.1);
        model
    }

    /// A tensor of numbers up to `size`; `NAN` makes all of them no numbers.
    pub(crate) fn put(&mut self, name: &str, shape: &[usize], format: GgmlDType, size: f32) {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|at| (at as f32 * 0.37).sin() * size).collect();
        let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        self.tensors.insert(name.to_owned(), QTensor::quantize(&values, format).unwrap());
    }

    /// Puts a half float that is no number where the first scale of a `Q8_0` tensor stands.
    pub(crate) fn spoil_scale(&mut self, name: &str) {
        let tensor = &self.tensors[name];
        let (mut data, shape): (Vec<u8>, Shape) = (tensor.data().unwrap().into_owned(), tensor.shape().clone());
        data[..2].copy_from_slice(&half::f16::NAN.to_le_bytes());
        let storage = QStorage::from_data(Cow::Owned(data), &Device::Cpu, GgmlDType::Q8_0).unwrap();
        self.tensors.insert(name.to_owned(), QTensor::new(storage, shape).unwrap());
    }

    /// Takes out a setting or a tensor.
    pub(crate) fn remove(&mut self, name: &str) {
        let was_there = self.settings.remove(name).is_some() | self.tensors.remove(name).is_some();
        assert!(was_there, "{name}");
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let settings: Vec<(&str, &Value)> = self.settings.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let tensors: Vec<(&str, &QTensor)> = self.tensors.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let mut file = std::io::Cursor::new(Vec::new());
        gguf_file::write(&mut file, &settings, &tensors).unwrap();
        file.into_inner()
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes()).unwrap();
    }
}
