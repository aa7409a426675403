//! A chat model on a server: what the shop makes of everything that a server can do to it. The servers here are scripted,
//! but for the last test, which asks a real one where `SHOPTALK_TEST_MODEL_SERVER` holds its base address, such as
//! `http://127.0.0.1:8080/v1` (and `SHOPTALK_TEST_MODEL_SERVER_KEY` its key).

use serde_json::{Value, json};
use shoptalk::{
    config::{Config, RemoteConfig, Secret},
    inference::{
        ChatMessage, GenerateRequest, Generation, Grammar, InferenceError, LanguageModel, LanguageModelSlot,
        RemoteError, Role, Sampling, Unread,
    },
    message::Language,
    prompts::Prompts,
    telemetry::ModelState,
};

use crate::support::{
    eventually,
    model_server::{End, ModelServer, Say, event},
};

const KEY: &str = "sk-SECRETsecretSECRET";

/// Settings for a server at `url`; `rest` is more lines.
fn settings(url: &str, rest: &str) -> RemoteConfig {
    let text = format!("[models.remote]\nbase_url = {url:?}\nmodel = \"test-model\"\n{rest}\n");
    toml::from_str::<Config>(&text).unwrap().models.remote.unwrap()
}

fn model_with(server: &ModelServer, rest: &str) -> LanguageModel {
    LanguageModel::remote(&settings(&server.url(), rest), Some(Secret::new(KEY))).unwrap()
}

fn model(server: &ModelServer) -> LanguageModel {
    model_with(server, "")
}

fn message(content: &str) -> ChatMessage {
    ChatMessage { role: Role::User, content: content.to_owned() }
}

fn request(stop: &[&str]) -> GenerateRequest {
    GenerateRequest {
        messages: vec![ChatMessage { role: Role::System, content: "Be brief.".to_owned() }, message("你好?")],
        tokens_max: 20,
        sampling: Sampling::GREEDY,
        stop: stop.iter().map(|&stop| stop.to_owned()).collect(),
        seed: 0,
        grammar: None,
    }
}

async fn answer(model: &LanguageModel) -> Result<String, InferenceError> {
    model.generate(request(&[]))?.text().await
}

/// Everything that comes of a generation: the words, and the error after them.
async fn all(mut generation: Generation) -> (String, Option<RemoteError>) {
    let mut words = String::new();
    while let Some(piece) = generation.next().await {
        match piece {
            Ok(piece) => words.push_str(&piece),
            Err(error) => {
                assert!(generation.next().await.is_none(), "after an error comes the end");
                return (words, Some(named(error)));
            }
        }
    }
    (words, None)
}

fn named(error: InferenceError) -> RemoteError {
    match error {
        InferenceError::Remote { error, .. } => error,
        other => panic!("not of the server: {other}"),
    }
}

fn status_of(error: InferenceError) -> u16 {
    match named(error) {
        RemoteError::Refused { status, .. } => status,
        other => panic!("no status: {other}"),
    }
}

/// The setting that says how long was waited.
fn waited_for(error: &RemoteError) -> &'static str {
    match error {
        RemoteError::TimedOut { setting, .. } => setting,
        other => panic!("no time-out: {other}"),
    }
}

#[tokio::test]
async fn words_arrive_whole_however_the_network_cuts_them() {
    let server = ModelServer::start().await;
    let text = format!(
        ": ping\n\n{}{}: keep-alive\n\n{}data: {{\"choices\":[],\"usage\":{{}}}}\r\n\r\ndata: [DONE]\n\nafter the end",
        event("30 天"),
        event("🙂").replace('\n', "\r\n"),
        event("退货")
    );
    for size in [1, 2, 3, 7, text.len()] {
        let pieces = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        server.order(Say::Stream(pieces, End::Hangs));
        assert_eq!(answer(&model(&server)).await.unwrap(), "30 天🙂退货", "cut into pieces of {size}");
    }
}

