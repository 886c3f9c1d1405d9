//! Feature schemas, training, export and inference.
//!
//! The room knows numbers with names and nothing else: no chain, no contract, no transaction.
//!
//! ```text
//! watcher ─> schema::Vector ──────────────────────────────> serve::Model ─> Score
//! range   ─> data::Dataset ─> train::fit ─> ONNX bytes ────────┘
//! ```
//!
//! Start reading at [`schema`], then [`serve`].

pub mod data;
pub mod drift;
mod error;
mod forest;
mod onnx;
pub mod random;
pub mod schema;
pub mod serve;
pub mod shipped;
pub mod train;

pub use error::ModelError;
pub use schema::{Schema, Vector};
pub use serve::{Engine, Model, Score};
