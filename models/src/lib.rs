//! Feature schemas, training, export and inference.