#[tokio::test]
async fn the_request_says_what_is_wanted_and_who_asks() {
    let server = ModelServer::start().await;
    let with_extra = model_with(&server, "extra_body = { chat_template_kwargs = { enable_thinking = false } }");
    server.order(Say::words(&["Hello"]));
    assert_eq!(with_extra.generate(request(&["\n\n"])).unwrap().text().await.unwrap(), "Hello");
    let asked = server.asked().remove(0);
    let expected = json!({
        "model": "test-model", "max_tokens": 20, "temperature": 0.0, "stream": true, "stop": ["\n\n"],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好?"}],
        "chat_template_kwargs": {"enable_thinking": false},
    });
    assert_eq!(asked.body, expected);
    assert_eq!(asked.authorization.as_deref(), Some(&*format!("Bearer {KEY}")));
    let without_key = LanguageModel::remote(&settings(&server.url(), ""), None).unwrap();
    answer(&without_key).await.unwrap();
    assert_eq!(server.asked()[1].authorization, None);
    assert_eq!(without_key.name(), "test-model");
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_and_the_servers_work() {
    let server = ModelServer::start().await;
    server.order(Say::stream(&[&event("Yes.\nUs"), &event("er: no"), &event("x")], End::Repeats));
    let text = model(&server).generate(request(&["\nUser:"])).unwrap().text().await;
    assert_eq!(text.unwrap(), "Yes.");
    eventually("the server notices", || std::future::ready((server.open() == 0).then_some(()))).await;
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let server = ModelServer::start().await;
    server.order(Say::json(&json!({"choices": [{"message": {"role": "assistant", "content": "All at once"}}]})));
    assert_eq!(answer(&model(&server)).await.unwrap(), "All at once");
    server.order(Say::json(&json!({"error": {"message": "no such model"}})));
    let error = named(answer(&model(&server)).await.unwrap_err());
    assert_eq!(error, RemoteError::Reported("no such model".to_owned()));
}

#[tokio::test]
async fn what_is_no_chat_completion_is_named() {
    let server = ModelServer::start().await;
    let page = Say::Status(200, vec![("content-type", "text/html".to_owned())], "<h1>Welcome</h1>".to_owned());
    for say in [page, Say::stream(&["data: <h1>\n\n"], End::Ends), Say::json(&json!({"choices": []}))] {
        server.order(say);
        let error = answer(&model(&server)).await.unwrap_err();
        assert!(error.to_string().contains("base_url"), "{error}");
        assert!(matches!(named(error), RemoteError::Malformed(_)));
    }
    assert_eq!(server.asked().len(), 3, "asking again would not help");
    server.order(Say::stream(&[&event(&"x".repeat(20 * 1000))], End::Repeats));
    let (_, error) = all(model(&server).generate(request(&[])).unwrap()).await;
    assert!(matches!(error, Some(RemoteError::Malformed(_))), "a server that ignores the limit: {error:?}");
}

#[tokio::test]
async fn a_schema_is_sent_and_what_does_not_keep_to_it_is_named() {
    let server = ModelServer::start().await;
    let schema = json!({"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]});
    let formed = GenerateRequest { grammar: Some(Grammar::JsonSchema(schema.clone())), ..request(&[]) };
    server.order(Say::words(&["{\"question\": ", "\"多少钱？\"}"]));
    let text = model(&server).generate(formed.clone()).unwrap().text().await.unwrap();
    assert_eq!(text, "{\"question\": \"多少钱？\"}");
    assert_eq!(server.asked()[0].body["response_format"]["json_schema"]["schema"], schema);
    server.order(Say::words(&["What does it cost?"]));
    let error = named(model(&server).generate(formed.clone()).unwrap().text().await.unwrap_err());
    assert_eq!(error, RemoteError::NoSchema);
    let last = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    server.order(Say::stream(&[&event("{\"question"), last], End::Ends));
    let error = model(&server).generate(formed.clone()).unwrap().text().await.unwrap_err();
    assert!(matches!(error, InferenceError::Incomplete { .. }), "{error}");
    assert_eq!(model(&server).trouble(), None);
    let pattern = GenerateRequest { grammar: Some(Grammar::Regex("a".to_owned())), ..formed };
    assert!(matches!(model(&server).generate(pattern), Err(InferenceError::Grammar(_))));
}

#[tokio::test]
async fn an_error_in_the_middle_comes_after_the_words_before_it() {
    let server = ModelServer::start().await;
    let begun = event("Half an ");
    for error in ["data: {\"error\":{\"message\":\"out of memory\"}}\n\n", "event: error\ndata: out of memory\n\n"] {
        server.order(Say::stream(&[&begun, error], End::Hangs));
        let (words, error) = all(model(&server).generate(request(&[])).unwrap()).await;
        assert_eq!((&*words, error), ("Half an ", Some(RemoteError::Reported("out of memory".to_owned()))));
    }
    for end in [End::Breaks, End::Ends] {
        server.order(Say::stream(&[&begun], end));
        let (words, error) = all(model(&server).generate(request(&[])).unwrap()).await;
        assert!(words == "Half an " && matches!(error, Some(RemoteError::BrokeOff(_))), "{words}, {error:?}");
    }
    assert_eq!(server.asked().len(), 4, "nothing is asked again once words have come");
}

#[tokio::test]
async fn an_answer_is_whole_when_the_model_has_ended_whatever_the_connection_does_then() {
    let server = ModelServer::start().await;
    let last = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    let model = model_with(&server, "next_token_timeout_s = 2");
    for end in [End::Breaks, End::Ends, End::Hangs] {
        server.order(Say::stream(&[&event("All of it"), last], end));
        assert_eq!(answer(&model).await.unwrap(), "All of it", "{end:?}");
    }
}

#[tokio::test]
async fn every_wait_has_an_end_that_names_its_setting() {
    // Signs of life are no words.
    for say in [Say::Nothing, Say::stream(&[": ping\n\n"], End::Repeats), Say::stream(&[&event("")], End::Repeats)] {
        let server = ModelServer::start().await;
        server.usually(say);
        let error = named(answer(&model_with(&server, "first_token_timeout_s = 0.5")).await.unwrap_err());
        assert_eq!(waited_for(&error), "first_token_timeout_s", "{error}");
        assert!(server.asked().len() <= 1, "who waited in vain does not ask again");
        eventually("the server notices", || std::future::ready((server.open() == 0).then_some(()))).await;
    }
    let server = ModelServer::start().await;
    server.order(Say::stream(&[&event("Half"), ": ping\n\n"], End::Repeats));
    let (words, error) = all(model_with(&server, "next_token_timeout_s = 0.2").generate(request(&[])).unwrap()).await;
    assert_eq!((&*words, waited_for(&error.unwrap())), ("Half", "next_token_timeout_s"));
    server.order(Say::stream(&[&event("a")], End::Repeats));
    let many = GenerateRequest { tokens_max: 1_000_000, ..request(&[]) };
    let (words, error) = all(model_with(&server, "timeout_s = 4").generate(many).unwrap()).await;
    assert_eq!((words.starts_with('a'), waited_for(&error.unwrap())), (true, "timeout_s"));
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_before_the_first_word() {
    let server = ModelServer::start().await;
    let busy = Say::Status(429, vec![("retry-after", "0".to_owned())], String::new());
    for faults in [
        [Say::error(503, "loading"), busy.clone()],
        [Say::error(500, "oops"), Say::stream(&[], End::Breaks)],
        [Say::stream(&[": ping\n\n"], End::Ends), Say::Status(502, vec![], "<h1>Bad gateway</h1>".to_owned())],
    ] {
        let before = server.asked().len();
        for fault in faults {
            server.order(fault);
        }
        server.order(Say::words(&["At last"]));
        assert_eq!(answer(&model(&server)).await.unwrap(), "At last");
        assert_eq!(server.asked().len() - before, 3);
    }
    server.usually(Say::error(503, "loading"));
    for (retries_max, asked) in [(0, 1), (1, 2)] {
        let before = server.asked().len();
        let error = answer(&model_with(&server, &format!("retries_max = {retries_max}"))).await.unwrap_err();
        assert!(error.to_string().contains("answered 503: loading"), "{error}");
        assert_eq!(server.asked().len() - before, asked);
    }
}

#[tokio::test]
async fn a_wrong_request_and_a_far_date_are_not_tried_again() {
    let server = ModelServer::start().await;
    for status in [400, 401, 404, 422] {
        server.order(Say::error(status, "no"));
        assert_eq!(status_of(answer(&model(&server)).await.unwrap_err()), status);
    }
    server.order(Say::Status(429, vec![("retry-after", "3600".to_owned())], String::new()));
    assert_eq!(status_of(answer(&model(&server)).await.unwrap_err()), 429);
    server.order(Say::Status(503, vec![("retry-after", "Sat, 28 Nov 2099 10:00:00 GMT".to_owned())], String::new()));
    assert_eq!(status_of(answer(&model(&server)).await.unwrap_err()), 503);
    // Where the time for the first word is up before the pause is, the last error is told, not the time-out.
    server.order(Say::Status(503, vec![("retry-after", "5".to_owned())], String::new()));
    let hurried = model_with(&server, "first_token_timeout_s = 4.5");
    assert_eq!(status_of(answer(&hurried).await.unwrap_err()), 503);
    assert_eq!(server.asked().len(), 7);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_shops_texts() {
    let (server, elsewhere) = (ModelServer::start().await, ModelServer::start().await);
    let place = format!("{}/chat/completions", elsewhere.url());
    server.order(Say::Status(307, vec![("location", place)], String::new()));
    let error = answer(&model(&server)).await.unwrap_err();
    assert!(error.to_string().contains("base_url"), "{error}");
    assert_eq!((status_of(error), elsewhere.asked().len()), (307, 0));
}

/// An address where nobody listens, taken as long as the socket is held.
fn nobody() -> (String, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (format!("http://{}/v1", socket.local_addr().unwrap()), socket)
}

#[tokio::test]
async fn a_server_that_is_away_is_named_and_remembered() {
    let (url, _socket) = nobody();
    let model = LanguageModel::remote(&settings(&url, "retries_max = 1"), None).unwrap();
    let slot = LanguageModelSlot::from(model.clone());
    assert_eq!((slot.state(), model.trouble()), (ModelState::Ready, None), "nobody has asked yet");
    let error = answer(&model).await.unwrap_err();
    assert!(error.to_string().contains(&url) && error.to_string().contains("cannot be reached"), "{error}");
    assert!(matches!(named(error), RemoteError::Unreachable(_)));
    let ModelState::Unreachable(why) = slot.state() else { panic!("{:?}", slot.state()) };
    assert!(why.contains(&url), "{why}");
    assert!(matches!(named(answer(&model).await.unwrap_err()), RemoteError::Unreachable(_)));
    let scores = model.score_next(vec![message("Hi")], vec!["Yes".to_owned()]).await;
    assert!(matches!(named(scores.unwrap_err()), RemoteError::Unreachable(_)));
}

#[tokio::test]
async fn a_look_at_the_server_tells_whether_it_is_well() {
    let server = ModelServer::start().await;
    let model = model(&server);
    // The first look asks for a token, since only that shows whether key and model are right.
    server.order(Say::error(401, "wrong key"));
    model.check().await;
    assert!(model.trouble().unwrap().contains("answered 401: wrong key"));
    assert!(model.trouble().unwrap().contains("key_env"));
    model.check().await;
    assert_eq!((model.trouble(), server.looked()), (None, 0));
    assert_eq!(server.asked()[1].body["max_tokens"], 1);
    // From then on its list of models is enough, and one that nobody may see is a sign of life as well.
    model.check().await;
    server.usually(Say::error(403, "not for you"));
    model.check().await;
    assert_eq!((model.trouble(), server.looked(), server.asked().len()), (None, 2, 2));
    server.usually(Say::error(503, "gone"));
    model.check().await;
    assert!(model.trouble().unwrap().contains("answered 503"));
    // An answer shows that it is well again; one bad request says nothing about the server.
    server.order(Say::words(&["Yes"]));
    answer(&model).await.unwrap();
    assert_eq!(model.trouble(), None);
    server.order(Say::error(400, "too long"));
    answer(&model).await.unwrap_err();
    assert_eq!(model.trouble(), None);
    let hurried = model_with(&server, "first_token_timeout_s = 0.3");
    server.usually(Say::Nothing);
    hurried.check().await;
    assert!(hurried.trouble().unwrap().contains("first_token_timeout_s"));
}

#[tokio::test]
async fn work_ends_when_its_asker_goes() {
    let server = ModelServer::start().await;
    let model = model(&server);
    let is_idle = async || {
        eventually("the server notices", || std::future::ready((server.open() == 0).then_some(()))).await;
    };
    let is_asked = async || {
        eventually("the server is asked", || std::future::ready((server.open() == 1).then_some(()))).await;
    };
    server.order(Say::Nothing);
    let waiting = model.generate(request(&[])).unwrap();
    is_asked().await;
    drop(waiting);
    is_idle().await;
    let endless = GenerateRequest { tokens_max: usize::MAX, ..request(&[]) };
    server.order(Say::stream(&[&event("a")], End::Repeats));
    let mut reading = model.generate(endless.clone()).unwrap();
    assert_eq!(reading.next().await.unwrap().unwrap(), "a");
    drop(reading);
    is_idle().await;
    // The words so far stay when only the wish for more ends, also those held back as the beginning of a stop text.
    server.order(Say::stream(&[&event("ab"), ": ping\n\n"], End::Repeats));
    let mut stopped = model.generate(GenerateRequest { stop: vec!["bc".to_owned()], ..endless }).unwrap();
    assert_eq!(stopped.next().await.unwrap().unwrap(), "a");
    stopped.stop_flag().stop();
    assert_eq!(all(stopped).await, ("b".to_owned(), None));
    is_idle().await;
}

#[tokio::test]
async fn what_is_too_much_at_once_does_without() {
    let server = ModelServer::start().await;
    let model = model_with(&server, "concurrent_max = 2");
    server.order(Say::Nothing);
    server.order(Say::Nothing);
    let (first, second) = (model.generate(request(&[])).unwrap(), model.generate(request(&[])).unwrap());
    assert!(matches!(model.generate(request(&[])), Err(InferenceError::Overloaded)));
    let scores = model.score_next(vec![message("Hi")], vec!["Yes".to_owned()]).await;
    assert!(matches!(scores, Err(InferenceError::Overloaded)));
    eventually("both are asked", || std::future::ready((server.asked().len() == 2).then_some(()))).await;
    drop(first);
    let third = eventually("a place is free", || std::future::ready(model.generate(request(&[])).ok())).await;
    assert_eq!(third.text().await.unwrap(), "Nothing was ordered.");
    // An answer's place is free once its end is seen.
    for _ in 0..20 {
        assert!(answer(&model).await.is_ok());
    }
    drop(second);
}

#[tokio::test]
async fn next_words_are_scored_where_the_server_tells_probabilities() {
    let server = ModelServer::start().await;
    let model = model(&server);
    let top =
        json!([{"token": "Yes", "logprob": -0.5}, {"token": "No", "logprob": -1.5}, {"token": "是", "logprob": -7}]);
    let answered =
        |logprobs: &Value| Say::json(&json!({"choices": [{"message": {"content": "Yes"}, "logprobs": logprobs}]}));
    server.order(Say::error(503, "loading"));
    server.order(answered(&json!({"content": [{"token": "Yes", "logprob": -0.5, "top_logprobs": top}]})));
    let candidates = ["No", "Yes, we do", "Perhaps"].map(str::to_owned).to_vec();
    let scores = model.score_next(vec![message("Open?")], candidates.clone()).await.unwrap();
    assert_eq!(scores, [-1.5, -0.5, -7.0]);
    let body = &server.asked()[1].body;
    assert_eq!((&body["max_tokens"], &body["logprobs"], &body["stream"]), (&json!(1), &json!(true), &json!(false)));
    for logprobs in [Value::Null, json!({"content": null})] {
        server.order(answered(&logprobs));
        let error = named(model.score_next(vec![message("Open?")], candidates.clone()).await.unwrap_err());
        assert_eq!(error, RemoteError::NoLogProbs);
    }
}

#[tokio::test]
async fn a_server_takes_no_second_look() {
    let server = ModelServer::start().await;
    let model = model(&server);
    let chats = vec![vec![message("Boots can be sent back.")]];
    model.read_ahead(&chats).unwrap();
    assert_eq!((model.has_probe(), model.to_read()), (false, 0));
    for unread in [Unread::Read, Unread::Later] {
        assert_eq!(model.relevance(chats.clone(), "boots?".to_owned(), unread).await.unwrap(), None);
    }
    assert_eq!((server.asked().len(), server.open()), (0, 0));
    // Estimates, for who has to know how long a text is about.
    assert_eq!(model.count_tokens("How long can I return boots? 退货").unwrap(), 10);
}

#[tokio::test]
async fn the_key_is_nowhere_but_in_the_request() {
    let server = ModelServer::start().await;
    let model = model(&server);
    let tells = format!("Incorrect key: {KEY} (sent as Bearer {KEY})");
    let in_stream = format!("data: {}\n\n", json!({"error": {"message": tells}}));
    for say in [
        Say::error(401, &tells),
        Say::Status(502, vec![], tells.clone()),
        Say::stream(&[&in_stream], End::Ends),
        Say::stream(&[&format!("data: {}\n\n", json!({"choices": tells}))], End::Ends),
    ] {
        server.order(say.clone());
        server.order(say.clone());
        server.order(say);
        let error = answer(&model).await.unwrap_err();
        for text in [error.to_string(), format!("{error:?}"), format!("{:?}", model.trouble())] {
            assert!(!text.contains("SECRET"), "{text}");
        }
    }
    server.order(Say::error(401, &tells));
    model.check().await;
    assert!(model.trouble().is_some_and(|trouble| trouble.contains("<secret>")), "{:?}", model.trouble());
    assert!(!format!("{model:?}").contains("SECRET"));
    assert!(LanguageModel::remote(&settings(&server.url(), ""), Some(Secret::new("two\nlines"))).is_err());
}

/// The real server that the environment names.
fn real_server() -> Option<LanguageModel> {
    let Ok(url) = std::env::var("SHOPTALK_TEST_MODEL_SERVER") else {
        println!("skipped: SHOPTALK_TEST_MODEL_SERVER names no server");
        return None;
    };
    let key = std::env::var("SHOPTALK_TEST_MODEL_SERVER_KEY").ok().map(Secret::new);
    Some(LanguageModel::remote(&settings(&url, "first_token_timeout_s = 60\nconcurrent_max = 2"), key).unwrap())
}

#[tokio::test]
async fn a_real_server_translates_scores_and_stops() {
    let Some(model) = real_server() else { return };
    model.check().await;
    assert_eq!(model.trouble(), None);
    model.check().await;
    assert_eq!(model.trouble(), None, "its list of models");
    let prompts = Prompts::load(None).unwrap();
    let chinese = "可以，支付宝和微信支付都支持，单笔最高800英镑。";
    let translation = prompts.translation(chinese, Language::Zh, Language::En);
    let english = model.generate(translation.clone()).unwrap().text().await.unwrap();
    assert!(english.contains("800") && !english.contains("\n\n"), "{english}");
    let chinese = prompts.translation("Boots can be returned within 30 days.", Language::En, Language::Zh);
    let (whole, mut pieces) = (model.generate(chinese.clone()).unwrap().text().await.unwrap(), 0);
    assert!(whole.contains("30") && !whole.is_ascii(), "{whole}");
    let mut generation = model.generate(chinese).unwrap();
    while let Some(piece) = generation.next().await {
        assert!(!piece.unwrap().contains('\u{FFFD}'), "half a character");
        pieces += 1;
    }
    assert!(pieces > 1, "it streams");
    // Who goes leaves the place to others at once.
    for _ in 0..6 {
        let long = GenerateRequest { messages: vec![message("Count to 900.")], tokens_max: 1_000, ..request(&[]) };
        let mut left = eventually("a place is free", || std::future::ready(model.generate(long.clone()).ok())).await;
        left.next().await.unwrap().unwrap();
    }
    let question = "Is Paris a city in France? Answer Yes or No.";
    let scores = model.score_next(vec![message(question)], vec!["Yes".to_owned(), "No".to_owned()]).await.unwrap();
    assert!(scores[0] > scores[1] && scores[0] <= 0.0, "{scores:?}");
    let far_too_long = GenerateRequest { messages: vec![message(&"boots ".repeat(200_000))], ..request(&[]) };
    let error = model.generate(far_too_long).unwrap().text().await.unwrap_err();
    assert!(matches!(error, InferenceError::Remote { .. }), "{error}");
    assert_eq!(model.trouble(), None, "{error}");
    println!("{english} / {whole} / {scores:?} / {error}");
}
