//! The real program as a process: started with a settings file, killed or interrupted, its log read.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use super::eventually;

/// A running `shoptalk serve`. Killed when dropped.
pub struct Shop {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Shop {
    /// Starts the program on a free port and waits until it says that it is ready.
    pub async fn start(config: &Path) -> Self {
        Self::start_with(config, &[]).await
    }

    /// The same with variables of the environment.
    pub async fn start_with(config: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_at(config, "127.0.0.1:0", environment).await
    }

    /// The same on a port of one's own.
    pub async fn start_at(config: &Path, listen: &str, environment: &[(&str, &str)]) -> Self {
        let mut shop = Self::spawn_at(config, listen, environment);
        shop.until_ready().await;
        shop
    }

    /// Starts the program on a free port and does not wait. A write beyond a limit on the size of files is an error to
    /// it, as on a full disk, and not its end.
    pub fn spawn(config: &Path, environment: &[(&str, &str)]) -> Self {
        Self::spawn_at(config, "127.0.0.1:0", environment)
    }

    fn spawn_at(config: &Path, listen: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_shoptalk")]);
        command.args(["serve", "--listen", listen, "--config"]).arg(config);
        for name in ["TELEGRAM_BOT_TOKEN", "TELEGRAM_API_URL", "RUST_LOG", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in lines.map_while(Result::ok) {
                    log.lock().unwrap().push_str(&(line + "\n"));
                }
            }
        });
        Self { child, log, reader: Some(reader) }
    }

    /// Whether it has said that it is ready.
    pub fn is_ready(&self) -> bool {
        self.log.lock().unwrap().contains("is ready")
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&mut self) {
        eventually("the shop is ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the shop ended with {ended:?}: {}", self.log());
            std::future::ready(self.is_ready().then_some(()))
        })
        .await;
    }

    /// Its number, for `prlimit` and `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its pages are, without a slash at the end.
    pub fn url(&self) -> String {
        let log = self.log();
        let (_, rest) = log.split_once("is ready: ").unwrap();
        rest.lines().next().unwrap().trim_end_matches('/').to_owned()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// `kill -9`: nothing is finished, nothing is noted.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Interrupts it as Ctrl-C does, and waits for its end. Returns how it ended and all that it logged.
    pub async fn interrupt(self) -> (ExitStatus, String) {
        self.end_by("-INT").await
    }

    /// The same by any signal of `kill`.
    pub async fn end_by(mut self, signal: &str) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let status = eventually("the shop ends", || std::future::ready(self.child.try_wait().unwrap())).await;
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
