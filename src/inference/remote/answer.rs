//! An answer as the server sends it: piece by piece, or at once from a server that does not stream.

use std::collections::VecDeque;

use reqwest::{Response, header::CONTENT_TYPE};

use super::{
    RemoteError,
    sse::{Event, Parser},
    wire,
};

/// A whole answer, or what a server says about an error, is not longer.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Dropping it before its end closes the connection, which ends the server's work.
#[derive(Debug)]
pub(super) struct Answer {
    response: Option<Response>,
    parser: Parser,
    events: VecDeque<Event>,
    /// The words of a server that does not stream.
    whole: Option<String>,
    is_complete: bool,
    is_cut: bool,
}

impl Answer {
    /// The answer that `response`, a success, begins.
    pub(super) async fn of(response: Response) -> Result<Self, RemoteError> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let answer = Self {
            response: None,
            parser: Parser::default(),
            events: VecDeque::new(),
            whole: None,
            is_complete: false,
            is_cut: false,
        };
        match kind.as_str() {
            "text/event-stream" | "" => Ok(Self { response: Some(response), ..answer }),
            "application/json" => {
                let whole = wire::whole(&read(response).await?)?;
                Ok(Self { whole: Some(whole.text), is_complete: true, is_cut: whole.is_cut, ..answer })
            }
            _ => Err(RemoteError::Malformed(format!("content of the type {kind}"))),
        }
    }

    /// The next words, or `None` at the end.
    pub(super) async fn next_text(&mut self) -> Result<Option<String>, RemoteError> {
        if let Some(whole) = self.whole.take().filter(|whole| !whole.is_empty()) {
            return Ok(Some(whole));
        }
        loop {
            while let Some(event) = self.events.pop_front() {
                let piece = wire::piece(&event)?;
                self.is_complete |= piece.is_last || piece.is_done;
                self.is_cut |= piece.is_cut;
                if piece.is_done {
                    self.response = None;
                    self.events.clear();
                }
                if !piece.text.is_empty() {
                    return Ok(Some(piece.text));
                }
            }
            let Some(response) = &mut self.response else { return Ok(None) };
            match response.chunk().await {
                Ok(Some(bytes)) => self.events.extend(self.parser.push(&bytes)?),
                Ok(None) => {
                    self.response = None;
                    self.events.extend(self.parser.finish());
                    if self.events.is_empty() && !self.is_complete {
                        return Err(RemoteError::BrokeOff("the answer has no end".to_owned()));
                    }
                }
                // Nothing is missing when the connection breaks between the last words and their end.
                Err(_) if self.is_complete => self.response = None,
                Err(error) => return Err(RemoteError::of_reading(&error)),
            }
        }
    }

    /// Whether it reached the limit of tokens, as far as the server tells.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether the model has come to its end, though the server may still hold the connection open.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }
}

/// The body as text.
pub(super) async fn read(mut response: Response) -> Result<String, RemoteError> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|error| RemoteError::of_reading(&error))? {
        body.extend_from_slice(&bytes);
        if body.len() > BODY_BYTES_MAX {
            return Err(RemoteError::Malformed("more than a megabyte".to_owned()));
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
