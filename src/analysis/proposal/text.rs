//! The sweep file, each setting with the reason for it.

use super::size::{Machine, Size};
use super::{Grouped, Seen};
use crate::analysis::audit::count_of;
use crate::record::recipe::Split;
use crate::run::progress::{duration, size as bytes};

/// Everything that the file says. `file` is its own name.
pub fn write(seen: &Seen, machine: &Machine, size: &Size, file: &str) -> String {
    [head(seen, machine, size, file), data(seen), varied(seen, size), settings(seen, size)].concat()
}

fn head(seen: &Seen, machine: &Machine, size: &Size, file: &str) -> String {
    let (runs, time) = (count_of(size.runs(), "run"), duration(size.time));
    let (cores, speed) = (machine.cores, machine.flops / 1e9);
    let memory = machine.memory.map(|memory| format!(", {} free", bytes(memory))).unwrap_or_default();
    format!(
        "\
# Written by `sweep init` for {} images with {} captions. Nothing here is sacred: change what you know better.
#
#   sweep data check {file}    what is wrong with single images and captions
#   sweep audit {file}         what these settings make unreachable, before any training
#   sweep run {file}           {runs} in about {time} on this machine ({cores} cores, {speed:.0} GFLOP/s{memory})
#   sweep report runs/

model: {}
",
        seen.images,
        seen.captions.count,
        quoted(&seen.model)
    )
}

fn data(seen: &Seen) -> String {
    let lengths = &seen.captions;
    let guessed = if lengths.is_exact { "" } else { ", guessed by words until the model is here" };
    let mut text = format!(
        "\
data:
  # Captions have {:.0} words on average, and {} tokens at most{guessed}.
  train: {}
",
        lengths.words,
        lengths.most_tokens,
        split(&seen.train)
    );
    let fraction = seen.fraction;
    match &seen.grouped {
        Some(Grouped { pattern, by, groups, example }) => text.push_str(&format!(
            "  # Pictures of one group stay on one side, by {by}: {} images, {groups} groups such as {}.\n  \
             validation: {{fraction: {fraction}, seed: 42, group: {}}}\n",
            seen.images,
            in_a_line(example),
            quoted(pattern)
        )),
        None => text.push_str(&format!(
            "  # File names show no groups. Where several pictures show one thing, `group: REGEX` keeps them on one side.\n  \
             validation: {{fraction: {fraction}, seed: 42}}\n"
        )),
    }
    match &seen.test {
        Some(test) => text.push_str(&format!("  test: {}\n", split(test))),
        None => text.push_str(
            "  # Without test images, scores are of the images by which epochs are chosen, and flatter them.\n  \
             # test: {captions: FILE, images: FOLDER}\n",
        ),
    }
    text
}

fn varied(seen: &Seen, size: &Size) -> String {
    let list = |values: Vec<String>| format!("{{values: [{}]}}", values.join(", "));
    let layers = list(size.layers.iter().map(ToString::to_string).collect());
    let rates = list(size.rates.iter().map(|rate| format!("{rate:.1e}")).collect());
    let depth = seen.architecture.vision.layers;
    let seeds: Vec<String> = (0..size.seeds).map(|seed| seed.to_string()).collect();
    // What has one value does not vary.
    let one = |values: &str| values.replace("{values: [", "{value: ").replace("]}", "}");
    let layers = if size.layers.len() == 1 { one(&layers) } else { layers };
    let rates = if size.rates.len() == 1 { one(&rates) } else { rates };
    format!(
        "
# All settings that are not named here, with the original study's faults mended.
recipe: corrected
parameters:
  # Whether seeing must be learnt too: the last so many of {depth} vision layers train beside the text decoder.
  unfrozen_vision_layers: {layers}
  # The best rate is worth more than any other setting, and differs with what trains.
  learning_rate: {rates}
# More seeds tell luck from lead: every combination runs once for each.
seeds: [{}]
",
        seeds.join(", ")
    )
}

fn settings(seen: &Seen, size: &Size) -> String {
    let limit = seen.captions.limit(seen.architecture.text.positions);
    let mut training = vec![
        format!("epochs: {}", size.epochs),
        format!("batch_size: {}", size.batch),
        format!("max_length: {limit}"),
        "warmup_ratio: 0.1".to_owned(),
        "vision_lr_multiplier: 0.1".to_owned(),
    ];
    let mut text = String::from("\n# `max_length` holds the longest caption");
    if seen.captions.most_tokens > limit {
        text = format!("\n# The model takes no more than {limit} tokens: longer captions are cut");
    }
    if size.accumulated() > 1 {
        training.insert(2, format!("gradient_accumulation_steps: {}", size.accumulated()));
        text.push_str("; batches are as large as memory allows, and updates of 8 images");
    }
    if let Some(images) = size.train_examples {
        training.push(format!("train_examples: {images}"));
        text.push_str(&format!(
            ".\n# Of the training images {images} are used, for all of them take longer than was named"
        ));
    }
    text.push_str(&format!(".\ntraining: {{{}}}\n", training.join(", ")));
    if let Some(samples) = size.samples {
        text.push_str(&format!(
            "# Saying captions takes most of an epoch: {samples} validation images are captioned every time; losses are of all.\n\
             evaluation: {{samples: {samples}}}\n"
        ));
    }
    let (ngram, why) = match seen.captions.never_twice {
        Some(size) => {
            (size, format!("No caption has the same {size} tokens twice: a model that does has lost its way"))
        }
        None => (0, "Captions may repeat themselves, so nothing forbids it".to_owned()),
    };
    text.push_str(&format!(
        "# {why}.\ngeneration: {{max_length: {limit}, no_repeat_ngram_size: {ngram}}}\nearly_stopping: {{patience: 3}}\n"
    ));
    text
}

fn split(split: &Split) -> String {
    format!("{{captions: {}, images: {}}}", quoted(&split.captions), quoted(&split.images))
}

/// A text as YAML reads it back: plain where it is plain, else in single quotes.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@".contains(c);
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.' || c == '/');
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", ".nan", ".inf"]
        .contains(&text.to_lowercase().as_str());
    if starts_plain && text.chars().all(is_plain) && !is_word {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A text from a file's name within a comment.
fn in_a_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    format!("`{}`", text.chars().map(clean).take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_yaml_would_read_something_else() {
        for (text, expected) in [
            ("data/a-1.json", "data/a-1.json"),
            (r"id_\d+", r"'id_\d+'"),
            ("it's", "'it''s'"),
            ("1e5", "'1e5'"),
            ("no", "'no'"),
            ("a: b", "'a: b'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
