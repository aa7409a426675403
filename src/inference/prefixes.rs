//! What the chat model has read of the prompts that `relevance` is asked about, kept within a limit of memory: the
//! least recently used go first. Prompts can also be read ahead, a step at a time.

use std::collections::{HashMap, VecDeque};

use super::{
    InferenceError, Relevance,
    decoder::{Decoder, Prefix, STEP_TOKENS, Sequence},
    reader::Reader,
    threads,
};

/// Memory for prefixes: about 32,000 tokens of a model of half a billion weights, 300 passages, and half as many more
/// where a probe needs only the first layers.
const BYTES_MAX: usize = 384 << 20;
/// Prompts that may wait to be read ahead.
const WAITING_MAX: usize = 16_384;
/// The same for those that somebody has asked about.
const WANTED_MAX: usize = 64;
/// Tokens of questions that are read in one step.
const STEP_TOKENS_MAX: usize = 512;

/// How many questions of `tokens` are read in one step.
pub(crate) fn together(tokens: usize) -> usize {
    (STEP_TOKENS_MAX / tokens.max(1)).max(1)
}

/// Prefixes by their tokens.
#[derive(Debug)]
pub(crate) struct Prefixes {
    /// Without one, likelihoods say what is relevant.
    reader: Option<Reader>,
    entries: HashMap<Vec<u32>, Entry>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
    waiting: VecDeque<Vec<u32>>,
    /// Asked about and not read then, the latest last.
    wanted: Vec<Vec<u32>>,
    ahead: Option<Ahead>,
}

#[derive(Debug)]
struct Entry {
    prefix: Prefix,
    used_at: u64,
}

/// A prompt that is being read ahead.
#[derive(Debug)]
struct Ahead {
    tokens: Vec<u32>,
    sequence: Sequence,
    /// Somebody has asked about it.
    is_wanted: bool,
}

impl Prefixes {
    /// For prompts of a model that `reader` was trained for.
    pub(crate) fn new(reader: Option<Reader>) -> Self {
        Self::with_limit(reader, BYTES_MAX)
    }

    fn with_limit(reader: Option<Reader>, bytes_max: usize) -> Self {
        let (entries, waiting, wanted) = (HashMap::new(), VecDeque::new(), Vec::new());
        Self { reader, entries, bytes: 0, bytes_max, clock: 0, waiting, wanted, ahead: None }
    }

    /// Whether a probe says what is relevant.
    pub(crate) fn has_probe(&self) -> bool {
        self.reader.is_some()
    }

    /// Layers that prefixes need.
    fn depth(&self, decoder: &Decoder) -> usize {
        self.reader.as_ref().map_or(decoder.layers(), |reader| reader.layers)
    }

    /// Whether prompts wait to be read ahead.
    pub(crate) fn has_work(&self) -> bool {
        self.waiting() > 0
    }

    /// How many prompts wait to be read ahead.
    pub(crate) fn waiting(&self) -> usize {
        usize::from(self.ahead.is_some()) + self.waiting.len() + self.wanted.len()
    }

    /// Whether all of `prompts` were read.
    pub(crate) fn have(&self, prompts: &[Vec<u32>]) -> bool {
        prompts.iter().all(|prompt| self.entries.contains_key(prompt))
    }

    /// Adds prompts to read ahead; those beyond the limit are left out.
    pub(crate) fn queue(&mut self, prompts: Vec<Vec<u32>>) {
        let room = WAITING_MAX - self.waiting.len();
        self.waiting.extend(prompts.into_iter().take(room));
    }

    /// Adds prompts that somebody has asked about: they are read before the others, and in the place of what was not
    /// asked about for the longest time.
    pub(crate) fn queue_first(&mut self, prompts: Vec<Vec<u32>>) {
        self.wanted.retain(|wanted| !prompts.contains(wanted));
        self.wanted.extend(prompts);
        let excess = self.wanted.len().saturating_sub(WANTED_MAX);
        self.wanted.drain(..excess);
    }

    /// Reads a little ahead.
    pub(crate) fn read_a_step(&mut self, decoder: &mut Decoder) {
        let Some(mut ahead) = self.ahead.take().or_else(|| self.next_ahead(decoder)) else { return };
        let read = ahead.sequence.len();
        let end = ahead.tokens.len().min(read + STEP_TOKENS);
        if let Err(error) = decoder.extend(&mut ahead.sequence, &ahead.tokens[read..end]) {
            tracing::warn!(%error, "a prompt could not be read ahead");
            return;
        }
        if end < ahead.tokens.len() {
            self.ahead = Some(ahead);
        } else if let Ok(prefix) = ahead.sequence.into_prefix() {
            if !ahead.is_wanted && self.bytes + prefix.bytes() > self.bytes_max {
                // Reading further ahead would only push out what was read before.
                self.waiting.clear();
                return;
            }
            self.clock += u64::from(ahead.is_wanted);
            self.insert(ahead.tokens, prefix);
        }
    }

    fn next_ahead(&mut self, decoder: &Decoder) -> Option<Ahead> {
        let is_wanted = !self.wanted.is_empty();
        let tokens = self.wanted.pop().or_else(|| self.waiting.pop_front())?;
        let is_new = !tokens.is_empty() && !self.entries.contains_key(&tokens);
        let depth = self.depth(decoder);
        is_new.then(|| Ahead { sequence: decoder.shallow_sequence(depth, None, tokens.len()), tokens, is_wanted })
    }

