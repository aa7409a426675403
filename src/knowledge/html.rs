//! HTML: the visible main content. Navigation, page headers and footers, side columns, scripts, forms and hidden
//! elements are left out.

mod visibility;

use ego_tree::{NodeId, NodeRef, iter::Edge};
use scraper::{Html, Node, Selector, node::Element};

use visibility::{HiddenBy, left_out};

use super::{
    Document, ReadError,
    builder::{Builder, INNER_HEADING, is_bold_heading, squeeze},
    tables::{Cell, Table},
};

/// Deeper nesting than any page has; a parser's work grows with it.
const DEPTH_MAX: usize = 2_000;
/// A cell that spans more columns or rows than this does so by mistake or on purpose.
const SPAN_MAX: usize = 64;

/// Reads an HTML page.
pub fn read(name: &str, text: &str) -> Result<Document, ReadError> {
    let mut builder = Builder::default();
    if depth(text) > DEPTH_MAX {
        return Err(ReadError::Damaged {
            name: name.to_owned(),
            format: "HTML",
            detail: "its elements are nested too deeply".to_owned(),
        });
    }
    read_into(&mut builder, text);
    Ok(builder.finish())
}

/// Adds a page or a piece of one to a document; pieces that are nested too deeply are left out.
pub fn read_into(builder: &mut Builder, text: &str) {
    if depth(text) > DEPTH_MAX {
        builder.dropped("HTML that is nested too deeply");
        return;
    }
    let html = Html::parse_document(text);
    if let Some(title) = first(&html, "head > title") {
        builder.title(&text_of(title));
    }
    let hidden = HiddenBy::read(&html);
    let root = main_content(&html).unwrap_or(html.tree.root());
    let mut reader = Reader {
        builder,
        hidden,
        text: String::new(),
        bold: (0, 0),
        lists: 0,
        pre: 0,
        tables: Vec::new(),
        folds: Vec::new(),
        term: None,
    };
    reader.walk(root);
}

/// How deep elements are nested, counted without building a tree.
fn depth(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut deepest, mut position) = (0usize, 0usize, 0);
    while let Some(found) = bytes[position..].iter().position(|byte| *byte == b'<') {
        position += found + 1;
        match bytes.get(position) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(byte) if byte.is_ascii_alphabetic() => {
                let name: String = bytes[position..]
                    .iter()
                    .take(10)
                    .take_while(|byte| byte.is_ascii_alphanumeric())
                    .map(|byte| byte.to_ascii_lowercase() as char)
                    .collect();
                if !matches!(
                    name.as_str(),
                    "area"
                        | "base"
                        | "br"
                        | "col"
                        | "embed"
                        | "hr"
                        | "img"
                        | "input"
                        | "link"
                        | "meta"
                        | "source"
                        | "track"
                        | "wbr"
                        | "p"
                        | "li"
                        | "td"
                        | "th"
                        | "tr"
                        | "dt"
                        | "dd"
                        | "option"
                        | "tbody"
                        | "thead"
                        | "html"
                        | "body"
                        | "head"
                        | "path"
                        | "rect"
                        | "circle"
                        | "use"
                        | "line"
                ) {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
            }
            _ => {}
        }
    }
    deepest
}

fn first<'a>(html: &'a Html, selector: &str) -> Option<NodeRef<'a, Node>> {
    let selector = Selector::parse(selector).ok()?;
    html.select(&selector).next().map(|element| *element)
}

fn text_of(node: NodeRef<'_, Node>) -> String {
    node.descendants().filter_map(|node| node.value().as_text().map(|text| &text[..])).collect()
}

/// The page's `main` element, or its only article, when it holds most of the words.
fn main_content(html: &Html) -> Option<NodeRef<'_, Node>> {
    if let Some(main) = first(html, "main, [role=main]") {
        return (!squeeze(&text_of(main)).is_empty()).then_some(main);
    }
    let selector = Selector::parse("article").ok()?;
    let mut articles = html.select(&selector);
    let article = articles.next().filter(|_| articles.next().is_none())?;
    let body = first(html, "body")?;
    (text_of(*article).len() * 2 > text_of(body).len()).then_some(*article)
}

/// A table that is being read.
struct OpenTable {
    table: Table,
    /// Cells that reach down into later rows: column, rows left, cell.
    spans: Vec<(usize, usize, Cell)>,
    cell: Option<OpenCell>,
    head_rows: usize,
    in_head: bool,
}

struct OpenCell {
    header: bool,
    columns: usize,
    rows: usize,
}

