//! What an owner can set: `shoptalk.toml`, checked at start. Unknown keys are refused with the line to mend, and secrets
//! never show up in a log.

use std::{fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::message::Language;

mod hours;
mod remote;
mod widget;

pub use hours::{OpenHours, SupportHours};
pub use remote::{BaseUrl, ModelName, Places, RemoteConfig, Seconds, VariableName};
pub use widget::{CONTRAST_MIN, Colour, NotAColour, Side, WidgetSettings};

/// A value that must not be printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Everything one shop owns lives here.
    pub data_dir: PathBuf,
    /// `postgres://...`; without it, `SQLite` in `data_dir`.
    pub database_url: Option<Secret>,
    /// The web server.
    pub server: ServerConfig,
    /// The Telegram bot, when there is one.
    pub telegram: Option<TelegramConfig>,
    /// When a person takes over.
    pub handoff: HandoffConfig,
    /// The models.
    pub models: ModelsConfig,
    /// Where passages are looked up.
    pub retrieval: RetrievalConfig,
    /// The merchant's own intents.
    pub intents: IntentsConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            database_url: None,
            server: ServerConfig::default(),
            telegram: None,
            handoff: HandoffConfig::default(),
            models: ModelsConfig::default(),
            retrieval: RetrievalConfig::default(),
            intents: IntentsConfig::default(),
        }
    }
}

/// The web server: widget, console, API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Origins of the shop's own pages that may embed the widget, for example `https://shop.example`; empty: any.
    pub widget_origins: Vec<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), widget_origins: Vec::new() }
    }
}

/// The Telegram bot.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// The bot's token from `@BotFather`; the environment variable `TELEGRAM_BOT_TOKEN` wins over the file.
    pub token: Secret,
    /// Another Bot API server.
    pub api_url: Option<String>,
    /// Most messages a second to all chats together. Telegram allows 30; a server of one's own may allow more.
    #[serde(default = "TelegramConfig::default_per_second")]
    pub per_second: NonZeroU32,
    /// Where Telegram delivers updates; without it they are fetched.
    pub webhook: Option<WebhookConfig>,
    /// Messages of a chat that come within this time of each other are answered together, in milliseconds; 0: each by
    /// itself. A command or a button never waits.
    #[serde(default = "TelegramConfig::default_burst_ms")]
    pub burst_ms: u64,
    /// A supergroup with topics in which staff answer shoppers: whoever writes there counts as staff.
    #[serde(default)]
    pub staff_group: Option<i64>,
    /// Telegram's numbers of the people whose documents the bot imports.
    #[serde(default)]
    pub merchants: Vec<i64>,
}

impl TelegramConfig {
    /// A bot with everything else as usual.
    pub fn new(token: Secret) -> Self {
        Self {
            token,
            api_url: None,
            per_second: Self::default_per_second(),
            webhook: None,
            burst_ms: Self::default_burst_ms(),
            staff_group: None,
            merchants: Vec::new(),
        }
    }

    const fn default_per_second() -> NonZeroU32 {
        NonZeroU32::new(30).unwrap()
    }

    /// People write a thought in several messages, a second or so apart.
    const fn default_burst_ms() -> u64 {
        1_200
    }
}

/// Delivery of updates by Telegram.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The address that Telegram calls; a proxy in front passes it on to `/telegram/webhook`.
    pub url: String,
    /// What Telegram proves itself with: letters, digits, `_` and `-`; made up and kept when left out.
    pub secret: Option<Secret>,
}

/// When a person takes over.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandoffConfig {
    /// After so many minutes without a person the bot goes on: while a shopper waits, minutes in which people are there;
    /// while a person has the conversation, minutes without a message. 0: never.
    pub back_to_bot_after_minutes: u32,
    /// The language of the notices that staff read in Telegram and in transcripts.
    pub staff_language: Language,
}

impl Default for HandoffConfig {
    fn default() -> Self {
        Self { back_to_bot_after_minutes: 30, staff_language: Language::En }
    }
}

/// The models: local ones, and a server in place of the local chat model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsConfig {
    /// Where downloaded models are kept; `SHOPTALK_MODELS` or the user's cache when not set.
    pub dir: Option<PathBuf>,
    /// Name of the encoder in `shoptalk models list`.
    pub encoder: String,
    /// Name of the encoder that reads English texts as well; an empty text does without.
    pub english_encoder: String,
    /// Name of the chat model; an empty text runs without one: replies are then always the shop's own words.
    pub chat: String,
    /// A file that `shoptalk train reader` wrote, in place of the reader that comes with the program: it says whether a
    /// passage answers a question.
    pub reader: Option<PathBuf>,
    /// Where the local chat model writes.
    pub device: DeviceChoice,
    /// A server that takes the place of the local chat model.
    pub remote: Option<RemoteConfig>,
}

impl ModelsConfig {
    /// Whether the settings ask for a chat model, local or remote.
    pub fn wants_chat(&self) -> bool {
        self.remote.is_some() || !self.chat.is_empty()
    }
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self {
            dir: None,
            encoder: "multilingual-e5-small".to_owned(),
            english_encoder: "all-minilm-l6-v2".to_owned(),
            chat: "qwen2.5-0.5b-instruct".to_owned(),
            reader: None,
            device: DeviceChoice::Auto,
            remote: None,
        }
    }
}

