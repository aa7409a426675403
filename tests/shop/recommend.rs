//! Product wishes and product facts over small shops of several trades, in English and Chinese.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shoptalk::{
    catalog::{EventKind, Money, Product, ShopEvent},
    message::{Language, ProductCard},
    recommend::{ProductAnswer, ProductRequest, ProductWish, Recommender, Wish},
    storage::StoredProduct,
};

/// `sku|title|description|category|price|stock|attributes|fits`, prices in euro.
fn shop(lines: &str) -> Vec<StoredProduct> {
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(product).collect()
}

fn product(line: &str) -> StoredProduct {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let attributes: BTreeMap<String, String> = cells[6]
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let language = if cells[1].chars().any(shoptalk::language::is_han) { Language::Zh } else { Language::En };
    StoredProduct {
        product: Product {
            sku: cells[0].into(),
            title: cells[1].into(),
            description: cells[2].into(),
            category: cells[3].into(),
            price: Money::parse(cells[4], "EUR").unwrap(),
            stock: cells[5].parse().unwrap(),
            attributes,
            image: None,
            compatible_with: cells[7].split(';').filter(|sku| !sku.is_empty()).map(str::to_owned).collect(),
            language,
        },
        encoder: "none".into(),
        embedding: vec![],
    }
}

const ELECTRONICS: &str = "
    E1|Kestrel 7|Phone with a bright screen.|Phones|399.00|9|screen_in=6.1;battery_mah=4500;colour=blue;waterproof=no|
    E2|Kestrel 7 Max|Big phone for films.|Phones|699.00|4|screen_in=6.9;battery_mah=5600;colour=black;waterproof=yes|
    E3|Wren|Small phone with keys.|Phones|79.00|12|screen_in=2.8;battery_mah=1500;colour=red;waterproof=no|
    E4|Anvil Tough|Phone that survives a fall.|Phones|259.00|5|screen_in=5.6;battery_mah=7200;colour=orange;waterproof=yes|
    E5|Heron Fold|Folding phone.|Phones|1199.00|0|screen_in=7.4;battery_mah=4400;colour=black;waterproof=no|
    E6|Kestrel 7 Clear Case|Transparent case.|Cases|14.00|30|material=plastic;colour=clear|E1
    E7|Kestrel 7 Leather Folio|Case with room for cards.|Cases|35.00|8|material=leather;colour=brown|E1
    E8|Max Bumper|Case with raised edges.|Cases|24.00|0|material=rubber;colour=black|E2
    E9|Glass Shield Kestrel 7|Tempered glass screen protector.|Screen protectors|12.00|20|material=glass|E1
    E10|Murmur 500|Over-ear headphones with noise cancelling.|Headphones|199.00|7|wireless=yes;noise_cancelling=yes;playtime_h=40|
    E11|Murmur 200|Light headphones.|Headphones|99.00|11|wireless=yes;noise_cancelling=yes;playtime_h=25|
    E12|TrackTone Sport|Headphones for running that survive rain.|Headphones|79.00|0|wireless=yes;noise_cancelling=no;playtime_h=9|
    E13|Pip|Wireless earbuds.|Headphones|45.00|20|wireless=yes;noise_cancelling=no;playtime_h=5|
    E14|Quickbox 65|Wall charger with three sockets.|Chargers|42.00|6|power_w=65;ports=3|E1;E2;E20
    E15|Old Lead|Cable for older devices.|Cables|6.00|9|plug=Micro-USB|E3
    E16|New Lead|Woven cable.|Cables|9.00|9|plug=USB-C|E1;E2;E4
    E17|Vista M1|Camera with changeable lenses.|Cameras|799.00|3|megapixels=24;weight_g=430|
    E18|Vista Go|Camera with a long zoom.|Cameras|299.00|5|megapixels=20;weight_g=310|
    E19|Vista 50 mm Lens|Bright portrait lens.|Camera accessories|189.00|5|weight_g=190|E17
    E20|Slate 13|Light laptop.|Laptops|899.00|4|screen_in=13.3;weight_g=1190;memory_gb=16|
    E21|Slate 15|Laptop with a number pad.|Laptops|1099.00|4|screen_in=15.6;weight_g=1750;memory_gb=32|
