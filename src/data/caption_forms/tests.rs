//! Tests of [`super`]: files in every form, read and written.

use std::fs;

use proptest::prelude::*;

use super::write;
use super::*;
use crate::data::captions::{Entry, MAX_CHARACTERS};

fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn read_as(name: &str, text: &str) -> Vec<Entry> {
    let (_folder, path) = file(name, text.as_bytes());
    read(&path, &Columns::default()).unwrap_or_else(|error| panic!("{error}")).entries
}

fn refused(name: &str, text: &str) -> String {
    let (folder, path) = file(name, text.as_bytes());
    let message = read(&path, &Columns::default()).unwrap_err().to_string();
    message.replace(&format!("{}/", folder.path().display()), "")
}

fn entry(image: &str, captions: &[&str]) -> Entry {
    Entry { image: image.to_owned(), captions: captions.iter().map(|text| (*text).to_owned()).collect() }
}

#[test]
fn every_form_says_the_same() {
    let expected = [entry("b.jpg", &["two", "deux, \"ici\""]), entry("a/a.jpg", &["one"])];
    let forms = [
        ("x.json", r#"{"b.jpg": ["two", "deux, \"ici\""], "a/a.jpg": "one"}"#),
        (
            "x.json",
            r#"[{"image": "b.jpg", "caption": "two"}, {"file_name": "a/a.jpg", "text": "one", "split": 3},
                {"image": "b.jpg", "caption": "deux, \"ici\""}]"#,
        ),
        (
            "x.json",
            r#"{"info": {"year": 2017}, "images": [{"id": 9, "file_name": "a/a.jpg", "height": 4}, {"id": "x", "file_name": "b.jpg"},
                {"id": 10, "file_name": "unsaid.jpg"}], "annotations": [{"id": 1, "image_id": "x", "caption": "two"},
                {"id": 2, "image_id": 9, "caption": "one"}, {"image_id": "x", "caption": "deux, \"ici\""}]}"#,
        ),
        (
            "x.jsonl",
            "{\"file_name\": \"b.jpg\", \"captions\": [\"two\", \"deux, \\\"ici\\\"\"]}\r\n\n{\"file_name\": \"a/a.jpg\", \"caption\": \"one\"}",
        ),
        (
            "lines.json",
            "{\"file_name\": \"b.jpg\", \"text\": [\"two\", \"deux, \\\"ici\\\"\"]}\n{\"file_name\": \"a/a.jpg\", \"text\": \"one\"}\n",
        ),
        (
            "x.csv",
            "\u{feff}file_name,caption\r\nb.jpg,two\r\n\r\na/a.jpg,one\r\nb.jpg,\"deux, \"\"ici\"\"\"\r\n",
        ),
        ("x.csv", "n; Caption ;image\n1;two;b.jpg\n2;one;a/a.jpg\n3;\"deux, \"\"ici\"\"\";b.jpg"),
        ("x.tsv", "image\ttext\nb.jpg\ttwo\nb.jpg\tdeux, \"ici\"\na/a.jpg\tone\n"),
    ];
    for (name, text) in forms {
        assert_eq!(read_as(name, text), expected, "{name}: {text}");
    }
}

#[test]
fn a_folder_says_its_captions_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let read = || read(folder.path(), &Columns::default());
    let message = read().unwrap_err().to_string();
    assert!(
        message.contains("a folder without metadata.jsonl or metadata.csv\nhint: a folder of images"),
        "{message}"
    );
    fs::write(folder.path().join("metadata.csv"), "file_name,text\na.png,of the table\n").unwrap();
    assert_eq!(read().unwrap().entries, [entry("a.png", &["of the table"])]);
    fs::write(folder.path().join("metadata.jsonl"), r#"{"file_name": "a.png", "text": "of the lines"}"#)
        .unwrap();
    assert_eq!(read().unwrap().entries, [entry("a.png", &["of the lines"])]);
}

