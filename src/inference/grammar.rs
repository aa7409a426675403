//! Grammars: what an answer has to look like, for steps of the program that go on with its parts. At each step the
//! tokens that a grammar forbids are masked out (Willard and Louf 2023), by the parser of llguidance; where only one
//! text can follow, it is taken without asking the model.

use std::sync::{Arc, Mutex, PoisonError};

use llguidance::{
    JsonCompileOptions, Matcher, ParserFactory,
    api::{StopReason, TopLevelGrammar},
    earley::SlicedBiasComputer,
    toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenizerEnv},
};
use serde_json::Value;
use tokenizers::Tokenizer;

use super::InferenceError;

#[cfg(test)]
mod tests;

/// Compiled grammars that are kept: the program has a handful of its own.
const KEPT_MAX: usize = 16;
/// What the parser puts behind its errors when it is told not to repeat the text.
const NON_VERBOSE: &str = "<non-verbose/>";

/// What an answer has to look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Grammar {
    /// JSON that this schema describes; also understood by model servers.
    JsonSchema(Value),
    /// A text that this regular expression matches from its beginning to its end; no look-around, no references.
    Regex(String),
    /// A text of this context-free grammar in the notation of Lark, as llguidance takes it.
    Lark(String),
}

impl Grammar {
    fn parsed(&self) -> TopLevelGrammar {
        match self {
            Self::JsonSchema(schema) => {
                let mut schema = schema.clone();
                if schema.is_object() {
                    // As it is usually written, and nowhere a space more: small models may go on with those for ever.
                    let (item_separator, key_separator) = (", ".to_owned(), ": ".to_owned());
                    let options = JsonCompileOptions {
                        item_separator,
                        key_separator,
                        whitespace_flexible: false,
                        ..JsonCompileOptions::default()
                    };
                    options.apply_to(&mut schema);
                }
                TopLevelGrammar::from_json_schema(schema)
            }
            Self::Regex(pattern) => TopLevelGrammar::from_regex(pattern),
            Self::Lark(rules) => TopLevelGrammar::from_lark(rules.clone()),
        }
    }
}

/// Compiles grammars for a tokenizer and keeps them.
pub(crate) struct Grammars {
    factory: ParserFactory,
    /// The latest last.
    kept: Mutex<Vec<(Grammar, Matcher)>>,
}

impl Grammars {
    /// For a tokenizer on bytes, whose model ends its answers with any of `ends`.
    ///
    /// Errors: another kind of tokenizer, or no end.
    pub(crate) fn new(tokenizer: &Tokenizer, ends: &[u32]) -> Result<Self, InferenceError> {
        let vocabulary = Vocabulary::new(tokenizer, ends)?;
        let tokens: TokEnv = Arc::new(vocabulary);
        // Forced tokens are taken; none is ever taken back.
        let capabilities = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
        let slices = SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&tokens, capabilities, &slices)
            .map_err(|error| InferenceError::failed("no grammars for this model", error))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory, kept: Mutex::default() })
    }

    /// The beginning of a text of `grammar`.
    ///
    /// Errors: `Grammar` for one that cannot be read, or that no text fits.
    pub(crate) fn begin(&self, grammar: &Grammar) -> Result<Constraint, InferenceError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match kept.iter().position(|(known, _)| known == grammar) {
            Some(at) => kept.remove(at),
            None => (grammar.clone(), self.compile(grammar)?),
        };
        let matcher = entry.1.clone();
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push(entry);
        Ok(Constraint { matcher, allowed: Vec::new() })
    }

    fn compile(&self, grammar: &Grammar) -> Result<Matcher, InferenceError> {
        let senseless = |error: anyhow::Error| {
            let why = error.to_string().replace(NON_VERBOSE, "");
            InferenceError::Grammar(why.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let mut parser = self.factory.create_parser(grammar.parsed()).map_err(senseless)?;
        parser.start_without_prompt();
        match parser.compute_mask() {
            Ok(_) => Ok(Matcher::new(Ok(parser))),
            Err(_) if parser.stop_reason() == StopReason::NoExtensionBias => {
                Err(InferenceError::Grammar("no text fits it".to_owned()))
            }
            Err(error) => Err(senseless(error)),
        }
    }
}

impl std::fmt::Debug for Grammars {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Grammars").finish_non_exhaustive()
    }
}