";

const TEA: &str = "
    T1|正山小种|武夷山红茶，带桂圆香。|红茶|128.00|20|weight_g=250;产地=福建|
    T2|西湖龙井 特级|明前手工炒制绿茶。|绿茶|268.00|6|weight_g=100;产地=浙江|
    T3|茉莉花茶|绿茶窨制，花香浓。|花茶|58.00|0|weight_g=200;产地=福建|
    T4|白瓷盖碗|白色瓷盖碗，容量120毫升。|茶具|45.00|15|capacity_ml=120;colour=white;material=porcelain|
    T5|紫砂壶 西施|宜兴紫砂茶壶。|茶具|380.00|3|capacity_ml=200;material=紫砂|
    T6|玻璃公道杯|耐热玻璃。|茶具|29.00|18|capacity_ml=300;material=glass|
    T7|熟普洱饼|云南普洱，存放五年。|普洱茶|198.00|9|weight_g=357;产地=云南|
";

const CLOTHES: &str = "
    C1|Harbour Rain Jacket|Jacket with taped seams.|Jackets|120.00|6|colour=navy blue;material=polyester;size=S, M, L;waterproof=yes|
    C2|Fell Down Jacket|Warm jacket for winter.|Jackets|189.00|4|colour=black;material=nylon;size=M, L, XL;waterproof=no|
    C3|Tarn Leather Belt|Belt with a brass buckle.|Belts|39.00|10|colour=brown;material=leather|
    C4|Webbing Belt|Belt of woven cotton.|Belts|19.00|14|colour=green;material=cotton|
    C5|Loch Merino Socks|Warm socks.|Socks|16.00|40|colour=grey;material=merino wool|
    C6|Trail Runner 2|Running shoes with grip.|mens-shoes|110.00|5|colour=red;size=40-46;weight_g=280|
    C7|City Runner|Running shoes for roads.|womens-shoes|95.00|7|colour=white;size=36-41;weight_g=240|
    C8|Party Dress|Dress with sequins.|Dresses|79.00|3|colour=red;size=S, M|
";

const FURNITURE: &str = "
    F1|Oslo Dining Table|Table of solid oak for six.|Tables|549.00|2|width_cm=180;material=oak|
    F2|Nook Desk|Small desk.|Tables|139.00|8|width_cm=90;material=beech|
    F3|Lund Chair|Chair that stacks.|Chairs|69.00|30|material=beech;colour=white;weight_kg=4.5|
    F4|Lund Armchair|Soft armchair.|Chairs|249.00|3|material=velvet;colour=green;weight_kg=14|
    F5|Halo Floor Lamp|Lamp with a linen shade.|Lamps|89.00|6|height_cm=150;colour=white|
    F6|Dot Bulb|Bulb for our lamps.|Light bulbs|7.00|50|power_w=8|F5
";

struct Ask<'a> {
    recommender: &'a Recommender,
    language: Language,
    hint: ProductWish,
    owned: Vec<String>,
    talked_about: Vec<String>,
    previous: Option<Wish>,
}

fn ask(recommender: &Recommender) -> Ask<'_> {
    let (owned, talked_about, previous) = (vec![], vec![], None);
    Ask { recommender, language: Language::En, hint: ProductWish::Search, owned, talked_about, previous }
}

impl Ask<'_> {
    fn zh(mut self) -> Self {
        self.language = Language::Zh;
        self
    }
    fn hint(mut self, hint: ProductWish) -> Self {
        self.hint = hint;
        self
    }
    fn owning(mut self, skus: &[&str]) -> Self {
        self.owned = skus.iter().map(|sku| (*sku).to_owned()).collect();
        self
    }
    fn after(mut self, skus: &[&str]) -> Self {
        self.talked_about = skus.iter().map(|sku| (*sku).to_owned()).collect();
        self
    }
    fn answer(&self, text: &str) -> ProductAnswer {
        self.recommender.answer(&ProductRequest {
            text,
            language: self.language,
            wish: self.hint,
            query_embedding: None,
            owned: &self.owned,
            talked_about: &self.talked_about,
            previous: self.previous.as_ref(),
            limit: 5,
        })
    }
    fn skus(&self, text: &str) -> Vec<String> {
        let mut skus: Vec<String> = self.cards(text).into_iter().map(|card| card.sku).collect();
        skus.sort();
        skus
    }
    fn cards(&self, text: &str) -> Vec<ProductCard> {
        match self.answer(text) {
            ProductAnswer::Cards { cards, .. } => cards,
            other => panic!("{text}: no cards but {other:?}"),
        }
    }
    fn fact(&self, text: &str) -> String {
        match self.answer(text) {
            ProductAnswer::Fact { text, .. } => text,
            other => panic!("{text}: no fact but {other:?}"),
        }
    }
    fn nothing(&self, text: &str) -> String {
        match self.answer(text) {
            ProductAnswer::Nothing { text, .. } => text,
            other => panic!("{text}: not nothing but {other:?}"),
        }
    }
}

