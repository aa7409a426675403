//! The commands.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use shoptalk::{
    app::{self, App, Models},
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
    #[arg(long)]
    config: Option<PathBuf>,
    /// Directory that holds everything the shop owns (default: data).
    #[arg(long)]
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
        #[arg(long)]
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
    /// Ask without a channel.
    Ask {
        #[command(flatten)]
        shop: Shop,
        /// What to ask.
        question: Option<String>,
        /// A file of conversations, one JSON object a line: {"id": …, "turns": […], "customer": …}.
        #[arg(long, conflicts_with = "question")]
        batch: Option<PathBuf>,
        /// Print one JSON object a turn.
        #[arg(long)]
        json: bool,
        /// Show what decided each turn.
        #[arg(long)]
        explain: bool,
    },
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
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shoptalk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve { shop, demo: _, listen } => {
            let mut config = shop.load()?;
            config.server.listen = listen.unwrap_or(config.server.listen);
            let shutdown = CancellationToken::new();
            let stop = shutdown.clone();
            tokio::spawn(async move {
                let _ = tokio::signal::ctrl_c().await;
                stop.cancel();
            });
            App::open(config, Models::All).await?.serve(shutdown).await?;
        }
        Command::Import { shop, paths, kind } => {
            let refused = app::import::run(&shop.load()?, &paths, kind.file_kind()).await?;
            if refused > 0 {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Ask { shop, question, batch, json: _, explain } => {
            let app = App::open(shop.load()?, Models::All).await?;
            match (question, batch) {
                (None, Some(batch)) => app::ask::batch(&app, &batch, explain).await?,
                _ => anyhow::bail!("say what to ask, or name a file with --batch"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
