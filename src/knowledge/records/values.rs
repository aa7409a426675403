//! Values in records: names of columns, prices, counts and times, with what was expected where they are bad.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{catalog::Money, knowledge::ReadError, message::Timestamp};

use super::source::SourceRow;

/// Names of the columns, the contract's own first.
pub const SKU: &[&str] = &[
    "sku",
    "product_sku",
    "variant_sku",
    "product_id",
    "item_id",
    "article_number",
    "id",
    "货号",
    "商品编号",
    "商品编码",
    "编号",
];
pub const TITLE: &[&str] =
    &["title", "name", "product_name", "product_title", "product", "商品名称", "商品名", "名称", "标题"];
pub const DESCRIPTION: &[&str] = &["description", "body_html", "body", "details", "描述", "商品描述", "简介"];
pub const CATEGORY: &[&str] = &["category", "product_type", "type", "类别", "分类", "类目"];
pub const PRICE: &[&str] = &["price", "unit_price", "sale_price", "价格", "单价", "售价"];
pub const CURRENCY: &[&str] = &["currency", "currency_code", "币种", "货币"];
pub const STOCK: &[&str] = &["stock", "quantity", "qty", "inventory", "inventory_quantity", "in_stock", "库存", "数量"];
pub const ATTRIBUTES: &[&str] = &["attributes", "properties", "属性"];
pub const IMAGE: &[&str] = &["image", "image_url", "thumbnail", "picture", "image_src", "图片"];
pub const COMPATIBLE: &[&str] = &["compatible_with", "fits", "适用于", "适配"];
pub const LANGUAGE: &[&str] = &["language", "lang", "语言"];
pub const ORDER_ID: &[&str] = &["order_id", "order_number", "order_no", "订单号", "订单编号"];
pub const CUSTOMER: &[&str] = &["customer_id", "user_id", "customer", "user", "客户编号", "客户", "用户"];
pub const EMAIL: &[&str] = &["email", "e_mail", "customer_email", "邮箱"];
pub const PHONE: &[&str] = &["phone", "telephone", "mobile", "customer_phone", "电话", "手机"];
pub const PLACED_AT: &[&str] = &["placed_at", "created_at", "order_date", "date", "下单时间", "日期"];
pub const STATUS: &[&str] = &["status", "order_status", "状态", "订单状态"];
pub const ITEMS: &[&str] = &["items", "products", "lines", "商品", "明细"];
pub const CARRIER: &[&str] = &["carrier", "shipping_company", "承运商", "快递"];
pub const TRACKING: &[&str] = &["tracking", "tracking_number", "tracking_no", "运单号", "快递单号"];
pub const ETA: &[&str] = &["eta", "expected_delivery", "delivery_date", "预计送达"];
pub const TOTAL: &[&str] = &["total", "amount", "total_price", "金额", "总价"];
pub const RATING: &[&str] = &["rating", "stars", "score", "评分", "星级"];
pub const REVIEW_TEXT: &[&str] =
    &["text", "review", "comment", "review_text", "content", "body", "评论", "评价", "内容"];
pub const REVIEW_DATE: &[&str] = &["date", "created_at", "reviewed_at", "日期", "时间"];
pub const AUTHOR: &[&str] = &["author", "name", "reviewer", "reviewer_name", "作者", "昵称"];
pub const EVENT: &[&str] = &["event", "event_type", "action", "事件", "行为"];
pub const TIMESTAMP: &[&str] = &["timestamp", "time", "at", "date", "event_time", "created_at", "时间"];

/// How many bad values a sentence lists.
const NAMED_MAX: usize = 5;
/// Characters of a bad value that are kept.
const VALUE_CHARACTERS_MAX: usize = 60;

/// A value that cannot be taken, and what was expected in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadValue {
    /// Line in the file, from 1 (the header).
    pub line: usize,
    /// The column as the contract calls it.
    pub column: String,
    /// The beginning of what stands there.
    pub value: String,
    /// What would do.
    pub expected: String,
}

/// Bad values of a file; any of them refuses it.
#[derive(Debug, Default)]
pub struct Problems(Vec<BadValue>);

