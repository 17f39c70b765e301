//! Models of full size against transformers. Opt-in, since the models take gigabytes:
//! `tests/reference/full_size.py` makes them.

use std::path::PathBuf;

use candle_core::Device;
use sweep::model::{Blip, Config, Weights};

use crate::gradients::{batch, relative};

#[test]
#[ignore = "needs the models that tests/reference/full_size.py writes, in the folder SWEEP_FULL_SIZE"]
fn logits_of_models_of_full_size_equal_those_of_transformers() {
    let folder = PathBuf::from(std::env::var("SWEEP_FULL_SIZE").expect("SWEEP_FULL_SIZE names a folder"));
    for name in ["base", "base_bin", "large"] {
        let folder = folder.join(name);
        let config = Config::load(&folder).unwrap();
        let weights = Weights::load(&folder, &Device::Cpu).unwrap();
        let model = Blip::new(&config, &weights).unwrap();
        let stored =
            candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
        let depth = model.vision_model.depth();
        let hidden = model.vision_model.encode(&stored["pixel_values"], depth).unwrap();
        let image_embeds = model.vision_model.finish(&hidden, depth).unwrap();
        let captions = batch(&stored);
        let logits = model.logits(&image_embeds, &captions).unwrap();
        let wanted = stored["logits"].narrow(1, 0, captions.columns - 1).unwrap().flatten(0, 1).unwrap();
        let difference = relative(&logits, &wanted);
        eprintln!("{name}: logits differ by {difference:.1e}");
        assert!(difference < 1e-4, "{name}: logits differ by {difference}");
    }
}
