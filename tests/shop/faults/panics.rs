//! A message whose turn panics.

use super::harness::{FIRST_CHAT, Run};
use crate::support::process::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_sets_its_message_aside_and_its_chat_goes_on() {
    const POISON: &str = "abracadabra";
    let mut run = Run::new(30).await;
    let shop = Shop::start_with(&run.config(), &[("SHOPTALK_FAULT_PANIC", POISON)]).await;
    for number in 0..4 {
        for chat in [FIRST_CHAT, FIRST_CHAT + 1] {
            run.write(chat);
        }
        if number == 1 {
            run.telegram.write(FIRST_CHAT, POISON);
            run.poison.push(POISON.to_owned());
        }
    }
    run.settle().await;
    let ready = reqwest::get(format!("{}/readyz", shop.url())).await.unwrap();
    assert_eq!(ready.json::<serde_json::Value>().await.unwrap()["set_aside"], 1);
    println!("{}", run.finish(shop).await);
}
