//! Captions that nothing can be trained on or scored against.

use std::fs;

use super::{Case, Spoil, case, check, own_data};
use crate::workdir::Workdir;

/// Training captions of this text.
fn train(workdir: &Workdir, text: &str) {
    workdir.file("train.json", text);
}

/// Training captions in a table of this text.
fn table(workdir: &Workdir, text: &str) {
    workdir.replace("s.yaml", "train.json", "train.csv");
    workdir.file("train.csv", text);
}

/// A caption of this text for one of three pictures.
fn caption(workdir: &Workdir, caption: &str) {
    let captions = serde_json::json!({"a.png": caption, "b.png": "a green tree", "c.png": "a house"});
    train(workdir, &captions.to_string());
}

/// An image of this name among two others.
fn image(workdir: &Workdir, name: &str) {
    let captions = serde_json::json!({name: "a red ball", "b.png": "a green tree", "c.png": "a house"});
    train(workdir, &captions.to_string());
}

/// Validation by captions of its own, of this text.
fn own_validation(workdir: &Workdir, text: &str) {
    workdir.replace("s.yaml", "{fraction: 0.34, seed: 1}", "{captions: validation.json}");
    workdir.file("validation.json", text);
}

/// Captions of a data set, checked before anything is trained.
const DATA: &[Case] = &[
    case("no such file", "audit s.yaml", |dir| dir.remove("train.json")),
    case("empty", "audit s.yaml", |dir| train(dir, "")),
    case("no JSON", "audit s.yaml", |dir| train(dir, "image,caption\na.png,a red ball\n")),
    case("a table in another form", "audit s.yaml", |dir| {
        train(dir, "[{\"file_name\": \"a.png\", \"words\": \"a red ball\"}]");
    }),
    case("a table whose row has a cell too many", "audit s.yaml", |dir| {
        table(dir, "file_name,caption\na.png,a red ball\nb.png,a green tree, a large one\n");
    }),
    case("a table whose quote is never closed", "audit s.yaml", |dir| {
        table(dir, &format!("file_name,caption\na.png,\"{}", "a red ball\n".repeat(100_000)));
    }),
    case("a table of a million commas", "audit s.yaml", |dir| table(dir, &",".repeat(1_000_000))),
    case("a table that is not UTF-8", "audit s.yaml", |dir| {
        table(dir, "");
        dir.bytes("train.csv", b"file_name,caption\na.png,caf\xe9\n");
    }),
    case("lines of which one is torn", "audit s.yaml", |dir| {
        dir.replace("s.yaml", "train.json", "train.jsonl");
        dir.file("train.jsonl", "{\"file_name\": \"a.png\", \"text\": \"a ball\"}\n{\"file_name\": \"b.p");
    }),
    case("COCO without the image that is meant", "audit s.yaml", |dir| {
        train(
            dir,
            r#"{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 2, "caption": "x"}]}"#,
        );
    }),
    case("Parquet", "audit s.yaml", |dir| {
        dir.replace("s.yaml", "train.json", "train.parquet");
        dir.file("train.parquet", "PAR1");
    }),
    case("a number for a caption", "audit s.yaml", |dir| train(dir, "{\"a.png\": \"x\",\n \"b.png\": 7}")),
    case("cut off", "audit s.yaml", |dir| train(dir, "{\"a.png\": \"a red b")),
    case("line ends of Windows and a byte order mark, which are read over", "audit s.yaml", |dir| {
        train(
            dir,
            "\u{feff}{\r\n\"a.png\": \"a red ball\",\r\n\"b.png\": \"a tree\",\r\n\"c.png\": \"x\"}\r\n",
        );
    }),
    case("a zero byte", "audit s.yaml", |dir| train(dir, "{\"a.png\": \"a red\0ball\"}")),
    case("an escaped zero, which is a letter like others", "audit s.yaml", |dir| caption(dir, "a red\0ball")),
    case("not UTF-8", "audit s.yaml", |dir| dir.bytes("train.json", b"{\"a.png\": \"caf\xe9\"}")),
    case("half of a surrogate pair", "audit s.yaml", |dir| train(dir, r#"{"a.png": "\ud800"}"#)),
    case("ten thousand lists in each other", "audit s.yaml", |dir| {
        train(dir, &format!("{{\"a.png\": {}", "[".repeat(10_000)));
    }),
    case("a caption of a megabyte", "audit s.yaml", |dir| caption(dir, &"a red ball ".repeat(95_000))),
    case("a caption of a megabyte among others", "audit s.yaml", |dir| {
        let captions = serde_json::json!({"a.png": ["a ball", "x".repeat(1_000_000)]});
        train(dir, &captions.to_string());
    }),
    case("the longest captions that are read", "audit s.yaml", |dir| {
        let long = |word: &str| word.repeat(2500);
        let captions =
            serde_json::json!({"a.png": long("a b "), "b.png": long("b a "), "c.png": long("c d ")});
        train(dir, &captions.to_string());
    }),
    case("more than a million captions", "audit s.yaml", |dir| {
        let entries: Vec<String> = (0..1_000_001).map(|n| format!("\"{n}\":\"x\"")).collect();
        train(dir, &format!("{{{}}}", entries.join(",")));
    }),
    case("an empty caption, a blank one and none", "audit s.yaml", |dir| {
        train(dir, r#"{"a.png": "", "b.png": " \n\t\u00a0", "c.png": [], "d.png": ["x", ""]}"#);
    }),
    case("only words that the model has not", "audit s.yaml", |dir| {
        train(dir, r#"{"a.png": "猫 ☃", "b.png": "😀😀", "c.png": "ж"}"#);
    }),
    case("a file name that is there twice", "audit s.yaml", |dir| {
        train(dir, r#"{"a.png": "a red ball", "b.png": "a tree", "a.png": "a red ball"}"#);
    }),
    case("an image that is not there", "audit s.yaml", |dir| image(dir, "z.png")),
    case("an image whose name has the other form of an accent", "audit s.yaml", |dir| {
        image(dir, "cafe\u{301}.png");
        fs::copy(dir.path().join("images/a.png"), dir.path().join("images/caf\u{e9}.png")).unwrap();
    }),
    case("no captions", "audit s.yaml", |dir| train(dir, "{}")),
    case("one caption, of which a third is for validation", "audit s.yaml", |dir| {
        train(dir, r#"{"a.png": "a red ball"}"#);
    }),
    case(
        "validation with fewer images than a batch has",
        "audit s.yaml training.batch_size=64 evaluation.batch_size=64",
        |dir| {
            own_validation(dir, r#"{"d.png": "a ball"}"#);
        },
    ),
    case("validation without captions", "audit s.yaml", |dir| own_validation(dir, "{}")),
    case("an image above the folder", "audit s.yaml", |dir| image(dir, "../images/a.png")),
    case("an image from the root", "audit s.yaml", |dir| image(dir, "/etc/passwd")),
    case("an image of no name", "audit s.yaml", |dir| image(dir, "")),
    case("an image that is the folder", "audit s.yaml", |dir| image(dir, ".")),
    case("a link out of the folder", "audit s.yaml", |dir| {
        dir.bytes("secret.png", &fs::read(dir.path().join("images/a.png")).unwrap());
        dir.link("images/a.png", "../secret.png");
    }),
    case("a folder that is a link out of the folder", "audit s.yaml", |dir| {
        dir.file("elsewhere/a.png", "");
        dir.link("images/sub", "../elsewhere");
        image(dir, "sub/a.png");
    }),
    case("a link within the folder, which is followed", "audit s.yaml", |dir| {
        dir.link("images/again.png", "a.png");
        image(dir, "again.png");
    }),
    case("an image whose name has line breaks and steers the terminal", "audit s.yaml", |dir| {
        image(dir, "a\nerror: all is well\u{1b}[2J.png");
    }),
    case("an image whose name has a zero byte", "audit s.yaml", |dir| image(dir, "a\0.png")),
    case("an image whose name has a megabyte", "audit s.yaml", |dir| image(dir, &"x".repeat(1_000_000))),
    case("a gigabyte", "audit s.yaml", |dir| dir.hollow("train.json", 1 << 30)),
    case("a folder", "audit s.yaml", |dir| dir.folder("train.json")),
    case("a pipe", "audit s.yaml", |dir| dir.pipe("train.json")),
    case("a device without end", "audit s.yaml", |dir| dir.link("train.json", "/dev/zero")),
    case("a link to itself", "audit s.yaml", |dir| dir.link("train.json", "train.json")),
    case("no folder of images", "audit s.yaml", |dir| dir.remove("images")),
    case("a file for the folder of images", "audit s.yaml", |dir| dir.bytes("images", b"")),
    case("a folder of images that is a link to itself", "audit s.yaml", |dir| dir.link("images", "images")),
    case("all that is wrong, before anything starts", "run s.yaml", |dir| {
        train(dir, r#"{"a.png": "", "../b.png": "x", "z.png": "x", "c.png": "x", "c.png": "x"}"#);
        dir.bytes("images/c.png", b"no picture");
        dir.file("test.json", "[]");
    }),
];

/// Files to be scored.
const SCORED: &[Case] = &[
    case("no such file", SCORE, |dir| dir.remove("said.json")),
    case("empty", SCORE, |dir| dir.bytes("said.json", b"")),
    case("a column that is missing", SCORE, |dir| said(dir, r#"[{"image_id": 1}]"#)),
    case("a column of another type", SCORE, |dir| said(dir, r#"[{"image_id": 1, "caption": 7}]"#)),
    case("an id that is a list", SCORE, |dir| said(dir, r#"[{"image_id": [1], "caption": "x"}]"#)),
    case("lines with a column missing", "score --references true.json --predictions said.jsonl", |dir| {
        dir.file("said.jsonl", "{\"image\": \"a\", \"caption\": \"a red ball\"}\r\n{\"image\": \"b\"}\r\n");
    }),
    case("a line that is torn", "score --references true.json --predictions said.jsonl", |dir| {
        dir.file("said.jsonl", "{\"image\": \"a\", \"caption\": \"a red ball\"}\n{\"image\": \"b\", \"capt");
    }),
    case("annotations without captions", "score --references coco.json --predictions said.json", |dir| {
        dir.file("coco.json", r#"{"annotations": [{"image_id": 1}]}"#);
    }),
    case("two captions for an image", SCORE, |dir| said(dir, r#"{"a": ["x", "y"]}"#)),
    case("an image twice", SCORE, |dir| {
        said(dir, r#"[{"image": "a", "caption": "x"}, {"image": "a", "caption": "y"}]"#);
    }),
    case("images that have no references", SCORE, |dir| said(dir, r#"{"z": "a red ball"}"#)),
    case("a caption of a megabyte", SCORE, |dir| {
        said(dir, &format!("{{\"a\": \"{}\"}}", "a ".repeat(500_000)))
    }),
    case("a caption of a megabyte in a list", SCORE, |dir| {
        said(dir, &format!("[{{\"image\": \"a\", \"caption\": \"{}\"}}]", "a ".repeat(500_000)));
    }),
    case("the longest captions that are read, on both sides", SCORE, |dir| {
        said(dir, &format!("{{\"a\": \"{}\"}}", "a b ".repeat(2500)));
        dir.file("true.json", &format!("{{\"a\": \"{}\"}}", "b a ".repeat(2500)));
    }),
    case("ten thousand lists in each other", SCORE, |dir| said(dir, &"[".repeat(10_000))),
    case("a gigabyte", SCORE, |dir| dir.hollow("said.json", 1 << 30)),
    case("a folder", SCORE, |dir| dir.folder("said.json")),
    case("a pipe", SCORE, |dir| dir.pipe("said.json")),
    case("a device without end", "score --references true.json --predictions /dev/zero", |_| {}),
];

const SCORE: &str = "score --references true.json --predictions said.json";

fn said(workdir: &Workdir, text: &str) {
    workdir.file("said.json", text);
}

fn to_be_scored() -> Workdir {
    let workdir = Workdir::new();
    workdir.file("true.json", r#"{"a": "a red ball", "b": "a green tree"}"#);
    workdir.file("said.json", r#"{"a": "a red ball"}"#);
    workdir
}

#[test]
fn captions_that_are_wrong_cost_one_message_with_file_and_image() {
    check("captions", DATA, own_data);
}

#[test]
fn captions_that_cannot_be_scored_cost_one_message() {
    check("captions_to_score", SCORED, to_be_scored);
}

#[test]
fn an_image_that_trains_and_validates_is_said_to_leak() {
    let workdir = own_data();
    own_validation(&workdir, r#"{"a.png": "a red ball", "d.png": "a blue ball"}"#);
    let output = workdir.command("audit s.yaml").output().unwrap();
    let audit = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(audit.contains("a.png"), "{audit}");
}