/// Where the local chat model writes. One that this build or this machine does not have leaves the work to the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The first graphics device that the program was built for, or the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The first NVIDIA device.
    Cuda,
    /// The first device of a Mac.
    Metal,
}

impl DeviceChoice {
    /// As in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }
}

/// Where passages are looked up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalConfig {
    /// gRPC address of a Qdrant server; without it vectors are scanned exactly, in memory.
    pub qdrant_url: Option<String>,
    /// Collection in Qdrant.
    pub qdrant_collection: String,
}

impl Default for RetrievalConfig {
    fn default() -> Self {
        Self { qdrant_url: None, qdrant_collection: "shoptalk".to_owned() }
    }
}

/// The merchant's own intents.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntentsConfig {
    /// Folder that `shoptalk train intents --out` wrote; without it there are only the built-in intents.
    pub custom: Option<PathBuf>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings {path}: {source}; check --config")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("{path} needs mending: {message}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Line, column and what was expected.
        message: String,
    },
    /// The key of the model server is missing.
    #[error("the environment variable {variable}, which key_env under [models.remote] names, is not set")]
    NoKey {
        /// The variable's name.
        variable: String,
    },
}

impl Config {
    /// Reads `path`, or the defaults when there is none, and takes secrets from the environment.
    pub fn load(path: Option<&std::path::Path>) -> Result<Self, ConfigError> {
        let mut config = match path {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
                toml::from_str(&text).map_err(|error| ConfigError::Invalid {
                    path: path.to_owned(),
                    message: on_one_line(&text, &error),
                })?
            }
        };
        if let Some(token) = std::env::var("TELEGRAM_BOT_TOKEN").ok().filter(|token| !token.trim().is_empty()) {
            let token = Secret::new(token.trim());
            config.telegram = Some(match config.telegram.take() {
                Some(telegram) => TelegramConfig { token, ..telegram },
                None => TelegramConfig::new(token),
            });
        }
        if let Some(telegram) = &mut config.telegram {
            telegram.api_url =
                std::env::var("TELEGRAM_API_URL").ok().filter(|url| !url.is_empty()).or(telegram.api_url.take());
        }
        Ok(config)
    }
}

/// What the parser found, on one line, with the line to mend.
fn on_one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim_end().replace('\n', ", ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

/// One text per language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct PerLanguage<T: Default> {
    /// English.
    pub en: T,
    /// Chinese.
    pub zh: T,
}

impl<T: Default> PerLanguage<T> {
    /// The text in `language`.
    pub fn get(&self, language: Language) -> &T {
        match language {
            Language::En => &self.en,
            Language::Zh => &self.zh,
        }
    }
}

/// Who the shop is: `shop.toml` beside its documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ShopProfile {
    /// The shop's name; empty when it has not said.
    pub name: String,
    /// ISO 4217 code for prices without a currency.
    pub currency: String,
    /// Contact address.
    pub email: String,
    /// Contact phone.
    pub phone: String,
    /// Web address.
    pub website: String,
    /// First words of the bot.
    pub greeting: PerLanguage<String>,
    /// Questions offered to a shopper who has not written yet.
    pub suggested_questions: PerLanguage<Vec<String>>,
    /// When people answer.
    pub support_hours: Option<SupportHours>,
}

impl ShopProfile {
    /// Reads `shop.toml`; the error names the line to mend.
    pub fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = toml::from_str(text).map_err(|error| on_one_line(text, &error))?;
        profile.support_hours.as_ref().map(OpenHours::new).transpose()?;
        Ok(profile)
    }

    /// The moment at which a day ends for the shop.
    pub fn end_of_day(&self, day: chrono::NaiveDate) -> Option<crate::message::Timestamp> {
        hours::end_of_day(day, self.zone())
    }

    /// The day that ends at a moment, for the shop.
    pub fn day_ending_at(&self, end: crate::message::Timestamp) -> chrono::NaiveDate {
        hours::day_ending_at(end, self.zone())
    }

    fn zone(&self) -> Option<&str> {
        self.support_hours.as_ref().map(|hours| hours.timezone.as_str())
    }

    /// When people answer; `None` when the shop has not said.
    pub fn open_hours(&self) -> Option<OpenHours> {
        self.support_hours.as_ref().and_then(|hours| OpenHours::new(hours).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_and_named_with_its_line() {
        let text = "data_dir = \"x\"\n[server]\nlissten = \"1\"\n";
        let error = on_one_line(text, &toml::from_str::<Config>(text).unwrap_err());
        assert_eq!(error, "line 3: unknown field `lissten`, expected `listen` or `widget_origins`");
    }

    #[test]
    fn devices_are_named_and_others_refused_with_their_line() {
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda, DeviceChoice::Metal] {
            let text = format!("[models]\ndevice = \"{}\"\n", choice.name());
            assert_eq!(toml::from_str::<Config>(&text).unwrap().models.device, choice);
        }
        let text = "[models]\ndevice = \"tpu\"\n";
        let error = on_one_line(text, &toml::from_str::<Config>(text).unwrap_err());
        assert!(error.starts_with("line 2: unknown variant `tpu`, expected one of `auto`, `cpu`"), "{error}");
    }

    #[test]
    fn a_secret_does_not_show() {
        let config: Config = toml::from_str("[telegram]\ntoken = \"123:abc\"\n").unwrap();
        assert!(!format!("{config:?}").contains("abc"));
        assert_eq!(config.telegram.unwrap().token.expose(), "123:abc");
    }
}
