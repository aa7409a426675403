//! The decoder against candle's, one sequence against several, and files that are no models.

use std::{fs::File, io::Write, path::PathBuf};

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, gguf_file::Content},
};
use candle_transformers::models::quantized_qwen2;
use shoptalk_kernels::log_sum_exp;

use super::{tiny::TinyModel, *};
use crate::models::ModelStore;

const GREEDY_TOKENS: usize = 14;

/// The weights of a model in the user's cache; `None` and a line where it is not there.
fn weights(name: &str) -> Option<PathBuf> {
    let files = ModelStore::open(None).ok()?.cached(name);
    if files.is_none() {
        println!("skipped: the model {name} is not on this machine");
    }
    files?.files.get("weights").cloned()
}

/// Ids that every vocabulary here has.
fn prompt() -> Vec<u32> {
    (0..24).map(|index| 300 + index * index % 411).collect()
}

fn argmax(logits: &Tensor) -> u32 {
    likeliest(&logits.squeeze(0).unwrap().to_vec1::<f32>().unwrap())
}

fn greedy(mut step: impl FnMut(&[u32], usize) -> u32) -> Vec<u32> {
    let prompt = prompt();
    let mut tokens = vec![step(&prompt, 0)];
    while tokens.len() < GREEDY_TOKENS {
        tokens.push(step(&tokens[tokens.len() - 1..], prompt.len() + tokens.len() - 1));
    }
    tokens
}

fn greedy_of(path: &Path) -> Vec<u32> {
    let mut decoder = Decoder::load(path, 256).unwrap();
    let mut sequence = decoder.sequence(None, 128);
    greedy(|tokens, position| {
        assert_eq!(sequence.len(), position);
        likeliest(decoder.read(&mut sequence, tokens).unwrap())
    })
}

/// Kullback-Leibler divergence of the decoder's next token from the reference's, and how often both find the same token
/// likeliest, as sums over a text of `tokens`.
fn fidelity(path: &Path, tokens: &[u32]) -> (f32, f32) {
    let reference = reference::Reference::load(path, 1024).unwrap();
    let expected = reference.logits(tokens).unwrap();
    let mut decoder = Decoder::load(path, 1024).unwrap();
    let (mut sequence, vocabulary) = (decoder.sequence(None, tokens.len()), decoder.vocabulary());
    let (mut divergence, mut same) = (0.0, 0.0);
    for step in tokens.chunks(LOGITS_ROWS) {
        let expected = expected.narrow(0, sequence.len(), step.len()).unwrap().to_vec2::<f32>().unwrap();
        let part = Part { sequence: &mut sequence, tokens: step, logits: step.len(), wanted: Wanted::All };
        let logits = decoder.step(&mut [part]).unwrap();
        for (expected, logits) in expected.iter().zip(logits.chunks_exact(vocabulary)) {
            divergence += kullback_leibler(expected, logits);
            same += f32::from(likeliest(expected) == likeliest(logits));
        }
    }
    (divergence, same)
}

fn kullback_leibler(expected: &[f32], logits: &[f32]) -> f32 {
    let total = |logits: &[f32]| logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln() as f32;
    let (a, b) = (total(expected), total(logits));
    expected.iter().zip(logits).map(|(x, y)| (x - a).exp() * ((x - a) - (y - b))).sum()
}

const TEXT: &str = "Boots can be returned within 30 days, if they were not worn outside. We pay the postage inside the \
                    country; from abroad it costs 9.50. Gift cards and opened food cannot be returned. Your money is on \
                    its way at most five days after the parcel has reached us. 退货需在签收后七天内申请，运费由我们承担。";

/// Texts of the demo shop, in English and in Chinese.
const LONG_TEXTS: [&[&str]; 3] = [
    &[include_str!("../../../knowledge/demo-shop/policies/shipping.md")],
    &[include_str!("../../../knowledge/demo-shop/faq/faq.csv")],
    &[
        include_str!("../../../knowledge/demo-shop/guides/产品保养.md"),
        include_str!("../../../knowledge/demo-shop/faq/常见问题.csv"),
    ],
];

fn tokens_of(path: &Path, text: &str) -> Vec<u32> {
    let content = read_head(path).unwrap();
    let tokenizer =
        <tokenizers::Tokenizer as candle_core::quantized::tokenizer::TokenizerFromGguf>::from_gguf(&content);
    tokenizer.unwrap().encode_fast(text, false).unwrap().get_ids().to_vec()
}

