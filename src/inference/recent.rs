//! What the chat model has read lately, so that a prompt that begins like another one (the same instructions, the same
//! conversation one message earlier) is read only from where it differs.

use std::collections::VecDeque;

use super::decoder::{Decoder, Sequence};

/// Tokens of all sequences together that are kept: as many as one context may have.
const TOKENS_MAX: usize = 4096;

/// Sequences that nobody is working on, the latest last.
#[derive(Debug)]
pub(crate) struct Recent {
    entries: VecDeque<(Vec<u32>, Sequence)>,
    tokens_max: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { entries: VecDeque::new(), tokens_max: TOKENS_MAX }
    }
}

impl Recent {
    /// A sequence with room for `room` tokens that has read as much of `tokens` as one of the recent ones or of `running`
    /// has; at least one token is left to read.
    pub(crate) fn begin<'a>(
        &'a self,
        decoder: &Decoder,
        running: impl Iterator<Item = (&'a [u32], &'a Sequence)>,
        tokens: &[u32],
        room: usize,
    ) -> Sequence {
        let recent = self.entries.iter().map(|(tokens, sequence)| (tokens.as_slice(), sequence));
        let shared = |(known, sequence): (&[u32], &'a Sequence)| {
            let same = known.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            (same.min(sequence.len()).min(tokens.len().saturating_sub(1)), sequence)
        };
        match recent.chain(running).map(shared).max_by_key(|(count, _)| *count) {
            Some((count, sequence)) if count > 0 => sequence.fork(count, room),
            _ => decoder.sequence(None, room),
        }
    }

    /// Keeps a sequence with the tokens that it has read, and more perhaps.
    pub(crate) fn keep(&mut self, mut tokens: Vec<u32>, sequence: Sequence) {
        tokens.truncate(sequence.len());
        // Of two of which one goes on with the other, the longer one serves for both.
        if tokens.is_empty() || self.entries.iter().any(|(known, _)| known.starts_with(&tokens)) {
            return;
        }
        self.entries.retain(|(known, _)| !tokens.starts_with(known));
        self.entries.push_back((tokens, sequence));
        while self.entries.len() > 1 && self.tokens() > self.tokens_max {
            self.entries.pop_front();
        }
    }

    fn tokens(&self) -> usize {
        self.entries.iter().map(|(tokens, _)| tokens.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::models::ModelStore;

    #[test]
    fn the_longest_common_beginning_is_not_read_again() {
        let Some(files) = ModelStore::open(None).unwrap().cached("smollm2-135m-instruct") else {
            println!("skipped: the model is not on this machine");
            return;
        };
        let mut decoder = Decoder::load(&files.files["weights"], 256).unwrap();
        let mut recent = Recent { tokens_max: 60, ..Recent::default() };
        let tokens: Vec<u32> = (0..50).map(|index| 300 + index * 37 % 1000).collect();
        let mut read = |tokens: &[u32], sequence: &mut Sequence| {
            decoder.read(sequence, &tokens[sequence.len()..]).unwrap().to_vec()
        };
        let mut first = Decoder::load(&files.files["weights"], 256).unwrap().sequence(None, 60);
        let alone = read(&tokens, &mut first);
        recent.keep(tokens[..20].to_vec(), first.fork(20, 20));
        recent.keep(tokens.clone(), first);
        assert_eq!(recent.entries.len(), 1, "the shorter one is part of the longer one");
        recent.keep(tokens[..30].to_vec(), recent.entries[0].1.fork(30, 30));
        assert_eq!(recent.entries.len(), 1);

        let empty = Decoder::load(&files.files["weights"], 256).unwrap();
        let mut again = recent.begin(&empty, iter::empty(), &tokens, 64);
        assert_eq!((again.len(), again.room()), (49, 15), "one token is always left");
        assert_eq!(read(&tokens, &mut again), alone, "the same to the last bit");
        let other = [&tokens[..25], &[7, 8, 9]].concat();
        let from_recent = recent.begin(&empty, iter::empty(), &other, 64);
        assert_eq!(from_recent.len(), 25);
        let mut running = from_recent.fork(10, 64);
        read(&other[..20], &mut running);
        let from_running = Recent::default().begin(&empty, iter::once((&other[..], &running)), &other, 64);
        assert_eq!(from_running.len(), 20, "what is still being read can be shared too");
        recent.keep(other[1..].to_vec(), from_running);
        assert_eq!(recent.entries.len(), 1, "the oldest goes first");
        assert_eq!(recent.begin(&empty, iter::empty(), &tokens, 64).len(), 0);
    }
}
