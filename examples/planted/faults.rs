//! The faults: what each changes in the settings of a sound sweep, and in its captions.

use std::collections::BTreeMap;

use sweep::random::Random;

/// By file name.
pub type Captions = BTreeMap<String, String>;

/// A fault: what it does to the sweep's settings and to its data.
pub struct Fault {
    pub name: &'static str,
    /// Lines of the sweep file that replace those of a sound one.
    pub settings: &'static [(&'static str, &'static str)],
    pub data: Data,
}

/// A fault of the data.
#[derive(Clone, Copy)]
pub enum Data {
    Sound,
    /// Only so many training images.
    Few(usize),
    /// Only so many validation images.
    FewToChooseBy(usize),
    /// This share of the training captions dealt to other images.
    Shuffled(f64),
    /// The same of the captions that are scored against.
    ShuffledReferences(f64),
    /// So many test images with their captions among the training images.
    Leaked(usize),
    /// One caption for this share of the training images.
    Constant(f64),
    /// Captions of the domain that the model came from for this share of the training images.
    OtherDomain(f64),
    /// Training captions end after this share of their words.
    Shortened(f64),
    /// Training captions in capitals: other text, and the same words to the model.
    Capitals,
}

const fn fault(name: &'static str, settings: &'static [(&'static str, &'static str)], data: Data) -> Fault {
    Fault { name, settings, data }
}

const CUT: &str = "training.max_length";
const SAID: &str = "generation.max_length";
const REPEAT: &str = "generation.no_repeat_ngram_size";
const PENALTY: &str = "generation.repetition_penalty";
const LEAST: &str = "generation.min_length";
const LENGTH_PENALTY: &str = "generation.length_penalty";
const BEAMS: &str = "generation.num_beams";
const PADS: &str = "training.mask_padding";
const START: &str = "training.start_token";
const RATE: &str = "training.learning_rate";
const VISION_RATE: &str = "training.vision_lr_multiplier";
const TEXT_RATE: &str = "training.text_lr_multiplier";
const TEXT: &str = "training.train_text_decoder";
const LAYERS: &str = "training.unfrozen_vision_layers";
const BATCH: &str = "training.batch_size";
const EPOCHS: &str = "training.epochs";
const WARM_UP: &str = "training.warmup_steps";
const DECAY: &str = "training.weight_decay";
const SMOOTHING: &str = "training.label_smoothing";
const DROPOUT: &str = "training.dropout";
const CLIP: &str = "training.max_grad_norm";
const SHUFFLE: &str = "training.shuffle";
const SAMPLES: &str = "evaluation.samples";
const CONVENTION: &str = "evaluation.convention";

/// The settings of a sound sweep.
pub const SOUND: [(&str, &str); 10] = [
    (LAYERS, "2"),
    (RATE, "2.0e-3"),
    (VISION_RATE, "0.3"),
    (BATCH, "4"),
    (EPOCHS, "8"),
    (WARM_UP, "20"),
    (CUT, "96"),
    (SAID, "96"),
    (BEAMS, "1"),
    ("early_stopping.patience", "0"),
];