/// An open `details` element.
struct Fold {
    start: usize,
    question: Option<String>,
}

struct Reader<'b> {
    builder: &'b mut Builder,
    hidden: HiddenBy,
    text: String,
    /// How many `b` or `strong` elements are open, and how many bytes of `text` are in bold.
    bold: (usize, usize),
    lists: usize,
    pre: usize,
    tables: Vec<OpenTable>,
    folds: Vec<Fold>,
    /// The term of a definition list.
    term: Option<String>,
}

impl Reader<'_> {
    fn walk(&mut self, root: NodeRef<'_, Node>) {
        let mut skipping: Option<NodeId> = None;
        for edge in root.traverse() {
            match edge {
                Edge::Open(node) if skipping.is_none() => match node.value() {
                    Node::Text(text) => self.push(text),
                    Node::Element(element) => {
                        if let Some(reason) = left_out(node, element, &self.hidden) {
                            skipping = Some(node.id());
                            if !reason.is_empty() {
                                self.builder.dropped(reason);
                            }
                        } else {
                            self.open(node, element);
                        }
                    }
                    _ => {}
                },
                Edge::Close(node) => {
                    if skipping == Some(node.id()) {
                        skipping = None;
                    } else if skipping.is_none()
                        && let Node::Element(element) = node.value()
                    {
                        self.close(node, element);
                    }
                }
                Edge::Open(_) => {}
            }
        }
        self.flush();
    }

    fn push(&mut self, text: &str) {
        let before = self.text.len();
        if self.pre > 0 {
            self.text.push_str(text);
        } else {
            // A line break in the source is only white space.
            self.text.extend(text.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }));
        }
        if self.bold.0 > 0 {
            self.bold.1 += self.text.len() - before;
        }
    }

    fn open(&mut self, node: NodeRef<'_, Node>, element: &Element) {
        match element.name() {
            "br" => self.text.push('\n'),
            "b" | "strong" => self.bold.0 += 1,
            "td" | "th" if !self.tables.is_empty() => self.open_cell(element),
            name if self.in_cell() && is_block(name) => self.text.push(' '),
            _ if self.in_cell() => {}
            "ul" | "ol" => {
                self.flush();
                self.lists += 1;
            }
            "pre" => {
                self.flush();
                self.pre += 1;
            }
            "table" => self.open_table(node),
            "thead" => self.with_table(|table| table.in_head = true),
            "tr" => self.with_table(|table| {
                table.head_rows += usize::from(table.in_head);
                table.table.rows.push(Vec::new());
            }),
            "details" => {
                self.flush();
                self.folds.push(Fold { start: self.builder.len(), question: None });
            }
            name if is_block(name) => self.flush(),
            _ => {}
        }
    }

    fn close(&mut self, node: NodeRef<'_, Node>, element: &Element) {
        match element.name() {
            "b" | "strong" => self.bold.0 = self.bold.0.saturating_sub(1),
            "td" | "th" if !self.tables.is_empty() => self.close_cell(),
            _ if self.in_cell() => {}
            "caption" if !self.tables.is_empty() => {
                let caption = std::mem::take(&mut self.text);
                self.with_table(|table| table.table.caption = squeeze(&caption));
            }
            "thead" => self.with_table(|table| table.in_head = false),
            "tr" => self.with_table(OpenTable::end_row),
            "table" if !is_layout(node) => self.close_table(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = element.name().as_bytes()[1] - b'0';
                let text = self.take_text();
                self.builder.heading(level, &text);
            }
            "ul" | "ol" => {
                self.flush();
                self.lists = self.lists.saturating_sub(1);
            }
            "pre" => {
                let text = self.take_text();
                self.builder.code(&text);
                self.pre = self.pre.saturating_sub(1);
            }
            "dt" => self.term = Some(squeeze(&self.take_text())).filter(|term| !term.is_empty()),
            "dd" => self.definition(),
            "summary" => self.summary(),
            "details" => self.end_fold(),
            name if is_block(name) => self.flush(),
            _ => {}
        }
    }

    fn take_text(&mut self) -> String {
        self.bold.1 = 0;
        std::mem::take(&mut self.text)
    }

    fn flush(&mut self) {
        if self.in_cell() {
            return;
        }
        let all_bold = self.bold.1 > 0 && self.bold.1 >= self.text.trim().len();
        let text = self.take_text();
        if self.lists > 0 {
            self.builder.list_item(&text);
        } else if all_bold && self.folds.is_empty() && is_bold_heading(&text) {
            self.builder.heading(INNER_HEADING, text.trim().trim_end_matches([':', '：']));
        } else {
            self.builder.paragraph(&text);
        }
    }

    fn definition(&mut self) {
        let text = self.take_text();
        match self.term.take() {
            Some(term) if is_question(&term) => self.builder.question_answer(&term, &text),
            Some(term) => {
                let row = vec![Cell { text: term, strong: true, spanned: false }, Cell::new(&text)];
                self.builder.table(Table { rows: vec![row], ..Table::default() });
            }
            None => self.builder.paragraph(&text),
        }
    }

    fn summary(&mut self) {
        let text = self.take_text();
        if let Some(fold) = self.folds.last_mut()
            && is_question(&text)
        {
            fold.question = Some(text);
        } else {
            self.builder.heading(INNER_HEADING, &text);
        }
    }

    fn end_fold(&mut self) {
        self.flush();
        if let Some(fold) = self.folds.pop()
            && let Some(question) = fold.question
        {
            self.builder.answer_since(fold.start, &question);
        }
        self.builder.end_heading(INNER_HEADING);
    }

    fn in_cell(&self) -> bool {
        self.tables.last().is_some_and(|table| table.cell.is_some())
    }

    fn with_table(&mut self, change: impl FnOnce(&mut OpenTable)) {
        if let Some(table) = self.tables.last_mut() {
            change(table);
        }
    }

    fn open_table(&mut self, node: NodeRef<'_, Node>) {
        self.flush();
        if is_layout(node) {
            return;
        }
        let caption = self.builder.take_caption().unwrap_or_default();
        let table = Table { caption, ..Table::default() };
        self.tables.push(OpenTable { table, spans: Vec::new(), cell: None, head_rows: 0, in_head: false });
    }

    fn open_cell(&mut self, element: &Element) {
        self.text.clear();
        let span = |name: &str| {
            element.attr(name).and_then(|value| value.trim().parse::<usize>().ok()).unwrap_or(1).clamp(1, SPAN_MAX)
        };
        let cell = OpenCell { header: element.name() == "th", columns: span("colspan"), rows: span("rowspan") };
        self.with_table(|table| {
            if table.table.rows.is_empty() {
                table.table.rows.push(Vec::new());
            }
            table.fill_spans();
            table.cell = Some(cell);
        });
    }

    fn close_cell(&mut self) {
        let all_bold = self.bold.1 > 0 && self.bold.1 >= self.text.trim().len();
        let text = squeeze(&self.take_text());
        self.with_table(|table| table.end_cell(&text, all_bold));
    }

    fn close_table(&mut self) {
        if let Some(mut open) = self.tables.pop() {
            open.table.first_row_is_header = open.head_rows == 1
                || open.table.rows.first().is_some_and(|row| !row.is_empty() && row.iter().all(|cell| cell.strong));
            self.builder.table(open.table);
        }
        self.take_text();
    }
}

