//! Tests of [`super`]: whole data sets in folders of their own.

use serde_json::json;

use super::*;

/// A folder with captions files and one-pixel images, removed at the end.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("images")).unwrap();
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn captions(&self, file: &str, captions: serde_json::Value) -> Split {
        fs::write(self.path(file), captions.to_string()).unwrap();
        Split { captions: self.path(file), images: self.path("images") }
    }

    fn images(&self, names: &[&str]) {
        for (index, name) in names.iter().enumerate() {
            let shade = u8::try_from(index).unwrap();
            let picture = image::RgbImage::from_pixel(1, 1, image::Rgb([shade; 3]));
            picture.save(self.0.path().join("images").join(name)).unwrap();
        }
    }

    fn load(&self, files: &DataFiles) -> Result<Dataset, String> {
        let place = fs::canonicalize(self.0.path()).unwrap().display().to_string();
        let given = self.0.path().display().to_string();
        let shown = |error: DataError| error.to_string().replace(&place, "DIR").replace(&given, "DIR");
        Dataset::load(files).map_err(shown)
    }
}

fn fraction(fraction: f64) -> Validation {
    Validation { fraction: Some(fraction), ..Validation::default() }
}

fn only_train(train: Split, validation: Validation) -> DataFiles {
    DataFiles { train, validation, test: None, source: None }
}

fn names(examples: &[Example]) -> Vec<&str> {
    examples.iter().map(|example| example.image.as_str()).collect()
}

