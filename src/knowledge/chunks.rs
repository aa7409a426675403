//! From blocks to chunks: the passages that are embedded, searched and quoted.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    language::{detect_language, sentences},
    message::Language,
};

use super::{Block, BlockKind, Document};

/// Between the headings of a chunk.
pub const HEADING_SEPARATOR: &str = " › ";

/// Default size limit of a text chunk, in tokens of the encoder.
pub const TOKENS_MAX: usize = 160;

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChunkKind {
    /// Paragraphs and list items.
    Text,
    /// A question and its answer.
    Question,
    /// A row of a table.
    Row,
}

impl ChunkKind {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Question => "question",
            Self::Row => "row",
        }
    }
}

/// A passage that can be found and quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Stable: a hash of document name, headings, kind and text, with a counter for exact repeats (hexadecimal).
    pub id: String,
    /// The headings above it, outermost first, joined by ` › `.
    pub heading: String,
    /// What it holds.
    pub kind: ChunkKind,
    /// Literal text of the document; paragraphs are separated by line breaks.
    pub text: String,
    /// The question, when `kind` is `Question`.
    pub question: Option<String>,
    /// Header and value of each cell, when `kind` is `Row`; empty otherwise.
    pub cells: Vec<(String, String)>,
    /// The table's caption, when it has one.
    pub caption: Option<String>,
    /// The language of the text.
    pub language: Language,
    /// What is embedded and indexed: headings, caption and question or `header: value` pairs together with the text.
    pub search_text: String,
}

/// Cuts a document into chunks of at most `tokens_max` tokens as `count_tokens` counts them (`TOKENS_MAX` is the
/// default); a chunk never crosses a heading. A table row or an answer is one chunk, whatever its length.
pub fn chunks(
    document_name: &str,
    document: &Document,
    count_tokens: &dyn Fn(&str) -> usize,
    tokens_max: usize,
) -> Vec<Chunk> {
    let mut writer =
        Writer { document_name, document, count_tokens, tokens_max, chunks: Vec::new(), repeats: HashMap::new() };
    let mut rest = document.blocks.as_slice();
    while let Some(first) = rest.first() {
        let length = if is_text(first) {
            rest.iter().take_while(|block| is_text(block) && block.heading == first.heading).count()
        } else {
            1
        };
        let (part, later) = rest.split_at(length);
        if is_text(first) {
            writer.text(part);
        } else {
            writer.single(first);
        }
        rest = later;
    }
    writer.chunks
}

fn is_text(block: &Block) -> bool {
    matches!(block.kind, BlockKind::Paragraph | BlockKind::ListItem | BlockKind::Code)
}

struct Writer<'a> {
    document_name: &'a str,
    document: &'a Document,
    count_tokens: &'a dyn Fn(&str) -> usize,
    tokens_max: usize,
    chunks: Vec<Chunk>,
    repeats: HashMap<String, usize>,
}

