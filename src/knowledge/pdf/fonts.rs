//! Fonts of a PDF: which text a code stands for, how wide it is, and whether the font is bold.

use std::collections::HashMap;

use encoding_rs::{BIG5, EUC_KR, GB18030, SHIFT_JIS};
use lopdf::{Dictionary, Document as Pdf, Object};
use unicode_normalization::UnicodeNormalization as _;

/// A code of a string in a font.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What it stands for; `None` when the font does not say.
    pub text: Option<String>,
    /// Its width in units of the font size.
    pub width: f64,
    /// Word spacing applies to it.
    pub is_space: bool,
}

/// How codes are cut out of a string and what they mean without a Unicode map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// One byte each, looked up in the font's own table.
    Simple,
    /// Two bytes each, glyph numbers.
    Glyphs,
    /// UTF-16.
    Utf16,
    /// A national encoding of one or two bytes.
    National(&'static encoding_rs::Encoding),
}

/// A font.
#[derive(Debug)]
pub struct Font {
    coding: Coding,
    unicode: HashMap<u32, String>,
    /// Bytes of a code as the Unicode map has them, 0 where it does not say.
    code_length: usize,
    /// Texts of the 256 codes of a simple font.
    simple: Vec<Option<String>>,
    widths: HashMap<u32, f64>,
    default_width: Option<f64>,
    /// The font is bold.
    pub bold: bool,
}

impl Font {
    /// Reads a font's dictionary; what is missing or damaged gets a usual value.
    pub fn read(pdf: &Pdf, font: &Dictionary) -> Self {
        let subtype = font.get_deref(b"Subtype", pdf).and_then(Object::as_name).unwrap_or_default();
        let map =
            font.get_deref(b"ToUnicode", pdf).and_then(Object::as_stream).and_then(lopdf::Stream::get_plain_content);
        let map = map.map(|content| UnicodeMap::read(&content)).unwrap_or_default();
        let name = base_name(pdf, font);
        let mut read = Self {
            coding: Coding::Simple,
            code_length: map.code_length,
            unicode: map.texts,
            simple: Vec::new(),
            widths: HashMap::new(),
            default_width: None,
            bold: is_bold(&name),
        };
        if subtype == b"Type0" {
            read.read_composite(pdf, font);
        } else {
            read.read_simple(pdf, font, subtype == b"Type3");
        }
        read
    }

    fn read_composite(&mut self, pdf: &Pdf, font: &Dictionary) {
        let encoding = font.get_deref(b"Encoding", pdf).and_then(Object::as_name).unwrap_or(b"Identity-H");
        let encoding = String::from_utf8_lossy(encoding);
        self.coding = match &*encoding {
            name if name.contains("UCS2") || name.contains("UTF16") => Coding::Utf16,
            name if name.starts_with("GB") => Coding::National(GB18030),
            name if name.contains("B5") => Coding::National(BIG5),
            name if name.contains("RKSJ") => Coding::National(SHIFT_JIS),
            name if name.starts_with("KSC") => Coding::National(EUC_KR),
            _ => Coding::Glyphs,
        };
        let descendant = font
            .get_deref(b"DescendantFonts", pdf)
            .and_then(Object::as_array)
            .ok()
            .and_then(|fonts| pdf.dereference(fonts.first()?).ok()?.1.as_dict().ok());
        let Some(descendant) = descendant else { return };
        self.default_width = Some(descendant.get_deref(b"DW", pdf).ok().and_then(number).unwrap_or(1000.0) / 1000.0);
        self.bold |= descriptor_is_bold(pdf, descendant);
        if self.coding == Coding::Glyphs
            && let Ok(widths) = descendant.get_deref(b"W", pdf).and_then(Object::as_array)
        {
            self.read_glyph_widths(pdf, widths);
        }
    }

    /// `first [w1 w2 ...]` or `first last width`.
    fn read_glyph_widths(&mut self, pdf: &Pdf, list: &[Object]) {
        let values: Vec<&Object> =
            list.iter().filter_map(|object| pdf.dereference(object).ok()).map(|(_, object)| object).collect();
        let mut position = 0;
        while position + 1 < values.len() && self.widths.len() < 70_000 {
            let Some(first) = number(values[position]).map(|first| first as u32) else { break };
            if let Ok(widths) = values[position + 1].as_array() {
                for (offset, width) in widths.iter().enumerate() {
                    if let Some(width) = number(width) {
                        self.widths.insert(first.saturating_add(offset as u32), width / 1000.0);
                    }
                }
                position += 2;
            } else {
                let (end, width) =
                    (number(values[position + 1]), values.get(position + 2).and_then(|width| number(width)));
                if let (Some(end), Some(width)) = (end, width) {
                    for code in first..=(end as u32).min(first.saturating_add(0xFFFF)) {
                        self.widths.insert(code, width / 1000.0);
                    }
                }
                position += 3;
            }
        }
    }

