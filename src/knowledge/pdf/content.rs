//! The content of a page: a small interpreter of the text, path and form operators (ISO 32000-1, chapters 8 and 9).

use std::{collections::HashMap, rc::Rc};

use lopdf::{Dictionary, Document as Pdf, Object, ObjectId, Stream, content::Content};

use super::fonts::{Font, number};

/// Forms may draw forms; real files do so a few times.
const FORMS_MAX: usize = 8;

/// A character on the page. Origin is the lower left corner, unit is the point.
#[derive(Debug, Clone, PartialEq)]
pub struct Glyph {
    /// Left end of the baseline.
    pub x: f64,
    /// Right end of the baseline.
    pub right: f64,
    /// Height of the baseline.
    pub y: f64,
    /// Font size.
    pub size: f64,
    /// Text, usually one character.
    pub text: String,
    /// Bold.
    pub bold: bool,
    /// Drawn without ink, as scanning programs do behind their picture.
    invisible: bool,
}

/// A horizontal or vertical line, or an edge of a box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Lower or left end.
    pub from: (f64, f64),
    /// Upper or right end.
    pub to: (f64, f64),
}

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// Width and height.
    pub size: (f64, f64),
    /// Characters in the order in which they are drawn.
    pub glyphs: Vec<Glyph>,
    /// Lines.
    pub rules: Vec<Rule>,
    /// Codes that no text is known for.
    pub unreadable: usize,
}

/// What one file may cost.
#[derive(Debug)]
pub struct Budget {
    operations: usize,
    glyphs: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { operations: 10_000_000, glyphs: 3_000_000 }
    }
}

/// A transformation `[a b c d e f]`.
#[derive(Debug, Clone, Copy)]
struct Matrix([f64; 6]);

impl Matrix {
    const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn moved(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    /// First `self`, then `other`.
    fn then(self, other: Self) -> Self {
        let (m, n) = (self.0, other.0);
        let (x, y) = other.apply(m[4], m[5]);
        Self([
            m[0] * n[0] + m[1] * n[2],
            m[0] * n[1] + m[1] * n[3],
            m[2] * n[0] + m[3] * n[2],
            m[2] * n[1] + m[3] * n[3],
            x,
            y,
        ])
    }

    fn apply(self, x: f64, y: f64) -> (f64, f64) {
        let m = self.0;
        (m[0] * x + m[2] * y + m[4], m[1] * x + m[3] * y + m[5])
    }

    fn from_operands(operands: &[Object]) -> Option<Self> {
        let numbers: Vec<f64> = operands.iter().filter_map(number).collect();
        numbers.try_into().ok().map(Self)
    }
}

#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    font_size: f64,
    char_spacing: f64,
    word_spacing: f64,
    scale: f64,
    leading: f64,
    rise: f64,
    mode: i64,
}

struct Interpreter<'a> {
    pdf: &'a Pdf,
    budget: &'a mut Budget,
    page: Page,
    fonts: HashMap<usize, Rc<Font>>,
    state: State,
    stack: Vec<State>,
    text: Matrix,
    line: Matrix,
    path: Vec<Rule>,
    start: (f64, f64),
    point: (f64, f64),
    /// For each open marked content whether it is decoration.
    marks: Vec<bool>,
}

/// Reads a page; what is damaged on it is left out.
pub fn read_page(pdf: &Pdf, id: ObjectId, budget: &mut Budget) -> Page {
    let [left, bottom, right, top] = media_box(pdf, id);
    let (width, height) = (right - left, top - bottom);
    // Clockwise, as the page is shown.
    let turn = inherited(pdf, id, b"Rotate").and_then(number).unwrap_or(0.0);
    let (rotation, size) = match (turn as i64).rem_euclid(360) {
        90 => (Matrix([0.0, -1.0, 1.0, 0.0, 0.0, width]), (height, width)),
        180 => (Matrix([-1.0, 0.0, 0.0, -1.0, width, height]), (width, height)),
        270 => (Matrix([0.0, 1.0, -1.0, 0.0, height, 0.0]), (height, width)),
        _ => (Matrix::IDENTITY, (width, height)),
    };
    let state = State {
        matrix: Matrix::moved(-left, -bottom).then(rotation),
        font: None,
        font_size: 1.0,
        char_spacing: 0.0,
        word_spacing: 0.0,
        scale: 1.0,
        leading: 0.0,
        rise: 0.0,
        mode: 0,
    };
    let mut interpreter = Interpreter {
        pdf,
        budget,
        page: Page { size, ..Page::default() },
        fonts: HashMap::new(),
        state,
        stack: Vec::new(),
        text: Matrix::IDENTITY,
        line: Matrix::IDENTITY,
        path: Vec::new(),
        start: (0.0, 0.0),
        point: (0.0, 0.0),
        marks: Vec::new(),
    };
    let resources = inherited(pdf, id, b"Resources").and_then(|object| object.as_dict().ok());
    let empty = Dictionary::new();
    if let Ok(content) = pdf.get_page_content(id) {
        interpreter.run(&content, resources.unwrap_or(&empty), 0);
    }
    interpreter.finish()
}

