//! A Telegram that repeats, mixes up, refuses, fails, hangs and cuts.

use std::time::Duration;

use super::harness::{Account, FIRST_CHAT, Run, number, percentile, seed};
use crate::support::fake_telegram::Chaos;

/// The share of a thousand updates that is repeated, late or both.
async fn repeated(updates: i64, chaos: Chaos) -> Account {
    let mut run = Run::new(1_000).await;
    run.late = chaos.late > 0.0;
    run.telegram.let_chaos_reign(chaos);
    let shop = run.start().await;
    run.write_for(updates, 50, 200).await;
    run.telegram.let_chaos_end();
    run.settle().await;
    run.finish(shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_and_shuffled_updates_take_effect_once_and_in_order() {
    let chaos = Chaos { seed: seed(), duplicates: 0.5, window: 100, shuffle: true, ..Chaos::default() };
    println!("{}", repeated(number("SHOPTALK_FAULT_REPEATED", 800) as i64, chaos).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_updates_take_effect_once() {
    let chaos = Chaos { seed: seed(), duplicates: 0.5, late: 0.3, window: 100, shuffle: true, ..Chaos::default() };
    println!("{}", repeated(number("SHOPTALK_FAULT_REPEATED", 800) as i64, chaos).await);
}

/// One chat in ten has these faults.
fn bad_days(seed: u64, retry_after_max_s: u64) -> Chaos {
    Chaos {
        seed,
        retry_after: 0.2,
        retry_after_max_s,
        server: 0.3,
        hang_before: 0.05,
        hang_after: 0.05,
        cut: 0.1,
        chats: 10,
        ..Chaos::default()
    }
}

/// Returns the waits of the chats without faults, sorted, and the account.
async fn with_faults(updates: i64, chaos: Option<Chaos>) -> (Vec<u128>, Account) {
    let mut run = Run::new(30).await;
    run.telegram.let_chaos_reign(chaos.unwrap_or_default());
    let shop = run.start().await;
    run.write_for(updates, 100, 20).await;
    let settled = tokio::time::timeout(Duration::from_secs(2), run.settle()).await;
    run.telegram.let_chaos_end();
    if settled.is_err() {
        run.settle().await;
    }
    let account = run.finish(shop).await;
    assert_eq!(account.early, 0, "sent before an asked wait was over");
    let served = run.waits_ms(|chat| chat % 10 != 0);
    (served, account)
}

async fn bad_chats_beside_good_ones(updates: i64, retry_after_max_s: u64) -> f64 {
    let (usual, _) = with_faults(updates, None).await;
    let (beside, account) = with_faults(updates, Some(bad_days(seed(), retry_after_max_s))).await;
    let (usual, beside) = (percentile(&usual, 0.95), percentile(&beside, 0.95));
    println!("{account}");
    println!(
        "chats without faults, p95 from message to reply: {usual} ms without, {beside} ms beside chats with faults"
    );
    beside as f64 / usual.max(1) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_with_faults_are_served_later_and_the_others_as_usual() {
    bad_chats_beside_good_ones(160, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `cargo test --test shop chats_with_long_faults -- --ignored --nocapture`"]
async fn chats_with_long_faults_are_served_later_and_the_others_as_usual() {
    let ratio = bad_chats_beside_good_ones(number("SHOPTALK_FAULT_UPDATES", 3_000).min(3_000) as i64, 60).await;
    assert!(ratio <= 1.5, "the others waited {ratio:.2} times as long");
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_and_failing_polls_lose_nothing() {
    let mut run = Run::new(1_000).await;
    let chaos = Chaos { seed: seed(), poll: 0.4, duplicates: 0.2, window: 20, ..Chaos::default() };
    run.telegram.let_chaos_reign(chaos);
    let shop = run.start().await;
    run.write_for(100, 10, 20).await;
    run.write(FIRST_CHAT);
    run.telegram.let_chaos_end();
    run.settle().await;
    println!("{}", run.finish(shop).await);
}
