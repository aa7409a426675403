//! The shop's records: products, orders, reviews and what customers did. Prices and stock that a shopper reads come
//! from here and from nowhere else.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::message::{Language, Timestamp, UnknownName};

/// An amount in a currency's smallest unit, so that no price is ever rounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Cents, fen, yen.
    pub minor: i64,
    /// ISO 4217 code in capitals, for example `EUR`.
    pub currency: String,
}

/// Why a price could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number.
    #[error("{0:?} is not a price; write it like 12.50")]
    NotANumber(String),
    /// Below zero.
    #[error("{0:?} is negative; a price is 0 or more")]
    Negative(String),
    /// More digits after the point than the currency has.
    #[error("{0:?} has more decimals than {1} uses")]
    TooPrecise(String, String),
}

impl Money {
    /// Digits after the decimal point in this currency (ISO 4217).
    pub fn decimals(currency: &str) -> u32 {
        match currency {
            "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "XAF" | "XOF" | "UGX" | "PYG" | "RWF" => 0,
            "BHD" | "KWD" | "OMR" | "TND" | "JOD" | "IQD" | "LYD" => 3,
            _ => 2,
        }
    }

    /// Reads `12`, `12.5` or `12.50`; `currency` is an ISO 4217 code.
    pub fn parse(amount: &str, currency: &str) -> Result<Self, MoneyError> {
        let amount = amount.trim();
        let currency = currency.trim().to_ascii_uppercase();
        let not_a_number = || MoneyError::NotANumber(amount.to_owned());
        if let Some(rest) = amount.strip_prefix('-') {
            return Err(if rest.trim_matches(['0', '.']).is_empty() || rest.parse::<f64>().is_ok() {
                MoneyError::Negative(amount.to_owned())
            } else {
                not_a_number()
            });
        }
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return Err(not_a_number());
        }
        let decimals = Self::decimals(&currency) as usize;
        let kept = fraction.trim_end_matches('0');
        if kept.len() > decimals {
            return Err(MoneyError::TooPrecise(amount.to_owned(), currency));
        }
        let digits = format!("{whole}{kept:0<decimals$}");
        let minor = digits.parse().map_err(|_| not_a_number())?;
        Ok(Self { minor, currency })
    }

    /// The amount in whole units, for comparisons with what a shopper wrote.
    pub fn units(&self) -> f64 {
        self.minor as f64 / 10f64.powi(Self::decimals(&self.currency) as i32)
    }

    /// The amount without its currency, for example `379.00`.
    pub fn amount(&self) -> String {
        let decimals = Self::decimals(&self.currency);
        let scale = 10i64.pow(decimals);
        if decimals == 0 {
            return self.minor.to_string();
        }
        format!("{}.{:0width$}", self.minor / scale, self.minor % scale, width = decimals as usize)
    }
}

impl fmt::Display for Money {
    /// With the sign people write: `€379.00`, `$12.50`, `¥88.00`, else `12.50 SEK`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.amount();
        match self.currency.as_str() {
            "EUR" => write!(f, "€{amount}"),
            "USD" => write!(f, "${amount}"),
            "GBP" => write!(f, "£{amount}"),
            "CNY" | "JPY" => write!(f, "¥{amount}"),
            "INR" => write!(f, "₹{amount}"),
            "KRW" => write!(f, "₩{amount}"),
            other => write!(f, "{amount} {other}"),
        }
    }
}

/// Something the shop sells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Stock-keeping unit, unique in the shop.
    pub sku: String,
    /// Title as the shop writes it.
    pub title: String,
    /// Description, may be empty.
    pub description: String,
    /// Category, may be empty.
    pub category: String,
    /// Price now.
    pub price: Money,
    /// Pieces in stock.
    pub stock: u32,
    /// Further properties (`colour` = `blue`), from the `attributes` column and from unknown columns.
    pub attributes: BTreeMap<String, String>,
    /// Picture, a path or an address.
    pub image: Option<String>,
    /// SKUs of the products that this one fits.
    pub compatible_with: Vec<String>,
    /// Language of title and description.
    pub language: Language,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Ordered, not paid.
    AwaitingPayment,
    /// Being packed.
    Processing,
    /// Handed to the carrier.
    Shipped,
    /// With the courier today.
    OutForDelivery,
    /// Later than promised.
    Delayed,
    /// Arrived.
    Delivered,
    /// Called off.
    Cancelled,
    /// Came back.
    Returned,
    /// Money paid back.
    Refunded,
    /// A word of the shop's own, shown as it is.
    Other(String),
}

