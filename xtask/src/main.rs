//! Generators and scaffolds.
fn main() {}
