//! Server-sent events as they arrive: bytes in, whole events out, wherever the network cuts them
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use super::RemoteError;

/// A server that sends more without an end to the event is not worth the memory.
const EVENT_BYTES_MAX: usize = 1 << 20;
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Event {
    /// Its lines of data, with line breaks between them.
    pub(super) data: String,
    /// The server says that it is an error.
    pub(super) is_error: bool,
}

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The line in the making: bytes, because a character may be cut in two.
    line: Vec<u8>,
    /// The last line ended with `\r`, so that a `\n` behind it ends no other one.
    after_return: bool,
    is_begun: bool,
    event: Option<Event>,
}

impl Parser {
    /// The events that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, RemoteError> {
        let mut events = Vec::new();
        for &byte in bytes {
            let ends_pair = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                b'\n' if ends_pair => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line());
                }
                _ => self.line.push(byte),
            }
        }
        if self.line.len() + self.event.as_ref().map_or(0, |event| event.data.len()) > EVENT_BYTES_MAX {
            return Err(RemoteError::Malformed("an event of more than a megabyte".to_owned()));
        }
        Ok(events)
    }

    /// What is left when the stream has ended: some servers leave out the last line break.
    pub(super) fn finish(&mut self) -> Option<Event> {
        // Two line breaks at most: one ends the line, one the event.
        self.end_line().or_else(|| self.end_line())
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = if self.is_begun { &line } else { line.trim_start_matches(BYTE_ORDER_MARK) };
        self.is_begun = true;
        if line.is_empty() {
            return self.event.take();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.add(value, false),
            // llama.cpp wrote errors in a field of their own for some years.
            "error" => self.add(value, true),
            "event" if value == "error" => self.event.get_or_insert_default().is_error = true,
            // A comment that keeps the connection open, and fields that say nothing here.
            _ => {}
        }
        None
    }

    fn add(&mut self, value: &str, is_error: bool) {
        let event = self.event.get_or_insert_default();
        if !event.data.is_empty() {
            event.data.push('\n');
        }
        event.data.push_str(value);
        event.is_error |= is_error;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = "\u{FEFF}: hello\r\n\r\ndata: {\"a\":\"退货 🙂\"}\n\n:keep-alive\n\nid: 7\nevent: message\ndata:one\r\
                          data: two\r\r: bye\ndata\n\nevent: error\ndata: no\n\nerror: {}\n\nretry: 5\n\ndata: [DONE]\n\n";

    fn event(data: &str, is_error: bool) -> Event {
        Event { data: data.to_owned(), is_error }
    }

    fn expected() -> Vec<Event> {
        vec![
            event("{\"a\":\"退货 🙂\"}", false),
            event("one\ntwo", false),
            event("", false),
            event("no", true),
            event("{}", true),
            event("[DONE]", false),
        ]
    }

    #[test]
    fn comments_and_other_fields_make_no_events() {
        assert_eq!(Parser::default().push(STREAM.as_bytes()).unwrap(), expected());
    }

    #[test]
    fn a_missing_last_line_break_loses_nothing() {
        for end in ["", "\n", "\r"] {
            let mut parser = Parser::default();
            assert_eq!(parser.push(format!("data: [DONE]{end}").as_bytes()).unwrap(), []);
            assert_eq!(parser.finish(), Some(event("[DONE]", false)));
            assert_eq!(parser.finish(), None);
        }
    }

    #[test]
    fn an_event_without_an_end_is_given_up() {
        let piece = vec![b'x'; 1 << 16];
        let mut parser = Parser::default();
        let pushed = (0..20).try_for_each(|_| parser.push(&piece).map(|_| ()));
        assert!(matches!(pushed, Err(RemoteError::Malformed(_))));
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "x".repeat(1 << 16));
        assert!((0..20).any(|_| parser.push(line.as_bytes()).is_err()), "lines of data without an end");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(cuts in prop::collection::vec(0..STREAM.len(), 0..40)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut parser = Parser::default();
            let events = cuts.windows(2).flat_map(|cut| parser.push(&STREAM.as_bytes()[cut[0]..cut[1]]).unwrap());
            prop_assert_eq!(events.collect::<Vec<_>>(), expected());
        }
    }
}
