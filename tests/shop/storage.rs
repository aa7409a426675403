//! What the store promises, on each database that the shop can keep: every step happens once and as a whole.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use shoptalk::{
    catalog::{EventKind, Money, Order, OrderItem, OrderStatus, Product, Review, ShopEvent},
    conversation::{Conversation, Event, Staff, State},
    knowledge::{
        Chunk, ChunkKind,
        vectors::{PartKind, PartVector, PassageVectors},
    },
    message::{Channel, Inbound, Language, LatencyMs, Origin, Reply, Route, Sentiment, Timestamp, Trace},
    storage::{
        Acted, AuditFilter, AuditKind, Author, ConversationFilter, Deed, DocumentWrite, Outcomes, Role, StaffAct,
        Store, StoredProduct, TurnOutcome,
    },
};

use crate::support::databases::{Database, on_each_database};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn inbound(channel: Channel, chat: &str, update_id: &str) -> Inbound {
    Inbound {
        channel,
        chat: chat.to_owned(),
        update_id: update_id.to_owned(),
        text: format!("message {update_id} 你好"),
        customer: None,
        language_hint: None,
        received_at: at(0),
        attachments: Vec::new(),
        origin: Origin::default(),
    }
}

fn reply(text: &str, handoff: bool) -> Reply {
    Reply {
        text: text.to_owned(),
        language: Language::En,
        intent: "other".to_owned(),
        intent_confidence: 0.5,
        route: Route::Answer,
        citations: vec![],
        products: vec![],
        handoff,
        declined: false,
        sentiment: Sentiment::Neutral,
        generated: false,
        latency_ms: LatencyMs::default(),
        suggestions: vec![],
        effect: None,
        trace: Trace::default(),
    }
}

/// Accepts a message and commits its turn; returns the ids of both messages.
async fn turn(store: &Store, channel: Channel, chat: &str, id: &str, reply: Option<&Reply>) -> (i64, Option<i64>) {
    let inbox_id = store.accept(&inbound(channel, chat, id)).await.unwrap().unwrap();
    commit(store, inbox_id, channel, chat, reply).await.unwrap()
}

async fn commit(
    store: &Store,
    inbox_id: i64,
    channel: Channel,
    chat: &str,
    reply: Option<&Reply>,
) -> Option<(i64, Option<i64>)> {
    let conversation = Conversation::new(channel, chat);
    let outcome = TurnOutcome { inbox_id, conversation: &conversation, shopper_text: "hello", reply, at: at(1) };
    store.commit_turn(&outcome).await.unwrap()
}

async fn state(store: &Store, channel: Channel, chat: &str) -> State {
    store.conversation(channel, chat).await.unwrap().unwrap().state
}

