//! How many runs, how long ones, and on how many images, for the time that there is.
//!
//! Work is counted in floating-point operations from the sizes of the model, two for each weight and token forward and
//! twice as much again backward (Kaplan et al. 2020, appendix B), and attention's products with the tokens of the image.
//! What a frozen layer makes of an image is computed once and shared. Time follows from what the machine was seen to do.
//! It is a guess within a factor of two or three; `sweep run` measures a step and says better.

use std::time::Duration;

use super::Seen;
use crate::plan::cost::{memory_bytes, text_parameters, trainable, vision_layer_parameters};
use crate::record::recipe::Recipe;
use crate::spec::{Architecture, Preset};

/// What a machine can do.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Floating-point operations a second in products of large matrices.
    pub flops: f64,
    /// Memory that is free, in bytes, where the system tells.
    pub memory: Option<u64>,
    pub cores: usize,
}

/// The share of the speed of large products that training reaches, and that generation does, token by token.
const TRAINING_SHARE: f64 = 0.5;
const GENERATION_SHARE: f64 = 0.2;
/// The share of the free memory that a run may fill.
const MEMORY_SHARE: f64 = 0.7;
/// Images of an update, in one batch where memory allows.
const UPDATE: usize = 8;
/// Epochs as a rule, and where time is short.
const EPOCHS: usize = 10;
const FEW_EPOCHS: usize = 5;
/// Images captioned every epoch at most, where time is short.
const FEW_CAPTIONED: usize = 100;
/// Fewer training images teach a model nothing that could be compared.
const FEWEST_IMAGES: usize = 50;
/// A model this narrow learns only at rates that would ruin a wide one.
const NARROW: usize = 256;

/// The size of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    pub layers: Vec<usize>,
    pub rates: Vec<f64>,
    pub seeds: usize,
    pub epochs: usize,
    /// Training images, where not all of them.
    pub train_examples: Option<usize>,
    /// Validation images captioned every epoch, where not all of them.
    pub samples: Option<usize>,
    pub batch: usize,
    pub time: Duration,
    /// Whether that is within the time that was named.
    pub fits: bool,
}

impl Size {
    pub fn runs(&self) -> usize {
        self.layers.len() * self.rates.len() * self.seeds
    }

    /// Batches of which an update is made.
    pub fn accumulated(&self) -> usize {
        UPDATE.div_ceil(self.batch)
    }
}

/// The largest of the usual sizes that fits the time.
pub fn choose(seen: &Seen, machine: &Machine, time: Duration) -> Size {
    let depth = seen.architecture.vision.layers;
    let rates: [f64; 3] =
        if seen.architecture.vision.width < NARROW { [5e-4, 1e-3, 2e-3] } else { [1e-5, 3e-5, 1e-4] };
    let layers =
        |wanted: &[usize]| wanted.iter().copied().filter(|count| *count <= depth).collect::<Vec<_>>();
    let (train, validation) = seen.split();
    let few = (validation > FEW_CAPTIONED).then_some(FEW_CAPTIONED);
    let size = |wanted: &[usize], rates: &[f64], seeds, epochs, samples| Size {
        layers: layers(wanted),
        rates: rates.to_vec(),
        seeds,
        epochs,
        train_examples: None,
        samples,
        batch: batch(seen, machine, wanted.iter().copied().max().unwrap_or(0).min(depth)),
        time: Duration::ZERO,
        fits: true,
    };
    let ladder = [
        size(&[0, 2, 6], &rates, 3, EPOCHS, None),
        size(&[0, 2, 6], &rates[..2], 2, EPOCHS, None),
        size(&[0, 2, 6], &rates[..2], 1, EPOCHS, None),
        size(&[0, 2], &rates[..2], 1, EPOCHS, None),
        size(&[0, 2], &rates[..2], 1, EPOCHS, few),
        size(&[0, 2], &rates[1..2], 1, EPOCHS, few),
        size(&[0], &rates[1..2], 1, FEW_EPOCHS, few),
    ];
    let timed = |size: Size| Size { time: seconds(seen, machine, &size), ..size };
    let mut smallest = None;
    for size in ladder.into_iter().map(timed) {
        if size.time <= time {
            return size;
        }
        smallest = Some(size);
    }
    let mut size = smallest.unwrap_or_else(|| size(&[0], &rates[1..2], 1, FEW_EPOCHS, few));
    // Halves of the images as long as there are enough.
    let mut images = train;
    while size.time > time && images / 2 >= FEWEST_IMAGES {
        images /= 2;
        size = timed(Size { train_examples: Some(images), ..size });
    }
    Size { fits: size.time <= time, ..size }
}

/// The recipe of a run, as far as its memory goes.
fn recipe(seen: &Seen, layers: usize, batch: usize) -> Recipe {
    let mut recipe = Preset::Corrected.recipe();
    let limit = seen.captions.limit(seen.architecture.text.positions);
    recipe.training.unfrozen_vision_layers = layers;
    recipe.training.batch_size = batch;
    recipe.training.max_length = limit;
    recipe.generation.max_length = limit;
    recipe
}

/// The largest batch that fits into memory with so many vision layers unfrozen.
fn batch(seen: &Seen, machine: &Machine, layers: usize) -> usize {
    let Some(memory) = machine.memory else { return UPDATE };
    let fits = |batch: &usize| {
        let recipe = recipe(seen, layers, *batch);
        let needed = memory_bytes(&seen.architecture, &trainable(&seen.architecture, &recipe), &recipe);
        needed as f64 <= MEMORY_SHARE * memory as f64
    };
    [UPDATE, 4, 2].into_iter().find(fits).unwrap_or(1)
}

