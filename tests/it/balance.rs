//! Epochs that even out groups of images: a run that is stopped in the middle of one goes on with the same draws.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use candle_core::Device;
use sweep::plan::expand;
use sweep::record::recipe::Kind;
use sweep::record::{Event, Status, Store};
use sweep::run::resolve::resolve;
use sweep::spec;
use sweep::train::{Session, execute};

use crate::toy;
use crate::workdir::Workdir;

/// Trains the toy's first run as evenly as can be, and stops it once it has been asked so often whether it may go on.
/// Returns how it ended and the losses of its steps from there on.
fn train(workdir: &Workdir, runs: &str, stops_after: usize) -> (Status, Vec<(usize, u64)>) {
    let at = |name: &str| workdir.path().join(name).to_string_lossy().into_owned();
    let text = fs::read_to_string(workdir.path().join("toy.yaml")).unwrap();
    let text = text.replace("model: model", &format!("model: {}", at("model")));
    let text = text.replace("captions: ", &format!("captions: {}/", at("")));
    let text = text.replace("images: images", &format!("images: {}", at("images")));
    workdir.file("absolute.yaml", &text);
    let overrides = ["balance=1.0", "balance_by='^[01]'", "training.batch_size=1"].map(str::to_owned);
    let plan = expand(&spec::load(&workdir.path().join("absolute.yaml"), &overrides).unwrap()).unwrap().runs;
    let run = plan.into_iter().find(|run| run.recipe.kind == Kind::FineTuned).unwrap();
    let root = workdir.path().join(runs);
    let directory = Store::new(&root).sweep(toy::NAME).run(&run.id);
    fs::create_dir_all(&directory.path).unwrap();
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > stops_after
    };
    let session = Session {
        spec: &run,
        inputs: &resolve(&run.recipe, &root).unwrap(),
        directory: &directory,
        device: Device::Cpu,
        device_name: "cpu".to_owned(),
        threads: 1,
        checkpoint_every: Duration::from_secs(3600),
        until_epoch: None,
        heir: None,
        cache: None,
        stop: &stop,
    };
    let mut losses = Vec::new();
    let mut note = |event| {
        if let Event::Step(step) = event {
            losses.push((step.step, step.loss.to_bits()));
        }
        Ok(())
    };
    let status = execute(&session, &mut note).unwrap().status;
    (status, losses)
}

#[test]
fn a_run_that_is_stopped_within_an_epoch_goes_on_with_the_same_draws() {
    let workdir = toy::prepared();
    let (status, undisturbed) = train(&workdir, "undisturbed", usize::MAX);
    assert_eq!((status, undisturbed.len()), (Status::Finished, 12), "two epochs of six images");
    let mut stops = 0;
    for stops_after in [3, 6, 9, 12, 15] {
        let runs = format!("stopped-{stops_after}");
        let (status, mut losses) = train(&workdir, &runs, stops_after);
        stops += usize::from(status == Status::Interrupted);
        if status == Status::Interrupted {
            let (status, rest) = train(&workdir, &runs, usize::MAX);
            assert_eq!(status, Status::Finished);
            losses.extend(rest);
        }
        assert_eq!(losses, undisturbed, "stopped after {stops_after} questions");
    }
    assert!(stops >= 3, "{stops} of five were stopped");
}