#[tokio::test]
async fn an_update_is_kept_once_in_order_and_for_the_next_process() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let first = store.accept(&inbound(Channel::Telegram, "a", "1")).await.unwrap().unwrap();
        assert_eq!(store.accept(&inbound(Channel::Telegram, "a", "1")).await.unwrap(), None);
        // The same id in another chat or channel is another update.
        assert!(store.accept(&inbound(Channel::Telegram, "b", "1")).await.unwrap().unwrap() > first);
        assert!(store.accept(&inbound(Channel::Widget, "a", "1")).await.unwrap().is_some());
        let waiting = database.reopen().await.pending_inbound(10).await.unwrap();
        let chats: Vec<&str> = waiting.iter().map(|pending| pending.inbound.chat.as_str()).collect();
        assert_eq!(chats, ["a", "b", "a"]);
        assert_eq!(waiting[0].inbound, inbound(Channel::Telegram, "a", "1"));
        assert_eq!(store.waiting_counts().await.unwrap(), (3, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_deliveries_at_the_same_moment_one_is_kept() {
    on_each_database(async |database: &Database| {
        // Another process has a writer's lock of its own.
        let other = database.reopen().await;
        let update = inbound(Channel::Telegram, "a", "1");
        let tries = (0..16).map(|at| if at % 2 == 0 { &database.store } else { &other }).map(|s| s.accept(&update));
        let kept = join_all(tries).await.into_iter().filter(|kept| kept.as_ref().unwrap().is_some()).count();
        assert_eq!(kept, 1);
        let inbox_id = other.pending_inbound(10).await.unwrap()[0].id;
        let answer = reply("yes", false);
        let tries = (0..8)
            .map(|at| if at % 2 == 0 { &database.store } else { &other })
            .map(|store| commit(store, inbox_id, Channel::Telegram, "a", Some(&answer)));
        let done = join_all(tries).await.into_iter().flatten().count();
        assert_eq!(done, 1, "a turn is committed once, whoever made it");
        let id = other.conversation(Channel::Telegram, "a").await.unwrap().unwrap().id;
        assert_eq!(other.messages(id, 0).await.unwrap().len(), 2);
        assert_eq!(other.waiting_counts().await.unwrap(), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn a_turn_is_reply_transcript_receipt_and_delivery_together() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let (shopper, bot) = turn(store, Channel::Telegram, "a", "1", Some(&reply("yes", false))).await;
        let id = store.conversation(Channel::Telegram, "a").await.unwrap().unwrap().id;
        let messages = store.messages(id, 0).await.unwrap();
        let authors: Vec<(i64, Author)> = messages.iter().map(|message| (message.id, message.author)).collect();
        assert_eq!(authors, [(shopper, Author::Shopper), (bot.unwrap(), Author::Bot)]);
        assert_eq!(messages[1].reply.as_ref(), Some(&reply("yes", false)));
        let outbox = store.pending_outbox(Channel::Telegram, at(2), 10).await.unwrap();
        assert_eq!((outbox.len(), outbox[0].message.id), (1, bot.unwrap()));
        assert_eq!(store.receipts(Channel::Telegram, "a", 0).await.unwrap()[0].message_id, Some(shopper));
        // The inbox row is done and no longer holds the words; a second commit does nothing.
        assert!(store.pending_inbound(10).await.unwrap().is_empty());
        // A row that is not there, as after another process was quicker: nothing of the turn is left.
        assert_eq!(commit(store, 999_999, Channel::Telegram, "new", Some(&reply("no", false))).await, None);
        assert!(store.conversation(Channel::Telegram, "new").await.unwrap().is_none());
        // The widget reads the transcript and needs no delivery.
        turn(store, Channel::Widget, "w", "1", Some(&reply("yes", false))).await;
        assert_eq!(store.waiting_counts().await.unwrap(), (0, 1));
    })
    .await;
}

async fn act(store: &Store, conversation_id: i64, event: Event, at: Timestamp) -> Acted {
    let (words, notice, says, update, unchanged) = (None, Some("a notice"), None, None, None);
    store.act(&StaffAct { conversation_id, event, words, notice, says, update, unchanged, at }).await.unwrap()
}

#[tokio::test]
async fn an_act_of_staff_is_locked_counted_once_and_kept_with_its_wait() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        turn(store, Channel::Telegram, "a", "1", Some(&reply("a colleague comes", true))).await;
        let id = store.conversation(Channel::Telegram, "a").await.unwrap().unwrap().id;
        let attended = store.attended().await.unwrap();
        let since = attended[0].standing.since;
        assert_eq!((attended.len(), attended[0].standing.state), (1, State::Waiting));
        let (ana, bo) = (Staff::new("console", 1, "Ana"), Staff::new("telegram", 1, "Bo"));
        let later = |minutes| since + TimeDelta::minutes(minutes);
        let answer = |staff: &Staff| Event::StaffAnswered(staff.clone());
        let said = StaffAct {
            conversation_id: id,
            event: answer(&bo),
            words: Some("Hello, Bo here."),
            notice: None,
            says: None,
            update: Some("7:55"),
            unchanged: None,
            at: later(4),
        };
        assert!(matches!(store.act(&said).await.unwrap(), Acted::Done(Some(_))));
        assert_eq!(store.act(&said).await.unwrap(), Acted::Unchanged, "the same update says nothing twice");
        assert_eq!(store.recent_waits(later(5)).await.unwrap(), [(since, later(4))]);
        let refused = store.staff_reply(id, ana.clone(), "And Ana", later(5)).await.unwrap();
        assert!(matches!(refused, Acted::Locked(holder) if holder.staff == bo));
        store.add_note(id, &ana, "Bo has it", None, later(5)).await.unwrap();
        assert!(matches!(act(store, id, Event::StaffTook(ana.clone()), later(6)).await, Acted::Done(None)));
        assert!(matches!(act(store, id, Event::StaffTook(ana.clone()), later(6)).await, Acted::Unchanged));
        let written = store.messages_with_writers(id, 0).await.unwrap();
        let written: Vec<_> = written.iter().map(|(message, id)| (message.author, id.as_deref())).collect();
        assert_eq!(
            written[2..],
            [(Author::Staff, Some("telegram:1")), (Author::Note, Some("console:1")), (Author::System, None)]
        );
        // Given back because of the time only if nothing has happened since it was looked at.
        let seen = store.attended().await.unwrap()[0].updated_at;
        let overdue = StaffAct {
            conversation_id: id,
            event: Event::TimedOut,
            words: None,
            notice: None,
            says: None,
            update: None,
            unchanged: Some(seen),
            at: later(40),
        };
        store.staff_reply(id, ana.clone(), "Still here", later(39)).await.unwrap();
        assert_eq!(store.act(&overdue).await.unwrap(), Acted::Unchanged);
        let overdue = StaffAct { unchanged: Some(later(39)), ..overdue };
        assert_eq!(store.act(&overdue).await.unwrap(), Acted::Done(None));
        let standing = store.standing(id).await.unwrap().unwrap();
        assert_eq!((standing.state, standing.since, standing.holder), (State::Bot, later(40), None));
        assert!(!store.has_open_wish(id).await.unwrap(), "a person was there");
        assert_eq!(act(store, 9_999, Event::Closed, later(41)).await, Acted::Missing);
    })
    .await;
}