#[rustfmt::skip]
pub const FAULTS: &[Fault] = &[
    // None: the sound sweep, and others that are as sound.
    fault("clean", &[], Data::Sound),
    fault("clean-slower", &[(RATE, "1.0e-3")], Data::Sound),
    fault("clean-slowest", &[(RATE, "5.0e-4")], Data::Sound),
    fault("clean-layers0", &[(LAYERS, "0")], Data::Sound),
    fault("clean-layers1", &[(LAYERS, "1")], Data::Sound),
    fault("clean-layers3", &[(LAYERS, "3")], Data::Sound),
    fault("clean-batch2", &[(BATCH, "2"), (WARM_UP, "40")], Data::Sound),
    fault("clean-batch8", &[(BATCH, "8"), (WARM_UP, "10")], Data::Sound),
    fault("clean-smoothed", &[(SMOOTHING, "0.1"), (DROPOUT, "0.1")], Data::Sound),
    fault("clean-capitals", &[], Data::Capitals),
    // One fault at half, whole and double strength.
    fault("cut-half", &[(CUT, "72"), (SAID, "72")], Data::Sound),
    fault("cut", &[(CUT, "60"), (SAID, "60")], Data::Sound),
    fault("cut-double", &[(CUT, "36"), (SAID, "36")], Data::Sound),
    fault("repeats-half", &[(REPEAT, "4")], Data::Sound),
    fault("repeats", &[(REPEAT, "2")], Data::Sound),
    fault("repeats-double", &[(REPEAT, "1")], Data::Sound),
    fault("padding-half", &[(PADS, "false"), (BATCH, "2")], Data::Sound),
    fault("padding", &[(PADS, "false")], Data::Sound),
    fault("padding-double", &[(PADS, "false"), (BATCH, "8")], Data::Sound),
    fault("start", &[(START, "cls")], Data::Sound),
    fault("rate-half", &[(RATE, "2.5e-2")], Data::Sound),
    fault("rate", &[(RATE, "5.0e-2")], Data::Sound),
    fault("rate-double", &[(RATE, "1.0e-1")], Data::Sound),
    fault("few-half", &[], Data::Few(80)),
    fault("few", &[], Data::Few(40)),
    fault("few-double", &[], Data::Few(20)),
    fault("shuffled-half", &[], Data::Shuffled(0.5)),
    fault("shuffled", &[], Data::Shuffled(1.0)),
    fault("leaked-half", &[], Data::Leaked(16)),
    fault("leaked", &[], Data::Leaked(32)),
    fault("leaked-double", &[], Data::Leaked(64)),
    // Two at once.
    fault("repeats-and-start", &[(REPEAT, "2"), (START, "cls")], Data::Sound),
    fault("cut-and-shuffled", &[(CUT, "60"), (SAID, "60")], Data::Shuffled(1.0)),
    fault("rate-and-padding", &[(RATE, "5.0e-2"), (PADS, "false")], Data::Sound),
    fault("few-and-repeats", &[(REPEAT, "2")], Data::Few(40)),
    // Others.
    fault("slow", &[(RATE, "1.0e-6")], Data::Sound),
    fault("slow-half", &[(RATE, "1.0e-5")], Data::Sound),
    fault("short", &[(EPOCHS, "1"), (BATCH, "16")], Data::Sound),
    fault("warmup", &[(WARM_UP, "5000")], Data::Sound),
    fault("decay", &[(DECAY, "10")], Data::Sound),
    fault("smoothing", &[(SMOOTHING, "0.9")], Data::Sound),
    fault("dropout", &[(DROPOUT, "0.8")], Data::Sound),
    fault("clip", &[(CLIP, "1.0e-7")], Data::Sound),
    fault("vision", &[(VISION_RATE, "100")], Data::Sound),
    fault("vision-half", &[(VISION_RATE, "30")], Data::Sound),
    fault("textrate", &[(TEXT_RATE, "0.0")], Data::Sound),
    fault("frozen", &[(TEXT, "false")], Data::Sound),
    fault("order", &[(SHUFFLE, "false")], Data::Sound),
    fault("long", &[(LEAST, "90")], Data::Sound),
    fault("penalty", &[(PENALTY, "2.0")], Data::Sound),
    fault("reward", &[(PENALTY, "0.5")], Data::Sound),
    fault("brief", &[(BEAMS, "3"), (LENGTH_PENALTY, "-10.0")], Data::Sound),
    fault("trainingcut", &[(CUT, "30")], Data::Sound),
    fault("saidcut", &[(SAID, "30")], Data::Sound),
    fault("cased", &[(CONVENTION, "original")], Data::Sound),
    fault("samples", &[(SAMPLES, "5")], Data::Sound),
    fault("choose", &[], Data::FewToChooseBy(6)),
    fault("references", &[], Data::ShuffledReferences(1.0)),
    fault("constant", &[], Data::Constant(1.0)),
    fault("constant-half", &[], Data::Constant(0.5)),
    fault("domain", &[], Data::OtherDomain(1.0)),
    fault("domain-half", &[], Data::OtherDomain(0.5)),
    fault("shortened", &[], Data::Shortened(0.4)),
    fault("shortened-half", &[], Data::Shortened(0.7)),
];

