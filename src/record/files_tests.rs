use super::*;

#[test]
fn an_atomic_write_replaces_the_file_and_leaves_nothing_else_behind() {
    for write in [write_atomic, write_visible] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/plan.jsonl");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        make_last(&path).unwrap();
    }
}

#[test]
fn a_failed_atomic_write_keeps_the_old_file_names_the_path_and_leaves_no_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir_all(path.join("inside")).unwrap();
    for write in [write_atomic, write_visible] {
        let error = write(&path, b"two").unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: cannot write: ", path.display())), "{error}");
    }
    assert!(path.join("inside").is_dir());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn rows_are_appended_after_the_last_complete_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    append_rows(&path, &[1, 2]).unwrap();
    fs::write(&path, "1\n2\n3").unwrap();
    append_rows(&path, &[4]).unwrap();
    assert_eq!(read_rows::<u32>(&path), (vec![1, 2, 4], vec![]));
}

#[test]
fn a_text_that_is_too_long_or_not_utf_8_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, "12345").unwrap();
    assert_eq!(read_text(&path, 5).unwrap(), "12345");
    assert!(read_text(&path, 4).unwrap_err().to_string().ends_with("longer than 4 bytes"));
    fs::write(&path, b"\xff").unwrap();
    assert!(read_text(&path, 4).unwrap_err().to_string().contains("UTF-8"));
}
