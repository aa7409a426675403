//! The first page: what waits for a person, and how much the shop knows.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageResult, page as render},
    layout::{Layout, Locale, Section},
};
use crate::storage::ConversationCounts;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    l: Layout,
    conversations: ConversationCounts,
    documents: usize,
    passages: i64,
    products: i64,
    orders: i64,
    reviews: i64,
    events: i64,
}

/// `GET /console`
pub(super) async fn page(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    let title = locale.texts().overview;
    let l = Layout::for_staff(&state, locale, &staff, Section::Overview, title).await?;
    let documents = state.store.documents().await?;
    let [products, orders, reviews, events] = state.store.record_counts().await?;
    let overview = OverviewPage {
        l,
        conversations: state.store.conversation_counts().await?,
        passages: documents.iter().map(|document| document.chunks).sum(),
        documents: documents.len(),
        products,
        orders,
        reviews,
        events,
    };
    render(StatusCode::OK, &overview)
}
