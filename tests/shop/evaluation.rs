//! `shoptalk eval` and `shoptalk train` as a merchant runs them, on small made-up data with the hashed encoder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use shoptalk::models::ModelStore;

/// A folder with a settings file that needs no models.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = Self { dir };
        bench.file("shoptalk.toml", "[models]\nencoder = \"hashed\"\nchat = \"\"\n");
        bench
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shoptalk"));
        command.args(&arguments[..2]).args(["--config", &self.path("shoptalk.toml")]).args(&arguments[2..]);
        command.env("SHOPTALK_MODELS", self.dir.path().join("models")).env_remove("RUST_LOG");
        command.current_dir(self.dir.path()).output().unwrap()
    }

    /// The JSON object that a command prints.
    fn figures(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The one line that a command says when it refuses.
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} was accepted");
        let error = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = error.lines().filter(|line| line.starts_with("shoptalk: ")).collect();
        assert_eq!(lines.len(), 1, "{error}");
        lines[0].to_owned()
    }
}

/// Messages of three intents that no shop has by default, so that none of the shipped ones is like them.
fn dances(bench: &Bench) -> PathBuf {
    let mut text = "sentence,intent\n".to_owned();
    for (intent, word) in [("WALTZ", "waltz"), ("TANGO", "tango"), ("POLKA", "polka")] {
        for place in ["hall", "garden", "cellar", "tower", "bridge", "harbour", "castle", "meadow"] {
            text.push_str(&format!("teach me the {word} near the {place},{intent}\n"));
        }
    }
    bench.file("train.csv", &text)
}

#[test]
fn intents_are_learned_and_the_unknown_is_told_apart() {
    let bench = Bench::new();
    dances(&bench);
    let test = "sentence,intent\nthe waltz please,WALTZ\nshow me a tango,TANGO\npolka lessons near the tower,POLKA\n\
                what is the weather like in paris,NONE\nhello,NONE\n";
    bench.file("test.csv", test);
    let arguments = ["eval", "intents", "--train", "train.csv", "--test", "test.csv", "--out-of-scope", "NONE"];
    let figures = bench.figures(&arguments);
    assert_eq!(figures["suite"], "intents");
    assert_eq!(figures["in_scope_rows"], 3);
    assert_eq!(figures["out_of_scope_rows"], 2);
    assert_eq!(figures["nearest_accuracy"], 1.0);
    assert_eq!(figures["out_of_scope_recall"], 1.0);
    assert!(figures["mcc"].as_f64().unwrap() > 0.6, "{figures}");
    let again = bench.figures(&arguments);
    for name in ["accuracy", "mcc", "threshold", "weakest"] {
        assert_eq!(figures[name], again[name], "not the same twice: {name}");
    }
    let cross_validated = bench.figures(&["eval", "intents", "--train", "train.csv"]);
    assert_eq!(cross_validated["judged"], "cross-validation");
    assert_eq!(cross_validated["accuracy"], 1.0);
}