/// Operations on one image.
struct Work {
    /// One layer of the vision model, forward.
    layer: f64,
    /// The text decoder on a caption, forward, with its keys and values of the image.
    text: f64,
    /// A caption that is said, by all beams.
    said: f64,
}

impl Work {
    fn of(sizes: &Architecture, tokens: f64) -> Self {
        let (vision, text) = (&sizes.vision, &sizes.text);
        let [image, width, text_width] = [vision.tokens(), vision.width, text.width].map(|size| size as f64);
        let attention = 4.0 * image * image * width;
        let weights = 2.0 * text_parameters(sizes) as f64;
        let of_image = text.layers as f64 * 4.0 * image * width * text_width;
        let looked_at = text.layers as f64 * 4.0 * image * text_width;
        let beams = Preset::Corrected.recipe().generation.num_beams as f64;
        Self {
            layer: 2.0 * vision_layer_parameters(sizes) as f64 * image + attention,
            text: (weights + looked_at) * tokens + of_image,
            said: beams * tokens * (weights + looked_at) + of_image,
        }
    }
}

fn seconds(seen: &Seen, machine: &Machine, size: &Size) -> Duration {
    let work = Work::of(&seen.architecture, seen.captions.mean_tokens);
    let (train, validation) = seen.split();
    let train = size.train_examples.unwrap_or(train) as f64;
    let captioned = size.samples.unwrap_or(validation) as f64;
    let (validation, test) = (validation as f64, seen.test_images as f64);
    let depth = seen.architecture.vision.layers as f64;
    // The pretrained model's runs, and every image once for each number of frozen layers.
    let once = depth * work.layer * (train + validation + test) * size.layers.len() as f64;
    let reference = 2.0 * (captioned + test) * work.said;
    let (mut trained, mut said) = (once, reference);
    for layers in &size.layers {
        let unfrozen = *layers as f64 * work.layer;
        let epoch = 3.0 * (unfrozen + work.text) * train + (unfrozen + work.text) * 2.0 * validation;
        let runs = (size.rates.len() * size.seeds) as f64;
        trained += runs * size.epochs as f64 * epoch;
        said += runs * (size.epochs as f64 * captioned + test) * work.said;
    }
    let seconds = trained / (TRAINING_SHARE * machine.flops) + said / (GENERATION_SHARE * machine.flops);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::proposal::Lengths;
    use crate::record::recipe::Split;
    use crate::spec::architecture::BLIP_BASE;

    fn seen(images: usize) -> Seen {
        let split = Split { captions: "c.json".into(), images: "i".into() };
        Seen {
            model: "Salesforce/blip-image-captioning-base".into(),
            architecture: BLIP_BASE,
            train: split,
            test: None,
            images,
            test_images: 0,
            captions: Lengths::of(&["a red ball"], Some(&[vec![7; 60]]), 1),
            grouped: None,
            fraction: 0.1,
        }
    }

    fn machine(gigaflops: f64, gigabytes: f64) -> Machine {
        Machine { flops: gigaflops * 1e9, memory: Some((gigabytes * 1e9) as u64), cores: 4 }
    }

    #[test]
    fn more_time_and_a_faster_machine_give_a_larger_sweep_that_fits() {
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        let mut before = 0.0;
        for time in [1, 4, 12, 48, 200, 1000].map(hours) {
            let size = choose(&seen(2000), &machine(200.0, 32.0), time);
            assert!(!size.fits || size.time <= time, "{size:?}");
            let worth = size.runs() as f64 * size.epochs as f64 * size.train_examples.unwrap_or(1800) as f64;
            assert!(worth >= before, "{size:?}");
            before = worth;
        }
        let [slow, fast] =
            [100.0, 50_000.0].map(|speed| choose(&seen(2000), &machine(speed, 32.0), hours(8)));
        assert!(fast.runs() > slow.runs() && fast.runs() == 27, "{fast:?}");
        let none = choose(&seen(2000), &machine(1.0, 32.0), Duration::from_secs(1));
        assert!(!none.fits && none.train_examples == Some(56), "{none:?}");
    }

    #[test]
    fn batches_fit_into_memory_and_updates_stay_as_large() {
        let batch = |gigabytes| choose(&seen(2000), &machine(200.0, gigabytes), Duration::MAX).batch;
        assert!(
            batch(64.0) == UPDATE && batch(7.0) < UPDATE && batch(1.0) == 1,
            "{} {}",
            batch(7.0),
            batch(1.0)
        );
        let size = choose(&seen(2000), &machine(200.0, 1.0), Duration::MAX);
        assert_eq!(size.batch * size.accumulated(), UPDATE);
    }

    #[test]
    fn the_work_of_blip_base_is_as_counted_by_hand() {
        let work = Work::of(&BLIP_BASE, 60.0);
        // 7.09 M weights a layer and 577 tokens: 8.2 GFLOP, and 1.0 of attention; the encoder is said to take 110 in all.
        assert!((9.0e9..9.4e9).contains(&work.layer), "{:e}", work.layer);
        assert!((100e9..115e9).contains(&(12.0 * work.layer)));
        // 137 M weights on 60 tokens, and keys and values of 577 tokens in twelve layers.
        assert!((24e9..36e9).contains(&work.text), "{:e}", work.text);
    }
}
