//! The first page: what waits for a person, and how much the shop knows.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageResult, page as render},
    layout::{Layout, Locale, Section},
};
use crate::{
    storage::ConversationCounts,
    telemetry::{Health, ModelState, Status},
};

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
    health: Health,
}

impl OverviewPage {
    /// How the program is, in one line.
    fn state(&self) -> String {
        let t = self.l.t;
        let answers = match self.health.status {
            Status::Starting => t.health_starting,
            Status::Ready => t.health_ready,
            Status::Degraded => t.health_degraded,
            Status::Unavailable => t.health_unavailable,
        };
        let chat = match &self.health.chat_model {
            ModelState::Ready => t.chat_ready.to_owned(),
            ModelState::Loading => t.chat_loading.to_owned(),
            ModelState::Absent => t.chat_absent.to_owned(),
            ModelState::Failed(why) => self.l.named(t.chat_failed, why),
            ModelState::Unreachable(why) => self.l.named(t.chat_unreachable, why),
        };
        let encoder = self.l.named(t.health_encoder, &self.health.encoder);
        [answers, &chat, &encoder].join(" · ")
    }
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
        health: (state.health)().await,
    };
    render(StatusCode::OK, &overview)
}
