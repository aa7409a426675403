//! The catalogue as merchants work on it: files that were read and wait for being applied.

use chrono::TimeDelta;
use sqlx::Row;

use super::{Result, Store, from_json, millis, to_json};
use crate::{catalog::Product, knowledge::catalogue::CatalogueFile, message::Timestamp};

/// After this time a file that nobody applied is forgotten.
const KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// A file of products that waits for being applied.
#[derive(Debug, Clone)]
pub struct CatalogueImport {
    /// Row id.
    pub id: i64,
    /// File name.
    pub name: String,
    /// What was read.
    pub file: CatalogueFile,
    /// The file is the whole catalogue: products that are not in it leave.
    pub whole: bool,
    /// Who uploaded it.
    pub author: String,
}

impl Store {
    /// Every product by SKU, without the vectors.
    pub async fn catalogue(&self) -> Result<Vec<Product>> {
        self.first_products(i64::MAX).await
    }

    /// Keeps a file of products for being looked at; returns its row id.
    pub async fn add_catalogue_import(
        &self,
        name: &str,
        file: &CatalogueFile,
        whole: bool,
        author: &str,
        at: Timestamp,
    ) -> Result<i64> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM catalogue_imports WHERE at < $1")
            .bind(millis(at - KEPT_FOR))
            .execute(&mut *tx.connection)
            .await?;
        let row = sqlx::query(
            "INSERT INTO catalogue_imports (name, file_json, whole, author, at) VALUES ($1, $2, $3, $4, $5)
             RETURNING id",
        )
        .bind(name)
        .bind(to_json(file)?)
        .bind(i64::from(whole))
        .bind(author)
        .bind(millis(at))
        .fetch_one(&mut *tx.connection)
        .await?;
        let id = row.try_get("id")?;
        tx.commit().await?;
        Ok(id)
    }

    /// A file that waits for being applied.
    pub async fn catalogue_import(&self, id: i64) -> Result<Option<CatalogueImport>> {
        let row = sqlx::query("SELECT id, name, file_json, whole, author FROM catalogue_imports WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            Ok(CatalogueImport {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                file: from_json("file of products", row.try_get("file_json")?)?,
                whole: row.try_get::<i64, _>("whole")? != 0,
                author: row.try_get("author")?,
            })
        })
        .transpose()
    }

    /// Forgets a file that waited. `false`: there is none.
    pub async fn delete_catalogue_import(&self, id: i64) -> Result<bool> {
        let mut tx = self.write().await?;
        let deleted =
            sqlx::query("DELETE FROM catalogue_imports WHERE id = $1").bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }
}
