//! Who gets in, and who is kept out.

use axum::http::Method;
use chrono::Utc;
use reqwest::StatusCode;
use shoptalk::{
    console::{self, Access},
    message::Channel,
    storage::{Author, Role},
};

use super::{PASSWORD, PASSWORD_HASH, TestConsole, location, reply};

const ROLES: [Role; 4] = [Role::Viewer, Role::Agent, Role::Merchant, Role::Owner];

/// A route's path with its places filled in; nothing has the number 999.
fn example(path: &str) -> String {
    path.replace("{id}", "999").replace("{file}", "console.css").replace("{*rest}", "no/such/page")
}

fn setup_fields(token: &str) -> [(&str, &str); 5] {
    [
        ("token", token),
        ("name", "Ana"),
        ("email", "ana@shop.example"),
        ("password", PASSWORD),
        ("password_again", PASSWORD),
    ]
}

#[tokio::test]
async fn the_set_up_link_makes_one_owner_and_then_is_dead() {
    let shop = TestConsole::start().await;
    let replaced = console::setup_token(&shop.store).await.unwrap().unwrap();
    let token = console::setup_token(&shop.store).await.unwrap().unwrap();
    let mut visitor = shop.visitor();
    for wrong in ["", "x", &replaced] {
        let response = visitor.get(&format!("/console/setup?token={wrong}")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let response = visitor.post("/console/setup", &setup_fields(wrong)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    assert!(visitor.page(&format!("/console/setup?token={token}")).await.contains("Create the owner"));

    let mut mistyped = setup_fields(&token);
    mistyped[4].1 = "another password";
    let response = visitor.post("/console/setup", &mistyped).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let mut short = setup_fields(&token);
    (short[3].1, short[4].1) = ("short", "short");
    let response = visitor.post("/console/setup", &short).await;
    assert!(response.text().await.unwrap().contains("at least 10 characters"));
    assert_eq!(shop.store.user_count().await.unwrap(), 0);

    let response = visitor.post("/console/setup", &setup_fields(&token)).await;
    assert_eq!((response.status(), location(&response)), (StatusCode::SEE_OTHER, "/console"));
    assert!(visitor.page("/console/people").await.contains("ana@shop.example"));

    let mut second = shop.visitor();
    let response = second.get(&format!("/console/setup?token={token}")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let response = second.post("/console/setup", &setup_fields(&token)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(shop.store.user_count().await.unwrap(), 1);
    assert!(console::setup_token(&shop.store).await.unwrap().is_none());
}

#[tokio::test]
async fn a_link_opened_twice_at_once_makes_one_owner() {
    let shop = TestConsole::start().await;
    let token = console::setup_token(&shop.store).await.unwrap().unwrap();
    let mut visitors = [shop.visitor(), shop.visitor()];
    let [first, second] = &mut visitors;
    let mut other = setup_fields(&token);
    other[2].1 = "bo@shop.example";
    let own = setup_fields(&token);
    let (one, two) = tokio::join!(first.post("/console/setup", &own), second.post("/console/setup", &other));
    let mut statuses = [one.status(), two.status()];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::FORBIDDEN]);
    assert_eq!(shop.store.user_count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer_and_soon_a_pause() {
    let shop = TestConsole::start().await;
    shop.store.add_user("ana@shop.example", "Ana", Role::Agent, &PASSWORD_HASH, Utc::now()).await.unwrap();
    let mut visitor = shop.visitor();
    let wrong = visitor.log_in("ana@shop.example", "not the password").await;
    let unknown = visitor.log_in("nobody@shop.example", "not the password").await;
    assert_eq!((wrong.status(), unknown.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert!(wrong.headers().get("set-cookie").is_none());
    let without_name = |page: String, name: &str| page.replace(name, "");
    assert_eq!(
        without_name(wrong.text().await.unwrap(), "ana@shop.example"),
        without_name(unknown.text().await.unwrap(), "nobody@shop.example")
    );
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(visitor.log_in("ana@shop.example", "not the password").await.status());
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    let response = visitor.log_in("ANA@shop.example", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "another spelling is no way around the pause");
}

#[tokio::test]
async fn a_log_in_opens_a_new_session_and_a_log_out_ends_it() {
    let shop = TestConsole::start().await;
    let mut visitor = shop.logged_in(Role::Owner).await;
    let first = visitor.cookie.clone();
    visitor.log_in("owner@shop.example", PASSWORD).await;
    assert_ne!(visitor.cookie, first, "a new id at each log-in");
    let (id, kept) = (visitor.cookie.split('=').nth(1).unwrap(), visitor.cookie.clone());
    assert!(shop.store.session(id, Utc::now()).await.unwrap().is_none(), "the database holds no usable id");
    visitor.page("/console").await;

    visitor.cookie = first;
    assert_eq!(visitor.get("/console").await.status(), StatusCode::SEE_OTHER);
    visitor.cookie.clone_from(&kept);
    visitor.post("/console/logout", &[]).await;
    visitor.cookie = kept;
    assert_eq!(location(&visitor.get("/console").await), "/console/login");
}

#[tokio::test]
async fn the_session_cookie_is_kept_from_scripts_and_other_sites() {
    let shop = TestConsole::start().await;
    shop.store.add_user("ana@shop.example", "Ana", Role::Agent, &PASSWORD_HASH, Utc::now()).await.unwrap();
    let visitor = shop.visitor();
    let log_in = |origin: &'static str, host: &'static str| {
        let request = visitor.request(Method::POST, "/console/login").header("origin", origin).header("host", host);
        request.form(&[("email", "ana@shop.example"), ("password", PASSWORD)]).send()
    };
    let here = log_in("http://localhost:8080", "localhost:8080").await.unwrap();
    let cookie = here.headers()["set-cookie"].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/console"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    let public = log_in("https://shop.example", "shop.example").await.unwrap();
    assert!(public.headers()["set-cookie"].to_str().unwrap().contains("; Secure"));
    let plain = log_in("http://shop.example", "shop.example").await.unwrap();
    assert_eq!(plain.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(plain.text().await.unwrap().contains("over https"));
}

#[tokio::test]
async fn the_log_in_leads_back_to_the_page_but_never_to_another_site() {
    let shop = TestConsole::start().await;
    shop.store.add_user("ana@shop.example", "Ana", Role::Agent, &PASSWORD_HASH, Utc::now()).await.unwrap();
    let mut visitor = shop.visitor();
    let response = visitor.get("/console/conversations?q=a%26b").await;
    assert_eq!(location(&response), "/console/login?next=%2Fconsole%2Fconversations%3Fq%3Da%2526b");
    let mut log_in = async |next: &str| {
        let fields = [("email", "ana@shop.example"), ("password", PASSWORD), ("next", next)];
        location(&visitor.post("/console/login", &fields).await).to_owned()
    };
    assert_eq!(log_in("/console/conversations?q=a%26b").await, "/console/conversations?q=a%26b");
    assert_eq!(log_in("https://evil.example/console").await, "/console");
    assert_eq!(log_in("//evil.example/console/").await, "/console");
}

#[tokio::test]
async fn every_route_but_the_log_in_needs_a_session() {
    let shop = TestConsole::start().await;
    let mut visitor = shop.visitor();
    let public: Vec<_> =
        console::route_table().into_iter().filter(|(_, _, access)| *access == Access::Public).collect();
    let open: Vec<_> = public.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(
        open,
        [
            "GET /console/static/{file}",
            "GET /console/setup",
            "POST /console/setup",
            "GET /console/login",
            "POST /console/login",
            "GET /console/password",
            "POST /console/password",
            "POST /console/language"
        ]
    );
    for (method, path, access) in console::route_table() {
        if access == Access::Public {
            continue;
        }
        let path = example(path);
        let response = if method == Method::GET { visitor.get(&path).await } else { visitor.post(&path, &[]).await };
        if path == "/console/live" {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        } else {
            assert!(location(&response).starts_with("/console/login"), "{method} {path}: {}", response.status());
        }
    }
}

#[tokio::test]
async fn each_route_lets_in_the_roles_it_names_and_no_others() {
    let shop = TestConsole::start().await;
    for role in ROLES {
        let visitor = shop.logged_in(role).await;
        for (method, path, access) in console::route_table() {
            // The log-out would end the session that the other routes are tried with.
            let Access::AtLeast(least) = access else { continue };
            if path == "/console/logout" {
                continue;
            }
            let request = visitor.request(method.clone(), &example(path)).header("origin", &visitor.origin);
            let status = request.send().await.unwrap().status();
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, role < least, "{role:?} {method} {path}: {status}");
            assert_ne!(status, StatusCode::SEE_OTHER, "{role:?} {method} {path}");
        }
    }
}

#[tokio::test]
async fn the_roles_are_the_ones_that_staff_were_promised() {
    let least = |method: Method, path: &str| {
        console::route_table().into_iter().find(|route| (&route.0, route.1) == (&method, path)).unwrap().2
    };
    for (method, path, role) in [
        (Method::GET, "/console/conversations/{id}", Role::Viewer),
        (Method::POST, "/console/conversations/{id}/reply", Role::Agent),
        (Method::POST, "/console/conversations/{id}/state", Role::Agent),
        (Method::POST, "/console/conversations/{id}/assign", Role::Agent),
        (Method::POST, "/console/conversations/{id}/tags", Role::Agent),
        (Method::POST, "/console/conversations/{id}/snooze", Role::Agent),
        (Method::GET, "/console/conversations/{id}/print", Role::Viewer),
        (Method::GET, "/console/conversations/{id}/export", Role::Agent),
        (Method::GET, "/console/conversations/export", Role::Agent),
        (Method::GET, "/console/replies", Role::Agent),
        (Method::POST, "/console/replies", Role::Agent),
        (Method::POST, "/console/replies/{id}/delete", Role::Agent),
        (Method::POST, "/console/documents", Role::Merchant),
        (Method::POST, "/console/documents/{id}/delete", Role::Merchant),
        (Method::POST, "/console/documents/{id}/valid-until", Role::Merchant),
        (Method::GET, "/console/drafts/{id}", Role::Merchant),
        (Method::POST, "/console/drafts/{id}", Role::Merchant),
        (Method::POST, "/console/drafts", Role::Merchant),
        (Method::GET, "/console/versions/{id}", Role::Viewer),
        (Method::POST, "/console/versions/{id}", Role::Merchant),
        (Method::GET, "/console/replies/{id}/correct", Role::Agent),
        (Method::POST, "/console/replies/{id}/correct", Role::Agent),
        (Method::GET, "/console/corrections", Role::Viewer),
        (Method::POST, "/console/corrections", Role::Merchant),
        (Method::POST, "/console/corrections/{id}", Role::Merchant),
        (Method::GET, "/console/gaps", Role::Viewer),
        (Method::POST, "/console/gaps", Role::Agent),
        (Method::GET, "/console/test-bench", Role::Agent),
        (Method::POST, "/console/test-bench", Role::Agent),
        (Method::GET, "/console/questions", Role::Agent),
        (Method::POST, "/console/questions", Role::Merchant),
        (Method::GET, "/console/catalogue", Role::Merchant),
        (Method::GET, "/console/catalogue/product", Role::Merchant),
        (Method::POST, "/console/catalogue/product", Role::Merchant),
        (Method::GET, "/console/catalogue/import", Role::Merchant),
        (Method::POST, "/console/catalogue/import", Role::Merchant),
        (Method::GET, "/console/catalogue/imports/{id}", Role::Merchant),
        (Method::POST, "/console/catalogue/imports/{id}", Role::Merchant),
        (Method::GET, "/console/widget", Role::Merchant),
        (Method::POST, "/console/widget", Role::Merchant),
        (Method::GET, "/console/widget/preview", Role::Merchant),
        (Method::POST, "/console/people", Role::Owner),
        (Method::GET, "/console/people/{id}", Role::Owner),
        (Method::POST, "/console/people/{id}/role", Role::Owner),
        (Method::POST, "/console/people/{id}/access", Role::Owner),
        (Method::POST, "/console/people/{id}/link", Role::Owner),
        (Method::POST, "/console/people/{id}/sessions", Role::Owner),
        (Method::GET, "/console/account", Role::Viewer),
        (Method::POST, "/console/account", Role::Viewer),
        (Method::GET, "/console/outcome", Role::Viewer),
        (Method::GET, "/console/outcome/{table}", Role::Viewer),
        (Method::GET, "/console/audit", Role::Owner),
        (Method::GET, "/console/audit/export", Role::Owner),
    ] {
        assert_eq!(least(method, path), Access::AtLeast(role), "{path}");
    }
}

#[tokio::test]
async fn somebody_who_is_given_another_password_or_role_is_seen_at_the_next_request() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Owner).await;
    visitor.page("/console/people").await;
    let url = format!("sqlite://{}", shop.dir.path().join("shoptalk.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("UPDATE users SET role = 'viewer'").execute(&pool).await.unwrap();
    assert_eq!(visitor.get("/console/people").await.status(), StatusCode::FORBIDDEN);
    sqlx::query("UPDATE users SET password_hash = 'another'").execute(&pool).await.unwrap();
    assert_eq!(location(&visitor.get("/console").await), "/console/login");
}

#[tokio::test]
async fn a_form_that_another_site_sends_changes_nothing() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Owner).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let path = format!("/console/conversations/{id}/reply");
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[],
    ] {
        let request = visitor.request(Method::POST, &path).form(&[("text", "forged")]);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert!(shop.store.messages(id, 0).await.unwrap().iter().all(|message| message.author != Author::Staff));
}

#[tokio::test]
async fn every_page_has_its_security_headers_and_runs_no_script_of_its_own() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Owner).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let document = shop.document("faq.md", "text").await;
    for path in [
        "/console",
        "/console/login",
        "/console/conversations",
        &format!("/console/conversations/{id}"),
        &format!("/console/conversations/{id}/print"),
        "/console/replies",
        "/console/documents",
        &format!("/console/documents/{document}"),
        &format!("/console/documents/{document}/delete"),
        "/console/corrections",
        "/console/gaps",
        "/console/test-bench",
        "/console/questions",
        "/console/people",
        "/console/catalogue",
        "/console/catalogue/import",
        "/console/widget",
        "/console/people/1",
        "/console/account",
        "/console/outcome",
        "/console/audit",
        "/console/no-such-page",
        "/console/conversations/not-a-number",
    ] {
        let response = visitor.get(path).await;
        let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        let policy = header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(header("x-content-type-options").unwrap(), "nosniff", "{path}");
        assert_eq!(header("cache-control").unwrap(), "no-store", "{path}");
        assert!(header("content-type").unwrap().starts_with("text/html"), "{path}");
        let page = response.text().await.unwrap();
        assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick"), "{path}");
        assert_eq!(page.matches("<script").count(), 1, "{path}");
        assert!(page.contains("</html>"), "{path}");
    }
}
