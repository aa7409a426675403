//! The audit log: every deed is in it, no words of shoppers are.

use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use shoptalk::{
    conversation::Staff,
    message::Channel,
    storage::{AuditFilter, AuditKind, Deed, Role},
};

use super::{PASSWORD, TestConsole, reply};

async fn kinds(shop: &TestConsole) -> Vec<&'static str> {
    let entries = shop.store.audit_entries(&AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap();
    entries.iter().rev().map(|entry| entry.kind.as_str()).collect()
}

#[tokio::test]
async fn what_is_done_in_the_console_is_noted_without_the_words_of_shoppers() {
    let shop = TestConsole::start().await;
    let mut owner = shop.logged_in(Role::Owner).await;
    let id = shop.turn(Channel::Widget, "w1", "secret words of a shopper", &reply("Hi")).await;
    let document = shop.document("faq.md", "text").await;
    shop.document("faq.md", "other text").await;
    let version = shop.store.versions("faq.md").await.unwrap()[0].id;
    let fields = [("name", "Bo"), ("email", "bo@shop.example"), ("role", "agent"), ("password", PASSWORD)];
    owner.post("/console/people", &fields).await;
    owner.post("/console/people", &fields).await;
    let bo = shop.store.user_by_email("bo@shop.example").await.unwrap().unwrap().id;
    owner.post(&format!("/console/people/{bo}/role"), &[("role", "merchant")]).await;
    owner.post(&format!("/console/people/{bo}/role"), &[("role", "merchant")]).await;
    owner.post(&format!("/console/people/{bo}/link"), &[]).await;
    owner.post(&format!("/console/people/{bo}/access"), &[("action", "deactivate")]).await;
    owner.post(&format!("/console/people/{bo}/access"), &[("action", "activate")]).await;
    owner.upload(vec![("new.md", b"text".to_vec()), ("broken.pdf", b"x".to_vec())]).await;
    owner.post(&format!("/console/versions/{version}"), &[]).await;
    owner.post(&format!("/console/documents/{document}/valid-until"), &[("until", "2099-12-31")]).await;
    owner.post(&format!("/console/documents/{document}/delete"), &[]).await;
    owner.post(&format!("/console/conversations/{id}/reply"), &[("text", "hello")]).await;
    owner.post(&format!("/console/conversations/{id}/reply"), &[("text", "hello again")]).await;
    owner.post(&format!("/console/conversations/{id}/state"), &[("action", "return")]).await;
    owner.get(&format!("/console/conversations/{id}/export")).await;
    owner.get("/console/conversations/export").await;
    owner.post("/console/replies", &[("name", "hours"), ("text", "We are open.")]).await;
    owner.post("/console/logout", &[]).await;
    owner.log_in("owner@shop.example", "not the password").await;
    owner.log_in("a password typed as a name", "not the password").await;
    let noted = kinds(&shop).await;
    assert_eq!(
        noted,
        [
            "signed_in",
            "person_added",
            "role_changed",
            "password_link_made",
            "person_deactivated",
            "person_activated",
            "file_uploaded",
            "document_rolled_back",
            "validity_changed",
            "document_deleted",
            "conversation_taken",
            "conversation_handed_back",
            "shopper_exported",
            "list_exported",
            "setting_changed",
            "signed_out",
            "sign_in_failed",
            "sign_in_failed",
        ]
    );
    owner.log_in("owner@shop.example", PASSWORD).await;
    let page = owner.page("/console/audit").await;
    for part in ["bo@shop.example: agent → merchant", "faq.md", "Conversation taken over", "nobody known"] {
        assert!(page.contains(part), "{part}");
    }
    for kept_out in ["secret words", "typed as a name", "hello", "We are open"] {
        assert!(!page.contains(kept_out), "{kept_out}");
    }
}

#[tokio::test]
async fn the_log_is_filtered_by_person_kind_and_date_and_has_pages() {
    let shop = TestConsole::start().await;
    let owner = shop.logged_in(Role::Owner).await;
    let long_ago = Utc::now() - TimeDelta::days(400);
    for number in 0..60 {
        let actor = Some(Staff::new("telegram", 7, "=1+1"));
        let subject = format!("conversation {number}");
        let deed =
            Deed { actor, kind: AuditKind::ConversationClosed, subject, at: long_ago + TimeDelta::seconds(number) };
        shop.store.note_deed(deed).await.unwrap();
    }
    let rows = |page: &str| page.matches("<tr><td").count();
    let first = owner.page("/console/audit?person=telegram%3A7").await;
    assert_eq!(rows(&first), 50);
    assert!(first.contains("page=2") && first.contains("Conversation 59"));
    let second = owner.page("/console/audit?person=telegram%3A7&page=2").await;
    assert_eq!(rows(&second), 10);
    assert!(second.contains("Conversation 0<") && !second.contains("page=3"));
    assert_eq!(rows(&owner.page("/console/audit?kind=signed_in").await), 1);
    let day = long_ago.date_naive();
    let until = owner.page(&format!("/console/audit?to={day}&kind=signed_in")).await;
    assert!(until.contains("Nothing was noted"));
    let from = owner.page(&format!("/console/audit?from={}", Utc::now().date_naive())).await;
    assert_eq!(rows(&from), 1);
    assert_eq!(rows(&owner.page("/console/audit?page=x&from=x&kind=x").await), 50);

    let response = owner.get("/console/audit/export?person=telegram%3A7").await;
    assert!(response.headers()["content-disposition"].to_str().unwrap().contains("audit-log.csv"));
    let table = response.text().await.unwrap();
    assert_eq!(table.lines().count(), 61);
    assert!(table.contains(",'=1+1,telegram:7,conversation_closed,conversation 59"), "{table}");
}

#[tokio::test]
async fn only_owners_read_the_log() {
    let shop = TestConsole::start().await;
    for role in [Role::Viewer, Role::Agent, Role::Merchant] {
        let visitor = shop.logged_in(role).await;
        for path in ["/console/audit", "/console/audit/export", "/console/people/1"] {
            assert_eq!(visitor.get(path).await.status(), StatusCode::FORBIDDEN, "{role:?} {path}");
        }
        assert!(!visitor.page("/console").await.contains("/console/audit"));
    }
}
