//! Many texts through the encoder, with a progress bar for people.

use indicatif::{ProgressBar, ProgressStyle};

use super::Result;
use crate::inference::Embedder;

/// Texts sent to the encoder at a time.
const AT_ONCE: usize = 128;

/// What the texts are to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Things that people say.
    Query,
    /// Things that are looked up.
    Passage,
}

/// One unit vector a text, in order. Equal texts are embedded once.
pub async fn embed(embedder: &Embedder, texts: &[&str], role: Role, title: &str) -> Result<Vec<Vec<f32>>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    // Texts of like length together: no padding is computed in vain.
    order.sort_by_key(|&at| (texts[at].len(), texts[at]));
    let bar = progress(texts.len(), title);
    let mut vectors = vec![Vec::new(); texts.len()];
    for step in order.chunks(AT_ONCE) {
        let mut distinct: Vec<String> = step.iter().map(|&at| texts[at].to_owned()).collect();
        distinct.dedup();
        let found = match role {
            Role::Query => embedder.embed_queries(distinct.clone()).await?,
            Role::Passage => embedder.embed_passages(distinct.clone()).await?,
        };
        let mut place = 0;
        for &at in step {
            if distinct[place] != texts[at] {
                place += 1;
            }
            vectors[at].clone_from(&found[place]);
        }
        bar.inc(step.len() as u64);
    }
    bar.finish_and_clear();
    Ok(vectors)
}

/// A bar on standard error; invisible where nobody looks at a terminal.
pub fn progress(total: usize, title: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {eta}");
    let bar = ProgressBar::new(total as u64).with_message(title.to_owned());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_text_gets_its_own_vector() {
        let embedder = Embedder::hashed(64);
        let texts: Vec<String> = (0..300).map(|at| format!("text {}", at % 170)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embed(&embedder, &texts, Role::Query, "").await.unwrap();
        for (text, vector) in texts.iter().zip(&vectors) {
            assert_eq!(*vector, embedder.embed_queries(vec![(*text).to_owned()]).await.unwrap()[0]);
        }
    }
}
