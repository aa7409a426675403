//! What all readers share: text normalisation and the `Builder` that turns headings, paragraphs and tables in reading
//! order into a `Document`.

use crate::language::detect_language;

use super::{Block, BlockKind, Document, tables::Table};

/// Collapses white space to single spaces and removes characters nobody sees (zero-width and control characters,
/// direction marks, soft hyphens, Unicode tags), in which instructions can hide.
pub fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let length = squeezed.len();
        if length > 0 {
            squeezed.push(' ');
        }
        let start = squeezed.len();
        squeezed.extend(word.chars().filter(|&c| !is_invisible(c)));
        if squeezed.len() == start {
            squeezed.truncate(length);
        }
    }
    squeezed
}

/// Like `squeeze` for each line; empty lines are dropped.
pub fn squeeze_lines(text: &str) -> String {
    text.lines().map(squeeze).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Level of what only looks like a heading (a paragraph in bold, the summary of a fold): below every real one.
pub const INNER_HEADING: u8 = 10;

/// Whether a paragraph that is all in bold serves as a heading.
pub fn is_bold_heading(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty()
        && text.chars().count() <= 80
        && !text.contains('\n')
        && !text.ends_with(['.', '!', ';', ',', '。', '！', '；', '，'])
}

/// A heading that is open.
struct Heading {
    level: u8,
    text: String,
    /// Something stands below it.
    used: bool,
}

/// Takes a document's parts in reading order.
#[derive(Default)]
pub struct Builder {
    title: Option<String>,
    headings: Vec<Heading>,
    blocks: Vec<Block>,
    dropped: Vec<String>,
}

impl Builder {
    /// The title the document gives itself; the first one stays.
    pub fn title(&mut self, title: &str) {
        let title = squeeze(title);
        if self.title.is_none() && !title.is_empty() {
            self.title = Some(title);
        }
    }

    /// A heading; `level` 1 is the outermost. Headings of the same and of deeper levels end here. One with nothing below
    /// it becomes a paragraph, so that its words can be found and quoted.
    pub fn heading(&mut self, level: u8, text: &str) {
        let text = squeeze(text);
        if text.is_empty() {
            return;
        }
        self.end_heading(level);
        self.headings.push(Heading { level, text, used: false });
    }

    /// Ends the headings of `level` and deeper.
    pub fn end_heading(&mut self, level: u8) {
        let ended: Vec<Heading> = self.headings.extract_if(.., |heading| heading.level >= level).collect();
        for heading in ended.into_iter().filter(|heading| !heading.used) {
            self.paragraph(&heading.text);
        }
    }

    /// A paragraph; line breaks inside of it are kept.
    pub fn paragraph(&mut self, text: &str) {
        self.text(BlockKind::Paragraph, text);
    }

    /// A list item.
    pub fn list_item(&mut self, text: &str) {
        self.text(BlockKind::ListItem, text);
    }

    /// Preformatted text.
    pub fn code(&mut self, text: &str) {
        self.text(BlockKind::Code, text);
    }

    /// A question with its answer.
    pub fn question_answer(&mut self, question: &str, answer: &str) {
        let question = squeeze(question);
        if question.is_empty() {
            self.paragraph(answer);
        } else {
            self.text(BlockKind::QuestionAnswer { question }, answer);
        }
    }

    /// A table, row by row.
    pub fn table(&mut self, table: Table) {
        let blocks = table.into_blocks(&self.path());
        if !blocks.is_empty() {
            self.mark_used();
            self.blocks.extend(blocks);
        }
    }

    /// How many blocks there are so far, to be given to `answer_since`.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Makes the text since `start` the answer to a question, unless it holds more than text.
    pub fn answer_since(&mut self, start: usize, question: &str) {
        let part = self.blocks.get(start..).unwrap_or_default();
        let only_text = part.iter().all(|block| matches!(block.kind, BlockKind::Paragraph | BlockKind::ListItem));
        if part.is_empty() || !only_text {
            return;
        }
        let answer = part.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n");
        self.blocks.truncate(start);
        self.end_heading(INNER_HEADING);
        self.question_answer(question, &answer);
    }

    /// Something that was left out, as a sentence for the import report; each is reported once.
    pub fn dropped(&mut self, what: &str) {
        if !self.dropped.iter().any(|other| other == what) {
            self.dropped.push(what.to_owned());
        }
    }

    /// The text of the last paragraph, removed: a table takes it for its caption.
    pub fn take_caption(&mut self) -> Option<String> {
        let last = self.blocks.last()?;
        let is_caption =
            last.kind == BlockKind::Paragraph && looks_like_caption(&last.text) && last.heading == self.path();
        if !is_caption {
            return None;
        }
        self.blocks.pop().map(|block| block.text)
    }

    fn path(&self) -> Vec<String> {
        self.headings.iter().map(|heading| heading.text.clone()).collect()
    }

    fn mark_used(&mut self) {
        for heading in &mut self.headings {
            heading.used = true;
        }
    }

    fn text(&mut self, kind: BlockKind, text: &str) {
        let text = squeeze_lines(text);
        if !text.is_empty() {
            let heading = self.path();
            self.mark_used();
            self.blocks.push(Block { heading, kind, text });
        }
    }

    /// The finished document; its title is the outermost heading where it names none itself.
    pub fn finish(mut self) -> Document {
        self.end_heading(0);
        let mut blocks = pair_questions(self.blocks);
        blocks.retain(|block| !block.text.is_empty());
        let title = self.title.or_else(|| blocks.first().and_then(|block| block.heading.first().cloned()));
        let mut text = String::new();
        for block in &blocks {
            text.push_str(&block.text);
            text.push('\n');
        }
        let language = detect_language(&text).or_else(|| detect_language(title.as_deref()?)).unwrap_or_default();
        Document { title, language, blocks, dropped: self.dropped }
    }
}

fn looks_like_caption(text: &str) -> bool {
    let numbered =
        |rest: &str| rest.trim_start().starts_with(|c: char| c.is_ascii_digit() || "一二三四五六七八九十".contains(c));
    !text.contains('\n')
        && text.chars().count() <= 120
        && (text.strip_prefix("Table").is_some_and(numbered) || text.strip_prefix('表').is_some_and(numbered))
}

/// Paragraphs `Q: ...` and `A: ...` (`问：`, `答：`) in succession are a question and its answer.
fn pair_questions(blocks: Vec<Block>) -> Vec<Block> {
    let mut paired: Vec<Block> = Vec::with_capacity(blocks.len());
    for block in blocks {
        let pair = if block.kind == BlockKind::Paragraph { question_and_answer(&block, &mut paired) } else { None };
        paired.push(match pair {
            Some((question, text)) => Block { kind: BlockKind::QuestionAnswer { question }, text, ..block },
            None => block,
        });
    }
    paired
}

/// Question and answer of a paragraph that holds both, or of one that answers the last of `paired`, which is taken away.
fn question_and_answer(block: &Block, paired: &mut Vec<Block>) -> Option<(String, String)> {
    if let Some((question, answer)) = block.text.split_once('\n')
        && let (Some(question), Some(answer)) = (marked(question, QUESTION_MARKS), marked(answer, ANSWER_MARKS))
    {
        return Some((question.to_owned(), answer.to_owned()));
    }
    let answer = marked(&block.text, ANSWER_MARKS)?.to_owned();
    let last = paired.last().filter(|last| last.kind == BlockKind::Paragraph && last.heading == block.heading)?;
    let question = marked(&last.text, QUESTION_MARKS)?.to_owned();
    paired.pop();
    Some((question, answer))
}

const QUESTION_MARKS: &[&str] = &["Q:", "Q.", "Q：", "Question:", "问：", "问:", "问题：", "问题:"];
const ANSWER_MARKS: &[&str] = &["A:", "A.", "A：", "Answer:", "答：", "答:", "回答：", "回答:", "答案：", "答案:"];

fn marked<'a>(text: &'a str, marks: &[&str]) -> Option<&'a str> {
    marks.iter().find_map(|mark| text.strip_prefix(mark)).map(str::trim).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_and_spare_space_go() {
        assert_eq!(squeeze(" a\u{200b}b \u{feff} \t c\u{a0}d\u{e0041} "), "ab c d");
        assert_eq!(squeeze_lines("a \n\n b\r\n"), "a\nb");
    }

    #[test]
    fn headings_form_a_path() {
        let mut builder = Builder::default();
        builder.heading(1, "Shop");
        builder.heading(3, "Deep");
        builder.paragraph("one");
        builder.heading(2, "Next");
        builder.paragraph("two");
        let document = builder.finish();
        assert_eq!(document.title.as_deref(), Some("Shop"));
        assert_eq!(document.blocks[0].heading, ["Shop", "Deep"]);
        assert_eq!(document.blocks[1].heading, ["Shop", "Next"]);
    }

    #[test]
    fn headings_with_nothing_below_are_not_lost() {
        let mut builder = Builder::default();
        builder.heading(1, "Shop");
        builder.heading(2, "Closed in August");
        builder.heading(2, "Hours");
        builder.paragraph("Daily.");
        let document = builder.finish();
        let found: Vec<_> =
            document.blocks.iter().map(|block| (block.heading.join("/"), block.text.as_str())).collect();
        assert_eq!(found, [("Shop".to_owned(), "Closed in August"), ("Shop/Hours".to_owned(), "Daily.")]);
    }

    #[test]
    fn written_out_questions_are_paired_with_their_answers() {
        let mut builder = Builder::default();
        builder.paragraph("Q: Do you gift wrap?");
        builder.paragraph("A: Yes, for €2.");
        builder.paragraph("问：可以退货吗？\n答：可以。");
        builder.paragraph("A: alone");
        let document = builder.finish();
        assert_eq!(document.blocks[0].kind, BlockKind::QuestionAnswer { question: "Do you gift wrap?".into() });
        assert_eq!(document.blocks[0].text, "Yes, for €2.");
        assert_eq!(document.blocks[1].kind, BlockKind::QuestionAnswer { question: "可以退货吗？".into() });
        assert_eq!(document.blocks[2].text, "A: alone");
    }
}
