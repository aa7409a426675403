//! Plain text: which encoding the bytes are in, which lines are headings, and which line breaks are only wrapping.

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::language::is_han;

use super::{Document, ReadError, builder::Builder};

/// Text from bytes in UTF-8, UTF-16, GB18030 or Windows-1252.
pub fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[length..]).0.into_owned();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    guess_encoding(bytes).decode_without_bom_handling(bytes).0.into_owned()
}

/// Like `decode`, for pages that name their encoding in a `meta` element.
pub fn decode_html(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_ascii_lowercase();
    let label = head.split_once("charset=").map(|(_, rest)| {
        rest.trim_start_matches(['"', '\'']).split(['"', '\'', '>', ';', ' ', '/']).next().unwrap_or("").to_owned()
    });
    let named = label.and_then(|label| Encoding::for_label(label.as_bytes()));
    match named {
        Some(encoding) if Encoding::for_bom(bytes).is_none() && std::str::from_utf8(bytes).is_err() => {
            encoding.decode_without_bom_handling(bytes).0.into_owned()
        }
        _ => decode(bytes),
    }
}

fn guess_encoding(bytes: &[u8]) -> &'static Encoding {
    let sample = &bytes[..bytes.len().min(64 * 1024)];
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    if zeros(1) * 4 > sample.len() {
        return UTF_16LE;
    }
    if zeros(0) * 4 > sample.len() {
        return UTF_16BE;
    }
    let invalid = UTF_8.decode_without_bom_handling(sample).0.matches('\u{FFFD}').count();
    let high = sample.iter().filter(|byte| **byte >= 0x80).count();
    if invalid * 50 < high {
        return UTF_8; // A few broken characters in an otherwise fine file.
    }
    if is_gb18030(sample) { GB18030 } else { WINDOWS_1252 }
}

/// In Chinese text bytes above 0x80 come in pairs, mostly from the rows of the common characters and punctuation; in
/// Western text they stand alone between ASCII letters.
fn is_gb18030(bytes: &[u8]) -> bool {
    let (mut pairs, mut others, mut position) = (0usize, 0usize, 0);
    while position < bytes.len() {
        let lead = bytes[position];
        position += 1;
        if lead < 0x80 {
            continue;
        }
        let trail = bytes.get(position).copied().unwrap_or(0);
        if matches!(lead, 0xA1..=0xA3 | 0xB0..=0xD7) && trail >= 0xA1 {
            pairs += 1;
            position += 1;
        } else {
            others += 1;
            position += usize::from(trail >= 0x40);
        }
    }
    pairs > 2 * others
}

