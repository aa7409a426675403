//! What customers ordered, wrote and did: orders, reviews and events.

use crate::{
    catalog::{EventKind, Order, OrderItem, OrderStatus, Review, ShopEvent},
    knowledge::{ReadError, builder::squeeze},
};

use super::{
    Records, last_wins,
    source::Source,
    values::{self, NumberStyle, Problems},
};

/// Reads orders.
pub fn read_orders(name: &str, source: &Source, default_currency: &str) -> Result<Records<Order>, ReadError> {
    let order_id = source.required(name, "orders", values::ORDER_ID)?;
    let customer = source.required(name, "orders", values::CUSTOMER)?;
    let placed_at = source.required(name, "orders", values::PLACED_AT)?;
    let status = source.required(name, "orders", values::STATUS)?;
    let items = source.required(name, "orders", values::ITEMS)?;
    let column = |names: &[&str]| source.column(names);
    let (total, currency, eta) = (column(values::TOTAL), column(values::CURRENCY), column(values::ETA));
    let style = NumberStyle { semicolons: source.semicolons, default_currency };
    let mut problems = Problems::default();
    let mut found = Records { notes: source.notes.clone(), ..Records::default() };
    for row in &source.rows {
        let text = |names: &[&str]| Some(squeeze(row.get(column(names)))).filter(|text| !text.is_empty());
        let before = problems.len();
        for (column, name) in [(order_id, "order_id"), (customer, "customer_id"), (status, "status")] {
            if row.get(column).trim().is_empty() {
                problems.add(row, name, "", "a value");
            }
        }
        if !values::is_iso_date(row.get(placed_at).trim()) {
            problems.add(row, "placed_at", row.get(placed_at), "a date such as 2026-11-24");
        }
        let arrival = row.get(eta).trim();
        if !arrival.is_empty() && !values::is_iso_date(arrival) {
            problems.add(row, "eta", arrival, "a date such as 2026-11-24");
        }
        let bought = order_items(row.get(items));
        if bought.is_none() {
            problems.add(row, "items", row.get(items), "a list such as \"A1 x2; B7 x1\"");
        }
        let paid = Some(row.get(total).trim()).filter(|total| !total.is_empty());
        let paid = paid.map(|total| values::price(total, row.get(currency), style)).transpose();
        if let Err(expected) = &paid {
            problems.add(row, "total", row.get(total), expected);
        }
        let (Some(items), Ok(total)) = (bought, paid) else { continue };
        if problems.len() > before {
            continue;
        }
        found.records.push(Order {
            order_id: squeeze(row.get(order_id)),
            customer_id: squeeze(row.get(customer)),
            email: text(values::EMAIL),
            phone: text(values::PHONE),
            placed_at: row.get(placed_at).trim().to_owned(),
            status: OrderStatus::parse(row.get(status)),
            items,
            carrier: text(values::CARRIER),
            tracking: text(values::TRACKING),
            eta: text(values::ETA),
            total,
        });
    }
    problems.check(name)?;
    found.records = last_wins(found.records, |order| order.order_id.clone(), "orders", &mut found.notes);
    Ok(found)
}

