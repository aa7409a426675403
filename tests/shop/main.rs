//! Everything that is tested through the library's and the program's outside, a file per part.

mod architecture;
mod browser;
mod console;
mod evaluation;
mod inference;
mod intents;
mod knowledge;
mod models;
mod recommend;
mod support;
mod telegram;
mod web_widget;