fn electronics() -> Recommender {
    Recommender::build(shop(ELECTRONICS), &[])
}

#[test]
fn a_promise_in_the_record_is_told_by_itself() {
    let records = "Q1|Pinemoss Candle|Scented candle.|Candles|9.00|4|warranty_information=3 months warranty;return_policy=No return policy|";
    let shop = Recommender::build(shop(records), &[]);
    let said = |text: &str| match ask(&shop).hint(ProductWish::Property).answer(text) {
        ProductAnswer::Fact { text, .. } => text,
        other => panic!("{other:?}"),
    };
    let warranty = said("What is the warranty on the Pinemoss Candle?");
    assert_eq!(warranty, "The Pinemoss Candle is listed with warranty information: 3 months warranty.");
    let returns = said("Can I return the Pinemoss Candle?");
    assert_eq!(returns, "The Pinemoss Candle is listed with return policy: No return policy.");
}

#[test]
fn a_shop_without_a_catalogue_does_not_say_what_it_does_not_sell() {
    let shop = Recommender::build(vec![], &[]);
    assert!(matches!(ask(&shop).answer("Do you sell fishing rods?"), ProductAnswer::NotAboutProducts));
}

#[test]
fn every_stated_condition_is_met() {
    let shop = electronics();
    for (text, expected) in [
        ("A waterproof phone for no more than 300 euro, please", vec!["E4"]),
        ("headphones with noise cancelling under 150", vec!["E11"]),
        ("I want a laptop that weighs less than 1.3 kg", vec!["E20"]),
        ("phone with a battery of 5000 mAh or bigger", vec!["E2", "E4"]),
        ("phones between 200 and 500 euros", vec!["E1", "E4"]),
        ("camera with at least 22 megapixels", vec!["E17"]),
        ("charger with at least 3 ports", vec!["E14"]),
        ("headphnoes under 100", vec!["E11", "E13"]),
        ("earbuds", vec!["E13"]),
        ("laptop charger", vec!["E14"]),
    ] {
        assert_eq!(ask(&shop).skus(text), expected, "{text}");
    }
    for (text, expected) in [
        ("四百欧以下的手机有现货吗，要小屏的，5.5寸以内", vec!["E3"]),
        ("降噪耳机150以下", vec!["E11"]),
        ("电池5000毫安以上的手机", vec!["E2", "E4"]),
        ("有没有透明的手机壳", vec!["E6"]),
        ("有没有不要皮的手机壳", vec!["E6"]),
    ] {
        assert_eq!(ask(&shop).zh().skus(text), expected, "{text}");
    }
}

