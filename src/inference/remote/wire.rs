//! The chat completions API as far as it is used here: what is sent, and what is read of an answer. Servers add fields of
//! their own and leave others out, so that only what is needed is asked for.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{RemoteError, sse::Event};
use crate::inference::{ChatMessage, GenerateRequest, Grammar};

/// Stop texts that the API takes; `TextStream` finds the others.
const STOPS_MAX: usize = 4;
/// Next tokens whose probability the API tells at most.
const TOP_LOGPROBS: usize = 20;
const DONE: &str = "[DONE]";

/// The body of a request for an answer piece by piece.
pub(super) fn streamed(model: &str, request: &GenerateRequest, extra: &Map<String, Value>) -> Value {
    let mut body = body(model, &request.messages, request.tokens_max, extra);
    body.insert("stream".to_owned(), json!(true));
    body.insert("temperature".to_owned(), json!(request.sampling.temperature));
    if request.sampling.temperature > 0.0 {
        body.insert("top_p".to_owned(), json!(request.sampling.top_p));
        // Some servers read the seed as a signed number.
        body.insert("seed".to_owned(), json!(request.seed >> 1));
    }
    let stops: Vec<&String> = request.stop.iter().filter(|stop| !stop.is_empty()).take(STOPS_MAX).collect();
    if !stops.is_empty() {
        body.insert("stop".to_owned(), json!(stops));
    }
    if let Some(Grammar::JsonSchema(schema)) = &request.grammar {
        let named = json!({"name": "answer", "strict": true, "schema": schema});
        body.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": named}));
    }
    body.into()
}

/// The body of a request for the probabilities of the next token.
pub(super) fn scored(model: &str, messages: &[ChatMessage], extra: &Map<String, Value>) -> Value {
    let mut body = body(model, messages, 1, extra);
    body.insert("stream".to_owned(), json!(false));
    body.insert("temperature".to_owned(), json!(0));
    body.insert("logprobs".to_owned(), json!(true));
    body.insert("top_logprobs".to_owned(), json!(TOP_LOGPROBS));
    body.into()
}

fn body(model: &str, messages: &[ChatMessage], tokens_max: usize, extra: &Map<String, Value>) -> Map<String, Value> {
    let mut body = extra.clone();
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), json!(messages));
    body.insert("max_tokens".to_owned(), json!(tokens_max));
    body
}

/// A chunk of a stream, or a whole answer.
#[derive(Debug, Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    delta: Option<Words>,
    message: Option<Words>,
    finish_reason: Option<String>,
    logprobs: Option<LogProbs>,
}

impl Choice {
    fn is_cut(&self) -> bool {
        self.finish_reason.as_deref() == Some("length")
    }
}

#[derive(Debug, Deserialize)]
struct Words {
    content: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LogProbs {
    content: Option<Vec<TokenLogProbs>>,
}

#[derive(Debug, Deserialize)]
struct TokenLogProbs {
    #[serde(default)]
    top_logprobs: Vec<TokenLogProb>,
}

/// A token that may come next.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct TokenLogProb {
    /// Its text.
    pub(super) token: String,
    /// Natural logarithm of its probability.
    pub(super) logprob: f32,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Piece {
    /// Words of the answer; empty in events about other things.
    pub(super) text: String,
    /// The model has come to its end.
    pub(super) is_last: bool,
    /// This end was the limit of tokens.
    pub(super) is_cut: bool,
    /// Nothing more comes.
    pub(super) is_done: bool,
}

/// Reads an event of a stream.
pub(super) fn piece(event: &Event) -> Result<Piece, RemoteError> {
    let data = event.data.trim();
    if data == DONE {
        return Ok(Piece { is_done: true, ..Piece::default() });
    }
    if event.is_error {
        return Err(RemoteError::Reported(reason(data)));
    }
    if data.is_empty() {
        return Ok(Piece::default());
    }
    let completion = completion(data)?;
    let first = completion.choices.into_iter().find(|choice| choice.index == 0);
    Ok(first.map_or_else(Piece::default, |choice| Piece {
        is_cut: choice.is_cut(),
        is_last: choice.finish_reason.is_some(),
        text: choice.delta.and_then(|words| words.content).unwrap_or_default(),
        is_done: false,
    }))
}

/// A whole answer as one piece, from a server that does not stream.
pub(super) fn whole(body: &str) -> Result<Piece, RemoteError> {
    let first = completion(body)?.choices.into_iter().next();
    let is_cut = first.as_ref().is_some_and(Choice::is_cut);
    let words = first.and_then(|choice| choice.message).and_then(|words| words.content);
    let text = words.ok_or_else(|| RemoteError::Malformed("an answer without words".to_owned()))?;
    Ok(Piece { text, is_last: true, is_cut, is_done: true })
}

/// The tokens that may come next, in the order in which the server gives them; never empty.
pub(super) fn next_tokens(body: &str) -> Result<Vec<TokenLogProb>, RemoteError> {
    let first = completion(body)?.choices.into_iter().next();
    let tokens = first.and_then(|choice| choice.logprobs).and_then(|logprobs| logprobs.content);
    let next = tokens.and_then(|tokens| tokens.into_iter().next()).map(|token| token.top_logprobs);
    next.filter(|tokens| !tokens.is_empty()).ok_or(RemoteError::NoLogProbs)
}

fn completion(data: &str) -> Result<Completion, RemoteError> {
    let value: Value = serde_json::from_str(data).map_err(|error| RemoteError::Malformed(error.to_string()))?;
    if value["object"] == "error" {
        return Err(RemoteError::Reported(reason(data)));
    }
    let completion: Completion =
        serde_json::from_value(value).map_err(|error| RemoteError::Malformed(error.to_string()))?;
    match completion.error {
        Some(error) if !error.is_null() => Err(RemoteError::Reported(reason(data))),
        _ => Ok(completion),
    }
}

/// The message of an error, in any of the ways in which servers write it; else the text itself.
pub(super) fn reason(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let places = [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]];
    let message = places.into_iter().find_map(Value::as_str);
    message.unwrap_or(body).to_owned()
}