#[test]
fn logits_are_close_to_those_of_f32() {
    // The smaller model has larger activations for the same number of bits.
    for (name, limit) in [("qwen2.5-0.5b-instruct", 0.001), ("smollm2-135m-instruct", 0.006)] {
        let Some(path) = weights(name) else { continue };
        let tokens = tokens_of(&path, TEXT);
        let (divergence, same) = fidelity(&path, &tokens);
        let (divergence, same) = (divergence / tokens.len() as f32, same / tokens.len() as f32);
        println!("{name}: {divergence} {same}");
        assert!(divergence < limit && same > 0.9, "{name}: {divergence}, {same}");
    }
}

#[test]
#[ignore = "takes a minute: `cargo test --lib whole_texts -- --ignored --nocapture` prints the figures"]
fn logits_of_whole_texts_are_close_to_those_of_f32() {
    let Some(path) = weights("qwen2.5-0.5b-instruct") else { return };
    let (mut positions, mut divergence, mut same) = (0, 0.0, 0.0);
    for text in LONG_TEXTS {
        let mut tokens = tokens_of(&path, &text.concat());
        tokens.truncate(800);
        let (own_divergence, own_same) = fidelity(&path, &tokens);
        let count = tokens.len() as f32;
        println!("{count} positions: divergence {}, the same token {}", own_divergence / count, own_same / count);
        (positions, divergence, same) = (positions + tokens.len(), divergence + own_divergence, same + own_same);
    }
    let (divergence, same) = (divergence / positions as f32, same / positions as f32);
    println!("{positions} positions: divergence {divergence}, the same token {same}");
    assert!(positions > 2000 && divergence < 0.001 && same > 0.98, "{positions}: {divergence}, {same}");
}

#[test]
fn the_likeliest_token_needs_half_of_the_table() {
    for name in ["qwen2.5-0.5b-instruct", "smollm2-135m-instruct"] {
        let Some(path) = weights(name) else { continue };
        let tokens = tokens_of(&path, TEXT);
        let mut decoder = Decoder::load(&path, 1024).unwrap();
        assert!(decoder.weights.screen.is_some());
        let mut best_of = |wanted: Wanted| {
            let (mut sequence, vocabulary) = (decoder.sequence(None, tokens.len()), decoder.vocabulary());
            let mut best = Vec::new();
            for step in tokens.chunks(LOGITS_ROWS - 1) {
                let part = Part { sequence: &mut sequence, tokens: step, logits: step.len(), wanted };
                let logits = decoder.step(&mut [part]).unwrap();
                best.extend(logits.chunks_exact(vocabulary).map(|row| (likeliest(row), row[likeliest(row) as usize])));
            }
            best
        };
        assert_eq!(best_of(Wanted::Likeliest), best_of(Wanted::All), "{name}");
    }
}

#[test]
fn qwen_writes_what_candle_writes() {
    let Some(path) = weights("qwen2.5-0.5b-instruct") else { return };
    let mut file = File::open(&path).unwrap();
    let content = Content::read(&mut file).unwrap();
    let mut candle = quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
    let expected = greedy(|tokens, position| {
        let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        argmax(&candle.forward(&input, position).unwrap())
    });
    drop(candle);
    assert_eq!(greedy_of(&path), expected);
}

#[test]
fn scores_are_those_of_one_token_after_another() {
    let Some(path) = weights("smollm2-135m-instruct") else { return };
    let mut decoder = Decoder::load(&path, 256).unwrap();
    let tokens: Vec<u32> = (0..90).map(|index| 300 + index * 37 % 1000).collect();
    let cases =
        [(&tokens[..40], &tokens[60..66]), (&tokens[10..17], &tokens[60..61]), (&tokens[3..50], &tokens[70..75])];
    let prefixes: Vec<Prefix> = cases.iter().map(|(prefix, _)| decoder.prefix(prefix, 99, || ()).unwrap()).collect();
    let items: Vec<(&Prefix, &[u32])> = prefixes.iter().zip(cases).map(|(prefix, (_, rest))| (prefix, rest)).collect();
    let scores = decoder.score(&items).unwrap();
    for ((prefix, rest), score) in cases.into_iter().zip(scores) {
        let mut sequence = decoder.sequence(None, 64);
        let mut logits = decoder.read(&mut sequence, prefix).unwrap().to_vec();
        let mut sum = 0.0;
        for &token in rest {
            sum += logits[token as usize] - log_sum_exp(decoder.processor, &logits, logits.len())[0];
            logits = decoder.read(&mut sequence, &[token]).unwrap().to_vec();
        }
        assert!((sum - score).abs() < 0.02 * sum.abs(), "{sum} is not {score}");
    }
    assert!(decoder.score(&[(&prefixes[0], &[])]).is_err());
}

