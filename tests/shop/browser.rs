//! The widget in a real browser, against the real program: `tests/browser/widget.mjs` does the clicking. Here is the
//! shop it works on, and the check that node, playwright-core and Chromium are there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use chrono::Utc;
use serde_json::json;
use sha2::{Digest, Sha256};
use shoptalk::{
    catalog::{Money, Product},
    conversation::Conversation,
    message::{Channel, Citation, Inbound, Language, LatencyMs, Origin, ProductCard, Reply, Route, Sentiment, Trace},
    storage::{Store, StoredProduct, TurnOutcome},
};

/// A shopper who has a conversation already; the browser test takes over their secret.
const VISITOR: &str = "00112233445566778899aabbccddeeff";

const PICTURE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"><rect width="400" height="300" fill="#eaf1ee"/><path d="M110 70h90v70c50 12 90 22 90 60v20H110z" fill="#7c4a2d"/><rect x="105" y="215" width="190" height="18" rx="6" fill="#3b2416"/></svg>"##;

#[test]
fn a_shopper_is_served_in_a_real_browser() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if let Some(missing) = missing(&tests) {
        let told = format!("{missing} (tests/browser/README.md)");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
        println!("skipped: {told}");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(furnish(data.path()));
    let status = Command::new("node")
        .arg(tests.join("widget.mjs"))
        .env("SHOPTALK_BIN", env!("CARGO_BIN_EXE_shoptalk"))
        .env("SHOPTALK_DATA", data.path())
        .env("SHOPTALK_VISITOR", VISITOR)
        .env("CHROMIUM", chromium())
        .status()
        .unwrap();
    assert!(status.success(), "the browser test failed; its output is above");
}

pub(crate) fn missing(tests: &Path) -> Option<&'static str> {
    let node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !node {
        return Some("node is missing: install Node.js 20 or later");
    }
    if !tests.join("node_modules/playwright-core").is_dir() {
        return Some("playwright-core is missing: run `npm ci` in tests/browser");
    }
    (!chromium().is_file())
        .then_some("Chromium is missing: install it (Debian: apt-get install chromium) or set CHROMIUM")
}

