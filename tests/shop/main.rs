//! Everything that is tested through the library's and the program's outside, a file per part.

mod support;
mod telegram;
mod knowledge;
mod browser;
mod web_widget;
mod inference;
mod models;