/// Whether text is really text: programs and pictures are full of control characters.
pub fn is_binary(text: &str) -> bool {
    let (mut control, mut total) = (0usize, 0usize);
    for c in text.chars().take(16 * 1024) {
        total += 1;
        control += usize::from((c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')) || c == '\u{FFFD}');
    }
    control * 20 > total
}

/// A line and what it is.
struct Line<'a> {
    text: &'a str,
    /// An empty line stands before it.
    starts_paragraph: bool,
}

/// Reads plain text.
pub fn read(name: &str, text: &str) -> Result<Document, ReadError> {
    if is_binary(text) {
        return Err(ReadError::Unsupported { name: name.to_owned(), detail: "it is not text".to_owned() });
    }
    let text = text.replace("\r\n", "\n");
    let lines = split_lines(&text);
    let wrapped = is_hard_wrapped(&lines);
    let mut builder = Builder::default();
    let mut paragraph = String::new();
    let mut position = 0;
    while position < lines.len() {
        let line = &lines[position];
        if let Some((level, taken)) = heading_at(&lines, position) {
            flush(&mut builder, &mut paragraph);
            builder.heading(level, line.text.trim_start_matches('#').trim_end_matches([':', '：']).trim());
            position += taken;
            continue;
        }
        let item = list_item(line.text);
        let goes_on = wrapped || paragraph.ends_with([',', '，', '、']);
        if line.starts_paragraph || item.is_some() || !goes_on {
            flush(&mut builder, &mut paragraph);
        }
        if let (Some(item), false) = (item, wrapped) {
            builder.list_item(item);
        } else {
            join_wrapped(&mut paragraph, line.text);
        }
        position += 1;
    }
    flush(&mut builder, &mut paragraph);
    Ok(builder.finish())
}

fn flush(builder: &mut Builder, paragraph: &mut String) {
    match list_item(paragraph) {
        Some(item) => builder.list_item(item),
        None => builder.paragraph(paragraph),
    }
    paragraph.clear();
}

/// Appends a wrapped line: with a space, with none between Chinese characters, and without the hyphen of a divided word.
pub fn join_wrapped(paragraph: &mut String, line: &str) {
    let line = line.trim();
    let (last, first) = (paragraph.chars().next_back(), line.chars().next());
    if let (Some(last), Some(first)) = (last, first) {
        let wide =
            |c: char| is_han(c) || matches!(c, '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FFEF}' | '“' | '”' | '…');
        let divided = last == '-'
            && first.is_lowercase()
            && paragraph.chars().rev().nth(1).is_some_and(char::is_lowercase)
            && !paragraph.rsplit(' ').next().is_some_and(|word| word.trim_end_matches('-').contains('-'));
        if divided {
            paragraph.pop();
        } else if last != '-'
            && !(wide(last) && (wide(first) || first.is_ascii_digit()) || wide(first) && last.is_ascii_digit())
        {
            paragraph.push(' ');
        }
    }
    paragraph.push_str(line);
}

fn split_lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut starts_paragraph = true;
    for line in text.split(['\n', '\r', '\u{c}', '\u{2028}', '\u{2029}']).map(str::trim) {
        if line.is_empty() {
            starts_paragraph = true;
        } else {
            lines.push(Line { text: line, starts_paragraph });
            starts_paragraph = false;
        }
    }
    lines
}