#[test]
fn other_trades_need_no_other_words() {
    let clothes = Recommender::build(shop(CLOTHES), &[]);
    for (text, expected) in [
        ("a waterproof jacket in size M", vec!["C1"]),
        ("belt, not leather", vec!["C4"]),
        ("running shoes for women", vec!["C7"]),
        ("men's shoes size 42", vec!["C6"]),
        ("blue jacket", vec!["C1"]),
        ("wool socks", vec!["C5"]),
        ("jacket without down", vec!["C1"]),
        ("any clothes in red?", vec!["C8"]),
    ] {
        assert_eq!(ask(&clothes).skus(text), expected, "{text}");
    }
    let furniture = Recommender::build(shop(FURNITURE), &[]);
    for (text, expected) in [
        ("a wooden table under 200", vec!["F2"]),
        ("desk no wider than 1 m", vec!["F2"]),
        ("chairs lighter than 5 kg", vec!["F3"]),
        ("lamp taller than 1.2 m", vec!["F5"]),
        ("which bulb for the Halo Floor Lamp?", vec!["F6"]),
    ] {
        assert_eq!(ask(&furniture).skus(text), expected, "{text}");
    }
    let tea = Recommender::build(shop(TEA), &[]);
    for (text, expected) in [
        ("有红茶吗", vec!["T1"]),
        ("200块以下的茶", vec!["T1", "T7"]),
        ("有没有福建的茶", vec!["T1"]),
        ("容量200毫升以上的茶具", vec!["T5", "T6"]),
        ("瓷的盖碗", vec!["T4"]),
    ] {
        assert_eq!(ask(&tea).zh().skus(text), expected, "{text}");
    }
    assert_eq!(ask(&tea).skus("black tea"), ["T1"], "an English question over a Chinese catalogue");
    let gifts = ask(&tea).skus("a gift for a tea lover under 50");
    assert!(!gifts.is_empty() && gifts.iter().all(|sku| ["T4", "T6"].contains(&sku.as_str())), "{gifts:?}");
}

#[test]
fn what_is_not_there_is_said_plainly() {
    let shop = electronics();
    assert!(ask(&shop).nothing("Do you have a drone?").contains("do not have \"drone\""));
    assert!(ask(&shop).nothing("do you sell gramophones?").contains("gramophones"));
    assert!(ask(&shop).zh().nothing("你们有无人机吗").contains("没有“无人机”"));
    assert!(ask(&shop).nothing("green phone").contains("green"));
    let dear = ask(&shop).nothing("waterproof phone under 100");
    assert!(dear.contains("Anvil Tough") && dear.contains("€259.00"), "{dear}");
    let sold_out = ask(&shop).nothing("headphones for running");
    assert!(sold_out.contains("TrackTone Sport") && sold_out.contains("out of stock"), "{sold_out}");
}

#[test]
fn what_cannot_be_checked_is_said() {
    let shop = electronics();
    let ProductAnswer::Cards { text, .. } = ask(&shop).answer("phone with a keyboard") else { panic!() };
    assert!(text.contains("could not check \"keyboard\""), "{text}");
}

#[test]
fn accessories_fit_or_are_not_shown() {
    let shop = electronics();
    assert_eq!(ask(&shop).skus("case for the Kestrel 7?"), ["E6", "E7"]);
    assert_eq!(ask(&shop).skus("a leather case for Kestrel 7"), ["E7"]);
    assert_eq!(ask(&shop).skus("I got the Vista M1 last week. What should I buy for it?"), ["E19"]);
    assert_eq!(ask(&shop).skus("Which charger fits the Slate 13?"), ["E14"]);
    assert_eq!(ask(&shop).zh().skus("Kestrel 7配什么膜好"), ["E9"]);
    assert!(ask(&shop).nothing("case for the Wren").contains("Wren"));
    assert!(ask(&shop).nothing("case for the Kestrel 7 Max").contains("out of stock"));
    assert!(ask(&shop).nothing("case for my iPhone 15").contains("iPhone"));
}

#[test]
fn the_phone_from_my_order_is_the_phone() {
    let shop = electronics();
    let (stranger, ask) = (ask(&shop), ask(&shop).owning(&["E11", "E1", "E20"]));
    assert_eq!(ask.skus("Which case would suit the phone from my order?"), ["E6", "E7"]);
    assert_eq!(ask.skus("a charger that fits my laptop"), ["E14"]);
    assert!(matches!(stranger.answer("Which case fits my phone?"), ProductAnswer::AskBack { .. }));
    assert!(matches!(stranger.answer("a case for the phone from my order"), ProductAnswer::AskBack { .. }));
}

