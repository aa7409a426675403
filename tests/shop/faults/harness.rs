//! A shop, its Telegram, shoppers that write, and the account that is taken at the end.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use shoptalk::{
    catalog::{Order, OrderStatus},
    message::Channel,
    storage::{Author, Store},
};
use sqlx::Row as _;
use tempfile::TempDir;

use crate::support::{
    eventually,
    fake_telegram::{BOT_ID, FakeTelegram, TOKEN_SECRET},
    process::Shop,
};

/// Messages of one chat have numbers below this.
const PER_CHAT: i64 = 10_000;
/// Lowest number of a chat.
pub const FIRST_CHAT: i64 = 2_000;

/// A number from the environment, for long runs.
pub fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} must be a number")),
        Err(_) => default,
    }
}

/// The seed of a run, printed so that it can be repeated.
pub fn seed() -> u64 {
    let seed = number("SHOPTALK_FAULT_SEED", 20_250_613);
    println!("SHOPTALK_FAULT_SEED={seed}");
    seed
}

/// One run.
pub struct Run {
    pub telegram: FakeTelegram,
    pub dir: TempDir,
    /// Data directory.
    pub data: PathBuf,
    /// How many messages each chat has sent.
    written: BTreeMap<i64, i64>,
    written_at: HashMap<(i64, i64), Instant>,
    /// Messages that are set aside on purpose.
    pub poison: Vec<String>,
    /// Late updates make the order of a chat the one in which they arrived.
    pub late: bool,
}

/// The account of a run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Account {
    pub updates: usize,
    pub answered: usize,
    pub set_aside: usize,
    /// Replies that Telegram took and was sent again, because it was not noted in time.
    pub shown_again: usize,
    pub early: usize,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { updates, answered, set_aside, shown_again, early } = self;
        write!(
            f,
            "{updates} updates: {answered} answered, {set_aside} set aside, 0 lost, 0 effects twice; {shown_again} replies \
             shown again, {early} sent early"
        )
    }
}

impl Run {
    pub async fn new(per_second: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::at(dir, data, per_second).await
    }

    /// With a data directory of its own.
    pub async fn at(dir: TempDir, data: PathBuf, per_second: u32) -> Self {
        let telegram = FakeTelegram::start().await;
        let run = Self {
            telegram,
            dir,
            data,
            written: BTreeMap::new(),
            written_at: HashMap::new(),
            poison: Vec::new(),
            late: false,
        };
        let config = format!(
            "data_dir = \"{data}\"\n[models]\nencoder = \"hashed\"\nchat = \"\"\n[telegram]\ntoken = \"{token}\"\nburst_ms = 0\n\
             api_url = \"{url}\"\nper_second = {per_second}\n",
            data = run.data.display(),
            token = FakeTelegram::token(),
            url = run.telegram.url(),
        );
        std::fs::write(run.config(), config).unwrap();
        // The shop knows an order number by the shape of its own.
        run.store().await.upsert_orders(&[order(99_999_999)]).await.unwrap();
        run
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("shoptalk.toml")
    }

    pub async fn start(&self) -> Shop {
        Shop::start(&self.config()).await
    }

    /// The next message of a chat. The reply to it names its number, by which chat and message are known.
    pub fn write(&mut self, chat: i64) -> i64 {
        let number = self.written.entry(chat).or_default();
        *number += 1;
        self.written_at.insert((chat, *number), Instant::now());
        self.telegram.write(chat, &question(chat, *number))
    }

