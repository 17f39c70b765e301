//! A study as one file.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Digits that are kept of an image's losses and scores: no rule looks closer, and noise does not compress.
const DIGITS: usize = 6;

/// Writes the files that a diagnosis needs as one: a compressed map from path to text. The folder's own path is left out.
pub fn pack(sweep: &Path, target: &Path) -> Result<()> {
    const FILES: [&str; 4] = ["events.jsonl", "per_image.jsonl", "plan.jsonl", "audit.json"];
    let root = sweep.parent().and_then(Path::parent).context("no folder above")?.to_string_lossy();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(sweep).sort_by_file_name() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        let is_diagnostic = entry.path().parent().is_some_and(|parent| parent.ends_with("diagnostics"));
        if FILES.contains(&name.as_ref()) || is_diagnostic && name.ends_with(".json") {
            let path = entry.path().strip_prefix(sweep)?.to_string_lossy().into_owned();
            let text = fs::read_to_string(entry.path())?.replace(root.as_ref(), "planted");
            let is_of_images = is_diagnostic || name == "per_image.jsonl";
            files.insert(path, if is_of_images { rounded(&text) } else { text });
        }
    }
    fs::create_dir_all(target.parent().context("no folder")?)?;
    let mut encoder = GzEncoder::new(fs::File::create(target)?, Compression::best());
    encoder.write_all(&serde_json::to_vec(&files)?)?;
    encoder.finish()?;
    Ok(())
}

/// The text with its numbers rounded.
fn rounded(text: &str) -> String {
    let is_of_number = |letter: char| letter.is_ascii_alphanumeric() || ".-+".contains(letter);
    let round = |word: &str| match word.parse::<f64>() {
        Ok(number) if word.contains('.') => {
            let digits = format!("{number:.*e}", DIGITS - 1).parse::<f64>().unwrap_or(number);
            serde_json::json!(digits).to_string()
        }
        _ => word.to_owned(),
    };
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_number) {
        let end = rest[start..].find(|letter| !is_of_number(letter)).map_or(rest.len(), |end| start + end);
        found.push_str(&rest[..start]);
        found.push_str(&round(&rest[start..end]));
        rest = &rest[end..];
    }
    found + rest
}
