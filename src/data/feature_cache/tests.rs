use std::fs;

use super::*;

const KEY: Key = [1; 32];

fn image(number: u8) -> ImageDigest {
    [number; 32]
}

fn state(number: u8) -> Vec<f32> {
    (0..50).map(|i| f32::from(number) + i as f32 / 64.0).collect()
}

fn states(numbers: &[u8]) -> Vec<(ImageDigest, Vec<f32>)> {
    numbers.iter().map(|number| (image(*number), state(*number))).collect()
}

fn cache(root: &tempfile::TempDir) -> FeatureCache {
    FeatureCache::new(&root.path().join("deep/cache"), 1 << 20)
}

/// The shards in the cache.
fn shards(root: &tempfile::TempDir) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(root.path()).sort_by_file_name().into_iter().flatten();
    files.filter(|file| file.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

fn found(cache: &mut FeatureCache, numbers: &[u8]) -> Vec<bool> {
    let images: Vec<ImageDigest> = numbers.iter().map(|number| image(*number)).collect();
    cache.missing(&KEY, 50, &images);
    let mut read =
        |number: &u8| cache.read(&KEY, 50, &image(*number)).map(|found| assert_eq!(found, state(*number)));
    numbers.iter().map(|number| read(number).is_some()).collect()
}

#[test]
fn what_one_process_wrote_another_finds_also_after_it_had_looked() {
    let root = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (cache(&root), cache(&root));
    assert_eq!(found(&mut other, &[1, 2]), [false, false]);
    assert!(one.write(&KEY, &states(&[1, 2])));
    assert_eq!(found(&mut one, &[2, 1, 3]), [true, true, false]);
    assert_eq!(found(&mut other, &[1, 2, 3]), [true, true, false]);
    assert_eq!(other.missing(&[2; 32], 50, &[image(1)]), [image(1)], "another key is another state");
    // Written twice it is one file.
    assert!(other.write(&KEY, &states(&[1, 2])));
    assert_eq!(shards(&root).len(), 1);
    assert_eq!((one.take_notes(), other.take_notes()), (vec![], vec![]));
}

#[test]
fn a_damaged_shard_is_said_once_removed_and_written_anew() {
    let root = tempfile::tempdir().unwrap();
    assert!(cache(&root).write(&KEY, &states(&[1, 2])));
    let [shard] = &shards(&root)[..] else { panic!("one shard") };
    let whole = fs::read(shard).unwrap();
    let flipped: Vec<u8> = [&whole[..whole.len() - 1], &[whole[whole.len() - 1] ^ 1]].concat();
    for (damaged, what) in [
        (&flipped[..], "a state in it is not what was written"),
        (&whole[..whole.len() - 4], "it is not as long as its header says"),
        (&whole[..60], "it is cut off"),
        (&b""[..], "it is cut off"),
        (&[b"sweepFC0", &whole[8..]].concat(), "it is of another version, or of other states"),
    ] {
        fs::write(shard, damaged).unwrap();
        let mut cache = cache(&root);
        // The last state is that with the flipped bit.
        assert_eq!(found(&mut cache, &[2, 1]), [false, false], "{what}");
        let notes = cache.take_notes();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].contains(what) && notes[0].ends_with("; what it held is computed again"),
            "{notes:?}"
        );
        assert!(!shard.exists());
        assert!(cache.write(&KEY, &states(&[1, 2])));
        assert_eq!(found(&mut cache, &[1, 2]), [true, true]);
        assert_eq!(fs::read(shard).unwrap(), whole);
    }
}

#[test]
fn a_shard_that_is_gone_is_missing_without_a_word() {
    let root = tempfile::tempdir().unwrap();
    let mut cache = cache(&root);
    cache.write(&KEY, &states(&[1]));
    fs::remove_file(&shards(&root)[0]).unwrap();
    assert_eq!(found(&mut cache, &[1]), [false]);
    assert_eq!(cache.missing(&KEY, 50, &[image(1)]), [image(1)]);
    assert_eq!(cache.take_notes(), [""; 0]);
}

#[test]
fn a_full_or_unwritable_cache_says_so_once_and_is_still_read() {
    let root = tempfile::tempdir().unwrap();
    let mut full = FeatureCache::new(root.path(), 700);
    assert!(full.write(&KEY, &states(&[1, 2])));
    assert!(!full.write(&KEY, &states(&[3])) && !full.write(&KEY, &states(&[4])) && !full.is_open());
    assert_eq!(found(&mut full, &[1, 2, 3]), [true, true, false]);
    assert!(matches!(full.claim(&KEY, &[]), Claim::Unknown));
    let notes = full.take_notes();
    assert!(notes.len() == 1 && notes[0].contains("the feature cache is full"), "{notes:?}");
    fs::write(root.path().join("file"), "").unwrap();
    let mut unwritable = FeatureCache::new(&root.path().join("file"), 1 << 20);
    assert!(!unwritable.write(&KEY, &states(&[3])) && !unwritable.write(&KEY, &states(&[3])));
    let notes = unwritable.take_notes();
    assert!(notes.len() == 1 && notes[0].starts_with("the feature cache cannot be written: "), "{notes:?}");
}

#[test]
fn shards_hold_whole_batches_and_small_states_share_one() {
    assert_eq!(shard_images(577 * 768 * 4, 8), 8);
    assert_eq!(shard_images(65 * 128 * 4, 8), 120);
    assert_eq!(shard_images(1, 8), 4096);
}
