//! A merchant's whole way through the console in a real browser, from the set-up link to a corrected answer:
//! `tests/browser/journey.mjs` does the clicking. Here is the shop it works on.

use std::{fs, path::Path, process::Command};

use crate::browser::{chromium, missing};

#[test]
fn a_merchant_goes_from_the_set_up_link_to_a_corrected_answer() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if let Some(missing) = missing(&tests) {
        let told = format!("{missing} (tests/browser/README.md)");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
        println!("skipped: {told}");
        return;
    }
    let shop = tempfile::tempdir().unwrap();
    let config = shop.path().join("shoptalk.toml");
    let data_dir = shop.path().join("data");
    let settings = format!("data_dir = {data_dir:?}\n[server]\nlisten = \"127.0.0.1:0\"\n[models]\nchat = \"\"\n");
    fs::write(&config, settings).unwrap();
    let status = Command::new("node")
        .arg(tests.join("journey.mjs"))
        .env("SHOPTALK_BIN", env!("CARGO_BIN_EXE_shoptalk"))
        .env("SHOP_CONFIG", config)
        .env("CHROMIUM", chromium())
        .status()
        .unwrap();
    assert!(status.success(), "the browser test failed; its output is above");
}
