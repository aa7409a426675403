//! Whole conversations, to be read aloud.

use super::*;

/// A conversation written down as it goes.
struct Written<'a> {
    setup: &'a Setup,
    chat: i64,
    code: &'static str,
    lines: Vec<String>,
}

impl Written<'_> {
    /// Says something and waits for the answer.
    async fn says(&mut self, fields: Value) -> Shown {
        let before = self.setup.telegram.screen(self.chat).len();
        let said = fields["text"].as_str().or(fields["caption"].as_str()).unwrap_or_default();
        let photo = if fields.get("photo").is_some() { "[picture] " } else { "" };
        self.lines.push(format!("› {photo}{said}"));
        let mut message = private_message(self.chat, &fields);
        message["from"]["language_code"] = self.code.into();
        self.setup.telegram.update(&json!({"message": message}));
        self.answered(before).await
    }

    /// Presses a button that says something.
    async fn taps(&mut self, on: &Shown, label: &str) -> Shown {
        let before = self.setup.telegram.screen(self.chat).len();
        self.lines.push(format!("› [presses {label}]"));
        self.setup.telegram.tap(self.chat, on, label);
        self.answered(before).await
    }

    async fn answered(&mut self, before: usize) -> Shown {
        self.setup.latest(self.chat, before + 1).await;
        for message in &self.setup.telegram.screen(self.chat)[before..] {
            let what = if message.document.is_some() { "[file chat.json]" } else { &message.text };
            self.lines.push(format!("‹ {}", what.replace('\n', "\n  ")));
            for row in message.labels() {
                self.lines.push(format!("    [ {} ]", row.join(" ]  [ ")));
            }
        }
        self.setup.telegram.screen(self.chat).pop().unwrap()
    }

    /// Turns a card.
    async fn flips(&mut self, card: &Shown) {
        self.lines.push("› [presses ▶]".to_owned());
        self.setup.telegram.tap(self.chat, card, "▶");
        let is = |screen: &[Shown]| screen.iter().any(|shown| shown.id == card.id && shown.text != card.text);
        let screen = self.setup.wait_for_screen(self.chat, "the next product", is).await;
        let turned = screen.iter().find(|shown| shown.id == card.id).unwrap();
        self.lines.push(format!("  (the card turns to) {}", turned.text.replace('\n', "\n  ")));
    }

    /// Opens a source.
    async fn opens(&mut self, on: &Shown, label: &str) {
        self.lines.push(format!("› [presses {label}]"));
        let query = self.setup.telegram.tap(self.chat, on, label);
        let answer = self.setup.wait_for_answer(&query).await;
        match answer["text"].as_str() {
            Some(text) => self.lines.push(format!("  (a notice says) {}", text.replace('\n', "\n  "))),
            None => {
                let is = |screen: &[Shown]| screen.iter().any(|shown| shown.id == on.id && shown.text != on.text);
                self.setup.wait_for_screen(self.chat, "the quote", is).await;
                self.lines.push("  (the quote unfolds below the answer)".to_owned());
            }
        }
    }
}

/// `cargo test --test shop whole_conversations -- --nocapture` prints them, to be read aloud.
#[tokio::test(flavor = "multi_thread")]
async fn whole_conversations_in_each_language() {
    let setup = Setup::new().await;
    let Some(app) = crate::conversations::demo_shop(&setup.dir.path().join("data")).await else { return };
    drop(app);
    let config = std::fs::read_to_string(setup.config()).unwrap().replace("encoder = \"hashed\"\n", "");
    std::fs::write(setup.config(), config).unwrap();
    let shop = setup.start().await;
    for (chat, code, words) in [
        (
            ADA,
            "en",
            [
                "/start",
                "How long can I return hiking boots?",
                "What does delivery cost?",
                "show me gas stoves",
                "can I return this if it is scratched?",
                "No, keep it",
                "Talk to a person",
            ],
        ),
        (
            BOB,
            "zh-hans",
            [
                "/start",
                "茶叶可以直邮中国吗？",
                "可以用支付宝付款吗？",
                "有什么茶壶推荐？",
                "这个划花了还能退吗？",
                "不，保留",
                "转人工",
            ],
        ),
    ] {
        let mut chat = Written { setup: &setup, chat, code, lines: Vec::new() };
        let greeting = chat.says(json!({"text": words[0]})).await;
        assert!(greeting.text.contains("chatbot") || greeting.text.contains("聊天机器人"), "{}", greeting.text);
        let answer = chat.says(json!({"text": words[1]})).await;
        if let Some(source) = answer.labels().into_iter().flatten().find(|label| label.starts_with("📄")) {
            chat.opens(&answer, &source).await;
        }
        chat.says(json!({"text": words[2]})).await;
        let card = chat.says(json!({"text": words[3]})).await;
        if card.labels().concat().contains(&"▶".to_owned()) {
            chat.flips(&card).await;
        }
        chat.says(json!({"photo": [{"file_id": "p"}], "caption": words[4]})).await;
        chat.says(json!({"text": "/orders"})).await;
        chat.says(json!({"text": "/privacy"})).await;
        let question = chat.says(json!({"text": "/forget"})).await;
        chat.taps(&question, words[5]).await;
        chat.says(json!({"text": words[6]})).await;
        println!("\n{}\n", chat.lines.join("\n"));
    }
    setup.finish(shop).await;
}