    /// Writes `count` messages, `per_second`, to `chats` chats in turn.
    pub async fn write_for(&mut self, count: i64, chats: i64, per_second: u64) {
        let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / per_second));
        for index in 0..count {
            ticks.tick().await;
            self.write(FIRST_CHAT + index % chats);
        }
    }

    /// Waits until everything has come to its end.
    pub async fn settle(&self) {
        let store = self.store().await;
        eventually("everything is worked and sent", async || {
            let waiting = store.waiting_counts().await.ok();
            (self.telegram.all_confirmed() && waiting == Some((0, 0))).then_some(())
        })
        .await;
    }

    pub async fn store(&self) -> Store {
        Store::open(&self.data).await.unwrap()
    }

    /// Ends the program, checks that it ended well and kept the token to itself, and takes the account.
    pub async fn finish(&self, shop: Shop) -> Account {
        let (status, log) = shop.interrupt().await;
        assert!(status.success(), "{status}: {log}");
        assert!(!log.contains(TOKEN_SECRET), "the token is in the log");
        self.account().await
    }

    /// Checks what must hold after every run.
    pub async fn account(&self) -> Account {
        let store = self.store().await;
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", self.data.join("shoptalk.db").display())).await;
        let pool = pool.unwrap();
        let intact: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.unwrap();
        assert_eq!(intact, "ok");
        let mut set_aside: Vec<String> =
            store.set_aside(i64::MAX).await.unwrap().into_iter().map(|update| update.content).collect();
        set_aside.sort();
        let mut poison = self.poison.clone();
        poison.sort();
        assert_eq!(set_aside, poison, "set aside");
        // A delivery belongs to the chat of its message's conversation.
        let strays = "SELECT COUNT(*) FROM outbox JOIN messages ON messages.id = outbox.message_id
             JOIN conversations ON conversations.id = messages.conversation_id WHERE conversations.chat <> outbox.chat";
        assert_eq!(sqlx::query(strays).fetch_one(&pool).await.unwrap().get::<i64, _>(0), 0);
        pool.close().await;

        let mut account = Account { set_aside: set_aside.len(), early: self.telegram.early(), ..Account::default() };
        account.updates += set_aside.len();
        for (chat, count) in &self.written {
            let numbers: Vec<i64> = (1..=*count).collect();
            let (asked, replied) = self.transcript(&store, *chat).await;
            assert_eq!(sorted_if(self.late, &asked), numbers, "chat {chat}: each message once, in order");
            assert_eq!(replied, asked, "chat {chat}: one reply to each message, in order");
            let mut shown: Vec<i64> =
                self.telegram.shown_with_times(*chat).iter().map(|shown| number_in(*chat, &shown.text)).collect();
            account.shown_again += shown.len();
            shown.dedup();
            assert_eq!(shown, replied, "chat {chat}: Telegram shows each reply, in order");
            account.shown_again -= shown.len();
            account.updates += asked.len();
            account.answered += replied.len();
        }
        for chat in self.telegram.chats() {
            assert!(self.written.contains_key(&chat), "chat {chat} never wrote");
        }
        account
    }

    /// The numbers of a chat's messages, and those that its replies name.
    async fn transcript(&self, store: &Store, chat: i64) -> (Vec<i64>, Vec<i64>) {
        let key = format!("{BOT_ID}:{chat}");
        let conversation = store.conversation(Channel::Telegram, &key).await.unwrap();
        let conversation = conversation.unwrap_or_else(|| panic!("chat {chat} has no transcript"));
        let (mut asked, mut replied) = (Vec::new(), Vec::new());
        for message in store.messages(conversation.id, 0).await.unwrap() {
            let numbers = if message.author == Author::Shopper { &mut asked } else { &mut replied };
            numbers.push(number_in(chat, &message.text));
        }
        (asked, replied)
    }

    /// Time from message to reply of each answered message of the chats that `of` takes, in milliseconds, sorted.
    pub fn waits_ms(&self, of: impl Fn(i64) -> bool) -> Vec<u128> {
        let mut waits = Vec::new();
        for chat in self.written.keys().filter(|chat| of(**chat)) {
            let mut seen = std::collections::HashSet::new();
            for shown in self.telegram.shown_with_times(*chat) {
                let number = number_in(*chat, &shown.text);
                if seen.insert(number) {
                    waits.push((shown.at - self.written_at[&(*chat, number)]).as_millis());
                }
            }
        }
        waits.sort_unstable();
        waits
    }
}

fn order(number: i64) -> Order {
    Order {
        order_id: number.to_string(),
        customer_id: "c1".to_owned(),
        email: None,
        phone: None,
        placed_at: "2025-01-01".to_owned(),
        status: OrderStatus::Delivered,
        items: Vec::new(),
        carrier: None,
        tracking: None,
        eta: None,
        total: None,
    }
}

pub fn question(chat: i64, number: i64) -> String {
    format!("Where is my order {}?", chat * PER_CHAT + number)
}

fn sorted_if(sort: bool, numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    if sort {
        numbers.sort_unstable();
    }
    numbers
}

/// The number of the message that a text of this chat names.
fn number_in(chat: i64, text: &str) -> i64 {
    let digits: Vec<i64> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|part| part.len() >= 8).map(|n| n.parse().unwrap()).collect();
    assert_eq!(digits.len(), 1, "one number in {text:?}");
    assert_eq!(digits[0] / PER_CHAT, chat, "chat {chat} got the words of another: {text:?}");
    digits[0] % PER_CHAT
}

/// The value below which `share` of the sorted values lie.
pub fn percentile(sorted: &[u128], share: f64) -> u128 {
    sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}