impl Writer<'_> {
    /// Merges the paragraphs under one heading up to the limit. A list goes with the line before it where both fit.
    fn text(&mut self, blocks: &[Block]) {
        let heading = blocks[0].heading.join(HEADING_SEPARATOR);
        let mut text = String::new();
        let mut tokens = 0;
        for group in groups(blocks) {
            let group_tokens: usize = group.iter().map(|block| self.tokens(&block.text)).sum();
            if tokens > 0 && tokens + group_tokens > self.tokens_max {
                self.push_text(&heading, &mut text);
                tokens = 0;
            }
            for block in group {
                for piece in self.pieces(&block.text) {
                    let piece_tokens = self.tokens(piece);
                    if tokens > 0 && tokens + piece_tokens > self.tokens_max {
                        self.push_text(&heading, &mut text);
                        tokens = 0;
                    }
                    append(&mut text, piece, &block.text);
                    tokens += piece_tokens;
                }
            }
        }
        self.push_text(&heading, &mut text);
    }

    fn tokens(&self, text: &str) -> usize {
        (self.count_tokens)(text).max(1)
    }

    /// The whole text where it fits, otherwise its sentences, and a longer sentence in parts.
    fn pieces<'t>(&self, text: &'t str) -> Vec<&'t str> {
        if self.tokens(text) <= self.tokens_max {
            return vec![text];
        }
        let mut pieces = Vec::new();
        for sentence in sentences(text) {
            let parts = self.tokens(sentence).div_ceil(self.tokens_max.max(1));
            pieces.extend(split_evenly(sentence, parts));
        }
        pieces
    }

    fn push_text(&mut self, heading: &str, text: &mut String) {
        if text.is_empty() {
            return;
        }
        let text = std::mem::take(text);
        let search_text = with_context(heading, &[&text]);
        self.push(Chunk {
            id: String::new(),
            heading: heading.to_owned(),
            kind: ChunkKind::Text,
            question: None,
            cells: Vec::new(),
            caption: None,
            language: self.language(&text),
            search_text,
            text,
        });
    }

    fn single(&mut self, block: &Block) {
        let heading = block.heading.join(HEADING_SEPARATOR);
        let (kind, question, cells, caption, search_text) = match &block.kind {
            BlockKind::TableRow { caption, cells } => {
                let pairs = cells
                    .iter()
                    .map(|(header, value)| if header.is_empty() { value.clone() } else { format!("{header}: {value}") })
                    .collect::<Vec<_>>()
                    .join("; ");
                // A sheet's name is both heading and caption.
                let new_caption =
                    Some(caption.as_str()).filter(|caption| block.heading.last().map(String::as_str) != Some(caption));
                let search_text = with_context(&heading, &[new_caption.unwrap_or(""), &pairs]);
                let caption = Some(caption.clone()).filter(|caption| !caption.is_empty());
                (ChunkKind::Row, None, cells.clone(), caption, search_text)
            }
            BlockKind::QuestionAnswer { question } => {
                let search_text = with_context(&heading, &[question, &block.text]);
                (ChunkKind::Question, Some(question.clone()), Vec::new(), None, search_text)
            }
            BlockKind::Paragraph | BlockKind::ListItem | BlockKind::Code => return,
        };
        let language = self.language(if kind == ChunkKind::Text { &block.text } else { &search_text });
        self.push(Chunk {
            id: String::new(),
            heading,
            kind,
            text: block.text.clone(),
            question,
            cells,
            caption,
            language,
            search_text,
        });
    }

    fn language(&self, text: &str) -> Language {
        detect_language(text).unwrap_or(self.document.language)
    }

    fn push(&mut self, mut chunk: Chunk) {
        let mut hash = Sha256::new();
        let question = chunk.question.as_deref().unwrap_or("");
        for part in [self.document_name, &chunk.heading, chunk.kind.as_str(), question, &chunk.text] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let hash = hex::encode(&hash.finalize()[..12]);
        let repeat = self.repeats.entry(hash.clone()).or_insert(0);
        chunk.id = if *repeat == 0 { hash } else { format!("{hash}-{repeat}") };
        *repeat += 1;
        self.chunks.push(chunk);
    }
}

/// Paragraphs alone; a list together with the line that introduces it.
fn groups(blocks: &[Block]) -> Vec<&[Block]> {
    let mut groups = Vec::new();
    let mut start = 0;
    for end in 1..=blocks.len() {
        let goes_on = blocks.get(end).is_some_and(|block| block.kind == BlockKind::ListItem);
        if !goes_on {
            groups.push(&blocks[start..end]);
            start = end;
        }
    }
    groups
}

/// Sentences of one paragraph are joined as they were, paragraphs by a line break.
fn append(text: &mut String, piece: &str, block: &str) {
    if !text.is_empty() {
        let offset = piece.as_ptr() as usize - block.as_ptr() as usize;
        match block[..offset].chars().next_back() {
            None => text.push('\n'),
            Some(space) if space.is_whitespace() => text.push(space),
            Some(_) => {}
        }
    }
    text.push_str(piece);
}