    fn read_simple(&mut self, pdf: &Pdf, font: &Dictionary, type3: bool) {
        let first = font.get_deref(b"FirstChar", pdf).ok().and_then(number).unwrap_or(0.0) as u32;
        // A Type 3 font has units of its own.
        let matrix = font.get_deref(b"FontMatrix", pdf).and_then(Object::as_array).ok();
        let scale = matrix.filter(|_| type3).and_then(|matrix| number(matrix.first()?)).unwrap_or(0.001);
        if let Ok(widths) = font.get_deref(b"Widths", pdf).and_then(Object::as_array) {
            for (offset, width) in widths.iter().take(256).enumerate() {
                let width = pdf.dereference(width).ok().and_then(|(_, width)| number(width));
                if let Some(width) = width {
                    self.widths.insert(first.saturating_add(offset as u32), width * scale);
                }
            }
        }
        self.bold |= descriptor_is_bold(pdf, font);
        let mut plain = font.clone();
        plain.remove(b"ToUnicode");
        plain.set("Type", Object::Name(b"Font".to_vec()));
        let Ok(encoding) = plain.get_font_encoding(pdf) else { return };
        self.simple = (0..=255u8)
            .map(|code| {
                encoding.bytes_to_string(&[code]).ok().filter(|text| !text.is_empty() && !text.contains('\u{FFFD}'))
            })
            .collect();
    }

    /// The codes of a string.
    pub fn decode(&self, bytes: &[u8]) -> Vec<Shown> {
        let mut shown = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = self.next_length(rest).min(rest.len());
            let (code, later) = rest.split_at(length);
            rest = later;
            shown.push(self.show(code));
        }
        shown
    }

    fn next_length(&self, bytes: &[u8]) -> usize {
        match self.coding {
            Coding::Simple => 1,
            Coding::Glyphs if self.code_length == 1 => 1,
            Coding::Utf16 if matches!(bytes[0], 0xD8..=0xDB) => 4,
            Coding::National(_) if bytes[0] < 0x81 => 1,
            Coding::Glyphs | Coding::Utf16 | Coding::National(_) => 2,
        }
    }

    fn show(&self, code: &[u8]) -> Shown {
        let number = code.iter().fold(0u32, |number, byte| (number << 8) | u32::from(*byte));
        let text = self.unicode.get(&number).cloned().or_else(|| match self.coding {
            Coding::Simple => self.simple.get(number as usize).cloned().flatten(),
            Coding::Glyphs => None,
            Coding::Utf16 => {
                let units =
                    code.chunks(2).map(|pair| pair.iter().fold(0u16, |unit, byte| (unit << 8) | u16::from(*byte)));
                char::decode_utf16(units).collect::<Result<String, _>>().ok()
            }
            Coding::National(encoding) => {
                let (text, damaged) = encoding.decode_without_bom_handling(code);
                (!damaged).then(|| text.into_owned())
            }
        });
        let text = text.map(|text| readable(&text));
        let width = self.widths.get(&number).copied().unwrap_or_else(|| self.usual_width(text.as_deref()));
        Shown { text, width, is_space: code == b" " }
    }

    /// About the widths of Helvetica, for fonts that every reader knows and that state none.
    fn usual_width(&self, text: Option<&str>) -> f64 {
        let Some(c) = text.and_then(|text| text.chars().next()) else { return self.default_width.unwrap_or(0.5) };
        if self.coding == Coding::Glyphs || (!c.is_ascii() && self.coding != Coding::Simple) {
            return self.default_width.unwrap_or(1.0);
        }
        match c {
            'i' | 'j' | 'l' | '\'' | '|' => 0.22,
            ' ' | '.' | ',' | ':' | ';' | '!' | 'f' | 't' | 'I' | '/' | '[' | ']' => 0.278,
            '(' | ')' | '-' | 'r' | '"' | '`' => 0.333,
            'm' | 'M' => 0.833,
            'w' => 0.722,
            'W' => 0.944,
            'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' => 0.5,
            '%' => 0.889,
            'A'..='Z' => 0.69,
            _ => 0.556,
        }
    }
}

