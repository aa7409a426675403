//! What owners decide about people, and what it means for those who are logged in.

use std::time::Duration;

use axum::http::Method;
use chrono::{TimeDelta, Utc};
use futures::StreamExt;
use reqwest::{Response, StatusCode};
use shoptalk::{message::Channel, storage::Role};

use super::{PASSWORD, TestConsole, Visitor, location, reply};

/// People who are kept out are so within this time.
const AT_ONCE: Duration = Duration::from_secs(1);
const ANOTHER_PASSWORD: &str = "another long password";

async fn id_of(shop: &TestConsole, role: Role) -> i64 {
    shop.store.user_by_email(&format!("{}@shop.example", role.as_str())).await.unwrap().unwrap().id
}

/// Whether a stream of live updates ends at once.
async fn ends_at_once(stream: Response) -> bool {
    let mut events = stream.bytes_stream();
    let end = async { while events.next().await.is_some() {} };
    tokio::time::timeout(AT_ONCE, end).await.is_ok()
}

async fn is_logged_out(visitor: &Visitor) -> bool {
    location(&visitor.get("/console").await).starts_with("/console/login")
}

fn token_in(page: &str) -> String {
    let (_, rest) = page.split_once("/console/password?token=").expect("a link");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_who_is_deactivated_is_out_at_once_and_can_be_let_in_again() {
    let shop = TestConsole::start().await;
    let mut owner = shop.logged_in(Role::Owner).await;
    let agent = shop.logged_in(Role::Agent).await;
    let path = format!("/console/people/{}/access", id_of(&shop, Role::Agent).await);
    let stream = agent.get("/console/live").await;
    assert_eq!(owner.post(&path, &[("action", "deactivate")]).await.status(), StatusCode::SEE_OTHER);
    assert!(is_logged_out(&agent).await);
    assert!(ends_at_once(stream).await, "an open stream ends too");
    let mut again = shop.visitor();
    let refused = again.log_in("agent@shop.example", PASSWORD).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(owner.page("/console/people").await.contains("deactivated"));

    owner.post(&path, &[("action", "activate")]).await;
    assert!(is_logged_out(&agent).await, "the session that was ended stays so");
    assert_eq!(again.log_in("agent@shop.example", PASSWORD).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn another_role_holds_at_once_in_open_sessions() {
    let shop = TestConsole::start().await;
    let mut owner = shop.logged_in(Role::Owner).await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let other = shop.logged_in(Role::Viewer).await;
    let conversation = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let (stream, kept) = (agent.get("/console/live").await, other.get("/console/live").await);
    let path = format!("/console/people/{}/role", id_of(&shop, Role::Agent).await);
    assert_eq!(owner.post(&path, &[("role", "viewer")]).await.status(), StatusCode::SEE_OTHER);
    let answer = agent.post(&format!("/console/conversations/{conversation}/reply"), &[("text", "hello")]).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(agent.get("/console/conversations").await.status().is_success());
    assert!(ends_at_once(stream).await, "the stream of the old role ends");
    assert!(!ends_at_once(kept).await, "nobody else's does");
    let nonsense = owner.post(&path, &[("role", "emperor")]).await;
    assert_eq!(nonsense.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_last_owner_can_be_neither_demoted_nor_deactivated() {
    let shop = TestConsole::start().await;
    let mut owner = shop.logged_in(Role::Owner).await;
    let id = id_of(&shop, Role::Owner).await;
    let (role, access) = (format!("/console/people/{id}/role"), format!("/console/people/{id}/access"));
    for (path, fields) in [(&role, ("role", "agent")), (&access, ("action", "deactivate"))] {
        let response = owner.post(path, &[fields]).await;
        assert_eq!(response.status(), StatusCode::CONFLICT, "{path}");
        assert!(response.text().await.unwrap().contains("last owner"));
    }
    let second = shop.store.add_user("bo@shop.example", "Bo", Role::Owner, "hash", Utc::now()).await.unwrap().unwrap();
    shop.store.deactivate(second, Utc::now()).await.unwrap();
    let response = owner.post(&role, &[("role", "agent")]).await;
    assert_eq!(response.status(), StatusCode::CONFLICT, "an owner who is kept out does not count");
    shop.store.activate(second).await.unwrap();
    assert_eq!(owner.post(&role, &[("role", "agent")]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(owner.get("/console/people").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_password_link_works_once_and_ends_the_sessions_of_its_owner() {
    let shop = TestConsole::start().await;
    let mut owner = shop.logged_in(Role::Owner).await;
    let agent = shop.logged_in(Role::Agent).await;
    let path = format!("/console/people/{}/link", id_of(&shop, Role::Agent).await);
    let replaced = token_in(&owner.post(&path, &[]).await.text().await.unwrap());
    let token = token_in(&owner.post(&path, &[]).await.text().await.unwrap());
    assert!(!owner.page(path.trim_end_matches("/link")).await.contains(&token), "the link is shown once");
    let mut visitor = shop.visitor();
    for wrong in ["", "x", &replaced] {
        let response = visitor.get(&format!("/console/password?token={wrong}")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{wrong}");
    }
    assert!(visitor.page(&format!("/console/password?token={token}")).await.contains("agent@shop.example"));
    let fields = |token: &'static str, password: &'static str| [("token", token), ("password", password)];
    let token: &'static str = token.leak();
    for (password, again) in [("short", "short"), (ANOTHER_PASSWORD, PASSWORD)] {
        let [token, password] = fields(token, password);
        let response = visitor.post("/console/password", &[token, password, ("password_again", again)]).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert!(!is_logged_out(&agent).await);
    let [token_field, password] = fields(token, ANOTHER_PASSWORD);
    let form = [token_field, password, ("password_again", ANOTHER_PASSWORD)];
    assert_eq!(location(&visitor.post("/console/password", &form).await), "/console/login");
    assert!(is_logged_out(&agent).await);
    assert_eq!(visitor.post("/console/password", &form).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(visitor.log_in("agent@shop.example", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(visitor.log_in("agent@shop.example", ANOTHER_PASSWORD).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_password_link_ends_with_its_time_and_with_its_owners_access() {
    let shop = TestConsole::start().await;
    shop.logged_in(Role::Agent).await;
    let id = id_of(&shop, Role::Agent).await;
    let (now, store) = (Utc::now(), &shop.store);
    store.keep_password_link(id, "digest", now + TimeDelta::hours(1)).await.unwrap();
    assert!(store.password_link_owner("digest", now).await.unwrap().is_some());
    assert!(store.password_link_owner("digest", now + TimeDelta::hours(1)).await.unwrap().is_none());
    assert!(!store.use_password_link("digest", "hash", now + TimeDelta::hours(1)).await.unwrap());
    store.deactivate(id, now).await.unwrap();
    store.activate(id).await.unwrap();
    assert!(!store.use_password_link("digest", "hash", now).await.unwrap());
}

#[tokio::test]
async fn sessions_are_listed_with_their_browser_and_can_be_ended_one_by_one() {
    let shop = TestConsole::start().await;
    let mut owner = shop.logged_in(Role::Owner).await;
    shop.logged_in(Role::Agent).await;
    let log_in_with = async |browser: &str| {
        let mut visitor = shop.visitor();
        let request = visitor.request(Method::POST, "/console/login").header("origin", &visitor.origin);
        let fields = [("email", "agent@shop.example"), ("password", PASSWORD)];
        let response = request.header("user-agent", browser).form(&fields).send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().clone_into(&mut visitor.cookie);
        visitor
    };
    let (kept, ended) = (log_in_with("Browser of the desk <b>").await, log_in_with("Browser that was lost").await);
    let (stream, kept_stream) = (ended.get("/console/live").await, kept.get("/console/live").await);
    let id = id_of(&shop, Role::Agent).await;
    let page = owner.page(&format!("/console/people/{id}")).await;
    assert_eq!(page.matches("name=\"session\"").count(), 3);
    assert!(page.contains("Browser of the desk &#60;b&#62;") && !page.contains("this one"));
    let row = page.split("<tr>").find(|row| row.contains("Browser that was lost")).unwrap();
    let session = row.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(!ended.cookie.contains(session), "the page holds no usable id");

    let of_another = format!("/console/people/{}/sessions", id_of(&shop, Role::Owner).await);
    owner.post(&of_another, &[("session", session)]).await;
    assert!(!is_logged_out(&ended).await);
    owner.post(&format!("/console/people/{id}/sessions"), &[("session", session)]).await;
    assert!(is_logged_out(&ended).await && !is_logged_out(&kept).await);
    assert!(ends_at_once(stream).await && !ends_at_once(kept_stream).await);
    shop.store.save_session(session, "{}", None, Utc::now() + TimeDelta::hours(1)).await.unwrap();
    assert!(shop.store.session(session, Utc::now()).await.unwrap().is_none(), "a request under way revives nothing");
    let own = owner.page(&format!("/console/people/{}", id_of(&shop, Role::Owner).await)).await;
    assert!(own.contains("this one"));
}

#[tokio::test]
async fn everybody_can_change_their_own_password_and_only_their_other_sessions_end() {
    let shop = TestConsole::start().await;
    let mut viewer = shop.logged_in(Role::Viewer).await;
    let mut other = shop.visitor();
    other.log_in("viewer@shop.example", PASSWORD).await;
    let form = |old: &'static str, new: &'static str, again: &'static str| {
        [("old_password", old), ("password", new), ("password_again", again)]
    };
    for wrong in [
        form("not the password", ANOTHER_PASSWORD, ANOTHER_PASSWORD),
        form(PASSWORD, "short", "short"),
        form(PASSWORD, ANOTHER_PASSWORD, PASSWORD),
    ] {
        let response = viewer.post("/console/account", &wrong).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    }
    assert!(!is_logged_out(&other).await);
    let response = viewer.post("/console/account", &form(PASSWORD, ANOTHER_PASSWORD, ANOTHER_PASSWORD)).await;
    assert!(response.text().await.unwrap().contains("has been changed"));
    assert!(!is_logged_out(&viewer).await && is_logged_out(&other).await);
    assert_eq!(other.log_in("viewer@shop.example", PASSWORD).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(other.log_in("viewer@shop.example", ANOTHER_PASSWORD).await.status(), StatusCode::SEE_OTHER);
}
