//! What poller and webhook have in common: a delivery of updates becomes durable in one step, in the order in which the
//! updates were made. One that cannot be read is kept as it came, for staff to see, and holds up nobody.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    Me,
    parse::{self, Press, Update},
    people::People,
    press::Presses,
    sleep_unless_stopped,
};
use crate::{
    dispatch::Dispatcher,
    message::{Channel, Inbound},
    storage::{StorageError, Store, UnreadUpdate},
};

/// How soon an update that staff want to be read again is.
const READ_AGAIN_EVERY: Duration = Duration::from_secs(2);

/// Takes in the updates of one bot.
pub(super) struct Intake {
    me: Me,
    store: Store,
    dispatcher: Dispatcher,
    presses: Presses,
    people: Arc<People>,
}

/// A delivery, read.
#[derive(Default)]
struct Read {
    inbounds: Vec<Inbound>,
    unread: Vec<UnreadUpdate>,
    /// Buttons that were pressed.
    pressed: Vec<Press>,
}

impl Intake {
    pub(super) fn new(me: Me, store: Store, dispatcher: Dispatcher, presses: Presses, people: Arc<People>) -> Self {
        Self { me, store, dispatcher, presses, people }
    }

    /// Makes a delivery durable; only then may it be acknowledged. An error may pass: nothing of it is kept then.
    pub(super) async fn take(&self, mut updates: Vec<Value>) -> Result<(), StorageError> {
        updates.sort_by_key(parse::update_id);
        let updates = self.of_shoppers(updates).await?;
        let mut read = Read::default();
        for update in &updates {
            self.read(update, &mut read);
        }
        match self.dispatcher.accept_all(&read.inbounds, &read.unread).await {
            Ok(_) => {}
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => {
                tracing::error!(%error, "a delivery cannot be kept as a whole; its updates are kept one by one");
                self.take_one_by_one(&updates).await?;
            }
        }
        for press in &read.pressed {
            self.presses.keep(press).await?;
        }
        read.pressed.into_iter().for_each(|press| self.presses.act(Box::new(press)));
        Ok(())
    }

    /// The updates that are left when those of staff and merchants have had their effect.
    async fn of_shoppers(&self, updates: Vec<Value>) -> Result<Vec<Value>, StorageError> {
        let mut left = Vec::with_capacity(updates.len());
        for update in updates {
            let is_theirs = match parse::update_id(&update) {
                Some(id) => self.people.take_in(&update, id).await?,
                None => false,
            };
            if !is_theirs {
                left.push(update);
            }
        }
        Ok(left)
    }

    /// For a delivery with an update that the database refuses: that one is kept as it came.
    async fn take_one_by_one(&self, updates: &[Value]) -> Result<(), StorageError> {
        for update in updates {
            let mut read = Read::default();
            self.read(update, &mut read);
            match self.dispatcher.accept_all(&read.inbounds, &read.unread).await {
                Ok(_) => {}
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    let unread = self.unread(update, &error.to_string());
                    self.dispatcher.accept_all(&[], &[unread]).await?;
                }
            }
        }
        Ok(())
    }

    fn read(&self, update: &Value, read: &mut Read) {
        let Some(id) = parse::update_id(update) else {
            tracing::warn!("an update without a number is set aside");
            return read.unread.push(self.unread(update, "it has no number"));
        };
        match parse::parse(update, id, &self.me, Utc::now()) {
            Update::Ignored(why) => tracing::debug!(update_id = id, why, "an update is ignored"),
            Update::Unreadable(why) => {
                // The reason may quote the shopper: it is for staff, not for the log.
                tracing::warn!(update_id = id, "an update cannot be read and is set aside");
                read.unread.push(self.unread(update, &why));
            }
            Update::Message(inbound) => read.inbounds.push(inbound),
            Update::Press(press) => {
                read.inbounds.extend(press.says.clone());
                read.pressed.push(*press);
            }
        }
    }

    fn unread(&self, update: &Value, error: &str) -> UnreadUpdate {
        let raw = update.to_string();
        let key = parse::update_id(update).map_or_else(|| hex::encode(Sha256::digest(&raw)), |id| id.to_string());
        UnreadUpdate {
            channel: Channel::Telegram,
            source: self.me.id.to_string(),
            key,
            raw,
            error: error.to_owned(),
            received_at: Utc::now(),
        }
    }

    /// Reads again what staff want to be read again, until `stop`: a newer version may be able to.
    pub(super) async fn read_again(&self, stop: &CancellationToken) {
        while sleep_unless_stopped(READ_AGAIN_EVERY, stop).await {
            if let Err(error) = self.read_all_again().await {
                tracing::error!(%error, "updates that are set aside cannot be read again");
            }
        }
    }

    async fn read_all_again(&self) -> Result<(), StorageError> {
        for (row, raw) in self.store.unread_to_read(Channel::Telegram, &self.me.id.to_string()).await? {
            let mut read = Read::default();
            // It was kept as JSON.
            let update = serde_json::from_str(&raw).unwrap_or_default();
            self.read(&update, &mut read);
            match read.unread.pop() {
                Some(unread) => self.store.unread_failed(row, &unread.error).await?,
                None => {
                    self.dispatcher.accept_all(&read.inbounds, &[]).await?;
                    self.store.unread_was_read(row).await?;
                }
            }
        }
        Ok(())
    }
}
