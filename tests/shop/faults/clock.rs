//! A clock that jumps by a day, forwards and back, under the running program. `libfaketime` moves it, which packages of
//! the same name install; without it the test says that it was skipped.

use std::{path::PathBuf, time::Duration};

use reqwest::{StatusCode, redirect::Policy};
use shoptalk::{console, storage::Role};

use super::harness::Run;
use crate::support::{eventually, fake_telegram::Fault, process::Shop};

const PASSWORD: &str = "correct horse battery";

fn library() -> Option<PathBuf> {
    let machine = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
    [machine.as_str(), "/usr/lib/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
}

/// Moves the program's clock; it looks once a second.
async fn move_clock(run: &Run, by: &str) {
    let (file, draft) = (run.dir.path().join("clock"), run.dir.path().join("clock.part"));
    std::fs::write(&draft, by).unwrap();
    std::fs::rename(draft, file).unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
}

/// A log-in to the console, by its cookie.
async fn log_in(run: &Run, shop: &Shop) -> (reqwest::Client, String) {
    let hash = console::hash_password(PASSWORD).unwrap();
    run.store().await.add_user("ana@shop.example", "Ana", Role::Agent, &hash, chrono::Utc::now()).await.unwrap();
    let client = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    let form = [("email", "ana@shop.example"), ("password", PASSWORD)];
    let response =
        client.post(format!("{}/console/login", shop.url())).header("origin", shop.url()).form(&form).send().await;
    let response = response.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    (client, cookie)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_doubles_nothing_and_revives_no_session() {
    let Some(library) = library() else {
        println!("skipped: libfaketime is not installed");
        return;
    };
    let mut run = Run::new(1_000).await;
    std::fs::write(run.dir.path().join("clock"), "+0").unwrap();
    let (library, file) = (library.display().to_string(), run.dir.path().join("clock").display().to_string());
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", &file),
        ("FAKETIME_CACHE_DURATION", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let shop = Shop::start_with(&run.config(), &environment).await;
    let (client, cookie) = log_in(&run, &shop).await;
    let visits = async || {
        let request = client.get(format!("{}/console", shop.url())).header("cookie", &cookie);
        request.send().await.unwrap().status()
    };
    assert_eq!(visits().await, StatusCode::OK);
    for by in ["+1d", "-1d", "+0"] {
        // A delivery that has to wait while the clock jumps.
        run.telegram.order("sendMessage", Fault::Status(502));
        run.telegram.order("sendMessage", Fault::RetryAfter(3));
        run.write_for(20, 10, 100).await;
        move_clock(&run, by).await;
        if by == "+1d" {
            eventually("a session is over after a day", async || {
                (visits().await == StatusCode::SEE_OTHER).then_some(())
            })
            .await;
        }
        run.write_for(20, 10, 100).await;
        run.settle().await;
    }
    assert_eq!(visits().await, StatusCode::SEE_OTHER, "a session that was over stays over");
    let account = run.finish(shop).await;
    println!("{account}");
    assert_eq!(account.early, 0);
}
