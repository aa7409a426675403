//! The catalogue in its own layout, from CSV, XLSX or JSON.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::{
    catalog::{Product, Review},
    knowledge::{ReadError, builder::squeeze},
    language::detect_language,
    message::Language,
};

use super::{
    Records, last_wins,
    source::{Source, SourceRow},
    values::{self, NumberStyle, Problems},
};

/// Columns that say nothing about a product itself.
const NOT_ATTRIBUTES: [&str; 8] =
    ["images", "meta.created_at", "meta.updated_at", "meta.qr_code", "id", "handle", "url", "thumbnail"];

/// Reads the products of the lines that can be taken, and what is wrong with the others.
pub fn read_lines(
    name: &str,
    source: &Source,
    default_currency: &str,
) -> Result<(Records<Product>, Problems), ReadError> {
    let sku = source.required(name, "products", values::SKU)?;
    let title = source.required(name, "products", values::TITLE)?;
    let price = source.required(name, "products", values::PRICE)?;
    let stock = source.required(name, "products", values::STOCK)?;
    let optional =
        |names: &[&str]| source.column(names).filter(|column| ![sku, title, price, stock].contains(&Some(*column)));
    let (description, category) = (optional(values::DESCRIPTION), optional(values::CATEGORY));
    let (currency, attributes) = (optional(values::CURRENCY), optional(values::ATTRIBUTES));
    let (image, compatible, language) =
        (optional(values::IMAGE), optional(values::COMPATIBLE), optional(values::LANGUAGE));
    let known: HashSet<usize> =
        [sku, title, price, stock, description, category, currency, attributes, image, compatible, language]
            .into_iter()
            .flatten()
            .collect();
    let style = NumberStyle { semicolons: source.semicolons, default_currency };
    let mut problems = Problems::default();
    let mut found = Records { notes: source.notes.clone(), ..Records::default() };
    for row in &source.rows {
        let id = row.get(sku).trim();
        let name = squeeze(row.get(title));
        if id.is_empty() {
            problems.add(row, "sku", "", "a stock-keeping unit");
            continue;
        }
        let before = problems.len();
        if name.is_empty() {
            problems.add(row, "title", "", "the product's name");
        }
        let amount = values::price(row.get(price), row.get(currency), style);
        let pieces = values::count(row.get(stock));
        if let Err(expected) = &amount {
            problems.add(row, "price", row.get(price), expected);
        }
        if pieces.is_none() {
            problems.add(row, "stock", row.get(stock), "a whole number of pieces, 0 or more,");
        }
        let (Ok(amount), Some(pieces)) = (amount, pieces) else { continue };
        if problems.len() > before {
            continue;
        }
        let text = squeeze(row.get(description));
        found.reviews.extend(row.reviews.iter().filter_map(|review| nested_review(id, review)));
        found.records.push(Product {
            sku: id.to_owned(),
            language: product_language(row.get(language), &name, &text),
            title: name,
            description: text,
            category: squeeze(row.get(category)),
            price: amount,
            stock: pieces,
            attributes: all_attributes(source, row, row.get(attributes), &known),
            image: Some(row.get(image).trim().to_owned()).filter(|image| !image.is_empty()),
            compatible_with: list(row.get(compatible)),
        });
    }
    found.records = last_wins(found.records, |product| product.sku.clone(), "SKUs", &mut found.notes);
    Ok((found, problems))
}

/// The language a column names, otherwise that of title and description.
pub fn product_language(tag: &str, title: &str, description: &str) -> Language {
    Language::from_tag(tag.trim()).or_else(|| detect_language(&format!("{title} {description}"))).unwrap_or_default()
}

