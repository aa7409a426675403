//! `shoptalk chat`: stub until the terminal channel is written.
