//! From glyphs to lines: characters on one baseline, parted where a wide gap shows another cell or column.

use crate::{knowledge::builder::squeeze, language::is_han};

use super::content::Glyph;

/// Characters of one line without a wide gap between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// Left end.
    pub x: f64,
    /// Right end.
    pub right: f64,
    /// All of it is bold.
    pub bold: bool,
    /// Its text.
    pub text: String,
}

/// A line of a page or column.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Height of the baseline above the page's lower edge.
    pub y: f64,
    /// Largest font size.
    pub size: f64,
    /// Its parts from the left, at least one.
    pub fragments: Vec<Fragment>,
}

impl Line {
    /// Left end.
    pub fn x(&self) -> f64 {
        self.fragments.first().map_or(0.0, |fragment| fragment.x)
    }

    /// Right end.
    pub fn right(&self) -> f64 {
        self.fragments.last().map_or(0.0, |fragment| fragment.right)
    }

    /// All of it is bold.
    pub fn bold(&self) -> bool {
        self.fragments.iter().all(|fragment| fragment.bold)
    }

    /// Its text.
    pub fn text(&self) -> String {
        self.fragments.iter().map(|fragment| fragment.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// The lines from the top, each from left to right.
pub fn lines(mut glyphs: Vec<Glyph>) -> Vec<Line> {
    glyphs.sort_by(|a, b| b.y.total_cmp(&a.y).then(a.x.total_cmp(&b.x)));
    let mut lines: Vec<Line> = Vec::new();
    let mut current: Vec<Glyph> = Vec::new();
    for glyph in glyphs {
        // Raised and lowered characters belong to the line of the larger ones.
        let same = current.first().is_some_and(|first| {
            let size = current.iter().take(8).map(|other| other.size).fold(glyph.size, f64::max);
            first.y - glyph.y <= 0.4 * size
        });
        if !same {
            lines.extend(line(std::mem::take(&mut current)));
        }
        current.push(glyph);
    }
    lines.extend(line(current));
    lines
}

fn line(mut glyphs: Vec<Glyph>) -> Option<Line> {
    glyphs.sort_by(|a, b| a.x.total_cmp(&b.x));
    let size = glyphs.iter().filter(|glyph| !glyph.text.trim().is_empty()).map(|glyph| glyph.size).fold(0.0, f64::max);
    let y = glyphs.iter().filter(|glyph| glyph.size >= size * 0.95).map(|glyph| glyph.y).fold(f64::MAX, f64::min);
    let mut fragments: Vec<Fragment> = Vec::new();
    let mut space = false;
    let mut last: Option<Glyph> = None;
    for glyph in glyphs {
        if glyph.text.trim().is_empty() {
            space = true;
            continue;
        }
        if last.as_ref().is_some_and(|last| is_double(last, &glyph)) {
            continue;
        }
        let gap = last.as_ref().map_or(0.0, |last| glyph.x - last.right);
        let em = glyph.size.max(last.as_ref().map_or(0.0, |last| last.size));
        match fragments.last_mut() {
            Some(fragment) if gap <= em => {
                let both_han = glyph.text.chars().next().is_some_and(is_han)
                    && fragment.text.chars().next_back().is_some_and(is_han);
                if space || (gap > 0.18 * em && !both_han) {
                    fragment.text.push(' ');
                }
                fragment.text.push_str(&glyph.text);
                fragment.right = fragment.right.max(glyph.right);
                fragment.bold &= glyph.bold;
            }
            _ => {
                fragments.push(Fragment { x: glyph.x, right: glyph.right, bold: glyph.bold, text: glyph.text.clone() });
            }
        }
        space = false;
        last = Some(glyph);
    }
    for fragment in &mut fragments {
        fragment.text = squeeze(&fragment.text);
    }
    fragments.retain(|fragment| !fragment.text.is_empty());
    (!fragments.is_empty()).then_some(Line { y, size, fragments })
}

/// Some programs print a character twice to make it bold.
fn is_double(a: &Glyph, b: &Glyph) -> bool {
    a.text == b.text && (a.x - b.x).abs() < 0.15 * a.size && (a.y - b.y).abs() < 0.15 * a.size
}
