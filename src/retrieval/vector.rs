//! Nearest vectors: an exact scan in memory, or a Qdrant server.

use qdrant_client::{
    Payload, Qdrant,
    qdrant::{
        CreateCollectionBuilder, DeletePointsBuilder, Distance, Filter, PointStruct, ScrollPointsBuilder,
        SearchPointsBuilder, UpsertPointsBuilder, VectorParamsBuilder, point_id::PointIdOptions,
        vectors_config::Config as VectorsKind,
    },
};
use sha2::{Digest, Sha256};

use crate::inference;

/// Why vectors could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The Qdrant server did not do what was asked.
    #[error(
        "Qdrant: {}; check that the server runs and that `qdrant_url` under [retrieval] is its gRPC address (port 6334), \
         or leave it out to use the built-in index",
        reason(.0)
    )]
    Qdrant(Box<qdrant_client::QdrantError>),
}

impl VectorError {
    /// Whether the same search may succeed later: the server is away or busy.
    pub fn is_passing(&self) -> bool {
        /// Of gRPC: cancelled, deadline exceeded, resource exhausted, aborted, unavailable.
        const PASSING: [i32; 5] = [1, 4, 8, 10, 14];
        let Self::Qdrant(error) = self;
        matches!(&**error, qdrant_client::QdrantError::ResponseError { status } if PASSING.contains(&(status.code() as i32)))
    }
}

/// The server's words without the headers of its response.
fn reason(error: &qdrant_client::QdrantError) -> String {
    match error {
        qdrant_client::QdrantError::ResponseError { status } => format!("{:?}: {}", status.code(), status.message()),
        other => other.to_string(),
    }
}

impl From<qdrant_client::QdrantError> for VectorError {
    fn from(error: qdrant_client::QdrantError) -> Self {
        Self::Qdrant(Box::new(error))
    }
}

/// Where vectors are looked up. Rows are numbered from 0 in the order in which they were given.
pub enum VectorIndex {
    /// Row by row in memory: exact, and fast enough up to about 100,000 rows.
    Embedded {
        /// Numbers per row.
        dimensions: usize,
        /// All rows, one after the other.
        values: Vec<f32>,
    },
    /// A Qdrant server.
    Qdrant {
        /// Connection.
        client: Qdrant,
        /// Collection.
        collection: String,
    },
}

impl std::fmt::Debug for VectorIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded { dimensions, values } => {
                write!(f, "Embedded({} x {dimensions})", values.len() / dimensions.max(&1))
            }
            Self::Qdrant { collection, .. } => write!(f, "Qdrant({collection})"),
        }
    }
}

/// Points sent to Qdrant at once.
const BATCH: usize = 256;

impl VectorIndex {
    /// An empty index in memory.
    pub fn embedded() -> Self {
        Self::Embedded { dimensions: 0, values: Vec::new() }
    }

    /// An index on a Qdrant server; `url` is its gRPC address.
    pub fn qdrant(url: &str, collection: &str) -> Result<Self, VectorError> {
        // The check would ask the server from here, block, and print to standard output.
        let client = Qdrant::from_url(url).skip_compatibility_check().build()?;
        Ok(Self::Qdrant { client, collection: collection.to_owned() })
    }

    /// Holds exactly these rows afterwards, in this order; the text is the row's stable id.
    pub async fn fill<'a>(self, rows: impl Iterator<Item = (&'a str, &'a [f32])>) -> Result<Self, VectorError> {
        match self {
            Self::Embedded { .. } => {
                let (mut dimensions, mut values) = (0, Vec::new());
                for (_, row) in rows {
                    dimensions = row.len();
                    values.extend_from_slice(row);
                }
                Ok(Self::Embedded { dimensions, values })
            }
            Self::Qdrant { client, collection } => {
                let rows: Vec<_> = rows.collect();
                fill_qdrant(&client, &collection, &rows).await?;
                Ok(Self::Qdrant { client, collection })
            }
        }
    }

    /// The rows nearest to a unit vector, nearest first, at most `limit`.
    pub async fn nearest(&self, vector: &[f32], limit: usize) -> Result<Vec<u32>, VectorError> {
        match self {
            Self::Embedded { dimensions, values } => Ok(scan(vector, *dimensions, values, limit)),
            Self::Qdrant { client, collection } => {
                let search = SearchPointsBuilder::new(collection, vector.to_vec(), limit as u64);
                let result = client.search_points(search).await?.result;
                Ok(result.into_iter().filter_map(|point| row_of(point.id?.point_id_options.as_ref()?)).collect())
            }
        }
    }
}

fn row_of(id: &PointIdOptions) -> Option<u32> {
    match id {
        PointIdOptions::Num(row) => u32::try_from(*row).ok(),
        PointIdOptions::Uuid(_) => None,
    }
}

