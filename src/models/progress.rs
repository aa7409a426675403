//! What a person sees while a model is fetched: a bar on a terminal, one line a file elsewhere.

use std::{
    io::{IsTerminal, stderr},
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// Receives each line for people; the default prints it to stderr.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(&str) + Send + Sync>);

impl std::fmt::Debug for Notices {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Notices")
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self(Arc::new(|line| eprintln!("{line}")))
    }
}

impl Notices {
    /// Sends every line to `receive`.
    pub fn new(receive: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    pub(crate) fn say(&self, line: &str) {
        (self.0)(line);
    }

    /// Announces a file and returns its bar, which is invisible where stderr is no terminal.
    pub(crate) fn file(&self, file: &str, origin: &str, bytes: u64) -> ProgressBar {
        if !stderr().is_terminal() {
            self.say(&format!("fetching {file} ({}) from {origin}", megabytes(bytes)));
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(bytes).with_message(file.to_owned());
        // The template is a constant; a wrong one would only lose the layout.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar
    }
}

/// A size for people.
pub fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", bytes.div_ceil(1_000_000)),
    }
}
