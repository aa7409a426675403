//! The catalogue: products, stock and prices in a table that can be searched, narrowed and sorted.

use std::{cmp::Ordering, collections::BTreeSet};

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageResult, page as render},
    layout::{Layout, Locale, Section, query_value},
};
use crate::catalog::Product;

/// Products on one page.
const PAGE_SIZE: usize = 50;
/// From so many pieces down, stock is low.
const LOW_STOCK: u32 = 3;

/// What is looked for, as the address has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CatalogueQuery {
    q: String,
    category: String,
    stock: String,
    sort: String,
    page: usize,
    /// What was done a moment ago: `saved` or `applied`.
    done: String,
}

/// By what products are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Title,
    Sku,
    Category,
    Price,
    Stock,
}

impl Column {
    const ALL: [(&'static str, Self); 5] = [
        ("title", Self::Title),
        ("sku", Self::Sku),
        ("category", Self::Category),
        ("price", Self::Price),
        ("stock", Self::Stock),
    ];

    fn compare(self, one: &Product, other: &Product) -> Ordering {
        match self {
            Self::Title => one.title.to_lowercase().cmp(&other.title.to_lowercase()),
            Self::Sku => one.sku.cmp(&other.sku),
            Self::Category => one.category.cmp(&other.category),
            // Amounts of different currencies are not compared.
            Self::Price => (&one.price.currency, one.price.minor).cmp(&(&other.price.currency, other.price.minor)),
            Self::Stock => one.stock.cmp(&other.stock),
        }
    }
}

impl CatalogueQuery {
    /// The products that are looked for, in the order that is asked for; without one by title.
    fn select(&self, products: &[Product]) -> Vec<Product> {
        let words: Vec<String> = self.q.split_whitespace().map(str::to_lowercase).collect();
        let mut found: Vec<Product> = products
            .iter()
            .filter(|product| self.category.is_empty() || product.category == self.category)
            .filter(|product| match self.stock.as_str() {
                "in" => product.stock > 0,
                "low" => (1..=LOW_STOCK).contains(&product.stock),
                "out" => product.stock == 0,
                _ => true,
            })
            .filter(|product| words.is_empty() || has_all(product, &words))
            .cloned()
            .collect();
        let (column, descending) = self.order();
        found.sort_by(|one, other| {
            let order = column.compare(one, other);
            (if descending { order.reverse() } else { order }).then_with(|| one.sku.cmp(&other.sku))
        });
        found
    }

    /// The column and whether the greatest comes first.
    fn order(&self) -> (Column, bool) {
        let name = self.sort.trim_start_matches('-');
        let column = Column::ALL.iter().find(|(known, _)| *known == name).map_or(Column::Title, |(_, column)| *column);
        (column, self.sort.starts_with('-'))
    }

    fn is_narrowed(&self) -> bool {
        !(self.q.is_empty() && self.category.is_empty() && self.stock.is_empty())
    }