impl OpenTable {
    /// Cells from above come first where they reach down.
    fn fill_spans(&mut self) {
        let Some(row) = self.table.rows.last_mut() else { return };
        while let Some(found) = self.spans.iter().position(|(column, rows, _)| *column == row.len() && *rows > 0) {
            let (_, rows, cell) = &mut self.spans[found];
            *rows -= 1;
            row.push(cell.clone());
        }
        self.spans.retain(|(_, rows, _)| *rows > 0);
    }

    fn end_cell(&mut self, text: &str, all_bold: bool) {
        let (Some(open), Some(row)) = (self.cell.take(), self.table.rows.last_mut()) else { return };
        for column in 0..open.columns {
            let cell = Cell { text: text.to_owned(), strong: open.header || all_bold, spanned: column > 0 };
            if open.rows > 1 {
                self.spans.push((row.len(), open.rows - 1, cell.clone()));
            }
            row.push(cell);
        }
    }

    fn end_row(&mut self) {
        self.fill_spans();
    }
}

fn is_question(text: &str) -> bool {
    text.trim_end().ends_with(['?', '？'])
}

/// Tables that hold other tables or headings only arrange the page.
fn is_layout(node: NodeRef<'_, Node>) -> bool {
    node.descendants()
        .skip(1)
        .filter_map(|node| node.value().as_element())
        .any(|element| matches!(element.name(), "table" | "h1" | "h2" | "h3"))
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "blockquote"
            | "body"
            | "center"
            | "dd"
            | "details"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "html"
            | "li"
            | "main"
            | "ol"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "tr"
            | "ul"
            | "td"
            | "th"
            | "caption"
            | "label"
            | "legend"
    )
}
