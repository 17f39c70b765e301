//! Models of the hub, end to end: the program fetches them from a small hub on the loopback.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::end_to_end;
use crate::hub_server::{COMMIT, Faults, HubServer};
use crate::workdir::Workdir;

const ID: &str = "someone/blip-lab";
/// Bytes after which a cut connection ends.
const CUT: usize = 1_000_000;

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lab")
}

/// A place to work with a picture, and a hub that serves the built-in model.
fn stage() -> (Workdir, HubServer) {
    let workdir = Workdir::new();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/processor/exact_down.png"),
        workdir.path().join("picture.png"),
    )
    .unwrap();
    (workdir, HubServer::start(&[(ID, assets())]))
}

/// The program, with a cache of its own and this hub.
fn command(workdir: &Workdir, hub: &HubServer, arguments: &str) -> Command {
    let mut command = workdir.command(arguments);
    for variable in
        ["HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_OFFLINE"]
    {
        command.env_remove(variable);
    }
    command.env("HF_HOME", workdir.path().join("hf")).env("HF_ENDPOINT", &hub.endpoint);
    command
}

/// Exit code, standard output and standard error.
fn outcome(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn caption(model: &str) -> String {
    format!("caption --model {model} picture.png --format json")
}

/// What the model says when its files lie in a folder.
fn expected(workdir: &Workdir, hub: &HubServer) -> String {
    let (code, said, _) = outcome(command(workdir, hub, &caption(&assets().display().to_string())));
    assert_eq!(code, 0);
    said
}

fn blobs(workdir: &Workdir) -> PathBuf {
    workdir.path().join("hf/hub/models--someone--blip-lab/blobs")
}

#[test]
fn a_model_is_fetched_once_into_the_cache_that_hugging_face_programs_share() {
    let (workdir, hub) = stage();
    let wanted = expected(&workdir, &hub);
    let (code, said, errors) = outcome(command(&workdir, &hub, &caption(ID)));
    assert_eq!((code, said), (0, wanted.clone()), "{errors}");
    assert!(errors.contains(&format!("downloading {ID} from {}", hub.endpoint)), "{errors}");
    let snapshot = workdir.path().join("hf/hub/models--someone--blip-lab/snapshots").join(COMMIT);
    for name in ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"] {
        assert_eq!(fs::read(snapshot.join(name)).unwrap(), fs::read(assets().join(name)).unwrap(), "{name}");
        #[cfg(unix)]
        assert!(fs::read_link(snapshot.join(name)).unwrap().starts_with("../../blobs"), "{name}");
    }
    let reference = workdir.path().join("hf/hub/models--someone--blip-lab/refs/main");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);

    hub.requests();
    let mut offline = command(&workdir, &hub, &caption(ID));
    offline.env("HF_HUB_OFFLINE", "1");
    assert_eq!(outcome(offline).1, wanted);
    assert_eq!(outcome(command(&workdir, &hub, &caption(ID))).1, wanted);
    assert!(hub.requests().is_empty(), "what is there is not asked for again");

    // Another revision with the same files costs questions, and no content.
    assert_eq!(outcome(command(&workdir, &hub, &caption(&format!("{ID}@refs/pr/18")))).1, wanted);
    assert_eq!(outcome(command(&workdir, &hub, &caption(&format!("{ID}@{COMMIT}")))).1, wanted);
    let contents = hub.requests().into_iter().filter(|request| !request.is_probe);
    assert_eq!(contents.count(), 0);
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let (workdir, hub) = stage();
    let wanted = expected(&workdir, &hub);
    // Twice within one command.
    hub.misbehave(Faults { cut: Some((CUT, 2)), ..Faults::default() });
    let (code, said, errors) = outcome(command(&workdir, &hub, &caption(ID)));
    assert_eq!((code, said), (0, wanted.clone()), "{errors}");
    assert!(errors.contains("trying again"), "{errors}");
    let starts = |hub: &HubServer| -> Vec<usize> {
        let contents = hub.requests().into_iter().filter(|r| r.path.starts_with("/cdn/") && !r.is_probe);
        contents.filter_map(|request| request.from).collect()
    };
    let weights = starts(&hub);
    assert_eq!(weights.len(), 3, "{weights:?}");
    assert!(weights.is_sorted() && weights[0] == 0 && weights[2] > CUT, "{weights:?}");

    // And from one command to the next.
    fs::remove_dir_all(workdir.path().join("hf")).unwrap();
    hub.misbehave(Faults { cut: Some((CUT / 2, 5)), ..Faults::default() });
    let (code, _, errors) = outcome(command(&workdir, &hub, &caption(ID)));
    assert!(code == 1 && errors.contains("hint: run the same command again"), "{code}: {errors}");
    let parts = fs::read_dir(blobs(&workdir)).unwrap().flatten();
    assert!(parts.into_iter().any(|part| part.path().extension().is_some_and(|ending| ending == "part")));
    starts(&hub);
    hub.misbehave(Faults::default());
    assert_eq!(outcome(command(&workdir, &hub, &caption(ID))).1, wanted);
    let weights = starts(&hub);
    assert!(weights.len() == 1 && weights[0] > CUT, "{weights:?}");
}