/// Lines of about the same length that break within sentences.
fn is_hard_wrapped(lines: &[Line<'_>]) -> bool {
    let width = |line: &Line<'_>| line.text.chars().map(|c| if is_han(c) { 2 } else { 1 }).sum::<usize>();
    let longest = lines.iter().map(width).max().unwrap_or(0);
    if !(40..=130).contains(&longest) {
        return false;
    }
    let followed: Vec<&Line<'_>> =
        lines.windows(2).filter(|pair| !pair[1].starts_paragraph).map(|pair| &pair[0]).collect();
    let full = followed.iter().filter(|line| width(line) * 4 >= longest * 3).count();
    let within_sentence = followed.iter().filter(|line| !ends_sentence(line.text)).count();
    followed.len() >= 2 && full * 2 >= followed.len() && within_sentence * 2 >= followed.len()
}

fn ends_sentence(text: &str) -> bool {
    text.ends_with(['.', '!', '?', '。', '！', '？', ':', '：', ';', '；'])
}

/// Level of the heading at this line and how many lines it takes.
fn heading_at(lines: &[Line<'_>], position: usize) -> Option<(u8, usize)> {
    let line = &lines[position];
    let text = line.text;
    let next = lines.get(position + 1);
    if let Some(level) = next.filter(|next| !next.starts_paragraph).and_then(|next| underline(next.text)) {
        return Some((level, 2));
    }
    let marks = text.bytes().take_while(|byte| *byte == b'#').count();
    if (1..=6).contains(&marks) && text[marks..].starts_with(' ') {
        return Some((marks as u8, 1));
    }
    if !line.starts_paragraph || text.chars().count() > 60 || list_item(text).is_some() {
        return None;
    }
    // Letters in parentheses may be small: `BRUSSELS (service point)`.
    let outside = text.split(['(', '（']).next().unwrap_or(text);
    let letters = || outside.chars().filter(|c| c.is_alphabetic() && !is_han(*c));
    if letters().count() >= 2 && letters().all(char::is_uppercase) && !ends_sentence(text.trim_end_matches([':', '：']))
    {
        let alone = next.is_none_or(|next| next.starts_paragraph);
        return Some((if position == 0 && alone { 1 } else { 2 }, 1));
    }
    if position == 0 && heading_like(text) && next.is_some_and(|next| next.starts_paragraph) {
        return Some((1, 1));
    }
    let bracketed = text.starts_with(['【', '[', '一', '二', '三', '四', '五', '六', '七', '八', '九', '十'])
        && (text.ends_with(['】', ']']) || text.chars().nth(1) == Some('、'));
    let before_paragraph = next.is_some_and(|next| !heading_like(next.text));
    let titled = heading_like(text) && before_paragraph;
    ((bracketed || titled) && next.is_some())
        .then_some((if position == 0 && next.is_some_and(|next| next.starts_paragraph) { 1 } else { 2 }, 1))
}

/// A short line without a stop at its end, beginning like a title.
fn heading_like(text: &str) -> bool {
    let opens = text.chars().next().is_some_and(|c| c.is_uppercase() || is_han(c) || c.is_ascii_digit());
    let colon = text.ends_with([':', '：']);
    let words = text.split_whitespace().count();
    opens
        && words <= 8
        && text.chars().filter(|c| is_han(*c)).count() <= 16
        && (colon || !text.ends_with(['.', '!', '。', '！', ',', '，', ';', '；', '、']))
        && (colon || !text.contains([':', '：', '€', '$', '￥', '¥', '@', ',', '，']))
}

fn underline(text: &str) -> Option<u8> {
    let of = |c: char| text.len() >= 3 && text.chars().all(|other| other == c);
    if of('=') {
        Some(1)
    } else if of('-') || of('~') || of('_') || of('*') {
        Some(2)
    } else {
        None
    }
}

/// The text of a list item without its mark.
pub fn list_item(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(['-', '*', '•', '·', '–', '●', '○', '▪', '◦', '■', '□', '➢', '✓']);
    rest.filter(|rest| rest.starts_with(char::is_whitespace) || line.starts_with(['•', '●', '▪', '■']))
        .map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::BlockKind;

    fn headings(text: &str) -> Vec<(String, String)> {
        let document = read("a.txt", text).unwrap();
        document.blocks.into_iter().map(|block| (block.heading.join("/"), block.text)).collect()
    }

    #[test]
    fn every_usual_encoding_is_read() {
        let text = "退货政策：二十八天内可以退货。";
        assert_eq!(decode(text.as_bytes()), text);
        assert_eq!(decode(&GB18030.encode(text).0), text);
        let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(decode(&utf16), text);
        assert_eq!(decode(b"\xEF\xBB\xBFhello"), "hello");
        assert_eq!(decode(b"Gr\xF6\xDFe \x80 5, caf\xE9"), "Größe € 5, café");
    }

    #[test]
    fn capitals_underlines_and_titles_are_headings() {
        let found = headings(
            "MY SHOP\n\nGHENT\nStreet 1\nOpen daily.\n\nReturns\n=======\nWithin 5 days.\n\nYour money back\nWe pay at once.",
        );
        assert_eq!(found[0], ("MY SHOP/GHENT".into(), "Street 1".into()));
        assert_eq!(found[2], ("Returns".into(), "Within 5 days.".into()));
        assert_eq!(found[3], ("Returns/Your money back".into(), "We pay at once.".into()));
    }

    #[test]
    fn wrapped_lines_are_joined_and_others_are_not() {
        let wrapped = "Every parcel is packed in our own depot and leaves it on the\nsame day when the order reached us before four in the after-\nnoon on any of the working days that the calendar has.\n\nNext paragraph.";
        let found = headings(wrapped);
        assert_eq!(found.len(), 2);
        assert!(found[0].1.contains("on the same day") && found[0].1.contains("afternoon on"));
        assert_eq!(headings("HOURS\nMonday 9-18\nTuesday 9-12").len(), 2);
    }

    #[test]
    fn a_first_line_alone_is_the_title_and_a_comma_goes_on() {
        let found = headings("退货说明\n\n一、条件\n七天内可以退货，\n配件齐全。\n");
        assert_eq!(found, [("退货说明/一、条件".to_owned(), "七天内可以退货，配件齐全。".to_owned())]);
    }

    #[test]
    fn lists_are_lists() {
        let document = read("a.txt", "We need:\n- the receipt\n- the box\n").unwrap();
        assert_eq!(document.blocks.iter().filter(|block| block.kind == BlockKind::ListItem).count(), 2);
    }

    #[test]
    fn programs_are_refused() {
        assert!(matches!(read("a.txt", "\u{1}\u{2}\u{3}\u{0}abc"), Err(ReadError::Unsupported { .. })));
    }
}
