//! The BERT encoder (Devlin et al. 2018) on the quantized kernels: token ids in, one mean-pooled unit vector a text
//! out. The texts of a batch lie one behind the other, so there is no padding; only attention looks at one text alone.

use std::path::Path;

use serde::Serialize;
use shoptalk_kernels::{Attention, Dense, DenseInput, KeyValues, Processor, Queries, attend, dense, gelu, layer_norm};

use super::{InferenceError, bert_weights::BertWeights};

pub(super) const WORD_TABLE: &str = "embeddings.word_embeddings.weight";
pub(super) const DEFAULT_EPSILON: f32 = 1e-12;
/// e5-small and the `MiniLM` family all have heads of this size.
pub(super) const HEAD_DIMENSIONS: usize = 32;
/// More layers than any encoder of this kind has.
const LAYERS_MAX: usize = 128;

/// Weights and sizes of one encoder.
#[derive(Debug)]
pub(crate) struct Bert {
    weights: BertWeights,
    /// Position vectors plus the vector of token type 0, `hidden` floats each.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    hidden: usize,
    epsilon: f32,
}

/// Sizes that the shapes of the weights do not tell.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct BertSizes {
    layers: usize,
    heads: usize,
    epsilon: f32,
}

#[derive(Debug)]
struct Layer {
    query: Dense,
    key: Dense,
    value: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    widen: Dense,
    narrow: Dense,
    output_norm: Norm,
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// The rows of a batch between two layers, and memory for the steps of one.
struct Batch {
    /// Tokens of each text.
    lengths: Vec<usize>,
    /// One row of `hidden` floats a token.
    rows: Vec<f32>,
    input: DenseInput,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    wide: Vec<f32>,
    next: Vec<f32>,
    key_values: Vec<KeyValues>,
}

impl Bert {
    /// Reads everything but the word table into memory, for the processor that all models share.
    pub(crate) fn load(
        weights: BertWeights,
        heads: Option<usize>,
        epsilon: Option<f32>,
    ) -> Result<Self, InferenceError> {
        Self::load_for(Processor::shared(), weights, heads, epsilon)
    }

