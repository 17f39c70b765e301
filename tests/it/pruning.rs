//! `sweep prune`, as users see it.

use insta::assert_snapshot;
use sweep::plan::expand;
use sweep::record::event::{Ended, Summary};
use sweep::record::recipe::Kind;
use sweep::record::{Event, Journal, Status, Store};
use sweep::spec;

use crate::workdir::Workdir;

#[test]
fn disk_is_freed_only_when_told_to() {
    let workdir = Workdir::new();
    let sweep = Store::new(&workdir.path().join("runs")).sweep("x");
    workdir.file("s.yaml", "model: lab\nname: x\nparameters:\n  learning_rate: {values: [1.0e-4]}\n");
    let plan = expand(&spec::load(&workdir.path().join("s.yaml"), &[]).unwrap()).unwrap().runs;
    sweep.write_plan(&plan).unwrap();
    let run = plan.iter().find(|run| run.recipe.kind == Kind::FineTuned).unwrap();
    let directory = sweep.run(&run.id);
    std::fs::create_dir_all(directory.last()).unwrap();
    std::fs::write(directory.last().join("model.safetensors"), vec![0; 3_000_000]).unwrap();
    std::fs::write(directory.path.join(".config.yaml.7.0.tmp"), "").unwrap();
    // Unfinished: only what a crash left may go.
    assert_snapshot!(workdir.sweep("prune runs"), @r"
    exit 0
    --- stdout
    runs/x
    run       size  removed            what
    re85e665  0 MB  1 unfinished file  fine-tuned

    0 MB would be freed; nothing was removed
    to remove it: sweep prune runs --yes
    ");
    let ended = Ended { status: Status::Finished, reason: None, summary: Summary::default() };
    Journal::open(&directory.events(), 1).unwrap().append(Event::Ended(Box::new(ended))).unwrap();
    assert_snapshot!(workdir.sweep("prune runs --keep winner"), @"
    exit 0
    --- stdout
    runs/x
    run       size  removed                  what
    re85e665  3 MB  last/ 1 unfinished file  fine-tuned

    3 MB would be freed; nothing was removed
    to remove it: sweep prune runs --keep winner --yes
    --- stderr
    note: runs/x: the best model of every run stays, for 5 of its runs have no result yet
    ");
    assert!(directory.last().is_dir());
    assert_snapshot!(workdir.sweep("prune runs --yes"), @r"
    exit 0
    --- stdout
    runs/x
    run       size  removed                  what
    re85e665  3 MB  last/ 1 unfinished file  fine-tuned

    3 MB freed
    ");
    assert!(!directory.last().exists());
    assert_snapshot!(workdir.sweep("prune runs --yes"), @r"
    exit 0
    --- stdout
    nothing to remove
    ");
    assert_snapshot!(workdir.sweep("prune runs --keep nothing"), @r"
    exit 2
    --- stderr
    error: invalid value 'nothing' for '--keep <WHICH>'
      [possible values: best, winner]

    For more information, try '--help'.
    ");
}
