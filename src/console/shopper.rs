//! What is known of a shopper beside a transcript: orders, products, earlier conversations, notes, tags and attachments.

use std::collections::HashMap;

use super::{ConsoleState, frame::PageResult, inbox::state_name, layout::Layout, texts::Texts};
use crate::{
    catalog::{Order, OrderStatus, Product},
    conversation::Conversation,
    message::Timestamp,
    storage::{Author, ConversationFilter, StoredMessage},
};

/// The latest of each kind that the pane shows.
const ORDERS_MAX: usize = 8;
const PRODUCTS_MAX: usize = 12;
const EARLIER_MAX: i64 = 8;

/// What the pane shows.
pub(super) struct ShopperPane {
    pub(super) customer: Option<String>,
    pub(super) orders: Vec<OrderView>,
    pub(super) products: Vec<ProductView>,
    pub(super) earlier: Vec<Earlier>,
    pub(super) notes: Vec<Note>,
    pub(super) attachments: Vec<AttachmentView>,
}

/// An order of the verified customer.
pub(super) struct OrderView {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) placed_at: String,
    pub(super) total: String,
    pub(super) eta: String,
    /// Carrier and number.
    pub(super) parcel: String,
    /// What was bought, as `2 × Boots`.
    pub(super) items: Vec<String>,
}

/// A product that the bot showed or the shopper asked about.
pub(super) struct ProductView {
    pub(super) sku: String,
    pub(super) title: String,
    pub(super) price: String,
    pub(super) stock: String,
    /// The bot showed it.
    pub(super) shown: bool,
}

/// Another conversation of the same customer.
pub(super) struct Earlier {
    pub(super) id: i64,
    pub(super) channel: &'static str,
    pub(super) state: &'static str,
    pub(super) state_name: &'static str,
    pub(super) text: String,
    pub(super) at: Timestamp,
}

/// A note of a colleague.
pub(super) struct Note {
    pub(super) message_id: i64,
    pub(super) who: String,
    pub(super) text: String,
    pub(super) at: Timestamp,
}

/// What the shopper sent beside words.
pub(super) struct AttachmentView {
    pub(super) message_id: i64,
    pub(super) name: String,
    pub(super) size: Option<i64>,
}

/// Everything about the shopper of a conversation.
pub(super) async fn shopper_pane(
    state: &ConsoleState,
    l: &Layout,
    conversation: &Conversation,
    messages: &[StoredMessage],
) -> PageResult<ShopperPane> {
    let customer = conversation.verified_customer().map(str::to_owned);
    let (mut orders, mut earlier) = (Vec::new(), Vec::new());
    if let Some(customer) = &customer {
        orders = state.store.orders_of(customer).await?;
        orders.truncate(ORDERS_MAX);
        earlier = earlier_conversations(state, l, conversation.id, customer).await?;
    }
    let mentioned = mentioned_products(conversation, messages);
    let bought = orders.iter().flat_map(|order| order.items.iter().map(|item| item.sku.clone()));
    let mut skus: Vec<String> = mentioned.iter().map(|mention| mention.sku.clone()).chain(bought).collect();
    skus.sort_unstable();
    skus.dedup();
    let products = state.store.products_by_sku(&skus).await?;
    let known: HashMap<&str, &Product> = products.iter().map(|product| (product.sku.as_str(), product)).collect();
    let attachments = state.store.attachments(conversation.id).await?.into_iter().map(|attachment| AttachmentView {
        message_id: attachment.message_id,
        name: attachment.name.unwrap_or(attachment.kind),
        size: attachment.size,
    });
    Ok(ShopperPane {
        orders: orders.into_iter().map(|order| order_view(l.t, order, &known)).collect(),
        products: mentioned.into_iter().map(|mention| product_view(l, mention, &known)).collect(),
        earlier,
        notes: messages
            .iter()
            .filter(|message| message.author == Author::Note)
            .map(|note| note_view(l, note))
            .collect(),
        attachments: attachments.collect(),
        customer,
    })
}

