//! Tests of [`super`]: whole data sets from one form to another.

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    /// Three pictures, one of them in a folder of its own, and captions of two of them.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(folder.at("images/sub")).unwrap();
        for (index, name) in ["a.png", "sub/b.png", "c.png"].iter().enumerate() {
            let picture = image::RgbImage::from_pixel(5 + index as u32, 4, image::Rgb([60 * index as u8; 3]));
            picture.save(folder.at("images").join(name)).unwrap();
        }
        fs::write(folder.at("x.json"), r#"{"sub/b.png": ["two", "deux"], "a.png": "one"}"#).unwrap();
        folder
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn convert(&self, from: &str, to: &str, images: Option<&str>) -> Result<Converted, String> {
        let images = images.map(|name| self.at(name));
        let (from, to) = (self.at(from), self.at(to));
        let target = if to.ends_with("coco.json") { Target::Coco } else { Target::by_name(&to).unwrap() };
        let columns = Columns::default();
        let request = Request { from: &from, to: &to, target, images: images.as_deref(), columns };
        let place = self.0.path().display().to_string();
        convert(&request).map_err(|error| error.to_string().replace(&place, "DIR"))
    }

    fn captions(&self, name: &str) -> Vec<Entry> {
        caption_forms::read(&self.at(name), &Columns::default()).unwrap().entries
    }
}

#[test]
fn captions_go_through_every_form_and_come_back_the_same() {
    let folder = Folder::new();
    let mut from = "x.json".to_owned();
    for to in ["1.csv", "2.jsonl", "3.tsv", "coco.json", "5", "6.json"] {
        let converted = folder.convert(&from, to, Some("images")).unwrap();
        assert_eq!((converted.images, converted.captions), (2, 3), "{to}");
        from = to.to_owned();
    }
    assert_eq!(folder.captions("6.json"), folder.captions("x.json"));
    let coco: serde_json::Value = serde_json::from_slice(&fs::read(folder.at("coco.json")).unwrap()).unwrap();
    assert_eq!(
        (coco["images"][0]["width"].as_u64(), coco["images"][1]["width"].as_u64()),
        (Some(6), Some(5))
    );
    let same = |name: &str| {
        fs::read(folder.at("5").join(name)).unwrap() == fs::read(folder.at("images").join(name)).unwrap()
    };
    assert!(
        same("a.png") && same("sub/b.png") && !folder.at("5/c.png").exists(),
        "those with captions are copied"
    );
}

#[test]
fn images_packed_into_parquet_unpack_to_the_same_files() {
    let folder = Folder::new();
    folder.convert("x.json", "x.parquet", Some("images")).unwrap();
    let converted = folder.convert("x.parquet", "unpacked", None).unwrap();
    assert_eq!(converted.unpacked, Some(folder.at("unpacked")));
    // A path in a stranger's file is cut to its last part.
    let names: Vec<String> = folder.captions("unpacked").into_iter().map(|entry| entry.image).collect();
    assert_eq!(names, ["b.png", "a.png"]);
    let original = fs::read(folder.at("images/sub/b.png")).unwrap();
    assert_eq!(fs::read(folder.at("unpacked/b.png")).unwrap(), original);
    folder.convert("x.parquet", "y.json", Some("pictures")).unwrap();
    assert_eq!(folder.captions("y.json"), folder.captions("unpacked"));
    assert!(folder.at("pictures/a.png").is_file());
}

#[test]
fn rows_of_one_image_become_one_file_with_all_its_captions() {
    let folder = Folder::new();
    let hub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet/hub.parquet");
    fs::copy(hub, folder.at("hub.parquet")).unwrap();
    assert_eq!(
        folder.convert("hub.parquet", "hub", None).map(|done| (done.images, done.captions)),
        Ok((2, 3))
    );
    let expected = [
        Entry { image: "red.png".into(), captions: vec!["a red one".into(), "one more of it".into()] },
        Entry { image: "green.png".into(), captions: vec!["a green one".into()] },
    ];
    assert_eq!(folder.captions("hub"), expected);
    assert!(!folder.at("up").exists() && folder.at("hub/green.png").is_file());
}