#[test]
fn a_trained_head_is_switched_on_by_the_settings() {
    let bench = Bench::new();
    dances(&bench);
    let figures = bench.figures(&["train", "intents", "--data", "train.csv", "--out", "dances"]);
    assert_eq!(figures["intents"], 3);
    assert_eq!(figures["accuracy"], 1.0);
    let settings = "[models]\nencoder = \"hashed\"\nchat = \"\"\n[intents]\ncustom = \"dances\"\n";
    bench.file("shoptalk.toml", settings);
    let output = bench.run(&["ask", "--explain", "teach me the tango near the hall"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("merchant_intent") && told.contains("TANGO"), "{told}");
    bench.file("shoptalk.toml", &settings.replace("\"dances\"", "\"nowhere\""));
    let refusal = bench.refusal(&["ask", "--explain", "hello"]);
    assert!(refusal.contains("nowhere") && refusal.contains("shoptalk train intents"), "{refusal}");
}

#[test]
fn documents_are_found() {
    let bench = Bench::new();
    bench.file(
        "documents.jsonl",
        "{\"id\":\"a\",\"title\":\"Red boots\",\"description\":\"warm\"}\n{\"id\":\"b\",\"title\":\"Blue hat\"}\n\
         {\"id\":\"c\",\"title\":\"Green lamp\",\"description\":\"for reading\"}\n",
    );
    bench.file("test.csv", "query,docid,rating\nred boots,a,3\nred boots,b,0\nreading lamp,c,2\n");
    let arguments = ["eval", "retrieval", "--documents", "documents.jsonl", "--test", "test.csv"];
    let figures = bench.figures(&arguments);
    assert_eq!(figures["ndcg_at_10"], 1.0);
    assert_eq!(figures["ndcg_at_10_judged"], 1.0);
    assert_eq!(figures["recall_at_50"], 1.0);
    assert_eq!(figures["documents"], 3);
}

#[test]
fn pairs_and_moods_are_judged() {
    let bench = Bench::new();
    let pairs = "a,b,label\nwhere is my order,where is my order now,1\nwhere is my order,do you sell hats,0\n\
                 red boots,red boots please,1\nred boots,opening hours,0\n";
    bench.file("pairs.csv", pairs);
    let figures = bench.figures(&["eval", "similarity", "--test", "pairs.csv"]);
    assert_eq!(figures["auroc"], 1.0);
    assert_eq!(figures["pairs"], 4);
    let mut moods = "text,label\n".to_owned();
    for thing in ["boots", "hat", "lamp", "table", "cup"] {
        moods.push_str(&format!("a wonderful {thing} we love it,positive\nan awful {thing} it broke,negative\n"));
    }
    bench.file("moods.csv", &moods);
    bench.file("judged.csv", "text,label\nwonderful and we love it,positive\nawful and it broke,negative\n");
    let figures = bench.figures(&["eval", "sentiment", "--train", "moods.csv", "--test", "judged.csv"]);
    assert_eq!(figures["accuracy"], 1.0);
    assert_eq!(figures["auroc"], 1.0);
    assert!(figures["log_loss"].as_f64().unwrap() < 0.5);
}

#[test]
fn personal_data_is_counted_by_type() {
    let bench = Bench::new();
    let rows = "{\"text\":\"write to a@b.example\",\"spans\":[[9,20,\"EMAIL\"]]}\n\
                {\"text\":\"I live in Rue Haute 5\",\"spans\":[[10,21,\"ADDRESS\"]]}\n{\"text\":\"hi\",\"spans\":[]}\n";
    bench.file("pii.jsonl", rows);
    let figures = bench.figures(&["eval", "pii", "--test", "pii.jsonl"]);
    assert_eq!(figures["entities"], 2);
    assert_eq!(figures["recall_by_type"]["EMAIL"]["recall"], 1.0);
}

#[test]
fn the_next_item_and_the_rest_of_a_basket_are_found() {
    let bench = Bench::new();
    let mut sequences = "9 a b c\n".to_owned();
    for user in 0..9 {
        sequences.push_str(&format!("{user} a b c d\n"));
    }
    bench.file("train.txt", &sequences);
    bench.file("test.txt", "9 d\n");
    let figures = bench.figures(&["eval", "recommend", "--train", "train.txt", "--test", "test.txt", "--refit"]);
    assert_eq!(figures["hr_at_10"], 1.0);
    assert_eq!(figures["users"], 1);
    let mut lines = "Description,Quantity,InvoiceDate,CustomerID\n".to_owned();
    for day in 10..30 {
        lines.push_str(&format!("tea,1,2011-01-{day} 08:00:00,1\npot,1,2011-01-{day} 08:00:00,1\n"));
    }
    bench.file("lines.csv", &lines);
    let figures = bench.figures(&["eval", "baskets", "--train", "lines.csv", "--cut", "2011-01-20"]);
    assert_eq!(figures["hr_at_10"], 1.0);
    assert_eq!(figures["baskets_judged"], 10);
}

#[test]
fn demand_is_forecast() {
    let bench = Bench::new();
    let values: Vec<String> = (0..40).map(|step| [10, 20, 30, 25][step % 4].to_string()).collect();
    let header: Vec<String> = (1..=40).map(|at| format!("V{at}")).collect();
    bench.file("series.csv", &format!("id,{}\nW1,{}\n", header.join(","), values.join(",")));
    let arguments = ["eval", "forecast", "--train", "series.csv", "--horizon", "4", "--season", "4"];
    let figures = bench.figures(&arguments);
    assert!(figures["wape"].as_f64().unwrap() < 0.01, "{figures}");
    assert_eq!(figures["series"], 1);
    assert_eq!(figures["coverage_80"], 1.0);
}

#[test]
fn bad_input_is_refused_in_one_line_that_names_it() {
    let bench = Bench::new();
    dances(&bench);
    bench.file("empty.csv", "");
    let refused = |arguments: &[&str], wanted: &[&str]| {
        let refusal = bench.refusal(arguments);
        for word in wanted {
            assert!(refusal.contains(word), "{word} is not in: {refusal}");
        }
    };
    refused(&["eval", "intents"], &["--train"]);
    refused(&["eval", "intents", "--train", "none.csv"], &["none.csv"]);
    refused(&["eval", "intents", "--train", "empty.csv"], &["empty.csv", "is empty"]);
    refused(
        &["eval", "intents", "--train", "train.csv", "--label", "kind"],
        &["train.csv", "\"kind\"", "sentence, intent"],
    );
    refused(&["eval", "retrieval", "--test", "train.csv"], &["--documents"]);
    refused(&["eval", "baskets", "--train", "train.csv", "--cut", "2011-01-01"], &["train.csv", "date"]);
    refused(&["eval", "forecast", "--train", "train.csv", "--horizon", "2"], &["train.csv", "not a number"]);
    refused(&["eval", "answers"], &["--questions"]);
    refused(&["train", "intents", "--data", "train.csv", "--out", "train.csv"], &["train.csv", "--out"]);
    let unknown = bench.run(&["eval", "poems"]);
    let error = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && error.contains("poems") && error.contains("intents"), "{error}");
    assert!(Path::new(&bench.path("train.csv")).is_file());
}

