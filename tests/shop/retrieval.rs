//! Finding passages, on each index that the shop can use: in memory always, on Qdrant where `QDRANT_URL` names a server
//! (its gRPC address, for example `http://localhost:6334`).

use std::time::{Duration, Instant};

use shoptalk::{
    inference::{Embedder, QuestionVectors},
    knowledge::{Chunk, ChunkKind, vectors::PassageVectors},
    message::Language,
    retrieval::{KnowledgeIndex, Lookup, Question, vector::VectorIndex},
    storage::StoredChunk,
};

const TEXTS: [&str; 5] = [
    "Boots can be returned within 60 days.",
    "Delivery to Iceland takes nine working days.",
    "The stove burns for two hours with one cartridge.",
    "Our shop in Ghent opens at nine.",
    "Gift cards are valid for three years.",
];
const TEXTS_ZH: [&str; 3] = ["茶叶可以直邮中国，运费按重量计算。", "门店早上九点开门。", "礼品卡三年内有效。"];

/// Runs `test` with a maker of empty indexes of each kind; those of one kind share their place.
async fn on_each_index(collection: &str, test: impl AsyncFn(&dyn Fn() -> VectorIndex)) {
    println!("in memory");
    test(&VectorIndex::embedded).await;
    match std::env::var("QDRANT_URL") {
        Ok(url) => {
            println!("on Qdrant");
            // A collection for each run, so that runs do not meet.
            let collection = format!("shoptalk-test-{collection}-{}", std::process::id());
            test(&|| VectorIndex::qdrant(&url, &collection).unwrap()).await;
        }
        Err(_) => println!("skipped on Qdrant: QDRANT_URL is not set"),
    }
}

async fn chunks(embedder: &Embedder, texts: &[&str]) -> Vec<StoredChunk> {
    let embeddings = embedder.embed_passages(texts.iter().map(|&text| text.to_owned()).collect()).await.unwrap();
    let stored = texts.iter().zip(embeddings).enumerate().map(|(number, (text, embedding))| {
        let chunk = Chunk {
            id: format!("chunk {number}"),
            heading: String::new(),
            kind: ChunkKind::Text,
            text: (*text).to_owned(),
            question: None,
            cells: vec![],
            caption: None,
            language: if text.is_ascii() { Language::En } else { Language::Zh },
            search_text: (*text).to_owned(),
        };
        let vectors = PassageVectors { whole: embedding, parts: vec![] };
        StoredChunk { document: "help.md".to_owned(), chunk, encoder: embedder.name().to_owned(), vectors }
    });
    stored.collect()
}

/// The text that is found first.
async fn best(index: &KnowledgeIndex, embedder: &Embedder, question: &str) -> String {
    let embedding = embedder.embed_queries(vec![question.to_owned()]).await.unwrap().remove(0);
    let vectors = QuestionVectors { main: embedding, english: vec![] };
    let lookup = Lookup { text: question.to_owned(), vectors };
    let language = if question.is_ascii() { Language::En } else { Language::Zh };
    let question = Question { lookups: &[lookup], context: None, language };
    index.search(&question, 3).await.unwrap()[0].passage.chunk.text.clone()
}

async fn nearest(index: &VectorIndex, vector: &[f32], limit: usize) -> Vec<u32> {
    index.nearest(vector, limit).await.unwrap()
}

#[tokio::test]
async fn the_passage_that_answers_comes_first() {
    on_each_index("answers", async |index| {
        let embedder = Embedder::hashed(128);
        let knowledge = KnowledgeIndex::build(chunks(&embedder, &TEXTS).await, index()).await.unwrap();
        assert_eq!(best(&knowledge, &embedder, "how many days to return boots?").await, TEXTS[0]);
        assert_eq!(best(&knowledge, &embedder, "delivery to Iceland").await, TEXTS[1]);
        let knowledge = KnowledgeIndex::build(chunks(&embedder, &TEXTS_ZH).await, index()).await.unwrap();
        assert_eq!(best(&knowledge, &embedder, "茶叶运费").await, TEXTS_ZH[0]);
    })
    .await;
}

#[tokio::test]
async fn the_index_holds_what_it_was_filled_with_last() {
    on_each_index("changes", async |index| {
        let rows = |rows: &'static [(&'static str, [f32; 2])]| rows.iter().map(|(id, vector)| (*id, vector.as_slice()));
        let first = index().fill(rows(&[("a", [1.0, 0.0]), ("b", [0.0, 1.0]), ("c", [0.6, 0.8])])).await.unwrap();
        assert_eq!(nearest(&first, &[1.0, 0.0], 2).await, [0, 2]);
        // The same chunks, embedded anew: another text under the same id, or the next version of the encoder.
        let changed = index().fill(rows(&[("a", [0.0, 1.0]), ("b", [1.0, 0.0]), ("c", [0.6, 0.8])])).await.unwrap();
        assert_eq!(nearest(&changed, &[1.0, 0.0], 2).await, [1, 2]);
        // Chunks that are gone are not found any more.
        let fewer = index().fill(rows(&[("b", [1.0, 0.0])])).await.unwrap();
        assert_eq!(nearest(&fewer, &[0.6, 0.8], 5).await, [0]);
        // Another encoder may have vectors of another length.
        let longer = index().fill([("a", &[0.0, 0.0, 1.0][..]), ("b", &[1.0, 0.0, 0.0])].into_iter()).await.unwrap();
        assert_eq!(nearest(&longer, &[0.0, 0.0, 1.0], 1).await, [0]);
        let none = index().fill(std::iter::empty()).await.unwrap();
        assert!(nearest(&none, &[0.0, 0.0, 1.0], 1).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_qdrant_server_that_is_not_there_is_said_at_once() {
    let started = Instant::now();
    let index = VectorIndex::qdrant("http://127.0.0.1:9", "shoptalk").unwrap();
    let error = index.fill([("a", &[1.0f32][..])].into_iter()).await.unwrap_err().to_string();
    assert!(error.contains("qdrant_url") && error.contains("6334") && !error.contains('\n'), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
    let error = VectorIndex::qdrant("not an address", "shoptalk").unwrap_err().to_string();
    assert!(error.contains("qdrant_url"), "{error}");
}