#[test]
fn states_of_the_first_layers_need_no_others() {
    let Some(path) = weights("smollm2-135m-instruct") else { return };
    let mut decoder = Decoder::load(&path, 256).unwrap();
    let tokens: Vec<u32> = (0..60).map(|index| 300 + index * 37 % 1000).collect();
    let (depth, width) = (decoder.layers() / 2, 576);
    let shallow = decoder.prefix(&tokens[..20], depth, || ()).unwrap();
    let whole = decoder.prefix(&tokens[..20], decoder.layers(), || ()).unwrap();
    assert!(3 * shallow.bytes() < 2 * whole.bytes());
    let together = decoder.states(&[(&shallow, &tokens[20..27]), (&shallow, &tokens[40..41])]).unwrap();
    let alone = decoder.states(&[(&shallow, &tokens[20..27])]).unwrap();
    let close = |a: &[f32], b: &[f32]| {
        let scale = a.iter().map(|value| value.abs()).fold(0.0, f32::max);
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 0.02 * scale)
    };
    assert!(close(&together[0], &alone[0]));
    // One token is its own mean, several are not; the last layers would add something.
    assert!(close(&together[1][..width], &together[1][width..]));
    assert!(!close(&alone[0][..width], &alone[0][width..]));
    assert!(!close(&decoder.states(&[(&whole, &tokens[20..27])]).unwrap()[0], &alone[0]));
    let mixed = decoder.states(&[(&shallow, &tokens[20..22]), (&whole, &tokens[20..22])]);
    assert!(mixed.is_err() && decoder.score(&[(&shallow, &tokens[20..22])]).is_err());
    let mut sequence = decoder.sequence(Some(shallow), 4);
    assert!(decoder.read(&mut sequence, &tokens[..2]).is_err(), "no logits before the last layer");
}

#[test]
fn tokens_can_be_taken_back_and_the_context_ends() {
    let Some(path) = weights("smollm2-135m-instruct") else { return };
    let mut decoder = Decoder::load(&path, 64).unwrap();
    let tokens: Vec<u32> = (300..400).collect();
    let mut sequence = decoder.sequence(None, 64);
    let first = decoder.read(&mut sequence, &tokens[..20]).unwrap().to_vec();
    decoder.read(&mut sequence, &tokens[40..50]).unwrap();
    sequence.truncate(19);
    assert_eq!(decoder.read(&mut sequence, &tokens[19..20]).unwrap(), first);
    let error = decoder.read(&mut sequence, &tokens[..45]).unwrap_err();
    assert!(matches!(error, InferenceError::ContextOverflow { tokens: 65, context: 64 }), "{error}");
    assert_eq!(sequence.len(), 20);
    assert!(decoder.read(&mut sequence, &[u32::MAX]).is_err());
    assert!(decoder.read(&mut sequence, &[]).is_err());
}

#[test]
fn files_that_are_no_models_have_named_errors() {
    let load = |bytes: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Decoder::load(file.path(), 64).unwrap_err()
    };
    assert!(matches!(load(b"GGUF"), ModelFileError::Unreadable(_)));
    assert!(matches!(load(b"no model at all"), ModelFileError::Unreadable(_)));
    let text = |text: &[u8]| [&(text.len() as u64).to_le_bytes(), text].concat();
    let mut foreign = [&b"GGUF"[..], &3_u32.to_le_bytes(), &0_u64.to_le_bytes(), &1_u64.to_le_bytes()].concat();
    foreign.extend([text(b"general.architecture"), 8_u32.to_le_bytes().to_vec(), text(b"mamba")].concat());
    assert_eq!(load(&foreign), ModelFileError::UnknownArchitecture("mamba".to_owned()));
    let Some(path) = weights("smollm2-135m-instruct") else { return };
    let whole = std::fs::read(path).unwrap();
    assert!(matches!(load(&whole[..whole.len() / 2]), ModelFileError::Unreadable(_)));
}

