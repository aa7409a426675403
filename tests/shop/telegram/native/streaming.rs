//! Words of a reply while it is made.

use super::*;

/// The bot in this process, so that a test can say what the engine would while it makes a reply.
struct Inside {
    app: shoptalk::app::App,
    stop: tokio_util::sync::CancellationToken,
    bot: tokio::task::JoinHandle<()>,
}

impl Setup {
    async fn start_inside(&self) -> Inside {
        use shoptalk::{
            app::{App, Models, media_dir},
            channels::telegram,
            config::Config,
        };
        let app = App::open(Config::load(Some(&self.config())).unwrap(), Models::Encoder).await.unwrap();
        let stop = tokio_util::sync::CancellationToken::new();
        let bot = tokio::spawn({
            let (app, stop) = (app.clone(), stop.clone());
            async move {
                let config = app.config.telegram.as_ref().unwrap();
                let media_dir = media_dir(&app.config);
                let door = telegram::WebhookDoor::default();
                let import = app.merchant_import();
                let shop =
                    telegram::Shop { store: app.store, dispatcher: app.dispatcher, live: app.live, desk: app.desk };
                Box::pin(telegram::run(config, shop, &door, media_dir, import, stop)).await.unwrap();
            }
        });
        eventually("the bot is there", || {
            std::future::ready((!self.telegram.calls("getUpdates").is_empty()).then_some(()))
        })
        .await;
        Inside { app, stop, bot }
    }
}

impl Inside {
    fn words(&self, chat: i64, text: &str) {
        use shoptalk::{live::LiveEvent, message::Progress};
        let event = LiveEvent::Progress(Progress::Words { text: text.to_owned() });
        self.app.live.announce(Channel::Telegram, &key(chat), event);
    }

    async fn end(self) {
        self.stop.cancel();
        self.bot.await.unwrap();
    }
}

#[tokio::test]
async fn a_reply_in_the_making_is_a_message_that_becomes_the_reply() {
    let setup = Setup::new().await;
    let inside = setup.start_inside().await;
    inside.words(ADA, "You have thirty days.");
    let begun = setup.latest(ADA, 1).await;
    assert_eq!(begun.text, "You have thirty days.");
    inside.words(ADA, " Keep the receipt.");
    setup.wait_for_screen(ADA, "more words", |screen| screen[0].text.ends_with("receipt.")).await;
    let whole = "You have thirty days. Keep the receipt. Boots have sixty.";
    let suggestions = vec!["Thanks".to_owned()];
    setup.bot_said(ADA, &Reply { suggestions, ..reply(whole, Language::En) }).await;
    inside.app.live.announce(Channel::Telegram, &key(ADA), shoptalk::live::LiveEvent::Changed);
    let done = setup.wait_for_screen(ADA, "the reply", |screen| screen[0].text == whole).await;
    assert_eq!((done.len(), done[0].id, done[0].labels()), (1, begun.id, vec![vec!["Thanks".to_owned()]]));

    // What was shown is not what is said: it is taken back.
    inside.words(BOB, "You have ninety days.");
    setup.latest(BOB, 1).await;
    setup.bot_said(BOB, &reply("Thirty days.", Language::En)).await;
    inside.app.live.announce(Channel::Telegram, &key(BOB), shoptalk::live::LiveEvent::Changed);
    let done = setup.wait_for_screen(BOB, "the reply", |screen| screen.iter().any(|m| m.text == "Thirty days.")).await;
    assert_eq!(done.len(), 1, "{done:?}");
    inside.end().await;
    assert!(setup.telegram.calls("sendMessageDraft").iter().all(|call| !call.done));
    let typing = setup.telegram.calls("sendChatAction");
    assert!(!typing.is_empty());
}

#[tokio::test]
async fn where_the_server_has_drafts_a_reply_in_the_making_is_one() {
    let setup = Setup::new().await;
    setup.telegram.with_drafts();
    let inside = setup.start_inside().await;
    inside.words(ADA, "您可以在三十天内退货。");
    eventually("a draft", || std::future::ready((!setup.telegram.calls("sendMessageDraft").is_empty()).then_some(())))
        .await;
    setup.bot_said(ADA, &reply("您可以在三十天内退货。请保留收据。", Language::Zh)).await;
    inside.app.live.announce(Channel::Telegram, &key(ADA), shoptalk::live::LiveEvent::Changed);
    assert_eq!(setup.latest(ADA, 1).await.text, "您可以在三十天内退货。请保留收据。");
    inside.end().await;
    assert_eq!(setup.telegram.screen(ADA).len(), 1);
    let draft = &setup.telegram.calls("sendMessageDraft")[0].params;
    assert!(draft["draft_id"].as_i64().unwrap() != 0 && draft["text"] == "您可以在三十天内退货。");
}

#[tokio::test]
async fn nothing_of_a_reply_is_shown_before_the_reply_before_it_is_delivered() {
    let setup = Setup::new().await;
    for _ in 0..2 {
        setup.telegram.order("sendMessage", Fault::Status(502));
    }
    let inside = setup.start_inside().await;
    setup.bot_said(ADA, &reply("Boots have sixty days.", Language::En)).await;
    inside.app.live.announce(Channel::Telegram, &key(ADA), shoptalk::live::LiveEvent::Changed);
    eventually("the first try", || std::future::ready((setup.telegram.tries(ADA).len() == 1).then_some(()))).await;
    // Said again and again, because the news of the first reply ends whatever is in the making.
    let screen = eventually("both are shown", || {
        inside.words(ADA, "You have thirty days for a tent. ");
        let screen = setup.telegram.screen(ADA);
        std::future::ready(screen.iter().any(|message| message.text.contains("tent")).then_some(screen))
    })
    .await;
    inside.end().await;
    let begin = |message: &Shown| message.text.chars().take(4).collect::<String>();
    assert_eq!(screen.iter().map(begin).collect::<Vec<_>>(), ["Boot", "You "]);
}

#[tokio::test]
async fn a_reply_that_is_delivered_before_its_end_is_heard_of_is_shown_once() {
    let setup = Setup::new().await;
    let inside = setup.start_inside().await;
    inside.words(ADA, "You have thirty days.");
    let begun = setup.latest(ADA, 1).await;
    let whole = "You have thirty days. Keep the receipt.";
    setup.bot_said(ADA, &reply(whole, Language::En)).await;
    let done = setup.wait_for_screen(ADA, "the reply", |screen| screen.iter().any(|m| m.text == whole)).await;
    inside.end().await;
    assert_eq!((done.len(), done[0].id), (1, begun.id), "{done:?}");
}
