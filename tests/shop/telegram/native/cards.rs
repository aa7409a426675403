//! Cards, sources, marked buttons, ratings.

use super::*;

fn product(number: u32, image: &str) -> ProductCard {
    ProductCard {
        sku: format!("A-{number}"),
        title: format!("Boot {number}"),
        price: Money { minor: 12_900, currency: "EUR".to_owned() },
        stock: number,
        image: Some(image.to_owned()),
        reason: format!("Reason {number}"),
    }
}

#[tokio::test]
async fn a_link_opens_a_product_with_its_picture() {
    let setup = Setup::new().await;
    setup.stock().await;
    let shop = setup.start().await;
    setup.telegram.write(ADA, "/start p_ket-1");
    let kettle = setup.latest(ADA, 1).await;
    assert_eq!(kettle.photo.as_deref(), Some("attach://picture"));
    assert!(kettle.text.contains("Copper kettle – €39.00"), "{}", kettle.text);
    assert_eq!(kettle.labels(), [["What goes with Copper kettle?"], ["Talk to a person"]]);

    setup.telegram.order("sendPhoto", Fault::Refuse("Bad Request: failed to get HTTP URL content"));
    setup.chinese(BOB, &json!({"text": "/start p_CUP_2"}));
    let cup = setup.latest(BOB, 1).await;
    assert_eq!(cup.photo, None, "what Telegram cannot fetch goes out as words");
    assert!(cup.text.contains("Blue cup – €9.00（缺货）"), "{}", cup.text);

    setup.chinese(BOB, &json!({"text": "/start p_gone"}));
    let gone = setup.latest(BOB, 2).await.text;
    assert!(gone.contains("已经没有了"), "{gone}");
    setup.finish(shop).await;
}

#[tokio::test]
async fn several_products_are_one_card_that_turns_without_a_turn_of_the_bot() {
    let setup = Setup::new().await;
    let products = (1..=3).map(|number| product(number, &format!("https://cdn.example/{number}.jpg"))).collect();
    let boots = Reply { products, suggestions: vec!["Thanks".to_owned()], ..reply("Three boots:", Language::En) };
    setup.bot_said(ADA, &boots).await;
    let words =
        Reply { products: vec![product(1, "a.svg"), product(2, "b.svg")], ..reply("两双靴子：", Language::Zh) };
    setup.bot_said(BOB, &words).await;
    let shop = setup.start().await;

    let card = setup.latest(ADA, 1).await;
    assert_eq!(card.labels(), [vec!["◀", "1 / 3", "▶"], vec!["Thanks"]]);
    assert_eq!(
        (card.photo.as_deref(), card.text.as_str()),
        (Some("https://cdn.example/1.jpg"), "Three boots:\n\nBoot 1 – €129.00\nReason 1")
    );
    setup.telegram.tap(ADA, &card, "◀");
    let turned = setup.wait_for_screen(ADA, "the last boot", |screen| screen[0].text.contains("Boot 3")).await;
    assert_eq!(turned[0].photo.as_deref(), Some("https://cdn.example/3.jpg"));
    assert_eq!(turned[0].labels(), [vec!["◀", "3 / 3", "▶"], vec!["Thanks"]]);
    setup.telegram.tap(ADA, &turned[0], "▶");
    setup.wait_for_screen(ADA, "the first again", |screen| screen[0].text.contains("Boot 1")).await;

    let card = setup.latest(BOB, 1).await;
    setup.telegram.tap(BOB, &card, "▶");
    let turned = setup.wait_for_screen(BOB, "the second", |screen| screen[0].text.contains("Boot 2")).await;
    assert_eq!(turned[0].text, "两双靴子：\n\nBoot 2 – €129.00\nReason 2");
    // Another chat's reply is not shown here.
    let foreign = setup.telegram.tap_data(ADA, &turned[0], "p:2:0");
    setup.wait_for_answer(&foreign).await;
    setup.finish(shop).await;
    assert_eq!(asked(&setup.transcript(ADA).await), ["a question"]);
    assert_eq!(setup.telegram.screen(ADA).len(), 1);
}

