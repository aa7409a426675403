//! What several parts of the tests stand on.

pub mod databases;
pub mod fake_telegram;
pub mod model_server;
pub mod process;
pub mod telegram_screen;

use std::{future::Future, path::Path, time::Duration};

/// How long something that must happen may take on a busy machine; the first start of all trains the intent head.
pub const DEADLINE: Duration = Duration::from_mins(5);

/// Waits until `check` gives something; fails with `what` when it never does.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
    let wait = async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("this never happened: {what}"))
}

/// A path as settings write it.
pub fn quoted(path: &Path) -> String {
    toml::Value::from(path.display().to_string()).to_string()
}
