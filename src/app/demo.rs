//! The demo shop: its files are part of the program and go through the same import as a merchant's own.

use include_dir::{Dir, File, include_dir};

use super::App;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/knowledge/demo-shop");

/// Imports the demo shop unless the data directory holds a shop already.
pub async fn import(app: &App) -> anyhow::Result<()> {
    if !app.store.documents().await?.is_empty() {
        return Ok(());
    }
    let mut files = Vec::new();
    collect(&FILES, &mut files);
    // The profile comes first: it says the currency of prices that have none.
    files.sort_by_key(|file| (!file.path().ends_with("shop.toml"), file.path()));
    let bar = super::progress_bar(files.len(), "opening the demo shop")?;
    for file in files {
        let name = file.path().file_name().unwrap_or_default().to_string_lossy();
        if !name.eq_ignore_ascii_case("readme.md") {
            app.importer.import_bytes(&name, file.contents().to_vec(), None, app.engine.now()).await?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    app.engine.refresh().await?;
    Ok(())
}

fn collect<'a>(dir: &'a Dir<'a>, files: &mut Vec<&'a File<'a>>) {
    files.extend(dir.files());
    for inner in dir.dirs() {
        collect(inner, files);
    }
}
