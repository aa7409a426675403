//! Products, orders, reviews and events.

use sha2::{Digest, Sha256};
use sqlx::Row;

use super::{
    Result, Store, embedding_from_bytes, embedding_to_bytes, from_json, millis, parse_name, timestamp, to_json,
};
use crate::{
    catalog::{Order, Product, Review, ShopEvent},
    message::Timestamp,
};

/// A product with the vector of its text.
#[derive(Debug, Clone)]
pub struct StoredProduct {
    /// The record.
    pub product: Product,
    /// Encoder that made the embedding.
    pub encoder: String,
    /// Unit vector.
    pub embedding: Vec<f32>,
}

impl Store {
    /// Writes products; one of the same SKU is replaced.
    pub async fn upsert_products(&self, products: &[StoredProduct], at: Timestamp) -> Result<()> {
        self.change_products(products, &[], at).await
    }

    /// Writes products and deletes those with the SKUs `removed`, in one step.
    pub async fn change_products(&self, products: &[StoredProduct], removed: &[String], at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        for sku in removed {
            sqlx::query("DELETE FROM products WHERE sku = $1").bind(sku).execute(&mut *tx.connection).await?;
        }
        for StoredProduct { product, encoder, embedding } in products {
            sqlx::query(
                "INSERT INTO products (sku, record_json, encoder, embedding, updated_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (sku) DO UPDATE SET record_json = excluded.record_json, encoder = excluded.encoder,
                     embedding = excluded.embedding, updated_at = excluded.updated_at",
            )
            .bind(&product.sku)
            .bind(to_json(product)?)
            .bind(encoder)
            .bind(embedding_to_bytes(embedding))
            .bind(millis(at))
            .execute(&mut *tx.connection)
            .await?;
        }
        tx.knowledge_changed().await?;
        tx.commit().await
    }

    /// The whole catalogue by SKU.
    pub async fn products(&self) -> Result<Vec<StoredProduct>> {
        let rows = sqlx::query("SELECT record_json, encoder, embedding FROM products ORDER BY sku")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredProduct {
                    product: from_json("product", row.try_get("record_json")?)?,
                    encoder: row.try_get("encoder")?,
                    embedding: embedding_from_bytes(row.try_get("embedding")?),
                })
            })
            .collect()
    }

    /// The first `limit` products by SKU, without their vectors: enough for a page that shows some.
    pub async fn first_products(&self, limit: i64) -> Result<Vec<Product>> {
        let rows = sqlx::query("SELECT record_json FROM products ORDER BY sku LIMIT $1")
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| from_json("product", row.try_get("record_json")?)).collect()
    }

    /// Writes orders; one of the same number is replaced.
    pub async fn upsert_orders(&self, orders: &[Order]) -> Result<()> {
        let mut tx = self.write().await?;
        for order in orders {
            sqlx::query(
                "INSERT INTO orders (order_id, customer_id, placed_at, record_json) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id,
                     placed_at = excluded.placed_at, record_json = excluded.record_json",
            )
            .bind(&order.order_id)
            .bind(&order.customer_id)
            .bind(&order.placed_at)
            .bind(to_json(order)?)
            .execute(&mut *tx.connection)
            .await?;
        }
        tx.knowledge_changed().await?;
        tx.commit().await
    }

    /// One order by its number, whatever its case.
    pub async fn order(&self, order_id: &str) -> Result<Option<Order>> {
        let row = sqlx::query("SELECT record_json FROM orders WHERE UPPER(order_id) = UPPER($1)")
            .bind(order_id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| from_json("order", row.try_get("record_json")?)).transpose()
    }

    /// A customer's orders, latest first.
    pub async fn orders_of(&self, customer_id: &str) -> Result<Vec<Order>> {
        let rows = sqlx::query("SELECT record_json FROM orders WHERE customer_id = $1 ORDER BY placed_at DESC")
            .bind(customer_id)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| from_json("order", row.try_get("record_json")?)).collect()
    }

    /// Order numbers, so that one can be recognised in a message.
    pub async fn order_ids(&self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT order_id FROM orders ORDER BY order_id").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get("order_id")?)).collect()
    }

    /// Adds reviews; one that is there already is left alone. Returns how many were new.
    pub async fn insert_reviews(&self, reviews: &[Review]) -> Result<u64> {
        let mut tx = self.write().await?;
        let mut added = 0;
        for review in reviews {
            let id = digest(&[&review.sku, &review.rating.to_string(), &review.text, &review.date, &review.author]);
            added += sqlx::query(
                "INSERT INTO reviews (id, sku, rating, text, date, author) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(id)
            .bind(&review.sku)
            .bind(i64::from(review.rating))
            .bind(&review.text)
            .bind(&review.date)
            .bind(&review.author)
            .execute(&mut *tx.connection)
            .await?
            .rows_affected();
        }
        tx.commit().await?;
        Ok(added)
    }

    /// All reviews, or those of one product.
    pub async fn reviews(&self, sku: Option<&str>) -> Result<Vec<Review>> {
        let rows = sqlx::query(
            "SELECT sku, rating, text, date, author FROM reviews WHERE $1 = '' OR sku = $1 ORDER BY date, id",
        )
        .bind(sku.unwrap_or_default())
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Review {
                    sku: row.try_get("sku")?,
                    rating: row.try_get::<i64, _>("rating")? as u8,
                    text: row.try_get("text")?,
                    date: row.try_get("date")?,
                    author: row.try_get("author")?,
                })
            })
            .collect()
    }

    /// Adds events; one that is there already is left alone. Returns how many were new.
    pub async fn insert_events(&self, events: &[ShopEvent]) -> Result<u64> {
        let mut tx = self.write().await?;
        let mut added = 0;
        for event in events {
            let at = millis(event.at);
            let id = digest(&[&event.customer_id, &event.sku, event.kind.as_str(), &at.to_string()]);
            added += sqlx::query(
                "INSERT INTO events (id, customer_id, sku, kind, at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(id)
            .bind(&event.customer_id)
            .bind(&event.sku)
            .bind(event.kind.as_str())
            .bind(at)
            .execute(&mut *tx.connection)
            .await?
            .rows_affected();
        }
        tx.knowledge_changed().await?;
        tx.commit().await?;
        Ok(added)
    }

    /// All events in time order.
    pub async fn events(&self) -> Result<Vec<ShopEvent>> {
        let rows =
            sqlx::query("SELECT customer_id, sku, kind, at FROM events ORDER BY at, id").fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(ShopEvent {
                    customer_id: row.try_get("customer_id")?,
                    sku: row.try_get("sku")?,
                    kind: parse_name("event", row.try_get("kind")?)?,
                    at: timestamp(row, "at")?,
                })
            })
            .collect()
    }

    /// How many products, orders, reviews and events there are.
    pub async fn record_counts(&self) -> Result<[i64; 4]> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM products) AS products, (SELECT COUNT(*) FROM orders) AS orders,
                    (SELECT COUNT(*) FROM reviews) AS reviews, (SELECT COUNT(*) FROM events) AS events",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok([row.try_get("products")?, row.try_get("orders")?, row.try_get("reviews")?, row.try_get("events")?])
    }
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hex::encode(&hasher.finalize()[..16])
}