/// Rows are points `0..n`; a point that holds the chunk and the vector already is not sent again.
async fn fill_qdrant(client: &Qdrant, collection: &str, rows: &[(&str, &[f32])]) -> Result<(), VectorError> {
    let dimensions = rows.first().map_or(384, |row| row.1.len()) as u64;
    let exists = client.collection_exists(collection).await?;
    let fits = exists && (rows.is_empty() || vector_size(client, collection).await? == Some(dimensions));
    if exists && !fits {
        // Another encoder's vectors.
        client.delete_collection(collection).await?;
    }
    if !fits {
        let params = VectorParamsBuilder::new(dimensions, Distance::Dot);
        client.create_collection(CreateCollectionBuilder::new(collection).vectors_config(params)).await?;
    }
    let present = present_points(client, collection).await?;
    let changed: Vec<PointStruct> = rows
        .iter()
        .enumerate()
        .filter_map(|(row, (chunk, vector))| {
            let row = row as u64;
            let content = content_id(chunk, vector);
            if present.get(&row) == Some(&content) {
                return None;
            }
            let payload = Payload::from(serde_json::Map::from_iter([(CONTENT.to_owned(), content.into())]));
            Some(PointStruct::new(row, vector.to_vec(), payload))
        })
        .collect();
    for batch in changed.chunks(BATCH) {
        client.upsert_points(UpsertPointsBuilder::new(collection, batch.to_vec()).wait(true)).await?;
    }
    let gone: Vec<_> = present.keys().filter(|row| **row >= rows.len() as u64).map(|row| (*row).into()).collect();
    if !gone.is_empty() {
        let ids = qdrant_client::qdrant::PointsIdsList { ids: gone };
        client.delete_points(DeletePointsBuilder::new(collection).points(ids).wait(true)).await?;
    }
    Ok(())
}

/// Payload that tells what a point holds.
const CONTENT: &str = "content";

/// Digest of a chunk's id and its vector: a chunk keeps its id when its text is embedded anew.
fn content_id(chunk: &str, vector: &[f32]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(chunk.as_bytes());
    hasher.update([0]);
    for value in vector {
        hasher.update(value.to_le_bytes());
    }
    hex::encode(&hasher.finalize()[..16])
}

/// Numbers per vector of a collection; `None` when it was made by something else and holds several vectors a point.
async fn vector_size(client: &Qdrant, collection: &str) -> Result<Option<u64>, VectorError> {
    let params = client.collection_info(collection).await?.result.and_then(|info| info.config?.params);
    let vectors = params.and_then(|params| params.vectors_config?.config);
    Ok(match vectors {
        Some(VectorsKind::Params(params)) => Some(params.size),
        _ => None,
    })
}

async fn present_points(
    client: &Qdrant,
    collection: &str,
) -> Result<std::collections::HashMap<u64, String>, VectorError> {
    let mut present = std::collections::HashMap::new();
    let mut offset = None;
    loop {
        let mut scroll = ScrollPointsBuilder::new(collection).limit(1000).with_payload(true).filter(Filter::default());
        if let Some(offset) = offset.take() {
            scroll = scroll.offset::<qdrant_client::qdrant::PointId>(offset);
        }
        let page = client.scroll(scroll).await?;
        for point in page.result {
            let content = point.payload.get(CONTENT).and_then(|value| value.as_str()).cloned().unwrap_or_default();
            if let Some(PointIdOptions::Num(row)) = point.id.and_then(|id| id.point_id_options) {
                present.insert(row, content);
            }
        }
        match page.next_page_offset {
            Some(next) => offset = Some(next),
            None => return Ok(present),
        }
    }
}

fn scan(vector: &[f32], dimensions: usize, values: &[f32], limit: usize) -> Vec<u32> {
    if dimensions == 0 || vector.len() != dimensions {
        return Vec::new();
    }
    let mut scored: Vec<(f32, u32)> =
        values.chunks_exact(dimensions).enumerate().map(|(row, values)| (dot(vector, values), row as u32)).collect();
    let limit = limit.min(scored.len());
    let nearer = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if limit < scored.len() {
        scored.select_nth_unstable_by(limit, nearer);
        scored.truncate(limit);
    }
    scored.sort_unstable_by(nearer);
    scored.into_iter().map(|(_, row)| row).collect()
}

/// Dot product; 0 where a vector is missing or another encoder's.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    if a.len() == b.len() { inference::dot(a, b) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_nearest_rows_come_first() {
        let rows: Vec<(String, Vec<f32>)> =
            (0..50u8).map(|row| (row.to_string(), vec![f32::from(row).cos(), f32::from(row).sin()])).collect();
        let index = VectorIndex::embedded()
            .fill(rows.iter().map(|(id, vector)| (id.as_str(), vector.as_slice())))
            .await
            .unwrap();
        let nearest = index.nearest(&[1.0, 0.0], 3).await.unwrap();
        // cos is largest at 0, 44 (7 turns) and 25 (4 turns) radians.
        assert_eq!(nearest, vec![0, 44, 25]);
        assert!(index.nearest(&[1.0], 3).await.unwrap().is_empty());
    }

    #[test]
    fn dot_takes_the_rest_too() {
        let a: Vec<f32> = (0..11u8).map(f32::from).collect();
        assert!((dot(&a, &a) - 385.0).abs() < 1e-3);
    }
}