    fn load_for(
        processor: &Processor,
        weights: BertWeights,
        heads: Option<usize>,
        epsilon: Option<f32>,
    ) -> Result<Self, InferenceError> {
        let Some(&[_, hidden]) = weights.shape(WORD_TABLE) else {
            return Err(InferenceError::failed(WORD_TABLE, "is missing in the weights"));
        };
        let epsilon = weights.layer_norm_epsilon.or(epsilon).unwrap_or(DEFAULT_EPSILON);
        let heads = weights.heads.or(heads).unwrap_or(hidden / HEAD_DIMENSIONS);
        if heads == 0 || hidden % heads != 0 || !(hidden / heads).is_multiple_of(32) {
            return Err(InferenceError::Failed(format!("{heads} attention heads do not suit {hidden} dimensions")));
        }
        let layer_count = layer_count(&weights);
        let layers =
            (0..layer_count).map(|layer| Layer::load(processor, &weights, layer, hidden)).collect::<Result<_, _>>()?;
        let mut positions = weights.values("embeddings.position_embeddings.weight")?;
        let types = weights.values("embeddings.token_type_embeddings.weight")?;
        if positions.len() < 2 * hidden || positions.len() % hidden != 0 || types.len() < hidden {
            return Err(InferenceError::failed("position vectors", "there are too few of them"));
        }
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&types).for_each(|(value, first)| *value += first);
        }
        let norm = Norm::load(&weights, "embeddings.LayerNorm", hidden)?;
        Ok(Self { weights, positions, norm, layers, heads, hidden, epsilon })
    }

    /// Length of every vector.
    pub(crate) fn hidden(&self) -> usize {
        self.hidden
    }

    /// Most tokens of one text.
    pub(crate) fn tokens_max(&self) -> usize {
        self.positions.len() / self.hidden
    }

    /// What another engine has to know beside the weights.
    pub(crate) fn sizes(&self) -> BertSizes {
        BertSizes { layers: self.layers.len(), heads: self.heads, epsilon: self.epsilon }
    }

    /// Writes all weights as f32 into a safetensors file, under the names that BERT checkpoints use.
    pub(crate) fn export(&self, to: &Path) -> Result<(), InferenceError> {
        self.weights.export(to)
    }

    /// Unit vectors of `texts`, each a list of 1 to `tokens_max` token ids.
    pub(crate) fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.embed_on(Processor::shared(), texts)
    }

    fn embed_on(&self, processor: &Processor, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        if let Some(tokens) = texts.iter().map(|ids| ids.len()).find(|&tokens| tokens > self.tokens_max()) {
            return Err(InferenceError::ContextOverflow { tokens, context: self.tokens_max() });
        }
        // Threads that each work some of the texts from beginning to end never wait for each other.
        let groups = groups(texts, processor.pool().threads());
        let mut vectors: Vec<Result<Vec<Vec<f32>>, InferenceError>> = groups.iter().map(|_| Ok(Vec::new())).collect();
        match (&groups[..], &mut vectors[..]) {
            ([texts], [vectors]) => *vectors = self.embed_together(processor, texts),
            (groups, vectors) => processor.pool().for_each(groups.iter().zip(vectors), |(texts, vectors)| {
                *vectors = self.embed_together(processor, texts);
            }),
        }
        Ok(vectors.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn embed_together(&self, processor: &Processor, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut batch = Batch::new(texts, self.words(texts)?, self.heads, self.hidden);
        layer_norm(processor, &mut batch.rows, None, self.norm.parts(), self.epsilon);
        for layer in &self.layers {
            batch.forward(processor, layer, self.heads, self.epsilon);
        }
        let mut rows = batch.rows.chunks_exact(self.hidden);
        Ok(texts.iter().map(|ids| mean_direction(rows.by_ref().take(ids.len()), self.hidden)).collect())
    }

    /// Word plus position vectors, one row a token.
    fn words(&self, texts: &[&[u32]]) -> Result<Vec<f32>, InferenceError> {
        let mut rows = self.weights.rows(WORD_TABLE, &texts.concat())?;
        let positions = texts.iter().flat_map(|ids| self.positions.chunks_exact(self.hidden).take(ids.len()));
        for (row, position) in rows.chunks_exact_mut(self.hidden).zip(positions) {
            row.iter_mut().zip(position).for_each(|(value, position)| *value += position);
        }
        Ok(rows)
    }
}

/// Up to `count` runs of texts with about as many tokens each.
fn groups<'a, 'b>(texts: &'a [&'b [u32]], count: usize) -> Vec<&'a [&'b [u32]]> {
    let total: usize = texts.iter().map(|ids| ids.len()).sum();
    let (mut groups, mut begin, mut tokens) = (Vec::with_capacity(count), 0, 0);
    for (index, ids) in texts.iter().enumerate() {
        // A text goes where its middle lies.
        let is_next = groups.len() + 1 < count && (2 * tokens + ids.len()) * count > 2 * total * (groups.len() + 1);
        if is_next && index > begin {
            groups.push(&texts[begin..index]);
            begin = index;
        }
        tokens += ids.len();
    }
    groups.push(&texts[begin..]);
    groups
}

/// The sum of rows, scaled to length 1; zeros when there is no row.
fn mean_direction<'a>(rows: impl Iterator<Item = &'a [f32]>, hidden: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f32; hidden];
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in &mut sum {
            *value /= length;
        }
    }
    sum
}

