//! What a shopper wants, as constraints that a record meets or breaks. Kept over the turns of a conversation, so that
//! "just the ones below 200" narrows what was asked before.

use serde::{Deserialize, Serialize};

use super::{
    index::{Catalogue, Evidence, Item, fits},
    quantities::Limits,
};

/// A wish for products.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// Categories as the shop writes them; any of them will do; empty means all.
    pub categories: Vec<String>,
    /// Price in whole units of the shop's currency.
    pub price: Limits,
    /// The words that limited the price.
    pub price_said: Option<String>,
    /// Properties, all of which must hold.
    pub constraints: Vec<Constraint>,
    /// Terms one of which a product's record should have; they rank.
    pub words: Vec<String>,
    /// What was said and could not be looked up in the records.
    pub unchecked: Vec<String>,
    /// What was asked for and is not in the catalogue.
    pub missing: Option<String>,
    /// SKUs all of which the product must fit.
    pub fits: Vec<String>,
    /// The product must fit a product of one of these categories.
    pub fits_category: Vec<String>,
    /// Like this product.
    pub similar_to: Option<String>,
    /// Order asked for.
    pub sort: Option<Sort>,
    /// Products already shown for this wish.
    pub shown: Vec<String>,
    /// Products not wanted again.
    pub hidden: Vec<String>,
}

/// One property that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// The shopper's words.
    pub said: String,
    /// What is checked.
    pub test: Test,
}

/// A check on a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// The record says the term.
    Has(String),
    /// The record denies the term.
    HasNot(String),
    /// A measure lies within limits (base units).
    Measure {
        /// Term of the attribute's name.
        name: Option<String>,
        /// Dimension of its unit.
        dimension: Option<String>,
        /// Allowed values.
        limits: Limits,
    },
    /// One of the sizes on offer.
    Size(String),
}

/// An order of products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// `price` or the term of an attribute's name.
    pub by: String,
    /// Smallest first.
    pub ascending: bool,
    /// Said relative to what was shown ("cheaper", "bigger") rather than absolutely ("cheapest").
    pub relative: bool,
}

impl Wish {
    /// Whether nothing was asked for.
    pub fn is_open(&self) -> bool {
        self.categories.is_empty()
            && self.constraints.is_empty()
            && self.words.is_empty()
            && self.missing.is_none()
            && self.fits.is_empty()
            && self.similar_to.is_none()
    }

    /// Whether the wish names the kind of product.
    pub fn names_kind(&self) -> bool {
        !self.categories.is_empty() || self.missing.is_some() || !self.fits.is_empty() || self.similar_to.is_some()
    }

    /// The product meets everything that was stated. Stock is checked here too: nothing sold out is ever shown.
    pub fn allows(&self, item: &Item, catalogue: &Catalogue) -> bool {
        item.product.stock > 0 && self.allows_but_stock(item, catalogue)
    }

    /// The same without the stock.
    pub fn allows_but_stock(&self, item: &Item, catalogue: &Catalogue) -> bool {
        self.missing.is_none()
            && (self.categories.is_empty() || self.categories.contains(&item.product.category))
            && self.price.allow(item.product.price.units())
            && self.fits.iter().all(|sku| fits(&item.product, sku))
            && (self.fits_category.is_empty() || fits_category(item, &self.fits_category, catalogue))
            && !self.hidden.contains(&item.product.sku)
            && self.constraints.iter().all(|constraint| constraint.holds(item, catalogue))
    }

    /// This wish (what was asked before) with what is said now.
    #[must_use]
    pub fn narrowed(&self, now: Self) -> Self {
        let mut wish = self.clone();
        // A new limit replaces the old one of the same end: "under 100" after "under 200", or the other way round.
        if now.price.min.is_some() || now.price.max.is_some() {
            if now.price.min.is_some() {
                (wish.price.min, wish.price.above) = (now.price.min, now.price.above);
            }
            if now.price.max.is_some() {
                (wish.price.max, wish.price.below) = (now.price.max, now.price.below);
            }
            if wish.price.min > wish.price.max && wish.price.max.is_some() {
                wish.price = now.price;
            }
            wish.price_said = now.price_said;
        }
        for constraint in now.constraints {
            wish.constraints.retain(|old| !old.replaced_by(&constraint));
            wish.constraints.push(constraint);
        }
        wish.words.extend(now.words);
        wish.unchecked = now.unchecked;
        if now.sort.is_some() {
            wish.sort = now.sort;
        }
        wish.hidden.extend(now.hidden);
        wish
    }
}

impl Constraint {
    /// Whether the record meets it.
    pub fn holds(&self, item: &Item, catalogue: &Catalogue) -> bool {
        match &self.test {
            Test::Has(term) => item.evidence(term, catalogue) == Evidence::Yes,
            Test::HasNot(term) => {
                item.evidence(term, catalogue) == Evidence::No && !item.mentions(term) && !item.names_itself(term)
            }
            Test::Measure { name, dimension, limits } => {
                item.measure(name.as_deref(), dimension.as_deref()).is_some_and(|(value, _)| limits.allow(value))
            }
            Test::Size(size) => item
                .attributes
                .iter()
                .filter(|attribute| attribute.is_called("size"))
                .any(|attribute| offers_size(&attribute.written, size)),
        }
    }

    fn replaced_by(&self, newer: &Self) -> bool {
        match (&self.test, &newer.test) {
            (Test::Measure { name, dimension, .. }, Test::Measure { name: new_name, dimension: new_dimension, .. }) => {
                name == new_name && dimension == new_dimension
            }
            (Test::Has(old), Test::HasNot(new)) | (Test::HasNot(old), Test::Has(new)) => old == new,
            (Test::Has(old), Test::Has(new)) => {
                let colour = |term: &str| {
                    super::words::LEXICON.concept(term).is_some_and(|c| c.kind == super::words::Kind::Colour)
                };
                colour(old) && colour(new)
            }
            (Test::Size(_), Test::Size(_)) => true,
            _ => false,
        }
    }
}

fn fits_category(item: &Item, categories: &[String], catalogue: &Catalogue) -> bool {
    let fits = item.product.compatible_with.iter().filter_map(|sku| catalogue.item(sku.trim()));
    fits.into_iter().any(|target| categories.contains(&target.product.category))
}

/// Whether `written` ("38, 39, 42", "S/M/L", "36-41") offers a size.
fn offers_size(written: &str, size: &str) -> bool {
    let parts: Vec<&str> = written.split([',', '/', '|', '、', ' ', '，']).map(str::trim).collect();
    parts.iter().any(|part| {
        if part.eq_ignore_ascii_case(size) {
            return true;
        }
        let ends = part.split_once(['-', '–']).map(|(low, high)| (low.parse::<f64>(), high.parse::<f64>()));
        matches!((ends, size.parse::<f64>()), (Some((Ok(low), Ok(high))), Ok(size)) if low <= size && size <= high)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_offered_singly_or_as_a_range() {
        assert!(offers_size("S, M, L", "m") && !offers_size("S, M, L", "XL"));
        assert!(offers_size("36-41", "38") && !offers_size("36-41", "42"));
    }

    #[test]
    fn a_new_limit_replaces_the_old_one() {
        let limit = |max| Wish { price: Limits { max: Some(max), ..Limits::default() }, ..Wish::default() };
        assert_eq!(limit(200.0).narrowed(limit(300.0)).price.max, Some(300.0));
    }
}
