//! Feature schemas, training, export and inference.
//!
//! The room knows numbers with names and nothing else: no chain, no contract, no transaction. The watcher
//! fills a [`schema::Vector`]; training reads many of them from a [`schema`]-bound data set.
//!
//! Start reading at [`schema`].

pub mod schema;
