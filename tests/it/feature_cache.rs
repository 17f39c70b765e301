//! The feature cache: whatever state it is in, a run comes to the same to the last bit, and is only faster or slower.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use candle_core::{Device, Tensor};
use sweep::lab::pretrain::random_weights;
use sweep::model::{Blip, Config};
use sweep::record::event::Ended;
use sweep::record::recipe::Kind;
use sweep::train::features::Features;
use sweep::train::material::{Material, Pretrained};
use sweep::train::shared_states::SharedStates;
use sweep::train::{CacheUse, Session};

use crate::cuts::{ALWAYS, Bed, Cut, HOURLY, differences};
use crate::toy::{self, difference, records, tables};
use crate::workdir::Workdir;

/// More than the toy's states take.
const ENOUGH: u64 = 1 << 30;

/// The toy with a cache that is not there yet.
fn with_cache(kind: Kind) -> Bed {
    let mut bed = Bed::of(kind);
    bed.cache = Some((bed.workdir.path().join("cache"), ENOUGH));
    bed
}

fn folder_of(bed: &Bed) -> PathBuf {
    bed.cache.as_ref().unwrap().0.clone()
}

/// Shards by path.
fn shards(cache: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(cache).sort_by_file_name().into_iter().flatten();
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| e == "states"))
        .collect()
}

/// What the run comes to without a cache.
fn plain(bed: &mut Bed) -> BTreeMap<String, String> {
    let cache = bed.cache.take();
    let folder = bed.folder("plain");
    bed.finish(&folder, HOURLY);
    bed.cache = cache;
    bed.results(&folder)
}

/// Runs anew, compares, and returns how it ended and what was said of the cache.
fn run(bed: &Bed, name: &str, wanted: &BTreeMap<String, String>) -> (Ended, Vec<String>) {
    let folder = bed.folder(name);
    bed.said.borrow_mut().clear();
    let ended = bed.finish(&folder, HOURLY);
    assert_eq!(differences(&bed.results(&folder), wanted), [""; 0], "{name}");
    (ended, bed.said.borrow().clone())
}

/// Images encoded, and read.
fn counts(ended: &Ended) -> (usize, usize) {
    (ended.summary.images_encoded, ended.summary.images_read.unwrap())
}

#[test]
fn a_run_comes_to_the_same_with_the_cache_off_cold_and_warm_whatever_its_kind() {
    for kind in
        [Kind::FineTuned, Kind::ZeroShot, Kind::MatchedLength, Kind::NearestImage, Kind::ConstantCaption]
    {
        let mut bed = with_cache(kind);
        let wanted = plain(&mut bed);
        let (cold, _) = run(&bed, "cold", &wanted);
        let (warm, said) = run(&bed, "warm", &wanted);
        assert_eq!(said, [""; 0], "{kind:?}");
        if kind == Kind::ConstantCaption {
            assert_eq!(cold.summary.images_read, None, "it looks at no picture");
            continue;
        }
        assert!(counts(&cold).0 > 0, "{kind:?}");
        assert_eq!(counts(&warm).0, 0, "{kind:?}");
        assert!(counts(&warm).1 >= counts(&cold).0, "{kind:?}");
    }
}

