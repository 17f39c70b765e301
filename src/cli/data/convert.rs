//! `sweep data convert`: captions, and images, in another form.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::analysis::audit::count_of;
use crate::cli::arguments::typed;
use crate::cli::exit::BadInput;
use crate::cli::output;
use crate::data::caption_forms::Columns;
use crate::data::convert::{Converted, Request, Target, convert};

/// Write captions in another form.
///
/// FROM may be {file: caption} or {file: [captions]}, a JSON list, JSON lines, a table (CSV, TSV), COCO captions, a
/// Hugging Face image folder (with metadata.jsonl or metadata.csv), or a Parquet file with images and captions.
/// `data.captions` of a sweep file takes any of them but Parquet, whose images this command unpacks. Nothing that is
/// there is written over.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Captions, in whatever form
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// What to write: a file, or a folder of images with their captions
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Form of TO [default: by its ending; without one it is an image folder]
    #[arg(long = "to", value_name = "FORM", value_enum)]
    form: Option<Form>,
    /// Folder of the images, for an image folder, Parquet and the sizes in COCO. Where FROM is a Parquet file and TO
    /// none of these, its images are written there
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Name of the column or key with the image's file, or of its bytes in Parquet [default: file_name, image, ...]
    #[arg(long, value_name = "NAME")]
    image_column: Option<String>,
    /// Name of the column or key with the caption, or a list of them [default: caption, captions, text, texts]
    #[arg(long, value_name = "NAME")]
    caption_column: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  sweep data convert captions_train2017.json captions.json
  sweep data convert products.csv products.jsonl --image-column photo --caption-column description
  sweep data convert train-00000-of-00001.parquet data/train        images and captions, unpacked
  sweep data convert captions.json train.parquet --images images    and packed again";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// {file: caption}; a list of captions where an image has several
    Json,
    /// {file: [captions]}
    JsonLists,
    /// COCO captions: images and annotations
    Coco,
    /// {"file_name": ..., "caption": ...} a line
    Jsonl,
    /// file_name,caption: a row a caption
    Csv,
    /// The same with tabs
    Tsv,
    /// A folder of the images with metadata.jsonl, as `datasets` opens it
    Imagefolder,
    /// Images and captions in one file, as `datasets` opens it
    Parquet,
}

impl From<Form> for Target {
    fn from(form: Form) -> Self {
        match form {
            Form::Json => Self::Json,
            Form::JsonLists => Self::JsonLists,
            Form::Coco => Self::Coco,
            Form::Jsonl => Self::Lines,
            Form::Csv => Self::Csv,
            Form::Tsv => Self::Tsv,
            Form::Imagefolder => Self::Folder,
            Form::Parquet => Self::Parquet,
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(target) = args.form.map(Target::from).or_else(|| Target::by_name(&args.to)) else {
        let to = args.to.display();
        let hint = "end it in .json, .jsonl, .csv, .tsv or .parquet, or say --to FORM";
        return Err(BadInput(format!("{to}: its ending tells no form of captions\nhint: {hint}")).into());
    };
    let request = Request {
        from: &args.from,
        to: &args.to,
        target,
        images: args.images.as_deref(),
        columns: Columns { image: args.image_column, caption: args.caption_column },
    };
    let Converted { images, captions, unpacked } = convert(&request)?;
    let to = typed(&args.to);
    let mut said = format!("{to}: {}, {}", count_of(images, "image"), count_of(captions, "caption"));
    if let Some(folder) = unpacked {
        said.push_str(&format!("; the image files are in {}", typed(&folder)));
    }
    output::print(&said)?;
    Ok(ExitCode::SUCCESS)
}