    /// How relevant each of `prompts` is to `question`; empty when cancelled on the way.
    pub(crate) fn relevance(
        &mut self,
        decoder: &mut Decoder,
        prompts: &[Vec<u32>],
        question: &[u32],
        is_cancelled: impl Fn() -> bool,
    ) -> Result<Relevance, InferenceError> {
        let mut values = Vec::with_capacity(prompts.len());
        'all: for some in prompts.chunks(together(question.len())) {
            let mut prefixes = Vec::with_capacity(some.len());
            for tokens in some {
                if is_cancelled() {
                    values.clear();
                    break 'all;
                }
                prefixes.push(self.get(decoder, tokens)?);
            }
            threads::let_questions_pass();
            let items: Vec<(&Prefix, &[u32])> = prefixes.iter().map(|prefix| (prefix, question)).collect();
            match &self.reader {
                Some(reader) => values.extend(decoder.states(&items)?.iter().map(|state| reader.log_odds(state))),
                None => values.extend(decoder.score(&items)?),
            }
        }
        Ok(match &self.reader {
            Some(reader) => Relevance::LogOdds(values, reader.calibration),
            None => Relevance::Likelihoods(values),
        })
    }

    fn get(&mut self, decoder: &mut Decoder, tokens: &[u32]) -> Result<Prefix, InferenceError> {
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(tokens) {
            entry.used_at = self.clock;
            return Ok(entry.prefix.clone());
        }
        let prefix = decoder.prefix(tokens, self.depth(decoder), threads::let_questions_pass)?;
        self.insert(tokens.to_vec(), prefix.clone());
        Ok(prefix)
    }

    fn insert(&mut self, tokens: Vec<u32>, prefix: Prefix) {
        self.bytes += prefix.bytes();
        let entry = Entry { prefix, used_at: self.clock };
        if let Some(before) = self.entries.insert(tokens, entry) {
            self.bytes -= before.prefix.bytes();
        }
        while self.bytes > self.bytes_max {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used_at).map(|(tokens, _)| tokens.clone());
            let Some(removed) = oldest.and_then(|tokens| self.entries.remove(&tokens)) else { return };
            self.bytes -= removed.prefix.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelStore;

    /// `None` and a line where the model is not on this machine.
    fn decoder() -> Option<Decoder> {
        let files = ModelStore::open(None).ok()?.cached("smollm2-135m-instruct");
        if files.is_none() {
            println!("skipped: the model is not on this machine");
        }
        Decoder::load(files?.files.get("weights")?, 256).ok()
    }

    #[test]
    fn the_least_recently_used_go_first_and_nothing_changes_for_who_asks() {
        let Some(mut decoder) = decoder() else { return };
        let prompts: Vec<Vec<u32>> = (0..4).map(|index| (300 + index * 50..330 + index * 50).collect()).collect();
        let bytes = decoder.prefix(&prompts[0], decoder.layers(), || ()).unwrap().bytes();
        let mut prefixes = Prefixes::with_limit(None, 2 * bytes);
        let mut ask = |prefixes: &mut Prefixes, prompts: &[Vec<u32>], is_cancelled: bool| {
            let relevance = prefixes.relevance(&mut decoder, prompts, &[700, 701], || is_cancelled).unwrap();
            let Relevance::Likelihoods(values) = relevance else { panic!("{relevance:?}") };
            values
        };
        let first = ask(&mut prefixes, &prompts, false);
        let kept = |prefixes: &Prefixes| -> Vec<bool> {
            prompts.iter().map(|prompt| prefixes.entries.contains_key(prompt)).collect()
        };
        assert_eq!(kept(&prefixes), [false, false, true, true]);
        assert!(prefixes.bytes <= 2 * bytes);
        assert_eq!(ask(&mut prefixes, &prompts[2..3], false), first[2..3]);
        assert_eq!(ask(&mut prefixes, &prompts[..1], false), first[..1]);
        assert_eq!(kept(&prefixes), [true, false, true, false]);
        assert!(ask(&mut prefixes, &prompts, true).is_empty());
    }

    #[test]
    fn prompts_are_read_ahead_until_the_memory_is_full() {
        let Some(mut decoder) = decoder() else { return };
        let prompt = |letter: u32| vec![300 + letter; STEP_TOKENS + 5];
        let bytes = decoder.prefix(&prompt(0), decoder.layers(), || ()).unwrap().bytes();
        let mut prefixes = Prefixes::with_limit(None, 2 * bytes);
        prefixes.queue(vec![prompt(0), Vec::new(), prompt(0), prompt(1), prompt(2), prompt(3)]);
        prefixes.read_a_step(&mut decoder);
        assert!(prefixes.entries.is_empty() && prefixes.ahead.is_some(), "a long text takes more than one step");
        let mut read_all = |prefixes: &mut Prefixes| {
            for _ in 0..20 {
                prefixes.read_a_step(&mut decoder);
            }
            assert!(!prefixes.has_work());
        };
        read_all(&mut prefixes);
        assert!(prefixes.have(&[prompt(0), prompt(1)]) && prefixes.bytes == 2 * bytes);
        prefixes.queue_first(vec![prompt(3)]);
        read_all(&mut prefixes);
        assert!(prefixes.have(&[prompt(3)]) && prefixes.entries.len() == 2, "what is asked about takes a place");
    }
}
