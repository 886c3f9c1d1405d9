//! One transaction run on the forked state, with one inspector that writes down what later stages may know.

pub mod execution;
