//! Tests of the program as a whole. One binary, so that it is linked once.

mod cli;
mod workdir;