/// Ligatures and radicals as the letters and characters that people type.
fn readable(text: &str) -> String {
    let special = |c: char| matches!(c, '\u{FB00}'..='\u{FB06}' | '\u{2E80}'..='\u{2FDF}' | '\u{F900}'..='\u{FAFF}');
    if !text.chars().any(special) {
        return text.to_owned();
    }
    let simplified =
        |c: char| RADICALS.iter().find(|(radical, _)| *radical == c).map_or(c, |(_, character)| *character);
    text.chars().map(simplified).nfkc().collect()
}

/// Radicals that fonts name instead of the simplified character of the same shape, and that Unicode's own
/// normalisation leaves as they are or makes traditional.
const RADICALS: [(char, char); 33] = [
    ('⼾', '户'),
    ('⺠', '民'),
    ('⺟', '母'),
    ('⺎', '兀'),
    ('⻁', '虎'),
    ('⻄', '西'),
    ('⻅', '见'),
    ('⻆', '角'),
    ('⻉', '贝'),
    ('⻋', '车'),
    ('⻓', '长'),
    ('⻔', '门'),
    ('⻘', '青'),
    ('⻙', '韦'),
    ('⻚', '页'),
    ('⻛', '风'),
    ('⻜', '飞'),
    ('⻝', '食'),
    ('⻢', '马'),
    ('⻣', '骨'),
    ('⻤', '鬼'),
    ('⻥', '鱼'),
    ('⻦', '鸟'),
    ('⻧', '卤'),
    ('⻨', '麦'),
    ('⻩', '黄'),
    ('⻬', '齐'),
    ('⻮', '齿'),
    ('⻰', '龙'),
    ('⻳', '龟'),
    ('⺼', '月'),
    ('⺶', '羊'),
    ('⻯', '竜'),
];

/// A number object as a float.
pub fn number(object: &Object) -> Option<f64> {
    object.as_float().ok().map(f64::from).filter(|number| number.is_finite())
}

fn base_name(pdf: &Pdf, font: &Dictionary) -> String {
    let name = font.get_deref(b"BaseFont", pdf).and_then(Object::as_name).unwrap_or_default();
    String::from_utf8_lossy(name).to_lowercase()
}

fn is_bold(name: &str) -> bool {
    ["bold", "black", "heavy", "semibd", "demi"].iter().any(|word| name.contains(word))
        || name.ends_with("-b")
        || name.ends_with(",b")
}

fn descriptor_is_bold(pdf: &Pdf, font: &Dictionary) -> bool {
    let Ok(descriptor) = font.get_deref(b"FontDescriptor", pdf).and_then(Object::as_dict) else { return false };
    let value = |key: &[u8]| descriptor.get_deref(key, pdf).ok().and_then(number);
    let force_bold = value(b"Flags").is_some_and(|flags| (flags as u32) & (1 << 18) != 0);
    let name = descriptor.get_deref(b"FontName", pdf).and_then(Object::as_name).unwrap_or_default();
    force_bold
        || value(b"FontWeight").is_some_and(|weight| weight >= 600.0)
        || is_bold(&String::from_utf8_lossy(name).to_lowercase())
}

/// A `ToUnicode` map.
#[derive(Debug, Default)]
struct UnicodeMap {
    texts: HashMap<u32, String>,
    code_length: usize,
}

/// A token of a character map.
enum Token<'a> {
    Hex(Vec<u8>),
    Open,
    Close,
    Word(&'a [u8]),
}

impl UnicodeMap {
    fn read(content: &[u8]) -> Self {
        let mut map = Self::default();
        let mut operands: Vec<Token<'_>> = Vec::new();
        let mut rest = content;
        while let Some(token) = next_token(&mut rest) {
            match token {
                Token::Word(b"endcodespacerange") => {
                    map.code_length = operands
                        .iter()
                        .find_map(|token| match token {
                            Token::Hex(code) => Some(code.len()),
                            _ => None,
                        })
                        .unwrap_or(0);
                    operands.clear();
                }
                Token::Word(b"endbfchar") => {
                    for pair in operands.chunks(2) {
                        if let [Token::Hex(code), Token::Hex(text)] = pair {
                            map.insert(code_number(code), utf16(text));
                        }
                    }
                    operands.clear();
                }
                Token::Word(b"endbfrange") => {
                    map.ranges(&operands);
                    operands.clear();
                }
                Token::Word(word) if word.starts_with(b"begin") => operands.clear(),
                Token::Word(_) => {}
                operand if operands.len() < 200_000 => operands.push(operand),
                _ => {}
            }
        }
        map
    }