impl Batch {
    fn new(texts: &[&[u32]], rows: Vec<f32>, heads: usize, hidden: usize) -> Self {
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).filter(|&length| length > 0).collect();
        let key_values = lengths.iter().map(|&length| KeyValues::new(heads, hidden / heads, length)).collect();
        let floats = || vec![0.0; rows.len()];
        Self {
            input: DenseInput::default(),
            query: floats(),
            key: floats(),
            value: floats(),
            attended: floats(),
            wide: Vec::new(),
            next: floats(),
            rows,
            lengths,
            key_values,
        }
    }

    fn forward(&mut self, processor: &Processor, layer: &Layer, heads: usize, epsilon: f32) {
        let hidden = layer.query.inputs();
        let projections =
            [(&layer.query, &mut self.query[..]), (&layer.key, &mut self.key[..]), (&layer.value, &mut self.value[..])];
        dense(processor, &mut self.input, &self.rows, projections);
        self.attend(processor, heads, hidden);
        let output = [(&layer.attention_output, &mut self.next[..])];
        dense(processor, &mut self.input, &self.attended, output);
        layer_norm(processor, &mut self.next, Some(&self.rows), layer.attention_norm.parts(), epsilon);
        std::mem::swap(&mut self.next, &mut self.rows);

        self.wide.resize(self.rows.len() / hidden * layer.widen.outputs(), 0.0);
        dense(processor, &mut self.input, &self.rows, [(&layer.widen, &mut self.wide[..])]);
        gelu(processor, &mut self.wide);
        dense(processor, &mut self.input, &self.wide, [(&layer.narrow, &mut self.next[..])]);
        layer_norm(processor, &mut self.next, Some(&self.rows), layer.output_norm.parts(), epsilon);
        std::mem::swap(&mut self.next, &mut self.rows);
    }

    fn attend(&mut self, processor: &Processor, heads: usize, hidden: usize) {
        let size = hidden / heads;
        let (mut keys, mut values) = (self.key.as_slice(), self.value.as_slice());
        let texts = self.lengths.iter().zip(&mut self.key_values).map(|(length, to)| {
            let (own_keys, own_values);
            (own_keys, keys) = keys.split_at(length * hidden);
            (own_values, values) = values.split_at(length * hidden);
            (to, own_keys, own_values)
        });
        processor.pool().for_each(texts, |(to, keys, values)| {
            to.truncate(0);
            to.extend(keys, values);
        });
        let mut first = 0;
        let mut tasks = Vec::with_capacity(heads * self.lengths.len());
        for (&count, key_values) in self.lengths.iter().zip(&self.key_values) {
            for head in 0..heads {
                let queries = Queries { begin: first * hidden + head * size, stride: hidden, count };
                tasks.push(Attention { queries, runs: [(key_values, count), (key_values, 0)], head });
            }
            first += count;
        }
        attend(processor, &self.query, &mut self.attended, &tasks, 1.0 / (size as f32).sqrt());
    }
}

impl Layer {
    fn load(processor: &Processor, weights: &BertWeights, layer: usize, hidden: usize) -> Result<Self, InferenceError> {
        let prefix = format!("encoder.layer.{layer}");
        let dense =
            |name: &str, outputs, inputs| weights.dense(processor, &format!("{prefix}.{name}"), outputs, inputs);
        let norm = |name: &str| Norm::load(weights, &format!("{prefix}.{name}"), hidden);
        let wide = weights.shape(&format!("{prefix}.intermediate.dense.weight")).map_or(0, |shape| shape[0]);
        Ok(Self {
            query: dense("attention.self.query", hidden, hidden)?,
            key: dense("attention.self.key", hidden, hidden)?,
            value: dense("attention.self.value", hidden, hidden)?,
            attention_output: dense("attention.output.dense", hidden, hidden)?,
            attention_norm: norm("attention.output.LayerNorm")?,
            widen: dense("intermediate.dense", wide, hidden)?,
            narrow: dense("output.dense", hidden, wide)?,
            output_norm: norm("output.LayerNorm")?,
        })
    }
}

impl Norm {
    fn load(weights: &BertWeights, name: &str, size: usize) -> Result<Self, InferenceError> {
        let (weight, bias) = (weights.values(&format!("{name}.weight"))?, weights.values(&format!("{name}.bias"))?);
        if weight.len() != size || bias.len() != size {
            return Err(InferenceError::failed(name, format!("does not have {size} weights and biases")));
        }
        Ok(Self { weight, bias })
    }

