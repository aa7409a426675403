//! From a grid of cells to rows with headers: which row is the header, which table is a list of labels and values, and
//! which one holds questions and answers.

use super::{Block, BlockKind, builder::squeeze};

/// Between the values of a row's text.
pub const VALUE_SEPARATOR: &str = " | ";

/// A cell as a format's reader found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// Set as a header or in bold.
    pub strong: bool,
    /// The text belongs to the cell on the left, which spans this column as well.
    pub spanned: bool,
}

impl Cell {
    /// A plain cell; white space is normalised.
    pub fn new(text: &str) -> Self {
        Self { text: squeeze(text), ..Self::default() }
    }
}

/// A table before its header is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Caption or sheet name, may be empty.
    pub caption: String,
    /// Rows from the top, cells from the left.
    pub rows: Vec<Vec<Cell>>,
    /// The format itself says that the first row is the header.
    pub first_row_is_header: bool,
}

/// How a table is to be read.
enum Shape {
    /// The first row names the columns.
    Header,
    /// Each row is a label with its value.
    Labels,
    /// There are only values.
    Bare,
}

impl Table {
    /// One block a row under the headings `path`. Columns without any text are left out.
    pub fn into_blocks(mut self, path: &[String]) -> Vec<Block> {
        self.rows.retain(|row| row.iter().any(|cell| !cell.text.is_empty()));
        self.drop_empty_columns();
        if self.rows.first().is_none_or(Vec::is_empty) {
            return Vec::new();
        }
        let shape = self.shape();
        let caption = squeeze(&self.caption);
        let mut rows = self.rows.into_iter();
        let header: Vec<String> = match shape {
            Shape::Header => rows.next().unwrap_or_default().into_iter().map(|cell| cell.text).collect(),
            Shape::Labels | Shape::Bare => Vec::new(),
        };
        if let Some(columns) = QuestionColumns::find(&header) {
            return rows.filter_map(|row| columns.block(&header, &row, path)).collect();
        }
        rows.map(|row| row_block(&shape, &header, row, &caption, path)).collect()
    }

    fn drop_empty_columns(&mut self) {
        let width = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut used = vec![false; width];
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                used[column] |= !cell.text.is_empty();
            }
        }
        for row in &mut self.rows {
            row.resize(width, Cell::default());
            let mut column = 0;
            row.retain(|_| {
                column += 1;
                used[column - 1]
            });
        }
    }

    fn shape(&self) -> Shape {
        let first = &self.rows[0];
        if self.first_row_is_header {
            return if self.rows.len() > 1 { Shape::Header } else { Shape::Bare };
        }
        if first.len() == 2 {
            let label = |row: &Vec<Cell>| row[0].text.ends_with([':', '：']) || (row[0].strong && !row[1].strong);
            if self.rows.iter().all(label) {
                return Shape::Labels;
            }
        }
        if self.rows.len() < 2 || self.first_row_looks_like_data() { Shape::Bare } else { Shape::Header }
    }

    /// A header names its columns: it has no gap, no value twice, and no figures where the column below has figures.
    fn first_row_looks_like_data(&self) -> bool {
        let first = &self.rows[0];
        if first.iter().all(|cell| cell.strong) {
            return false;
        }
        let filled = first.iter().filter(|cell| !cell.text.is_empty()).count();
        if filled * 2 < first.len() {
            return true;
        }
        let below = self.rows.len() - 1;
        (0..first.len()).any(|column| {
            let is_year = first[column].text.len() == 4 && first[column].text.bytes().all(|byte| byte.is_ascii_digit());
            let figures = self.rows[1..].iter().filter(|row| has_digit(&row[column].text)).count();
            has_digit(&first[column].text) && !is_year && figures * 2 >= below
        })
    }
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn row_block(shape: &Shape, header: &[String], row: Vec<Cell>, caption: &str, path: &[String]) -> Block {
    let seen = row.iter().filter(|cell| !cell.text.is_empty() && !cell.spanned);
    let text = seen.map(|cell| cell.text.as_str()).collect::<Vec<_>>();
    let text = text.join(VALUE_SEPARATOR);
    let cells = match shape {
        Shape::Labels => {
            let mut cells = row.into_iter().map(|cell| cell.text);
            let label = cells.next().unwrap_or_default();
            vec![(label.trim_end_matches([':', '：']).to_owned(), cells.next().unwrap_or_default())]
        }
        Shape::Header | Shape::Bare => row
            .into_iter()
            .enumerate()
            .filter(|(_, cell)| !cell.spanned)
            .map(|(column, cell)| (header.get(column).cloned().unwrap_or_default(), cell.text))
            .filter(|(_, value)| !value.is_empty())
            .collect(),
    };
    Block { heading: path.to_vec(), kind: BlockKind::TableRow { caption: caption.to_owned(), cells }, text }
}