pub(crate) fn chromium() -> PathBuf {
    std::env::var_os("CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from)
}

async fn furnish(data_dir: &Path) {
    let store = Store::open(data_dir).await.unwrap();
    let profile = json!({
        "name": "Nord & Fjord",
        "email": "hello@nordfjord.example",
        "greeting": { "en": "Hello! Looking for boots, or help with an order?", "zh": "您好！想找靴子，还是有订单问题？" },
        "suggested_questions": {
            "en": ["How long do I have to return boots?", "When will my order arrive?", "Which boots are waterproof?"],
            "zh": ["靴子多久可以退？", "我的订单什么时候到？"]
        }
    });
    store.set_setting("shop_profile", &profile.to_string()).await.unwrap();
    std::fs::create_dir_all(data_dir.join("media/img")).unwrap();
    std::fs::write(data_dir.join("media/img/boot.svg"), PICTURE).unwrap();
    let products: Vec<_> = [
        ("B-1", "Fjell winter boot", "Boots", 12_950, 3, Some("img/boot.svg")),
        ("B-2", "Skog hiking boot", "Boots", 9_900, 14, Some("img/boot.svg")),
        ("J-1", "Regn rain jacket", "Jackets", 15_900, 0, None),
        ("S-1", "Merino socks, two pairs", "Socks", 2_400, 60, Some("img/missing.jpg")),
        ("P-1", "Tind daypack 24 l", "Backpacks", 8_950, 9, None),
    ]
    .into_iter()
    .map(|(sku, title, category, minor, stock, image)| StoredProduct {
        product: product(sku, title, category, minor, stock, image),
        encoder: "none".to_owned(),
        embedding: vec![],
    })
    .collect();
    store.upsert_products(&products, Utc::now()).await.unwrap();
    converse(&store, "1", "Can I return boots that I wore outside?", &cited()).await;
    converse(&store, "2", "Which boots keep my feet warm?", &recommended()).await;
    converse(&store, "3", "I would rather talk to a person <b>now</b>", &handed_over()).await;
    let chat = hex::encode(Sha256::digest(VISITOR));
    let conversation = store.conversation(Channel::Widget, &chat).await.unwrap().unwrap();
    let words = "Hi, this is Ana. I looked at your order, see https://nordfjord.example/orders for the label.";
    store.staff_reply(conversation.id, "Ana", words, Utc::now()).await.unwrap();
}

async fn converse(store: &Store, id: &str, text: &str, reply: &Reply) {
    let chat = hex::encode(Sha256::digest(VISITOR));
    let inbound = Inbound {
        channel: Channel::Widget,
        chat: chat.clone(),
        update_id: id.to_owned(),
        text: text.to_owned(),
        customer: None,
        language_hint: None,
        received_at: Utc::now(),
        attachments: Vec::new(),
        origin: Origin::default(),
    };
    let inbox_id = store.accept(&inbound).await.unwrap().unwrap();
    let conversation = Conversation::new(Channel::Widget, chat);
    let outcome =
        TurnOutcome { inbox_id, conversation: &conversation, shopper_text: text, reply: Some(reply), at: Utc::now() };
    store.commit_turn(&outcome).await.unwrap();
}

fn product(sku: &str, title: &str, category: &str, minor: i64, stock: u32, image: Option<&str>) -> Product {
    Product {
        sku: sku.to_owned(),
        title: title.to_owned(),
        description: String::new(),
        category: category.to_owned(),
        price: Money { minor, currency: "EUR".to_owned() },
        stock,
        attributes: BTreeMap::new(),
        image: image.map(str::to_owned),
        compatible_with: vec![],
        language: Language::En,
    }
}

fn reply(text: &str, route: Route) -> Reply {
    Reply {
        text: text.to_owned(),
        language: Language::En,
        intent: "other_question".to_owned(),
        intent_confidence: 0.9,
        route,
        citations: vec![],
        products: vec![],
        handoff: false,
        declined: false,
        sentiment: Sentiment::Neutral,
        generated: false,
        latency_ms: LatencyMs::default(),
        suggestions: vec![],
        effect: None,
        trace: Trace::default(),
    }
}

fn cited() -> Reply {
    let citation = Citation {
        document: "returns.docx".to_owned(),
        heading: "Returns › Boots".to_owned(),
        quote: "Boots can be returned within 30 days as long as they were only worn indoors.".to_owned(),
        score: 0.9,
    };
    let text = "Boots can be returned within 30 days as long as they were only worn indoors.\nBoots worn outside are covered by the warranty only.";
    Reply { citations: vec![citation], ..reply(text, Route::Answer) }
}

fn recommended() -> Reply {
    let card = |sku: &str, title: &str, minor, stock, image: Option<&str>, reason: &str| ProductCard {
        sku: sku.to_owned(),
        title: title.to_owned(),
        price: Money { minor, currency: "EUR".to_owned() },
        stock,
        image: image.map(str::to_owned),
        reason: reason.to_owned(),
    };
    let products = vec![
        card("B-1", "Fjell winter boot", 12_950, 3, Some("img/boot.svg"), "Lined with wool and waterproof"),
        card("B-2", "Skog hiking boot", 9_900, 14, Some("img/boot.svg"), "Warm enough for autumn, lighter to walk in"),
        card("S-1", "Merino socks, two pairs", 2_400, 0, Some("javascript:alert(1)"), "<img src=x onerror=alert(1)>"),
    ];
    Reply { products, ..reply("These keep your feet warm:", Route::Recommend) }
}

fn handed_over() -> Reply {
    let suggestions = vec!["What are your opening hours?".to_owned()];
    Reply { handoff: true, suggestions, ..reply("Of course, I pass you on to a colleague.", Route::Handoff) }
}