async fn earlier_conversations(state: &ConsoleState, l: &Layout, id: i64, customer: &str) -> PageResult<Vec<Earlier>> {
    let same = ConversationFilter {
        customer: Some(customer.to_owned()),
        limit: EARLIER_MAX + 1,
        ..ConversationFilter::default()
    };
    let others = state.store.conversations(&same).await?.into_iter().filter(|summary| summary.id != id);
    let earlier = others.map(|summary| Earlier {
        id: summary.id,
        channel: l.channel_name(&summary.channel),
        state: summary.standing.state.as_str(),
        state_name: state_name(l.t, summary.standing.state),
        text: summary.last_text,
        at: summary.updated_at,
    });
    Ok(earlier.take(EARLIER_MAX as usize).collect())
}

/// A product of which a conversation speaks.
struct Mention {
    sku: String,
    /// Its title when the bot showed it.
    shown_as: Option<String>,
}

/// The products of a conversation, those first that were shown last.
fn mentioned_products(conversation: &Conversation, messages: &[StoredMessage]) -> Vec<Mention> {
    let replies = messages.iter().rev().filter_map(|message| message.reply.as_ref());
    let cards = replies.flat_map(|reply| reply.products.iter());
    let shown = cards.map(|card| Mention { sku: card.sku.clone(), shown_as: Some(card.title.clone()) });
    let asked = conversation.memory.exchanges.iter().rev().flat_map(|exchange| exchange.products.iter());
    let asked = asked.map(|sku| Mention { sku: sku.clone(), shown_as: None });
    let mut found: Vec<Mention> = Vec::new();
    for mention in shown.chain(asked) {
        if found.len() < PRODUCTS_MAX && !found.iter().any(|known| known.sku == mention.sku) {
            found.push(mention);
        }
    }
    found
}

fn product_view(l: &Layout, mention: Mention, known: &HashMap<&str, &Product>) -> ProductView {
    let Mention { sku, shown_as } = mention;
    let product = known.get(sku.as_str());
    ProductView {
        price: product.map(|product| product.price.to_string()).unwrap_or_default(),
        stock: match product {
            Some(product) => l.numbered(l.t.in_stock, &product.stock),
            None => l.t.not_in_catalogue.to_owned(),
        },
        shown: shown_as.is_some(),
        title: product.map(|product| product.title.clone()).or(shown_as).unwrap_or_else(|| sku.clone()),
        sku,
    }
}

fn order_view(t: &'static Texts, order: Order, known: &HashMap<&str, &Product>) -> OrderView {
    let items = order.items.iter().map(|item| {
        let title = known.get(item.sku.as_str()).map_or(item.sku.as_str(), |product| product.title.as_str());
        format!("{} × {title}", item.quantity)
    });
    OrderView {
        items: items.collect(),
        status: order_status(t, &order.status),
        total: order.total.map(|total| total.to_string()).unwrap_or_default(),
        eta: order.eta.unwrap_or_default(),
        parcel: [order.carrier, order.tracking].into_iter().flatten().collect::<Vec<_>>().join(" "),
        placed_at: order.placed_at,
        id: order.order_id,
    }
}

fn order_status(t: &'static Texts, status: &OrderStatus) -> String {
    let name = match status {
        OrderStatus::AwaitingPayment => t.order_awaiting_payment,
        OrderStatus::Processing => t.order_processing,
        OrderStatus::Shipped => t.order_shipped,
        OrderStatus::OutForDelivery => t.order_out_for_delivery,
        OrderStatus::Delayed => t.order_delayed,
        OrderStatus::Delivered => t.order_delivered,
        OrderStatus::Cancelled => t.order_cancelled,
        OrderStatus::Returned => t.order_returned,
        OrderStatus::Refunded => t.order_refunded,
        OrderStatus::Other(name) => name,
    };
    name.to_owned()
}

fn note_view(l: &Layout, note: &StoredMessage) -> Note {
    Note {
        message_id: note.id,
        who: note.author_name.clone().unwrap_or_else(|| l.t.author_staff.to_owned()),
        text: note.text.clone(),
        at: note.at,
    }
}
