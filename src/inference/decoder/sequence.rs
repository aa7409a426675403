//! What a model has read: shared beginnings and sequences that go on from them.

use std::sync::Arc;

use shoptalk_kernels::KeyValues;

use super::{super::InferenceError, weights::Sizes};

/// The keys and values of some tokens, read once. Cheap to clone; all clones share the memory.
#[derive(Debug, Clone)]
pub struct Prefix {
    /// One for each layer that was computed, from the first on.
    pub(super) layers: Arc<[KeyValues]>,
    /// The last token's row after the last of `layers`.
    pub(super) last: Arc<[f32]>,
}

impl Prefix {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, KeyValues::len)
    }

    /// Number of layers that were computed.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KeyValues::bytes).sum::<usize>() + 4 * self.last.len()
    }
}

/// A beginning and the tokens read after it.
#[derive(Debug)]
pub struct Sequence {
    pub(super) prefix: Option<Prefix>,
    pub(super) own: Vec<KeyValues>,
    /// The last token's row after the last layer that is computed; empty before the first token that was read here.
    pub(super) last: Vec<f32>,
    room: usize,
}

impl Sequence {
    pub(super) fn new(prefix: Option<Prefix>, sizes: &Sizes, depth: usize, tokens: usize) -> Self {
        let layer = || KeyValues::new(sizes.key_heads, sizes.head_size, tokens);
        let depth = prefix.as_ref().map_or(depth.min(sizes.layers), Prefix::depth);
        let own = std::iter::repeat_with(layer).take(depth).collect();
        Self { prefix, own, last: Vec::new(), room: tokens }
    }

    /// Tokens read, the prefix included.
    pub fn len(&self) -> usize {
        self.prefix.as_ref().map_or(0, Prefix::len) + self.own_len()
    }

    /// Number of layers that are computed.
    pub fn depth(&self) -> usize {
        self.own.len()
    }

    /// Tokens that can still be read.
    pub fn room(&self) -> usize {
        self.room - self.own_len()
    }

    /// Forgets the tokens from `len` on; those of the prefix stay.
    pub fn truncate(&mut self, len: usize) {
        let own = len.saturating_sub(self.prefix.as_ref().map_or(0, Prefix::len));
        for layer in &mut self.own {
            layer.truncate(own);
        }
    }

    /// Another sequence that has read the first `len` tokens of this one, with room for `tokens` in all. Its keys and
    /// values lie as if it had read them itself, so that what it goes on with comes out the same to the last bit.
    ///
    /// # Panics
    /// When this one has not read so many, `tokens` are fewer, or a prefix is longer than `len`.
    #[must_use]
    pub fn fork(&self, len: usize, tokens: usize) -> Self {
        let shared = self.prefix.as_ref().map_or(0, Prefix::len);
        assert!(shared <= len, "a fork keeps the whole prefix");
        let own = self.own.iter().map(|layer| layer.fork(len - shared, tokens - shared)).collect();
        Self { prefix: self.prefix.clone(), own, last: Vec::new(), room: tokens - shared }
    }

    /// Freezes a sequence that has no prefix of its own.
    ///
    /// Errors: nothing was read, or there is a prefix.
    pub fn into_prefix(self) -> Result<Prefix, InferenceError> {
        if self.prefix.is_some() || self.last.is_empty() {
            return Err(InferenceError::Failed("only a whole sequence of tokens can be kept".to_owned()));
        }
        let is_tight = self.room == self.own_len();
        let layers: Vec<KeyValues> =
            if is_tight { self.own } else { self.own.iter().map(KeyValues::snapshot).collect() };
        Ok(Prefix { layers: layers.into(), last: self.last.into() })
    }

    fn own_len(&self) -> usize {
        self.own.first().map_or(0, KeyValues::len)
    }
}
