//! How many runs, how long ones, and on how many images, for the time that there is.
//!
//! Time is the work of such a sweep, as [`work`] counts it for any plan, by what the machine was seen to do: a guess within a
//! factor of two or three; `sweep run` measures a step and says better.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Seen;
use crate::plan::cost::memory_bytes;
use crate::plan::parts::trainable;
use crate::plan::{Facts, work};
use crate::record::RunSpec;
use crate::record::recipe::{Amount, Kind, Recipe};
use crate::spec::Preset;

/// What a machine can do.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Floating-point operations a second in products of large matrices.
    pub flops: f64,
    /// Memory that is free, in bytes, where the system tells.
    pub memory: Option<u64>,
    pub cores: usize,
}

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

/// How long the sweep takes, by [`work`], with captions as long as they are on average.
fn seconds(seen: &Seen, machine: &Machine, size: &Size) -> Duration {
    let (train, validation) = seen.split();
    let facts = Facts {
        train_examples: Some(train),
        validation_examples: Some(validation),
        test_examples: Some(seen.test_images),
        architectures: [(seen.model.clone(), seen.architecture)].into(),
        ..Facts::default()
    };
    let run = |kind, layers| {
        let mut recipe = recipe(seen, layers, size.batch);
        (recipe.kind, recipe.model) = (kind, seen.model.clone());
        let tokens = seen.captions.mean_tokens.ceil() as usize;
        (recipe.training.max_length, recipe.generation.max_length) = (tokens, tokens);
        recipe.training.epochs = size.epochs;
        recipe.training.train_examples = size.train_examples.map_or(Amount::ALL, Amount::Count);
        recipe.evaluation.samples = size.samples.unwrap_or_default();
        RunSpec { id: String::new(), sweep: String::new(), point: BTreeMap::new(), seed: 0, recipe }
    };
    let each = size.rates.len() * size.seeds;
    let trained = size.layers.iter().flat_map(|layers| (0..each).map(|_| run(Kind::FineTuned, *layers)));
    let references = [run(Kind::ZeroShot, 0), run(Kind::MatchedLength, 0)];
    let runs: Vec<RunSpec> = trained.chain(references).collect();
    let works = work::of(&runs, &facts).into_iter().flatten();
    // An operation is a multiplication or an addition; work counts the two together.
    let seconds: f64 = works.map(|(_, work)| work.seconds(0.5 * machine.flops)).sum();
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
}
