//! Shoptalk: a shop's customer service in one program, on the shop's own machine.
//!
//! The modules stand in the order in which a message travels:
//!
//! ```text
//! Telegram / widget / terminal                                        Telegram / widget / terminal
//!       |  update                                                           ^  reply
//!       v                                                                   |
//!  channels::*  ->  storage: inbox  ->  dispatch -> engine  ->  storage: outbox -> channels::*
//!  parse at edge    durable, unique                   |         same transaction as the transcript
//!                   before any ack                    |
//!       privacy::mask -> intents::classify -> answer (retrieval, inference, support check)
//!                                             recommend | orders | hand-off | small talk
//!
//!  staff in the console or in a Telegram group  ->  desk  ->  storage: transcript, outbox
//! ```
//!
//! Four promises hold everywhere:
//!
//! 1. An update is acknowledged only when its inbox row is durable; reply, transcript and outbox commit together.
//! 2. The language model has no authority: code chooses the action, the model only words what a passage already says.
//! 3. A reply is supported by a cited passage or a record, or it is not sent.
//! 4. Personal data is masked before it reaches a prompt, a log or the index.

pub mod config;
pub mod telemetry;
pub mod message;
pub mod language;
pub mod catalog;
pub mod conversation;
pub mod channels;
pub mod live;
pub mod dispatch;
pub mod engine;
pub mod desk;
pub mod privacy;
pub mod intents;
pub mod retrieval;
pub mod prompts;
pub mod answer;
pub mod orders;
pub mod recommend;
pub mod forecast;
pub mod inference;
pub mod models;
pub mod knowledge;
pub mod console;
pub mod storage;
pub mod evaluation;
pub mod app;
pub mod bench;