#[test]
fn names_from_strangers_stay_names_of_files_in_the_folder() {
    let png = fs::read(Folder::new().at("images/a.png")).unwrap();
    let safe = |name: &str| safe_name(name, &png);
    assert_eq!(safe("../../etc/a.png").as_deref(), Some("a.png"));
    assert_eq!(safe("C:\\pictures\\a").as_deref(), Some("a.png"));
    assert_eq!(safe("https://x.org/a.jpg?size=7"), None);
    for name in ["", "..", ".hidden", "a/", "x\n.png", "metadata.jsonl", "Metadata.csv", &"x".repeat(200)] {
        assert_eq!(safe(name), None, "{name}");
    }
    let mut unpacked = Unpacked::default();
    let mut add = |name: Option<&str>, image: &[u8]| {
        let row = parquet::Row {
            number: 7,
            name: name.map(str::to_owned),
            image: image.to_vec(),
            captions: vec![],
        };
        unpacked.add(&row)
    };
    assert_eq!(add(Some("a.png"), b"1"), ("a.png".to_owned(), true));
    assert_eq!(add(Some("b/a.png"), b"1"), ("a.png".to_owned(), false));
    assert_eq!(add(Some("A.png"), b"2"), ("7-A.png".to_owned(), true), "another image of that name");
    assert_eq!(add(None, b"2"), ("7-A.png".to_owned(), false));
    assert_eq!(add(None, &png), ("000007.png".to_owned(), true));
}

#[test]
fn nothing_is_written_over_and_nothing_half_done_stays() {
    let folder = Folder::new();
    let refused = |from, to, images| folder.convert(from, to, images).unwrap_err();
    assert!(
        refused("x.json", "x.json", None)
            .starts_with("DIR/x.json: is there already, and nothing is written over it")
    );
    assert!(refused("x.json", "images", Some("images")).starts_with("DIR/images: is there already"));
    assert!(refused("x.json", "new", None).contains("hint: --images DIR names their folder"));
    assert!(refused("x.json", "new", Some("nowhere")).starts_with("DIR/nowhere: cannot look for images"));
    fs::remove_file(folder.at("images/a.png")).unwrap();
    assert_eq!(refused("x.json", "new", Some("images")), "DIR/images: 1 of 2 images are missing: \"a.png\"");
    assert_eq!(
        refused("x.json", "new.parquet", Some("images")),
        "DIR/images: 1 of 2 images are missing: \"a.png\""
    );
    fs::write(folder.at("images/a.png"), "").unwrap();
    assert!(refused("x.json", "new", Some("images")).ends_with("images/a.png: the file is empty"));
    assert!(refused("x.json", "new.parquet", Some("images")).contains("images/a.png: the file is empty"));
    fs::write(folder.at("up.json"), r#"{"../x.json": "one"}"#).unwrap();
    assert!(
        refused("up.json", "new", Some("images")).starts_with("\"../x.json\" is no name of a file below")
    );
    fs::write(folder.at("twice.json"), r#"{"a.png": "one", "a.png": "two"}"#).unwrap();
    assert!(refused("twice.json", "new.csv", None).starts_with("DIR/twice.json: \"a.png\" occurs twice"));
    fs::write(folder.at("bad.parquet"), "PAR1 and no more").unwrap();
    assert!(
        refused("bad.parquet", "new", None)
            .starts_with("DIR/bad.parquet: it is no Parquet file that can be read")
    );
    assert!(refused("bad.parquet", "new.json", None).contains("hint: --images DIR names a new folder"));
    let left: Vec<String> = fs::read_dir(folder.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("new"))
        .collect();
    assert_eq!(left, [""; 0]);
}