/// The captions of a study.
pub struct Splits {
    pub train: Captions,
    pub validation: Captions,
    pub test: Captions,
    /// Of the domain that the model came from.
    pub source: Captions,
}

impl Splits {
    /// All images dealt out anew, so that studies of other seeds differ in their data too. Those of seed 0 are as written.
    pub fn dealt(self, seed: u64) -> Self {
        if seed == 0 {
            return self;
        }
        let (train, validation) = (self.train.len(), self.validation.len());
        let mut all: Vec<(String, String)> =
            self.train.into_iter().chain(self.validation).chain(self.test).collect();
        Random::new(seed, "splits", &[]).shuffle(&mut all);
        let mut rest = all.into_iter();
        Self {
            train: rest.by_ref().take(train).collect(),
            validation: rest.by_ref().take(validation).collect(),
            test: rest.collect(),
            source: self.source,
        }
    }

    pub fn with_fault(mut self, data: Data, seed: u64) -> Self {
        let random = &mut Random::new(seed, "planted", &[]);
        match data {
            Data::Sound => {}
            Data::Few(count) => keep(&mut self.train, count, random),
            Data::FewToChooseBy(count) => keep(&mut self.validation, count, random),
            Data::Shuffled(share) => shuffle(&mut self.train, share, random),
            Data::ShuffledReferences(share) => {
                shuffle(&mut self.validation, share, random);
                shuffle(&mut self.test, share, random);
            }
            Data::Leaked(count) => {
                let mut names: Vec<&String> = self.test.keys().collect();
                random.shuffle(&mut names);
                let leaked =
                    names.into_iter().take(count).map(|name| (name.clone(), self.test[name].clone()));
                self.train.extend(leaked);
            }
            Data::Constant(share) => {
                let caption = self.train.values().next().cloned().unwrap_or_default();
                some(&self.train, share, random).into_iter().for_each(|name| {
                    self.train.insert(name, caption.clone());
                });
            }
            Data::OtherDomain(share) => {
                let names = some(&self.train, share, random);
                self.train.extend(names.into_iter().zip(self.source.values().cycle().cloned()));
            }
            Data::Shortened(share) => self.train.values_mut().for_each(|caption| {
                let words: Vec<&str> = caption.split(' ').collect();
                *caption = words[..(share * words.len() as f64).ceil() as usize].join(" ");
            }),
            Data::Capitals => self.train.values_mut().for_each(|caption| *caption = caption.to_uppercase()),
        }
        self
    }
}

/// A random share of the images.
fn some(captions: &Captions, share: f64, random: &mut Random) -> Vec<String> {
    let mut names: Vec<String> = captions.keys().cloned().collect();
    random.shuffle(&mut names);
    names.truncate((share * names.len() as f64) as usize);
    names
}

fn keep(captions: &mut Captions, count: usize, random: &mut Random) {
    let kept: Vec<String> = some(captions, 1.0, random).into_iter().take(count).collect();
    captions.retain(|name, _| kept.contains(name));
}

/// Each of a share of the images gets the caption of the next: none of them keeps its own.
fn shuffle(captions: &mut Captions, share: f64, random: &mut Random) {
    let names = some(captions, share, random);
    let texts: Vec<String> = names.iter().filter_map(|name| captions.get(name)).cloned().collect();
    captions.extend(names.into_iter().zip(texts.into_iter().cycle().skip(1)));
}
