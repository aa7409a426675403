//! Markdown, with tables.

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use crate::language::is_han;

use super::{
    Document, ReadError,
    builder::{Builder, INNER_HEADING, is_bold_heading},
    html,
    tables::{Cell, Table},
};

/// Reads Markdown.
pub fn read(name: &str, text: &str) -> Result<Document, ReadError> {
    if super::text::is_binary(text) {
        return Err(ReadError::Unsupported { name: name.to_owned(), detail: "it is not text".to_owned() });
    }
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, options) {
        reader.event(event);
    }
    reader.flush();
    Ok(reader.builder.finish())
}

#[derive(Default)]
struct Reader {
    builder: Builder,
    text: String,
    /// How much of `text` is in bold.
    bold_length: usize,
    bold_from: Option<usize>,
    list_depth: usize,
    /// Text that is not shown: struck out, or a file's metadata.
    hidden: usize,
    code: bool,
    table: Option<Table>,
    html: String,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                if self.hidden == 0 {
                    self.text.push_str(&text);
                }
            }
            Event::Html(html) => self.html.push_str(&html),
            Event::InlineHtml(html) => {
                let name = html.trim_start_matches(['<', '/']).to_ascii_lowercase();
                if name.starts_with("br") {
                    self.text.push(if self.table.is_some() { ' ' } else { '\n' });
                }
            }
            Event::SoftBreak => {
                // Chinese text has no spaces, so a wrapped line of it goes on without one.
                if !self.text.chars().next_back().is_some_and(|c| is_han(c) || "，。、；：".contains(c)) {
                    self.text.push(' ');
                }
            }
            Event::HardBreak => self.text.push('\n'),
            Event::Rule => self.flush(),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { .. } | Tag::Paragraph | Tag::BlockQuote(_) | Tag::FootnoteDefinition(_) => {
                if self.list_depth == 0 {
                    self.flush();
                } else if !self.text.is_empty() {
                    self.text.push('\n');
                }
            }
            Tag::CodeBlock(_) => {
                self.flush();
                self.code = true;
            }
            Tag::List(_) => {
                self.flush();
                self.list_depth += 1;
            }
            Tag::Item => self.flush(),
            Tag::Table(_) => {
                self.flush();
                let caption = self.builder.take_caption().unwrap_or_default();
                self.table = Some(Table { caption, first_row_is_header: true, ..Table::default() });
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
            }
            Tag::TableCell => self.text.clear(),
            Tag::Strong => self.bold_from = Some(self.text.len()),
            Tag::Strikethrough | Tag::MetadataBlock(_) | Tag::Image { .. } => self.hidden += 1,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let text = std::mem::take(&mut self.text);
                self.bold_length = 0;
                self.builder.heading(level_number(level), &text);
            }
            TagEnd::Paragraph | TagEnd::BlockQuote(_) if self.list_depth == 0 => self.flush(),
            TagEnd::CodeBlock => {
                let text = std::mem::take(&mut self.text);
                self.builder.code(&text);
                self.code = false;
            }
            TagEnd::Item => self.flush(),
            TagEnd::List(_) => {
                self.flush();
                self.list_depth = self.list_depth.saturating_sub(1);
            }
            TagEnd::TableCell => {
                let text = std::mem::take(&mut self.text);
                if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(Cell::new(&text));
                }
            }
            TagEnd::Table => {
                self.bold_length = 0;
                if let Some(table) = self.table.take() {
                    self.builder.table(table);
                }
            }
            TagEnd::Strong => {
                let from = self.bold_from.take().unwrap_or(self.text.len());
                self.bold_length += self.text.len().saturating_sub(from);
            }
            TagEnd::Strikethrough => {
                self.hidden = self.hidden.saturating_sub(1);
                self.builder.dropped("struck-out text");
            }
            TagEnd::Image | TagEnd::MetadataBlock(MetadataBlockKind::YamlStyle | MetadataBlockKind::PlusesStyle) => {
                self.hidden = self.hidden.saturating_sub(1);
            }
            TagEnd::HtmlBlock => {
                self.flush();
                let html = std::mem::take(&mut self.html);
                html::read_into(&mut self.builder, &html);
            }
            _ => {}
        }
    }

    fn flush(&mut self) {
        if self.table.is_some() {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let all_bold = self.bold_length > 0 && self.bold_length >= text.trim().len();
        self.bold_length = 0;
        if self.list_depth > 0 {
            self.builder.list_item(&text);
        } else if all_bold && is_bold_heading(&text) {
            self.builder.heading(INNER_HEADING, text.trim_end_matches([':', '：']));
        } else {
            self.builder.paragraph(&text);
        }
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    level as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::BlockKind;

    #[test]
    fn headings_paragraphs_lists_and_tables_are_read() {
        let text = "---\ntitle: x\n---\n# Shop\nHello *there*\nagain.\n\n## Rates\n\n| To | Price |\n|---|---|\n| Home | **€5** |\n\n- one\n- two\n  - deep\n\n**Opening hours**\n\nDaily.\n";
        let document = read("a.md", text).unwrap();
        let found: Vec<(String, &str)> =
            document.blocks.iter().map(|block| (block.heading.join("/"), block.text.as_str())).collect();
        assert_eq!(
            found,
            [
                ("Shop".into(), "Hello there again."),
                ("Shop/Rates".into(), "Home | €5"),
                ("Shop/Rates".into(), "one"),
                ("Shop/Rates".into(), "two"),
                ("Shop/Rates".into(), "deep"),
                ("Shop/Rates/Opening hours".into(), "Daily."),
            ]
        );
        assert_eq!(
            document.blocks[1].kind,
            BlockKind::TableRow {
                caption: String::new(),
                cells: vec![("To".into(), "Home".into()), ("Price".into(), "€5".into())]
            }
        );
    }

    #[test]
    fn what_a_reader_does_not_see_is_left_out() {
        let text = "Now ~~€9~~ €7.<!-- secret -->\n\n<!-- more secret -->\n\n<div hidden>secret</div><p>Seen.</p>\n\n![secret](x.png)\n";
        let document = read("a.md", text).unwrap();
        let all: String = document.blocks.iter().map(|block| block.text.as_str()).collect();
        assert!(!all.contains("secret") && !all.contains("€9"), "{all}");
        assert!(all.contains("€7") && all.contains("Seen."));
    }
}
