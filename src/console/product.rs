//! One product: what shoppers are told of it, edited by hand. The bot answers from it a moment later.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    ConsoleState,
    access::Staff,
    catalogue::product_address,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    texts::{Texts, fill},
};
use crate::catalog::{Money, Product};

/// Longest title, in characters.
const TITLE_CHARACTERS_MAX: usize = 300;
/// Longest description, in characters.
const DESCRIPTION_CHARACTERS_MAX: usize = 20_000;

/// Which product, as the address has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProductQuery {
    sku: String,
}

/// A product as the form has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProductForm {
    title: String,
    price: String,
    stock: String,
    category: String,
    description: String,
    attributes: String,
    /// Digest of the product that the form was filled with.
    was: String,
}

impl ProductForm {
    fn of(product: &Product) -> Self {
        let attributes: Vec<_> = product.attributes.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        Self {
            title: product.title.clone(),
            price: product.price.amount(),
            stock: product.stock.to_string(),
            category: product.category.clone(),
            description: product.description.clone(),
            attributes: attributes.join("\n"),
            was: digest(product),
        }
    }

    /// The product that the form describes, or a sentence for each field that needs mending.
    fn apply(&self, product: &Product, t: &Texts) -> Result<Product, Vec<String>> {
        let mut errors = Vec::new();
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        if title.is_empty() || title.chars().count() > TITLE_CHARACTERS_MAX {
            errors.push(fill(t.product_title_wrong, &[("max", TITLE_CHARACTERS_MAX.to_string())]));
        }
        let currency = &product.price.currency;
        let price = Money::parse(&self.price, currency);
        if price.is_err() {
            let decimals = Money::decimals(currency).to_string();
            errors.push(fill(t.product_price_wrong, &[("currency", currency.clone()), ("n", decimals)]));
        }
        let stock = self.stock.trim().parse::<u32>();
        if stock.is_err() {
            errors.push(t.product_stock_wrong.to_owned());
        }
        let description = self.description.replace("\r\n", "\n").trim().to_owned();
        if description.chars().count() > DESCRIPTION_CHARACTERS_MAX {
            errors.push(fill(t.product_description_wrong, &[("max", DESCRIPTION_CHARACTERS_MAX.to_string())]));
        }
        let attributes = read_attributes(&self.attributes);
        if let Err(line) = &attributes {
            errors.push(fill(t.product_attributes_wrong, &[("line", line)]));
        }
        match (price, stock, attributes) {
            (Ok(price), Ok(stock), Ok(attributes)) if errors.is_empty() => {
                let category = self.category.trim().to_owned();
                Ok(Product { title, description, category, price, stock, attributes, ..product.clone() })
            }
            _ => Err(errors),
        }
    }
}

/// `colour: blue`, one a line. The error is the line that is not like that.
fn read_attributes(text: &str) -> Result<BTreeMap<String, String>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let pair = line.split_once([':', '：']).map(|(name, value)| (name.trim(), value.trim()));
            match pair {
                Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(line.to_owned()),
            }
        })
        .collect()
}

fn digest(product: &Product) -> String {
    hex::encode(&Sha256::digest(format!("{product:?}"))[..16])
}

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage {
    l: Layout,
    product: Product,
    form: ProductForm,
    action: String,
    errors: Vec<String>,
}

/// `GET /console/catalogue/product`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<ProductQuery>,
) -> PageResult<Response> {
    let product = find(&state, query.sku).await?;
    let form = ProductForm::of(&product);
    show(&state, locale, &staff, StatusCode::OK, (product, form), Vec::new()).await
}

async fn find(state: &ConsoleState, sku: String) -> PageResult<Product> {
    state.store.products_by_sku(&[sku]).await?.pop().ok_or(PageError::NotFound)
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    status: StatusCode,
    (product, form): (Product, ProductForm),
    errors: Vec<String>,
) -> PageResult<Response> {
    let l = Layout::for_staff(state, locale, staff, Section::Catalogue, &product.title).await?;
    let action = product_address(&product.sku);
    render(status, &ProductPage { l, product, form, action, errors })
}

/// `POST /console/catalogue/product`
pub(super) async fn save(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<ProductQuery>,
    Form(form): Form<ProductForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    let product = find(&state, query.sku).await?;
    if form.was != digest(&product) {
        let now = ProductForm::of(&product);
        let errors = vec![t.product_changed_meanwhile.to_owned()];
        return show(&state, locale, &staff, StatusCode::CONFLICT, (product, now), errors).await;
    }
    match form.apply(&product, t) {
        Ok(changed) => {
            let changing = state.knowledge.importer.change_products(vec![changed], &[], Utc::now());
            changing.await.map_err(|error| PageError::Internal(error.to_string()))?;
            Ok(Redirect::to("/console/catalogue?done=saved").into_response())
        }
        Err(errors) => show(&state, locale, &staff, StatusCode::UNPROCESSABLE_ENTITY, (product, form), errors).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_lines_of_name_and_value() {
        let read = read_attributes("colour: blue\n\n 尺码：大 \nsite: https://a.example").unwrap();
        assert_eq!((read["colour"].as_str(), read["尺码"].as_str()), ("blue", "大"));
        assert_eq!(read["site"], "https://a.example");
        assert_eq!(read_attributes("colour blue").unwrap_err(), "colour blue");
        assert_eq!(read_attributes("colour:").unwrap_err(), "colour:");
    }
}