#[test]
fn a_file_that_arrives_damaged_is_fetched_again_and_never_used() {
    let (workdir, hub) = stage();
    let wanted = expected(&workdir, &hub);
    hub.misbehave(Faults { damaged: 1, ..Faults::default() });
    let (code, said, errors) = outcome(command(&workdir, &hub, &caption(ID)));
    assert_eq!((code, said), (0, wanted), "{errors}");
    assert!(errors.contains("model.safetensors arrived damaged; trying again"), "{errors}");

    fs::remove_dir_all(workdir.path().join("hf")).unwrap();
    hub.misbehave(Faults { damaged: 9, ..Faults::default() });
    let (code, said, errors) = outcome(command(&workdir, &hub, &caption(ID)));
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(errors.contains("model.safetensors arrived damaged, twice: its checksum is "), "{errors}");
    let sizes = fs::read_dir(blobs(&workdir)).unwrap().flatten().map(|blob| blob.metadata().unwrap().len());
    assert!(sizes.into_iter().all(|size| size < CUT as u64), "the damaged file is gone");
}

#[test]
fn two_commands_that_need_the_same_model_both_get_it() {
    let (workdir, hub) = stage();
    let children: Vec<_> = (0..2)
        .map(|_| command(&workdir, &hub, &caption(ID)).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let wanted = expected(&workdir, &hub);
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
    }
}

#[test]
fn a_hub_that_falls_silent_is_not_waited_for_for_ever() {
    let (workdir, hub) = stage();
    hub.misbehave(Faults { silent: true, ..Faults::default() });
    let mut command = command(&workdir, &hub, &caption(ID));
    command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    let (code, _, errors) = outcome(command);
    assert!(code == 1 && errors.contains("no data of model.safetensors for 1 s"), "{code}: {errors}");
}

#[test]
fn a_private_model_needs_a_token_which_is_sent_from_the_environment() {
    let (workdir, hub) = stage();
    hub.misbehave(Faults { token: Some("hf_secret".to_owned()), ..Faults::default() });
    let (code, _, errors) = outcome(command(&workdir, &hub, &caption(ID)));
    assert!(code == 2 && errors.contains("status 401\nhint: ") && errors.contains("HF_TOKEN"), "{errors}");
    let mut with_token = command(&workdir, &hub, &caption(ID));
    with_token.env("HF_TOKEN", "hf_secret");
    let (code, said, errors) = outcome(with_token);
    assert!(code == 0 && said.contains("caption"), "{errors}");
}

#[test]
fn what_cannot_be_had_is_said_with_its_reason() {
    let (workdir, hub) = stage();
    let errors = |command: Command| {
        let (code, said, errors) = outcome(command);
        assert_eq!((code, said.as_str()), (2, ""), "{errors}");
        errors
    };
    let message = errors(command(&workdir, &hub, &caption("someone/else")));
    assert!(message.contains("`someone/else` is no folder here, and http://127.0.0.1:"), "{message}");
    let message = errors(command(&workdir, &hub, &caption(&format!("{ID}@v9"))));
    assert!(message.contains("has no such model, or none at this revision"), "{message}");
    let mut offline = command(&workdir, &hub, &caption(ID));
    offline.env("HF_HUB_OFFLINE", "1");
    let message = errors(offline);
    assert!(message.contains("not in the cache ") && message.contains("HF_HUB_OFFLINE"), "{message}");
    // A port on which nobody listens.
    let mut unreachable = command(&workdir, &hub, &caption(ID));
    unreachable.env("HF_ENDPOINT", "http://127.0.0.1:9");
    let message = errors(unreachable);
    assert!(
        message.contains("http://127.0.0.1:9 cannot be reached: ") && message.contains("hint: "),
        "{message}"
    );
}

#[test]
fn parts_and_pickled_weights_are_fetched_and_say_the_same() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weight_files");
    let mut said = BTreeSet::new();
    for (form, files) in [
        ("safetensors", ["model.safetensors", "model.safetensors"]),
        ("safetensors_parts", ["model.safetensors.index.json", "model-00002-of-00002.safetensors"]),
        ("bin", ["pytorch_model.bin", "pytorch_model.bin"]),
        ("bin_parts", ["pytorch_model.bin.index.json", "pytorch_model-00002-of-00002.bin"]),
    ] {
        let repository = tempfile::tempdir().unwrap();
        for name in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
            fs::copy(fixtures.join("safetensors").join(name), repository.path().join(name)).unwrap();
        }
        for file in fs::read_dir(fixtures.join(form)).unwrap().flatten() {
            fs::copy(file.path(), repository.path().join(file.file_name())).unwrap();
        }
        let (workdir, _) = stage();
        let hub = HubServer::start(&[(ID, repository.path().to_owned())]);
        let arguments = format!("{} --max-length 10", caption(ID));
        let (code, words, errors) = outcome(command(&workdir, &hub, &arguments));
        assert_eq!(code, 0, "{form}: {errors}");
        said.insert(words);
        let requests = hub.requests();
        let was_had = |name: &str| requests.iter().any(|r| r.path.ends_with(name) && !r.is_probe);
        assert!(files.iter().all(|file| was_had(file)), "{form}: {requests:?}");
    }
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn a_sweep_runs_with_a_model_of_the_hub_and_planning_needs_no_network() {
    let (workdir, hub) = (end_to_end::prepared(), HubServer::start(&[(ID, assets())]));
    let run = format!("small.yaml model={ID} epochs=1 unfrozen_vision_layers=0");
    assert_eq!(outcome(command(&workdir, &hub, &format!("plan {run}"))).0, 0);
    assert!(hub.requests().is_empty());
    let (code, _, errors) = outcome(command(&workdir, &hub, &format!("run {run} --threads 1")));
    assert_eq!(code, 0, "{errors}");
    assert!(!hub.requests().is_empty());
    // Everything a run reads is recorded by its place.
    let run_folder = fs::read_dir(workdir.path().join("runs/small")).unwrap().flatten();
    let config =
        run_folder.into_iter().find_map(|run| fs::read_to_string(run.path().join("config.yaml")).ok());
    assert!(config.unwrap().contains(&format!("hf/hub/models--someone--blip-lab/snapshots/{COMMIT}")));
}
