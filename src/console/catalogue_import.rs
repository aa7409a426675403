//! A file of products, looked at before it is applied: what it would add, change, remove, and which lines it refuses.

use askama::Template;
use axum::{
    Form,
    extract::{DefaultBodyLimit, Multipart, Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    documents::base_name,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    texts::{Texts, fill},
};
use crate::{
    catalog::Product,
    knowledge::{
        BadValue,
        catalogue::{Field, Plan},
    },
    storage::CatalogueImport,
};

/// Largest file.
const FILE_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Products of each kind that the page lists; of more it says how many there are.
const LISTED_MAX: usize = 200;

/// Limit of the upload.
pub(super) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(FILE_BYTES_MAX + 64 * 1024)
}

#[derive(Template)]
#[template(path = "catalogue_upload.html")]
struct UploadPage {
    l: Layout,
    error: Option<String>,
}

/// `GET /console/catalogue/import`
pub(super) async fn form(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    show_form(&state, locale, &staff, None).await
}

async fn show_form(state: &ConsoleState, locale: Locale, staff: &Staff, error: Option<String>) -> PageResult<Response> {
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let title = locale.texts().catalogue_import;
    let l = Layout::for_staff(state, locale, staff, Section::Catalogue, title).await?;
    render(status, &UploadPage { l, error })
}

/// A file as it was uploaded.
#[derive(Default)]
struct Upload {
    name: String,
    bytes: Vec<u8>,
    whole: bool,
}

async fn read_upload(mut form: Multipart, t: &Texts) -> Result<Upload, String> {
    let mut upload = Upload::default();
    while let Some(mut field) = form.next_field().await.map_err(|_| t.upload_broken.to_owned())? {
        if field.name() == Some("whole") {
            upload.whole = true;
        } else if let Some(name) = field.file_name().map(base_name).filter(|name| !name.is_empty()) {
            upload.name = name;
            while let Some(part) = field.chunk().await.map_err(|_| t.upload_broken.to_owned())? {
                if upload.bytes.len() + part.len() > FILE_BYTES_MAX {
                    let mb = FILE_BYTES_MAX / 1024 / 1024;
                    return Err(fill(t.upload_too_large, &[("mb", mb.to_string())]));
                }
                upload.bytes.extend_from_slice(&part);
            }
        }
    }
    if upload.name.is_empty() {
        return Err(t.upload_nothing.to_owned());
    }
    if upload.bytes.is_empty() {
        return Err(t.upload_empty_file.to_owned());
    }
    Ok(upload)
}

/// `POST /console/catalogue/import`: reads the file and changes nothing.
pub(super) async fn upload(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    form: Multipart,
) -> PageResult<Response> {
    let t = locale.texts();
    let upload = match read_upload(form, t).await {
        Ok(upload) => upload,
        Err(error) => return show_form(&state, locale, &staff, Some(error)).await,
    };
    let _place = state.uploads.acquire().await.map_err(|error| PageError::Internal(error.to_string()))?;
    let Upload { name, bytes, whole } = upload;
    let file = match state.knowledge.importer.read_catalogue(&name, bytes).await {
        Ok(file) => file,
        Err(error) => return show_form(&state, locale, &staff, Some(error.to_string())).await,
    };
    // An empty table that is called the whole catalogue would empty the shop.
    if file.products.is_empty() && file.refused.is_empty() {
        return show_form(&state, locale, &staff, Some(t.catalogue_no_products.to_owned())).await;
    }
    let id = state.store.add_catalogue_import(&name, &file, whole, &staff.user.name, Utc::now()).await?;
    Ok(Redirect::to(&format!("/console/catalogue/imports/{id}")).into_response())
}

/// A product that becomes different.
struct Changed {
    product: Product,
    fields: Vec<ShownChange>,
}

/// What one property was and becomes, as the page names it.
struct ShownChange {
    name: String,
    before: String,
    after: String,
}

/// A line that is refused.
struct Refused {
    line: usize,
    column: String,
    value: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "catalogue_import.html")]
struct ImportPage {
    l: Layout,
    import: CatalogueImport,
    plan: Plan,
    digest: String,
    changed: Vec<Changed>,
    refused: Vec<Refused>,
    error: Option<&'static str>,
}

