//! `shoptalk import`: a merchant's files into the shop, a line per file.

use std::path::PathBuf;

use crate::{
    config::Config,
    knowledge::{
        FileKind,
        import::{FileReport, Importer, files},
    },
};

/// Imports files and folders. Returns how many files were refused; the others are in.
pub async fn run(config: &Config, paths: &[PathBuf], kind: Option<FileKind>) -> anyhow::Result<usize> {
    let store = super::open_store(config).await?;
    let embedder = super::open_embedder(config).await?;
    let importer = Importer::new(store, embedder, &super::media_dir(config));
    import_all(&importer, paths, kind).await
}

/// Imports with an importer that is there already.
pub async fn import_all(importer: &Importer, paths: &[PathBuf], kind: Option<FileKind>) -> anyhow::Result<usize> {
    let mut refused = 0;
    let mut pictures = 0;
    for path in files(paths)? {
        match importer.import_path(&path, kind, chrono::Utc::now()).await {
            Ok(FileReport { kind: "pictures", .. }) => pictures += 1,
            Ok(report) => {
                println!("✓ {}: {}", report.name, report.summary());
                for note in &report.notes {
                    println!("  – {note}");
                }
            }
            Err(error) => {
                refused += 1;
                println!("✗ {error}");
            }
        }
    }
    if pictures > 0 {
        println!("✓ {pictures} pictures");
    }
    Ok(refused)
}
