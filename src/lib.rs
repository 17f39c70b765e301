//! Plans, runs and reports experiment sweeps that fine-tune BLIP image captioners.

pub mod lab;
pub mod train;
pub mod model;
pub mod data;
pub mod score;
pub mod record;
pub mod random;