    fn parts(&self) -> [&[f32]; 2] {
        [&self.weight, &self.bias]
    }
}

pub(super) fn layer_count(weights: &BertWeights) -> usize {
    let output = |layer: &usize| weights.shape(&format!("encoder.layer.{layer}.output.dense.weight")).is_some();
    (0..LAYERS_MAX).take_while(output).count()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use shoptalk_kernels::Tier;
    use tokenizers::Tokenizer;

    use super::*;
    use crate::inference::bert_reference::BertReference;

    const SENTENCES: [&str; 6] = [
        "query: How long do I have to send back boots that do not fit?",
        "passage: Returns are free within 30 days. The goods must be unworn, with their tags, in the original box.",
        "query: 我的包裹什么时候能到？",
        "passage: 订单通常在三个工作日内发货，偏远地区可能需要一周。",
        "query: hi",
        "passage: VoltCube 20,000 mAh power bank, 65 W USB-C, 410 g, charges a laptop and two phones at once.",
    ];

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// The folder of a model in the user's cache; `None` and a line where it is not there.
    fn folder(name: &str) -> Option<(PathBuf, PathBuf)> {
        let models = crate::models::ModelStore::open(None).ok()?;
        let files = models.cached(name);
        if files.is_none() {
            println!("skipped: the model {name} is not on this machine");
        }
        let files = files?;
        Some((files.files.get("weights")?.clone(), files.files.get("tokenizer")?.clone()))
    }

    fn agrees_with_floats(name: &str, least: f32) {
        let Some((weights, tokenizer)) = folder(name) else { return };
        let tokenizer = Tokenizer::from_file(tokenizer).unwrap();
        let ids: Vec<Vec<u32>> =
            SENTENCES.iter().map(|text| tokenizer.encode(*text, true).unwrap().get_ids().to_vec()).collect();
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let reference = BertReference::load(BertWeights::open(&weights).unwrap(), None, None).unwrap();
        let expected = reference.embed(&ids).unwrap();
        for tier in Tier::ALL.into_iter().filter(|tier| tier.is_supported()) {
            let processor = Processor::new(tier, 2);
            let bert = Bert::load_for(&processor, BertWeights::open(&weights).unwrap(), None, None).unwrap();
            let found = bert.embed_on(&processor, &ids).unwrap();
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let cosine = cosine(found, expected);
                println!("{name} {tier:?} {index}: {cosine}");
                assert!(cosine >= least, "{name} {tier:?}: {cosine} for {:?}", SENTENCES[index]);
            }
            let alone = bert.embed_on(&Processor::new(tier, 1), &ids[..1]).unwrap();
            assert!(cosine(&alone[0], &found[0]) > 0.99999, "a text's vector depends on its neighbours");
        }
    }

    #[test]
    fn groups_have_about_as_many_tokens() {
        let of = |lengths: &[usize], count: usize| {
            let texts: Vec<Vec<u32>> = lengths.iter().map(|&length| vec![0; length]).collect();
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            groups(&texts, count).iter().map(|group| group.len()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[5, 5, 5, 5], 2), [2, 2]);
        assert_eq!(of(&[50, 5, 5, 5], 2), [1, 3]);
        assert_eq!(of(&[5, 5, 5, 50], 2), [3, 1]);
        assert_eq!(of(&[9], 4), [1]);
        assert_eq!(of(&[1, 1, 1, 1, 1, 1], 3), [2, 2, 2]);
        assert_eq!(of(&[], 2), [0]);
    }

    #[test]
    fn e5_agrees_with_floats() {
        agrees_with_floats("multilingual-e5-small", 0.9995);
    }

    #[test]
    fn minilm_agrees_with_floats() {
        agrees_with_floats("all-minilm-l6-v2", 0.999);
    }
}