#[test]
fn whatever_happens_to_the_cache_the_run_comes_to_the_same_and_says_what_it_met() {
    let mut bed = with_cache(Kind::FineTuned);
    let wanted = plain(&mut bed);
    run(&bed, "cold", &wanted);
    let whole: Vec<(PathBuf, Vec<u8>)> =
        shards(&folder_of(&bed)).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(whole.len() > 3);
    type Damage = fn(&[u8]) -> Option<Vec<u8>>;
    let damages: [(&str, Damage, &str); 7] = [
        (
            "flipped",
            |bytes| {
                Some(
                    [&bytes[..bytes.len() - 3], &[bytes[bytes.len() - 3] ^ 4], &bytes[bytes.len() - 2..]]
                        .concat(),
                )
            },
            "not what was written",
        ),
        (
            "flipped in the header",
            |bytes| Some([&bytes[..50], &[bytes[50] ^ 1], &bytes[51..]].concat()),
            "its header is damaged",
        ),
        ("short", |bytes| Some(bytes[..bytes.len() - 1].to_vec()), "not as long as its header says"),
        ("empty", |_| Some(vec![]), "it is cut off"),
        ("of another version", |bytes| Some([b"sweepFC9", &bytes[8..]].concat()), "of another version"),
        (
            "noise",
            |bytes| Some((0..bytes.len()).map(|i| (i * 37 % 251) as u8).collect()),
            "of another version",
        ),
        ("gone", |_| None, ""),
    ];
    for (name, damage, words) in damages {
        for (path, bytes) in &whole {
            match damage(bytes) {
                Some(damaged) => fs::write(path, damaged).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
        let (ended, said) = run(&bed, name, &wanted);
        assert!(counts(&ended).0 > 0, "{name}");
        let notes: Vec<&String> = said.iter().filter(|text| text.starts_with("note: ")).collect();
        assert!(notes.iter().all(|note| note.contains(words)), "{name}: {notes:?}");
        assert_eq!(notes.is_empty(), words.is_empty(), "{name}: {said:?}");
        // It is whole again.
        let (ended, said) = run(&bed, &format!("after {name}"), &wanted);
        assert_eq!((counts(&ended).0, said), (0, vec![]), "after {name}");
    }
    // Half of it is gone.
    for path in shards(&folder_of(&bed)).iter().step_by(2) {
        fs::remove_file(path).unwrap();
    }
    run(&bed, "half", &wanted);
}

#[test]
fn a_cache_that_cannot_be_written_or_is_too_small_is_gone_without_and_said_once() {
    let mut bed = with_cache(Kind::FineTuned);
    let wanted = plain(&mut bed);
    let file = bed.workdir.path().join("file");
    fs::write(&file, "").unwrap();
    bed.cache = Some((file.join("cache"), ENOUGH));
    let (ended, said) = run(&bed, "unwritable", &wanted);
    assert!(counts(&ended).0 > 0 && counts(&ended).1 == 0);
    let notes: Vec<&String> = said.iter().filter(|text| text.starts_with("note: ")).collect();
    assert!(notes.len() == 1 && notes[0].contains("the feature cache cannot be written: "), "{said:?}");
    // Room for the states of a part of the images.
    for bytes in [0, 3000, 4500] {
        let cache = bed.workdir.path().join(format!("cache of {bytes}"));
        bed.cache = Some((cache.clone(), bytes));
        let (_, said) = run(&bed, &format!("of {bytes}"), &wanted);
        let notes: Vec<&String> = said.iter().filter(|text| text.starts_with("note: ")).collect();
        assert!(notes.len() == 1 && notes[0].contains("the feature cache is full"), "{bytes}: {said:?}");
        let taken: u64 = shards(&cache).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(taken <= bytes && (taken > 0) == (bytes > 0), "{taken} of {bytes}");
        run(&bed, &format!("of {bytes}, again"), &wanted);
    }
}

#[test]
fn a_run_keeps_on_its_way_up_what_others_want_and_begins_at_the_highest_layer_that_is_there() {
    let mut tuned = with_cache(Kind::FineTuned);
    let mut zero_shot = Bed::of(Kind::ZeroShot);
    let [of_tuned, of_zero_shot] = [plain(&mut tuned), plain(&mut zero_shot)];
    // Both are given the same pictures by folders of their own.
    zero_shot.cache = tuned.cache.clone();
    run(&zero_shot, "first", &of_zero_shot);
    let (ended, said) = run(&tuned, "after the zero-shot run", &of_tuned);
    // All but the three training images that the zero-shot run does not look at.
    assert_eq!(counts(&ended).0, 3, "{said:?}");
    assert!(
        said.iter().any(|text| text.starts_with("encoded 3 images up to vision layer 1 in ")),
        "{said:?}"
    );
    fs::remove_dir_all(folder_of(&tuned)).unwrap();
    run(&tuned, "first", &of_tuned);
    let (ended, said) = run(&zero_shot, "after the tuned run", &of_zero_shot);
    assert!(counts(&ended).0 > 0, "{said:?}");
    // Where it began, the shards say: those below the first layer were written by the tuned run alone.
    let levels = |path: &PathBuf| path.parent().unwrap().to_owned();
    let folders: std::collections::BTreeSet<PathBuf> =
        shards(&folder_of(&tuned)).iter().map(levels).collect();
    // The two batch otherwise, so that their losses are not the same: of four splits and of three.
    let expected = "below the first layer, below the second, above it, means, captions, and losses";
    assert_eq!(folders.len(), 5 + 4 + 3, "{expected}: {folders:?}");
}

#[test]
fn a_state_does_not_depend_on_which_others_are_encoded_with_it_nor_on_where_that_began() {
    let configs = [
        // As wide and with as many tokens as BLIP-base has.
        r#"{"vision_config": {"num_hidden_layers": 2}, "text_config": {"num_hidden_layers": 1, "vocab_size": 40, "bos_token_id": 1, "sep_token_id": 2}}"#,
        r#"{"vision_config": {"num_hidden_layers": 3, "hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 3, "image_size": 24, "patch_size": 8},
            "text_config": {"num_hidden_layers": 1, "vocab_size": 40, "bos_token_id": 1, "sep_token_id": 2}}"#,
    ];
    for config in configs {
        let config = Config::parse(config).unwrap();
        let model = Blip::new(&config, &random_weights(&config, 3).unwrap()).unwrap().vision_model;
        let side = config.vision.image_size;
        let pixels: Vec<f32> = (0..8 * 3 * side * side).map(|i| (i as f32 * 0.37).sin()).collect();
        let pixels = Tensor::from_vec(pixels, (8, 3, side, side), &Device::Cpu).unwrap();
        let bits = |state: &Tensor| -> Vec<u32> {
            state.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
        };
        let depth = model.depth();
        let whole = model.encode(&pixels, depth).unwrap();
        for (start, count) in [(0, 1), (7, 1), (1, 2), (3, 3), (2, 5), (1, 7)] {
            let part = model.encode(&pixels.narrow(0, start, count).unwrap(), depth).unwrap();
            let is_same = bits(&part) == bits(&whole.narrow(0, start, count).unwrap());
            assert!(is_same, "{count} images of width {}", config.vision.hidden_size);
        }
        let half_way = model.encode(&pixels.narrow(0, 4, 3).unwrap(), 1).unwrap();
        let rest = model.advance(&half_way, 1, depth).unwrap();
        assert!(bits(&rest) == bits(&whole.narrow(0, 4, 3).unwrap()), "from layer 1");
    }
}

#[test]
fn an_image_that_changes_while_the_run_is_at_work_is_not_kept_under_what_it_was() {
    let bed = Bed::new();
    let cache = bed.workdir.path().join("cache");
    let how = CacheUse { folder: cache, bytes: ENOUGH, unfrozen: [0].into(), say: &|_| {} };
    let folder = bed.folder("changing");
    let session = Session {
        spec: &bed.run,
        inputs: &bed.inputs,
        directory: &folder,
        device: Device::Cpu,
        device_name: "cpu".to_owned(),
        threads: 1,
        checkpoint_every: HOURLY,
        until_epoch: None,
        heir: None,
        cache: Some(how.clone()),
        stop: &|| false,
    };
    let mut pretrained = Pretrained::load(&bed.inputs.model, &Device::Cpu).unwrap();
    let material = Material::load(&bed.inputs, &bed.run.recipe, &pretrained).unwrap();
    let shared = SharedStates::new(&how, &pretrained, &material.images, &Device::Cpu).unwrap();
    pretrained.states = Some(shared.clone());
    fs::copy(at(&bed, "images/9.png"), at(&bed, "images/7.png")).unwrap();
    let model = Blip::new(&pretrained.config, &pretrained.weights).unwrap();
    let examples = &material.dataset.validation;
    let mut features = Features::new(examples, &pretrained, &Device::Cpu, 2, 1 << 20);
    for _ in 0..2 {
        let error = features.prepare(&session, &model, &[0, 1, 2]).unwrap_err().to_string();
        assert!(error.contains("7.png: it is not the file that it was when the run began"), "{error}");
    }
    let digests: Vec<_> = examples.iter().map(|example| example.digest.unwrap()).collect();
    assert_eq!(shared.missing(2, &digests), digests);
}

#[test]
fn another_image_model_or_processor_never_meets_the_states_of_this_one() {
    let mut bed = with_cache(Kind::ZeroShot);
    let first = plain(&mut bed);
    run(&bed, "cold", &first);
    let model = fs::read(at(&bed, "model/model.safetensors")).unwrap();
    let [image, processor, config] =
        ["images/6.png", "model/preprocessor_config.json", "model/config.json"].map(|name| at(&bed, name));
    let other_weights = [&model[..model.len() - 4], &1.5f32.to_le_bytes()].concat();
    for (name, path, change) in [
        ("image", &image, fs::read(at(&bed, "images/3.png")).unwrap()),
        ("processor", &processor, with_number(&processor, "image_mean", "0.11")),
        ("epsilon", &config, with_number(&config, "layer_norm_eps", "0.25")),
        ("weights", &at(&bed, "model/model.safetensors"), other_weights),
    ] {
        let before = fs::read(path).unwrap();
        assert_ne!(before, change, "{name}");
        fs::write(path, change).unwrap();
        let folder = bed.folder(name);
        bed.finish(&folder, HOURLY);
        let wanted = plain(&mut bed);
        assert_eq!(differences(&bed.results(&folder), &wanted), [""; 0], "{name}");
        assert_ne!(differences(&wanted, &first), [""; 0], "{name} changes nothing, so this shows nothing");
        fs::write(path, before).unwrap();
    }
}

/// The decoder with another head; captions that two images have exchanged.
fn other_decoder_and_captions(bed: &Bed) -> [Vec<u8>; 2] {
    let name = "text_decoder.cls.predictions.transform.LayerNorm.weight";
    let mut tensors: HashMap<String, Tensor> =
        candle_core::safetensors::load(at(bed, "model/model.safetensors"), &Device::Cpu).unwrap();
    tensors.insert(name.to_owned(), (&tensors[name] * 3.0).unwrap());
    let changed = at(bed, "changed.safetensors");
    candle_core::safetensors::save(&tensors, &changed).unwrap();
    let mut captions: BTreeMap<String, String> =
        serde_json::from_slice(&fs::read(at(bed, "validation.json")).unwrap()).unwrap();
    let names: Vec<String> = captions.keys().cloned().collect();
    let first = captions.insert(names[0].clone(), captions[&names[1]].clone()).unwrap();
    captions.insert(names[1].clone(), first);
    [fs::read(changed).unwrap(), serde_json::to_vec(&captions).unwrap()]
}

#[test]
fn losses_before_training_are_those_of_this_decoder_and_these_captions_as_this_run_counts_them() {
    let mut bed = with_cache(Kind::ZeroShot);
    let first = plain(&mut bed);
    run(&bed, "cold", &first);
    let differs = |bed: &mut Bed, name: &str| {
        let folder = bed.folder(name);
        bed.finish(&folder, HOURLY);
        let wanted = plain(bed);
        assert_eq!(differences(&bed.results(&folder), &wanted), [""; 0], "{name}");
        assert_ne!(differences(&wanted, &first), [""; 0], "{name} changes nothing, so this shows nothing");
    };
    let [decoder, captions] = other_decoder_and_captions(&bed);
    for (name, change) in [("model/model.safetensors", decoder), ("validation.json", captions)] {
        let path = at(&bed, name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, change).unwrap();
        differs(&mut bed, path.file_name().unwrap().to_str().unwrap());
        fs::write(&path, before).unwrap();
    }
    bed.run.recipe.training.label_smoothing = 0.1;
    differs(&mut bed, "smoothed");
}

fn at(bed: &Bed, name: &str) -> PathBuf {
    bed.workdir.path().join(name)
}

/// A settings file with another first number behind the first place that names this key.
fn with_number(path: &Path, key: &str, number: &str) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    let start = text.find(key).unwrap_or_else(|| panic!("{key} is not in {text}")) + key.len();
    let begin = start + text[start..].find(|c: char| c.is_ascii_digit()).unwrap();
    let is_of_number = |c: char| c.is_ascii_digit() || "+-.e".contains(c);
    let end = begin + text[begin..].find(|c| !is_of_number(c)).unwrap();
    [&text[..begin], number, &text[end..]].concat().into_bytes()
}

