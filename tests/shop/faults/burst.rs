//! Many shoppers at the same moment: everything is durable soon, and sent at the allowed rate.

use std::time::{Duration, Instant};

use super::harness::{FIRST_CHAT, Run};
use crate::support::{eventually, process::Shop};

/// Resident memory of the program, in MB.
fn resident_mb(shop: &Shop) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", shop.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1_000
}

async fn burst(messages: i64, chats: i64, seconds: u64, per_second: u32) {
    let mut run = Run::new(per_second).await;
    let shop = run.start().await;
    // Whatever is made once at the first answer is not the burst's.
    run.write(FIRST_CHAT);
    run.settle().await;
    let before_mb = resident_mb(&shop);
    let started = Instant::now();
    run.write_for(messages, chats, messages as u64 / seconds).await;
    eventually("all is durable", || std::future::ready(run.telegram.all_confirmed().then_some(()))).await;
    let durable = started.elapsed();
    let mut most_mb = resident_mb(&shop);
    let store = run.store().await;
    while store.waiting_counts().await.unwrap() != (0, 0) {
        most_mb = most_mb.max(resident_mb(&shop));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let drained = started.elapsed();
    println!(
        "{messages} messages from {chats} chats in {seconds} s: durable {:.1} s after the first, drained after {:.1} s at \
         {per_second} a second allowed; {} MB before, {} MB more at most",
        durable.as_secs_f64(),
        drained.as_secs_f64(),
        before_mb,
        most_mb.saturating_sub(before_mb),
    );
    println!("{}", run.finish(shop).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_durable_and_drained() {
    burst(1_000, 200, 2, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes six minutes: `cargo test --test shop ten_thousand -- --ignored --nocapture`"]
async fn ten_thousand_messages_from_two_thousand_chats_are_durable_and_drained() {
    burst(10_000, 2_000, 10, 30).await;
}
