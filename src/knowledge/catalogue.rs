//! A file of products against the catalogue: what it would add, change and remove, before any of it happens.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    BadValue,
    import::{ImportError, Importer, damaged},
    read_products_by_line,
};
use crate::catalog::Product;

/// What was read from a file of products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogueFile {
    /// Products of the lines that can be taken.
    pub products: Vec<Product>,
    /// What is wrong with the other lines.
    pub refused: Vec<BadValue>,
    /// What the merchant should know, one sentence each.
    pub notes: Vec<String>,
}

impl Importer {
    /// Reads a file of products without importing it. Other than in an import a bad line refuses only itself.
    pub async fn read_catalogue(&self, name: &str, bytes: Vec<u8>) -> Result<CatalogueFile, ImportError> {
        let currency = self.currency().await?;
        let file = name.to_owned();
        // Reading a large workbook takes a while; the server's threads stay free.
        let reading = tokio::task::spawn_blocking(move || read_products_by_line(&file, &bytes, &currency));
        let (records, refused) = reading.await.map_err(|_| damaged(name))??;
        let mut notes = records.notes;
        notes.extend(records.skipped.iter().map(|line| format!("Line {}: {}", line.line, line.reason)));
        Ok(CatalogueFile { products: records.records, refused, notes })
    }
}

/// A property of a product that may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Its name.
    Title,
    /// Price, with its currency.
    Price,
    /// Pieces in stock.
    Stock,
    /// Category.
    Category,
    /// Description.
    Description,
    /// A further property, by its name.
    Attribute(String),
    /// Picture.
    Image,
    /// SKUs of what it fits.
    CompatibleWith,
    /// Language of title and description.
    Language,
}

/// What one property was and what it becomes; an empty text: nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Which property.
    pub field: Field,
    /// What it is now.
    pub before: String,
    /// What it becomes.
    pub after: String,
}

/// A product that the file changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductChange {
    /// As it becomes.
    pub after: Product,
    /// What differs; never empty.
    pub fields: Vec<FieldChange>,
}

/// What a file does to the catalogue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Products that are new.
    pub added: Vec<Product>,
    /// Products that become different.
    pub changed: Vec<ProductChange>,
    /// Products that leave.
    pub removed: Vec<Product>,
    /// How many products of the file are in the catalogue as they are.
    pub unchanged: usize,
}

impl Plan {
    /// What `file` does to the catalogue `now`. Of a file that is the `whole` catalogue, products that are not in it leave;
    /// none does while a line is refused, because that line may be theirs.
    pub fn new(now: &[Product], file: &CatalogueFile, whole: bool) -> Self {
        let by_sku: HashMap<&str, &Product> = now.iter().map(|product| (product.sku.as_str(), product)).collect();
        let mut plan = Self::default();
        for product in &file.products {
            match by_sku.get(product.sku.as_str()) {
                None => plan.added.push(product.clone()),
                Some(before) if *before == product => plan.unchanged += 1,
                Some(before) => {
                    let (after, fields) = (product.clone(), field_changes(before, product));
                    plan.changed.push(ProductChange { after, fields });
                }
            }
        }
        if whole && file.refused.is_empty() {
            let kept: HashSet<&str> = file.products.iter().map(|product| product.sku.as_str()).collect();
            plan.removed = now.iter().filter(|product| !kept.contains(product.sku.as_str())).cloned().collect();
        }
        plan
    }

    /// Whether applying it would do nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// What tells this plan from another: two with the same digest do the same to the same products.
    pub fn digest(&self) -> String {
        hex::encode(&Sha256::digest(format!("{self:?}"))[..16])
    }
}

/// The properties in which two states of a product differ.
pub fn field_changes(before: &Product, after: &Product) -> Vec<FieldChange> {
    let price = |product: &Product| format!("{} {}", product.price.amount(), product.price.currency);
    let pairs = [
        (Field::Title, before.title.clone(), after.title.clone()),
        (Field::Price, price(before), price(after)),
        (Field::Stock, before.stock.to_string(), after.stock.to_string()),
        (Field::Category, before.category.clone(), after.category.clone()),
        (Field::Description, before.description.clone(), after.description.clone()),
        (Field::Image, before.image.clone().unwrap_or_default(), after.image.clone().unwrap_or_default()),
        (Field::CompatibleWith, before.compatible_with.join(", "), after.compatible_with.join(", ")),
        (Field::Language, before.language.to_string(), after.language.to_string()),
    ];
    let names: BTreeSet<&String> = before.attributes.keys().chain(after.attributes.keys()).collect();
    let value = |product: &Product, name: &String| product.attributes.get(name).cloned().unwrap_or_default();
    let attributes =
        names.into_iter().map(|name| (Field::Attribute(name.clone()), value(before, name), value(after, name)));
    pairs
        .into_iter()
        .chain(attributes)
        .filter(|(_, before, after)| before != after)
        .map(|(field, before, after)| FieldChange { field, before, after })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::read_products_by_line;

    fn file(text: &str) -> CatalogueFile {
        let (records, refused) = read_products_by_line("p.csv", text.as_bytes(), "EUR").unwrap();
        CatalogueFile { products: records.records, refused, notes: records.notes }
    }

    const NOW: &str = "sku,title,price,stock,colour\nA,Case,5,1,red\nB,Cable,6,2,\nC,Plug,7,3,\n";

    #[test]
    fn a_plan_tells_old_from_new() {
        let now = file(NOW).products;
        let plan =
            Plan::new(&now, &file("sku,title,price,stock,colour\nA,Case,5.50,1,\nB,Cable,6,2,\nD,Lamp,9,1,\n"), true);
        assert_eq!(plan.added[0].sku, "D");
        assert_eq!((plan.unchanged, plan.removed[0].sku.as_str(), plan.removed.len()), (1, "C", 1));
        let change =
            |field, before: &str, after: &str| FieldChange { field, before: before.into(), after: after.into() };
        assert_eq!(
            plan.changed[0].fields,
            [change(Field::Price, "5.00 EUR", "5.50 EUR"), change(Field::Attribute("colour".into()), "red", "")]
        );
        assert!(Plan::new(&now, &file(NOW), true).is_empty());
    }

    #[test]
    fn a_refused_line_refuses_itself_and_keeps_every_product() {
        let now = file(NOW).products;
        let file = file("sku,title,price,stock\nA,,5,1\nB,Cable,six,2\nD,Lamp,9,1\n");
        let refused: Vec<_> = file.refused.iter().map(|bad| (bad.line, bad.column.as_str())).collect();
        assert_eq!(refused, [(2, "title"), (3, "price")]);
        let plan = Plan::new(&now, &file, true);
        assert_eq!((plan.added.len(), plan.changed.len(), plan.removed.len()), (1, 0, 0));
    }
}
