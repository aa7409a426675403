//! Completing a basket: one product of each later basket is hidden and must be found from the others.
//!
//! Invoice lines come in time order with a date column and a product column; lines of one invoice are one basket. Where
//! there is no invoice number, lines of one customer at one time are. Lines that return goods are left out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    EvaluationError, Report, Result,
    data::Table,
    embeddings::progress,
    metrics::{mean, ranking},
};
use crate::recommend::together::BasketCounts;

const DATE_COLUMNS: &[&str] = &["invoicedate", "date", "placed_at", "timestamp", "time"];
const PRODUCT_COLUMNS: &[&str] = &["stockcode", "sku", "product_id", "product", "item", "description"];
const INVOICE_COLUMNS: &[&str] = &["invoiceno", "invoice", "order_id", "basket"];
const CUSTOMER_COLUMNS: &[&str] = &["customerid", "customer_id", "customer"];
const QUANTITY_COLUMNS: &[&str] = &["quantity", "qty"];
const DEPTH: usize = 10;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Invoice lines.
    pub train: Vec<PathBuf>,
    /// More invoice lines, which are judged from the cut on as well.
    pub test: Vec<PathBuf>,
    /// First day that is judged, `2011-10-01`; everything before is learned.
    pub cut: Option<String>,
}

/// Products of one invoice, and when it was written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Basket {
    date: String,
    products: Vec<String>,
}

/// Runs the suite.
pub fn run(input: &Input) -> Result<Report> {
    let Some(cut) = &input.cut else {
        return Err(EvaluationError::Argument("say from which day on baskets are judged: --cut 2011-10-01".to_owned()));
    };
    let paths: Vec<&PathBuf> = input.train.iter().chain(&input.test).collect();
    if paths.is_empty() {
        return Err(EvaluationError::Argument("name the invoice lines with --train FILE".to_owned()));
    }
    let mut baskets = Vec::new();
    for path in &paths {
        baskets.extend(read(path)?);
    }
    let (before, after): (Vec<Basket>, Vec<Basket>) = baskets.into_iter().partition(|basket| basket.date < *cut);
    let judged: Vec<&Basket> = after.iter().filter(|basket| basket.products.len() >= 2).collect();
    if before.is_empty() || judged.is_empty() {
        let problem = format!("no baskets before or none from {cut} on: choose another --cut");
        return Err(EvaluationError::data(paths[0], problem));
    }
    let mut counts = BasketCounts::default();
    for basket in &before {
        counts.add_basket(basket.products.iter().map(String::as_str));
    }
    let bar = progress(judged.len(), "completing baskets");
    let ranks: Vec<Option<usize>> = judged
        .iter()
        .enumerate()
        .map(|(at, basket)| {
            let hidden = hidden_place(at, basket.products.len());
            let mut rest = basket.products.clone();
            let target = rest.remove(hidden);
            bar.inc(1);
            counts.complete(&rest, DEPTH).iter().position(|(product, _)| *product == target)
        })
        .collect();
    bar.finish_and_clear();
    Ok(Report::new("baskets")
        .figure("hr_at_10", mean(ranks.iter().map(|rank| ranking::hit(*rank, DEPTH))))
        .figure("ndcg_at_10", mean(ranks.iter().map(|rank| ranking::ndcg_of_one(*rank, DEPTH))))
        .count("baskets_learned", before.len())
        .count("baskets_judged", judged.len()))
}

/// Any product of the basket is as likely as any other, and the same on every run.
fn hidden_place(basket: usize, products: usize) -> usize {
    let mixed = (basket as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 31)) % products as u64) as usize
}

fn read(path: &Path) -> Result<Vec<Basket>> {
    let table = Table::read(path)?;
    let find = |names: &[&str]| names.iter().find_map(|name| table.column(name).ok());
    let need = |names: &[&str], what: &str| {
        find(names).ok_or_else(|| {
            let known = table.headers().join(", ");
            let names = names.join(", ");
            EvaluationError::data(path, format!("has no {what} column ({names}); its columns are: {known}"))
        })
    };
    let (date, product) = (need(DATE_COLUMNS, "date")?, need(PRODUCT_COLUMNS, "product")?);
    let invoice = find(INVOICE_COLUMNS);
    let customer = find(CUSTOMER_COLUMNS);
    let quantity = find(QUANTITY_COLUMNS);
    if invoice.is_none() && customer.is_none() {
        need(INVOICE_COLUMNS, "invoice")?;
    }
    let mut baskets: BTreeMap<(String, String), Basket> = BTreeMap::new();
    for row in table.rows() {
        let returned = quantity.is_some_and(|at| row[at].trim().starts_with('-'));
        let product = row[product].trim();
        if returned || product.is_empty() {
            continue;
        }
        let key = match (invoice, customer) {
            (Some(invoice), _) => (row[date].clone(), row[invoice].clone()),
            (None, Some(customer)) => (row[date].clone(), row[customer].clone()),
            (None, None) => continue,
        };
        let basket = baskets.entry(key).or_default();
        basket.date.clone_from(&row[date]);
        if !basket.products.iter().any(|known| known == product) {
            basket.products.push(product.to_owned());
        }
    }
    Ok(baskets.into_values().collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_of_one_customer_at_one_time_are_a_basket_and_returns_are_none() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = "Description,Quantity,InvoiceDate,CustomerID\ntea,1,2011-01-01 08:00:00,1\npot,2,2011-01-01 08:00:00,1\n\
                    tea,1,2011-01-01 08:00:00,1\nhat,-1,2011-01-01 08:00:00,1\nhat,1,2011-01-02 08:00:00,1\n";
        file.write_all(text.as_bytes()).unwrap();
        let products: Vec<Vec<String>> = read(file.path()).unwrap().into_iter().map(|basket| basket.products).collect();
        assert_eq!(products, [vec!["tea".to_owned(), "pot".to_owned()], vec!["hat".to_owned()]]);
    }

    #[test]
    fn every_place_is_hidden_sometimes() {
        let places: std::collections::BTreeSet<usize> = (0..50).map(|at| hidden_place(at, 3)).collect();
        assert_eq!(places.len(), 3);
    }
}
