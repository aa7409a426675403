//! A model's folder: its record of files and checksums, hashing, and a lock so that two processes do not fetch the
//! same model at once.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ModelSource, ModelsError, Notices};

const RECORD: &str = "manifest.json";

/// What was stored when the model was fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) source: ModelSource,
    /// By role.
    pub(crate) files: BTreeMap<String, StoredFile>,
}

/// A file in the model's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredFile {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl StoredFile {
    /// The record of a file whose checksum is known.
    pub(crate) fn of(path: &Path, file: &str, sha256: String) -> Result<Self, ModelsError> {
        let bytes = fs::metadata(path).map_err(|error| ModelsError::io(path, error))?.len();
        Ok(Self { file: file.to_owned(), bytes, sha256 })
    }
}

impl Record {
    /// The record in `dir`; `None` when there is none or it cannot be read, which a new pull repairs.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()
    }

    /// Replaces the record at once: a reader sees the old one or the new one.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), ModelsError> {
        let path = dir.join(RECORD);
        let text = serde_json::to_string_pretty(self).map_err(|error| ModelsError::io(&path, error.into()))?;
        let draft = path.with_extension("json.part");
        fs::write(&draft, text).map_err(|error| ModelsError::io(&draft, error))?;
        fs::rename(&draft, &path).map_err(|error| ModelsError::io(&path, error))
    }
}

/// SHA-256 of a file in lower-case hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> Result<String, ModelsError> {
    let hash = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(hasher.finalize())),
                count => hasher.update(&buffer[..count]),
            }
        }
    };
    hash().map_err(|error| ModelsError::io(path, error))
}

/// Checks a fetched file and moves it to its name; a wrong one is deleted, so that the next pull starts anew.
pub(crate) fn accept(part: &Path, path: &Path, expected: Option<&str>) -> Result<String, ModelsError> {
    let found = sha256_of(part)?;
    if let Some(expected) = expected.filter(|expected| !expected.eq_ignore_ascii_case(&found)) {
        fs::remove_file(part).map_err(|error| ModelsError::io(part, error))?;
        return Err(ModelsError::Checksum { file: path.to_owned(), expected: expected.to_owned(), found });
    }
    fs::rename(part, path).map_err(|error| ModelsError::io(path, error))?;
    Ok(found)
}

/// Name of a file while it is fetched.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Takes the lock of a model, waiting while another process fetches it; it is given back on drop.
pub(crate) fn lock(path: &Path, model: &str, notices: &Notices) -> Result<File, ModelsError> {
    let open = File::options().create(true).truncate(false).write(true).open(path);
    let file = open.map_err(|error| ModelsError::io(path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            notices.say(&format!("waiting for another process that is fetching {model}"));
            file.lock().map_err(|error| ModelsError::io(path, error))?;
        }
        Err(TryLockError::Error(error)) => return Err(ModelsError::io(path, error)),
    }
    Ok(file)
}
