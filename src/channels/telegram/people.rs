//! Those who are no shoppers: staff in their group, and merchants who send documents. What is theirs is taken in here
//! before it is read as a shopper's.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    api::Api,
    merchant::{ImportFn, Merchants},
    staff::StaffGroup,
};
use crate::{
    config::TelegramConfig,
    desk::Desk,
    live::LiveHub,
    storage::{StorageError, Store},
};

/// Staff and merchants of one bot, as far as the settings name any.
pub(super) struct People {
    staff: Option<StaffGroup>,
    merchants: Option<Merchants>,
}

impl People {
    pub(super) fn new(
        config: &TelegramConfig,
        api: &Arc<Api>,
        bot_id: i64,
        store: &Store,
        desk: Desk,
        live: &LiveHub,
        import: ImportFn,
    ) -> Self {
        let staff = config
            .staff_group
            .map(|group| StaffGroup::new(Arc::clone(api), bot_id, group, store.clone(), desk, live.clone()));
        let ids = config.merchants.clone();
        let merchants = (!ids.is_empty()).then(|| Merchants::new(Arc::clone(api), bot_id, ids, store.clone(), import));
        Self { staff, merchants }
    }

    /// Takes in an update of theirs: its effect is durable then, and the update may be acknowledged. `false`: it is a
    /// shopper's, or nobody's.
    pub(super) async fn take_in(&self, update: &Value, update_id: i64) -> Result<bool, StorageError> {
        if let Some(staff) = &self.staff
            && staff.take_in(update, update_id).await?
        {
            return Ok(true);
        }
        match &self.merchants {
            Some(merchants) => merchants.take_in(update, update_id).await,
            None => Ok(false),
        }
    }

    /// Tells them what they have to know, until `stop`.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let staff = async {
            if let Some(staff) = &self.staff {
                staff.run(stop).await;
            }
        };
        let merchants = async {
            if let Some(merchants) = &self.merchants {
                merchants.run(stop).await;
            }
        };
        tokio::join!(staff, merchants);
    }
}