/// `a;b` or `a|b` or `a,b`.
fn list(text: &str) -> Vec<String> {
    text.split([';', '|', ',']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn all_attributes(source: &Source, row: &SourceRow, pairs: &str, known: &HashSet<usize>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (column, name) in source.names() {
        let value = squeeze(row.get(Some(column)));
        if !known.contains(&column) && !name.is_empty() && !value.is_empty() && !NOT_ATTRIBUTES.contains(&name) {
            attributes.insert(name.to_owned(), value);
        }
    }
    for pair in pairs.split([';', '；', '\n']) {
        let (key, value) = pair.split_once(['=', ':', '：']).unwrap_or((pair, "yes"));
        let (key, value) = (squeeze(key), squeeze(value));
        if !key.is_empty() && !value.is_empty() {
            attributes.insert(key, value);
        }
    }
    attributes
}

/// A review inside of a product's JSON record; one without stars is left out.
fn nested_review(sku: &str, review: &Value) -> Option<Review> {
    let text = |names: &[&str]| {
        names.iter().find_map(|name| review.get(*name)).and_then(Value::as_str).map(squeeze).unwrap_or_default()
    };
    let rating = review.get("rating").or_else(|| review.get("stars"))?.as_f64()?.round();
    (1.0..=5.0).contains(&rating).then(|| Review {
        sku: sku.to_owned(),
        rating: rating as u8,
        text: text(&["comment", "text", "body", "review"]),
        date: text(&["date", "createdAt", "created_at"]).chars().take(10).collect(),
        author: text(&["reviewerName", "author", "name"]),
    })
}

#[cfg(test)]
mod tests {
    use crate::knowledge::{ReadError, read_products};

    #[test]
    fn products_are_read_in_any_column_order() {
        let text = "stock,Price,SKU,colour,title,attributes,compatible_with,currency\n3,12.5,A1,blue,Case,size=L;wet,B1;B2,USD\n";
        let found = read_products("p.csv", text.as_bytes(), "EUR").unwrap();
        let product = &found.records[0];
        assert_eq!((product.sku.as_str(), product.stock, product.price.to_string().as_str()), ("A1", 3, "$12.50"));
        assert_eq!(product.attributes["colour"], "blue");
        assert_eq!((product.attributes["size"].as_str(), product.attributes["wet"].as_str()), ("L", "yes"));
        assert_eq!(product.compatible_with, ["B1", "B2"]);
    }

    #[test]
    fn one_bad_value_refuses_the_file_and_names_its_line() {
        let text = "sku,title,price,stock\nA,Case,5,1\nB,Cable,five,1\nC,Plug,5,-1\n";
        let error = read_products("p.csv", text.as_bytes(), "EUR").unwrap_err();
        assert!(matches!(error, ReadError::BadRows { count: 2, .. }));
        let said = error.to_string();
        assert!(
            said.contains("line 3, column price: \"five\"") && said.contains("line 4, column stock: \"-1\""),
            "{said}"
        );
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = read_products("p.csv", b"sku,title,price\nA,Case,5\n", "EUR").unwrap_err().to_string();
        assert!(error.contains("no column stock") && error.contains("sku, title, price"), "{error}");
    }

    #[test]
    fn of_repeated_skus_the_last_counts() {
        let found =
            read_products("p.csv", b"sku;title;price;stock\nA;Case;5,50;1\nB;Cable;1;1\nA;Case;6;1\n", "EUR").unwrap();
        assert_eq!(found.records.iter().map(|product| product.price.minor).collect::<Vec<_>>(), [100, 600]);
        assert_eq!(found.notes.len(), 1);
    }

    #[test]
    fn json_products_bring_their_reviews() {
        let text = r#"[{"id":7,"title":"Mascara","price":9.99,"stock":5,"brand":"Essence","warrantyInformation":"1 week",
            "reviews":[{"rating":4,"comment":"Nice","date":"2025-04-30T09:41:02.053Z","reviewerName":"Ann"}]}]"#;
        let found = read_products("p.json", text.as_bytes(), "USD").unwrap();
        assert_eq!(found.records[0].sku, "7");
        assert_eq!(found.records[0].attributes["warranty_information"], "1 week");
        assert_eq!((found.reviews[0].rating, found.reviews[0].date.as_str()), (4, "2025-04-30"));
    }
}
