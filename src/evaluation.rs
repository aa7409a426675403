//! Measuring the product on labelled data: `shoptalk eval SUITE`.
//!
//! Each suite has a file of its own that reads its data, runs the same code that serves shoppers and returns a
//! [`Report`]: one JSON object, or a small table for people. Nothing here learns from a test file.

pub mod answers;
pub mod baskets;
pub mod data;
pub mod embeddings;
pub mod forecast;
pub mod intents;
pub mod metrics;
pub mod pii;
pub mod reader;
pub mod recommend;
pub mod report;
pub mod retrieval;
pub mod sentiment;
pub mod similarity;

use std::path::PathBuf;

use crate::{inference::InferenceError, intents::HeadError};

pub use report::Report;

/// Why a suite could not run. Every message says which file to mend and how.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file says something that cannot be used.
    #[error("{path}: {problem}")]
    Data {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The command needs another argument.
    #[error("{0}")]
    Argument(String),
    /// The encoder gave no vectors.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A head could not be trained.
    #[error(transparent)]
    Head(#[from] HeadError),
}

impl EvaluationError {
    /// Something is wrong in the file `path`.
    pub(crate) fn data(path: &std::path::Path, problem: impl Into<String>) -> Self {
        Self::Data { path: path.to_owned(), problem: problem.into() }
    }
}

/// What a suite gives.
pub type Result<T> = std::result::Result<T, EvaluationError>;