/// An entry of the page or of the page tree above it.
fn inherited<'a>(pdf: &'a Pdf, id: ObjectId, key: &[u8]) -> Option<&'a Object> {
    let mut node = pdf.get_dictionary(id).ok()?;
    for _ in 0..64 {
        if let Ok(found) = node.get_deref(key, pdf) {
            return Some(found);
        }
        node = node.get_deref(b"Parent", pdf).ok()?.as_dict().ok()?;
    }
    None
}

fn media_box(pdf: &Pdf, id: ObjectId) -> [f64; 4] {
    let numbers = inherited(pdf, id, b"MediaBox").and_then(|object| object.as_array().ok()).map(|array| {
        array
            .iter()
            .filter_map(|object| pdf.dereference(object).ok())
            .filter_map(|(_, object)| number(object))
            .collect::<Vec<_>>()
    });
    match numbers.as_deref() {
        Some(&[a, b, c, d]) if (a - c).abs() > 1.0 && (b - d).abs() > 1.0 => [a.min(c), b.min(d), a.max(c), b.max(d)],
        _ => [0.0, 0.0, 595.0, 842.0],
    }
}

impl Interpreter<'_> {
    fn run(&mut self, content: &[u8], resources: &Dictionary, depth: usize) {
        let Ok(content) = Content::decode(content) else { return };
        for operation in &content.operations {
            if self.budget.operations == 0 {
                return;
            }
            self.budget.operations -= 1;
            self.operation(&operation.operator, &operation.operands, resources, depth);
        }
    }

    fn operation(&mut self, operator: &str, operands: &[Object], resources: &Dictionary, depth: usize) {
        let at = |index: usize| operands.get(index).and_then(number).unwrap_or(0.0);
        match operator {
            "q" if self.stack.len() < 1_000 => self.stack.push(self.state.clone()),
            "Q" => {
                if let Some(state) = self.stack.pop() {
                    self.state = state;
                }
            }
            "cm" => {
                if let Some(matrix) = Matrix::from_operands(operands) {
                    self.state.matrix = matrix.then(self.state.matrix);
                }
            }
            "BT" => (self.text, self.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            "Tf" => self.set_font(operands, resources),
            "Tc" => self.state.char_spacing = at(0),
            "Tw" => self.state.word_spacing = at(0),
            "Tz" => self.state.scale = at(0) / 100.0,
            "TL" => self.state.leading = at(0),
            "Ts" => self.state.rise = at(0),
            "Tr" => self.state.mode = at(0) as i64,
            "Td" => self.next_line(at(0), at(1)),
            "TD" => {
                self.state.leading = -at(1);
                self.next_line(at(0), at(1));
            }
            "Tm" => {
                if let Some(matrix) = Matrix::from_operands(operands) {
                    (self.text, self.line) = (matrix, matrix);
                }
            }
            "T*" => self.next_line(0.0, -self.state.leading),
            "Tj" => self.show_operand(operands.first()),
            "'" => {
                self.next_line(0.0, -self.state.leading);
                self.show_operand(operands.first());
            }
            "\"" => {
                (self.state.word_spacing, self.state.char_spacing) = (at(0), at(1));
                self.next_line(0.0, -self.state.leading);
                self.show_operand(operands.get(2));
            }
            "TJ" => self.show_spaced(operands.first()),
            "Do" => self.form(operands.first(), resources, depth),
            "BMC" | "BDC" => {
                let artifact = operands.first().and_then(|name| name.as_name().ok()) == Some(b"Artifact");
                self.marks.push(artifact);
            }
            "EMC" => {
                self.marks.pop();
            }
            _ => self.path_operation(operator, &at),
        }
    }

    fn path_operation(&mut self, operator: &str, at: &dyn Fn(usize) -> f64) {
        match operator {
            "m" => {
                self.start = (at(0), at(1));
                self.point = self.start;
            }
            "l" => self.line_to((at(0), at(1))),
            "c" => self.point = (at(4), at(5)),
            "v" | "y" => self.point = (at(2), at(3)),
            "h" => self.line_to(self.start),
            "re" => {
                let (x, y, width, height) = (at(0), at(1), at(2), at(3));
                self.start = (x, y);
                self.point = (x, y);
                for corner in [(x + width, y), (x + width, y + height), (x, y + height), (x, y)] {
                    self.line_to(corner);
                }
            }
            "s" | "b" | "b*" => {
                self.line_to(self.start);
                self.paint();
            }
            "S" | "f" | "F" | "f*" | "B" | "B*" => self.paint(),
            "n" => self.path.clear(),
            _ => {}
        }
    }

    fn line_to(&mut self, to: (f64, f64)) {
        if self.path.len() < 20_000 {
            self.path.push(Rule { from: self.point, to });
        }
        self.point = to;
    }

    /// Keeps the lines of the path that run along the page's sides.
    fn paint(&mut self) {
        let matrix = self.state.matrix;
        for rule in self.path.drain(..) {
            let (a, b) = (matrix.apply(rule.from.0, rule.from.1), matrix.apply(rule.to.0, rule.to.1));
            let straight = (a.0 - b.0).abs() < 1.0 || (a.1 - b.1).abs() < 1.0;
            let finite = [a.0, a.1, b.0, b.1].iter().all(|number| number.is_finite());
            if straight && finite && self.page.rules.len() < 50_000 {
                self.page.rules.push(Rule { from: (a.0.min(b.0), a.1.min(b.1)), to: (a.0.max(b.0), a.1.max(b.1)) });
            }
        }
    }

    fn set_font(&mut self, operands: &[Object], resources: &Dictionary) {
        self.state.font_size = operands.get(1).and_then(number).unwrap_or(1.0);
        let name = operands.first().and_then(|name| name.as_name().ok());
        let font = name.and_then(|name| {
            let fonts = resources.get_deref(b"Font", self.pdf).ok()?.as_dict().ok()?;
            fonts.get_deref(name, self.pdf).ok()?.as_dict().ok()
        });
        let pdf = self.pdf;
        self.state.font = font.map(|font| {
            // The dictionary stays where it is while the file is open.
            let key = std::ptr::from_ref(font) as usize;
            self.fonts.entry(key).or_insert_with(|| Rc::new(Font::read(pdf, font))).clone()
        });
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::moved(x, y).then(self.line);
        self.text = self.line;
    }

    fn show_operand(&mut self, operand: Option<&Object>) {
        if let Some(Object::String(bytes, _)) = operand {
            self.show(bytes);
        }
    }

    fn show_spaced(&mut self, operand: Option<&Object>) {
        let Some(Object::Array(parts)) = operand else { return };
        for part in parts {
            match part {
                Object::String(bytes, _) => self.show(bytes),
                other => {
                    let adjust = number(other).unwrap_or(0.0) / 1000.0 * self.state.font_size * self.state.scale;
                    self.text = Matrix::moved(-adjust, 0.0).then(self.text);
                }
            }
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some(font) = self.state.font.clone() else { return };
        let artifact = self.marks.contains(&true);
        for shown in font.decode(bytes) {
            if self.budget.glyphs == 0 {
                return;
            }
            self.budget.glyphs -= 1;
            let state = &self.state;
            let advance = (shown.width * state.font_size
                + state.char_spacing
                + if shown.is_space { state.word_spacing } else { 0.0 })
                * state.scale;
            let matrix = Matrix::moved(0.0, state.rise).then(self.text).then(state.matrix);
            let (x, y) = matrix.apply(0.0, 0.0);
            let (right, right_y) = matrix.apply(shown.width * state.font_size * state.scale, 0.0);
            let (up_x, up_y) = matrix.apply(0.0, state.font_size);
            let size = (up_x - x).hypot(up_y - y);
            self.text = Matrix::moved(advance, 0.0).then(self.text);
            let level = (right_y - y).abs() < 0.1 * size.max(1.0) && right >= x;
            let on_page = (-5.0..=self.page.size.0 + 5.0).contains(&x) && (-5.0..=self.page.size.1 + 5.0).contains(&y);
            match shown.text {
                None => self.page.unreadable += 1,
                Some(text) if level && on_page && size >= 2.0 && size.is_finite() && !artifact => {
                    let bold = font.bold || state.mode == 2;
                    let invisible = state.mode == 3;
                    self.page.glyphs.push(Glyph { x, right, y, size, text, bold, invisible });
                }
                Some(_) => {}
            }
        }
    }

    fn form(&mut self, name: Option<&Object>, resources: &Dictionary, depth: usize) {
        let form = name.and_then(|name| name.as_name().ok()).and_then(|name| {
            let objects = resources.get_deref(b"XObject", self.pdf).ok()?.as_dict().ok()?;
            objects.get_deref(name, self.pdf).ok()?.as_stream().ok()
        });
        let Some(form) = form.filter(|form| is_form(form) && depth < FORMS_MAX) else { return };
        let Ok(content) = form.get_plain_content() else { return };
        let saved = self.state.clone();
        // A form cannot restore a state that it has not saved.
        let (text, line, stack) = (self.text, self.line, std::mem::take(&mut self.stack));
        let matrix = form.dict.get_deref(b"Matrix", self.pdf).and_then(Object::as_array).ok();
        if let Some(matrix) = matrix.and_then(|matrix| Matrix::from_operands(matrix)) {
            self.state.matrix = matrix.then(self.state.matrix);
        }
        let inner = form.dict.get_deref(b"Resources", self.pdf).and_then(Object::as_dict).unwrap_or(resources);
        self.run(&content, inner, depth + 1);
        (self.state, self.text, self.line, self.stack) = (saved, text, line, stack);
    }

    /// Text without ink counts only on pages that have no other: there it is what a scan shows.
    fn finish(self) -> Page {
        let mut page = self.page;
        if page.glyphs.iter().any(|glyph| !glyph.invisible && !glyph.text.trim().is_empty()) {
            page.glyphs.retain(|glyph| !glyph.invisible);
        }
        page
    }
}

fn is_form(stream: &Stream) -> bool {
    stream.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|name| name == b"Form")
}