    fn insert(&mut self, code: u32, text: String) {
        // Maps of some programs fill unused codes with zeros.
        if self.texts.len() < 70_000 && !text.chars().all(|c| c == '\0') {
            self.texts.insert(code, text);
        }
    }

    fn ranges(&mut self, operands: &[Token<'_>]) {
        let mut position = 0;
        while let (Some(Token::Hex(low)), Some(Token::Hex(high))) = (operands.get(position), operands.get(position + 1))
        {
            let (low, high) = (code_number(low), code_number(high));
            let codes = low..=high.min(low.saturating_add(0xFFFF));
            match operands.get(position + 2) {
                Some(Token::Hex(first)) => {
                    let mut text: Vec<char> = utf16(first).chars().collect();
                    for code in codes {
                        self.insert(code, text.iter().collect());
                        if let Some(last) = text.last_mut() {
                            *last = char::from_u32(*last as u32 + 1).unwrap_or(*last);
                        }
                    }
                    position += 3;
                }
                Some(Token::Open) => {
                    position += 3;
                    let mut codes = codes;
                    while let Some(Token::Hex(text)) = operands.get(position) {
                        if let Some(code) = codes.next() {
                            self.insert(code, utf16(text));
                        }
                        position += 1;
                    }
                    position += 1;
                }
                _ => break,
            }
        }
    }
}

fn code_number(code: &[u8]) -> u32 {
    code.iter().take(4).fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> =
        bytes.chunks(2).map(|pair| pair.iter().fold(0, |unit, byte| (unit << 8) | u16::from(*byte))).collect();
    String::from_utf16_lossy(&units)
}

fn next_token<'a>(rest: &mut &'a [u8]) -> Option<Token<'a>> {
    loop {
        let start = rest.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0)?;
        *rest = &rest[start..];
        match rest[0] {
            b'%' => {
                let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
                *rest = &rest[end..];
            }
            b'<' if rest.get(1) != Some(&b'<') => {
                let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
                let digits: Vec<u8> = rest[1..end]
                    .iter()
                    .filter_map(|byte| (*byte as char).to_digit(16))
                    .map(|digit| digit as u8)
                    .collect();
                let bytes = digits.chunks(2).map(|pair| (pair[0] << 4) | pair.get(1).copied().unwrap_or(0)).collect();
                *rest = &rest[(end + 1).min(rest.len())..];
                return Some(Token::Hex(bytes));
            }
            b'[' => {
                *rest = &rest[1..];
                return Some(Token::Open);
            }
            b']' => {
                *rest = &rest[1..];
                return Some(Token::Close);
            }
            _ => {
                let end = 1 + rest[1..]
                    .iter()
                    .position(|byte| byte.is_ascii_whitespace() || b"<[]%/".contains(byte))
                    .unwrap_or(rest.len() - 1);
                let (word, later) = rest.split_at(end);
                *rest = later;
                return Some(Token::Word(word));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_maps_are_read() {
        let map = UnicodeMap::read(
            b"1 begincodespacerange <0000> <FFFF> endcodespacerange 2 beginbfchar <0001> <0041> <0002> <00660069> endbfchar\n\
              2 beginbfrange <0010> <0012> <4E00> <0020> <0021> [<0058> <0059>] endbfrange",
        );
        assert_eq!(map.code_length, 2);
        assert_eq!((map.texts[&1].as_str(), map.texts[&2].as_str()), ("A", "fi"));
        assert_eq!((map.texts[&0x12].as_str(), map.texts[&0x21].as_str()), ("丂", "Y"));
    }

    #[test]
    fn endless_ranges_stay_small() {
        let map = UnicodeMap::read(b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange");
        assert!(map.texts.len() <= 70_000);
    }

    #[test]
    fn ligatures_become_letters() {
        assert_eq!(readable("ﬁ"), "fi");
        assert_eq!(readable("⼀账⼾⻔"), "一账户门");
    }
}