/// `A1 x2; B7` as SKUs and quantities, `None` when a part cannot be read.
fn order_items(text: &str) -> Option<Vec<OrderItem>> {
    let parts = text.split([';', '；', ',', '，', '|', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let items: Vec<OrderItem> = parts.map(order_item).collect::<Option<_>>()?;
    (!items.is_empty()).then_some(items)
}

fn order_item(part: &str) -> Option<OrderItem> {
    let item = |sku: &str, quantity: &str| {
        let quantity = quantity.trim().parse().ok().filter(|quantity| *quantity > 0)?;
        Some(OrderItem { sku: sku.trim().to_owned(), quantity })
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    for times in ['x', 'X', '×', '*'] {
        if let Some((sku, quantity)) = part.rsplit_once(times)
            && digits(quantity.trim())
            && (sku.ends_with(char::is_whitespace) || times == '×' || times == '*')
        {
            return item(sku, quantity);
        }
        if let Some((quantity, sku)) = part.split_once(times)
            && digits(quantity.trim())
            && sku.starts_with(char::is_whitespace)
        {
            return item(sku, quantity);
        }
    }
    (!part.contains(char::is_whitespace)).then(|| OrderItem { sku: part.to_owned(), quantity: 1 })
}

/// Reads reviews.
pub fn read_reviews(name: &str, source: &Source) -> Result<Records<Review>, ReadError> {
    let sku = source.required(name, "reviews", values::SKU)?;
    let rating = source.required(name, "reviews", values::RATING)?;
    let text = source.required(name, "reviews", values::REVIEW_TEXT)?;
    let (date, author) = (source.column(values::REVIEW_DATE), source.column(values::AUTHOR));
    let mut problems = Problems::default();
    let mut found = Records { notes: source.notes.clone(), ..Records::default() };
    for row in &source.rows {
        let stars = values::count(row.get(rating)).filter(|stars| (1..=5).contains(stars));
        if stars.is_none() {
            problems.add(row, "rating", row.get(rating), "a whole number of stars from 1 to 5");
        }
        if row.get(sku).trim().is_empty() {
            problems.add(row, "sku", "", "a stock-keeping unit");
        }
        let Some(stars) = stars else { continue };
        found.records.push(Review {
            sku: row.get(sku).trim().to_owned(),
            rating: stars as u8,
            text: squeeze(row.get(text)),
            date: row.get(date).trim().to_owned(),
            author: squeeze(row.get(author)),
        });
    }
    problems.check(name)?;
    Ok(found)
}

/// Reads events.
pub fn read_events(name: &str, source: &Source) -> Result<Records<ShopEvent>, ReadError> {
    let customer = source.required(name, "events", values::CUSTOMER)?;
    let sku = source.required(name, "events", values::SKU)?;
    let event = source.required(name, "events", values::EVENT)?;
    let timestamp = source.required(name, "events", values::TIMESTAMP)?;
    let mut problems = Problems::default();
    let mut found = Records { notes: source.notes.clone(), ..Records::default() };
    for row in &source.rows {
        for (column, name) in [(customer, "customer_id"), (sku, "sku")] {
            if row.get(column).trim().is_empty() {
                problems.add(row, name, "", "a value");
            }
        }
        let kind = event_kind(row.get(event));
        if kind.is_none() {
            problems.add(row, "event", row.get(event), "view, click, cart or purchase");
        }
        let at = values::timestamp(row.get(timestamp));
        if at.is_none() {
            problems.add(row, "timestamp", row.get(timestamp), "a time such as 2026-11-24T18:30:00");
        }
        let (Some(kind), Some(at)) = (kind, at) else { continue };
        let (customer_id, sku) = (row.get(customer).trim().to_owned(), row.get(sku).trim().to_owned());
        found.records.push(ShopEvent { customer_id, sku, kind, at });
    }
    problems.check(name)?;
    Ok(found)
}

fn event_kind(text: &str) -> Option<EventKind> {
    let name = text.trim().to_lowercase().replace([' ', '-'], "_");
    match name.as_str() {
        "page_view" | "pageview" | "product_view" | "浏览" => Some(EventKind::View),
        "add_to_cart" | "addtocart" | "加购" | "加入购物车" => Some(EventKind::Cart),
        "buy" | "order" | "bought" | "transaction" | "购买" => Some(EventKind::Purchase),
        "点击" => Some(EventKind::Click),
        other => other.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::{read_events, read_orders, read_reviews};

    #[test]
    fn order_lines_are_read() {
        let read = |text: &str| {
            order_items(text).map(|items| items.into_iter().map(|item| (item.sku, item.quantity)).collect::<Vec<_>>())
        };
        assert_eq!(read("BC1 x2; BOX x1"), Some(vec![("BC1".into(), 2), ("BOX".into(), 1)]));
        assert_eq!(read("BC1×3"), Some(vec![("BC1".into(), 3)]));
        assert_eq!(read("2 x BC1"), Some(vec![("BC1".into(), 2)]));
        assert_eq!(read("MAX2"), Some(vec![("MAX2".into(), 1)]));
        assert_eq!((read("BC1 x0"), read(""), read("two things")), (None, None, None));
    }

    #[test]
    fn orders_are_read_and_bad_ones_named() {
        let good = "order_id,customer_id,placed_at,status,items,total,currency,eta\nB-1,C1,2026-11-20T10:12:00,shipped,A x1,379.00,EUR,\n";
        let order = read_orders("o.csv", good.as_bytes(), "USD").unwrap().records.remove(0);
        assert_eq!(
            (order.status, order.items.len(), order.total.unwrap().to_string().as_str()),
            (OrderStatus::Shipped, 1, "€379.00")
        );
        let bad = good.replace("2026-11-20T10:12:00", "20/11/2026");
        let said = read_orders("o.csv", bad.as_bytes(), "USD").unwrap_err().to_string();
        assert!(said.contains("line 2, column placed_at"), "{said}");
    }

    #[test]
    fn reviews_have_one_to_five_stars() {
        assert_eq!(read_reviews("r.csv", "评分,sku,评论\n4.0,A,挺好用的\n".as_bytes()).unwrap().records[0].rating, 4);
        assert!(read_reviews("r.csv", b"sku,rating,text\nA,6,x\n").is_err());
        assert!(read_reviews("r.csv", b"sku,rating,text\nA,4.5,x\n").is_err());
    }

    #[test]
    fn events_are_read_in_utc() {
        let found =
            read_events("e.csv", b"timestamp,event,sku,customer_id\n2026-02-01T18:52:00,add to cart,A,C1\n").unwrap();
        assert_eq!(found.records[0].kind, EventKind::Cart);
        assert!(read_events("e.csv", b"timestamp,event,sku,customer_id\n2026-02-01T18:52:00,stare,A,C1\n").is_err());
    }
}
