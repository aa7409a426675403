//! Where shoppers write: each channel parses its updates into `Inbound` and delivers replies.

<<<<<<< HEAD
pub mod web_widget;
=======
pub mod telegram;
>>>>>>> telegram