#[test]
fn stock_price_and_properties_come_from_the_record() {
    let shop = electronics();
    for (text, words) in [
        ("Are the TrackTone headphones in stock?", vec!["No", "TrackTone Sport", "out of stock"]),
        ("Is the Wren in stock?", vec!["Yes", "12"]),
        ("When will the Heron Fold be back in stock?", vec!["out of stock", "no date"]),
        ("How much is the murmur 500?", vec!["€199.00"]),
        ("Which plug does the New Lead have?", vec!["USB-C"]),
        ("how heavy is the Vista Go", vec!["310 g"]),
        ("Is the Anvil Tough waterproof?", vec!["Yes"]),
        ("Is the Kestrel 7 waterproof?", vec!["No"]),
        ("what colour is the Wren", vec!["red"]),
        ("do you have the Kestrel 7 in red?", vec!["No", "blue"]),
        ("how long does the battery of the Pip last?", vec!["5 h"]),
        ("Is the Kestrel 7 Max in stock?", vec!["Yes", "4"]),
    ] {
        let fact = ask(&shop).fact(text);
        assert!(words.iter().all(|word| fact.contains(word)), "{text}: {fact}");
    }
    for (text, words) in [
        ("Anvil Tough防水吗", vec!["是的"]),
        ("Heron Fold什么时候到货", vec!["缺货", "没有到货日期"]),
        ("Murmur 200多少钱", vec!["€99.00"]),
        ("Slate 13多重", vec!["1190 g"]),
        ("Wren有货吗", vec!["有现货", "12"]),
    ] {
        let fact = ask(&shop).zh().fact(text);
        assert!(words.iter().all(|word| fact.contains(word)), "{text}: {fact}");
    }
}

#[test]
fn what_no_record_states_is_left_to_the_documents() {
    let shop = electronics();
    for text in [
        "How much is delivery of the Wren?",
        "is the Pip good for swimming?",
        "Can I return the Slate 13?",
        "How do I reset the Kestrel 7?",
        "What is the deposit for a loan phone?",
        "Can I rent a laptop by the week?",
        "my phone has not arrived yet",
        "When do my headphones come?",
        "How many minutes does the Wren need for a full charge?",
    ] {
        assert_eq!(ask(&shop).answer(text), ProductAnswer::NotAboutProducts, "{text}");
    }
}

#[test]
fn products_are_compared_on_what_was_asked() {
    let shop = electronics();
    let megapixels = ask(&shop).fact("Which has more megapixels, the Vista M1 or the Vista Go?");
    assert_eq!(megapixels, "The Vista M1 has more: 24 megapixels against 20 (the Vista Go).");
    let lighter = ask(&shop).fact("which is lighter, the Slate 13 or the Slate 15?");
    assert!(lighter.starts_with("The Slate 13 has the lower weight: 1190 g"), "{lighter}");
    let cheaper = ask(&shop).hint(ProductWish::Compare).after(&["E10", "E11"]).fact("which of the two is cheaper?");
    assert!(cheaper.starts_with("The Murmur 200"), "{cheaper}");
    let table = ask(&shop).fact("Vista M1 vs Vista Go");
    assert!(table.contains("€799.00") && table.contains("€299.00"), "{table}");
    assert!(ask(&shop).zh().fact("Vista M1和Vista Go哪个像素高").starts_with("Vista M1"));
}

#[test]
fn compatibility_is_what_the_lists_say_and_nothing_more() {
    let shop = electronics();
    assert!(ask(&shop).fact("Would the Old Lead work with my Kestrel 7?").starts_with("No"));
    assert!(ask(&shop).fact("Does the New Lead fit the Anvil Tough?").starts_with("Yes"));
    let silent = ask(&shop).answer("Does the Murmur 500 work with the Kestrel 7?");
    assert_eq!(silent, ProductAnswer::NotAboutProducts, "neither has a list");
    let phones = ask(&shop).fact("which phones does the Quickbox 65 fit?");
    assert!(phones.contains("Kestrel 7 and Kestrel 7 Max") && !phones.contains("Slate"), "{phones}");
    assert!(ask(&shop).zh().fact("Old Lead能用在Kestrel 7上吗").starts_with("不可以"));
}

