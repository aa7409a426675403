//! What the engine knows of the shop, in memory, as of one version of the knowledge.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::ShopProfile,
    inference::{Embedder, Encoders, InferenceError},
    knowledge::{
        import::{SHOP_PROFILE, product_text},
        vectors::{embed_chunks, encoder_label},
    },
    orders::OrderNumbers,
    recommend::Recommender,
    retrieval::{
        KnowledgeIndex,
        vector::{VectorError, VectorIndex},
    },
    storage::{StorageError, Store, StoredChunk, StoredProduct},
};

/// Why the shop could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The encoder.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The vector index.
    #[error(transparent)]
    Vector(#[from] VectorError),
}

/// A shop as of one version.
#[derive(Debug)]
pub struct Snapshot {
    /// Which version.
    pub version: i64,
    /// Who the shop is.
    pub profile: ShopProfile,
    /// Its documents.
    pub knowledge: KnowledgeIndex,
    /// Its products and what shoppers did with them.
    pub recommender: Recommender,
    /// Product titles by SKU.
    pub titles: BTreeMap<String, String>,
    /// Its order numbers.
    pub order_numbers: OrderNumbers,
    /// Address and collection of the Qdrant server, when one is used.
    pub qdrant: Option<(String, String)>,
}

impl Snapshot {
    /// Loads the shop. Vectors made by other encoders are made anew; those of passages are kept for the next start.
    pub async fn load(
        store: &Store,
        encoders: &Encoders,
        qdrant: Option<(String, String)>,
    ) -> Result<Self, SnapshotError> {
        Self::load_changed(|_| {}, store, encoders, qdrant).await
    }

    /// The same with drafts in the place of the documents of their names, searched in memory.
    pub async fn load_with_drafts(drafts: &[i64], store: &Store, encoders: &Encoders) -> Result<Self, SnapshotError> {
        let mut passages = Vec::new();
        for draft in drafts {
            passages.extend(store.kept_passages(*draft).await?);
        }
        renew(&mut passages, encoders).await?;
        let replace = |chunks: &mut Vec<StoredChunk>| {
            let replaced: BTreeSet<&str> = passages.iter().map(|passage| passage.document.as_str()).collect();
            chunks.retain(|chunk| !replaced.contains(chunk.document.as_str()));
            drop(replaced);
            chunks.append(&mut passages);
        };
        Self::load_changed(replace, store, encoders, None).await
    }

    /// The same after a change of the passages.
    pub async fn load_changed(
        change: impl FnOnce(&mut Vec<StoredChunk>),
        store: &Store,
        encoders: &Encoders,
        qdrant: Option<(String, String)>,
    ) -> Result<Self, SnapshotError> {
        // The version is read first: a change while loading is then seen as newer and loaded again.
        let version = store.knowledge_version().await?;
        let profile = store.setting(SHOP_PROFILE).await?;
        let profile = profile.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let mut chunks = with_encoders(store, encoders).await?;
        change(&mut chunks);
        let vectors = match &qdrant {
            Some((url, collection)) => VectorIndex::qdrant(url, collection)?,
            None => VectorIndex::embedded(),
        };
        let knowledge = KnowledgeIndex::build(chunks, vectors).await?;
        let products: Vec<StoredProduct> = store.products().await?;
        let titles = products.iter().map(|stored| (stored.product.sku.clone(), stored.product.title.clone())).collect();
        let products = products_with_encoder(products, &encoders.main).await?;
        let recommender = Recommender::build(products, &store.events().await?);
        let order_numbers = OrderNumbers::new(store.order_ids().await?);
        Ok(Self { version, profile, knowledge, recommender, titles, order_numbers, qdrant })
    }
}

async fn with_encoders(store: &Store, encoders: &Encoders) -> Result<Vec<StoredChunk>, SnapshotError> {
    let mut chunks = store.chunks(None).await?;
    let renewed = renew(&mut chunks, encoders).await?;
    if !renewed.is_empty() {
        store.replace_vectors(renewed.iter().map(|at| &chunks[*at])).await?;
    }
    Ok(chunks)
}

/// Makes the vectors of other encoders anew and says which those were.
async fn renew(chunks: &mut [StoredChunk], encoders: &Encoders) -> Result<Vec<usize>, InferenceError> {
    let label = encoder_label(encoders);
    let other: Vec<usize> = (0..chunks.len()).filter(|at| chunks[*at].encoder != label).collect();
    let texts: Vec<_> = other.iter().map(|at| chunks[*at].chunk.clone()).collect();
    for (&at, vectors) in other.iter().zip(embed_chunks(encoders, &texts).await?) {
        chunks[at].vectors = vectors;
        chunks[at].encoder.clone_from(&label);
    }
    Ok(other)
}

async fn products_with_encoder(
    mut products: Vec<StoredProduct>,
    embedder: &Embedder,
) -> Result<Vec<StoredProduct>, InferenceError> {
    let other: Vec<usize> = (0..products.len()).filter(|at| products[*at].encoder != embedder.name()).collect();
    let texts = other.iter().map(|at| product_text(&products[*at].product)).collect();
    for (at, embedding) in other.into_iter().zip(embedder.embed_passages(texts).await?) {
        products[at].embedding = embedding;
        embedder.name().clone_into(&mut products[at].encoder);
    }
    Ok(products)
}