#[test]
fn answers_of_a_shop_are_judged_by_their_facts() {
    let bench = Bench::new();
    fs::create_dir_all(bench.dir.path().join("shop/documents")).unwrap();
    let delivery = "# Delivery\n\nHome delivery costs 4 euro.\n\n# Gift wrapping\n\nWe wrap gifts for 2 euro.\n";
    fs::write(bench.dir.path().join("shop/documents/delivery.md"), delivery).unwrap();
    let line = |id: &str, say: &str, expect: &str| {
        format!("{{\"id\":\"{id}\",\"turns\":[\"{say}\"],\"expect\":[{expect}]}}\n")
    };
    let known = r#"{"kind":"answer","document":"delivery.md","facts":["4 euro"]}"#;
    let unknown = r#"{"kind":"decline"}"#;
    let questions = line("a", "What does home delivery cost?", known) + &line("b", "Who won the chess cup?", unknown);
    bench.file("shop/questions.jsonl", &questions);
    let figures = bench.figures(&["eval", "answers", "--shop", "shop"]);
    assert_eq!(figures["turns"], 2);
    assert_eq!(figures["declined"], 1.0, "{figures}");
    // The hashed encoder knows no meaning, so only that each turn got a verdict is sure for the other.
    assert_eq!(figures["wrong"], 0.0, "{figures}");
    bench.file("broken.jsonl", "{\"id\":\"a\",\"turns\":[\"one\",\"two\"],\"expect\":[]}\n");
    let refusal = bench.refusal(&["eval", "answers", "--questions", "broken.jsonl"]);
    assert!(refusal.contains("broken.jsonl") && refusal.contains("line 1"), "{refusal}");
    assert!(bench.refusal(&["eval", "answers"]).contains("--questions"));
}

/// A shop of two documents with three questions, the last of which they do not answer.
fn small_shop(bench: &Bench, name: &str, price: u32) {
    let documents = bench.dir.path().join(name).join("documents");
    fs::create_dir_all(&documents).unwrap();
    fs::write(documents.join("delivery.md"), format!("# Delivery\n\nHome delivery costs {price} euro.\n")).unwrap();
    fs::write(documents.join("gifts.md"), "# Gift wrapping\n\nWe wrap every gift in blue paper.\n").unwrap();
    let questions = format!(
        "{}\n{}\n{}\n",
        format_args!(
            r#"{{"id":"1","turns":["What does home delivery cost?"],"expect":[{{"kind":"answer","document":"delivery.md","gold":"Home delivery costs {price} euro."}}]}}"#
        ),
        r#"{"id":"2","turns":["Which paper do you wrap gifts in?"],"expect":[{"kind":"answer","document":"gifts.md","gold":"We wrap every gift in blue paper."}]}"#,
        r#"{"id":"3","turns":["What does delivery by balloon cost?"],"expect":[{"kind":"decline","style":"near_miss"}]}"#,
    );
    bench.file(&format!("{name}/questions.jsonl"), &questions);
}

#[test]
fn a_reader_is_trained_with_each_shop_left_out_and_switched_on() {
    let Some(models) = ModelStore::open(None).ok().filter(|models| models.cached("smollm2-135m-instruct").is_some())
    else {
        eprintln!("skipped: the model smollm2-135m-instruct is not here");
        return;
    };
    let bench = Bench::new();
    let models = models.dir().display().to_string();
    let settings = |reader: &str| {
        let lines = ["[models]", "encoder = \"hashed\"", "chat = \"smollm2-135m-instruct\"", reader];
        bench.file("shoptalk.toml", &format!("{}\ndir = {models:?}\n", lines.join("\n")));
    };
    settings("");
    for (name, price) in [("one", 4), ("two", 5), ("three", 6)] {
        small_shop(&bench, &format!("shops/{name}"), price);
    }
    let train = ["train", "reader", "--data", "shops", "--out", "out", "--layers", "2"];
    let figures = bench.figures(&train);
    assert_eq!((&figures["shops"], &figures["questions"], &figures["layers"]), (&3.into(), &9.into(), &2.into()));
    for group in ["full: right", "full: wrong", "declined, near_miss"] {
        assert!((0.0..=1.0).contains(&figures[group].as_f64().unwrap()), "{group}: {figures}");
    }
    let blind = ["eval", "answers", "--shop", "shops/one", "--reader", "out/without-one.reader"];
    assert_eq!(bench.figures(&blind)["turns"], 3);
    settings("reader = \"out/all.reader\"");
    assert_eq!(bench.figures(&["eval", "answers", "--shop", "shops/two"])["turns"], 3);

    let refused = |arguments: &[&str], wanted: &str| {
        let refusal = bench.refusal(arguments);
        assert!(refusal.contains(wanted), "{wanted} is not in: {refusal}");
    };
    refused(&["train", "reader", "--data", "shops/one", "--out", "out"], "three shops");
    refused(&["train", "reader", "--data", "out", "--out", "out"], "questions.jsonl");
    refused(&["train", "reader", "--data", "shops", "--out", "out", "--layers", "99"], "--layers");
    bench.file("out/all.reader", "no reader");
    refused(&["eval", "answers", "--shop", "shops/two"], "train reader");
}
