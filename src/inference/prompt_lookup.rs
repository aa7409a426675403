//! Drafts for speculative decoding (Leviathan et al. 2023) by prompt lookup (Saxena 2023): an answer that quotes a
//! passage goes on as the passage does. The model reads all drafted tokens in one step, which takes little longer than
//! one token, and those that it would have chosen itself are kept, so that the answer stays the same.

/// Most tokens of a draft: with the token before them they are what the widest kernels multiply in one go.
const DRAFT_TOKENS_MAX: usize = 5;
/// The same after a whole draft that was right.
const SURE_TOKENS_MAX: usize = 11;
/// Tokens at the end that must have occurred before.
const MATCH_TOKENS_MIN: usize = 2;
/// Longer matches are no better.
const MATCH_TOKENS_MAX: usize = 8;

/// What another token in a step costs, in steps of one token.
const TOKEN_COST: f32 = 0.08;
/// What wrong drafts may cost, in parts of the time without any.
const LOSS_MAX: f32 = 0.05;
/// What the first drafts may cost before any was right, in tokens.
const CREDIT_FIRST: f32 = 0.5;
/// Most that may be lost after drafts that were right, in tokens.
const CREDIT_MAX: f32 = 2.0;

/// What drafts have won and cost so far, in tokens of the answer. They are only as long as what was won pays for, so that
/// an answer in which none is right takes at most 5 % longer, and the time of half a token.
#[derive(Debug)]
pub(crate) struct Lookup {
    credit: f32,
    /// What a token of the draft costs.
    cost: f32,
    /// Whether all of the last draft was right.
    is_sure: bool,
}

impl Default for Lookup {
    fn default() -> Self {
        Self { credit: CREDIT_FIRST, cost: TOKEN_COST, is_sure: false }
    }
}

impl Lookup {
    /// What may follow `context`, at most `tokens_max` tokens; often nothing. As many answers as `together` are written
    /// at the same time, which makes a token cheaper and a drafted one comparatively dear.
    pub(crate) fn draft<'a>(&mut self, context: &'a [u32], tokens_max: usize, together: usize) -> &'a [u32] {
        let step = 1.0 + TOKEN_COST * together.saturating_sub(1) as f32;
        self.cost = TOKEN_COST / (step / together.max(1) as f32);
        let affordable = (self.credit / self.cost + 1e-3) as usize;
        let draft_max = if self.is_sure { SURE_TOKENS_MAX } else { DRAFT_TOKENS_MAX };
        let tokens_max = tokens_max.min(draft_max).min(affordable);
        if tokens_max == 0 {
            return &[];
        }
        let rest = continuation(context);
        &rest[..rest.len().min(tokens_max)]
    }

    /// Notes how a step with a draft of `drafted` tokens went, of which `kept` were right.
    pub(crate) fn settle(&mut self, drafted: usize, kept: usize) {
        self.is_sure = kept == drafted && drafted > 0;
        let won = kept as f32 - drafted as f32 * self.cost;
        self.credit = (self.credit + LOSS_MAX + won).clamp(0.0, CREDIT_MAX);
    }
}

/// What followed the longest end of `context` that occurred before, at its last place; empty where none did.
fn continuation(context: &[u32]) -> &[u32] {
    let (mut best, mut longest) = (context.len(), MATCH_TOKENS_MIN - 1);
    for end in (1..context.len()).rev() {
        let both = context[..end].iter().rev().zip(context.iter().rev());
        let same = both.take(MATCH_TOKENS_MAX).take_while(|(a, b)| a == b).count();
        if same > longest {
            (best, longest) = (end, same);
        }
    }
    &context[best..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draft(context: &[u32]) -> &[u32] {
        Lookup { credit: CREDIT_MAX, ..Lookup::default() }.draft(context, 5, 1)
    }

    #[test]
    fn a_draft_goes_on_as_the_context_did() {
        assert_eq!(draft(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]), [4, 5, 6, 7, 8]);
        assert_eq!(draft(&[1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3]), [8, 1, 2, 3], "the last place");
        assert_eq!(draft(&[1, 2, 3, 7, 6, 9, 2, 3, 8, 1, 2, 3]), [7, 6, 9, 2, 3], "the longest end");
        assert_eq!(draft(&[4, 4, 4, 4]), [4]);
        assert!(draft(&[1, 2, 3, 4, 3]).is_empty(), "a single token says nothing");
        assert!(draft(&[1]).is_empty() && draft(&[]).is_empty());
    }

    #[test]
    fn right_drafts_pay_for_longer_ones() {
        let context = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 2];
        let mut lookup = Lookup::default();
        let first = lookup.draft(&context, 20, 1).len();
        assert_eq!(first, DRAFT_TOKENS_MAX);
        lookup.settle(first, first);
        assert_eq!(lookup.draft(&context, 20, 1).len(), SURE_TOKENS_MAX);
        assert!(lookup.draft(&context, 20, 8).len() < SURE_TOKENS_MAX, "dearer beside others");
        assert_eq!(lookup.draft(&context, 3, 1).len(), 3);
        lookup.settle(SURE_TOKENS_MAX, 2);
        assert_eq!(lookup.draft(&context, 20, 1).len(), DRAFT_TOKENS_MAX);
        for _ in 0..6 {
            let wrong = lookup.draft(&context, 20, 1).len();
            lookup.settle(wrong, 0);
        }
        assert!(lookup.draft(&context, 20, 1).is_empty());
    }

    proptest! {
        #[test]
        fn drafts_never_cost_more_than_what_is_allowed(
            rounds in prop::collection::vec((0..=SURE_TOKENS_MAX, 0..=SURE_TOKENS_MAX), 1..300),
        ) {
            // A context in which everything repeats wants the longest draft at every step.
            let context = [7; 64];
            let mut lookup = Lookup::default();
            let (mut cost, mut tokens) = (0.0_f32, 0.0_f32);
            for (wanted, kept) in rounds {
                let drafted = lookup.draft(&context, wanted, 1).len();
                let kept = kept.min(drafted);
                lookup.settle(drafted, kept);
                cost += 1.0 + drafted as f32 * TOKEN_COST;
                tokens += 1.0 + kept as f32;
            }
            // One step a token is what it costs without drafts.
            prop_assert!(cost <= tokens * (1.0 + LOSS_MAX) + CREDIT_FIRST + 1e-2, "{cost} for {tokens}");
        }
    }
}
