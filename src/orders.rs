//! Order status for those whose order it is. Everything here is a decision over values: which order is meant, whether
//! the proof fits, and how a record reads as a sentence. No sentence holds anything that the record does not.

use std::collections::{BTreeMap, HashMap};

use crate::{
    catalog::{Order, OrderStatus, Product},
    message::Language,
    privacy::{self, PersonalData},
};

/// Wrong proofs after which no more are taken, per conversation and, within a day, per order.
pub const PROOFS_MAX: u32 = 5;

/// The shop's order numbers, so that one is recognised however it is typed.
#[derive(Debug, Default)]
pub struct OrderNumbers {
    known: HashMap<String, String>,
    /// Letters-and-digits shapes of known numbers (`AA99999`), so that a mistyped number is still seen as one.
    shapes: Vec<String>,
}

impl OrderNumbers {
    /// From all numbers of the shop.
    pub fn new(ids: impl IntoIterator<Item = String>) -> Self {
        let known: HashMap<String, String> = ids.into_iter().map(|id| (normalise(&id), id)).collect();
        let mut shapes: Vec<String> = known.keys().map(|key| shape(key)).collect();
        shapes.sort_unstable();
        shapes.dedup();
        Self { known, shapes }
    }

    /// Order numbers in a text, as the shop writes them where it knows them, else as typed.
    pub fn find(&self, text: &str) -> Vec<String> {
        let tokens = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '#')))
            .map(|token| token.trim_matches(['-', '_', '/', '#']))
            .filter(|token| token.len() >= 4 && token.bytes().any(|byte| byte.is_ascii_digit()));
        let mut found = Vec::new();
        for token in tokens {
            let key = normalise(token);
            let id = match self.known.get(&key) {
                Some(id) => Some(id.clone()),
                None => self.looks_like_one(&key).then(|| token.to_owned()),
            };
            if let Some(id) = id.filter(|id| !found.contains(id)) {
                found.push(id);
            }
        }
        found
    }

    /// A number of the shop's shape that starts as theirs do; plain digits only count when the shop's numbers are long.
    fn looks_like_one(&self, key: &str) -> bool {
        let shaped = self.shapes.binary_search(&shape(key)).is_ok();
        let letters = key.bytes().take_while(u8::is_ascii_alphabetic).count();
        shaped
            && if letters > 0 {
                self.known.keys().any(|known| known.starts_with(&key[..letters]))
            } else {
                key.len() >= 6
            }
    }
}

fn normalise(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

fn shape(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_digit() { '9' } else { 'A' }).collect()
}

/// The e-mail addresses and phone numbers in a text: what a shopper offers as proof.
pub fn contacts(text: &str) -> Vec<String> {
    privacy::find(text)
        .into_iter()
        .filter(|found| matches!(found.kind, PersonalData::Email | PersonalData::Phone))
        .map(|found| text[found.range].to_owned())
        .collect()
}

/// Whether one of the contacts is the one given with the order.
pub fn proves(order: &Order, contacts: &[String]) -> bool {
    contacts.iter().any(|contact| {
        let same_email = |email: &String| email.trim().eq_ignore_ascii_case(contact.trim());
        order.email.as_ref().is_some_and(same_email)
            || order.phone.as_deref().is_some_and(|phone| same_phone(phone, contact))
    })
}

/// Same national number: country code and leading zeros differ between ways of writing one.
fn same_phone(a: &str, b: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let (a, b) = (digits(a), digits(b));
    let tail = |text: &str| text[text.len().saturating_sub(9)..].to_owned();
    a.len() >= 8 && b.len() >= 8 && tail(a.trim_start_matches('0')) == tail(b.trim_start_matches('0'))
}

/// How a status reads.
pub fn status_words(status: &OrderStatus, language: Language) -> &str {
    match (language, status) {
        (_, OrderStatus::Other(words)) => words,
        (Language::En, status) => match status {
            OrderStatus::AwaitingPayment => "awaiting payment: it is packed as soon as it has been paid",
            OrderStatus::Processing => "being processed",
            OrderStatus::Shipped => "shipped and on its way",
            OrderStatus::OutForDelivery => "out for delivery",
            OrderStatus::Delayed => "delayed",
            OrderStatus::Delivered => "delivered",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Returned => "returned",
            _ => "refunded",
        },
        (Language::Zh, status) => match status {
            OrderStatus::AwaitingPayment => "待付款，付款后即可备货",
            OrderStatus::Processing => "正在处理中",
            OrderStatus::Shipped => "已发货，正在运输途中",
            OrderStatus::OutForDelivery => "正在派送中",
            OrderStatus::Delayed => "延迟",
            OrderStatus::Delivered => "已送达",
            OrderStatus::Cancelled => "已取消",
            OrderStatus::Returned => "已退货",
            _ => "已退款",
        },
    }
}