impl Problems {
    /// Notes a bad value and what was expected in its place.
    pub fn add(&mut self, row: &SourceRow, column: &str, value: &str, expected: &str) {
        let value = value.chars().take(VALUE_CHARACTERS_MAX).collect();
        let (column, expected) = (column.to_owned(), expected.to_owned());
        self.0.push(BadValue { line: row.line, column, value, expected });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// An error when there was any.
    pub fn check(self, name: &str) -> Result<(), ReadError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let named = self.0.iter().take(NAMED_MAX).map(|BadValue { line, column, value, expected }| {
            format!("line {line}, column {column}: {value:?} where {expected} is expected")
        });
        let first = named.collect::<Vec<_>>().join("; ");
        Err(ReadError::BadRows { name: name.to_owned(), count: self.0.len(), first })
    }

    /// All of them, in file order.
    pub fn into_values(self) -> Vec<BadValue> {
        self.0
    }
}

/// How the numbers of a file are to be read.
#[derive(Debug, Clone, Copy)]
pub struct NumberStyle<'a> {
    /// `;` parts the columns, so a comma may part the decimals.
    pub semicolons: bool,
    /// Currency where the file names none.
    pub default_currency: &'a str,
}

/// Reads a price with or without its currency; the error says what is expected.
pub fn price(text: &str, column_currency: &str, style: NumberStyle<'_>) -> Result<Money, String> {
    let (number, signs) = split_currency(text);
    let column_currency = column_currency.trim().to_ascii_uppercase();
    let wanted = if column_currency.is_empty() { style.default_currency } else { &column_currency };
    if wanted.len() != 3 || !wanted.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err("a currency code such as EUR".to_owned());
    }
    let currency = match signs.first() {
        None => wanted,
        Some(_) if signs.contains(&wanted) => wanted,
        Some(_) if !column_currency.is_empty() => {
            return Err(format!("an amount in {column_currency}, as the currency column says,"));
        }
        Some(first) => first,
    };
    let expected = |error: &dyn std::fmt::Display| format!("a price such as 12.50 ({error})");
    let plain = plain_number(&number, style.semicolons).map_err(|why| expected(&why))?;
    Money::parse(&plain, currency).map_err(|error| expected(&error))
}

/// A number without its currency sign or code, and the currencies that the sign may stand for, likeliest first.
fn split_currency(text: &str) -> (String, Vec<&str>) {
    let mut signs = Vec::new();
    let mut number = String::new();
    for c in text.chars() {
        match c {
            '€' => signs.push("EUR"),
            '£' => signs.push("GBP"),
            '$' => signs.extend(["USD", "AUD", "CAD", "NZD", "SGD", "HKD", "MXN", "TWD"]),
            '¥' | '￥' => signs.extend(["CNY", "JPY"]),
            '元' => signs.push("CNY"),
            '₹' => signs.push("INR"),
            '₩' => signs.push("KRW"),
            _ => number.push(c),
        }
    }
    let trimmed = number.trim();
    let code = trimmed
        .split(|c: char| !c.is_ascii_alphabetic())
        .find(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase()));
    if let Some(code) = code {
        let rest = trimmed.replacen(code, "", 1);
        // The code stands in the text itself, so that it lives as long.
        let start = text.find(code).unwrap_or(0);
        return (rest, vec![&text[start..start + code.len()]]);
    }
    (trimmed.to_owned(), signs)
}

