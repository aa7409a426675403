//! How the widget looks and what it says first: the shop's own words and the product's looks, until a merchant saves others in
//! the console.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{PerLanguage, ShopProfile};
use crate::message::Language;

/// Least contrast of text on the colour (WCAG 2, level AA).
pub const CONTRAST_MIN: f64 = 4.5;

/// A colour without transparency, written `#0f766e`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour([u8; 3]);

/// What was written is no colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a colour; write one such as #0f766e")]
pub struct NotAColour;

impl Colour {
    /// White.
    pub const WHITE: Self = Self([255; 3]);
    /// Black.
    pub const BLACK: Self = Self([0; 3]);

    /// Relative luminance (WCAG 2), 0 to 1.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|value| {
            let part = f64::from(value) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Contrast of two colours (WCAG 2), 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// White or black: which can be read on this colour. One of them always reaches `CONTRAST_MIN`.
    #[must_use]
    pub fn text(self) -> Self {
        if self.contrast(Self::WHITE) >= CONTRAST_MIN { Self::WHITE } else { Self::BLACK }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Colour {
    type Err = NotAColour;
    fn from_str(text: &str) -> Result<Self, NotAColour> {
        let digits = text.trim().strip_prefix('#').ok_or(NotAColour)?;
        let digits = match digits.len() {
            3 => digits.chars().flat_map(|digit| [digit; 2]).collect(),
            6 => digits.to_owned(),
            _ => return Err(NotAColour),
        };
        let mut values = [0; 3];
        hex::decode_to_slice(digits, &mut values).map_err(|_| NotAColour)?;
        Ok(Self(values))
    }
}

impl TryFrom<String> for Colour {
    type Error = NotAColour;
    fn try_from(text: String) -> Result<Self, NotAColour> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

/// In which lower corner of the page the widget stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The left one.
    Left,
    /// The right one.
    #[default]
    Right,
}

/// What a merchant can set about the widget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WidgetSettings {
    /// Of the button, the header and what is clicked.
    pub colour: Colour,
    /// Where it stands.
    pub position: Side,
    /// Its first words; empty: the widget's own.
    pub greeting: PerLanguage<String>,
    /// Questions offered to a shopper who has not written yet.
    pub suggested_questions: PerLanguage<Vec<String>>,
    /// Languages that a shopper may get; never empty.
    pub languages: Vec<Language>,
}

impl WidgetSettings {
    /// What counts until a merchant saves something else: the shop's own words in the product's looks.
    pub fn of(profile: &ShopProfile) -> Self {
        Self {
            colour: Colour([15, 118, 110]),
            position: Side::default(),
            greeting: profile.greeting.clone(),
            suggested_questions: profile.suggested_questions.clone(),
            languages: Language::ALL.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_read_on_every_colour() {
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(15) {
                    let colour = Colour([red, green, blue]);
                    assert!(colour.contrast(colour.text()) >= CONTRAST_MIN, "{colour}");
                }
            }
        }
        assert_eq!("#facc15".parse::<Colour>().unwrap().text(), Colour::BLACK);
        assert_eq!("#0f766e".parse::<Colour>().unwrap().text(), Colour::WHITE);
        assert!((Colour::WHITE.contrast(Colour::BLACK) - 21.0).abs() < 0.01);
    }

    #[test]
    fn a_colour_is_three_or_six_digits() {
        assert_eq!("#0AF".parse::<Colour>().unwrap().to_string(), "#00aaff");
        for wrong in ["red", "#12", "#12345g", "0f766e", "", "#0f766e;}", "#äbc"] {
            assert!(wrong.parse::<Colour>().is_err(), "{wrong}");
        }
    }
}
