//! What merchants do: the catalogue, and how the widget looks.

use axum::http::Method;
use chrono::Utc;
use reqwest::{
    Response, StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use shoptalk::{
    app::{App, Models},
    catalog::Product,
    config::{Config, ModelsConfig},
    storage::{Role, Store},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{SCRIPT, TestConsole, Visitor, location, serve};
use crate::support::eventually;

const PRODUCTS: &str = "sku,title,category,price,stock,colour,description\n\
    L-1,Aurora Desk Lamp,Lamps,49.00,5,white,A lamp for the desk.\n\
    L-2,Floor Lamp,Lamps,120.00,0,black,A tall lamp.\n\
    E/3 &x,蓝牙耳机,数码,299.00,8,黑色,无线耳机。\n";

impl TestConsole {
    async fn stock(&self, text: &str) {
        self.importer.import_bytes("products.csv", text.as_bytes().to_vec(), None, Utc::now()).await.unwrap();
    }
}

impl Visitor {
    async fn import(&self, name: &'static str, text: &str, whole: bool) -> Response {
        let mut form = Form::new().part("file", Part::bytes(text.as_bytes().to_vec()).file_name(name));
        if whole {
            form = form.text("whole", "1");
        }
        let request = self.request(Method::POST, "/console/catalogue/import").header("origin", &self.origin);
        request.multipart(form).send().await.unwrap()
    }

    /// The hidden field of this name on a page.
    async fn hidden(&self, path: &str, name: &str) -> String {
        let page = self.page(path).await;
        let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{name}: {page}"));
        field.split('"').next().unwrap().to_owned()
    }
}

async fn product(store: &Store, sku: &str) -> Product {
    store.products_by_sku(&[sku.to_owned()]).await.unwrap().remove(0)
}

/// Each of `fields`, with those of `changes` in their place.
fn with<'a>(fields: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = fields.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.chain(changes).copied().collect()
}

#[tokio::test]
async fn products_are_searched_narrowed_sorted_and_paged() {
    let shop = TestConsole::start().await;
    let merchant = shop.logged_in(Role::Merchant).await;
    assert!(merchant.page("/console/catalogue").await.contains("No products yet"));
    shop.stock(PRODUCTS).await;
    let shown = async |query: &str| {
        let page = merchant.page(&format!("/console/catalogue{query}")).await;
        let mut places: Vec<_> = ["Aurora Desk Lamp</a>", "Floor Lamp</a>", "蓝牙耳机</a>"]
            .into_iter()
            .filter_map(|title| page.find(title).map(|at| (at, title.trim_end_matches("</a>"))))
            .collect();
        places.sort_unstable();
        places.into_iter().map(|(_, title)| title).collect::<Vec<_>>()
    };
    assert_eq!(shown("").await, ["Aurora Desk Lamp", "Floor Lamp", "蓝牙耳机"]);
    assert_eq!(shown("?q=%E8%80%B3%E6%9C%BA").await, ["蓝牙耳机"]);
    assert_eq!(shown("?q=LAMP+black").await, ["Floor Lamp"]);
    assert_eq!(shown("?stock=out").await, ["Floor Lamp"]);
    assert_eq!(shown("?stock=in&category=Lamps").await, ["Aurora Desk Lamp"]);
    assert_eq!(shown("?sort=-price").await, ["蓝牙耳机", "Floor Lamp", "Aurora Desk Lamp"]);
    assert_eq!(shown("?sort=stock").await, ["Floor Lamp", "Aurora Desk Lamp", "蓝牙耳机"]);
    assert!(shown("?q=sofa").await.is_empty());
    let page = merchant.page("/console/catalogue?q=%22%3E%3Cscript%3Ealert(1)").await;
    assert_eq!(page.matches("<script").count(), 1, "only the console's own");

    let many: Vec<_> = (0..120).map(|at| format!("M-{at:03},Mug {at:03},Mugs,5,1\n")).collect();
    let many = many.concat();
    shop.stock(&format!("sku,title,category,price,stock\n{many}")).await;
    let second = merchant.page("/console/catalogue?category=Mugs&page=1").await;
    assert!(second.contains("Mug 050</a>") && second.contains("Mug 099</a>") && !second.contains("Mug 100</a>"));
    assert!(second.contains("rel=\"next\"") && second.contains("rel=\"prev\"") && second.contains("120 products"));
    let beyond = merchant.page("/console/catalogue?category=Mugs&page=99").await;
    assert!(beyond.contains("Mug 119</a>") && !beyond.contains("rel=\"next\""));
}

#[tokio::test]
async fn a_product_is_edited_by_one_person_at_a_time_and_never_half() {
    let shop = TestConsole::start().await;
    let mut merchant = shop.logged_in(Role::Merchant).await;
    shop.stock(PRODUCTS).await;
    let path = "/console/catalogue/product?sku=E%2F3%20%26x";
    let list = merchant.page("/console/catalogue").await;
    assert!(list.contains(path), "{list}");
    let was = merchant.hidden(path, "was").await;
    let fields = [
        ("title", "蓝牙耳机 Pro"),
        ("price", "259.5"),
        ("stock", "2"),
        ("category", "数码"),
        ("description", "无线耳机。\r\n轻。"),
        ("attributes", "colour: 白色\r\n续航：30 小时"),
        ("was", was.as_str()),
    ];
    let before = product(&shop.store, "E/3 &x").await;
    for (field, wrong, says) in [
        ("title", " ", "Give the product a name"),
        ("price", "12,50", "Write the price as a number"),
        ("price", "-1", "Write the price as a number"),
        ("price", "1.999", "EUR has 2 decimals"),
        ("stock", "-1", "whole number of pieces"),
        ("attributes", "colour", "“colour” is no property"),
    ] {
        let response = merchant.post(path, &with(&fields, &[(field, wrong)])).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{field} {wrong}");
        let page = response.text().await.unwrap();
        assert!(page.contains(says), "{field} {wrong}: {page}");
    }
    assert_eq!(product(&shop.store, "E/3 &x").await, before, "a form that needs mending changes nothing");

    let version = shop.store.knowledge_version().await.unwrap();
    let response = merchant.post(path, &fields).await;
    assert_eq!(location(&response), "/console/catalogue?done=saved");
    let after = product(&shop.store, "E/3 &x").await;
    assert_eq!((after.title.as_str(), after.price.minor, after.stock), ("蓝牙耳机 Pro", 25_950, 2));
    assert_eq!((after.attributes["colour"].as_str(), after.attributes["续航"].as_str()), ("白色", "30 小时"));
    assert_eq!(after.description, "无线耳机。\n轻。");
    assert_eq!(after.language, before.language);
    assert!(shop.store.knowledge_version().await.unwrap() > version, "conversations are told");

    let response = merchant.post(path, &with(&fields, &[("stock", "9")])).await;
    assert_eq!(response.status(), StatusCode::CONFLICT, "the form is older than the product");
    assert!(response.text().await.unwrap().contains("Somebody has changed this product"));
    assert_eq!(product(&shop.store, "E/3 &x").await.stock, 2);
    for missing in ["/console/catalogue/product?sku=nothing", "/console/catalogue/product"] {
        assert_eq!(merchant.get(missing).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(merchant.post(missing, &fields).await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn an_import_is_looked_at_before_anything_changes() {
    let shop = TestConsole::start().await;
    let mut merchant = shop.logged_in(Role::Merchant).await;
    shop.stock(PRODUCTS).await;
    let before = shop.store.catalogue().await.unwrap();
    let text = format!(
        "sku,title,category,price,stock,colour,description\n\
         L-1,Aurora Desk Lamp,Lamps,39.00,5,white,A lamp for the desk.\n\
         L-2,Floor Lamp,Lamps,120.00,0,black,A tall lamp.\n\
         N-1,{SCRIPT},Lamps,5,1,,\n"
    );
    let path = location(&merchant.import("new.csv", &text, true).await).to_owned();
    assert!(path.starts_with("/console/catalogue/imports/"), "{path}");
    let page = merchant.page(&path).await;
    assert!(page.contains("<del>49.00 EUR</del> → <ins>39.00 EUR</ins>"), "{page}");
    assert!(page.contains("蓝牙耳机") && page.contains("alert("), "what leaves and what comes");
    assert!(!page.contains(SCRIPT));
    assert!(page.contains("<dt>Unchanged</dt><dd>1</dd>") && page.contains("<dt>Removed</dt><dd>1</dd>"), "{page}");
    assert_eq!(shop.store.catalogue().await.unwrap(), before, "a look changes nothing");

    let seen = merchant.hidden(&path, "digest").await;
    shop.stock("sku,title,price,stock\nL-1,Aurora Desk Lamp,45.00,5\n").await;
    let response = merchant.post(&path, &[("action", "apply"), ("digest", &seen)]).await;
    assert_eq!(response.status(), StatusCode::CONFLICT, "something else would happen than was looked at");
    assert!(response.text().await.unwrap().contains("<del>45.00 EUR</del>"));
    assert_eq!(product(&shop.store, "L-1").await.price.minor, 4_500);

    let seen = merchant.hidden(&path, "digest").await;
    let response = merchant.post(&path, &[("action", "apply"), ("digest", &seen)]).await;
    assert_eq!(location(&response), "/console/catalogue?done=applied");
    let skus: Vec<_> = shop.store.catalogue().await.unwrap().into_iter().map(|product| product.sku).collect();
    assert_eq!(skus, ["L-1", "L-2", "N-1"]);
    assert_eq!(product(&shop.store, "L-1").await.price.minor, 3_900);
    assert_eq!(merchant.get(&path).await.status(), StatusCode::NOT_FOUND, "it is done");

    let path = location(&merchant.import("more.csv", PRODUCTS, false).await).to_owned();
    let before = shop.store.catalogue().await.unwrap();
    merchant.post(&path, &[("action", "throw_away")]).await;
    assert_eq!(merchant.get(&path).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(shop.store.catalogue().await.unwrap(), before);
}

#[tokio::test]
async fn a_refused_line_is_named_with_its_reason_in_both_languages_and_removes_nothing() {
    let shop = TestConsole::start().await;
    let mut merchant = shop.logged_in(Role::Merchant).await;
    shop.stock(PRODUCTS).await;
    let text = "sku,title,price,stock\nL-1,Aurora Desk Lamp,forty,5\n,Nameless,1,1\nN-2,Stool,25,4\nN-3,Chair,30,-2\n";
    let path = location(&merchant.import("bad.csv", text, true).await).to_owned();
    let page = merchant.page(&path).await;
    for expected in ["Line 2", "forty", "A price such as 12.50", "Line 3", "An article number", "Line 5", "-2"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(page.contains("No product is removed while a line is refused"), "{page}");
    let chinese = merchant.request(Method::GET, &path).header("accept-language", "zh").send().await.unwrap();
    let chinese = chinese.text().await.unwrap();
    assert!(chinese.contains("第 2 行") && chinese.contains("价格，例如 12.50"), "{chinese}");

    let seen = merchant.hidden(&path, "digest").await;
    merchant.post(&path, &[("action", "apply"), ("digest", &seen)]).await;
    let skus: Vec<_> = shop.store.catalogue().await.unwrap().into_iter().map(|product| product.sku).collect();
    assert_eq!(skus, ["E/3 &x", "L-1", "L-2", "N-2"]);

    for (name, text, says) in [
        ("empty.csv", "", "empty"),
        ("header.csv", "sku,title,price,stock\n", "no products"),
        ("other.csv", "sku,title,price\nA,B,1\n", "no column stock"),
    ] {
        let response = merchant.import(name, text, true).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        let page = response.text().await.unwrap();
        assert!(page.contains(says), "{name}: {page}");
    }
}

/// A whole shop on a port of its own: console, widget and the bot.
struct WholeShop {
    app: App,
    origin: String,
    merchant: Visitor,
    shutdown: CancellationToken,
    _dir: TempDir,
}

impl WholeShop {
    async fn open() -> Self {
        let dir = TempDir::new().unwrap();
        let models = ModelsConfig { encoder: "hashed".to_owned(), chat: String::new(), ..ModelsConfig::default() };
        let config = Config { data_dir: dir.path().to_owned(), models, ..Config::default() };
        let app = Box::pin(App::open(config, Models::Encoder)).await.unwrap();
        let shutdown = CancellationToken::new();
        let address = serve(app.router(&shutdown)).await;
        let merchant = Visitor::logged_in(address, &app.store, Role::Merchant).await;
        let (dispatcher, ends) = (app.dispatcher.clone(), shutdown.clone());
        tokio::spawn(async move { dispatcher.run(ends).await });
        Self { app, origin: merchant.origin.clone(), merchant, shutdown, _dir: dir }
    }

    /// What the bot says to a new shopper's question.
    async fn ask(&self, visitor: char, text: &str) -> Value {
        let secret = visitor.to_string().repeat(32);
        let address = format!("{}/api/widget/messages", self.origin);
        let request = |request: reqwest::RequestBuilder| request.header("x-shoptalk-visitor", &secret).send();
        let client = &self.merchant.client;
        let sent = request(client.post(&address).json(&json!({ "id": "1", "text": text }))).await.unwrap();
        assert_eq!(sent.status(), StatusCode::ACCEPTED);
        eventually("a reply", async || {
            let transcript: Value = request(client.get(&address)).await.unwrap().json().await.unwrap();
            transcript["messages"].as_array().unwrap().iter().find(|message| message["author"] == "bot").cloned()
        })
        .await
    }

    async fn text(&self, path: &str) -> String {
        let address = format!("{}{path}", self.origin);
        self.merchant.client.get(address).send().await.unwrap().text().await.unwrap()
    }
}

#[tokio::test]
async fn the_chat_answers_with_the_new_price_and_stock_without_a_restart() {
    let mut shop = WholeShop::open().await;
    shop.app.importer.import_bytes("p.csv", PRODUCTS.as_bytes().to_vec(), None, Utc::now()).await.unwrap();
    shop.app.engine.refresh().await.unwrap();
    let question = "How much is the Aurora Desk Lamp?";
    let said = shop.ask('a', question).await.to_string();
    assert!(said.contains("49.00"), "{said}");

    let path = "/console/catalogue/product?sku=L-1";
    let was = shop.merchant.hidden(path, "was").await;
    let fields = [("title", "Aurora Desk Lamp"), ("price", "35"), ("stock", "5"), ("was", &was)];
    assert_eq!(location(&shop.merchant.post(path, &fields).await), "/console/catalogue?done=saved");
    // What `serve` does every second.
    assert!(shop.app.engine.refresh().await.unwrap(), "the change is seen");
    let said = shop.ask('b', question).await.to_string();
    assert!(said.contains("35.00") && !said.contains("49.00"), "{said}");

    let text = "sku,title,category,price,stock\nL-1,Aurora Desk Lamp,Lamps,35.00,0\n";
    let path = location(&shop.merchant.import("sold.csv", text, false).await).to_owned();
    let seen = shop.merchant.hidden(&path, "digest").await;
    assert!(!shop.app.engine.refresh().await.unwrap(), "a file that is only looked at changes nothing");
    shop.merchant.post(&path, &[("action", "apply"), ("digest", &seen)]).await;
    assert!(shop.app.engine.refresh().await.unwrap());
    let said = shop.ask('c', "Is the Aurora Desk Lamp in stock?").await["text"].to_string();
    assert!(said.contains("out of stock") || said.contains("sold out"), "{said}");
    shop.shutdown.cancel();
}

const WIDGET: [(&str, &str); 8] = [
    ("action", "save"),
    ("colour", "#FACC15"),
    ("position", "left"),
    ("greeting_en", "Ahoy!"),
    ("greeting_zh", "您好呀"),
    ("questions_en", "Where is my parcel?\r\n\r\n Do you gift-wrap? "),
    ("questions_zh", ""),
    ("offer_zh", "1"),
];

#[tokio::test]
async fn the_widget_shows_what_a_merchant_saved_without_a_restart() {
    let mut shop = WholeShop::open().await;
    let profile = b"name = \"Teashop\"\n[greeting]\nen = \"Welcome\"\n".to_vec();
    shop.app.importer.import_bytes("shop.toml", profile, None, Utc::now()).await.unwrap();
    let default = shop.text("/widget.js").await;
    assert!(default.contains(r##""colour":"#0f766e""##) && default.contains(r#""position":"right""#), "{default}");
    assert!(shop.merchant.page("/console/widget").await.contains("Welcome"), "the shop's own words are the default");

    let response = shop.merchant.post("/console/widget", &WIDGET).await;
    assert_eq!(location(&response), "/console/widget?done=saved");
    let script = shop.text("/widget.js").await;
    assert!(script.contains(r##""colour":"#facc15""##) && script.contains(r#""position":"left""#));
    assert!(script.contains(r#""languages":["zh"]"#));
    let config: Value = serde_json::from_str(&shop.text("/api/widget/config").await).unwrap();
    assert_eq!(config["greeting"], json!({ "en": "Ahoy!", "zh": "您好呀" }));
    assert_eq!(config["suggested_questions"]["en"], json!(["Where is my parcel?", "Do you gift-wrap?"]));
    assert_eq!((&config["languages"], &config["name"]), (&json!(["zh"]), &json!("Teashop")));
    let page = shop.merchant.page("/console/widget").await;
    assert!(page.contains("Black text on it, contrast 13.7 : 1"), "{page}");
    let tag = format!("&#60;script src=&#34;{}/widget.js&#34; defer&#62;&#60;/script&#62;", shop.origin);
    assert!(page.contains(&tag), "{page}");

    shop.merchant.post("/console/widget", &[("action", "forget")]).await;
    assert_eq!(shop.text("/widget.js").await, default);
    assert!(shop.text("/api/widget/config").await.contains("Welcome"));
    shop.shutdown.cancel();
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_with_what_to_do() {
    let shop = TestConsole::start().await;
    let mut merchant = shop.logged_in(Role::Merchant).await;
    let (long, many) = ("x".repeat(501), "a\n".repeat(7));
    for (field, wrong, says) in [
        ("colour", "teal", "“teal” is no colour"),
        ("colour", "#12345", "is no colour"),
        ("offer_zh", "", "at least one language"),
        ("greeting_en", long.as_str(), "at most 500 characters"),
        ("questions_en", many.as_str(), "At most 6 suggested questions"),
    ] {
        let response = merchant.post("/console/widget", &with(&WIDGET, &[(field, wrong)])).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        let page = response.text().await.unwrap();
        assert!(page.contains(says) && page.contains("您好呀"), "{field}: {page}");
    }
    let kept = shop.store.widget_settings().await.unwrap();
    assert_eq!(kept.colour.to_string(), "#0f766e", "nothing was saved");
}

#[tokio::test]
async fn only_the_preview_may_be_framed_and_only_by_the_console() {
    let shop = TestConsole::start().await;
    let mut merchant = shop.logged_in(Role::Merchant).await;
    merchant.post("/console/widget", &with(&WIDGET, &[("greeting_en", SCRIPT)])).await;
    let header = |response: &Response, name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let preview = merchant.get("/console/widget/preview?language=en").await;
    let policy = header(&preview, "content-security-policy");
    assert!(policy.contains("frame-ancestors 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(!policy.contains("connect-src"), "the preview talks to nobody: {policy}");
    assert_eq!(header(&preview, "x-frame-options"), "SAMEORIGIN");
    let text = preview.text().await.unwrap();
    assert!(text.contains("data-preview=\"true\"") && text.contains("#facc15") && !text.contains(SCRIPT), "{text}");
    let chinese = merchant.page("/console/widget/preview?language=zh").await;
    assert!(chinese.contains("您好呀"), "{chinese}");
    let page = merchant.get("/console/widget").await;
    assert_eq!(header(&page, "x-frame-options"), "DENY");
    assert!(header(&page, "content-security-policy").contains("frame-ancestors 'none'"));
}
