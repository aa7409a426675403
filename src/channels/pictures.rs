//! Pictures of the catalogue: addresses on the web, or files below the data directory's `media` and nowhere else.

use std::path::{Component, Path, PathBuf};

/// Bytes of a picture that is shown.
const PICTURE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Whether a picture is on the web.
pub(super) fn is_web_address(image: &str) -> bool {
    image.starts_with("https://") || image.starts_with("http://")
}

/// The path when it stays below the directory it starts from, without hidden files and without a drive or scheme.
pub(super) fn plain_path(path: &str) -> Option<PathBuf> {
    if path.is_empty() || path.contains([':', '\\', '\0']) {
        return None;
    }
    let plain = Path::new(path).components().all(|part| match part {
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    });
    plain.then(|| PathBuf::from(path))
}

/// A catalogue may name `img/a.jpg` while the file was imported as `a.jpg`; both are looked for.
pub(super) async fn find_picture(media_dir: &Path, path: &str) -> Option<PathBuf> {
    let path = plain_path(path)?;
    let root = tokio::fs::canonicalize(media_dir).await.ok()?;
    for candidate in [Some(path.as_path()), path.file_name().map(Path::new)].into_iter().flatten() {
        let Ok(file) = tokio::fs::canonicalize(root.join(candidate)).await else { continue };
        let Ok(metadata) = tokio::fs::metadata(&file).await else { continue };
        if file.starts_with(&root) && metadata.is_file() && metadata.len() <= PICTURE_BYTES_MAX {
            return Some(file);
        }
    }
    None
}