#[test]
fn a_follow_up_narrows_the_wish() {
    let shop = electronics();
    let ProductAnswer::Cards { wish, .. } = ask(&shop).answer("Which phones do you have in stock?") else { panic!() };
    let mut follow = ask(&shop);
    follow.previous = Some(serde_json::from_str(&serde_json::to_string(&wish).unwrap()).unwrap());
    assert_eq!(follow.skus("just the ones below 300 euro"), ["E3", "E4"]);
    assert_eq!(follow.skus("in red?"), ["E3"]);
    assert!(follow.nothing("cheaper").contains("Wren"), "nothing is cheaper than the cheapest shown");
    assert_eq!(follow.skus("and headphones?"), ["E10", "E11", "E13"], "a new kind is a new wish");

    let ProductAnswer::Cards { wish, cards, .. } = ask(&shop).answer("headphones with noise cancelling under 250")
    else {
        panic!()
    };
    assert_eq!(cards.len(), 2);
    follow.previous = Some(Wish { shown: vec!["E10".into()], ..wish });
    follow.language = Language::Zh;
    assert_eq!(follow.skus("便宜一点的"), ["E11"]);
    assert_eq!(follow.skus("还有别的吗"), ["E11"]);
}

#[test]
fn orders_of_size_price_and_weight() {
    let shop = electronics();
    assert_eq!(ask(&shop).cards("cheapest phone")[0].sku, "E3");
    assert_eq!(ask(&shop).cards("small phone")[0].sku, "E3");
    assert_eq!(ask(&shop).cards("lightest laptop")[0].sku, "E20");
    assert_eq!(ask(&shop).zh().cards("续航最长的耳机")[0].sku, "E10");
    assert!(!ask(&shop).skus("small phone").contains(&"E2".to_owned()));
}

#[test]
fn an_open_wish_is_asked_back() {
    let shop = electronics();
    let ProductAnswer::AskBack { text, .. } = ask(&shop).answer("recommend something") else { panic!() };
    assert!(text.contains("headphones"), "{text}");
    let ProductAnswer::AskBack { text, .. } = ask(&shop).zh().answer("推荐一款") else { panic!() };
    assert!(text.contains("耳机"), "{text}");
}

fn event(customer: &str, sku: &str, kind: EventKind, day: i64) -> ShopEvent {
    let at = chrono::DateTime::from_timestamp(1_760_000_000 + day * 86_400, 0).unwrap();
    ShopEvent { customer_id: customer.into(), sku: sku.into(), kind, at }
}

#[test]
fn habits_rank_and_are_named_only_when_true() {
    let mut events = vec![];
    for customer in ["a", "b", "c"] {
        events.push(event(customer, "E1", EventKind::Purchase, 1));
        events.push(event(customer, "E7", EventKind::Purchase, 2));
        events.push(event(customer, "E13", EventKind::Purchase, 3));
    }
    events.push(event("d", "E1", EventKind::Purchase, 3));
    events.push(event("d", "E6", EventKind::Purchase, 4));
    let shop = Recommender::build(shop(ELECTRONICS), &events);
    let cards = ask(&shop).cards("case for the Kestrel 7?");
    assert_eq!(cards[0].sku, "E7");
    assert!(cards[0].reason.contains("often bought together"), "{}", cards[0].reason);
    assert!(!cards[1].reason.contains("often"), "one customer is not often: {}", cards[1].reason);
    let mine = ask(&shop).owning(&["E1"]).cards("anything new I'd like?");
    assert!(["E7", "E13"].contains(&mine[0].sku.as_str()), "{mine:?}");
    assert!(mine.iter().all(|card| card.sku != "E1"), "what was just bought is not shown");
    assert_eq!(shop.rank_next(&["E1".to_owned()], 1)[0].0, "E7");
}

#[test]
fn what_nobody_declares_to_fit_is_only_said_to_be_bought_together() {
    let mut events = vec![];
    for customer in ["a", "b"] {
        events.push(event(customer, "C6", EventKind::Purchase, 1));
        events.push(event(customer, "C5", EventKind::Purchase, 1));
    }
    let shop = Recommender::build(shop(CLOTHES), &events);
    let ProductAnswer::Cards { text, cards, .. } = ask(&shop).answer("what goes with the Trail Runner 2?") else {
        panic!()
    };
    assert_eq!(cards[0].sku, "C5");
    assert!(text.contains("does not say what fits") && cards[0].reason.contains("bought together"), "{text}");
}

