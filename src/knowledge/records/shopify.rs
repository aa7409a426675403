//! The Shopify product export: several lines a handle, one for each variant and further picture.

use std::collections::{BTreeMap, HashMap};

use crate::{
    catalog::Product,
    knowledge::{builder::squeeze, html},
};

use super::{
    Records, Skipped, last_wins,
    products::product_language,
    source::{Source, SourceRow},
    values::{self, NumberStyle, Problems},
};

/// Whether a table has this layout.
pub fn is_shopify(source: &Source) -> bool {
    ["handle", "title", "variant_price"].iter().all(|name| source.column(&[name]).is_some())
}

/// What a handle's first line says about all of its variants.
#[derive(Default, Clone)]
struct Head {
    title: String,
    description: String,
    category: String,
    image: String,
    attributes: BTreeMap<String, String>,
    options: Vec<String>,
    hidden: bool,
    variants: usize,
}

/// Reads a Shopify product export; products that are not published are skipped. Also returns what is wrong with the lines
/// that cannot be taken.
pub fn read_lines(source: &Source, default_currency: &str) -> (Records<Product>, Problems) {
    let column = |name: &str| source.column(&[name]);
    let (handle, price, quantity) = (column("handle"), column("variant_price"), column("variant_inventory_qty"));
    let mut heads: HashMap<String, Head> = HashMap::new();
    for row in &source.rows {
        let head = heads.entry(row.get(handle).to_owned()).or_insert_with(|| read_head(source, row));
        head.variants += usize::from(!row.get(price).is_empty());
        if head.image.is_empty() {
            row.get(column("image_src")).clone_into(&mut head.image);
        }
    }
    let style = NumberStyle { semicolons: source.semicolons, default_currency };
    let mut problems = Problems::default();
    let mut found = Records { notes: source.notes.clone(), ..Records::default() };
    let mut without_stock = 0;
    for row in &source.rows {
        let Some(head) = heads.get(row.get(handle)) else { continue };
        if row.get(price).is_empty() {
            continue; // A further picture.
        }
        if head.hidden {
            found.skipped.push(Skipped { line: row.line, reason: format!("{} is not published", head.title) });
            continue;
        }
        let amount = match values::price(row.get(price), "", style) {
            Ok(amount) => amount,
            Err(expected) => {
                problems.add(row, "Variant Price", row.get(price), &expected);
                continue;
            }
        };
        let pieces = row.get(quantity).trim();
        without_stock += usize::from(pieces.is_empty());
        // Shops that sell on after the last piece have negative stock.
        let stock = pieces.parse::<f64>().map_or(0, |pieces| pieces.max(0.0) as u32);
        let product = variant(source, row, head, amount, stock);
        if product.sku.is_empty() {
            problems.add(row, "Handle", "", "the product's handle");
        } else {
            found.records.push(product);
        }
    }
    if without_stock > 0 {
        found.notes.push(format!("{without_stock} lines have no stock figure and count as out of stock"));
    }
    found.records = last_wins(found.records, |product| product.sku.clone(), "SKUs", &mut found.notes);
    (found, problems)
}

fn read_head(source: &Source, row: &SourceRow) -> Head {
    let get = |name: &str| squeeze(row.get(source.column(&[name])));
    let mut attributes = BTreeMap::new();
    for (name, key) in [("vendor", "vendor"), ("tags", "tags"), ("variant_compare_at_price", "price_before")] {
        let value = get(name);
        if !value.is_empty() {
            attributes.insert(key.to_owned(), value);
        }
    }
    let status = get("status").to_lowercase();
    Head {
        title: get("title"),
        description: plain_text(row.get(source.column(&["body_html"]))),
        category: Some(get("type")).filter(|kind| !kind.is_empty()).unwrap_or_else(|| get("product_category")),
        image: get("image_src"),
        attributes,
        options: (1..=3).map(|number| get(&format!("option{number}_name"))).collect(),
        hidden: get("published").eq_ignore_ascii_case("false") || matches!(status.as_str(), "draft" | "archived"),
        variants: 0,
    }
}

/// A description without its markup.
fn plain_text(markup: &str) -> String {
    match html::read("description", markup) {
        Ok(document) => document.blocks.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n"),
        Err(_) => squeeze(markup),
    }
}

fn variant(source: &Source, row: &SourceRow, head: &Head, price: crate::catalog::Money, stock: u32) -> Product {
    let get = |name: &str| squeeze(row.get(source.column(&[name])));
    let mut attributes = head.attributes.clone();
    let mut chosen = Vec::new();
    for (index, option) in head.options.iter().enumerate() {
        let value = get(&format!("option{}_value", index + 1));
        if !value.is_empty() && value != "Default Title" {
            let key = if option.is_empty() { format!("option{}", index + 1) } else { option.to_lowercase() };
            attributes.insert(key, value.clone());
            chosen.push(value);
        }
    }
    // The export protects figures with an apostrophe.
    let sku = get("variant_sku").trim_start_matches('\'').to_owned();
    let handle = get("handle");
    let sku = match (sku.is_empty(), head.variants > 1 && !chosen.is_empty()) {
        (false, _) => sku,
        (true, false) => handle,
        (true, true) => format!("{handle}-{}", slug(&chosen.join("-"))),
    };
    let title = if chosen.is_empty() || head.variants < 2 {
        head.title.clone()
    } else {
        format!("{} - {}", head.title, chosen.join(" / "))
    };
    let image = Some(get("variant_image")).filter(|image| !image.is_empty()).unwrap_or_else(|| head.image.clone());
    Product {
        sku,
        language: product_language("", &title, &head.description),
        title,
        description: head.description.clone(),
        category: head.category.clone(),
        price,
        stock,
        attributes,
        image: Some(image).filter(|image| !image.is_empty()),
        compatible_with: Vec::new(),
    }
}

fn slug(text: &str) -> String {
    let words: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use crate::knowledge::read_products;

    const EXPORT: &str = "Handle,Title,Body (HTML),Vendor,Type,Published,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price,Image Src\n\
        chain,Chain Bracelet,<p>Seven <b>stones</b>.</p><script>x</script>,ACME,Bracelet,true,Color,Blue,,1,42.99,a.jpg\n\
        chain,,,,,,,Black,'CB-2,-1,40,b.jpg\n\
        chain,,,,,,,,,,,c.jpg\n\
        ring,Ring,,ACME,Ring,true,Title,Default Title,,5,9,d.jpg\n\
        draft,Draft,,ACME,Ring,false,Title,Default Title,,5,9,\n";

    #[test]
    fn every_variant_is_a_product() {
        let found = read_products("p.csv", EXPORT.as_bytes(), "USD").unwrap();
        let seen: Vec<_> = found.records.iter().map(|p| (p.sku.as_str(), p.title.as_str(), p.stock)).collect();
        assert_eq!(
            seen,
            [("chain-blue", "Chain Bracelet - Blue", 1), ("CB-2", "Chain Bracelet - Black", 0), ("ring", "Ring", 5)]
        );
        assert_eq!(found.records[1].description, "Seven stones.");
        assert_eq!(found.records[1].attributes["color"], "Black");
        assert_eq!((found.skipped.len(), found.skipped[0].line), (1, 6));
    }
}
