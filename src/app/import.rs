//! `shoptalk import`: a merchant's files into the shop, a line per file: what went in on standard output, what was
//! refused and why on standard error.

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
    let encoders = super::open_encoders(config).await?;
    let importer = Importer::new(store, encoders, &super::media_dir(config));
    import_all(&importer, paths, kind).await
}

/// Imports with an importer that is there already.
pub async fn import_all(importer: &Importer, paths: &[PathBuf], kind: Option<FileKind>) -> anyhow::Result<usize> {
    let mut refused = 0;
    let mut pictures = 0;
    let found = files(paths)?;
    anyhow::ensure!(
        !found.is_empty(),
        "nothing to import in {}; a folder's Markdown, text, HTML, CSV, JSON, XLSX, DOCX, PDF and pictures are \
         taken",
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    for path in found {
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
                eprintln!("✗ {error}");
            }
        }
    }
    if pictures > 0 {
        println!("✓ {pictures} pictures");
    }
    Ok(refused)
}
