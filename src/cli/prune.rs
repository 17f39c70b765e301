//! `sweep prune`: frees disk.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::arguments::typed;
use super::exit::BadInput;
use super::output;
use super::table::{Align, Table};
use crate::record::{Store, SweepDir};
use crate::run::label::short_id;
use crate::run::progress::size;
use crate::run::prune::{Found, Keep, Rubbish, drop_cache, look, look_at_cache, prune};

/// Free disk: remove models and rests that are needed no more.
///
/// Of every run that has its result, or diverged, the last epoch's model is removed (`last/`; the best one, `best/`,
/// stays), and of every run what a crash left of unfinished writes. What an unfinished or failed run goes on from
/// stays, and so does all that the report reads. Nothing is removed without `--yes`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of the results, or that of one sweep
    #[arg(value_name = "RUNS")]
    runs: PathBuf,
    /// Models that stay: the `best` of every run, or that of each sweep's `winner` alone, the first of its report
    #[arg(long, value_name = "WHICH", default_value = "best", value_parser = keep(), hide_possible_values = true)]
    keep: Keep,
    /// Also drop the feature cache of these results: images are encoded again when they are next needed
    #[arg(long)]
    cache: bool,
    /// Say what would be removed, which is what happens without --yes
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Remove it
    #[arg(long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  sweep prune runs/
  sweep prune runs/unfreeze --keep winner --yes
  sweep prune runs/ --cache --yes";

fn keep() -> impl TypedValueParser<Value = Keep> {
    PossibleValuesParser::new(["best", "winner"])
        .map(|word| if word == "winner" { Keep::Winner } else { Keep::Best })
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let sweeps = Store::new(&args.runs).sweeps()?;
    let cached = look_at_cache(&args.runs);
    if sweeps.is_empty() && !(args.cache && cached.is_some()) {
        return Err(BadInput(format!("{}: holds no sweep", args.runs.display())).into());
    }
    let (mut bytes, mut text) = (0, String::new());
    for sweep in &sweeps {
        let found = if args.yes { prune(sweep, args.keep)? } else { look(sweep, args.keep)? };
        bytes += found.rubbish.iter().map(|rubbish| rubbish.bytes).sum::<u64>();
        text.push_str(&in_text(sweep, &found));
        found.notes.iter().for_each(|note| output::tell(&format!("note: {note}")));
    }
    if let Some(cached) = cached.filter(|_| args.cache) {
        if args.yes {
            drop_cache(&args.runs)?;
        }
        bytes += cached;
        text.push_str(&format!("{}: {}\n", Store::new(&args.runs).feature_cache().display(), size(cached)));
    } else if let Some(cached) = cached.filter(|bytes| *bytes > 0) {
        output::tell(&format!(
            "note: the feature cache has {} and stays; `--cache` drops it too",
            size(cached)
        ));
    }
    let last = match (text.is_empty(), args.yes) {
        (true, _) => "nothing to remove".to_owned(),
        (false, true) => format!("{} freed", size(bytes)),
        (false, false) => {
            format!("{} would be freed; nothing was removed\nto remove it: {}", size(bytes), with_yes(&args))
        }
    };
    output::print(&format!("{text}{last}"))?;
    Ok(ExitCode::SUCCESS)
}

fn in_text(sweep: &SweepDir, found: &Found) -> String {
    if found.rubbish.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("size", Align::Right),
        ("removed", Align::Left),
        ("what", Align::Left),
    ]);
    for Rubbish { run, paths, bytes } in &found.rubbish {
        let (folder, id, label) = match run {
            Some((id, label)) => (sweep.run(id).path, short_id(id), label.as_str()),
            None => (sweep.path.clone(), "-", ""),
        };
        table.row([id.to_owned(), size(*bytes), names(&folder, paths), label.to_owned()]);
    }
    format!("{}\n{table}\n", sweep.path.display())
}

/// `last/ .last.new/ 2 files`: folders by name, for they are few, and the number of files.
fn names(folder: &Path, paths: &[PathBuf]) -> String {
    let is_temporary = |path: &&PathBuf| path.to_string_lossy().ends_with(".tmp");
    let folders = paths.iter().filter(|path| !is_temporary(path));
    let mut names: Vec<String> =
        folders.map(|path| format!("{}/", path.strip_prefix(folder).unwrap_or(path).display())).collect();
    match paths.iter().filter(is_temporary).count() {
        0 => {}
        1 => names.push("1 unfinished file".to_owned()),
        count => names.push(format!("{count} unfinished files")),
    }
    names.join(" ")
}

/// What to type to have it removed.
fn with_yes(args: &Args) -> String {
    let keep = if args.keep == Keep::Winner { " --keep winner" } else { "" };
    let cache = if args.cache { " --cache" } else { "" };
    format!("sweep prune {}{keep}{cache} --yes", typed(&args.runs))
}
