//! From token ids to the text a shopper sees: whole characters only, and nothing from a stop text onwards.

use super::InferenceError;

/// A character has at most four bytes, so more undecodable tokens than this are really broken text.
const PENDING_TOKENS_MAX: usize = 8;
const REPLACEMENT: char = '\u{FFFD}';

/// Joins tokens into whole characters and holds text back while it may be the beginning of a stop text.
#[derive(Debug)]
pub(crate) struct TextStream {
    pending: Vec<u32>,
    held: String,
    stops: Vec<String>,
    is_stopped: bool,
}

impl TextStream {
    /// A stream that ends before the first of `stops`; empty ones are ignored.
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { pending: Vec::new(), held: String::new(), stops, is_stopped: false }
    }

    /// Adds a token and returns the text that is certain now.
    pub(crate) fn push(
        &mut self,
        token: u32,
        decode: impl Fn(&[u32]) -> Result<String, InferenceError>,
    ) -> Result<String, InferenceError> {
        self.pending.push(token);
        let text = decode(&self.pending)?;
        if text.ends_with(REPLACEMENT) && self.pending.len() < PENDING_TOKENS_MAX {
            return Ok(String::new());
        }
        self.pending.clear();
        Ok(self.release(&text))
    }

    /// Whether a stop text was reached: nothing more comes.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The text that was held back, without half a character at its end.
    pub(crate) fn finish(
        mut self,
        decode: impl Fn(&[u32]) -> Result<String, InferenceError>,
    ) -> Result<String, InferenceError> {
        let rest = if self.pending.is_empty() { String::new() } else { decode(&self.pending)? };
        let mut text = self.release(rest.trim_end_matches(REPLACEMENT));
        if !self.is_stopped {
            text.push_str(&self.held);
        }
        Ok(text)
    }

    /// Adds text of whole characters, from a model that writes those, and returns the text that is certain now.
    pub(crate) fn release(&mut self, text: &str) -> String {
        if self.is_stopped {
            return String::new();
        }
        self.held.push_str(text);
        if let Some(end) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.is_stopped = true;
            self.held.truncate(end);
            return std::mem::take(&mut self.held);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }
}

/// Bytes of the longest end of `text` that is a beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(end, _)| end).filter(|&end| end > 0);
    ends.filter(|&end| text.ends_with(&stop[..end])).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tokens are bytes here, the worst case for characters and stop texts alike.
    #[expect(clippy::unnecessary_wraps, reason = "the decoder's signature")]
    fn decode(tokens: &[u32]) -> Result<String, InferenceError> {
        let bytes: Vec<u8> = tokens.iter().map(|&token| token as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn stream(text: &[u8], stops: &[&str]) -> (Vec<String>, String) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut stream = TextStream::new(&stops);
        let mut pieces: Vec<String> = text.iter().map(|&byte| stream.push(u32::from(byte), decode).unwrap()).collect();
        pieces.push(stream.finish(decode).unwrap());
        let all = pieces.concat();
        (pieces, all)
    }

    #[test]
    fn characters_are_never_split() {
        let (pieces, all) = stream("退货 🙂 ok".as_bytes(), &[]);
        assert_eq!(all, "退货 🙂 ok");
        assert!(pieces.iter().all(|piece| !piece.contains(REPLACEMENT)));
        let (_, cut) = stream(&"退货".as_bytes()[..5], &[]);
        assert_eq!(cut, "退");
    }

    #[test]
    fn stop_texts_end_the_answer_across_token_borders() {
        assert_eq!(stream(b"Yes.\nUser: no", &["\nUser:"]).1, "Yes.");
        assert_eq!(stream(b"Yes.\nUse it", &["\nUser:"]).1, "Yes.\nUse it");
        assert_eq!(stream(b"aab", &["ab"]).1, "a");
        assert_eq!(stream("好的。完".as_bytes(), &["。", ""]).1, "好的");
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text_before_the_first_stop(text in "[ab好🙂]{0,30}", stop in "[ab好]{1,3}") {
            let expected = text.split(stop.as_str()).next().unwrap();
            prop_assert_eq!(stream(text.as_bytes(), &[&stop]).1, expected);
        }
    }
}
