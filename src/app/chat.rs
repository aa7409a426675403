//! `shoptalk chat`: the terminal channel, through the same inbox and transcript as every other channel.

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use anstyle::{AnsiColor, Style};
use rustyline::{DefaultEditor, error::ReadlineError};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::{
    message::{Channel, Inbound, Language, Origin, Reply},
    storage::{Author, StoredMessage},
};

/// The one chat of a terminal.
const CHAT: &str = "terminal";
/// Longest wait for a reply before the prompt comes back.
const PATIENCE: Duration = Duration::from_mins(2);

const BOT: Style = AnsiColor::Cyan.on_default();
const STAFF: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

/// Talks until the shopper leaves.
pub async fn run(app: App) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    app.store.take_over_leases().await?;
    let work = tokio::spawn({
        let (dispatcher, shutdown) = (app.dispatcher.clone(), shutdown.clone());
        async move { dispatcher.run(shutdown).await }
    });
    let history = app.config.data_dir.join("chat_history.txt");
    if std::io::stdin().is_terminal() {
        anstream::println!("{DIM}Write your question; /quit or Ctrl-D ends the chat.{DIM:#}");
    }
    let mut seen = latest(&app).await?;
    let mut editor = DefaultEditor::new()?;
    let _ = editor.load_history(&history);
    loop {
        // Reading a line blocks, so it gets a thread of its own; the editor travels there and back.
        let (back, line) = tokio::task::spawn_blocking(move || {
            let line = editor.readline("you › ");
            (editor, line)
        })
        .await?;
        editor = back;
        let text = match line {
            Ok(text) if text.trim() == "/quit" => break,
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => text,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => break,
            Err(error) => return Err(error.into()),
        };
        let _ = editor.add_history_entry(&text);
        seen = turn(&app, text, seen).await?;
    }
    keep_history(&mut editor, &history);
    shutdown.cancel();
    work.await?;
    Ok(())
}

fn keep_history(editor: &mut DefaultEditor, path: &PathBuf) {
    if let Err(error) = editor.save_history(path) {
        tracing::warn!(%error, "the history of the chat cannot be kept");
    }
}

async fn latest(app: &App) -> anyhow::Result<i64> {
    let Some(conversation) = app.store.conversation(Channel::Terminal, CHAT).await? else { return Ok(0) };
    Ok(app.store.messages(conversation.id, 0).await?.last().map_or(0, |message| message.id))
}

/// Sends a message and shows what came since `seen`; returns the last message shown.
async fn turn(app: &App, text: String, seen: i64) -> anyhow::Result<i64> {
    let mut live = app.live.watch();
    let now = app.engine.now();
    let inbound = Inbound {
        channel: Channel::Terminal,
        chat: CHAT.to_owned(),
        update_id: format!("{}-{}", std::process::id(), now.timestamp_micros()),
        text,
        customer: None,
        language_hint: None,
        received_at: now,
        attachments: Vec::new(),
        origin: Origin::default(),
    };
    app.dispatcher.accept(&inbound).await?;
    let started = tokio::time::Instant::now();
    loop {
        let messages = match app.store.conversation(Channel::Terminal, CHAT).await? {
            Some(conversation) => app.store.messages(conversation.id, seen).await?,
            None => Vec::new(),
        };
        if messages.iter().any(|message| message.author == Author::Shopper) || started.elapsed() > PATIENCE {
            messages.iter().for_each(show);
            let answered = messages.iter().any(|message| message.author != Author::Shopper);
            if !answered && !messages.is_empty() {
                anstream::println!(
                    "{DIM}A person has this conversation and will answer; /bot goes on with the bot.{DIM:#}"
                );
            }
            if started.elapsed() > PATIENCE {
                anstream::println!("{DIM}No reply yet; it will be shown with the next one.{DIM:#}");
            }
            return Ok(messages.last().map_or(seen, |message| message.id));
        }
        let _ = tokio::time::timeout(Duration::from_millis(500), live.recv()).await;
    }
}

fn show(message: &StoredMessage) {
    match message.author {
        Author::Shopper | Author::System | Author::Note => {}
        Author::Staff => {
            let name = message.author_name.as_deref().unwrap_or("staff");
            anstream::println!("{STAFF}{name} › {}{STAFF:#}", message.text);
        }
        Author::Bot => {
            anstream::println!("{BOT}{}{BOT:#}", message.text);
            if let Some(reply) = &message.reply {
                show_sources(reply);
            }
        }
    }
}

/// Sources and what may be asked next, below a reply.
pub fn show_sources(reply: &Reply) {
    let word = match reply.language {
        Language::En => "Source",
        Language::Zh => "来源",
    };
    for citation in &reply.citations {
        let heading = if citation.heading.is_empty() { String::new() } else { format!(" › {}", citation.heading) };
        anstream::println!("{DIM}{word}: {}{heading}{DIM:#}", citation.document);
    }
    if !reply.suggestions.is_empty() {
        anstream::println!("{DIM}[ {} ]{DIM:#}", reply.suggestions.join(" ]  [ "));
    }
}
