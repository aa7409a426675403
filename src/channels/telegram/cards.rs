//! Products as a shopper meets them in Telegram: one card at a time, with its picture where there is one, and arrows to
//! the others.

use std::{fmt::Write as _, path::Path};

use super::split::units;
use crate::{
    channels::pictures::{find_picture, is_web_address},
    message::{Language, ProductCard, Reply},
    storage::StoredMessage,
};

/// Longest caption of a picture, in UTF-16 code units.
pub(super) const CAPTION_UNITS_MAX: usize = 1024;

/// What Telegram takes as a photo; a drawing (SVG) is not.
const PHOTO_TYPES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// A card of a reply as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// The picture, as the catalogue names it; `None`: words only.
    pub(super) image: Option<String>,
    /// What stands below the picture.
    pub(super) text: String,
}

/// Whether every product of a reply has a picture that can be sent. A card cannot change between picture and text, so
/// it is all or none.
pub(super) async fn has_pictures(media_dir: &Path, reply: &Reply) -> bool {
    for product in &reply.products {
        let Some(image) = &product.image else { return false };
        if !can_be_sent(media_dir, image).await {
            return false;
        }
    }
    !reply.products.is_empty()
}

async fn can_be_sent(media_dir: &Path, image: &str) -> bool {
    let path = image.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let is_photo = extension.is_some_and(|extension| PHOTO_TYPES.contains(&extension.as_str()));
    if is_web_address(image) {
        // Many shops' addresses have no ending; Telegram looks at what it gets.
        let file = path.rsplit('/').next().unwrap_or_default();
        return is_photo || !file.contains('.');
    }
    is_photo && find_picture(media_dir, image).await.is_some()
}

/// Whether the reply's words go into the card itself, on every product.
pub(super) fn takes_words(message: &StoredMessage, reply: &Reply) -> bool {
    let longest = reply.products.iter().map(|product| units(&product_lines(product, reply.language))).max();
    units(&lead(message, reply)) + 2 + longest.unwrap_or(0) <= CAPTION_UNITS_MAX
}

/// The card at `index`; `None` when the reply has no such product.
pub(super) fn card(message: &StoredMessage, reply: &Reply, index: usize, pictured: bool) -> Option<Card> {
    let product = reply.products.get(index)?;
    let lines = product_lines(product, reply.language);
    let text = if takes_words(message, reply) { format!("{}\n\n{lines}", lead(message, reply)) } else { lines };
    Some(Card { image: product.image.clone().filter(|_| pictured), text: text.trim().to_owned() })
}

/// The reply's words without its list of the products, which the cards show one by one.
pub(super) fn lead(message: &StoredMessage, reply: &Reply) -> String {
    let lists = |line: &str| {
        line.starts_with(['-', '•']) && reply.products.iter().any(|product| line.contains(product.title.as_str()))
    };
    let kept: Vec<&str> = message.text.trim().lines().filter(|line| !lists(line)).collect();
    kept.join("\n").trim().to_owned()
}

fn product_lines(product: &ProductCard, language: Language) -> String {
    let mut lines = format!("{} – {}", product.title, product.price);
    if product.stock == 0 {
        lines.push_str(match language {
            Language::En => " (out of stock)",
            Language::Zh => "（缺货）",
        });
    }
    // The price stands above already.
    let reason = product.reason.strip_prefix(&product.price.to_string()).unwrap_or(&product.reason);
    let reason = reason.trim_start_matches([',', '，', '、', ' ']);
    if !reason.is_empty() {
        let _ = write!(lines, "\n{reason}");
    }
    lines
}