#[tokio::test]
async fn a_source_opens_as_a_short_quote() {
    let setup = Setup::new().await;
    let citation = |quote: &str| Citation {
        document: "returns.docx".to_owned(),
        heading: "Returns › Boots".to_owned(),
        quote: quote.to_owned(),
        score: 0.9,
    };
    let short = Reply { citations: vec![citation("Thirty days.")], ..reply("Thirty days.", Language::En) };
    setup.bot_said(ADA, &short).await;
    let long = Reply {
        citations: vec![citation(&"退货政策。".repeat(60))], ..reply("三十天内可退。", Language::Zh)
    };
    setup.bot_said(BOB, &long).await;
    let shop = setup.start().await;

    let answer = setup.latest(ADA, 1).await;
    let query = setup.telegram.tap(ADA, &answer, "📄 returns.docx");
    let alert = setup.wait_for_answer(&query).await;
    assert_eq!((&alert["text"], &alert["show_alert"]), (&json!("“Thirty days.”\nreturns.docx · Boots"), &json!(true)));

    let answer = setup.latest(BOB, 1).await;
    setup.telegram.tap(BOB, &answer, "📄 returns.docx");
    let opened = setup.wait_for_screen(BOB, "the quote", |screen| screen[0].text.contains("退货政策")).await;
    assert!(opened[0].text.starts_with("三十天内可退。\n\n“退货政策。"));
    assert_eq!(opened[0].labels(), [["✓ 📄 returns.docx"]]);
    let entity = &setup.telegram.calls("editMessageText")[0].params["entities"][0];
    assert_eq!((&entity["type"], &entity["offset"]), (&json!("expandable_blockquote"), &json!(9)));
    setup.finish(shop).await;
}

#[tokio::test]
async fn a_pressed_button_is_marked_and_says_its_text_once() {
    let setup = Setup::new().await;
    let offer = Reply { suggestions: vec!["Talk to a person".to_owned()], ..reply("Shall I?", Language::En) };
    setup.bot_said(ADA, &offer).await;
    let shop = setup.start().await;
    let question = setup.latest(ADA, 1).await;
    let first = setup.telegram.tap(ADA, &question, "Talk to a person");
    setup.wait_for_answer(&first).await;
    setup.telegram.tap(ADA, &question, "Talk to a person");
    let marked = setup.wait_for_screen(ADA, "the mark", |screen| screen[0].labels() == [["✓ Talk to a person"]]).await;
    let spent = setup.telegram.tap(ADA, &marked[0], "✓ Talk to a person");
    setup.wait_for_answer(&spent).await;
    setup.latest(ADA, 2).await;
    setup.finish(shop).await;
    assert_eq!(asked(&setup.transcript(ADA).await), ["a question", "Talk to a person"]);
}

#[tokio::test]
async fn one_tap_rates_and_the_other_thumb_goes() {
    let setup = Setup::new().await;
    let asks = |language| Reply { effect: Some(Effect::AskRating), ..reply("Thirty days.", language) };
    setup.bot_said(ADA, &asks(Language::En)).await;
    setup.bot_said(BOB, &asks(Language::Zh)).await;
    let shop = setup.start().await;
    let answer = setup.latest(ADA, 1).await;
    assert_eq!(answer.labels(), [["👍", "👎"]]);
    let query = setup.telegram.tap(ADA, &answer, "👎");
    assert_eq!(setup.wait_for_answer(&query).await["text"], "Thank you!");
    setup.wait_for_screen(ADA, "the mark", |screen| screen[0].labels() == [["✓ 👎"]]).await;
    let answer = setup.latest(BOB, 1).await;
    let query = setup.telegram.tap(BOB, &answer, "👍");
    assert_eq!(setup.wait_for_answer(&query).await["text"], "谢谢您的评价！");
    setup.finish(shop).await;
    let store = setup.store().await;
    for (chat, good) in [(ADA, false), (BOB, true)] {
        let id = store.conversation(Channel::Telegram, &key(chat)).await.unwrap().unwrap().id;
        let ratings: Vec<_> = store.messages(id, 0).await.unwrap().iter().map(|message| message.rating).collect();
        assert_eq!(ratings, [None, Some(good)]);
    }
}
