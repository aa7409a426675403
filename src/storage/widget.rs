//! What a merchant has set about the widget.

use super::{Result, Store, from_json, to_json};
use crate::config::WidgetSettings;

const WIDGET_SETTINGS: &str = "widget_settings";

impl Store {
    /// How the widget looks and what it says first: what a merchant has saved, otherwise what the shop says of itself.
    pub async fn widget_settings(&self) -> Result<WidgetSettings> {
        match self.setting(WIDGET_SETTINGS).await?.filter(|json| !json.is_empty()) {
            Some(json) => from_json("setting of the widget", &json),
            None => Ok(WidgetSettings::of(&self.shop_profile().await?)),
        }
    }

    /// Keeps what a merchant has set; `None`: what the shop says of itself counts again.
    pub async fn set_widget_settings(&self, settings: Option<&WidgetSettings>) -> Result<()> {
        let json = settings.map(to_json).transpose()?.unwrap_or_default();
        self.set_setting(WIDGET_SETTINGS, &json).await
    }
}
