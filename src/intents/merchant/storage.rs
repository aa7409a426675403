//! A merchant's head on disk: a folder with `intents.json` (what it is) and `head.bin` (its weights).

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::{Block, CrossValidation, LinearHead, MerchantIntents};
use crate::intents::HeadError;

const ABOUT_FILE: &str = "intents.json";
const HEAD_FILE: &str = "head.bin";
/// Changes whenever the features or the stored form change.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct About {
    version: u32,
    labels: Vec<String>,
    encoders: Vec<String>,
    threshold: f32,
    blocks: Vec<StoredBlock>,
    cross_validation: CrossValidation,
}

#[derive(Serialize, Deserialize)]
struct StoredBlock {
    mean: Vec<f32>,
    scale: f32,
}

impl MerchantIntents {
    /// Writes the head into `dir`, which is made where it is not there.
    ///
    /// # Errors
    /// [`HeadError::Folder`] names what cannot be written.
    pub fn save(&self, dir: &Path, figures: &CrossValidation) -> Result<(), HeadError> {
        let blocks = self.blocks.iter().map(|block| StoredBlock { mean: block.mean.clone(), scale: block.scale });
        let about = About {
            version: VERSION,
            labels: self.labels.clone(),
            encoders: self.encoders.clone(),
            threshold: self.threshold,
            blocks: blocks.collect(),
            cross_validation: figures.clone(),
        };
        let about = serde_json::to_string(&about).map_err(|error| folder(dir, error))?;
        fs::create_dir_all(dir).map_err(|error| folder(dir, error))?;
        fs::write(dir.join(HEAD_FILE), self.head.to_bytes()).map_err(|error| folder(dir, error))?;
        // Last, so that a folder with this file is complete.
        fs::write(dir.join(ABOUT_FILE), about).map_err(|error| folder(dir, error))
    }

    /// Reads what [`MerchantIntents::save`] wrote.
    ///
    /// # Errors
    /// [`HeadError::Folder`] when `dir` holds no head, [`HeadError::Stale`] or [`HeadError::Corrupt`] when it holds
    /// another version's or a damaged one.
    pub fn load(dir: &Path) -> Result<Self, HeadError> {
        let about = fs::read_to_string(dir.join(ABOUT_FILE)).map_err(|error| folder(dir, error))?;
        let about: About = serde_json::from_str(&about).map_err(|_| HeadError::Corrupt("intents.json"))?;
        if about.version != VERSION {
            return Err(HeadError::Stale);
        }
        let head = LinearHead::from_bytes(&fs::read(dir.join(HEAD_FILE)).map_err(|error| folder(dir, error))?)?;
        if head.classes() <= about.labels.len() || about.blocks.len() != about.encoders.len() {
            return Err(HeadError::Corrupt("labels"));
        }
        let blocks = about.blocks.into_iter().map(|block| Block { mean: block.mean, scale: block.scale }).collect();
        let (labels, encoders) = (about.labels, about.encoders);
        Ok(Self { labels, encoders, blocks, head, threshold: about.threshold })
    }
}

fn folder(dir: &Path, problem: impl std::fmt::Display) -> HeadError {
    HeadError::Folder { dir: dir.to_owned(), problem: problem.to_string() }
}
