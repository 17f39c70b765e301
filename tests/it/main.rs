//! Tests of the program as a whole. One binary, so that it is linked once.

mod architecture;
mod balance;
mod bayes;
mod captioning;
mod changed_inputs;
mod checkpoint_files;
mod cli;
mod cuts;
mod cuts_of_settings;
mod data_check;
mod diagnostics;
mod early_terminate;
mod end_to_end;
mod extending;
#[cfg(target_os = "linux")]
mod faults;
mod feature_cache;
mod full_size;
mod fuzz;
mod generation;
mod generation_at_scale;
mod gradients;
mod half_done;
mod hostile;
mod hub;
mod hub_server;
#[cfg(target_os = "linux")]
mod killing;
mod init;
mod lab;
mod looking;
mod lora;
mod mixed_precision;
mod model_folders;
mod optimizer_steps;
mod original;
mod patience;
mod plan;
mod planted;
mod prompt;
mod pruning;
mod resume;
mod second_opinion;
mod settings_take_effect;
mod small_decoder;
#[cfg(target_os = "linux")]
mod shared_folders;
#[cfg(target_os = "linux")]
mod slurm;
#[cfg(target_os = "linux")]
mod stopping;
#[cfg(target_os = "linux")]
mod submitting;
mod threads;
mod toy;
mod training;
mod untied_head;
mod weight_files;
mod workdir;
