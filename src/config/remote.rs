//! `[models.remote]`: a server that takes the place of the local chat model. What the file can say is checked while it is
//! read, so that an error names the line; the key itself never stands in the file.

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use super::{ConfigError, Secret};

/// A server with an OpenAI-compatible chat API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// Where the API begins, for example `http://gpu.example:8000/v1`.
    pub base_url: BaseUrl,
    /// The model's name as the server knows it.
    pub model: ModelName,
    /// Environment variable that holds the key; without it none is sent.
    pub key_env: Option<VariableName>,
    /// Longest wait for a connection.
    #[serde(default = "defaults::connect")]
    pub connect_timeout_s: Seconds,
    /// Longest wait for an answer's first words, from the asking, all tries together.
    #[serde(default = "defaults::first_token")]
    pub first_token_timeout_s: Seconds,
    /// Longest silence within an answer.
    #[serde(default = "defaults::next_token")]
    pub next_token_timeout_s: Seconds,
    /// Longest time for a whole answer.
    #[serde(default = "defaults::whole")]
    pub timeout_s: Seconds,
    /// Tries after the first one, while the server cannot be reached or is overloaded.
    #[serde(default = "defaults::retries")]
    pub retries_max: u32,
    /// Answers that are written at the same time; what comes on top does without the model.
    #[serde(default = "defaults::concurrent")]
    pub concurrent_max: Places,
    /// Sent along with every request, for what only some servers know.
    #[serde(default)]
    pub extra_body: serde_json::Map<String, serde_json::Value>,
}

mod defaults {
    use super::{Duration, Places, Seconds};

    pub(super) fn connect() -> Seconds {
        Seconds(Duration::from_secs(3))
    }

    pub(super) fn first_token() -> Seconds {
        Seconds(Duration::from_secs(15))
    }

    pub(super) fn next_token() -> Seconds {
        Seconds(Duration::from_secs(10))
    }

    pub(super) fn whole() -> Seconds {
        Seconds(Duration::from_mins(1))
    }

    pub(super) fn retries() -> u32 {
        2
    }

    pub(super) fn concurrent() -> Places {
        Places(8)
    }
}

impl RemoteConfig {
    /// The key, from the environment; `None` where the settings name no variable.
    pub fn key(&self) -> Result<Option<Secret>, ConfigError> {
        let Some(VariableName(name)) = &self.key_env else { return Ok(None) };
        match std::env::var(name).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()) {
            Some(key) => Ok(Some(Secret::new(key))),
            None => Err(ConfigError::NoKey { variable: name.clone() }),
        }
    }
}

/// An address that begins with `http://` or `https://` and holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// The address of `path` below this one.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        url
    }

    /// As it may be shown.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = &'static str;

    // What was written may hold a key, so the error does not repeat it.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let url = Url::parse(text.trim()).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or("not an address such as http://gpu.example:8000/v1")?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(
                "an address without user, password, ? and # is needed; the key goes into the environment variable \
                        that key_env names",
            );
        }
        Ok(Self(url))
    }
}

/// A model's name, not empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ModelName(String);

impl ModelName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModelName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() { Err("the model's name as the server knows it is needed") } else { Ok(Self(text)) }
    }
}

/// The name of an environment variable, in capitals as is usual: so a key that was put there by mistake is found out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VariableName(String);

impl TryFrom<String> for VariableName {
    type Error = &'static str;

    // What was written may be the key itself, so the error does not repeat it.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_name = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if is_name {
            Ok(Self(text))
        } else {
            Err("key_env takes the name of an environment variable, in capitals, such as SHOPTALK_REMOTE_KEY; the key \
                 itself does not belong into this file")
        }
    }
}

/// A time that is neither nothing nor for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Seconds(Duration);

impl Seconds {
    /// The time.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<f64> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        let possible = (0.001..=86_400.0).contains(&seconds);
        if possible {
            Ok(Self(Duration::from_secs_f64(seconds)))
        } else {
            Err("seconds, from 0.001 to 86400, are needed")
        }
    }
}

/// How many of something there is room for, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct Places(usize);

impl Places {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<u16> for Places {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        if number == 0 { Err("at least 1 is needed") } else { Ok(Self(usize::from(number))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, on_one_line};

    fn read(lines: &str) -> Result<RemoteConfig, String> {
        let text = format!("[models.remote]\nmodel = \"m\"\n{lines}\n");
        let config = toml::from_str::<Config>(&text).map_err(|error| on_one_line(&text, &error))?;
        Ok(config.models.remote.unwrap())
    }

    #[test]
    fn an_address_is_enough_and_paths_are_put_behind_it() {
        for base in ["http://gpu.example:8000/v1", "http://gpu.example:8000/v1/"] {
            let remote = read(&format!("base_url = {base:?}")).unwrap();
            assert_eq!(remote.base_url.at("chat/completions").as_str(), "http://gpu.example:8000/v1/chat/completions");
            assert_eq!(remote.base_url.as_str(), "http://gpu.example:8000/v1");
            assert!(remote.key().unwrap().is_none());
        }
        let bare = read("base_url = \"https://gpu.example\"\ntimeout_s = 2.5\nconnect_timeout_s = 7").unwrap();
        assert_eq!(bare.base_url.at("models").as_str(), "https://gpu.example/models");
        assert_eq!(bare.timeout_s.duration(), Duration::from_millis(2500));
        assert_eq!(bare.connect_timeout_s.duration(), Duration::from_secs(7));
    }

    #[test]
    fn the_example_tells_the_defaults() {
        let example = include_str!("../../shoptalk.example.toml");
        let (_, block) = example.split_once("# [models.remote]\n").unwrap();
        let lines = block.lines().map_while(|line| line.strip_prefix("# "));
        let settings = lines.filter(|line| line.split(' ').nth(1) == Some("=")).collect::<Vec<_>>().join("\n");
        let example = toml::from_str::<RemoteConfig>(&settings).unwrap();
        assert!(example.key_env.is_some() && !example.extra_body.is_empty());
        let mut defaults = read("base_url = \"http://gpu.example:8000/v1\"").unwrap();
        defaults.model = example.model.clone();
        defaults.key_env = example.key_env.clone();
        defaults.extra_body = example.extra_body.clone();
        assert_eq!(format!("{example:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line_and_without_what_may_be_a_key() {
        for (line, words) in [
            ("base_url = \"gpu.example/v1\"", "not an address"),
            ("base_url = \"file:///v1\"", "not an address"),
            ("base_url = \"http://me:hunter2@gpu.example/v1\"", "key_env"),
            ("base_url = \"http://gpu.example/v1?key=hunter2\"", "key_env"),
            ("key_env = \"sk-hunter2\"", "the name of an environment variable"),
            ("key = \"hunter2\"", "unknown field `key`"),
            ("timeout_s = 0", "seconds"),
            ("first_token_timeout_s = nan", "seconds"),
            ("concurrent_max = 0", "at least 1"),
            ("model2 = \"\"", "unknown field `model2`"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.starts_with("line 3: ") && error.contains(words), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let remote = read("base_url = \"http://a/v1\"\nkey_env = \"SHOPTALK_TEST_NO_SUCH_KEY\"").unwrap();
        let error = remote.key().unwrap_err().to_string();
        assert!(error.contains("SHOPTALK_TEST_NO_SUCH_KEY") && error.contains("key_env"), "{error}");
    }
}
