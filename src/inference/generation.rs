//! `Generation`: a model's answer as it is written. Dropping it or raising its stop flag ends the work between two
//! tokens.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::InferenceError;

/// Lets another task end a generation; the text written so far stays.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(CancellationToken);

impl StopFlag {
    /// Ends the generation before its next token.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether `stop` was called.
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// An answer in the making: whole characters, in order, ending before any stop text.
#[derive(Debug)]
pub struct Generation {
    pieces: mpsc::UnboundedReceiver<Result<String, InferenceError>>,
    stop: StopFlag,
}

/// The writing end of a `Generation`.
#[derive(Debug)]
pub(crate) struct GenerationWriter {
    pieces: mpsc::UnboundedSender<Result<String, InferenceError>>,
    stop: StopFlag,
}

impl Generation {
    /// A generation and the end that writes into it. The buffer holds at most `tokens_max` pieces, so it needs no
    /// bound of its own.
    pub(crate) fn channel() -> (GenerationWriter, Self) {
        let (sender, pieces) = mpsc::unbounded_channel();
        let stop = StopFlag::default();
        (GenerationWriter { pieces: sender, stop: stop.clone() }, Self { pieces, stop })
    }

    /// The next piece of text, or `None` at the end. After an error comes the end.
    pub async fn next(&mut self) -> Option<Result<String, InferenceError>> {
        self.pieces.recv().await
    }

    /// Waits for the whole answer.
    pub async fn text(mut self) -> Result<String, InferenceError> {
        let mut text = String::new();
        while let Some(piece) = self.next().await {
            text.push_str(&piece?);
        }
        Ok(text)
    }

    /// A handle that ends this generation from elsewhere.
    pub fn stop_flag(&self) -> StopFlag {
        self.stop.clone()
    }
}

impl GenerationWriter {
    /// Sends a piece; false when nobody listens any more.
    pub(crate) fn write(&self, piece: String) -> bool {
        piece.is_empty() || self.pieces.send(Ok(piece)).is_ok()
    }

    /// Ends the answer with an error.
    pub(crate) fn fail(self, error: InferenceError) {
        // Nobody may be listening any more; then there is nobody to tell.
        let _ = self.pieces.send(Err(error));
    }

    /// Whether the asker has gone or wants no more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.pieces.is_closed() || self.stop.is_stopped()
    }

    /// Waits until `is_cancelled`.
    pub(crate) async fn cancelled(&self) {
        tokio::select! {
            () = self.pieces.closed() => {}
            () = self.stop.0.cancelled() => {}
        }
    }
}