#[tokio::test]
async fn who_has_the_word_is_decided_when_the_turn_is_committed() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        turn(store, Channel::Telegram, "a", "1", Some(&reply("a colleague comes", true))).await;
        assert_eq!(state(store, Channel::Telegram, "a").await, State::Waiting);
        let id = store.conversation(Channel::Telegram, "a").await.unwrap().unwrap().id;
        store.staff_reply(id, "Ana", "here I am", at(3)).await.unwrap();
        assert_eq!(state(store, Channel::Telegram, "a").await, State::WithStaff);
        // A reply that was in the making while Ana came is not said any more.
        let (_, bot) = turn(store, Channel::Telegram, "a", "2", Some(&reply("too late", false))).await;
        assert_eq!(bot, None);
        act(store, id, Event::HandedBack, at(4)).await;
        assert_eq!(state(store, Channel::Telegram, "a").await, State::Bot);
        let (_, bot) = turn(store, Channel::Telegram, "a", "3", Some(&reply("me again", false))).await;
        assert!(bot.is_some());
        act(store, id, Event::Closed, at(5)).await;
        turn(store, Channel::Telegram, "a", "4", Some(&reply("welcome back", false))).await;
        assert_eq!(state(store, Channel::Telegram, "a").await, State::Bot);
        let counts = store.conversation_counts().await.unwrap();
        assert_eq!((counts.bot, counts.total()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_chat_is_claimed_by_one_process_at_a_time_and_in_order() {
    on_each_database(async |database: &Database| {
        let (store, other) = (&database.store, database.reopen().await);
        // A webhook may bring updates in another order than that of their numbers.
        for (chat, id) in [("a", "12"), ("a", "9"), ("b", "7"), ("a", "10")] {
            store.accept(&inbound(Channel::Telegram, chat, id)).await.unwrap();
        }
        let claim = async |store: &Store, worker: &str, second: i64| {
            let claimed = store.claim_inbound(worker, at(second), 10).await.unwrap();
            claimed.into_iter().map(|pending| (pending.id, pending.inbound.update_id)).collect::<Vec<_>>()
        };
        let first = claim(store, "one", 1).await;
        assert_eq!(first.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["9", "7"]);
        assert!(claim(&other, "two", 2).await.is_empty(), "both chats are worked");
        // An update that comes late does not let a second process into the chat.
        store.accept(&inbound(Channel::Telegram, "a", "8")).await.unwrap();
        assert!(claim(&other, "two", 3).await.is_empty());
        commit(store, first[0].0, Channel::Telegram, "a", None).await.unwrap();
        assert_eq!(claim(&other, "two", 4).await[0].1, "8");
        // The first process renews its lease, the second does not.
        store.renew_claims("one", at(25)).await.unwrap();
        assert_eq!(claim(store, "three", 35).await.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["8"]);
        store.release_claims("one").await.unwrap();
        assert_eq!(claim(store, "three", 36).await[0].1, "7");
        // A clock that is put back does not make a lease last for a day.
        assert_eq!(claim(&other, "two", -80_000).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_held_by_one_process_until_it_ends() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        assert!(store.hold_lease("sender", "one", at(0)).await.unwrap());
        assert!(!store.hold_lease("sender", "two", at(1)).await.unwrap());
        assert!(store.hold_lease("another", "two", at(1)).await.unwrap());
        assert!(store.hold_lease("sender", "one", at(20)).await.unwrap());
        assert!(!store.hold_lease("sender", "two", at(40)).await.unwrap());
        assert!(store.hold_lease("sender", "two", at(50)).await.unwrap());
        assert!(!store.hold_lease("sender", "one", at(51)).await.unwrap());
        store.release_lease("sender", "one").await.unwrap();
        assert!(!store.hold_lease("sender", "one", at(52)).await.unwrap(), "only its holder gives it back");
        store.release_lease("sender", "two").await.unwrap();
        assert!(store.hold_lease("sender", "one", at(53)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn an_update_that_keeps_failing_is_set_aside_and_the_shopper_can_be_told() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let id = store.accept(&inbound(Channel::Widget, "a", "1")).await.unwrap().unwrap();
        for tries in 1..=3 {
            assert_eq!(store.pending_inbound(10).await.unwrap()[0].attempts, tries - 1);
            store.inbound_failed(id, "the encoder is on fire", 3).await.unwrap();
        }
        assert!(store.pending_inbound(10).await.unwrap().is_empty());
        let receipts = store.receipts(Channel::Widget, "a", 0).await.unwrap();
        assert_eq!((receipts.len(), receipts[0].message_id), (1, None));
        assert_eq!(commit(store, id, Channel::Widget, "a", None).await, None, "set aside is not pending");
        assert_eq!(store.accept(&inbound(Channel::Widget, "a", "1")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn deliveries_keep_the_order_of_a_chat_and_wait_for_their_time() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        for (chat, id) in [("a", "1"), ("a", "2"), ("b", "3")] {
            turn(store, Channel::Telegram, chat, id, Some(&reply(&format!("reply {id}"), false))).await;
        }
        let due = async |second| {
            let items = store.pending_outbox(Channel::Telegram, at(second), 10).await.unwrap();
            items.into_iter().map(|item| (item.id, item.message.text, item.attempts)).collect::<Vec<_>>()
        };
        let texts = |due: &[(i64, String, i64)]| due.iter().map(|(_, text, _)| text.clone()).collect::<Vec<_>>();
        let first = due(10).await;
        assert_eq!(texts(&first), ["reply 1", "reply 3"]);
        store.outbox_failed(first[0].0, "busy", at(10), Some(at(60))).await.unwrap();
        assert_eq!(texts(&due(59).await), ["reply 3"], "nothing overtakes the reply that waits");
        let again = due(60).await;
        assert_eq!((again[0].1.as_str(), again[0].2), ("reply 1", 1));
        store.outbox_failed(first[0].0, "the shopper blocked the bot", at(60), None).await.unwrap();
        let next = due(60).await;
        assert_eq!(texts(&next), ["reply 2", "reply 3"]);
        store.outbox_sent(&[next[0].0]).await.unwrap();
        store.outbox_sent(&[next[1].0]).await.unwrap();
        assert!(due(60).await.is_empty());
        assert!(store.pending_outbox(Channel::Widget, at(60), 10).await.unwrap().is_empty());
    })
    .await;
}

fn chunk(id: &str, text: &str) -> Chunk {
    Chunk {
        id: id.to_owned(),
        heading: "Returns › Boots".to_owned(),
        kind: ChunkKind::Row,
        text: text.to_owned(),
        question: None,
        cells: vec![("退货".to_owned(), "60 天".to_owned())],
        caption: None,
        language: Language::En,
        search_text: text.to_owned(),
    }
}

fn document(name: &str, chunks: &[(&str, &str)]) -> DocumentWrite {
    let parts = vec![PartVector::new(PartKind::Heading, &[0.5, -0.5])];
    let vectors = PassageVectors { whole: vec![0.25, -1.5, f32::MIN_POSITIVE], parts };
    DocumentWrite {
        name: name.to_owned(),
        title: None,
        language: Language::Zh,
        checksum: chunks.len().to_string(),
        bytes: 10,
        notes: vec!["a picture was left out".to_owned()],
        chunks: chunks.iter().map(|(id, text)| (chunk(id, text), vectors.clone())).collect(),
        encoder: "e5".to_owned(),
        at: at(0),
    }
}

#[tokio::test]
async fn a_documents_new_version_takes_the_place_of_the_old_one() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let first = store.replace_document(&document("returns.md", &[("r1", "one"), ("r2", "two")])).await.unwrap();
        store.replace_document(&document("faq.csv", &[("f1", "three")])).await.unwrap();
        let before = store.knowledge_version().await.unwrap();
        let second = store.replace_document(&document("returns.md", &[("r2", "two"), ("r3", "new")])).await.unwrap();
        assert_eq!((second.id, second.version), (first.id, 2));
        assert!(store.knowledge_version().await.unwrap() > before);
        let chunks = store.chunks(Some("returns.md")).await.unwrap();
        let ids: Vec<&str> = chunks.iter().map(|stored| stored.chunk.id.as_str()).collect();
        assert_eq!(ids, ["r2", "r3"], "passages that the file no longer has are gone");
        assert_eq!(chunks[0].chunk, chunk("r2", "two"));
        assert_eq!(chunks[0].vectors.whole, [0.25, -1.5, f32::MIN_POSITIVE]);
        assert_eq!(chunks[0].vectors.parts, [PartVector::new(PartKind::Heading, &[0.5, -0.5])]);
        assert_eq!(store.chunks(None).await.unwrap().len(), 3);
        // Another encoder's vectors take their place, those of the same encoder do not, and nobody has to load again.
        let version = store.knowledge_version().await.unwrap();
        let mut anew = chunks.clone();
        anew[0].vectors.whole = vec![0.5];
        store.replace_vectors(anew.iter()).await.unwrap();
        assert_eq!(store.chunks(Some("returns.md")).await.unwrap()[0].vectors, chunks[0].vectors);
        anew[0].encoder = "another".to_owned();
        store.replace_vectors(anew.iter()).await.unwrap();
        let stored = &store.chunks(Some("returns.md")).await.unwrap()[0];
        assert_eq!((stored.encoder.as_str(), stored.vectors.whole.as_slice()), ("another", &[0.5][..]));
        assert_eq!(store.knowledge_version().await.unwrap(), version);
        // A document that cannot be written as a whole changes nothing.
        let version = store.knowledge_version().await.unwrap();
        let doubled = document("returns.md", &[("r9", "a"), ("r9", "b")]);
        assert!(store.replace_document(&doubled).await.is_err());
        assert_eq!(store.chunks(Some("returns.md")).await.unwrap().len(), 2);
        assert_eq!(store.knowledge_version().await.unwrap(), version);
        assert!(store.delete_document("returns.md").await.unwrap());
        assert!(!store.delete_document("returns.md").await.unwrap());
        let left = store.documents().await.unwrap();
        assert_eq!((left.len(), left[0].chunks, left[0].language), (1, 1, Language::Zh));
        assert_eq!(left[0].notes, ["a picture was left out"]);
    })
    .await;
}

#[tokio::test]
async fn the_knowledge_version_grows_with_knowledge_and_with_nothing_else() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        assert_eq!(store.knowledge_version().await.unwrap(), 0);
        turn(store, Channel::Widget, "a", "1", Some(&reply("yes", false))).await;
        store.set_setting("colour", "blue").await.unwrap();
        store.set_setting("colour", "green").await.unwrap();
        assert_eq!(store.setting("colour").await.unwrap().as_deref(), Some("green"));
        assert_eq!(store.knowledge_version().await.unwrap(), 0);
        store.set_shop_profile("{}").await.unwrap();
        store.upsert_products(&[], at(0)).await.unwrap();
        assert_eq!(database.reopen().await.knowledge_version().await.unwrap(), 2);
    })
    .await;
}

fn product(sku: &str, title: &str) -> StoredProduct {
    let product = Product {
        sku: sku.to_owned(),
        title: title.to_owned(),
        description: "it's \"new\"; 100 % wool\n".to_owned(),
        category: "tents".to_owned(),
        price: Money { minor: 1250, currency: "EUR".to_owned() },
        stock: 3,
        attributes: [("colour".to_owned(), "蓝色".to_owned())].into(),
        image: None,
        compatible_with: vec!["B".to_owned()],
        language: Language::En,
    };
    StoredProduct { product, encoder: "e5".to_owned(), embedding: vec![1.0, 0.0] }
}

fn order(id: &str, placed_at: &str) -> Order {
    Order {
        order_id: id.to_owned(),
        customer_id: "C-1".to_owned(),
        email: Some("ann@shop.example".to_owned()),
        phone: None,
        placed_at: placed_at.to_owned(),
        status: OrderStatus::Shipped,
        items: vec![OrderItem { sku: "A".to_owned(), quantity: 2 }],
        carrier: None,
        tracking: None,
        eta: None,
        total: None,
    }
}

#[tokio::test]
async fn records_are_replaced_by_their_key_and_never_doubled() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        store.upsert_products(&[product("B", "Tent"), product("A", "Lamp")], at(0)).await.unwrap();
        store.upsert_products(&[product("A", "Lamp 2")], at(1)).await.unwrap();
        let titles: Vec<String> = store.products().await.unwrap().into_iter().map(|s| s.product.title).collect();
        assert_eq!(titles, ["Lamp 2", "Tent"]);
        assert_eq!(store.first_products(1).await.unwrap(), [product("A", "Lamp 2").product]);
        store.upsert_orders(&[order("TC-1", "2026-11-01"), order("TC-2", "2026-11-09")]).await.unwrap();
        store.upsert_orders(&[order("TC-1", "2026-11-02")]).await.unwrap();
        let latest: Vec<String> = store.orders_of("C-1").await.unwrap().into_iter().map(|o| o.order_id).collect();
        assert_eq!(latest, ["TC-2", "TC-1"]);
        assert_eq!(store.order("tc-1").await.unwrap().unwrap().placed_at, "2026-11-02");
        assert!(store.order("TC-3").await.unwrap().is_none());
        let review =
            Review { sku: "A".into(), rating: 5, text: "bright".into(), date: String::new(), author: "Bo".into() };
        assert_eq!(store.insert_reviews(&[review.clone(), review.clone()]).await.unwrap(), 1);
        assert_eq!(store.reviews(Some("A")).await.unwrap(), [review]);
        assert!(store.reviews(Some("B")).await.unwrap().is_empty());
        let event = ShopEvent { customer_id: "C-1".into(), sku: "A".into(), kind: EventKind::View, at: at(7) };
        assert_eq!(store.insert_events(&[event.clone(), event.clone()]).await.unwrap(), 1);
        assert_eq!(store.events().await.unwrap(), [event]);
        assert_eq!(store.record_counts().await.unwrap(), [2, 2, 1, 1]);
    })
    .await;
}

