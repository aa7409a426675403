//! A disk that takes nothing more: what cannot be stored is not acknowledged, what is stored can be read, and work goes on
//! soon after there is room again.
//!
//! A full disk is a small file system of its own where the tests may mount one. A limit of zero bytes on the size of
//! files stands for a disk that has become read-only: every write of the program fails then, also inside of its files.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::harness::Run;
use crate::support::{eventually, process::Shop};

const CHATS: i64 = 10;
const VISITOR: &str = "0123456789abcdef0123456789abcdef";

/// Runs a story: a working shop, `breaks`, more messages, `mends`.
async fn survives(run: &mut Run, breaks: impl AsyncFn(&Shop), mends: impl AsyncFn(&Shop)) {
    let mut shop = run.start().await;
    run.write_for(20, CHATS, 100).await;
    run.settle().await;
    let acknowledged = run.telegram.offset();
    breaks(&shop).await;
    run.write_for(40, CHATS, 100).await;
    eventually("the shop says what is wrong", || {
        std::future::ready(shop.log().contains("cannot be stored").then_some(()))
    })
    .await;
    let offset = run.telegram.offset();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(run.telegram.offset(), offset, "what cannot be stored is not acknowledged");
    assert!(!run.telegram.all_confirmed() && offset >= acknowledged);
    let http = reqwest::Client::new();
    let url = shop.url();
    let messages = http.get(format!("{url}/api/widget/messages")).header("x-shoptalk-visitor", VISITOR).send().await;
    assert!(messages.unwrap().status().is_success(), "transcripts can be read");
    let sent = http
        .post(format!("{url}/api/widget/messages"))
        .header("x-shoptalk-visitor", VISITOR)
        .json(&serde_json::json!({"id": "m1", "text": "Hello?"}))
        .send();
    assert!(sent.await.unwrap().status().is_server_error(), "the widget is not told that its message is safe");
    mends(&shop).await;
    let mended = Instant::now();
    eventually("the updates are acknowledged", || std::future::ready(run.telegram.all_confirmed().then_some(()))).await;
    println!("went on {} ms after there was room", mended.elapsed().as_millis());
    assert!(mended.elapsed() < Duration::from_secs(10));
    run.settle().await;
    shop.until_ready().await;
    println!("{}", run.finish(shop).await);
}

fn limit_files(shop: &Shop, bytes: &str) {
    let limit = Command::new("prlimit").args(["--pid", &shop.pid().to_string(), &format!("--fsize={bytes}")]).status();
    assert!(limit.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_writes_holds_updates_back_and_loses_none() {
    let mut run = Run::new(1_000).await;
    let breaks = async |shop: &Shop| limit_files(shop, "0:unlimited");
    survives(&mut run, breaks, async |shop: &Shop| limit_files(shop, "unlimited:unlimited")).await;
}

/// A file system of its own; unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn new(path: &Path) -> Option<Mounted<'_>> {
        std::fs::create_dir_all(path).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(path).output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Mounted(path))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_holds_updates_back_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let Some(_mounted) = Mounted::new(&data) else {
        println!("skipped: these tests may not mount a file system");
        return;
    };
    let ballast = data.join("ballast");
    let mut run = Run::at(dir, data.clone(), 1_000).await;
    let breaks = async |_: &Shop| {
        // Writes until nothing more fits.
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        std::io::copy(&mut std::io::Read::take(zeros, 1 << 30), &mut std::fs::File::create(&ballast).unwrap())
            .unwrap_err();
    };
    survives(&mut run, breaks, async |_: &Shop| std::fs::remove_file(&ballast).unwrap()).await;
}