#[test]
fn the_validation_fraction_is_split_off_as_the_original_study_did() {
    let folder = Folder::new();
    let all = ["0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "6.png", "7.png", "8.png", "9.png"];
    folder.images(&all);
    // Not in the order of the alphabet: the order of the file counts.
    let entries: Vec<String> = all.iter().map(|name| format!("{name:?}: \"caption of {name}\"")).collect();
    fs::write(folder.path("train.json"), format!("{{{}}}", entries.join(","))).unwrap();
    let train = Split { captions: folder.path("train.json"), images: folder.path("images") };
    let data = folder.load(&only_train(train, fraction(0.29))).unwrap();
    // random.seed(42); random.shuffle(list(range(10))) -> 7 3 2 8 5 6 9 4 0 1, of which int(2.9) are taken.
    assert_eq!(names(&data.validation), ["0.png", "1.png"]);
    let rest = ["7.png", "3.png", "2.png", "8.png", "5.png", "6.png", "9.png", "4.png"];
    assert_eq!(names(&data.train), rest);
    assert_eq!(data.train[0].captions, ["caption of 7.png"]);
    assert!(data.test.is_empty() && data.source.is_empty() && data.warnings.is_empty());
}

#[test]
fn pictures_of_one_group_validate_together_and_training_captions_know_it() {
    let folder = Folder::new();
    let all: Vec<String> = (0..12).map(|n| format!("id{}_{}.png", n / 3, n % 3)).collect();
    folder.images(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let captions: serde_json::Map<String, serde_json::Value> =
        all.iter().map(|name| (name.clone(), json!(format!("caption of {name}")))).collect();
    let train = folder.captions("train.json", captions.into());
    let validation = |group: &str| Validation { group: Some(group.to_owned()), ..fraction(0.2) };
    let files = only_train(train.clone(), validation(r"id\d"));
    let data = folder.load(&files).unwrap();
    assert_eq!((data.train.len(), data.validation.len()), (9, 3));
    assert!(
        data.validation.iter().all(|one| one.image[..3] == data.validation[0].image[..3])
            && data.warnings.is_empty()
    );
    let mut trained = Dataset::training_captions(&files).unwrap();
    let mut expected: Vec<String> = data.train.iter().flat_map(|one| one.captions.clone()).collect();
    trained.sort();
    expected.sort();
    assert_eq!(trained, expected);
    let data = folder.load(&only_train(train.clone(), validation("product"))).unwrap();
    assert!(data.warnings[0].contains("finds no group in any of 12 names"), "{:?}", data.warnings);
    let message = folder.load(&only_train(train.clone(), validation("id"))).unwrap_err();
    assert!(
        message.contains("train: a fraction of 0.2 by whole groups leaves none of 12 examples"),
        "{message}"
    );
    let message = folder.load(&only_train(train, validation("id("))).unwrap_err();
    assert!(message.starts_with("data.validation: group: unclosed group"), "{message}");
}

#[test]
fn splits_of_their_own_files_keep_the_order_of_the_file() {
    let folder = Folder::new();
    folder.images(&["a.png", "b.png", "c.png", "d.png"]);
    let validation = folder.captions("validation.json", json!({"b.png": ["one", "two"]}));
    let files = DataFiles {
        train: folder.captions("train.json", json!({"a.png": "x"})),
        validation: Validation {
            captions: Some(validation.captions),
            images: Some(validation.images),
            ..Validation::default()
        },
        test: Some(folder.captions("test.json", json!({"c.png": "y"}))),
        source: Some(folder.captions("source.json", json!({"d.png": "z"}))),
    };
    let data = folder.load(&files).unwrap();
    let all = data.splits().map(|(name, examples)| (name, names(examples).join(" ")));
    let expected = [("train", "a.png"), ("validation", "b.png"), ("test", "c.png"), ("source", "d.png")];
    assert_eq!(
        all.map(|(name, images)| format!("{name} {images}")),
        expected.map(|(n, i)| format!("{n} {i}"))
    );
    assert_eq!(data.validation[0].captions, ["one", "two"]);
}

#[test]
fn all_problems_of_all_splits_are_listed_in_one_error() {
    let folder = Folder::new();
    folder.images(&["a.png", "b.png"]);
    fs::write(folder.path("images/broken.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(folder.path("images/empty.png"), b"").unwrap();
    let train =
        r#"{"a.png": "x", "gone.png": "x", "b.png": " \n", "a.png": "again", "broken.png": ["x", ""]}"#;
    fs::write(folder.path("train.json"), train).unwrap();
    let files = DataFiles {
        train: Split { captions: folder.path("train.json"), images: folder.path("images") },
        validation: Validation {
            captions: Some(folder.path("no.json")),
            images: Some(folder.path("images")),
            ..Validation::default()
        },
        test: Some(folder.captions("test.json", json!({"gone.png": "x", "away.png": "x", "empty.png": []}))),
        source: Some(Split {
            captions: folder.captions("s.json", json!({})).captions,
            images: folder.path("nowhere"),
        }),
    };
    let message = folder.load(&files).unwrap_err();
    let expected = "\
11 problems with the data
  unreadable captions (1):
    DIR/no.json: cannot read the captions: No such file or directory (os error 2)
  missing images folder (1):
    source: DIR/nowhere: No such file or directory (os error 2)
  empty split (1):
    source: DIR/s.json has no entries
  file name that occurs twice (1):
    DIR/train.json: \"a.png\"
  empty caption (3):
    DIR/train.json: \"b.png\"
    DIR/train.json: \"broken.png\"
    DIR/test.json: \"empty.png\"
  missing image (2):
    DIR/images/away.png
    DIR/images/gone.png
  broken image (2):
    DIR/images/broken.png: ";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.ends_with("\n    DIR/images/empty.png: the file is empty"), "{message}");
}

#[test]
fn a_fraction_that_leaves_a_split_empty_is_refused() {
    let folder = Folder::new();
    folder.images(&["a.png", "b.png"]);
    let train = folder.captions("train.json", json!({"a.png": "x", "b.png": "y"}));
    let message = folder.load(&only_train(train, fraction(0.4))).unwrap_err();
    assert!(message.contains("validation: a fraction of 0.4 leaves none of 2 examples"), "{message}");
}

#[test]
fn validation_settings_that_contradict_each_other_are_refused() {
    let files = |captions: Option<&str>, images: Option<&str>, fraction, seed| Validation {
        captions: captions.map(str::to_owned),
        images: images.map(str::to_owned),
        fraction,
        seed,
        group: None,
    };
    let cases = [
        (files(None, None, None, Some(1)), "it says neither"),
        (files(Some("x"), None, None, None), "`captions` and `images` are needed both"),
        (files(Some("x"), Some("y"), Some(0.1), None), "fraction excludes"),
        (files(Some("x"), Some("y"), None, Some(1)), "seed has no meaning"),
        (fraction(0.0), "fraction is 0; it must lie between 0 and 1"),
        (fraction(1.0), "fraction is 1; it must lie between 0 and 1"),
        (fraction(f64::NAN), "fraction is NaN; it must lie between 0 and 1"),
    ];
    for (validation, reason) in cases {
        let train = Split { captions: "x".to_owned(), images: "y".to_owned() };
        let message = Dataset::load(&only_train(train, validation)).unwrap_err().to_string();
        assert!(message.starts_with(&format!("data.validation: {reason}")), "{message}");
    }
}

#[test]
fn an_image_in_two_splits_is_a_warning_however_its_folder_is_written() {
    let folder = Folder::new();
    folder.images(&["a.png", "b.png", "c.png"]);
    let mut test = folder.captions("test.json", json!({"c.png": "x", "b.png": "y"}));
    test.images = folder.path("images/../images/");
    let validation = folder.captions("validation.json", json!({"a.png": "x"}));
    let files = DataFiles {
        train: folder.captions("train.json", json!({"b.png": "x", "c.png": "y"})),
        validation: Validation {
            captions: Some(validation.captions),
            images: Some(validation.images),
            ..Validation::default()
        },
        test: Some(test),
        source: None,
    };
    let warnings = folder.load(&files).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("2 images are in both train and test: "), "{warnings:?}");
}

#[test]
fn the_captions_of_training_are_those_of_the_split_without_its_images() {
    let folder = Folder::new();
    let all = ["0.png", "1.png", "2.png", "3.png", "4.png"];
    folder.images(&all);
    let captions = all.map(|name| (name.to_owned(), json!([format!("{name} a"), format!("{name} b")])));
    let split = folder.captions("train.json", serde_json::Value::Object(captions.into_iter().collect()));
    let files = only_train(split, fraction(0.4));
    let loaded = folder.load(&files).unwrap();
    let expected: Vec<String> = loaded.train.into_iter().flat_map(|example| example.captions).collect();
    fs::remove_dir_all(folder.path("images")).unwrap();
    assert_eq!(Dataset::training_captions(&files).unwrap(), expected);
    assert_eq!(expected.len(), 6);
    fs::remove_file(folder.path("train.json")).unwrap();
    let error = Dataset::training_captions(&files).unwrap_err().to_string();
    assert!(error.contains("cannot read the captions"), "{error}");
}

#[cfg(unix)]
#[test]
fn images_outside_of_their_folder_are_refused_whichever_way_they_are_reached() {
    let folder = Folder::new();
    folder.images(&["a.png", "b.png"]);
    let link = |from: &str, to: &str| std::os::unix::fs::symlink(to, folder.path(from)).unwrap();
    fs::copy(folder.path("images/a.png"), folder.path("secret.png")).unwrap();
    link("images/out.png", "../secret.png");
    link("images/up", "..");
    link("images/in.png", "a.png");
    let load = |image: &str| {
        let train = folder.captions("train.json", json!({image: "x", "b.png": "y"}));
        folder.load(&only_train(train, fraction(0.5)))
    };
    for image in ["../secret.png", "images/../../secret.png", "/etc/hosts", "out.png", "up/secret.png", ""] {
        let message = load(image).unwrap_err();
        assert!(message.contains("image outside of the images folder (1)"), "{image}: {message}");
        assert!(message.contains(&format!("{image:?} is")), "{image}: {message}");
    }
    for image in ["a.png", "./a.png", "in.png", "up/images/a.png"] {
        assert!(load(image).is_ok(), "{image}: {:?}", load(image));
    }
}
