//! The whole way by the example runs: the page, two people who fill it in, the report on what they say.

use std::fs;
use std::path::{Path, PathBuf};

use polars::prelude::{ParquetReader, SerReader};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::RatingFile;
use crate::report::example_runs::write_example_runs;
use crate::report::tables::schema::RATINGS;
use crate::report::write::Options;
use crate::report::write::{Written, write};

fn example() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_example_runs(folder.path()).unwrap();
    folder
}

fn report(folder: &Path, options: &Options) -> Written {
    write(&folder.join("runs"), &folder.join("reports"), options).unwrap().remove(0)
}

/// The rating page and its data.
fn sheet(folder: &Path, pictures: usize) -> (String, Value) {
    let written = report(folder, &Options { pictures: Some(pictures), ..Options::default() });
    let page = fs::read_to_string(written.rating.unwrap()).unwrap();
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data = serde_json::from_str(data).unwrap();
    (page, data)
}

/// What somebody exports who finds the second system accurate (with `doubts` on every so many pictures) and prefers it.
fn filled_in(folder: &Path, sheet: &Value, rater: &str, doubts: usize) -> PathBuf {
    let (mut ratings, mut preferences) = (Vec::new(), Vec::new());
    for (place, picture) in sheet["pictures"].as_array().unwrap().iter().enumerate() {
        let is_doubtful = place.is_multiple_of(doubts);
        for caption in picture["captions"].as_array().unwrap() {
            let system = caption["system"].as_u64().unwrap();
            let accuracy = if system == 0 { 1 } else { 5 - u64::from(is_doubtful) };
            ratings.push(json!({"image": picture["image"], "system": sheet["systems"][system as usize],
                "accuracy": accuracy, "fluency": 4, "caption": caption["text"]}));
        }
        let preferred = if is_doubtful { Value::Null } else { sheet["systems"][1].clone() };
        preferences.push(json!({"image": picture["image"], "preferred": preferred}));
    }
    let path = folder.join(format!("{rater}.json"));
    let content = json!({"v": 1, "sweep": sheet["sweep"], "page": sheet["page"], "rater": rater,
        "systems": sheet["systems"], "ratings": ratings, "preferences": preferences});
    fs::write(&path, content.to_string()).unwrap();
    path
}

fn with_files(folder: &Path, paths: &[PathBuf]) -> Written {
    let files = paths.iter().map(|path| RatingFile::read(path).unwrap()).collect();
    report(folder, &Options { ratings: files, ..Options::default() })
}

#[test]
fn the_page_shows_zero_shot_and_the_best_run_with_pictures_and_is_the_same_when_made_again() {
    let folder = example();
    let (page, data) = sheet(folder.path(), 40);
    assert_eq!((data["sweep"].as_str(), data["pictures"].as_array().unwrap().len()), (Some("unfreeze"), 40));
    assert_eq!(data["systems"].as_array().unwrap().len(), 2);
    for picture in data["pictures"].as_array().unwrap() {
        assert!(picture["url"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
        let of_zero_shot =
            picture["captions"].as_array().unwrap().iter().find(|caption| caption["system"] == 0).unwrap();
        assert_eq!(of_zero_shot["text"], "a brown car and a black tree on the snow");
    }
    assert_eq!(sheet(folder.path(), 40).0, page);
    assert_eq!(sheet(folder.path(), 7).1["pictures"].as_array().unwrap().len(), 7);
    assert_eq!(sheet(folder.path(), 500).1["pictures"].as_array().unwrap().len(), 128);
}

#[test]
fn a_report_says_what_people_say() {
    let folder = example();
    let (_, sheet) = sheet(folder.path(), 20);
    let raters =
        [("Ann", 4), ("Bob", 5)].map(|(name, doubts)| filled_in(folder.path(), &sheet, name, doubts));
    let written = with_files(folder.path(), &raters);
    assert_eq!(written.left_out, [""; 0]);
    let page = fs::read_to_string(&written.page).unwrap();
    for sentence in [
        "<h2>Human evaluation</h2>",
        "2 raters judged captions of 20 images",
        "On the same images #1, compared with zero-shot, is more accurate (+3.775, 95 % interval ",
        "not clearly more or less fluent (+0.000",
        "Krippendorff&#39;s alpha is 0.",
        "not defined for fluency",
    ] {
        assert!(page.contains(sentence), "the page does not say: {sentence}");
    }
    let people = serde_json::to_value(&written.content).unwrap()["people"].take();
    assert_eq!((&people["raters"], &people["systems"][0]["label"]), (&2.into(), &"zero-shot".into()));
    assert_eq!(people["systems"][1]["accuracy"]["estimate"], 4.775);
    let correlation = people["metrics"][0]["correlation"]["estimate"].as_f64().unwrap();
    assert!(correlation > 0.5, "the better system has the better scores: {correlation}");
}

#[test]
fn every_rating_is_in_the_tables_and_every_column_is_explained() {
    let folder = example();
    let (_, sheet) = sheet(folder.path(), 5);
    let written = with_files(folder.path(), &[filled_in(folder.path(), &sheet, "Ann", 2)]);
    let files: Vec<&String> = written.content.files.iter().filter(|file| file.contains("ratings.")).collect();
    assert_eq!(files.len(), 2);
    let frame = ParquetReader::new(fs::File::open(files[1]).unwrap()).finish().unwrap();
    assert_eq!((frame.height(), fs::read_to_string(files[0]).unwrap().lines().count()), (10, 11));
    let explained: Vec<&str> = RATINGS.iter().flat_map(|meaning| meaning.columns.split(' ')).collect();
    let columns: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
    assert!(columns.iter().all(|column| explained.contains(&column.as_str())), "{columns:?}");
    assert_eq!(columns.len(), explained.len());
    let page = fs::read_to_string(&written.page).unwrap();
    assert!(page.contains("With one rater there is no agreement to measure"));
}

#[test]
fn what_cannot_be_used_is_said_and_a_file_about_another_sweep_is_refused() {
    let folder = example();
    let (_, sheet) = sheet(folder.path(), 5);
    let path = filled_in(folder.path(), &sheet, "Ann", 2);
    let zero_shot = sheet["systems"][0].as_str().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(zero_shot, "<b>nobody")).unwrap();
    let written = with_files(folder.path(), std::slice::from_ref(&path));
    assert!(
        written.left_out[0].contains("Ann.json: what is rated of `<b>nobody` is left out"),
        "{:?}",
        written.left_out
    );
    let page = fs::read_to_string(&written.page).unwrap();
    assert!(page.contains("`&#60;b&#62;nobody`") && page.contains("id=\"people\""));
    fs::write(&path, text.replace("\"sweep\":\"unfreeze\"", "\"sweep\":\"other\"")).unwrap();
    let options = Options { ratings: vec![RatingFile::read(&path).unwrap()], ..Options::default() };
    let error =
        write(&folder.path().join("runs"), &folder.path().join("reports"), &options).unwrap_err().to_string();
    assert!(
        error.contains("the sweep `other`, which is not reported here\nhint: there is `unfreeze`"),
        "{error}"
    );
}

#[test]
fn without_pictures_there_is_no_page_and_the_report_says_why() {
    let folder = example();
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    let written = report(folder.path(), &Options { pictures: Some(5), ..Options::default() });
    assert_eq!(written.rating, None);
    assert!(written.left_out[0].starts_with("No page to rate captions: "), "{:?}", written.left_out);
}