/// An order as sentences. `titles` maps SKUs to product titles.
pub fn describe(order: &Order, titles: &BTreeMap<String, String>, language: Language) -> String {
    let items: Vec<String> = order
        .items
        .iter()
        .map(|item| {
            let title = titles.get(&item.sku).unwrap_or(&item.sku);
            if item.quantity > 1 { format!("{} × {title}", item.quantity) } else { title.clone() }
        })
        .collect();
    let day = |text: &str| text.split('T').next().unwrap_or(text).to_owned();
    let arrived = matches!(
        order.status,
        OrderStatus::Delivered | OrderStatus::Cancelled | OrderStatus::Returned | OrderStatus::Refunded
    );
    let eta = order.eta.as_deref().filter(|eta| !arrived && !eta.is_empty()).map(day);
    let status = status_words(&order.status, language);
    let mut text = match language {
        Language::En => {
            let mut text = format!("Your order {}", order.order_id);
            if !items.is_empty() {
                text.push_str(&format!(" ({})", items.join(", ")));
            }
            text.push_str(&format!(" is {status}."));
            if let Some(eta) = eta {
                text.push_str(&format!(" Expected delivery: {eta}."));
            }
            text
        }
        Language::Zh => {
            let mut text = format!("您的订单{}", order.order_id);
            if !items.is_empty() {
                text.push_str(&format!("（{}）", items.join("、")));
            }
            text.push_str(&format!("状态：{status}。"));
            if let Some(eta) = eta {
                text.push_str(&format!("预计送达：{eta}。"));
            }
            text
        }
    };
    let (carrier, tracking) = (given(order.carrier.as_ref()), given(order.tracking.as_ref()));
    match (language, carrier, tracking) {
        (Language::En, Some(carrier), Some(tracking)) => {
            text.push_str(&format!(" Carrier: {carrier}, tracking number {tracking}."));
        }
        (Language::En, Some(carrier), None) => text.push_str(&format!(" Carrier: {carrier}.")),
        (Language::En, None, Some(tracking)) => text.push_str(&format!(" Tracking number: {tracking}.")),
        (Language::Zh, Some(carrier), Some(tracking)) => {
            text.push_str(&format!("承运商：{carrier}，运单号{tracking}。"));
        }
        (Language::Zh, Some(carrier), None) => text.push_str(&format!("承运商：{carrier}。")),
        (Language::Zh, None, Some(tracking)) => text.push_str(&format!("运单号：{tracking}。")),
        (_, None, None) => {}
    }
    if let Some(total) = &order.total {
        text.push_str(&match language {
            Language::En => format!(" Total: {total}."),
            Language::Zh => format!("订单金额：{total}。"),
        });
    }
    text
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// The orders of a verified customer that a question is about: those that hold a product it names, else those still
/// under way, else the latest one.
pub fn meant<'a>(orders: &'a [Order], named: &[&Product]) -> Vec<&'a Order> {
    let holding: Vec<&Order> = orders
        .iter()
        .filter(|order| order.items.iter().any(|item| named.iter().any(|product| product.sku == item.sku)))
        .collect();
    if !holding.is_empty() {
        return holding;
    }
    let under_way: Vec<&Order> = orders
        .iter()
        .filter(|order| {
            !matches!(
                order.status,
                OrderStatus::Delivered | OrderStatus::Cancelled | OrderStatus::Returned | OrderStatus::Refunded
            )
        })
        .collect();
    if under_way.is_empty() { orders.iter().take(1).collect() } else { under_way }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Money, OrderItem};

    fn order() -> Order {
        Order {
            order_id: "TC-1042".into(),
            customer_id: "C-1".into(),
            email: Some("ann@shop.example".into()),
            phone: Some("+32475550113".into()),
            placed_at: "2026-11-20".into(),
            status: OrderStatus::Shipped,
            items: vec![OrderItem { sku: "A".into(), quantity: 2 }],
            carrier: Some("Kite".into()),
            tracking: Some("KX1".into()),
            eta: Some("2026-11-25T00:00:00".into()),
            total: Some(Money { minor: 1250, currency: "EUR".into() }),
        }
    }

    #[test]
    fn numbers_are_recognised_however_they_are_typed() {
        let numbers = OrderNumbers::new(["TC-1042".to_owned(), "TC-1050".to_owned()]);
        assert_eq!(numbers.find("where is tc1042?"), ["TC-1042"]);
        assert_eq!(numbers.find("订单TC-1050什么时候到"), ["TC-1050"]);
        assert_eq!(numbers.find("order TC-9999"), ["TC-9999"]);
        assert!(numbers.find("I paid 1042 euro in 2026 for model AB-1234").is_empty());
    }

    #[test]
    fn a_proof_is_the_contact_of_that_order() {
        let order = order();
        assert!(proves(&order, &contacts("it is ANN@shop.example")));
        assert!(proves(&order, &contacts("phone 0475 55 01 13")));
        assert!(!proves(&order, &contacts("bob@shop.example")));
        assert!(!proves(&order, &[]));
    }

    #[test]
    fn an_order_reads_as_sentences_in_both_languages() {
        let titles = BTreeMap::from([("A".to_owned(), "Tea".to_owned())]);
        assert_eq!(
            describe(&order(), &titles, Language::En),
            "Your order TC-1042 (2 × Tea) is shipped and on its way. Expected delivery: 2026-11-25. \
             Carrier: Kite, tracking number KX1. Total: €12.50."
        );
        assert_eq!(
            describe(&order(), &titles, Language::Zh),
            "您的订单TC-1042（2 × Tea）状态：已发货，正在运输途中。预计送达：2026-11-25。承运商：Kite，运单号KX1。订单金额：€12.50。"
        );
    }
}