    /// The address of the same products, sorted otherwise or on another page.
    fn address(&self, sort: &str, page: usize) -> String {
        let mut address = String::from("/console/catalogue?");
        for (name, value) in [("q", &self.q), ("category", &self.category), ("stock", &self.stock)] {
            if !value.is_empty() {
                address.push_str(&format!("{name}={}&", query_value(value)));
            }
        }
        address.push_str(&format!("sort={}&page={page}", query_value(sort)));
        address
    }
}

/// Whether each word stands somewhere in what the record says. Chinese has no spaces, so that parts of words count.
fn has_all(product: &Product, words: &[String]) -> bool {
    let mut text =
        [&product.sku, &product.title, &product.category, &product.description].map(String::as_str).join("\n");
    for (name, value) in &product.attributes {
        text.push('\n');
        text.push_str(name);
        text.push('\n');
        text.push_str(value);
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}

/// The head of a column: where a click leads and how the table is sorted now.
struct Head {
    label: &'static str,
    address: String,
    /// For `aria-sort`.
    sorted: &'static str,
    arrow: &'static str,
    is_number: bool,
}

#[derive(Template)]
#[template(path = "catalogue.html")]
struct CataloguePage {
    l: Layout,
    query: CatalogueQuery,
    heads: Vec<Head>,
    categories: BTreeSet<String>,
    products: Vec<Product>,
    /// All that are looked for.
    found: usize,
    /// All in the catalogue.
    total: usize,
    previous: Option<String>,
    next: Option<String>,
    done: Option<&'static str>,
}

impl CataloguePage {
    #[expect(clippy::unused_self, reason = "templates call methods of a value they hold")]
    fn edit_address(&self, product: &Product) -> String {
        product_address(&product.sku)
    }

    #[expect(clippy::unused_self, reason = "templates call methods of a value they hold")]
    fn is_low(&self, product: &Product) -> bool {
        product.stock <= LOW_STOCK
    }
}

/// Where a product is edited. The number stands in the query: it may hold any character.
pub(super) fn product_address(sku: &str) -> String {
    format!("/console/catalogue/product?sku={}", query_value(sku))
}

/// `GET /console/catalogue`
pub(super) async fn list(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<CatalogueQuery>,
) -> PageResult<Response> {
    let t = locale.texts();
    let all = state.store.catalogue().await?;
    let found = query.select(&all);
    let last = found.len().saturating_sub(1) / PAGE_SIZE;
    let page = query.page.min(last);
    let (sorted_by, descending) = query.order();
    let heads = Column::ALL.map(|(name, column)| {
        let is_sorted = column == sorted_by;
        let sort = if is_sorted && !descending { format!("-{name}") } else { name.to_owned() };
        Head {
            label: match column {
                Column::Title => t.product_title,
                Column::Sku => t.product_sku,
                Column::Category => t.product_category,
                Column::Price => t.product_price,
                Column::Stock => t.product_stock,
            },
            address: query.address(&sort, 0),
            sorted: match (is_sorted, descending) {
                (false, _) => "none",
                (true, false) => "ascending",
                (true, true) => "descending",
            },
            arrow: match (is_sorted, descending) {
                (false, _) => "",
                (true, false) => "↑",
                (true, true) => "↓",
            },
            is_number: matches!(column, Column::Price | Column::Stock),
        }
    });
    let shown = CataloguePage {
        l: Layout::for_staff(&state, locale, &staff, Section::Catalogue, t.catalogue).await?,
        heads: heads.into(),
        total: all.len(),
        found: found.len(),
        categories: all.into_iter().map(|product| product.category).filter(|name| !name.is_empty()).collect(),
        previous: page.checked_sub(1).map(|page| query.address(&query.sort, page)),
        next: (page < last).then(|| query.address(&query.sort, page + 1)),
        products: found.into_iter().skip(page * PAGE_SIZE).take(PAGE_SIZE).collect(),
        done: match query.done.as_str() {
            "saved" => Some(t.product_saved),
            "applied" => Some(t.catalogue_applied),
            _ => None,
        },
        query,
    };
    render(StatusCode::OK, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::read_products;

    fn shown(query: &CatalogueQuery) -> Vec<String> {
        let text = "sku,title,category,price,stock,colour\nA,Case,Bags,10,0,Red\nB,蓝牙耳机,数码,9.50,2,黑色\nC,case small,Bags,9,7,blue\n";
        let products = read_products("p.csv", text.as_bytes(), "EUR").unwrap().records;
        query.select(&products).into_iter().map(|product| product.sku).collect()
    }

    #[test]
    fn products_are_found_in_both_languages_by_any_of_their_words() {
        let search = |q: &str| shown(&CatalogueQuery { q: q.to_owned(), ..CatalogueQuery::default() });
        assert_eq!(search("CASE"), ["A", "C"]);
        assert_eq!(search("red case"), ["A"]);
        assert_eq!(search("耳机"), ["B"]);
        assert_eq!(search("黑色"), ["B"]);
        assert!(search("lamp").is_empty());
    }

    #[test]
    fn products_are_narrowed_and_sorted_as_asked() {
        let query = CatalogueQuery::default;
        assert_eq!(shown(&CatalogueQuery { stock: "in".to_owned(), ..query() }), ["C", "B"]);
        assert_eq!(shown(&CatalogueQuery { stock: "out".to_owned(), ..query() }), ["A"]);
        assert_eq!(shown(&CatalogueQuery { stock: "low".to_owned(), ..query() }), ["B"]);
        assert_eq!(shown(&CatalogueQuery { category: "Bags".to_owned(), ..query() }), ["A", "C"]);
        assert_eq!(shown(&CatalogueQuery { sort: "price".to_owned(), ..query() }), ["C", "B", "A"]);
        assert_eq!(shown(&CatalogueQuery { sort: "-stock".to_owned(), ..query() }), ["C", "B", "A"]);
    }
}