/// Where a table of questions and answers keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionColumns {
    question: usize,
    answer: usize,
    topic: Option<usize>,
}

impl QuestionColumns {
    /// The columns by their names, `None` when the table holds something else.
    pub fn find<S: AsRef<str>>(header: &[S]) -> Option<Self> {
        let position = |names: &[&str]| {
            header.iter().position(|name| names.contains(&name.as_ref().trim().to_lowercase().as_str()))
        };
        let question = position(&["question", "questions", "q", "问题", "问", "提问", "常见问题", "faq"])?;
        let answer = position(&["answer", "answers", "a", "reply", "回答", "答案", "答", "答复", "解答"])?;
        let topic = position(&["category", "topic", "section", "group", "分类", "类别", "主题"]);
        (header.len() <= 6).then_some(Self { question, answer, topic })
    }

    fn block(self, header: &[String], row: &[Cell], path: &[String]) -> Option<Block> {
        debug_assert_eq!(header.len(), row.len());
        let text = |column: usize| row.get(column).map(|cell| cell.text.clone()).unwrap_or_default();
        let (question, answer) = (text(self.question), text(self.answer));
        if question.is_empty() || answer.is_empty() {
            return None;
        }
        let mut heading = path.to_vec();
        heading.extend(self.topic.map(text).filter(|topic| !topic.is_empty()));
        Some(Block { heading, kind: BlockKind::QuestionAnswer { question }, text: answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Table {
        let rows = rows.iter().map(|row| row.iter().map(|text| Cell::new(text)).collect()).collect();
        Table { rows, ..Table::default() }
    }

    fn cells(block: &Block) -> Vec<(&str, &str)> {
        match &block.kind {
            BlockKind::TableRow { cells, .. } => cells.iter().map(|(h, v)| (h.as_str(), v.as_str())).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_first_row_names_the_columns() {
        let blocks = table(&[&["Group", "Discount"], &["Teachers", "7 %"], &["Over-65s", "4 %"]]).into_blocks(&[]);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].text, "Teachers | 7 %");
        assert_eq!(cells(&blocks[1]), [("Group", "Over-65s"), ("Discount", "4 %")]);
    }

    #[test]
    fn labels_stand_beside_their_values() {
        let blocks = table(&[&["Phone:", "03 555 01"], &["Opening hours:", "9 - 18"]]).into_blocks(&[]);
        assert_eq!(cells(&blocks[0]), [("Phone", "03 555 01")]);
        assert_eq!(blocks[1].text, "Opening hours: | 9 - 18");
    }

    #[test]
    fn figures_above_figures_are_no_header() {
        let blocks = table(&[&["Belgium", "€5"], &["France", "€8"]]).into_blocks(&[]);
        assert_eq!(blocks.len(), 2);
        let years = table(&[&["Country", "2025"], &["France", "8"]]).into_blocks(&[]);
        assert_eq!(cells(&years[0]), [("Country", "France"), ("2025", "8")]);
    }

    #[test]
    fn a_table_of_questions_gives_questions() {
        let blocks = table(&[&["Answer", "Question", "Topic"], &["Yes.", "Is it free?", "Club"], &["", "Empty?", ""]])
            .into_blocks(&[]);
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].kind, BlockKind::QuestionAnswer { question: "Is it free?".into() });
        assert_eq!((blocks[0].text.as_str(), blocks[0].heading.as_slice()), ("Yes.", &["Club".to_owned()][..]));
    }

    #[test]
    fn columns_without_text_are_left_out() {
        let blocks = table(&[&["A", "", "B"], &["x", "", "y"]]).into_blocks(&[]);
        assert_eq!(cells(&blocks[0]), [("A", "x"), ("B", "y")]);
    }
}
