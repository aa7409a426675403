//! How likely texts are after beginnings that were read before, and what the model makes of them: one step for all.

use shoptalk_kernels::log_sum_exp;

use super::{super::InferenceError, Decoder, LOGITS_ROWS, Prefix, Sequence, Wanted};

impl Decoder {
    /// For each prefix and continuation the natural logarithm of the probability that the model goes on with exactly
    /// these tokens. All continuations are read in one step, each after its own prefix.
    ///
    /// Errors: an empty continuation and those of `read`.
    pub fn score(&mut self, items: &[(&Prefix, &[u32])]) -> Result<Vec<f32>, InferenceError> {
        let vocabulary = self.vocabulary();
        let known = |tokens: &[u32]| tokens.iter().all(|&token| (token as usize) < vocabulary);
        if items.iter().any(|(_, tokens)| tokens.is_empty() || !known(tokens)) {
            return Err(InferenceError::Failed("a continuation is empty or has unknown tokens".to_owned()));
        }
        items.iter().try_for_each(|(prefix, _)| self.whole(prefix.depth()))?;
        // The last token of a continuation is only predicted, never read.
        let longer: Vec<&(&Prefix, &[u32])> = items.iter().filter(|(_, tokens)| tokens.len() > 1).collect();
        let mut sequences: Vec<Sequence> =
            longer.iter().map(|(prefix, tokens)| self.sequence(Some((*prefix).clone()), tokens.len() - 1)).collect();
        let mut parts: Vec<(&mut Sequence, &[u32])> = sequences
            .iter_mut()
            .zip(&longer)
            .map(|(sequence, (_, tokens))| (sequence, &tokens[..tokens.len() - 1]))
            .collect();
        let read = if parts.is_empty() {
            Vec::new()
        } else {
            self.forward(&mut parts)?;
            self.step.rows.clone()
        };
        self.sum_up(items, &read)
    }

    /// For each prefix and continuation the state of the continuation's last token and the mean state of its tokens, one
    /// behind the other: what the residual stream holds after the last layer of the prefixes' depth. All continuations
    /// are read in one step, each after its own prefix.
    ///
    /// Errors: an empty continuation, prefixes of different depths, and those of `read`.
    pub fn states(&mut self, items: &[(&Prefix, &[u32])]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut sequences: Vec<Sequence> =
            items.iter().map(|(prefix, tokens)| self.sequence(Some((*prefix).clone()), tokens.len())).collect();
        let mut parts: Vec<(&mut Sequence, &[u32])> =
            sequences.iter_mut().zip(items).map(|(sequence, (_, tokens))| (sequence, *tokens)).collect();
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        self.forward(&mut parts)?;
        let width = self.weights.sizes.width;
        let mut rows = self.step.rows.chunks_exact(width);
        let states = items.iter().map(|(_, tokens)| {
            let mut state = vec![0.0; 2 * width];
            for row in rows.by_ref().take(tokens.len()) {
                state[..width].copy_from_slice(row);
                state[width..].iter_mut().zip(row).for_each(|(mean, value)| *mean += value / tokens.len() as f32);
            }
            state
        });
        Ok(states.collect())
    }

    /// `read` holds the rows of all continuations but their last tokens, one behind the other.
    fn sum_up(&mut self, items: &[(&Prefix, &[u32])], read: &[f32]) -> Result<Vec<f32>, InferenceError> {
        let (width, vocabulary) = (self.weights.sizes.width, self.vocabulary());
        let mut read = read.chunks_exact(width);
        // The row before each token: the prefix's last one, then those of the tokens before.
        let mut wanted: Vec<(usize, u32, &[f32])> = Vec::new();
        for (item, (prefix, tokens)) in items.iter().enumerate() {
            wanted.push((item, tokens[0], &prefix.last));
            wanted.extend(tokens[1..].iter().zip(read.by_ref()).map(|(&token, row)| (item, token, row)));
        }
        let mut sums = vec![0.0; items.len()];
        for some in wanted.chunks(LOGITS_ROWS) {
            let rows: Vec<f32> = some.iter().flat_map(|(_, _, row)| *row).copied().collect();
            let processor = self.processor;
            let logits = self.logits(&rows, Wanted::All)?;
            let totals = log_sum_exp(processor, logits, vocabulary);
            for (((item, token, _), logits), total) in some.iter().zip(logits.chunks_exact(vocabulary)).zip(totals) {
                sums[*item] += logits[*token as usize] - total;
            }
        }
        Ok(sums)
    }
}