#[tokio::test]
async fn people_are_unique_by_address_and_the_first_owner_comes_in_once() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        store.keep_setup_token("digest").await.unwrap();
        assert!(store.has_setup_token("digest").await.unwrap() && !store.has_setup_token("other").await.unwrap());
        let add = |token: &'static str| store.add_first_owner(token, "Ana@Shop.example", "Ana", "hash", at(0));
        assert_eq!(add("other").await.unwrap(), None);
        let ana = add("digest").await.unwrap().unwrap();
        assert_eq!(add("digest").await.unwrap(), None, "the token is void");
        assert!(!store.has_setup_token("digest").await.unwrap());
        let bo = store.add_user("bo@shop.example", "Bo", Role::Agent, "hash", at(0)).await.unwrap();
        assert!(bo.is_some_and(|bo| bo != ana));
        assert_eq!(store.add_user("ANA@shop.example", "Ana 2", Role::Agent, "hash", at(0)).await.unwrap(), None);
        assert_eq!(store.user_by_email("ANA@SHOP.EXAMPLE").await.unwrap().unwrap().id, ana);
        assert_eq!(store.user(ana).await.unwrap().unwrap().role, Role::Owner);
        let names: Vec<String> = store.users().await.unwrap().into_iter().map(|user| user.name).collect();
        assert_eq!((store.user_count().await.unwrap(), names), (2, vec!["Ana".to_owned(), "Bo".to_owned()]));
    })
    .await;
}

