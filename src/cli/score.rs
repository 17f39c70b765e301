//! `sweep score`: the metrics alone.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::exit::BadInput;
use super::output::{self, Format};
use super::table::{Align, Table, number};
use crate::data::caption_files::{self, Pair};
use crate::record::recipe::Convention;
use crate::score::{ImageScores, Item, Scores, meteor_variant, score};

/// Score captions against references: METEOR, ROUGE-L, CIDEr-D and BLEU.
///
/// Both files may be {image: caption}, {image: [captions]} or COCO: annotations for the references, results
/// ([{image_id, caption}]) for the predictions. Predictions may also be what `sweep caption --format json` prints, or
/// a run's predictions.jsonl. Images are the same where their names are, or else the file names of their paths.
/// Images without a prediction are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What is true of the images
    #[arg(long, value_name = "FILE")]
    references: PathBuf,
    /// What is said of them, one caption an image
    #[arg(long, value_name = "FILE")]
    predictions: PathBuf,
    /// The rules to score by
    #[arg(long, value_enum, default_value_t = Rules::Coco)]
    convention: Rules,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Also the scores of each image
    #[arg(long)]
    per_image: bool,
}

const EXAMPLES: &str = "\
Examples:
  sweep score --references test_captions.json --predictions captions.json
  sweep score --references captions_val2014.json --predictions results.json --format json
  sweep score --references test_captions.json --predictions runs/unfreeze/r0123456789/predictions.jsonl";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rules {
    /// As the COCO evaluation: lower-cased Penn Treebank words without punctuation
    Coco,
    /// As the original recipe: raw, cased strings for CIDEr-D, NLTK METEOR, rouge_score ROUGE-L
    Original,
}

impl From<Rules> for Convention {
    fn from(rules: Rules) -> Self {
        match rules {
            Rules::Coco => Self::Coco,
            Rules::Original => Self::Original,
        }
    }
}

/// The JSON output.
#[derive(Debug, Serialize)]
struct Summary {
    convention: Convention,
    meteor_variant: &'static str,
    n: usize,
    meteor: f64,
    rouge_l: f64,
    cider_d: f64,
    bleu_1: f64,
    bleu_2: f64,
    bleu_3: f64,
    bleu_4: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_image: Option<Vec<ImageRow>>,
}

#[derive(Debug, Serialize)]
struct ImageRow {
    image: String,
    meteor: f64,
    rouge_l: f64,
    cider_d: f64,
    bleu_1: f64,
    bleu_2: f64,
    bleu_3: f64,
    bleu_4: f64,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let references = caption_files::read(&args.references)?;
    let predictions = caption_files::read(&args.predictions)?;
    let files = || format!("{} against {}", args.predictions.display(), args.references.display());
    let (pairs, missing) = caption_files::pair(&references, &predictions)
        .with_context(|| BadInput(format!("cannot score {}", files())))?;
    if pairs.is_empty() {
        return Err(BadInput(format!("{}: holds no captions", args.predictions.display())).into());
    }
    if missing > 0 {
        output::tell(&format!(
            "scored {} of {} images; the others have no prediction",
            pairs.len(),
            pairs.len() + missing
        ));
    }
    let convention = Convention::from(args.convention);
    let items: Vec<Item> =
        pairs.iter().map(|pair| Item { caption: &pair.caption, references: &pair.references }).collect();
    let summary = summarise(convention, &score(convention, &items), &pairs, args.per_image);
    match args.format {
        Format::Json => output::print_json(&summary)?,
        Format::Text => output::print(&in_text(&summary))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn summarise(convention: Convention, scores: &Scores, pairs: &[Pair], per_image: bool) -> Summary {
    let [bleu_1, bleu_2, bleu_3, bleu_4] = scores.bleu;
    let rows = || pairs.iter().zip(&scores.per_image).map(|(pair, scores)| image_row(pair, scores)).collect();
    Summary {
        convention,
        meteor_variant: meteor_variant(),
        n: scores.n,
        meteor: scores.meteor,
        rouge_l: scores.rouge_l,
        cider_d: scores.cider_d,
        bleu_1,
        bleu_2,
        bleu_3,
        bleu_4,
        per_image: per_image.then(rows),
    }
}

fn image_row(pair: &Pair, scores: &ImageScores) -> ImageRow {
    let [bleu_1, bleu_2, bleu_3, bleu_4] = scores.bleu;
    ImageRow {
        image: pair.image.clone(),
        meteor: scores.meteor,
        rouge_l: scores.rouge_l,
        cider_d: scores.cider_d,
        bleu_1,
        bleu_2,
        bleu_3,
        bleu_4,
    }
}

fn in_text(summary: &Summary) -> String {
    let mut table = Table::new(&[("metric", Align::Left), ("value", Align::Right)]);
    let metrics = [
        ("METEOR", summary.meteor),
        ("ROUGE-L", summary.rouge_l),
        ("CIDEr-D", summary.cider_d),
        ("BLEU-1", summary.bleu_1),
        ("BLEU-2", summary.bleu_2),
        ("BLEU-3", summary.bleu_3),
        ("BLEU-4", summary.bleu_4),
    ];
    for (name, value) in metrics {
        table.row([name.to_owned(), number(Some(value), 4)]);
    }
    let (n, convention, variant) = (summary.n, summary.convention.name(), summary.meteor_variant);
    let head = format!("{n} images, convention {convention}, METEOR: {variant}\n");
    format!("{head}{table}{}", summary.per_image.as_deref().map(images_in_text).unwrap_or_default())
}

fn images_in_text(rows: &[ImageRow]) -> String {
    let mut table = Table::new(&[
        ("image", Align::Left),
        ("METEOR", Align::Right),
        ("ROUGE-L", Align::Right),
        ("CIDEr-D", Align::Right),
        ("BLEU-4", Align::Right),
    ]);
    for row in rows {
        let numbers = [row.meteor, row.rouge_l, row.cider_d, row.bleu_4].map(|value| number(Some(value), 4));
        table.row(std::iter::once(row.image.clone()).chain(numbers));
    }
    format!("\n{table}")
}