impl ImportPage {
    /// How many of so many are not listed.
    #[expect(clippy::unused_self, reason = "templates call methods of a value they hold")]
    fn unlisted(&self, count: usize) -> usize {
        count.saturating_sub(LISTED_MAX)
    }

    fn added(&self) -> &[Product] {
        &self.plan.added[..self.plan.added.len().min(LISTED_MAX)]
    }

    fn removed(&self) -> &[Product] {
        &self.plan.removed[..self.plan.removed.len().min(LISTED_MAX)]
    }
}

fn field_name(field: Field, t: &Texts) -> String {
    match field {
        Field::Title => t.product_title,
        Field::Price => t.product_price,
        Field::Stock => t.product_stock,
        Field::Category => t.product_category,
        Field::Description => t.product_description,
        Field::Image => t.product_image,
        Field::CompatibleWith => t.product_fits,
        Field::Language => t.language,
        Field::Attribute(name) => return name,
    }
    .to_owned()
}

/// Why a line is refused, in the page's language where the reason is one of the common ones.
fn reason(bad: &BadValue, t: &Texts) -> String {
    match bad.column.as_str() {
        "sku" | "Handle" => t.refused_sku.to_owned(),
        "title" => t.refused_title.to_owned(),
        "price" | "Variant Price" => t.refused_price.to_owned(),
        "stock" => t.refused_stock.to_owned(),
        _ => bad.expected.trim_end_matches(',').to_owned(),
    }
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    (import, plan): (CatalogueImport, Plan),
    error: Option<&'static str>,
) -> PageResult<Response> {
    let t = locale.texts();
    let changed = plan.changed.iter().take(LISTED_MAX).map(|change| {
        let fields = change.fields.iter().cloned();
        let fields = fields.map(|change| ShownChange {
            name: field_name(change.field, t),
            before: change.before,
            after: change.after,
        });
        Changed { product: change.after.clone(), fields: fields.collect() }
    });
    let refused = import.file.refused.iter().take(LISTED_MAX).map(|bad| Refused {
        line: bad.line,
        column: bad.column.clone(),
        value: bad.value.clone(),
        reason: reason(bad, t),
    });
    let (changed, refused) = (changed.collect(), refused.collect());
    let status = if error.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let l = Layout::for_staff(state, locale, staff, Section::Catalogue, &import.name).await?;
    let digest = plan.digest();
    render(status, &ImportPage { l, import, plan, digest, changed, refused, error })
}

/// The file, and what it does to the catalogue as it is now.
async fn find(state: &ConsoleState, id: i64) -> PageResult<(CatalogueImport, Plan)> {
    let import = state.store.catalogue_import(id).await?.ok_or(PageError::NotFound)?;
    let now = state.store.catalogue().await?;
    let plan = Plan::new(&now, &import.file, import.whole);
    Ok((import, plan))
}

/// `GET /console/catalogue/imports/{id}`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let found = find(&state, id).await?;
    show(&state, locale, &staff, found, None).await
}

/// What the merchant decided.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Decision {
    /// `apply`, or anything else to throw the file away.
    action: String,
    /// What the merchant has seen.
    digest: String,
}

/// `POST /console/catalogue/imports/{id}`
pub(super) async fn decide(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Form(decision): Form<Decision>,
) -> PageResult<Response> {
    let t = locale.texts();
    let (import, plan) = find(&state, id).await?;
    if decision.action != "apply" {
        state.store.delete_catalogue_import(id).await?;
        return Ok(Redirect::to("/console/catalogue").into_response());
    }
    // Only what was looked at is done.
    if decision.digest != plan.digest() {
        return show(&state, locale, &staff, (import, plan), Some(t.catalogue_changed_meanwhile)).await;
    }
    let removed: Vec<String> = plan.removed.into_iter().map(|product| product.sku).collect();
    let changed = plan.changed.into_iter().map(|change| change.after);
    let products = plan.added.into_iter().chain(changed).collect();
    let importer = state.knowledge.importer.clone();
    // In a task of its own: what was begun is finished also when the merchant leaves the page.
    let applying = tokio::spawn(async move { importer.change_products(products, &removed, Utc::now()).await });
    let applied = applying.await.map_err(|error| PageError::Internal(error.to_string()))?;
    applied.map_err(|error| PageError::Internal(error.to_string()))?;
    state.store.delete_catalogue_import(id).await?;
    Ok(Redirect::to("/console/catalogue?done=applied").into_response())
}
