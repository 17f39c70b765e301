//! Tests of [`super`]: files in every form.

use super::*;

fn file(text: &str) -> anyhow::Result<CaptionFile> {
    file_named("captions.json", text)
}

fn file_named(name: &str, text: &str) -> anyhow::Result<CaptionFile> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    read(&path)
}

fn pairs(references: &str, predictions: &str) -> Result<(Vec<Pair>, usize), CaptionFileError> {
    pair(&file(references).unwrap(), &file(predictions).unwrap())
}

const COCO: &str = r#"{"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
    "annotations": [{"image_id": 7, "id": 1, "caption": "one"}, {"image_id": 8, "id": 2, "caption": "two"},
                    {"image_id": 7, "id": 3, "caption": "uno"}]}"#;

#[test]
fn all_forms_of_references_and_predictions_meet() {
    let expected = |said_of: [&str; 2]| {
        let pair = |image: &str, said_of: &str, caption: &str, references: &[&str]| Pair {
            image: image.to_owned(),
            said_of: said_of.to_owned(),
            caption: caption.to_owned(),
            references: references.iter().map(|text| (*text).to_owned()).collect(),
        };
        vec![pair("7", said_of[0], "x", &["one", "uno"]), pair("8", said_of[1], "y", &["two"])]
    };
    let mapping = r#"{"7": ["one", "uno"], "8": "two"}"#;
    for references in [COCO, mapping] {
        for predictions in [
            r#"[{"image_id": 8, "caption": "y"}, {"image_id": 7, "caption": "x"}]"#,
            r#"{"7": "x", "8": ["y"]}"#,
        ] {
            assert_eq!(pairs(references, predictions).unwrap(), (expected(["7", "8"]), 0));
        }
    }
    assert_eq!(pairs(COCO, r#"{"b.jpg": "y", "a.jpg": "x"}"#).unwrap().0, expected(["a.jpg", "b.jpg"]));
}

#[test]
fn what_sweep_caption_prints_meets_references_by_file_name_where_that_is_unambiguous() {
    let references = r#"{"a.jpg": "one", "x/b.jpg": "two", "y/b.jpg": "three"}"#;
    let said =
        |image: &str| format!(r#"[{{"image": "{image}", "caption": "c", "token_ids": [1], "score": -0.5}}]"#);
    for (image, expected) in [("photos/a.jpg", "a.jpg"), ("a.jpg", "a.jpg"), ("x/b.jpg", "x/b.jpg")] {
        let (pairs, missing) = pairs(references, &said(image)).unwrap();
        assert_eq!((pairs[0].image.as_str(), pairs.len(), missing), (expected, 1, 2));
    }
    let message = pairs(references, &said("photos/b.jpg")).unwrap_err().to_string();
    assert!(message.contains("\"photos/b.jpg\" may be any of 2 images of the references: x/b.jpg, y/b.jpg"));
    let twice = r#"[{"image": "p/a.jpg", "caption": "c"}, {"image": "q/a.jpg", "caption": "d"}]"#;
    assert_eq!(pairs(references, twice).unwrap_err().to_string(), "predictions: \"a.jpg\" occurs twice");
    let coco = r#"[{"image": "photos/b.jpg", "caption": "y"}]"#;
    assert_eq!(pairs(COCO, coco).unwrap().0[0].image, "8");
}

#[test]
fn the_predictions_of_a_run_are_scored_on_the_split_that_the_references_are_of() {
    let lines = concat!(
        r#"{"image": "v.png", "split": "validation", "caption": "a", "references": ["x"]}"#,
        "\n\n",
        r#"{"image": "t.png", "split": "test", "caption": "b", "references": ["y"]}"#,
        "\n"
    );
    let predictions = file_named("predictions.jsonl", lines).unwrap();
    let scored = |references: &str| pair(&file(references).unwrap(), &predictions);
    assert_eq!(scored(r#"{"t.png": "y"}"#).unwrap().0[0].caption, "b");
    assert_eq!(scored(r#"{"t.png": "y", "v.png": "x"}"#).unwrap().0.len(), 2);
    let message = scored(r#"{"u.png": "y"}"#).unwrap_err().to_string();
    assert_eq!(message, "no references for 2 of 2 predictions: t.png, v.png");
    let message =
        file_named("x.jsonl", "{\"image\": \"a\", \"caption\": \"b\"}\n{}").unwrap_err().to_string();
    assert!(message.contains("x.jsonl:2:2: missing field") && message.contains("hint: "), "{message}");
}

#[test]
fn what_does_not_fit_together_is_refused_by_name() {
    let message = |references, predictions| pairs(references, predictions).unwrap_err().to_string();
    assert_eq!(
        message(r#"{"a": "x"}"#, r#"{"b": "y", "c": "z", "a": "x"}"#),
        "no references for 2 of 3 predictions: b, c"
    );
    assert_eq!(message(COCO, r#"{"7": "x", "a.jpg": "x"}"#), "predictions: \"7\" occurs twice");
    assert_eq!(message(COCO, r#"{"7": ["x", "y"]}"#), "predictions: \"7\" has 2 captions; one is scored");
    assert_eq!(pairs(COCO, r#"{"7": "x"}"#).unwrap().1, 1);
}

#[test]
fn a_file_of_no_known_form_is_refused_with_the_forms() {
    let null = file(r#"[{"image_id": null, "caption": "x"}]"#).unwrap_err().to_string();
    assert!(null.ends_with("captions.json: image_id: null is neither a number nor a name"), "{null}");
    for text in [r#"[{"image": 1}]"#, r#"{"a": 1}"#, "", "[1"] {
        let message = file(text).unwrap_err().to_string();
        assert!(message.contains("captions.json") && message.contains("hint: "), "{text}: {message}");
    }
    assert!(read(Path::new("no/such.json")).unwrap_err().to_string().contains("no/such.json: cannot read"));
}