#[test]
fn columns_of_other_names_are_read_where_they_are_named() {
    let columns = Columns { image: Some("photo".to_owned()), caption: Some("description".to_owned()) };
    let expected = [entry("a.jpg", &["blue"])];
    for (name, text) in [
        ("x.csv", "photo,caption,description\na.jpg,no,blue\n"),
        ("x.jsonl", r#"{"photo": "a.jpg", "caption": "no", "description": "blue"}"#),
        ("x.json", r#"[{"photo": "a.jpg", "caption": "no", "description": ["blue"]}]"#),
    ] {
        let (_folder, path) = file(name, text.as_bytes());
        assert_eq!(read(&path, &columns).unwrap().entries, expected, "{name}");
    }
}

#[test]
fn a_quoted_cell_may_go_over_lines_which_count() {
    assert_eq!(
        read_as("x.csv", "file_name,caption\na.jpg,\"one\r\ntwo\"\n"),
        [entry("a.jpg", &["one\r\ntwo"])]
    );
    let message = refused("x.csv", "file_name,caption\na.jpg,\"one\n\ntwo\"\nb.jpg\n");
    assert!(message.starts_with("x.csv:5: the row has 1 cells and the first row 2;"), "{message}");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let cases = [
        ("x.csv", "", "x.csv: the table is empty"),
        (
            "x.csv",
            "name,description\n",
            "x.csv:1: it has no image (`file_name`, `image`, `filename`, `file`, `image_id`); it has `name`, `description`",
        ),
        (
            "x.csv",
            "image,words\n",
            "x.csv:1: it has no caption (`caption`, `captions`, `text`, `texts`); it has `image`, `words`",
        ),
        ("x.csv", "image,caption\na,\"b", "x.csv:2: a cell begins with a quote that nothing closes"),
        ("x.csv", "image,caption\na,\"b\"c", "x.csv:2: text follows a cell in quotes"),
        ("x.csv", "image,caption\n,b", "x.csv:2: the row names no image"),
        ("x.csv", "image,caption\na,b\na,b,c", "x.csv:3: the row has 3 cells and the first row 2"),
        (
            "x.jsonl",
            "{\"image\": \"a\", \"caption\": \"b\"}\n{\"image\": \"a\"}",
            "x.jsonl:2: it has no caption (`caption`, `captions`, `text`, `texts`); it has `image`",
        ),
        ("x.jsonl", "\n{\"image\": \"a\",", "x.jsonl:2:14: EOF"),
        ("x.jsonl", "[1]", "x.jsonl:1:0: invalid type: sequence"),
        (
            "x.jsonl",
            "{\"image\": [1], \"caption\": \"b\"}",
            "x.jsonl:1: `image`: a list is neither a name nor a number",
        ),
        (
            "x.jsonl",
            "{\"image\": \"a\", \"caption\": 7}",
            "x.jsonl:1: \"a\": `caption` is 7; it must be a caption or a list",
        ),
        (
            "x.json",
            "[{\"image\": \"a\", \"caption\": [\"b\", {}]}]",
            "x.json:1:38: \"a\": `caption` has an object among",
        ),
        ("x.json", "[{\"image\": \"a\", \"caption\": \"b\"}] 7", "x.json:1:34: trailing characters"),
        ("x.json", "{\"annotations\": [{\"image_id\": 1}]}", "x.json:1:32: missing field `caption`"),
        (
            "x.json",
            "{\"images\": [], \"annotations\": [{\"image_id\": 1, \"caption\": \"b\"}]}",
            "x.json: annotations[0]: image_id 1 is none of `images`",
        ),
        (
            "x.json",
            "{\"images\": [{\"id\": 1, \"file_name\": \"a\"}, {\"id\": \"1\", \"file_name\": \"b\"}], \"annotations\": [{}]}",
            "x.json:1:",
        ),
        ("x.parquet", "PAR1", "x.parquet: images and captions in Parquet are unpacked"),
    ];
    for (name, text, start) in cases {
        let message = refused(name, text);
        assert!(message.starts_with(start) && message.contains("\nhint: "), "{message}");
    }
    let (_folder, path) = file("x.csv", b"image,caption\na,b\nc,\xff\n");
    assert!(read(&path, &Columns::default()).unwrap_err().to_string().contains("x.csv:3: it is not UTF-8"));
}

#[test]
fn captions_beyond_the_bounds_are_refused_in_every_form() {
    let long = "x".repeat(MAX_CHARACTERS + 1);
    for (name, text) in [
        ("x.csv", format!("image,caption\na,{long}\n")),
        ("x.jsonl", format!("{{\"image\": \"a\", \"caption\": \"{long}\"}}")),
        ("x.json", format!("[{{\"image\": \"a\", \"caption\": \"{long}\"}}]")),
        (
            "x.json",
            format!(
                "{{\"images\": [{{\"id\": 1, \"file_name\": \"a\"}}], \"annotations\": [{{\"image_id\": 1, \"caption\": \"{long}\"}}]}}"
            ),
        ),
    ] {
        let message = refused(name, &text);
        assert!(message.contains("the caption has 10001 characters; at most 10000 are read"), "{message}");
    }
    let wide = format!("{}\n", ",".repeat(20_000));
    assert!(refused("x.csv", &wide).starts_with("x.csv:1: the row has more than 10000 cells"));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        texts in prop::collection::vec(prop::collection::vec("[ -~\u{e9}\u{1F600}\n\r\t]{1,20}", 0..3), 1..6)
    ) {
        let entries: Vec<Entry> = texts
            .into_iter()
            .enumerate()
            .map(|(index, captions)| Entry { image: format!("{index}, \"x\".png"), captions })
            .collect();
        let files = [
            ("a.json", write::mapping(&entries, false).unwrap()),
            ("b.json", write::mapping(&entries, true).unwrap()),
            ("c.jsonl", write::lines(&entries).unwrap()),
            ("d.csv", write::table(&entries, ',')),
            ("e.tsv", write::table(&entries, '\t')),
        ];
        for (name, text) in files {
            let (_folder, path) = file(name, &text);
            prop_assert_eq!(&read(&path, &Columns::default()).unwrap().entries, &entries, "{}", name);
        }
        let said: Vec<Entry> = entries.into_iter().filter(|entry| !entry.captions.is_empty()).collect();
        let (_folder, path) = file("f.json", &write::coco(&said, &[Some((3, 4))]).unwrap());
        if !said.is_empty() {
            prop_assert_eq!(&read(&path, &Columns::default()).unwrap().entries, &said);
        }
    }
}