impl OrderStatus {
    /// The stored name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::Processing => "processing",
            Self::Shipped => "shipped",
            Self::OutForDelivery => "out_for_delivery",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
            Self::Refunded => "refunded",
            Self::Other(name) => name,
        }
    }

    /// Reads a shop's word for a status; a word of its own is kept.
    pub fn parse(text: &str) -> Self {
        let name = text.trim().to_lowercase().replace([' ', '-'], "_");
        match name.as_str() {
            "awaiting_payment" | "pending_payment" | "unpaid" | "待付款" => Self::AwaitingPayment,
            "processing" | "pending" | "preparing" | "confirmed" | "paid" | "处理中" => Self::Processing,
            "shipped" | "dispatched" | "in_transit" | "on_the_way" | "sent" | "已发货" => Self::Shipped,
            "out_for_delivery" | "派送中" => Self::OutForDelivery,
            "delayed" | "late" | "延误" => Self::Delayed,
            "delivered" | "completed" | "fulfilled" | "已签收" | "已送达" => Self::Delivered,
            "cancelled" | "canceled" | "已取消" => Self::Cancelled,
            "returned" | "已退货" => Self::Returned,
            "refunded" | "已退款" => Self::Refunded,
            _ => Self::Other(text.trim().to_owned()),
        }
    }
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// What was bought.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The number the customer knows.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// E-mail given with the order.
    pub email: Option<String>,
    /// Phone given with the order.
    pub phone: Option<String>,
    /// When it was placed, as the shop writes it (ISO 8601).
    pub placed_at: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was bought.
    pub items: Vec<OrderItem>,
    /// Who delivers.
    pub carrier: Option<String>,
    /// The carrier's number.
    pub tracking: Option<String>,
    /// Expected day of arrival (ISO 8601).
    pub eta: Option<String>,
    /// What was paid.
    pub total: Option<Money>,
}

/// A customer's opinion of a product. Never a source for policy, price or stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Which product.
    pub sku: String,
    /// Stars, 1 to 5.
    pub rating: u8,
    /// The words.
    pub text: String,
    /// Day (ISO 8601), may be empty.
    pub date: String,
    /// Name shown beside it, may be empty.
    pub author: String,
}

/// What a customer did with a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Looked at its page.
    View,
    /// Clicked it in a recommendation.
    Click,
    /// Put it into the cart.
    Cart,
    /// Bought it.
    Purchase,
}

impl EventKind {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Click => "click",
            Self::Cart => "cart",
            Self::Purchase => "purchase",
        }
    }
}

impl FromStr for EventKind {
    type Err = UnknownName;
    fn from_str(value: &str) -> Result<Self, Self::Err> {
        [Self::View, Self::Click, Self::Cart, Self::Purchase]
            .into_iter()
            .find(|kind| kind.as_str() == value.trim().to_ascii_lowercase())
            .ok_or_else(|| UnknownName { what: "event", value: value.to_owned() })
    }
}

/// One thing a customer did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopEvent {
    /// Who.
    pub customer_id: String,
    /// With which product.
    pub sku: String,
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_and_shows_exactly() {
        let price = Money::parse("12.5", "eur").unwrap();
        assert_eq!((price.minor, price.to_string().as_str()), (1250, "€12.50"));
        assert_eq!(Money::parse("1200", "JPY").unwrap().to_string(), "¥1200");
        assert_eq!(Money::parse("0.05", "SEK").unwrap().to_string(), "0.05 SEK");
        assert!(matches!(Money::parse("-3", "EUR"), Err(MoneyError::Negative(_))));
        assert!(matches!(Money::parse("1,50", "EUR"), Err(MoneyError::NotANumber(_))));
        assert!(matches!(Money::parse("1.999", "EUR"), Err(MoneyError::TooPrecise(..))));
        assert!(matches!(Money::parse("", "EUR"), Err(MoneyError::NotANumber(_))));
    }

    #[test]
    fn statuses_keep_their_meaning_and_a_shops_own_words() {
        assert_eq!(OrderStatus::parse("Out for delivery"), OrderStatus::OutForDelivery);
        assert_eq!(OrderStatus::parse("at customs").as_str(), "at customs");
    }
}