#[test]
fn models_with_something_wrong_have_named_errors() {
    let dir = tempfile::tempdir().unwrap();
    let load = |model: &TinyModel| {
        let path = dir.path().join("model.gguf");
        model.write(&path);
        Decoder::load(&path, 64)
    };
    let error = |spoil: &dyn Fn(&mut TinyModel)| {
        let mut model = TinyModel::new();
        spoil(&mut model);
        load(&model).unwrap_err()
    };
    let mut decoder = load(&TinyModel::new()).unwrap();
    let mut sequence = decoder.sequence(None, 8);
    assert_eq!(decoder.read(&mut sequence, &[0, 2, 1]).unwrap().len(), 4);

    let down = "blk.0.ffn_down.weight".to_owned();
    let foreign = error(&|model| model.put(&down, &[256, 256], GgmlDType::Q3K, 0.1));
    let quantization = "Q3K".to_owned();
    assert_eq!(foreign, ModelFileError::UnknownQuantization { tensor: down.clone(), quantization });
    let wrong_shape = error(&|model| model.put(&down, &[256, 128], GgmlDType::Q8_0, 0.1));
    let no_number = error(&|model| model.spoil_scale(&down));
    let no_float = error(&|model| model.put(&down, &[256, 256], GgmlDType::F32, f32::NAN));
    let no_tensor = error(&|model| model.remove(&down));
    for (error, part) in [(wrong_shape, "shape"), (no_number, "numbers"), (no_float, "numbers"), (no_tensor, "missing")]
    {
        assert!(matches!(&error, ModelFileError::Tensor { tensor, .. } if *tensor == down), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let norm = error(&|model| model.put("output_norm.weight", &[256], GgmlDType::F32, f32::NAN));
    assert!(norm.to_string().starts_with("the tensor output_norm.weight"), "{norm}");
    let setting = error(&|model| model.remove("llama.block_count"));
    assert_eq!(setting, ModelFileError::Setting("llama.block_count".to_owned()));
    let whole = TinyModel::new().bytes();
    let path = dir.path().join("cut.gguf");
    for len in [whole.len() - 1000, whole.len() / 2, 200, 30] {
        std::fs::write(&path, &whole[..len]).unwrap();
        let error = Decoder::load(&path, 64).unwrap_err();
        assert!(matches!(error, ModelFileError::Unreadable(_)), "{len} bytes: {error}");
    }

    // Rows of the word table are read when their words come.
    let mut model = TinyModel::new();
    model.put("token_embd.weight", &[4, 256], GgmlDType::F32, f32::NAN);
    let mut decoder = load(&model).unwrap();
    let mut sequence = decoder.sequence(None, 8);
    let error = decoder.read(&mut sequence, &[0, 1]).unwrap_err();
    assert!(error.to_string().contains("not numbers"), "{error}");
}

#[test]
fn packed_weights_are_kept_beside_the_model_and_made_again_when_damaged() {
    let Some(model) = weights("smollm2-135m-instruct") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    std::fs::copy(model, &path).unwrap();
    let packed = packed_file::path_of(&path);
    let logits = || {
        let mut decoder = Decoder::load(&path, 64).unwrap();
        let mut sequence = decoder.sequence(None, 64);
        decoder.read(&mut sequence, &prompt()).unwrap().to_vec()
    };
    // What stands in the way of the file's draft keeps it from being written, as a folder without the right to write does.
    let obstacle = dir.path().join("model.gguf.packed-v1.part");
    std::fs::create_dir(&obstacle).unwrap();
    let unpacked = logits();
    assert!(!packed.exists());
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(logits(), unpacked, "written and mapped");
    let written = std::fs::read(&packed).unwrap();
    assert_eq!(logits(), unpacked, "mapped");
    for damage in [&written[..written.len() / 2], &[written[..9_000_000].to_vec(), vec![1; 64]].concat()] {
        std::fs::write(&packed, damage).unwrap();
        assert_eq!(logits(), unpacked);
        assert_eq!(std::fs::read(&packed).unwrap().len(), written.len());
    }
    let mut source = std::fs::read(&path).unwrap();
    let changed = source.len() - 1000;
    source[changed] ^= 1;
    std::fs::write(&path, &source).unwrap();
    logits();
    assert_ne!(std::fs::read(&packed).unwrap()[..200], written[..200], "another file's weights are packed anew");
}