#[tokio::test]
async fn wrong_proofs_are_counted_by_order_and_time() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        for second in [0, 100, 200] {
            store.add_verification_failure("TC-1", at(second)).await.unwrap();
        }
        store.add_verification_failure("TC-2", at(200)).await.unwrap();
        let since = at(200) - TimeDelta::seconds(100);
        assert_eq!(store.verification_failures("TC-1", since..at(201)).await.unwrap(), 2);
        assert_eq!(store.verification_failures("TC-1", since..at(200)).await.unwrap(), 1);
        assert_eq!(database.reopen().await.verification_failures("TC-3", since..at(201)).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn conversations_are_found_by_state_and_by_words_taken_literally() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        turn(store, Channel::Widget, "a", "1", Some(&reply("100% Wool_blend \\ ÄRMEL", false))).await;
        turn(store, Channel::Widget, "b", "1", Some(&reply("您好，退货", true))).await;
        let found = async |search: &str, state: Option<State>| {
            let search = Some(search.to_owned());
            let filter = ConversationFilter { search, state, limit: 10, offset: 0, ..ConversationFilter::default() };
            let found = store.conversations(&filter).await.unwrap();
            found.into_iter().map(|summary| summary.chat).collect::<Vec<_>>()
        };
        assert_eq!(found("100% wool_BLEND", None).await, ["a"]);
        assert_eq!(found("\\", None).await, ["a"]);
        assert_eq!(found("100_", None).await, Vec::<String>::new());
        assert_eq!(found("退货", None).await, ["b"]);
        assert_eq!(found("", Some(State::Waiting)).await, ["b"]);
        let all = store.conversations(&ConversationFilter { limit: 10, ..Default::default() }).await.unwrap();
        assert_eq!((all.len(), all[0].messages, all[0].last_text.as_str()), (2, 2, "您好，退货"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_may_start_on_an_empty_database_at_once() {
    on_each_database(async |database: &Database| {
        // Below the database's own directory, so that SQLite starts anew too.
        let url = match database.url.strip_prefix("sqlite://") {
            Some(_) => format!("sqlite://{}?mode=rwc", database.dir.path().join("fresh.db").display()),
            None => database.url.clone(),
        };
        for opened in join_all((0..4).map(|_| Store::connect(&url))).await {
            opened.unwrap().waiting_counts().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_lasts_until_its_time_and_no_longer() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        for id in ["s1", "s2", "s3"] {
            store.add_session(id, at(10)).await.unwrap();
        }
        store.save_session("s1", "{\"a\":1}", None, at(10)).await.unwrap();
        store.save_session("s1", "{\"a\":2}", None, at(20)).await.unwrap();
        store.save_session("s2", "{}", None, at(30)).await.unwrap();
        assert_eq!(store.session("s1", at(19)).await.unwrap().as_deref(), Some("{\"a\":2}"));
        assert_eq!(store.session("s1", at(20)).await.unwrap(), None);
        assert_eq!(store.session("s1", at(19)).await.unwrap(), None, "a clock that is put back revives nothing");
        store.save_session("s3", "{}", None, at(20)).await.unwrap();
        assert_eq!(store.delete_expired_sessions(at(20)).await.unwrap(), 1);
        store.delete_session("s2").await.unwrap();
        assert_eq!(store.session("s2", at(0)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn owners_cannot_lose_each_other_and_a_deed_is_noted_with_its_effect_or_not_at_all() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let add = |email: &'static str| store.add_user(email, "Name", Role::Owner, "hash", at(0));
        let (ana, bo) =
            (add("ana@shop.example").await.unwrap().unwrap(), add("bo@shop.example").await.unwrap().unwrap());
        let deed =
            |kind| Deed { actor: Some(Staff::new("console", ana, "Ana")), kind, subject: String::new(), at: at(1) };
        let noting = store.noting(deed(AuditKind::RoleChanged));
        let (other, other_noting) = (database.reopen().await, store.noting(deed(AuditKind::RoleChanged)));
        let (one, two, three) = tokio::join!(
            noting.set_role(ana, Role::Viewer),
            other_noting.set_role(bo, Role::Viewer),
            other.set_role(bo, Role::Agent),
        );
        let changed = [one.unwrap(), two.unwrap() || three.unwrap()];
        assert_eq!(changed.iter().filter(|changed| **changed).count(), 1, "one of them stays owner");
        let owners = store.users().await.unwrap().into_iter().filter(|user| user.role == Role::Owner).count();
        assert_eq!(owners, 1);
        let owner = store.users().await.unwrap().into_iter().find(|user| user.role == Role::Owner).unwrap().id;
        let noting = store.noting(deed(AuditKind::PersonDeactivated));
        assert!(!noting.deactivate(owner, at(2)).await.unwrap());
        assert!(!noting.end_session(owner, "none").await.unwrap());
        assert!(
            store
                .audit_entries(&AuditFilter {
                    kind: Some(AuditKind::PersonDeactivated),
                    limit: 9,
                    ..AuditFilter::default()
                })
                .await
                .unwrap()
                .is_empty()
        );
        let other = if owner == ana { bo } else { ana };
        assert!(noting.deactivate(other, at(3)).await.unwrap());
        let filter = AuditFilter {
            actor_id: Some(format!("console:{ana}")),
            kind: Some(AuditKind::PersonDeactivated),
            from: Some(at(1)),
            until: Some(at(2)),
            limit: 9,
            ..AuditFilter::default()
        };
        assert_eq!(store.audit_entries(&filter).await.unwrap().len(), 1);
        assert_eq!(store.audit_actors().await.unwrap(), [(format!("console:{ana}"), "Ana".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn visits_are_noted_and_counted_on_each_database() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let conversation = Conversation::new(Channel::Widget, "w1");
        let turn = async |update: &str, reply: Reply, at: DateTime<Utc>| {
            let inbox_id = store.accept(&inbound(Channel::Widget, "w1", update)).await.unwrap().unwrap();
            let outcome =
                TurnOutcome { inbox_id, conversation: &conversation, shopper_text: "hi", reply: Some(&reply), at };
            store.commit_turn(&outcome).await.unwrap().unwrap().1.unwrap()
        };
        turn("1", reply("Yes", false), at(0)).await;
        let rated = turn("2", reply("Yes", false), at(4 * 3600)).await;
        assert!(store.rate(Channel::Widget, "w1", rated, true).await.unwrap());
        turn("3", Reply { declined: true, ..reply("No", false) }, at(100 * 3600)).await;
        let span = at(-86_400)..at(200 * 3600);
        let mut all = Outcomes::default();
        for row in store.outcomes(&span).await.unwrap() {
            all += row.outcomes;
        }
        let expected =
            Outcomes { reopened: 1, confirmed: 1, declined: 1, satisfied: 1, rated: 1, ..Outcomes::default() };
        assert_eq!(all, expected);
        let (visits, times) = store.first_answer_ms(&span, &[0.5, 0.95]).await.unwrap();
        assert_eq!((visits, times.len()), (3, 2));
        let topics = store.top_topics(&span, 5).await.unwrap();
        assert_eq!((topics[0].asked, topics[0].declined, topics.len()), (3, 1, 1));
        drop(database.reopen().await);
        assert_eq!(store.first_answer_ms(&span, &[0.5]).await.unwrap().0, 3, "nothing is read twice");
    })
    .await;
}