/// About equal parts, cut at white space or after a comma where there is one near.
fn split_evenly(text: &str, parts: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    for left in (2..=parts).rev() {
        let mut target = rest.len() / left;
        while !rest.is_char_boundary(target) {
            target += 1;
        }
        let cut = rest[..target]
            .char_indices()
            .rev()
            .take(80)
            .find(|(_, c)| c.is_whitespace() || matches!(c, '，' | '、' | ','))
            .map_or(target, |(position, c)| position + c.len_utf8());
        let (piece, later) = rest.split_at(cut);
        if !piece.trim().is_empty() {
            pieces.push(piece.trim());
        }
        rest = later;
    }
    if !rest.trim().is_empty() {
        pieces.push(rest.trim());
    }
    pieces
}

fn with_context(heading: &str, parts: &[&str]) -> String {
    let mut lines = Vec::with_capacity(parts.len() + 1);
    lines.extend(Some(heading).into_iter().chain(parts.iter().copied()).filter(|part| !part.is_empty()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn document(blocks: &[(&str, BlockKind, &str)]) -> Document {
        let blocks = blocks
            .iter()
            .map(|(heading, kind, text)| Block {
                heading: vec![(*heading).into()],
                kind: kind.clone(),
                text: (*text).into(),
            })
            .collect();
        Document { blocks, ..Document::default() }
    }

    #[test]
    fn paragraphs_merge_under_their_heading_only() {
        use BlockKind::Paragraph;
        let document = document(&[("A", Paragraph, "one two"), ("A", Paragraph, "three"), ("B", Paragraph, "four")]);
        let found = chunks("d.md", &document, &words, 10);
        assert_eq!(found.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(), ["one two\nthree", "four"]);
        assert_eq!(found[0].search_text, "A\none two\nthree");
        assert_ne!(found[0].id, found[1].id);
    }

    #[test]
    fn long_paragraphs_break_between_sentences() {
        let document = document(&[("A", BlockKind::Paragraph, "One two three. Four five six. Seven eight.")]);
        let found = chunks("d.md", &document, &words, 6);
        assert_eq!(
            found.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(),
            ["One two three. Four five six.", "Seven eight."]
        );
        let endless = super::Document {
            blocks: vec![Block {
                heading: Vec::new(),
                kind: BlockKind::Paragraph,
                text: "word ".repeat(50).trim().into(),
            }],
            ..Document::default()
        };
        let found = chunks("d.md", &endless, &words, 10);
        assert!(found.len() >= 5 && found.iter().all(|chunk| words(&chunk.text) <= 12));
    }

    #[test]
    fn a_list_stays_with_its_introduction() {
        use BlockKind::{ListItem, Paragraph};
        let document = document(&[
            ("A", Paragraph, "one two three four"),
            ("A", Paragraph, "You need:"),
            ("A", ListItem, "receipt"),
            ("A", ListItem, "box"),
        ]);
        let found = chunks("d.md", &document, &words, 5);
        assert_eq!(found[1].text, "You need:\nreceipt\nbox");
    }

    #[test]
    fn rows_and_answers_stand_alone_with_their_context() {
        let row = BlockKind::TableRow {
            caption: "Rates".into(),
            cells: vec![("To".into(), "Home".into()), ("Price".into(), "€5".into())],
        };
        let answer = BlockKind::QuestionAnswer { question: "可以退货吗？".into() };
        let document = document(&[
            ("Delivery", row.clone(), "Home | €5"),
            ("Delivery", row, "Home | €5"),
            ("售后", answer, "可以。"),
        ]);
        let found = chunks("d.md", &document, &words, 5);
        assert_eq!(found[0].search_text, "Delivery\nRates\nTo: Home; Price: €5");
        assert_eq!((found[2].language, found[2].kind), (Language::Zh, ChunkKind::Question));
        assert_eq!(found[2].search_text, "售后\n可以退货吗？\n可以。");
        assert_ne!(found[0].id, found[1].id, "exact repeats get a counter");
        assert_eq!(found, chunks("d.md", &document, &words, 5), "ids are stable");
    }
}
