//! Where shoppers write: each channel parses its updates into `Inbound` and delivers replies.

mod pictures;
pub mod telegram;
pub mod web_widget;
