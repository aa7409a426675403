//! The commands.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use shoptalk::{app::App, config::Config};
use tokio_util::sync::CancellationToken;

/// A customer-service chatbot for online shops that runs on the shop's own machine.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the shop: widget, console, API, and Telegram when a token is set.
    Serve {
        /// Settings file.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Directory that holds everything the shop owns.
        #[arg(long)]
        data_dir: Option<PathBuf>,
        /// Start with the demo shop.
        #[arg(long)]
        demo: bool,
        /// Address and port to listen on.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shoptalk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve { config, data_dir, demo: _, listen } => {
            let mut config = Config::load(config.as_deref())?;
            config.data_dir = data_dir.unwrap_or(config.data_dir);
            config.server.listen = listen.unwrap_or(config.server.listen);
            let shutdown = CancellationToken::new();
            let stop = shutdown.clone();
            tokio::spawn(async move {
                let _ = tokio::signal::ctrl_c().await;
                stop.cancel();
            });
            App::open(config).await?.serve(shutdown).await
        }
    }
}