/// For each candidate the log-probability of the token that it begins with: of the tokens that are a beginning of it, the
/// longest, since tokenizers take the longest one mostly. A candidate with none among the tokens told is less probable than
/// all of them and gets the least of their values.
pub(super) fn scores(tokens: &[TokenLogProb], candidates: &[String]) -> Vec<f32> {
    let least = tokens.iter().map(|token| token.logprob).fold(0.0, f32::min);
    let begins = |candidate: &str, token: &str| !token.is_empty() && candidate.starts_with(token);
    candidates
        .iter()
        .map(|candidate| {
            let beginnings = tokens.iter().filter(|token| begins(candidate, &token.token));
            beginnings.max_by_key(|token| token.token.len()).map_or(least, |token| token.logprob)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{Role, Sampling};

    fn read(data: &str) -> Result<Piece, RemoteError> {
        piece(&Event { data: data.to_owned(), is_error: false })
    }

    #[test]
    fn a_request_carries_what_is_asked_for_and_own_fields_win() {
        let request = GenerateRequest {
            messages: vec![ChatMessage { role: Role::User, content: "Hi".to_owned() }],
            tokens_max: 9,
            sampling: Sampling::GREEDY,
            stop: ["", "a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
            seed: u64::MAX,
            grammar: None,
        };
        let extra = json!({"chat_template_kwargs": {"enable_thinking": false}, "stream": false});
        let body = streamed("m", &request, extra.as_object().unwrap());
        let expected = json!({
            "model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "temperature": 0.0,
            "stop": ["a", "b", "c", "d"], "stream": true, "chat_template_kwargs": {"enable_thinking": false},
        });
        assert_eq!(body, expected);
        let schema = json!({"type": "integer"});
        let formed = GenerateRequest { grammar: Some(Grammar::JsonSchema(schema.clone())), ..request.clone() };
        let format = &streamed("m", &formed, &Map::new())["response_format"];
        assert_eq!((&format["type"], &format["json_schema"]["schema"]), (&json!("json_schema"), &schema));
        let warm =
            streamed("m", &GenerateRequest { sampling: Sampling::at(0.5), stop: vec![], ..request }, &Map::new());
        assert_eq!((&warm["seed"], warm.get("stop")), (&json!(i64::MAX), None));
    }

    #[test]
    fn events_of_every_kind_are_read() {
        let text = |text: &str| Ok(Piece { text: text.to_owned(), ..Piece::default() });
        assert_eq!(read(r#"{"choices":[{"delta":{"content":"退"},"finish_reason":null}]}"#), text("退"));
        assert_eq!(read(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#), text(""));
        assert_eq!(read(r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#), text(""));
        assert_eq!(read(r#"{"choices":[{"index":1,"delta":{"content":"other"}}]}"#), text(""));
        assert_eq!(read(r#"{"choices":[],"usage":{"total_tokens":3},"error":null}"#), text(""));
        assert!(read(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#).unwrap().is_last);
        let cut = read(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#).unwrap();
        assert!(cut.is_cut && cut.is_last);
        assert!(read(" [DONE] ").unwrap().is_done);
        for (data, message) in [
            (r#"{"error":{"message":"out of memory","code":500}}"#, "out of memory"),
            (r#"{"error":"out of memory"}"#, "out of memory"),
            (r#"{"object":"error","message":"out of memory"}"#, "out of memory"),
        ] {
            assert_eq!(read(data), Err(RemoteError::Reported(message.to_owned())));
        }
        let named = Event { data: r#"{"message":"gone"}"#.to_owned(), is_error: true };
        assert_eq!(piece(&named), Err(RemoteError::Reported("gone".to_owned())));
        assert!(matches!(read("<html>"), Err(RemoteError::Malformed(_))));
        assert!(matches!(read(r#"{"choices":"none"}"#), Err(RemoteError::Malformed(_))));
    }

    #[test]
    fn a_candidate_is_scored_by_its_longest_beginning() {
        let body = r#"{"choices":[{"message":{"content":"Yes"},"logprobs":{"content":[{"token":"Yes","logprob":-0.1,
            "top_logprobs":[{"token":"Y","logprob":-4},{"token":"Yes","logprob":-0.1},{"token":"","logprob":-3},
            {"token":"是","logprob":-6}]}]}}]}"#;
        let tokens = next_tokens(body).unwrap();
        let candidates = ["Yes", "Yellow", "是的", "No"].map(str::to_owned);
        assert_eq!(scores(&tokens, &candidates), [-0.1, -4.0, -6.0, -6.0]);
        let without = ["null", r#"{"content":null}"#, r#"{"content":[]}"#, r#"{"content":[{"top_logprobs":[]}]}"#];
        for logprobs in without {
            let body = format!(r#"{{"choices":[{{"message":{{"content":"Yes"}},"logprobs":{logprobs}}}]}}"#);
            assert_eq!(next_tokens(&body), Err(RemoteError::NoLogProbs));
        }
    }
}