#[test]
fn consumables_are_offered_again() {
    let mut events = vec![];
    for customer in ["a", "b"] {
        events.push(event(customer, "T1", EventKind::Purchase, 1));
        events.push(event(customer, "T1", EventKind::Purchase, 40));
    }
    let shop = Recommender::build(shop(TEA), &events);
    assert_eq!(ask(&shop).owning(&["T1", "T4"]).zh().skus("有红茶吗"), ["T1"]);
    let cups = ask(&shop).owning(&["T1", "T4"]).zh().skus("茶具");
    assert!(!cups.contains(&"T4".to_owned()), "{cups:?}");
}

#[test]
fn names_are_found_whole_short_misspelt_and_by_sku() {
    let shop = electronics();
    for (text, sku) in [
        ("what does e12 cost", "E12"),
        ("the Kestrel 7 Max please", "E2"),
        ("the TrackTone", "E12"),
        ("how big is the anvil tuogh", "E4"),
        ("quick box 65", "E14"),
        ("Murmur 200有货吗", "E11"),
    ] {
        let found = shop.mentions(text);
        let first = found.first().map(|mention| mention.skus.clone()).unwrap_or_default();
        assert_eq!(first, [sku], "{text}: {found:?}");
    }
    assert!(shop.mentions("I will quickly go out").is_empty());
    let ambiguous = shop.mentions("the Murmur");
    assert_eq!(ambiguous[0].skus.len(), 2);
    let mention = &shop.mentions("Is the Heron Fold there?")[0];
    assert_eq!(&"Is the Heron Fold there?"[mention.span.clone()], "Heron Fold");
}

fn word() -> impl Strategy<Value = String> {
    let words = [
        "phone",
        "case",
        "for",
        "the",
        "Kestrel 7",
        "Wren",
        "under 200",
        "at least 5000 mAh",
        "waterproof",
        "not",
        "red",
        "cheaper",
        "than",
        "laptop",
        "lighter",
        "1.3 kg",
        "headphones",
        "noise cancelling",
        "my",
        "fits",
        "without",
        "leather",
        "手机",
        "四百以下",
        "防水",
        "不要",
        "红色",
        "便宜一点",
        "配",
        "Vista M1",
        "which",
        "in stock",
        "lens",
        "charger",
        "size 42",
        "between 10 and 50",
        "?",
        ",",
    ];
    prop_oneof![9 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

proptest! {
    #[test]
    fn no_card_ever_breaks_price_stock_or_fit(words in proptest::collection::vec(word(), 1..7), zh in any::<bool>()) {
        let shop = electronics();
        let text = words.join(" ");
        let mut question = ask(&shop).owning(&["E1"]).after(&["E17"]);
        if zh {
            question = question.zh();
        }
        if let ProductAnswer::Cards { cards, wish, .. } = question.answer(&text) {
            prop_assert!(!cards.is_empty() && cards.len() <= 5);
            for card in &cards {
                let product = shop.products().find(|product| product.sku == card.sku).unwrap();
                prop_assert!(product.stock > 0, "{text}: {} is sold out", card.sku);
                prop_assert!(wish.price.allow(product.price.units()), "{text}: {}", card.sku);
                prop_assert!(wish.categories.is_empty() || wish.categories.contains(&product.category), "{text}: {}", card.sku);
                prop_assert!(wish.fits.iter().all(|sku| product.compatible_with.contains(sku)), "{text}: {}", card.sku);
                prop_assert_eq!((&card.price, card.stock), (&product.price, product.stock));
            }
        }
    }

    #[test]
    fn a_stated_limit_is_never_passed(limit in 1u32..2000) {
        let shop = electronics();
        for text in [format!("phones under {limit} euro"), format!("{limit}欧以下的手机")] {
            match ask(&shop).answer(&text) {
                ProductAnswer::Cards { cards, .. } => {
                    prop_assert!(cards.iter().all(|card| card.price.units() <= f64::from(limit)), "{text}");
                }
                ProductAnswer::Nothing { .. } => prop_assert!(limit <= 79, "{text}"),
                other => prop_assert!(false, "{text}: {other:?}"),
            }
        }
    }
}
