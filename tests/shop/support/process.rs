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
        let mut command = Command::new(env!("CARGO_BIN_EXE_shoptalk"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
        for name in ["TELEGRAM_BOT_TOKEN", "TELEGRAM_API_URL", "RUST_LOG", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
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
        let mut shop = Self { child, log, reader: Some(reader) };
        eventually("the shop is ready", || {
            let ended = shop.child.try_wait().unwrap();
            assert!(ended.is_none(), "the shop ended with {ended:?}: {}", shop.log());
            std::future::ready(shop.log().contains("is ready").then_some(()))
        })
        .await;
        shop
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
    pub async fn interrupt(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
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
