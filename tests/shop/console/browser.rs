//! The inbox in a real browser: `tests/browser/console.mjs` does the clicking. Here is the shop it works on.

use std::{path::Path, time::Duration};

use shoptalk::{
    catalog::{Money, Order, OrderItem, OrderStatus},
    conversation::Conversation,
    live::LiveEvent,
    message::{Channel, Language, ProductCard, Reply},
    storage::Role,
};

use super::{PASSWORD, TestConsole, reply};
use crate::browser::{chromium, missing};

#[tokio::test(flavor = "multi_thread")]
async fn staff_work_in_the_inbox_by_keyboard_on_a_phone_and_without_javascript() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if let Some(missing) = missing(&tests) {
        let told = format!("{missing} (tests/browser/README.md)");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
        println!("skipped: {told}");
        return;
    }
    let shop = TestConsole::start().await;
    let agent = shop.logged_in(Role::Agent).await;
    furnish(&shop).await;
    let live = shop.live.clone();
    let writing = tokio::spawn(async move {
        loop {
            live.announce(Channel::Widget, "ada", LiveEvent::ShopperWrites);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let status = tokio::process::Command::new("node")
        .arg(tests.join("console.mjs"))
        .env("ORIGIN", &agent.origin)
        .env("EMAIL", "agent@shop.example")
        .env("PASSWORD", PASSWORD)
        .env("CHROMIUM", chromium())
        .status()
        .await
        .unwrap();
    writing.abort();
    assert!(status.success(), "the browser test failed; its output is above");
}

async fn furnish(shop: &TestConsole) {
    let returns = "You can return unworn boots within thirty days.";
    shop.store.keep_canned_reply("returns", returns).await.unwrap();
    shop.store.keep_canned_reply("hours", "We are here from nine to five.").await.unwrap();
    let order = Order {
        order_id: "TC-1042".into(),
        customer_id: "ada".into(),
        email: None,
        phone: None,
        placed_at: "2026-11-20".into(),
        status: OrderStatus::Shipped,
        items: vec![OrderItem { sku: "B-1".into(), quantity: 1 }],
        carrier: Some("DHL".into()),
        tracking: Some("003404341".into()),
        eta: Some("2026-11-30".into()),
        total: Some(Money { minor: 12_950, currency: "EUR".into() }),
    };
    shop.store.upsert_orders(&[order]).await.unwrap();
    let declined = Reply { declined: true, intent_confidence: 0.2, ..reply("I do not know that.") };
    shop.turn(Channel::Telegram, "7:42", "Do you have a shop in Oslo, and when is it open on Saturdays?", &declined)
        .await;
    let chinese = Reply { language: Language::Zh, ..reply("未穿过的靴子可以在三十天内退货。") };
    shop.turn(Channel::Widget, "5f3a9c", "靴子多久可以退？", &chinese).await;
    let mut earlier = Conversation::new(Channel::Telegram, "7:43");
    earlier.customer = Some("ada".into());
    let id = shop.turn_of(&earlier, "Are the boots waterproof?", &reply("Yes, they are.")).await;
    shop.store.add_tag(id, "sizing").await.unwrap();
    let mut ada = Conversation::new(Channel::Widget, "ada");
    ada.memory.verified_customer = Some("ada".into());
    let card = ProductCard {
        sku: "B-1".into(),
        title: "Fjell winter boot".into(),
        price: Money { minor: 12_950, currency: "EUR".into() },
        stock: 3,
        image: None,
        reason: "Lined with wool and waterproof".into(),
    };
    shop.turn_of(&ada, "Which boots keep my feet warm?", &Reply { products: vec![card], ..reply("These do:") }).await;
    let passed_on = Reply { handoff: true, ..reply("Of course, I pass you on to a colleague.") };
    let id = shop.turn_of(&ada, "The left boot rubs. Can I talk to a person?", &passed_on).await;
    shop.store.add_tag(id, "boots").await.unwrap();
    shop.store.add_tag(id, "vip").await.unwrap();
}
