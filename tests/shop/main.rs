//! Everything that is tested through the library's and the program's outside, a file per part.

mod architecture;
mod browser;
mod chats;
mod command_line;
mod console;
mod conversations;
mod dispatch;
mod handover;
mod health;
mod evaluation;
mod faults;
mod inference;
mod intents;
mod knowledge;
mod models;
mod queue;
mod recommend;
mod replay;
mod remote_model;
mod remote_shop;
mod retrieval;
mod shops;
mod storage;
mod support;
mod telegram;
mod web_widget;
