//! Tests of the program as a whole. One binary, so that it is linked once.

mod architecture;
mod captioning;
mod cli;
mod diagnostics;
mod end_to_end;
mod full_size;
mod generation;
mod generation_at_scale;
mod gradients;
mod hub;
mod hub_server;
mod lab;
mod looking;
mod model_folders;
mod optimizer_steps;
mod original;
mod plan;
mod planted;
mod resume;
mod second_opinion;
#[cfg(target_os = "linux")]
mod stopping;
mod threads;
mod training;
mod untied_head;
mod weight_files;
mod workdir;
