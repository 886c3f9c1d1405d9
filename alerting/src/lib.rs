//! Everything that leaves the program: journal, notifications, guardian and pause.

pub mod record;
