//! Tests of [`super`]: files that pyarrow wrote, files of our own, and damaged ones.

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet").join(name)
}

fn rows(path: &Path, names: &Columns) -> Result<Vec<Row>, ParquetError> {
    let mut rows = Vec::new();
    read(path, names, |row| {
        rows.push(row);
        Ok::<(), ParquetError>(())
    })?;
    Ok(rows)
}

fn said(rows: &[Row]) -> Vec<(Option<&str>, String)> {
    rows.iter().map(|row| (row.name.as_deref(), row.captions.join("; "))).collect()
}

#[test]
fn images_and_captions_are_read_as_the_hub_keeps_them() {
    let found = rows(&fixture("hub.parquet"), &Columns::default()).unwrap();
    let expected = [
        (Some("red.png"), "a red one".to_owned()),
        (Some("../up/green.png"), "a green one".to_owned()),
        (Some("red.png"), "one more of it".to_owned()),
    ];
    assert_eq!(said(&found), expected);
    assert_eq!(found.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3]);
    let pictures: Vec<_> =
        found.iter().map(|row| image::load_from_memory(&row.image).unwrap().to_rgb8()).collect();
    assert_eq!(pictures[0].get_pixel(0, 0).0, [200, 10, 20]);
    assert_eq!(pictures[1].get_pixel(3, 2).0, [20, 10, 20]);
}

#[test]
fn a_column_of_bytes_and_lists_of_captions_are_read_too() {
    let found = rows(&fixture("bytes.parquet"), &Columns::default()).unwrap();
    assert_eq!(said(&found), [(None, "a red one; red".to_owned()), (None, "a green one".to_owned())]);
    let named =
        |image: &str, caption: &str| Columns { image: Some(image.into()), caption: Some(caption.into()) };
    assert_eq!(rows(&fixture("bytes.parquet"), &named("picture", "captions")).unwrap(), found);
    let message = rows(&fixture("bytes.parquet"), &named("photo", "captions")).unwrap_err().reason;
    assert_eq!(
        message,
        "no column is known to hold the image, a struct of `bytes` and `path` or bytes; there are `picture` (bytes), \
         `captions` (list of text)\nhint: name it with --image-column"
    );
    let message = rows(&fixture("hub.parquet"), &named("image", "label")).unwrap_err().reason;
    assert!(message.contains("hold the caption") && message.contains("`label` (int64)"), "{message}");
}

#[test]
fn a_row_without_an_image_is_told_by_its_number() {
    let mut before = Vec::new();
    let error = read(&fixture("odd.parquet"), &Columns::default(), |row| {
        before.push(row);
        Ok::<(), ParquetError>(())
    });
    assert_eq!(said(&before), [(None, "no name".to_owned())]);
    assert!(error.unwrap_err().to_string().ends_with("odd.parquet: row 2: it has no image"));
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    for has_one in [true, false] {
        let path = folder.path().join(format!("{has_one}.parquet"));
        let row = |number: usize| Row {
            number,
            name: Some(format!("{number}.png")),
            image: number.to_string().into_bytes(),
            captions: if has_one { vec![format!("caption {number}")] } else { vec!["x".into(); number % 3] },
        };
        let all: Vec<Row> = (1..=230).map(row).collect();
        let written = all.iter().map(|row| {
            let name = row.name.clone().unwrap();
            Ok(RowToWrite { name, image: row.image.clone(), captions: row.captions.clone() })
        });
        write(File::create(&path).unwrap(), has_one, written).unwrap();
        assert_eq!(rows(&path, &Columns::default()).unwrap(), all);
    }
}

#[test]
fn damaged_files_are_refused_or_read_but_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut refusals = 0;
    for name in ["hub.parquet", "bytes.parquet"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for place in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[place] ^= if place % 2 == 0 { 0xff } else { 0x10 };
            std::fs::write(&path, &damaged).unwrap();
            refusals += usize::from(rows(&path, &Columns::default()).is_err());
        }
        for kept in [0, 4, 11, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..kept]).unwrap();
            assert!(rows(&path, &Columns::default()).is_err(), "{name} cut to {kept}");
        }
    }
    assert!(refusals > 100, "{refusals}");
}

#[test]
fn a_page_that_says_it_is_huge_is_not_unpacked() {
    assert_eq!(unpacked_size(&[0x15, 0x04, 0x15, 0x80, 0x01, 0x15]), Some(64));
    assert_eq!(unpacked_size(&[0x15, 0x04, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f]), Some((1 << 31) - 1));
    assert_eq!(unpacked_size(&[0x15, 0x04, 0x15, 0x81, 0x01]), None, "a negative size");
    assert_eq!(unpacked_size(&[0x05, 0x02, 0x04]), None);
    // The dictionary of the images' bytes, as it is and with another size.
    let (mut file, metadata) = open(&fixture("hub.parquet")).unwrap();
    let chunk = &metadata.row_groups[0].parquet_columns()[0];
    let bytes = read_chunk(&mut file, chunk).unwrap();
    assert!(unpacked_size(&bytes).is_some_and(|size| size < 1000) && bytes[..3] == [0x15, 0x04, 0x15]);
    assert!(checked_pages(bytes.clone(), chunk).is_ok());
    let rest = 3 + bytes[3..].iter().position(|byte| *byte < 0x80).unwrap() + 1;
    let huge = [&bytes[..3], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &bytes[rest..]].concat();
    let refused = checked_pages(huge, chunk).map(|_| ()).unwrap_err();
    assert!(refused.starts_with("it unpacks to more than"), "{refused}");
}
