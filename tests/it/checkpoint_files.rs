//! What a checkpoint writes, and what it need not write again.

use std::cell::{Cell, RefCell};
use std::fs;

use sweep::record::Event;

use crate::cuts::{ALWAYS, Bed, Cut, HOURLY};

#[cfg(unix)]
#[test]
fn the_best_epochs_weights_are_written_once_for_both_folders() {
    use std::os::unix::fs::MetadataExt;

    let bed = Bed::new();
    for every in [ALWAYS, HOURLY] {
        let folder = bed.folder(if every == ALWAYS { "always" } else { "hourly" });
        let file = |folder: std::path::PathBuf| fs::metadata(folder.join("model.safetensors")).unwrap().ino();
        let (best, twins) = (Cell::new(None), RefCell::new(Vec::new()));
        bed.attempt_watched(&folder, every, Cut::Never, &|event| match event {
            Event::Checkpointed(saved) if saved.checkpoint == "best" => best.set(Some(saved.step)),
            Event::Checkpointed(saved) if best.get().is_some() => {
                let is_same = best.get() == Some(saved.step);
                twins.borrow_mut().push((is_same, file(folder.best()) == file(folder.last())));
            }
            _ => {}
        });
        let twins = twins.into_inner();
        assert!(twins.iter().any(|(is_same, _)| *is_same), "{twins:?}");
        // Where every step is saved, `last/` has the epoch's weights before they are found to be the best.
        let wanted = |is_same: bool| is_same && every == HOURLY;
        assert!(twins.iter().all(|(is_same, are_one)| *are_one == wanted(*is_same)), "{twins:?}");
    }
}

#[test]
fn what_only_training_needs_is_not_saved_when_training_is_over() {
    let bed = Bed::new();
    let (whole, folder) = (bed.folder("whole"), bed.folder("cut"));
    bed.finish(&whole, HOURLY);
    let moments = |event: &Event| match event {
        Event::Checkpointed(saved) if saved.checkpoint == "last" => {
            Some((saved.epoch, folder.last().join("moments.safetensors").exists()))
        }
        _ => None,
    };
    let seen = RefCell::new(Vec::new());
    bed.attempt_watched(&folder, HOURLY, Cut::KilledAtTheEnd, &|event| {
        seen.borrow_mut().extend(moments(event))
    });
    let mut seen = seen.into_inner();
    let (_, of_last) = seen.pop().unwrap();
    assert!(!of_last && seen.iter().all(|(_, exist)| *exist), "{seen:?}");
    assert!(!seen.is_empty());

    bed.finish(&folder, HOURLY);
    assert_eq!(crate::cuts::differences(&bed.results(&folder), &bed.results(&whole)), [""; 0]);
}