/// A text in the making and what its grammar lets follow.
pub(crate) struct Constraint {
    matcher: Matcher,
    allowed: Vec<f32>,
}

impl Constraint {
    /// `logits` with minus infinity for every token that may not follow.
    pub(crate) fn restrict(&mut self, logits: &[f32]) -> Result<&[f32], InferenceError> {
        let mask = self.matcher.compute_mask().map_err(failed)?;
        self.allowed.clear();
        self.allowed.resize(logits.len(), f32::NEG_INFINITY);
        let mut is_stuck = true;
        let blocks = self.allowed.chunks_mut(32).zip(logits.chunks(32));
        for ((to, from), &bits) in blocks.zip(mask.as_slice()).filter(|(_, bits)| **bits != 0) {
            is_stuck = false;
            let mut rest = bits;
            while let Some(bit) = (rest != 0).then(|| rest.trailing_zeros() as usize).filter(|bit| *bit < to.len()) {
                to[bit] = from[bit];
                rest &= rest - 1;
            }
        }
        if is_stuck { Err(failed("no token may follow")) } else { Ok(&self.allowed) }
    }

    /// Goes on by a token that `restrict`, `forced` or `fitting` has let through.
    pub(crate) fn accept(&mut self, token: u32) -> Result<(), InferenceError> {
        self.matcher.consume_token(token).map_err(failed)
    }

    /// Tokens that are all that can follow; often none.
    pub(crate) fn forced(&mut self) -> Vec<u32> {
        self.matcher.compute_ff_tokens()
    }

    /// How many of the first tokens of `draft` may follow.
    pub(crate) fn fitting(&mut self, draft: &[u32]) -> Result<usize, InferenceError> {
        self.matcher.validate_tokens(draft).map_err(failed)
    }

    /// Whether nothing can follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }

    /// Whether the text may end here.
    pub(crate) fn may_end(&mut self) -> Result<bool, InferenceError> {
        self.matcher.is_accepting().map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> InferenceError {
    InferenceError::failed("the grammar's parser", error)
}

/// The tokenizer as the parser sees it: the bytes of each token, and the tokens of a text.
struct Vocabulary {
    trie: TokTrie,
    tokenizer: Tokenizer,
}

impl Vocabulary {
    fn new(tokenizer: &Tokenizer, ends: &[u32]) -> Result<Self, InferenceError> {
        let size = tokenizer.get_vocab_size(true) as u32;
        let Some(&end) = ends.first().filter(|_| ends.iter().all(|end| *end < size)) else {
            return Err(InferenceError::Failed("no grammars for this model: it has no token that ends".to_owned()));
        };
        let added = tokenizer.get_added_tokens_decoder();
        let bytes = |id| {
            let Some(token) = tokenizer.id_to_token(id) else { return Ok(Vec::new()) };
            if added.contains_key(&id) {
                // Never part of a text.
                return Ok([&[TokTrie::SPECIAL_TOKEN_MARKER][..], token.as_bytes()].concat());
            }
            token.chars().map(byte_of).collect::<Option<Vec<u8>>>().ok_or(token)
        };
        let words = (0..size).map(bytes).collect::<Result<Vec<_>, String>>();
        let words = words.map_err(|token| {
            InferenceError::Failed(format!("no grammars for this model: its token {token:?} is not made of bytes"))
        })?;
        let trie = TokTrie::from(&TokRxInfo::new(size, end), &words).with_eos_tokens(ends);
        Ok(Self { trie, tokenizer: tokenizer.clone() })
    }
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.get_ids().to_vec(),
            Err(_) => self.trie.greedy_tokenize(text.as_bytes()),
        })
    }
}

/// The byte that a character stands for in the tokens of a tokenizer on bytes (Radford et al. 2019): visible ones for
/// themselves, the others, in their order, for the characters from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    let is_visible = |byte: &u8| matches!(*byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(character) {
        code @ ..0x100 => Some(code as u8).filter(is_visible),
        code => (0..=u8::MAX).filter(|byte| !is_visible(byte)).nth((code - 0x100) as usize),
    }
}