#[test]
fn a_run_killed_anywhere_goes_on_with_the_cache_to_the_same() {
    let mut bed = with_cache(Kind::FineTuned);
    let wanted = plain(&mut bed);
    let (_, [checks, _]) = bed.attempt(&bed.folder("counted"), ALWAYS, Cut::Never);
    for at in (1..=checks).step_by(checks.div_ceil(15)) {
        let _ = fs::remove_dir_all(folder_of(&bed));
        let folder = bed.folder("cut");
        bed.attempt(&folder, ALWAYS, Cut::Killed(at));
        bed.finish(&folder, ALWAYS);
        assert_eq!(differences(&bed.results(&folder), &wanted), [""; 0], "killed at check {at} of {checks}");
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

/// Sum of a count over all runs of the toy sweep.
fn total(runs: &Path, count: impl Fn(&Ended) -> Option<usize>) -> usize {
    let ended = records(runs, toy::NAME).into_iter().map(|record| Ended {
        status: record.status.unwrap(),
        reason: None,
        summary: record.summary.unwrap(),
    });
    ended.filter_map(|ended| count(&ended)).sum()
}

#[test]
fn sweeps_share_the_cache_and_come_to_the_tables_of_one_without() {
    let workdir = toy::prepared();
    let runs = workdir.path().join("runs");
    assert!(workdir.sweep(&format!("{} --no-cache", toy::command(2))).starts_with("exit 0\n"));
    let wanted = tables(&runs, toy::NAME);
    assert!(!runs.join(".cache").exists());
    for (jobs, cache) in [(2, "cold"), (1, "warm"), (2, "warm")] {
        fs::remove_dir_all(runs.join(toy::NAME)).unwrap();
        let shown = workdir.sweep(&toy::command(jobs));
        assert!(shown.starts_with("exit 0\n"), "{shown}");
        assert_eq!(difference(&tables(&runs, toy::NAME), &wanted), "", "{jobs} jobs, {cache}");
        let encoded = total(&runs, |ended| Some(ended.summary.images_encoded));
        let read = total(&runs, |ended| ended.summary.images_read);
        let line =
            format!("\nshared: {encoded} images encoded, {read} times the state of one was there already");
        assert!(shown.contains(&line), "{line}\n{shown}");
        // 12 images; two boundaries, one of which is on the way to the other.
        assert!(if cache == "cold" { (12..=24).contains(&encoded) } else { encoded == 0 }, "{encoded}");
    }
    let sweeps = workdir.sweep("status runs");
    assert!(!sweeps.contains(".cache") && !sweeps.contains("features"), "{sweeps}");
}

/// Starts the sweep on results of its own, with a cache that others share.
fn start(workdir: &Workdir, runs: &str) -> Child {
    let command =
        format!("{} --cache-dir cache", toy::command(2).replace("--runs runs", &format!("--runs {runs}")));
    workdir.command(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// All shards of a cache are whole: a run on it encodes nothing and has nothing to say of it.
fn is_sound(workdir: &Workdir) {
    let cache = workdir.path().join("cache");
    for file in walkdir::WalkDir::new(&cache).into_iter().flatten() {
        assert!(file.path().extension().is_none_or(|ending| ending != "tmp"), "{}", file.path().display());
    }
    let claims = fs::read_dir(cache.join(".claims")).map_or(0, Iterator::count);
    assert_eq!(claims, 0);
}

#[test]
fn two_sweeps_at_once_on_one_cache_come_to_the_same_and_leave_it_whole() {
    let workdir = toy::prepared();
    assert!(workdir.sweep(&format!("{} --no-cache", toy::command(2))).starts_with("exit 0\n"));
    let wanted = tables(&workdir.path().join("runs"), toy::NAME);
    for round in 0..3 {
        let _ = fs::remove_dir_all(workdir.path().join("cache"));
        let names = [format!("a{round}"), format!("b{round}")];
        let sweeps = names.clone().map(|runs| start(&workdir, &runs));
        for mut sweep in sweeps {
            assert_eq!(sweep.wait().unwrap().code(), Some(0));
        }
        for runs in &names {
            assert_eq!(difference(&tables(&workdir.path().join(runs), toy::NAME), &wanted), "", "{runs}");
        }
        is_sound(&workdir);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_sweep_killed_while_it_fills_the_cache_leaves_nothing_that_is_believed_wrongly() {
    let workdir = toy::prepared();
    assert!(workdir.sweep(&format!("{} --no-cache", toy::command(2))).starts_with("exit 0\n"));
    let wanted = tables(&workdir.path().join("runs"), toy::NAME);
    let cache = workdir.path().join("cache");
    // Killed when so many files of the cache, finished or not, were there.
    for files in [1, 2, 3, 5, 8] {
        let _ = fs::remove_dir_all(&cache);
        let runs = format!("killed{files}");
        let mut sweep = start(&workdir, &runs);
        let written = || walkdir::WalkDir::new(&cache).min_depth(2).into_iter().flatten().count();
        while written() < files && sweep.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        for worker in crate::killing::children_of(sweep.id()) {
            let _ = std::process::Command::new("kill").args(["-9", &worker.to_string()]).status();
        }
        let _ = sweep.kill();
        sweep.wait().unwrap();
        let mut again = start(&workdir, &runs);
        assert_eq!(again.wait().unwrap().code(), Some(0));
        assert_eq!(difference(&tables(&workdir.path().join(&runs), toy::NAME), &wanted), "", "at {files}");
    }
}

#[test]
fn prune_leaves_the_cache_unless_it_is_told_to_drop_it() {
    let workdir = toy::prepared();
    assert!(workdir.sweep(&toy::command(2)).starts_with("exit 0\n"));
    let cache = workdir.path().join("runs/.cache/features");
    let shown = workdir.sweep("prune runs --yes");
    assert!(shown.contains("the feature cache has 0 MB and stays; `--cache` drops it too"), "{shown}");
    assert!(!shards(&cache).is_empty());
    let shown = workdir.sweep("prune runs --cache");
    assert!(
        shown.contains("runs/.cache/features: 0 MB") && shown.contains("sweep prune runs --cache --yes"),
        "{shown}"
    );
    assert!(!shards(&cache).is_empty(), "looking removed it");
    let shown = workdir.sweep("prune runs --cache --yes");
    assert!(shown.starts_with("exit 0\n") && !cache.exists(), "{shown}");
    assert!(workdir.sweep("prune runs --cache --yes").contains("nothing to remove"));
}