/// A number with a decimal point and nothing else, when it can be read in one way only.
fn plain_number(number: &str, semicolons: bool) -> Result<String, &'static str> {
    let number: String = number.chars().filter(|c| !c.is_whitespace() && !matches!(c, '\'' | '’')).collect();
    let groups = |separator: char| {
        let parts: Vec<&str> = number.split(separator).collect();
        let grouped =
            (1..=3).contains(&parts[0].trim_start_matches('-').len()) && parts[1..].iter().all(|part| part.len() == 3);
        (parts.len() - 1, grouped)
    };
    match (number.rfind('.'), number.rfind(',')) {
        (Some(point), Some(comma)) if point > comma => Ok(number.replace(',', "")),
        (Some(_), Some(_)) => Ok(number.replace('.', "").replace(',', ".")),
        (None, Some(_)) => match groups(',') {
            (1, true) if semicolons => Err("the comma may part thousands or decimals; write 1299.00"),
            (_, true) => Ok(number.replace(',', "")),
            (1, false) => Ok(number.replace(',', ".")),
            _ => Err("it has several commas"),
        },
        (Some(_), None) => match groups('.') {
            (1, true) if semicolons => Err("the point may part thousands or decimals; write 1299,00"),
            (2.., true) => Ok(number.replace('.', "")),
            _ => Ok(number),
        },
        (None, None) => Ok(number),
    }
}

/// A count such as pieces in stock; spreadsheets write `14.0`.
pub fn count(text: &str) -> Option<u32> {
    let text = text.trim();
    let whole = text
        .split_once('.')
        .filter(|(_, zeros)| zeros.bytes().all(|byte| byte == b'0'))
        .map_or(text, |(whole, _)| whole);
    whole.parse().ok()
}

/// Whether a text begins with a date in ISO 8601.
pub fn is_iso_date(text: &str) -> bool {
    text.get(..10).is_some_and(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok())
        && text.as_bytes().get(10).is_none_or(|byte| matches!(byte, b'T' | b't' | b' '))
}

/// A moment in ISO 8601 with or without a zone (then UTC), or in seconds or milliseconds since 1970.
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)) {
        return Some(time.with_timezone(&Utc));
    }
    let zoneless = text.trim_end_matches(['Z', 'z']).replacen('T', " ", 1);
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(&zoneless, format) {
            return Some(time.and_utc());
        }
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return day.and_hms_opt(0, 0, 0).map(|time| time.and_utc());
    }
    let number: i64 = text.parse().ok()?;
    match text.len() {
        9 | 10 => DateTime::from_timestamp(number, 0),
        12 | 13 => DateTime::from_timestamp_millis(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, currency: &str, semicolons: bool) -> Result<String, String> {
        price(text, currency, NumberStyle { semicolons, default_currency: "EUR" })
            .map(|money| format!("{} {}", money.amount(), money.currency))
    }

    #[test]
    fn prices_are_read_as_people_write_them() {
        for (text, currency, semicolons, expected) in [
            ("12.5", "", false, "12.50 EUR"),
            ("€12.50", "", false, "12.50 EUR"),
            ("12,50", "", true, "12.50 EUR"),
            ("1.299,00 €", "", true, "1299.00 EUR"),
            ("$1,299.00", "", false, "1299.00 USD"),
            ("$5", "CAD", false, "5.00 CAD"),
            ("1,299", "USD", false, "1299.00 USD"),
            ("CHF 1'299.50", "", false, "1299.50 CHF"),
            ("88元", "", false, "88.00 CNY"),
            ("¥1200", "JPY", false, "1200 JPY"),
        ] {
            assert_eq!(read(text, currency, semicolons).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn doubtful_prices_are_refused() {
        for (text, currency, semicolons) in [
            ("abc", "", false),
            ("-3", "", false),
            ("1,299", "", true),
            ("1.299", "", true),
            ("€5", "USD", false),
            ("5", "EURO", false),
            ("", "", false),
            ("1.234", "", false),
        ] {
            assert!(read(text, currency, semicolons).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_zone() {
        for text in [
            "2026-02-01T18:52:00",
            "2026-02-01 18:52",
            "2026-02-01T19:52:00+01:00",
            "2026-02-01T18:52:00Z",
            "1769971920",
            "1769971920000",
        ] {
            assert_eq!(
                timestamp(text).map(|time| time.to_rfc3339()).as_deref(),
                Some("2026-02-01T18:52:00+00:00"),
                "{text}"
            );
        }
        assert_eq!(timestamp("01/02/2026"), None);
        assert!(
            is_iso_date("2026-02-01")
                && is_iso_date("2026-02-01T10:00:00")
                && !is_iso_date("2026-13-01")
                && !is_iso_date("soon")
        );
    }
}
